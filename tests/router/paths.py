"""One request over both paths of dispatching: messages, and bytes."""

from collections.abc import Awaitable
from typing import Any

from angzarr.errors import ClientError, DecodeError, DispatchError, EncodeError
from angzarr.messages import decode, encode
from angzarr.messages.timestamps import frozen
from angzarr.router.grpc import adapter_of
from tests.router.helpers import T0


async def over_messages(router: Any, data: bytes) -> Any:
    """The answer of ``dispatch``."""
    return await router.dispatch(decode(router.request_type, data))


async def over_bytes(router: Any, data: bytes) -> Any:
    """The answer of ``dispatch_bytes``."""
    rpc = next(iter(adapter_of(router).service.rpcs.values()))
    return decode(rpc.response, await router.dispatch_bytes(data))


async def outcome(call: Awaitable[Any]) -> tuple[Any, ...]:
    """What a path gave, in a form that can be compared."""
    try:
        return ("answer", encode(await call))
    except DecodeError as error:
        return ("malformed", error.path, error.reason)
    except DispatchError as error:
        return (error.error_code, error.code(), str(error), error.extras)
    except EncodeError as error:
        return ("unencodable", error.path, error.reason, getattr(error, "__notes__", []))
    except ClientError as error:
        return (type(error), error.code, error.details)


async def both(router: Any, data: bytes, calls: list[Any] | None = None) -> list[Any]:
    """What the path of messages gave, and that of bytes.

    Args:
        router: any router.
        data: an encoding of its request, or not.
        calls: where the handlers note how they were called; that counts too, then.
    """
    noted: list[Any] = [] if calls is None else calls
    found = []
    for path in (over_messages, over_bytes):
        noted.clear()
        with frozen(T0):
            found.append((await outcome(path(router, data)), list(noted)))
    return found
