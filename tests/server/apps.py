"""A server process for tests: ``python -m tests.server.apps KIND`` serves until it is told to stop."""

import asyncio
import sys
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


def slow() -> Any:
    return Router("slow").with_handler(Slow, Slow).build()


def main(kind: str) -> None:
    configure_logging(json=True)
    if kind == "router":
        run_command_handler_server(slow(), domain="slow")
    elif kind == "reference":
        run_server(None, slow(), "slow", "slow", default_port="50052")
    else:
        asyncio.run(serve(*bank()))


if __name__ == "__main__":
    main(sys.argv[1])
