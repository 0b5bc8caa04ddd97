"""Sagas and process managers: what they are given, what becomes of their answers."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.app import App
from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.messages import (
    AngzarrDeferredSequence,
    CommandBook,
    CommandPage,
    Cover,
    EventBook,
    EventPage,
    ExternalDeferredSequence,
    PageHeader,
    ProcessManagerHandleResponse,
    SagaHandleRequest,
    SagaResponse,
    SyncMode,
    has_field,
    new_cover,
)
from angzarr.router import handles, saga
from tests.bank.domain import Accounts
from tests.bank.messages import Deposit, Deposited, OpenAccount
from tests.coordinator.worlds import (
    FAST,
    A,
    B,
    Domain,
    Manager,
    Saga,
    View,
    command,
    names,
    payload,
    send,
    world,
)
from tests.router.helpers import command_router, saga_router

FLOW = str(uuid.UUID(int=0xF))


def to_b(name: str = "DoIt", **header: object) -> Callable[[Cover], list[CommandBook]]:
    return lambda _: [command("right", B, name, **header)]


async def test_a_saga_gets_the_new_pages_of_one_command_with_cover_and_next_sequence() -> None:
    saga = Saga({})
    async with world(handlers={"left": Domain()}, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await send(running, "left", A, "DoTwo", correlation_id="c-1", sync_mode=SyncMode.SIMPLE)
        await running.settle(30)
    first, second = saga.seen
    assert (names(first.source), names(second.source)) == (["DoneOne"], ["DoneTwo"])
    assert (second.source.cover.domain, second.source.cover.root.value) == ("left", A)
    assert (second.source.cover.correlation_id, second.source.next_sequence) == ("c-1", 2)
    assert second.sync_mode == SyncMode.SIMPLE


async def test_only_sagas_of_the_domain_are_called() -> None:
    saga = Saga({})
    async with world(handlers={"left": Domain()}, sagas={"s": ("right", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
    assert saga.seen == []


async def test_commands_are_deferred_to_their_cause_and_carry_edition_and_correlation_id() -> None:
    right = Domain()
    saga = Saga({"DoneOne": to_b()})
    handlers = {"left": Domain(), "right": right}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne", correlation_id="c-1", edition="what-if")
        await running.settle(30)
    (got,) = right.commands
    assert (got.command.cover.correlation_id, got.command.cover.edition.name) == ("c-1", "what-if")
    assert got.command.pages[0].header.sequence == 0


async def test_an_explicit_sequence_stays_and_is_checked_like_a_clients() -> None:
    right, saga = Domain(), Saga({"DoneOne": to_b(sequence=7)})
    handlers = {"left": Domain(), "right": right}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        assert (await running.events("right", B)).pages == []


async def test_commands_are_delivered_in_order_then_facts() -> None:
    fact = EventBook(
        cover=new_cover("right", B),
        pages=[
            EventPage(
                event=payload("Fact"),
                header=PageHeader(external_deferred=ExternalDeferredSequence(external_id="x")),
            )
        ],
    )
    saga = Saga({"DoneOne": lambda _: [fact, *to_b("DoA")(Cover()), *to_b("DoB")(Cover())]})
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneA", "DoneB", "Fact"]


async def test_two_commands_from_one_trigger_to_one_target_are_both_executed() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt"), command("right", B, "DoIt")]})
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt", "DoneIt"]


async def test_a_failing_saga_is_called_again() -> None:
    saga = Saga(
        {"DoneOne": to_b()}, failures=[GRPCError(Status.INTERNAL, "boom"), GRPCError(Status.UNAVAILABLE)]
    )
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]
    assert len(saga.seen) == 3


async def test_an_unreachable_target_is_tried_again_and_the_saga_is_not() -> None:
    right, saga = Domain(), Saga({"DoneOne": to_b()})
    right.refuse["DoIt"] = GRPCError(Status.UNAVAILABLE, "down")
    handlers = {"left": Domain(), "right": right}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters()
        assert (letter.source_component, letter.source_component_type) == ("s", "saga")
        assert letter.rejection_reason == "s: down"
        assert len(right.commands) == 3
        right.refuse.clear()
        await running.replay(letter)
        assert names(await running.events("right", B)) == ["DoneIt"]
        assert await running.dead_letters() == []
    assert len(saga.seen) == 1


async def test_a_saga_that_never_works_is_dead_lettered_and_can_be_replayed() -> None:
    saga = Saga({"DoneOne": to_b()}, failures=[GRPCError(Status.INTERNAL, "boom")] * 3)
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters(component="s")
        assert names(letter.rejected_events) == ["DoneOne"]
        assert letter.event_processing_failed.retry_count == 3
        await running.replay(letter)
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]


async def test_a_saga_that_raises_what_is_no_exception_fails_alone() -> None:
    class Odd(BaseException):
        pass

    @saga(name="odd", source="account", target="account")
    class Strange:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            if event.amount == 1:
                raise Odd

    app = App("bank", routers=[command_router(Accounts), saga_router(Strange)])
    async with EmbeddedCoordinator(app, config=FAST) as running:
        client = running.client("account")
        for asked in (OpenAccount(owner="a"), Deposit(amount=1), Deposit(amount=2)):
            await client.send(asked, root=A)
        await running.settle(30)
        (letter,) = await running.dead_letters(component="odd")
        assert "Odd in Strange.deposited, handling bank.Deposited" in letter.rejection_reason


async def test_a_skipped_letter_is_gone() -> None:
    saga = Saga({}, failures=[GRPCError(Status.INVALID_ARGUMENT, "no")])
    async with world(handlers={"left": Domain()}, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters()
        await running.skip(letter)
        assert await running.dead_letters() == []
        with pytest.raises(GRPCError, match="No such dead letter"):
            await running.replay(letter)


class Sleeper:
    """A saga that never answers."""

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_saga_that_hangs_is_given_up_by_name() -> None:
    impatient = CoordinatorConfig(reactions=ReactionConfig(handler_timeout=0.01, attempts=2, min_delay=0.001))
    async with world(
        impatient, handlers={"left": Domain()}, sagas={"sleeper": ("left", Sleeper())}
    ) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters()
        assert "'sleeper' did not answer within 0.01 s" in letter.rejection_reason


async def test_reactions_to_one_aggregate_stay_in_order() -> None:
    def answer(number: int) -> Callable[[Cover], list[CommandBook]]:
        return lambda _: [command("right", B, f"Do{number}")]

    rules = {f"Done{number}": answer(number) for number in range(20)}
    saga = Saga(rules, failures=[GRPCError(Status.INTERNAL, "boom")] * 2)
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        for number in range(20):
            await send(running, "left", A, f"Do{number}")
        await running.settle(30)
        assert names(await running.events("right", B)) == [f"Done{n}" for n in range(20)]


async def test_a_stuck_aggregate_does_not_hold_up_the_others() -> None:
    saga = Saga({"DoneOne": lambda cover: [command("right", cover.root.value, "DoIt")]})
    right = Domain()
    handlers = {"left": Domain(), "right": right}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        saga.failures = [GRPCError(Status.INTERNAL, "boom")]
        await send(running, "left", A, "DoOne")
        await send(running, "left", B, "DoOne")
        await running.settle(30)
        assert names(await running.events("right", A)) == ["DoneIt"]
        assert names(await running.events("right", B)) == ["DoneIt"]


def process(*events: str, commands: list[CommandBook] | None = None) -> ProcessManagerHandleResponse:
    book = EventBook(pages=[EventPage(event=payload(name)) for name in events])
    return ProcessManagerHandleResponse(process_events=[book] if events else [], commands=commands or [])


async def test_a_process_manager_without_correlation_id_is_not_called() -> None:
    manager = Manager({"DoneOne": lambda _: process("Begun")})
    managers = {"m": ("flow", ["left"], manager)}
    async with world(handlers={"left": Domain()}, process_managers=managers) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
    assert manager.seen == []


async def test_a_process_gets_its_own_history_and_its_events_are_stamped() -> None:
    manager = Manager(
        {"DoneOne": lambda _: process("Begun"), "DoneTwo": lambda _: process("Ended", "Closed")}
    )
    managers = {"m": ("flow", ["left"], manager)}
    flow = str(uuid.UUID(int=0xF))
    async with world(handlers={"left": Domain()}, process_managers=managers) as running:
        await send(running, "left", A, "DoOne", correlation_id=flow)
        await send(running, "left", B, "DoTwo", correlation_id=flow)
        await running.settle(30)
        book = await running.events("flow", uuid.UUID(int=0xF))
    assert names(book) == ["Begun", "Ended", "Closed"]
    assert [page.header.sequence for page in book.pages] == [0, 1, 2]
    assert all(page.created_at.year > 2000 for page in book.pages)
    assert [names(seen.process_state) for seen in manager.seen] == [[], ["Begun"]]


async def test_a_process_managers_commands_come_from_its_process() -> None:
    right = Domain()
    right.refuse["DoIt"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    manager = Manager(
        {
            "DoneOne": lambda _: process("Begun", commands=[command("right", B, "DoIt")]),
            "Notification": lambda _: process("Failed"),
        }
    )
    managers = {"m": ("flow", ["left"], manager)}
    handlers = {"left": Domain(), "right": right}
    flow = str(uuid.UUID(int=0xF))
    async with world(handlers=handlers, process_managers=managers) as running:
        await send(running, "left", A, "DoOne", correlation_id=flow)
        await running.settle(30)
        assert names(await running.events("flow", uuid.UUID(int=0xF))) == ["Begun", "Failed"]
    notice = manager.seen[-1].trigger
    assert (notice.cover.domain, names(notice)) == ("flow", ["Notification"])


async def test_process_events_reach_projectors_and_sagas() -> None:
    manager, view = Manager({"DoneOne": lambda _: process("Begun")}), View()
    async with world(
        handlers={"left": Domain()},
        process_managers={"m": ("flow", ["left"], manager)},
        projectors={"view": (["flow"], view)},
    ) as running:
        await send(running, "left", A, "DoOne", correlation_id="c-1")
        await running.settle(30)
    assert [name for _, _, name in view.events] == ["Begun"]


async def test_a_deferred_header_of_the_handler_stays(tmp_path: Path) -> None:
    right = Domain()
    right.refuse["DoIt"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    left, other = Domain(), Domain()
    header = PageHeader(angzarr_deferred=AngzarrDeferredSequence(source=new_cover("other", B), source_seq=4))
    book = CommandBook(
        cover=new_cover("right", B), pages=[CommandPage(header=header, command=payload("DoIt"))]
    )
    saga = Saga({"DoneOne": lambda _: [book]})
    handlers = {"left": left, "right": right, "other": other}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}, store=tmp_path / "w.db") as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
    assert left.notifications == []
    (told,) = other.notifications
    assert told.command.cover.root.value == B
    assert not has_field(told.command.pages[0].header, "external_deferred")


async def test_work_is_done_after_a_restart(tmp_path: Path) -> None:
    saga, handlers = Saga({"DoneOne": to_b()}), {"left": Domain(), "right": Domain()}

    def again() -> EmbeddedCoordinator:
        return EmbeddedCoordinator(handlers=handlers, sagas={"s": ("left", saga)}, store=tmp_path / "w.db")

    async with again() as running:
        running.runtime.reactions.stop()
        await send(running, "left", A, "DoOne")
    async with again() as running:
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]
    async with again() as running:
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]


async def test_a_process_manager_without_events_of_its_own_may_send_again_and_again() -> None:
    manager = Manager({"DoneOne": lambda _: process(commands=[command("right", B, "DoIt")])})
    managers = {"m": ("flow", ["left"], manager)}
    async with world(handlers={"left": Domain(), "right": Domain()}, process_managers=managers) as running:
        for _ in range(2):
            await send(running, "left", A, "DoOne", correlation_id="c-1")
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt", "DoneIt"]


async def test_a_replayed_trigger_reaches_its_process_manager_although_later_ones_did_already() -> None:
    failures = [GRPCError(Status.INVALID_ARGUMENT, "no")]

    def begun(_: object) -> ProcessManagerHandleResponse:
        if failures:
            raise failures.pop()
        return process("Begun")

    managers = {"m": ("flow", ["left"], Manager({"DoneOne": begun, "DoneTwo": lambda _: process("Ended")}))}
    async with world(handlers={"left": Domain()}, process_managers=managers) as running:
        await send(running, "left", A, "DoOne", correlation_id=FLOW)
        await send(running, "left", A, "DoTwo", correlation_id=FLOW)
        await running.settle(30)
        (letter,) = await running.dead_letters()
        await running.replay(letter)
        await running.settle(30)
        assert names(await running.events("flow", uuid.UUID(FLOW))) == ["Ended", "Begun"]


async def test_a_command_refused_for_want_of_resources_is_rejected_at_once() -> None:
    left, right = Domain(), Domain()
    right.refuse["DoIt"] = GRPCError(Status.RESOURCE_EXHAUSTED, "no seats")
    handlers = {"left": left, "right": right}
    async with world(handlers=handlers, sagas={"s": ("left", Saga({"DoneOne": to_b()}))}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        assert await running.dead_letters() == []
    assert (len(right.commands), len(left.notifications)) == (1, 1)


async def test_a_runaway_saga_is_given_up_by_name_and_nothing_of_it_is_sent() -> None:
    few = replace(FAST, commands=CommandConfig(max_events=3))
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")] * 4})
    handlers = {"left": Domain(), "right": Domain()}
    async with world(few, handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters(component="s")
        assert letter.rejection_reason == (
            "s: Handler answered 4 commands and facts for one trigger, at most 3 are allowed"
        )
        assert (await running.events("right", B)).pages == []
    assert len(saga.seen) == 1


async def test_a_process_manager_that_stores_too_much_is_given_up_by_name() -> None:
    few = replace(FAST, commands=CommandConfig(max_events=3))
    manager = Manager({"DoneOne": lambda _: process(*["Begun"] * 4)})
    async with world(
        few, handlers={"left": Domain()}, process_managers={"m": ("flow", ["left"], manager)}
    ) as running:
        await send(running, "left", A, "DoOne", correlation_id="c-1")
        await running.settle(30)
        (letter,) = await running.dead_letters(component="m")
        assert "Handler answered 4 events for one command, at most 3 are allowed" in letter.rejection_reason


async def test_the_second_of_two_commands_to_one_target_can_be_replayed() -> None:
    right = Domain()
    right.refuse["DoB"] = GRPCError(Status.UNAVAILABLE, "down")
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoA"), command("right", B, "DoB")]})
    handlers = {"left": Domain(), "right": right}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        right.refuse.clear()
        (letter,) = await running.dead_letters()
        await running.replay(letter)
        assert names(await running.events("right", B)) == ["DoneA", "DoneB"]


async def test_letters_of_a_process_manager_without_events_are_each_replayed() -> None:
    right = Domain()
    right.refuse["DoIt"] = GRPCError(Status.UNAVAILABLE, "down")
    manager = Manager({"DoneOne": lambda _: process(commands=[command("right", B, "DoIt")])})
    managers = {"m": ("flow", ["left"], manager)}
    async with world(handlers={"left": Domain(), "right": right}, process_managers=managers) as running:
        for _ in range(2):
            await send(running, "left", A, "DoOne", correlation_id="c-1")
        await running.settle(30)
        right.refuse.clear()
        for letter in await running.dead_letters():
            await running.replay(letter)
        assert names(await running.events("right", B)) == ["DoneIt", "DoneIt"]


class Clumsy:
    """A saga that raises what it may not."""

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        raise ZeroDivisionError


async def test_a_saga_that_raises_what_it_may_not_is_dead_lettered_by_name() -> None:
    async with world(handlers={"left": Domain()}, sagas={"clumsy": ("left", Clumsy())}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters()
    assert letter.rejection_reason == (
        "clumsy: Saga 'clumsy' raised ZeroDivisionError; the coordinator's log has the traceback"
    )
