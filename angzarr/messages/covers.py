"""Reading the cover of whatever carries one: whose events or commands these are."""

import uuid
from typing import TypeAlias

from angzarr import codec
from angzarr._gen.angzarr_client.proto.angzarr import (
    AngzarrDeferredSequence,
    CommandBook,
    Cover,
    Edition,
    EventBook,
    Notification,
    Projection,
    Query,
)
from angzarr._gen.angzarr_client.proto.angzarr import Uuid as UUID

CoverBearer: TypeAlias = Cover | EventBook | CommandBook | Query | Projection | Notification

CORRELATION_ID_HEADER = "x-correlation-id"
DEFAULT_EDITION = ""
META_ANGZARR_DOMAIN = "_angzarr"
PROJECTION_DOMAIN_PREFIX = "_projection"
PROJECTION_TYPE_URL = "angzarr_client.proto.angzarr.Projection"
UNKNOWN_DOMAIN = "unknown"
WILDCARD_DOMAIN = "*"


def cover_of(bearer: CoverBearer) -> Cover:
    """The cover itself; an empty one where none is set."""
    return bearer if isinstance(bearer, Cover) else bearer.cover


def domain_of(bearer: CoverBearer) -> str:
    """The domain; ``"unknown"`` without a cover or with an empty domain."""
    return cover_of(bearer).domain or UNKNOWN_DOMAIN


routing_key = domain_of


def correlation_id_of(bearer: CoverBearer) -> str:
    """The correlation id; ``""`` when there is none."""
    return cover_of(bearer).correlation_id


def has_correlation_id(bearer: CoverBearer) -> bool:
    """Whether there is a correlation id."""
    return bool(correlation_id_of(bearer))


def root_bytes_of(bearer: CoverBearer) -> bytes:
    """The raw bytes of the root; ``b""`` when there is none."""
    return cover_of(bearer).root.value


def root_uuid_of(bearer: CoverBearer) -> uuid.UUID | None:
    """The root; None when there is none or it is not 16 bytes."""
    root = root_bytes_of(bearer)
    return uuid.UUID(bytes=root) if len(root) == 16 else None


def root_hex_of(bearer: CoverBearer) -> str:
    """Hex of the root's raw bytes, however many; ``""`` when there is none."""
    return root_bytes_of(bearer).hex()


def edition_of(bearer: CoverBearer) -> str | None:
    """The edition's name; None on the main timeline (absent or empty)."""
    return cover_of(bearer).edition.name or None


def cache_key(bearer: CoverBearer) -> str:
    """``edition:domain:root hex``, which tells aggregates apart; ``":unknown:"`` without a cover."""
    return f"{edition_of(bearer) or DEFAULT_EDITION}:{domain_of(bearer)}:{root_hex_of(bearer)}"


def new_cover(
    domain: str, root: bytes | uuid.UUID, correlation_id: str = "", edition: str | None = None
) -> Cover:
    """A cover of a domain and root.

    Args:
        domain: the aggregate's domain.
        root: its root, as UUID or 16 raw bytes.
        correlation_id: what the exchange belongs to; ``""`` for none.
        edition: name of a timeline other than main; None or ``""`` for main.
    """
    raw = root.bytes if isinstance(root, uuid.UUID) else root
    cover = Cover(domain=domain, root=UUID(value=raw), correlation_id=correlation_id)
    if edition:
        cover.edition = implicit_edition(edition)
    return cover


def implicit_edition(name: str) -> Edition:
    """An edition of that name without explicit divergences."""
    return Edition(name=name)


def divergence_for(edition: Edition | None, domain: str) -> int | None:
    """Where an edition branches off in a domain, by its first entry for it; None when it does not say."""
    if edition is None:
        return None
    return next((entry.sequence for entry in edition.divergences if entry.domain == domain), None)


def destination_map(destinations: list[EventBook]) -> dict[str, EventBook]:
    """Root hex → book. Books without cover or root are left out; of two for one root the later stays."""
    return {
        book.cover.root.value.hex(): book
        for book in destinations
        if codec.has_field(book, "cover") and codec.has_field(book.cover, "root")
    }


def correlated_metadata(correlation_id: str) -> list[tuple[str, str]]:
    """The metadata a call carries for a correlation id: nothing for ``""``, never a blank header."""
    return [(CORRELATION_ID_HEADER, correlation_id)] if correlation_id else []


def idempotency_key(deferred: AngzarrDeferredSequence) -> str | None:
    """``edition:domain:root hex:sequence`` of what caused a deferred command; None without a source."""
    if not codec.has_field(deferred, "source"):
        return None
    source = deferred.source
    return f"{source.edition.name}:{source.domain}:{source.root.value.hex()}:{deferred.source_seq}"
