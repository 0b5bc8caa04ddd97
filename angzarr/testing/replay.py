"""Rebuilding every aggregate of a coordinator, and comparing with the state it went on with."""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any as AnyValue

from angzarr.app import App
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.coordinator.store.records import MAIN, Key
from angzarr.messages import Cover, EventBook, Query, frozen
from angzarr.router import CommandHandlerRouter
from angzarr.testing.performing import unpacked
from angzarr.testing.purity import noticed
from angzarr.testing.report import history_lines, section
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.subject import Subject, subjects_of
from angzarr.testing.values import differences, freeze, tell
from angzarr.testing.world import packages_of


class ReplayMismatch(AssertionError):
    """A rebuilt aggregate is not what it was when it was live: an applier is not pure."""


def replay_at_close() -> Callable[[], None]:
    """From now on rebuild every aggregate before a coordinator closes, whoever made it.

    One that closes because of a failure is left alone. Closing raises ``ReplayMismatch`` when an applier is not pure.

    Returns:
        What ends that.
    """
    usual = EmbeddedCoordinator.__aexit__

    @functools.wraps(usual)
    async def closing(
        self: EmbeddedCoordinator,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None or self.app is None:
            await usual(self, kind, error, trace)
            return
        try:
            await replay_all(self, self.app)
        except BaseException as mismatch:
            await usual(self, type(mismatch), mismatch, mismatch.__traceback__)
            raise
        await usual(self, None, None, None)

    EmbeddedCoordinator.__aexit__ = closing  # type: ignore[method-assign]

    def end() -> None:
        EmbeddedCoordinator.__aexit__ = usual  # type: ignore[method-assign]

    return end


async def replay_all(coordinator: EmbeddedCoordinator, app: App) -> None:
    """Rebuild every aggregate that an application's command handlers have in a coordinator.

    Args:
        coordinator: a running one.
        app: what it runs.

    Raises:
        ReplayMismatch: a rebuild gives another state than the live one, or than a second rebuild, or reads a clock.
    """
    subjects = [s for router in app.of_kind(CommandHandlerRouter) for s in subjects_of(router)]
    async for found in coordinator.runtime.queries.get_aggregate_roots():
        for subject in subjects:
            if subject.info.domain == found.domain:
                query = Query(cover=Cover(domain=found.domain, root=found.root))
                book = await coordinator.runtime.queries.get_event_book(query)
                await _replay(coordinator, subject, book)


async def _replay(coordinator: EmbeddedCoordinator, subject: Subject, book: EventBook) -> None:
    whole = EventBook(cover=book.cover, pages=list(book.pages), next_sequence=book.next_sequence)
    rebuilt = freeze(await subject.rebuild(whole))
    with frozen(DEFAULT_AT), noticed(packages_of(subject)) as impure:
        again = freeze(await subject.rebuild(whole))
    problems = tell(differences(rebuilt, again), "rebuilt", "rebuilt again", "state") + impure
    live = await _live_state(coordinator, subject, book)
    if live is not None:
        problems += tell(differences(freeze(live), rebuilt), "live", "rebuilt", "state")
    if problems:
        whose = f"{book.cover.domain}/{book.cover.root.value.hex()}"
        raise ReplayMismatch(
            f"{subject.name}: {whose} is not what its events give\n\n"
            + section("what is wrong", dict.fromkeys(problems))
            + "\n"
            + section("events", history_lines(whole) if unpacked(whole.pages) else [])
        )


async def _live_state(coordinator: EmbeddedCoordinator, subject: Subject, book: EventBook) -> AnyValue:
    """The state that the coordinator kept at hand for the next command, if any."""
    hot = coordinator.runtime.engine.hot
    known = hot.get(Key(book.cover.domain, MAIN, book.cover.root.value), book.next_sequence)
    if known is None:
        return None
    instance = await subject.instance()
    for fold in known.folds:
        if fold.state_type is subject.info.state_type:
            return known.state(fold, instance)
    return None
