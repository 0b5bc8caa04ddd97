"""Roots of aggregates, in whatever form a caller has them."""

import uuid

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError
from angzarr.identity import root_from_text


def as_root(domain: str, root: uuid.UUID | bytes | str) -> uuid.UUID:
    """A root in whatever form a caller has it.

    Raises:
        InvalidArgumentError: PROTO_UUID_INVALID, it is not 16 bytes, or nothing that names a root.
    """
    if isinstance(root, uuid.UUID):
        return root
    if isinstance(root, str):
        return root_from_text(domain, root)
    if isinstance(root, bytes) and len(root) == 16:
        return uuid.UUID(bytes=root)
    raise InvalidArgumentError(
        messages.PROTO_UUID_INVALID,
        code=codes.PROTO_UUID_INVALID,
        details={keys.FIELD: "root", keys.ACTUAL: root, keys.EXPECTED: "a UUID, 16 bytes or a text"},
    )
