"""The dispatch job with angzarr-client 0.3.1; run by benchmarks/dispatch.py in an environment of its own.

Argument: a serialized FileDescriptorSet of tests/bank/protos. Then it reads one JSON object a line,
``{"router": "fluent", "events": 1000, "types": 2, "calls": 10}``, and answers with the seconds that so many calls
took, bytes in to bytes out, after some that are not timed.
"""

import gc
import json
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

from angzarr_client import CommandHandler, CommandRouter, StateRouter, applies, handles
from angzarr_client.proto.angzarr import command_handler_pb2, types_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREFIX = "type.googleapis.com/"


def load(path: str) -> dict[str, Any]:
    files = descriptor_pb2.FileDescriptorSet.FromString(Path(path).read_bytes())
    pool = descriptor_pool.Default()
    for file in files.file:
        pool.Add(file)
    return {
        name.rpartition(".")[2]: cls
        for name, cls in message_factory.GetMessageClassesForFiles(
            [file.name for file in files.file], pool
        ).items()
    }


BANK = load(sys.argv[1])
EVENTS = (
    "AccountOpened",
    "Deposited",
    "Withdrawn",
    "TransferRequested",
    "TransferReceived",
    "TransferReturned",
    "AccountClosed",
    "InterestPosted",
    "AccountOpenedV1",
    "AccountOpenedV2",
    "OnboardingStarted",
    "OnboardingDeposit",
)


class State:
    def __init__(self) -> None:
        self.owner = ""
        self.balance = 0
        self.others = 0


def opened(state: State, event: Any) -> None:
    state.owner = event.owner


def deposited(state: State, event: Any) -> None:
    state.balance = event.balance


def other(state: State, event: Any) -> None:
    state.others += 1


APPLIERS = {"AccountOpened": opened, "Deposited": deposited}


def deposit(command: Any, state: State, sequence: int) -> Any:
    return BANK["Deposited"](amount=command.amount, balance=state.balance + command.amount)


def fluent(types: int) -> Any:
    states: Any = StateRouter(State)
    for name in EVENTS[:types]:
        states.on(BANK[name], APPLIERS.get(name, other))
    router = CommandRouter("account").with_state(states).on(BANK["Deposit"], deposit)
    return router.dispatch


def class_based(types: int) -> Any:
    body: dict[str, Any] = {"domain": "account", "_create_empty_state": lambda self: State()}
    for name in EVENTS[:types]:
        body[f"apply_{name}"] = _applier(name)
    body["deposit"] = _handler()
    return type("Accounts", (CommandHandler,), body).handle  # type: ignore[attr-defined]


def _applier(name: str) -> Any:
    def apply(self: Any, state: State, event: Any) -> None:
        APPLIERS.get(name, other)(state, event)

    apply.__annotations__ = {"event": BANK[name]}
    return applies(BANK[name])(apply)


def _handler() -> Any:
    def handle(self: Any, cmd: Any) -> Any:
        return BANK["Deposited"](amount=cmd.amount, balance=self._get_state().balance + cmd.amount)

    handle.__annotations__ = {"cmd": BANK["Deposit"]}
    return handles(BANK["Deposit"])(handle)


ROUTERS = {"fluent": fluent, "class": class_based}


@cache
def request(events: int, types: int) -> bytes:
    """A Deposit after so many events; of twelve types they come in turn, of two the first is AccountOpened."""
    book = types_pb2.EventBook(next_sequence=events)
    book.cover.CopyFrom(cover())
    for index in range(events):
        page = book.pages.add()
        page.header.sequence = index
        page.created_at.FromJsonString("2026-01-02T03:04:05.678901Z")
        name = EVENTS[index % types] if types > 2 else EVENTS[min(index, 1)]
        event = BANK[name]()
        if name == "AccountOpened":
            event.owner = "alice"
        if name == "Deposited":
            event.amount, event.balance = 1, index
        page.event.type_url, page.event.value = f"{PREFIX}bank.{name}", event.SerializeToString()
    asked = types_pb2.ContextualCommand(events=book)
    asked.command.cover.CopyFrom(cover())
    page = asked.command.pages.add()
    page.header.sequence = events
    page.command.type_url = f"{PREFIX}bank.Deposit"
    page.command.value = BANK["Deposit"](amount=5).SerializeToString()
    encoded: bytes = asked.SerializeToString()
    return encoded


def cover() -> Any:
    made = types_pb2.Cover(domain="account", correlation_id="5f0c5e5e-0b1c-4bdb-9c2a-6f2f9b4f0f10")
    made.root.value = bytes(range(16))
    return made


def call(dispatch: Any, data: bytes) -> bytes:
    result: bytes = dispatch(types_pb2.ContextualCommand.FromString(data)).SerializeToString()
    return result


@cache
def job(router: str, events: int, types: int) -> Any:
    run = partial(call, ROUTERS[router](types), request(events, types))
    answer = command_handler_pb2.BusinessResponse.FromString(run())
    emitted = BANK["Deposited"].FromString(answer.events.pages[0].event.value)
    deposits = [index for index in range(events) if (index % types if types > 2 else min(index, 1)) == 1]
    assert emitted.balance == (deposits[-1] if deposits else 0) + 5, emitted
    return run


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        run = job(asked["router"], asked["events"], asked["types"])
        gc.collect()
        for _ in range(asked["calls"] // 5 + 1):
            run()
        start = time.process_time()
        for _ in range(asked["calls"]):
            run()
        print(json.dumps(time.process_time() - start), flush=True)


if __name__ == "__main__":
    main()
