"""Laws of what has a state, command handlers and process managers: state is a fold over events, and nothing else."""

import random
from dataclasses import replace
from typing import Any as AnyValue

from angzarr.codec import decode, encode
from angzarr.errors import CommandRejectedError
from angzarr.messages import EventBook, ReplayRequest, Snapshot, any_of, clone, frozen, pack
from angzarr.router import CommandHandlerRouter
from angzarr.testing.calling import Called, call_directly, returned_events
from angzarr.testing.laws.base import (
    Case,
    Finding,
    Law,
    compare,
    fold_of,
    folded,
    fresh,
    is_overflow,
    outcome_parts,
    part,
)
from angzarr.testing.performing import code_of, extended, open_any
from angzarr.testing.purity import noticed
from angzarr.testing.report import error_line
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject
from angzarr.testing.values import Frozen, freeze
from angzarr.testing.world import World, packages_of


def has_state(subject: Subject) -> bool:
    """Whether a subject folds events."""
    return subject.folds


def has_message_state(subject: Subject) -> bool:
    """Whether its state can be snapshot."""
    return subject.state_is_message


def handles_commands(subject: Subject) -> bool:
    """Whether it is a command handler."""
    return subject.info.kind == "command_handler"


async def _replay(case: Case, world: World) -> Finding | None:
    with frozen(case.at):
        before = await folded(case, fresh(case))
    outcome = await case.perform()
    if outcome.state_error is not None:
        if is_overflow(outcome.state_error, case):
            return None
        line = error_line(outcome.state_error)
        return Finding("what the handler emitted cannot be applied", (line,))
    book = case.history if outcome.error is not None else extended(case.history, outcome.events)
    with frozen(case.at):
        random.seed(1)
        live = await folded(case, book)
    with frozen(case.later()):
        random.seed(2)
        instance = await case.subject.instance()
        with noticed(packages_of(case.subject)) as impure:
            state = fold_of(case.subject).over(instance, book)
        replayed = freeze(state)
    with frozen(case.at):
        after = await folded(case, fresh(case))
    return (
        compare(live, replayed, "the same events gave another state the second time", "first", "then")
        or compare(before, after, "applying events changed the state of an empty history", "before", "after")
        or (Finding("an applier is not pure", tuple(impure)) if impure else None)
    )


async def _live(case: Case, world: World) -> Finding | None:
    """One book of several commands or triggers, against each on its own upon the stored events of those before."""
    assert case.when is not None
    if case.when.kind in {"fact", "rejection"} or len(case.when.messages) < 2:
        return None
    at_once = await case.perform()
    if at_once.error is not None or at_once.state_error is not None or not await case.is_settled(world):
        return None
    world.restore()
    history, one_by_one = case.history, []
    for offset, message in enumerate(case.when.messages):
        changes: dict[str, AnyValue] = {"messages": (message,)}
        if case.when.kind == "event":
            changes["sequence"] = offset
        outcome = await case.perform(_changed(case, changes), history)
        if outcome.error is not None:
            line = error_line(outcome.error)
            shown = Source().value(message)
            return Finding(f"{shown} is accepted in one book, and refused upon the stored events", (line,))
        one_by_one += outcome.messages
        history = extended(history, outcome.events)
    return compare(
        freeze(at_once.messages),
        freeze(one_by_one),
        "handled in one book, and one by one upon the stored events, they give different events",
        "at once",
        "one by one",
    )


def _changed(case: Case, changes: dict[str, AnyValue]) -> AnyValue:
    assert case.when is not None
    return replace(case.when, **changes)


async def _split(case: Case, world: World) -> Finding | None:
    with frozen(case.at):
        whole = await folded(case, case.history)
        for at in range(1, len(case.history.pages)):
            halves = await _fold_in_two(case, at)
            found = compare(
                whole,
                halves,
                f"rebuilt in two parts, split after event {at}, the state is another",
                "at once",
                "in parts",
            )
            if found is not None:
                return found
    return None


async def _fold_in_two(case: Case, at: int) -> Frozen:
    fold = fold_of(case.subject)
    state = fold.over(await case.subject.instance(), part(case.history, 0, at))
    second = await case.subject.instance()
    for page in case.history.pages[at:]:
        payload = any_of(page)
        if payload is not None:
            state = fold.apply(second, state, payload.type_url, payload.value)
    return freeze(state)


async def _snapshot(case: Case, world: World) -> Finding | None:
    with frozen(case.at):
        whole = await folded(case, case.history)
    answer = await case.perform()
    for at in range(1, len(case.history.pages) + 1):
        short = await _from_snapshot(case, at)
        with frozen(case.at):
            state = await folded(case, short)
        world.restore()
        shortened = await case.perform(history=short)
        where = f"a snapshot after event {at} and the events since then"
        found = compare(whole, state, f"{where} give another state", "all events", "snapshot")
        if found is not None:
            return found
        found = compare(
            outcome_parts(answer),
            outcome_parts(shortened),
            f"{where} give another answer",
            "all events",
            "snapshot",
            answers=True,
        )
        if found is not None and await case.is_steady(world):
            return found
    return await _own_snapshot(case) or await _replayed_by_rpc(case, whole)


async def _from_snapshot(case: Case, at: int) -> EventBook:
    with frozen(case.at):
        state = await case.subject.rebuild(part(case.history, 0, at))
    book = clone(part(case.history, at, len(case.history.pages)))
    sequence = case.history.next_sequence - len(case.history.pages) + at - 1
    book.snapshot = Snapshot(sequence=sequence, state=pack(state))
    return book


async def _own_snapshot(case: Case) -> Finding | None:
    outcome = await case.perform()
    if outcome.snapshot is None:
        return None
    last = case.history.next_sequence + len(outcome.events) - 1
    if outcome.snapshot.sequence > last:
        line = f"its sequence is {outcome.snapshot.sequence}, the last event's is {last}"
        return Finding("the snapshot that came with the events covers some that are yet to come", (line,))
    covered = [page for page in outcome.events if page.header.sequence <= outcome.snapshot.sequence]
    with frozen(case.at):
        state = await folded(case, extended(case.history, covered))
    held = freeze(open_any(outcome.snapshot.state))
    what = "the snapshot that came with the events does not hold the state that they give"
    return compare(state, held, what, "state", "snapshot")


async def _replayed_by_rpc(case: Case, whole: Frozen) -> Finding | None:
    router = case.subject.router
    if not isinstance(router, CommandHandlerRouter) or not case.subject.info.supports_replay:
        return None
    answer = await router.dispatch_replay(ReplayRequest(events=list(case.history.pages)))
    replayed = freeze(open_any(answer.state)) if answer.state.type_url else whole
    return compare(whole, replayed, "Replay gives another state", "rebuilt", "replayed")


async def _rejection(case: Case, world: World) -> Finding | None:
    assert case.after is not None
    before = await case.perform(case.after)
    world.restore()
    held = world.kept()
    outcome = await case.perform()
    if not isinstance(outcome.error, CommandRejectedError):
        return None
    left = world.added(held)
    if left and not any(is_message for _, _, is_message in left):
        # what is filled once is a table made on first use; what grows with each rejection is not
        held = world.kept()
        await case.perform()
        left = world.added(held)
    if left:
        lines = tuple(f"{path} = {what}" for path, what, _ in left)
        return Finding(f"it was rejected with {code_of(outcome.error)}, yet something was kept", lines)
    again = await case.perform(case.after)
    found = compare(
        outcome_parts(before),
        outcome_parts(again),
        f"it was rejected with {code_of(outcome.error)}, and what follows goes otherwise than without it",
        "without it",
        "after it",
        answers=True,
    )
    return found if found is not None and await replace(case, when=case.after).is_steady(world) else None


async def _mutation(case: Case, world: World) -> Finding | None:
    called = await call_directly(case)
    for one in called:
        found = compare(
            one.before, one.after, f"{one.method} changed the state it was given", "before", "after"
        )
        if found is not None:
            return found
    return None


async def _encoding(case: Case, world: World) -> Finding | None:
    called: list[Called] = await call_directly(case)
    for one in called:
        for event in returned_events(one.result):
            try:
                again = decode(type(event), encode(event))
            except ValueError as error:
                if is_overflow(error, case):
                    return None
                return Finding(
                    f"{one.method} emits {type(event).__name__}, which no bytes can carry", (str(error),)
                )
            found = compare(
                freeze(event),
                freeze(again),
                f"{one.method} emits {type(event).__name__}, which arrives as something else",
                "emitted",
                "arrived",
            )
            if found is not None:
                return found
    return await _state_survives(case) if case.subject.state_is_message else None


async def _state_survives(case: Case) -> Finding | None:
    with frozen(case.at):
        state = await case.subject.rebuild(case.history)
    try:
        again = decode(type(state), encode(state))
    except ValueError as error:
        if is_overflow(error, case):
            return None
        return Finding("the state holds what no bytes can carry", (str(error),))
    return compare(
        freeze(state), freeze(again), "the state does not survive its encoding", "state", "decoded"
    )


async def _sequences(case: Case, world: World) -> Finding | None:
    outcome = await case.perform()
    if outcome.error is not None:
        return None
    first = case.history.next_sequence
    wanted = list(range(first, first + len(outcome.events)))
    came = [page.header.sequence for page in outcome.events]
    if came != wanted:
        return Finding(
            "the events are not numbered on from the history", (f"expected {wanted}, came {came}",)
        )
    if case.subject.info.kind != "command_handler":
        return None
    after = first + len(outcome.events)
    if outcome.book.pages and outcome.book.next_sequence != after:
        line = f"expected {after}, came {outcome.book.next_sequence}"
        return Finding("the answer's next sequence is wrong", (line,))
    whose = (case.history.cover.domain, case.history.cover.root.value)
    if outcome.book.pages and (outcome.book.cover.domain, outcome.book.cover.root.value) != whose:
        line = f"came {outcome.book.cover.domain}/{outcome.book.cover.root.value.hex()}"
        return Finding("the events are another aggregate's", (line,))
    return None


STATE_LAWS = (
    Law("replay", "replay equals live state, whenever and however often it happens", has_state, _replay),
    Law("live", "handling in one book equals handling one by one", has_state, _live, several=True),
    Law("split", "a rebuild split anywhere equals the rebuild at once", has_state, _split, acts=False),
    Law("snapshot", "a snapshot and the events after it equal all events", has_message_state, _snapshot),
    Law(
        "rejection",
        "a rejected command changes nothing and emits nothing",
        handles_commands,
        _rejection,
        follows=True,
    ),
    Law("mutation", "handlers do not change the state they are given", has_state, _mutation),
    Law("encoding", "what is emitted and folded survives its encoding", has_state, _encoding),
    Law("sequences", "emitted events are numbered on from the history", has_state, _sequences),
)
