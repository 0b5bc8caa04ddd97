"""The short way of most commands: a book of one, for a method that wants nothing but command, state and sequence.

What it leaves out is what such a command has no use for; what it does is what the long way does.
"""

from collections.abc import Awaitable
from typing import Any

from angzarr import codec
from angzarr.router.calls import Method
from angzarr.router.context import bind, restore
from angzarr.router.emission import Emission, kind_of
from angzarr.router.faults import decode_payload
from angzarr.router.raw.answer import business_response, one_event
from angzarr.router.requests import CommandView, History, field_of
from angzarr.router.session import Route, absorb, blame, response_of


def is_plain(route: Route, command: CommandView) -> bool:
    """Whether a command may go this way."""
    return route[3] and len(command.payloads) == 1


def answer_plainly(route: Route, command: CommandView, history: History) -> bytes | Awaitable[bytes]:
    """The encoded BusinessResponse of a handler.

    Raises:
        Exception: as ``CommandHandlerRouter.dispatch``.
    """
    handler, method, message, _ = route
    type_url, value = command.payloads[0]
    tokens = bind(command.domain, command.root, command.correlation_id)
    try:
        asked = decode_payload(message, type_url, value)
        instance = handler.factory()
        if not handler.makes_itself and hasattr(type(instance), "__await__"):
            return _answer_later(route, command, history, made=(instance, asked))
        state = history.fold(handler.fold, instance)
        sequence = history.next_sequence
        result = _called(method, instance, asked, state, sequence)
        kind = kind_of(type(result))
        if kind is not None:
            return one_event(command.cover_field(), sequence, kind, kind.encode(result))
        if hasattr(type(result), "__await__"):
            return _answer_later(route, command, history, result=result)
        return _encoded(method, command, sequence, result)
    except BaseException as error:
        blame(error, method, type_url, command)
        raise
    finally:
        restore(tokens)


async def _answer_later(
    route: Route,
    command: CommandView,
    history: History,
    *,
    made: tuple[Any, Any] | None = None,
    result: Any = None,
) -> bytes:
    """The same once the instance, made together with the command, or the result has been awaited."""
    handler, method, _, _ = route
    tokens = bind(command.domain, command.root, command.correlation_id)
    try:
        if made is not None:
            instance = await made[0]
            state = history.fold(handler.fold, instance)
            result = _called(method, instance, made[1], state, history.next_sequence)
        if hasattr(type(result), "__await__"):
            result = await result
        return _encoded(method, command, history.next_sequence, result)
    except BaseException as error:
        blame(error, method, command.payloads[0][0], command)
        raise
    finally:
        restore(tokens)


def _called(method: Method, instance: Any, asked: Any, state: Any, sequence: int) -> Any:
    if method.takes == 3:
        return getattr(instance, method.name)(asked, state, sequence)
    return getattr(instance, method.name)(*(asked, state)[: method.takes])


def _encoded(method: Method, command: CommandView, sequence: int, result: Any) -> bytes:
    emission = Emission(sequence)
    response = response_of(absorb(emission, method, result))
    if response is not None:
        return codec.encode(response)
    emission.require_room()
    cover = command.cover_field() if emission.cover is None else field_of(emission.cover)
    return business_response(
        emission, cover, None if emission.snapshot is None else codec.encode(emission.snapshot)
    )
