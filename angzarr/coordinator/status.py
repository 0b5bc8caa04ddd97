"""The answers the coordinator gives on its own account, as gRPC errors."""

from typing import NoReturn

from grpclib import GRPCError
from grpclib.const import Status


def invalid(text: str) -> NoReturn:
    """The request is malformed."""
    raise GRPCError(Status.INVALID_ARGUMENT, text)


def internal(text: str) -> GRPCError:
    """Something of ours, or of a handler's, broke."""
    return GRPCError(Status.INTERNAL, text)


def mismatch(expected: int, actual: int, current: bytes, *, overlapping: bool = False) -> GRPCError:
    """A command's sequence is stale. ``current`` is the encoded book as it is now: the error's details."""
    how = " with overlapping fields" if overlapping else ""
    return GRPCError(
        Status.FAILED_PRECONDITION,
        f"Sequence mismatch{how}: command expects {expected}, aggregate at {actual}",
        current,
    )


def sent_to_review(expected: int, actual: int, current: bytes) -> GRPCError:
    """A stale command with strategy MANUAL went to the dead letters."""
    return GRPCError(
        Status.ABORTED,
        f"Sequence mismatch: command expects {expected}, aggregate at {actual}. Sent to DLQ for manual review",
        current,
    )
