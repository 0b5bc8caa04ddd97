"""What a request must be before anything is done about it. The order and the texts are the contract's."""

import re
from collections.abc import Sequence

from angzarr.coordinator.status import invalid
from angzarr.messages import CommandBook, CommandPage, Cover, EventPage, has_field

MAX_PAGES = 100
MAX_PAYLOAD_BYTES = 262_144
SAGA_FAILURES_DOMAIN = "angzarr.saga-failures"

_DOMAIN = re.compile(r"[a-z_][a-z0-9_-]{0,63}")
_EDITION = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_CORRELATION = re.compile(r"[A-Za-z0-9_-]{0,128}")


def command_book(book: CommandBook) -> None:
    """Checks 2 to 9 on a command book.

    Raises:
        GRPCError: INVALID_ARGUMENT, naming what is wrong.
    """
    sizes(book.pages)
    if not has_field(book, "cover"):
        invalid("CommandBook must have a cover")
    cover(book.cover)


def sizes(pages: Sequence[CommandPage | EventPage]) -> None:
    """How many pages, and how large each payload.

    Raises:
        GRPCError: INVALID_ARGUMENT, with what there is and what is allowed.
    """
    if len(pages) > MAX_PAGES:
        invalid(f"Book has {len(pages)} pages, at most {MAX_PAGES} are allowed")
    for number, page in enumerate(pages):
        size = _payload_size(page)
        if size > MAX_PAYLOAD_BYTES:
            invalid(f"Payload of page {number} has {size} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")


def _payload_size(page: CommandPage | EventPage) -> int:
    name = "command" if isinstance(page, CommandPage) else "event"
    return len(getattr(page, name).value) if has_field(page, name) else 0


def cover(value: Cover) -> None:
    """Domain, root, edition and correlation id.

    Raises:
        GRPCError: INVALID_ARGUMENT, naming the part and how it should look.
    """
    domain(value.domain)
    root(value)
    edition(value)
    correlation_id(value.correlation_id)


def domain(name: str) -> None:
    """A domain's name."""
    if not name:
        invalid("Cover must have a domain")
    if not _DOMAIN.fullmatch(name) and name != SAGA_FAILURES_DOMAIN:
        invalid(f"Invalid domain {name!r}: must match ^[a-z_][a-z0-9_-]{{0,63}}$")


def root(value: Cover) -> None:
    """Sixteen bytes."""
    if not has_field(value, "root"):
        invalid("Cover must have a root UUID")
    if len(value.root.value) != 16:
        invalid(f"Invalid UUID: must be 16 bytes, got {len(value.root.value)}")


def edition(value: Cover) -> None:
    """Empty for the main timeline, or a name."""
    name = value.edition.name
    if name and not _EDITION.fullmatch(name):
        invalid(f"Invalid edition {name!r}: must be empty or up to 64 characters matching ^[a-z][a-z0-9_-]*$")


def cascade_id(text: str) -> None:
    """As a correlation id."""
    if not _CORRELATION.fullmatch(text):
        invalid(f"Invalid cascade id {text[:140]!r}: must be up to 128 of [A-Za-z0-9_-]")


def correlation_id(text: str) -> None:
    """Empty, or letters, digits, dash and underscore."""
    if not _CORRELATION.fullmatch(text):
        invalid(f"Invalid correlation id {text[:140]!r}: must be empty or up to 128 of [A-Za-z0-9_-]")
