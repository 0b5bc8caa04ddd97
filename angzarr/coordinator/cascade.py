"""What is known of one CASCADE while it runs: what went well, what failed, and what failing means."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

if TYPE_CHECKING:
    from angzarr.messages import CommandBook


_SHORT = 200


class ChainStoppedError(Exception):
    """The cascade must end: its mode, or an ``abort``, says so."""

    def __init__(self, reason: GRPCError) -> None:
        super().__init__(reason.message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Failure:
    """A reaction that failed."""

    component: str
    domain: str
    error: GRPCError


@dataclass(slots=True)
class Cascade:
    """One CASCADE, shared by everything that runs in it.

    Attributes:
        succeeded: the commands that were executed, oldest first.
        failures: the reactions that failed, in order.
    """

    succeeded: "list[CommandBook]" = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def as_json(self, room: int) -> str:
        """The failures for trailing metadata: all of them, or as many as there is room for.

        Args:
            room: bytes it may have; clients refuse answers whose metadata is too long.
        """
        shown = [_shown(one) for one in self.failures]
        if len(text := json.dumps(shown)) <= room:
            return text
        shown = [{**one, "message": _short(one["message"])} for one in shown]
        while shown and len(text := json.dumps([*shown, *self._rest(len(shown))])) > room:
            shown.pop()
        return text

    def _rest(self, told: int) -> list[dict[str, str]]:
        more = len(self.failures) - told
        if not more:
            return []
        text = f"and {more} more, see the coordinator's log"
        return [{"component": "", "domain": "", "code": Status.UNKNOWN.name, "message": text}]


def _shown(failure: Failure) -> dict[str, str]:
    return {
        "component": failure.component,
        "domain": failure.domain,
        "code": failure.error.status.name,
        "message": failure.error.message or "",
    }


def _short(message: str) -> str:
    return message if len(message) <= _SHORT else f"{message[: _SHORT - 1]}…"


def too_deep(chain: tuple[str, ...], limit: int) -> GRPCError:
    """Commands caused commands caused commands, beyond what is allowed."""
    return GRPCError(
        Status.FAILED_PRECONDITION,
        f"Cascade is deeper than {limit} commands: {' → '.join(chain)}",
    )
