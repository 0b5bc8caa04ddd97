"""What is known of one CASCADE while it runs: what went well, what failed, and what failing means."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

if TYPE_CHECKING:
    from angzarr.messages import CommandBook


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

    def as_json(self) -> str:
        """The failures for trailing metadata."""
        return json.dumps(
            [
                {
                    "component": failure.component,
                    "domain": failure.domain,
                    "code": failure.error.status.name,
                    "message": failure.error.message or "",
                }
                for failure in self.failures
            ]
        )


def too_deep(chain: tuple[str, ...], limit: int) -> GRPCError:
    """Commands caused commands caused commands, beyond what is allowed."""
    return GRPCError(
        Status.FAILED_PRECONDITION,
        f"Cascade is deeper than {limit} commands: {' → '.join(chain)}",
    )
