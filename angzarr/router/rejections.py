"""Rejections: reading a Notification, and what a ``@rejected`` method's answer means."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import betterproto

from angzarr import codec
from angzarr.compensation import PMRevocationResponse
from angzarr.messages import (
    BusinessResponse,
    Cover,
    EventBook,
    EventPage,
    Notification,
    RejectionNotification,
    RevocationResponse,
    any_of,
    has_field,
    pack,
    type_matches,
    type_name_from_url,
    type_url_of,
    unpack,
)
from angzarr.router.faults import decode_payload
from angzarr.router.responses import RejectionHandlerResponse


@dataclass(frozen=True, slots=True)
class Refusal:
    """A notification, and the key of the command it is about: refusing domain, and command without package."""

    notification: Notification
    key: tuple[str, str]


def read_refusal(type_url: str, value: bytes) -> Refusal:
    """Read a Notification payload.

    Raises:
        DispatchError: ANY_DECODE_FAILED, it or the RejectionNotification in it cannot be decoded.
    """
    notification = decode_payload(Notification, type_url, value)
    rejection = RejectionNotification()
    if has_field(notification, "payload") and type_matches(notification.payload, RejectionNotification):
        payload = notification.payload
        rejection = decode_payload(RejectionNotification, payload.type_url, payload.value)
    command = rejection.rejected_command
    url = (type_url_of(command.pages[0]) if command.pages else None) or ""
    return Refusal(notification, (command.cover.domain, type_name_from_url(url).rpartition(".")[2]))


@dataclass(slots=True)
class Answer:
    """A handler's answer, sorted: what to treat as an ordinary result, and the arms that are not events."""

    result: object = None
    books: list[EventBook] = field(default_factory=list)
    revocation: RevocationResponse | None = None
    notification: Notification | None = None


def _arm_of(response: BusinessResponse) -> tuple[str, Any]:
    return betterproto.which_one_of(response, "result")


def sort_answer(result: object) -> Answer:
    """Take apart what a handler returned, as far as it is one of the response messages and containers."""
    if isinstance(result, BusinessResponse):
        arm, value = _arm_of(result)
        return Answer(
            books=[value] if arm == "events" else [],
            revocation=value if arm == "revocation" else None,
            notification=value if arm == "notification" else None,
        )
    if isinstance(result, RevocationResponse):
        return Answer(revocation=result)
    if isinstance(result, RejectionHandlerResponse):
        return Answer(books=list(result.events), notification=result.notification)
    if isinstance(result, PMRevocationResponse):
        own = result.process_events
        return Answer(books=[] if own is None else [own], revocation=result.revocation)
    return Answer(result=result)


def carrying(answer: Answer, cover: Cover | None) -> list[EventBook]:
    """Books that carry a saga's or process manager's revocation or notification to the coordinator.

    Their responses have no field for either, so each travels among the facts: a book of the rejection's own cover, with
    one page that has neither sequence nor deferred header, whose event is the message. ``carried`` finds them again.
    """
    verdicts = (verdict for verdict in (answer.revocation, answer.notification) if verdict is not None)
    books = [EventBook(pages=[EventPage(event=pack(verdict))]) for verdict in verdicts]
    if cover is not None:
        for book in books:
            book.cover = codec.clone(cover)
    return books


def _unmarked(page: EventPage) -> bool:
    return not betterproto.which_one_of(page.header, "sequence_type")[0]


def carried(books: Sequence[EventBook]) -> tuple[list[EventBook], Answer]:
    """Part the facts of a response into the facts proper, and the revocation and notification among them."""
    facts: list[EventBook] = []
    answer = Answer()
    for book in books:
        payload = any_of(book.pages[0]) if len(book.pages) == 1 and _unmarked(book.pages[0]) else None
        if payload is not None and type_matches(payload, RevocationResponse):
            answer.revocation = unpack(payload, RevocationResponse)
        elif payload is not None and type_matches(payload, Notification):
            answer.notification = unpack(payload, Notification)
        else:
            facts.append(book)
    return facts, answer
