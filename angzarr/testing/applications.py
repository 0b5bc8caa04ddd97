"""Hypothesis state machines over whole applications: a coordinator, faults on the way, invariants over everything."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias
from typing import Any as AnyValue

import anyio
import betterproto
import grpclib
from anyio.from_thread import BlockingPortal, start_blocking_portal
from grpclib.const import Status
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from angzarr.app import App
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.coordinator.config import CoordinatorConfig, ReactionConfig
from angzarr.coordinator.handlers import Components
from angzarr.errors import ClientError, GRPCError, InvalidArgumentError
from angzarr.messages import EventBook
from angzarr.router import CommandHandlerRouter
from angzarr.testing.histories import Commands, MessageClass
from angzarr.testing.performing import unpacked
from angzarr.testing.report import history_lines, section
from angzarr.testing.shrinking import BrieflyShrunk, steps_of_ours
from angzarr.testing.simpler import simpler
from angzarr.testing.strategies import everyday_messages, print_as_source
from angzarr.testing.subject import Subject, subjects_of

if TYPE_CHECKING:
    from angzarr.messages import AngzarrDeadLetter

FAULTS = ("none", "late", "twice", "unavailable", "answer lost")
"""What can happen to one call of a saga, process manager or projector: nothing; it comes later than others; it comes
twice; the handler cannot be reached at first; it is reached, but its answer is lost, so that it is called again."""
ROOTS = tuple(bytes(15) + bytes([number]) for number in (1, 2))
"""Roots of the aggregates that are commanded; byte fields of generated commands name them too."""
CORRELATIONS = ("one", "two")
"""Correlation ids of the commands that are sent."""
SETTLING = 20.0
"""Seconds that everything a command caused may take."""

Plan: TypeAlias = deque[str]
_rule: AnyValue = rule


class _Faulty:
    """A handler's endpoint as a bad network shows it."""

    def __init__(self, endpoint: AnyValue, plan: Plan) -> None:
        self._endpoint = endpoint
        self._plan = plan

    async def handle(self, request: AnyValue) -> AnyValue:
        fault = self._plan.popleft() if self._plan else "none"
        if fault == "unavailable":
            raise grpclib.GRPCError(Status.UNAVAILABLE, "injected: the handler cannot be reached")
        if fault == "late":
            await anyio.sleep(0.003)
        answer = await self._endpoint.handle(request)
        if fault == "twice":
            answer = await self._endpoint.handle(request)
        if fault == "answer lost":
            raise grpclib.GRPCError(Status.UNAVAILABLE, "injected: the answer was lost")
        return answer

    def __getattr__(self, name: str) -> AnyValue:
        return getattr(self._endpoint, name)


def with_faults(components: Components, plan: Plan) -> Components:
    """The same components, sagas, process managers and projectors reached through a network that follows a plan."""

    def all_of(parts: Sequence[AnyValue]) -> tuple[AnyValue, ...]:
        return tuple(replace(part, endpoint=_Faulty(part.endpoint, plan)) for part in parts)

    return replace(
        components,
        sagas=all_of(components.sagas),
        process_managers=all_of(components.process_managers),
        projectors=all_of(components.projectors),
    )


class ApplicationMachine(BrieflyShrunk):
    """Base of what ``application_machine`` makes: an application on a coordinator of its own.

    Attributes:
        app: the application, set on the subclass.
        letters_allowed: whether dead letters are no failure.
        coordinator: the coordinator that runs now.
        rejections: codes with which commands of this run were rejected so far.
    """

    app: ClassVar[App]
    letters_allowed: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal("asyncio"))
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="angzarr-machine-"))
        self._store = Path(directory) / "events.db"
        self._plan: Plan = deque()
        self._running = ExitStack()
        self.coordinator: EmbeddedCoordinator
        self.rejections: list[str] = []
        self._start()

    def _start(self) -> None:
        reactions = ReactionConfig(min_delay=0.001, max_delay=0.01)
        coordinator = EmbeddedCoordinator(
            self.app, store=self._store, config=CoordinatorConfig(reactions=reactions)
        )
        coordinator.components = with_faults(coordinator.components, self._plan)
        self.coordinator = self._running.enter_context(self._portal.wrap_async_context_manager(coordinator))

    def close(self) -> None:
        """Stop the coordinator and remove its database."""
        try:
            self._running.close()
        finally:
            self._stack.close()

    def restart_coordinator(self) -> None:
        """Stop the coordinator, in whatever it is doing, and start another one on the same store."""
        self._running.close()
        self._start()

    def tell(
        self, domain: str, root: bytes, command: betterproto.Message, correlation_id: str = "one"
    ) -> None:
        """Send a command, and wait until everything that it caused is done. A rejection is an answer like another.

        Raises:
            AssertionError: the handler crashed, or something ended among the dead letters.
            SettleTimeout: something is never done.
        """
        try:
            self._portal.call(self._tell, domain, root, command, correlation_id)
        except Exception as error:
            if self._wanted is None:
                error.add_note(self.story())
            raise

    async def _tell(
        self, domain: str, root: bytes, command: betterproto.Message, correlation_id: str
    ) -> None:
        try:
            await self.coordinator.client(domain).send(command, root=root, correlation_id=correlation_id)
        except GRPCError as error:
            if error.grpc_code in {Status.INTERNAL, Status.UNKNOWN}:
                raise AssertionError(
                    f"{type(command).__name__} made the handler crash: {error.grpc_details}"
                ) from error
            self.rejections.append(error.code)
        except ClientError as error:
            self.rejections.append(error.code)
        await self.coordinator.settle(SETTLING)
        letters = await self.coordinator.dead_letters()
        if letters and not self.letters_allowed:
            raise AssertionError("\n".join(map(_told, letters)))

    def events(self, domain: str, root: bytes) -> EventBook:
        """An aggregate's or process's events."""
        return self._portal.call(self.coordinator.events, domain, root)

    def happened(self, domain: str, root: bytes) -> list[betterproto.Message]:
        """An aggregate's or process's events, unpacked."""
        return unpacked(self.events(domain, root).pages)

    def states(self, domain: str) -> dict[bytes, AnyValue]:
        """The states of all aggregates of a domain that have events, by root."""
        subject = self._subject(domain)
        return {
            root: self._portal.call(subject.rebuild, self._whole(domain, root))
            for root in self._roots(domain)
        }

    def _subject(self, domain: str) -> Subject:
        for router in self.app.of_kind(CommandHandlerRouter):
            for subject in subjects_of(router):
                if subject.info.domain == domain:
                    return subject
        raise InvalidArgumentError(
            f"no command handler of {domain!r} in {self.app!r}", details={"domain": domain}
        )

    def _whole(self, domain: str, root: bytes) -> EventBook:
        book = self.events(domain, root)
        return EventBook(cover=book.cover, pages=list(book.pages), next_sequence=book.next_sequence)

    def _roots(self, domain: str) -> list[bytes]:
        async def roots() -> list[bytes]:
            found = self.coordinator.runtime.queries.get_aggregate_roots()
            return sorted([one.root.value async for one in found if one.domain == domain])

        return self._portal.call(roots)

    def state(self, domain: str, root: bytes) -> AnyValue:
        """The state of an aggregate, also of one that has no events yet."""
        return self._portal.call(self._subject(domain).rebuild, self._whole(domain, root))

    def story(self) -> str:
        """The events of every aggregate."""
        return "\n".join(
            section(f"events of {domain}/{root.hex()}", history_lines(self.events(domain, root)))
            for domain in self.coordinator.domains
            for root in self._roots(domain)
        )


def _told(letter: "AngzarrDeadLetter") -> str:
    source = letter.source_component or "a component"
    return f"{source} gave up on an event of {letter.cover.domain}: {letter.rejection_reason}"


def application_machine(
    app: App,
    *,
    commands: Commands | None = None,
    faults: Sequence[str] = FAULTS,
    restarts: bool = True,
    letters_allowed: bool = False,
    steps: int = 8,
    max_examples: int | None = None,
) -> type[ApplicationMachine]:
    """A hypothesis state machine over a whole application on an embedded coordinator.

    ::

        class PokerMachine(application_machine(app)):
            @invariant()
            def chips_are_conserved(self):
                assert sum(player.chips for player in self.states("player").values()) == self.bought

        TestPoker = PokerMachine.TestCase

    Rules are every command of every command handler, for two aggregates of each domain and two correlation ids;
    faults to come, some from the beginning; and a restart of the coordinator. After each command everything it
    caused is waited for.

    Args:
        app: the application.
        commands: own strategies for some commands, by class; or functions from the aggregate's state to a strategy.
        faults: which of ``FAULTS`` may happen to calls of sagas, process managers and projectors; () for none.
        restarts: whether the coordinator may be restarted between commands.
        letters_allowed: whether dead letters are no failure.
        steps: the most rules in one run.
        max_examples: runs; by default what the hypothesis profile says.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, the application handles no commands, or a fault has no such name.
    """
    unknown = [name for name in faults if name not in FAULTS]
    if unknown:
        raise InvalidArgumentError(f"there is no fault {unknown[0]!r}; the faults are {', '.join(FAULTS)}")
    rules: dict[str, AnyValue] = {}
    for router in app.of_kind(CommandHandlerRouter):
        for subject in subjects_of(router):
            for cls in subject.info.handles.values():
                name = f"{subject.info.domain}_{betterproto.casing.snake_case(cls.__name__)}".replace(
                    "-", "_"
                )
                rules[name] = _command_rule(name, subject.info.domain, cls, commands or {})
    if not rules:
        raise InvalidArgumentError(f"{app!r} handles no commands; application_machine() needs some to send")
    if set(faults) - {"none"}:
        rules["begin"] = _fault_rule("begin", st.lists(st.sampled_from(faults), max_size=4))
        rules["begin"] = precondition(lambda _: False)(rules["begin"])
        rules["inject"] = _fault_rule("inject", st.lists(st.sampled_from(faults), min_size=1, max_size=4))
    if restarts:
        rules["restart"] = _restart_rule()
    wanted = settings(
        max_examples=max_examples or settings().max_examples,
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    body = {
        "app": app,
        "letters_allowed": letters_allowed,
        "first_rule": "begin" if "begin" in rules else "",
        "wanted_settings": wanted,
        **rules,
    }
    return type("ApplicationMachine", (ApplicationMachine,), body)


def _command_rule(name: str, domain: str, cls: MessageClass, commands: Commands) -> AnyValue:
    own = commands.get(cls)
    print_as_source(cls)

    def tell(self: ApplicationMachine, root: bytes, command: AnyValue, correlation_id: str) -> None:
        self.tell(domain, root, command, correlation_id)

    tell.__name__ = name
    simplify = {"root": _first_of(ROOTS), "correlation_id": _first_of(CORRELATIONS)}
    where = {"root": st.sampled_from(ROOTS), "correlation_id": st.sampled_from(CORRELATIONS)}
    if own is None:
        ours = steps_of_ours(tell, simplify={**simplify, "command": simpler})
        return _rule(command=everyday_messages(cls), **where)(ours)
    if isinstance(own, st.SearchStrategy):
        return _rule(command=own, **where)(steps_of_ours(tell, simplify=simplify))
    together = st.runner().flatmap(
        lambda machine: where["root"].flatmap(partial(_of_state, machine, domain, own))
    )
    return _rule(together=together, correlation_id=where["correlation_id"])(
        steps_of_ours(tell, simplify={"correlation_id": simplify["correlation_id"]})
    )


def _of_state(
    machine: ApplicationMachine, domain: str, own: Callable[[AnyValue], AnyValue], root: bytes
) -> AnyValue:
    return st.fixed_dictionaries({"root": st.just(root), "command": own(machine.state(domain, root))})


def _first_of(values: Sequence[AnyValue]) -> Callable[[AnyValue], Iterator[AnyValue]]:
    return lambda value: iter(values[:1] if value != values[0] else ())


def _fault_rule(name: str, plans: AnyValue) -> AnyValue:
    def inject(self: ApplicationMachine, plan: list[str]) -> None:
        self._plan.extend(plan)

    inject.__name__ = name
    return _rule(plan=plans)(steps_of_ours(inject, simplify={"plan": _fewer_faults}))


def _fewer_faults(plan: list[str]) -> Iterator[list[str]]:
    for index, fault in enumerate(plan):
        yield plan[:index] + plan[index + 1 :]
        if fault != "none":
            yield [*plan[:index], "none", *plan[index + 1 :]]


def _restart_rule() -> AnyValue:
    def restart(self: ApplicationMachine) -> None:
        self.restart_coordinator()

    return _rule()(steps_of_ours(restart))
