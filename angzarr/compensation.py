"""Answering a rejection: what was refused, and what is to be done about it (sdk-behaviour part 2 (g))."""

from dataclasses import dataclass

import betterproto

from angzarr import codec
from angzarr.messages import (
    AngzarrDeferredSequence,
    BusinessResponse,
    CommandBook,
    Cover,
    EventBook,
    Notification,
    RejectionNotification,
    RevocationResponse,
    is_notification,
    type_matches,
    type_name_from_url,
    type_url_of,
)

__all__ = [
    "CompensationContext",
    "DelegationOptions",
    "PMRevocationResponse",
    "delegate_to_framework",
    "emit_compensation_events",
    "is_notification",
    "pm_delegate_to_framework",
    "pm_emit_compensation_events",
]


@dataclass(frozen=True)
class CompensationContext:
    """What a rejection Notification says.

    Attributes:
        source_event_sequence: sequence of the event that caused the refused command; 0 when not known.
        rejection_reason: the refusing side's words.
        rejected_command: the refused command, if the notification carries it.
        source_aggregate: whose event caused it, from the command's deferred header; else None.
    """

    source_event_sequence: int = 0
    rejection_reason: str = ""
    rejected_command: CommandBook | None = None
    source_aggregate: Cover | None = None

    @classmethod
    def from_notification(cls, notification: Notification) -> "CompensationContext":
        """Read a notification; one that carries no rejection gives an empty context.

        Raises:
            DecodeError: the payload says it is a RejectionNotification but cannot be decoded.
        """
        if not codec.has_field(notification, "payload"):
            return cls()
        if not type_matches(notification.payload, RejectionNotification):
            return cls()
        rejection = codec.decode(RejectionNotification, notification.payload.value)
        command = rejection.rejected_command if codec.has_field(rejection, "rejected_command") else None
        deferred = _deferred_of(command)
        return cls(
            source_event_sequence=deferred.source_seq if deferred else 0,
            rejection_reason=rejection.rejection_reason,
            rejected_command=command,
            source_aggregate=deferred.source if deferred and codec.has_field(deferred, "source") else None,
        )

    @property
    def rejected_command_type(self) -> str | None:
        """Type URL of the refused command, or None."""
        if self.rejected_command is None or not self.rejected_command.pages:
            return None
        return type_url_of(self.rejected_command.pages[0]) or None

    @property
    def source_domain(self) -> str | None:
        """Domain of the source aggregate, or None."""
        return None if self.source_aggregate is None else self.source_aggregate.domain

    @property
    def source_root(self) -> bytes | None:
        """Root of the source aggregate, or None."""
        return None if self.source_aggregate is None else self.source_aggregate.root.value

    @property
    def dispatch_key(self) -> str:
        """``domain/full.command.Name`` of the refused command; ``""`` when either is missing."""
        url = self.rejected_command_type
        domain = self.rejected_command.cover.domain if self.rejected_command else ""
        return f"{domain}/{type_name_from_url(url)}" if url and domain else ""


def _deferred_of(command: CommandBook | None) -> AngzarrDeferredSequence | None:
    if command is None or not command.pages:
        return None
    name, value = betterproto.which_one_of(command.pages[0].header, "sequence_type")
    return value if name == "angzarr_deferred" else None


@dataclass(frozen=True)
class DelegationOptions:
    """What the framework is to do about a rejection.

    Attributes:
        emit_system_event: publish SagaCompensationFailed in ``angzarr.saga-failures``.
        send_to_dead_letter: keep the refused command as a dead letter.
        escalate: log at error level and call the configured webhook.
        abort: stop the chain; a CASCADE caller gets the error.
    """

    emit_system_event: bool = True
    send_to_dead_letter: bool = False
    escalate: bool = False
    abort: bool = False


@dataclass
class PMRevocationResponse:
    """A process manager's answer to a rejection.

    Attributes:
        revocation: what the framework is to do.
        process_events: events for the process manager's own book, or None.
    """

    revocation: RevocationResponse
    process_events: EventBook | None = None


def _revocation(reason: str, options: DelegationOptions | None) -> RevocationResponse:
    chosen = options or DelegationOptions()
    return RevocationResponse(
        emit_system_revocation=chosen.emit_system_event,
        send_to_dead_letter_queue=chosen.send_to_dead_letter,
        escalate=chosen.escalate,
        abort=chosen.abort,
        reason=reason,
    )


def delegate_to_framework(reason: str, options: DelegationOptions | None = None) -> BusinessResponse:
    """Leave a rejection to the framework.

    Args:
        reason: why, for people.
        options: what it is to do; by default a system event and nothing else.
    """
    return BusinessResponse(revocation=_revocation(reason, options))


def emit_compensation_events(event_book: EventBook) -> BusinessResponse:
    """Answer a rejection with events that undo what was done; they are stored, no system event is made.

    Args:
        event_book: the events; those without a sequence get the next ones.
    """
    return BusinessResponse(events=event_book)


def pm_delegate_to_framework(reason: str, options: DelegationOptions | None = None) -> PMRevocationResponse:
    """As ``delegate_to_framework``, for process managers.

    Args:
        reason: why, for people.
        options: what it is to do; by default a system event and nothing else.
    """
    return PMRevocationResponse(_revocation(reason, options))


def pm_emit_compensation_events(
    process_events: EventBook, also_emit_system_event: bool = False, reason: str = ""
) -> PMRevocationResponse:
    """Record a compensation in the process manager's own book.

    Args:
        process_events: the events to record.
        also_emit_system_event: publish SagaCompensationFailed as well; not by default.
        reason: why, for that system event; ``""`` by default.
    """
    revocation = RevocationResponse(emit_system_revocation=also_emit_system_event, reason=reason)
    return PMRevocationResponse(revocation, process_events)
