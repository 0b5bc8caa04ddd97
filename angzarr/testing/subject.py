"""What is under test: one handler class, its factory, and the router that runs it."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any as AnyValue

import betterproto

from angzarr.errors import BuildError, InvalidArgumentError
from angzarr.messages import Cover, EventBook, full_name
from angzarr.router import AnyRouter, HandlerInfo, Router, rebuild
from angzarr.router.calls import instance_of
from angzarr.router.registry import Compiled
from angzarr.testing.builders import make_cover, uuid_for

CORRELATION_ID = "scenario"


@dataclass(frozen=True)
class Subject:
    """One handler class as its router runs it.

    Attributes:
        router: the built router, with all its classes.
        compiled: the class's compiled tables.
        factory: what makes its instances.
    """

    router: AnyRouter
    compiled: Compiled
    factory: Callable[[], AnyValue]

    @property
    def info(self) -> HandlerInfo:
        """What the class declares."""
        return self.compiled.info

    @property
    def name(self) -> str:
        """The class's name."""
        return self.info.cls.__name__

    @property
    def folds(self) -> bool:
        """Whether it has a state: command handlers and process managers do."""
        return self.info.state_type is not None

    @property
    def state_is_message(self) -> bool:
        """Whether its state can be snapshot: it is a generated message."""
        state = self.info.state_type
        return state is not None and issubclass(state, betterproto.Message)

    def takes(self, message: type[betterproto.Message]) -> bool:
        """Whether it has anything to do with a message class."""
        name = full_name(message)
        info = self.info
        olds = {old for old, _ in info.upcasts}
        return name in info.handles or name in info.facts or name in info.applies or message in olds

    def own_cover(self) -> Cover:
        """An aggregate of its own domain, for tests that do not care which."""
        domain = self.info.domain or self.info.pm_domain or self.trigger_domain()
        return make_cover(domain, uuid_for(domain), CORRELATION_ID)

    def trigger_domain(self) -> str:
        """A domain whose events it handles."""
        listens = self.info.sources or self.info.domains or (self.info.domain,)
        return next((domain for domain in listens if domain != "*"), "any")

    async def instance(self) -> AnyValue:
        """What the factory makes."""
        return await instance_of(self.factory)

    async def rebuild(self, book: EventBook) -> AnyValue:
        """The state after a book, on an instance of its own.

        Raises:
            DispatchError: ANY_TYPE_MISMATCH or ANY_DECODE_FAILED.
        """
        made = await self.instance()
        return rebuild(self.info.cls, book, factory=lambda: made)


def built(subject: AnyValue) -> AnyRouter:
    """The router for a router, a decorated class, or an instance of one.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, it is none of these, or a class that needs arguments.
        BuildError: the class cannot be built into a router.
    """
    if isinstance(subject, AnyRouter):
        return subject
    if isinstance(subject, Router):
        return subject.build()
    cls = subject if isinstance(subject, type) else type(subject)
    if subject is cls and _needs_arguments(cls):
        raise InvalidArgumentError(
            f"{cls.__name__} needs arguments: give an instance of it, a built router, or a factory"
        )
    try:
        return Router(cls.__name__).with_handler(cls, subject if cls is subject else lambda: subject).build()
    except BuildError as error:
        if getattr(cls, "__angzarr_kind__", None) is not None:
            raise
        raise InvalidArgumentError(
            f"{subject!r} is neither a built router nor a decorated handler class nor an instance of one"
        ) from error


def _needs_arguments(cls: type) -> bool:
    try:
        inspect.signature(cls).bind()
    except ValueError:  # nothing is known of it, as of some classes in C
        return False
    except TypeError:
        return getattr(cls, "__angzarr_kind__", None) is not None
    return False


def subjects_of(subject: AnyValue) -> tuple[Subject, ...]:
    """Each class of a router; of a class or instance, itself."""
    router = built(subject)
    return tuple(Subject(router, compiled, factory) for compiled, factory in router.entries)


def concerned(candidates: Sequence[Subject], *messages: type[betterproto.Message]) -> Subject:
    """The first candidate that has to do with the first of the messages that any has to do with; else the first."""
    for message in messages:
        for candidate in candidates:
            if candidate.takes(message):
                return candidate
    return candidates[0]
