"""A server process for tests: ``python -m tests.server.apps KIND`` serves until it is told to stop."""

import asyncio
import sys
import threading
import time
from typing import Any

from angzarr.router import Router, command_handler, handles
from angzarr.server import configure_logging, run_command_handler_server, run_server, serve
from tests.bank.domain import bank
from tests.bank.messages import AccountOpened, OpenAccount


@command_handler(domain="slow", state=dict)
class Slow:
    """Takes as many tenths of a second as its name has letters."""

    @handles(OpenAccount)
    async def open(self, command: OpenAccount, state: dict[str, Any]) -> AccountOpened:
        await asyncio.sleep(len(command.owner) / 10)
        return AccountOpened(owner=command.owner)


@command_handler(domain="slow", state=dict)
class Stuck:
    """Never comes back, in a worker thread."""

    @handles(OpenAccount)
    def open(self, command: OpenAccount) -> None:
        threading.Event().wait()


@command_handler(domain="slow", state=dict)
class Blocking:
    """Holds the event loop, as asynchronous as it looks."""

    @handles(OpenAccount)
    async def open(self, command: OpenAccount) -> AccountOpened:
        self._compute(1.3)
        return AccountOpened(owner=command.owner)

    def _compute(self, seconds: float) -> None:
        time.sleep(seconds)


def stuck() -> Any:
    return Router("stuck", run_sync_handlers_in_thread=True).with_handler(Stuck, Stuck).build()


def slow() -> Any:
    return Router("slow").with_handler(Slow, Slow).build()


def main(kind: str) -> None:
    if kind != "silent":
        configure_logging(json=True)
    if kind in ("router", "silent"):
        run_command_handler_server(slow(), domain="slow")
    elif kind == "reference":
        run_server(None, slow(), "slow", "slow", default_port="50052")
    elif kind == "stuck":
        run_command_handler_server(stuck())
    elif kind == "blocking":
        run_command_handler_server(Router("blocking").with_handler(Blocking, Blocking).build())
    elif kind == "patient":
        asyncio.run(serve(slow(), grace=60))
    elif kind == "stuck in a loop":
        asyncio.run(serve(stuck(), grace=0.5))
    else:
        asyncio.run(serve(*bank()))


if __name__ == "__main__":
    main(sys.argv[1])
