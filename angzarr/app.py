"""An application: the routers that run together behind one coordinator."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from angzarr.error_codes import codes, keys
from angzarr.errors import BuildError
from angzarr.router import AnyRouter, CommandHandlerRouter, Router

R = TypeVar("R", bound=AnyRouter)


class App:
    """The routers of one application, which `angzarr dev`, `EmbeddedCoordinator` and the tests run.

    Args:
        name: what the application is called; names its default database file.
        routers: built routers, of any kinds.

    Raises:
        BuildError: HANDLER_FIELD_EMPTY_STRING, the name is empty; HANDLER_UNKNOWN_KIND, something in ``routers`` is
            not a built router; DUPLICATE_COMMAND_HANDLER, two command handler routers serve the same domain.
    """

    def __init__(self, name: str, routers: Sequence[AnyRouter]) -> None:
        if not isinstance(name, str) or not name:
            raise BuildError(
                "an application needs a name",
                code=codes.HANDLER_FIELD_EMPTY_STRING,
                details={keys.FIELD: "name"},
            )
        for router in routers:
            _require_built(router)
        self.name = name
        self.routers: tuple[AnyRouter, ...] = tuple(routers)
        _require_distinct_domains(self.of_kind(CommandHandlerRouter))

    def of_kind(self, kind: type[R]) -> tuple[R, ...]:
        """The routers of one kind, in the order given.

        Args:
            kind: a router class, such as ``SagaRouter``.
        """
        return tuple(router for router in self.routers if isinstance(router, kind))

    def __repr__(self) -> str:
        return f"App({self.name!r}, {len(self.routers)} routers)"


def _require_built(router: object) -> None:
    if isinstance(router, AnyRouter):
        return
    remedy = "call .build() on it" if isinstance(router, Router) else "pass what Router(...).build() returns"
    raise BuildError(
        f"{router!r} is not a built router: {remedy}",
        code=codes.HANDLER_UNKNOWN_KIND,
        details={keys.HANDLER_KIND: type(router).__name__},
    )


def _require_distinct_domains(routers: Iterable[CommandHandlerRouter]) -> None:
    seen: dict[str, str] = {}
    for router in routers:
        for domain in sorted({handler.domain for handler in router.handlers}):
            if domain in seen:
                raise BuildError(
                    f"domain {domain!r} has command handlers in two routers; put them into one",
                    code=codes.DUPLICATE_COMMAND_HANDLER,
                    details={keys.DOMAIN: domain},
                )
            seen[domain] = router.name
