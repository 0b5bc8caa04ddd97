"""How one decorated method is called: decided once from its signature, never looked at again."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import betterproto

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import BuildError
from angzarr.router.threads import in_thread as run_in_thread

Extras: TypeAlias = Callable[[str], Any]
"""Gives the value of an opt-in parameter by its name."""


@dataclass(frozen=True, slots=True)
class Method:
    """A decorated method and how to call it.

    Attributes:
        owner: name of the class it was found on.
        name: its own name.
        message: the message class it is registered for; None where there is none.
        takes: how many of the kind's standard arguments it takes, when it takes nothing else.
        slots: position by position, the index of a standard argument or the name of an opt-in; empty when ``takes``
            says it all.
        keywords: opt-ins passed by keyword.
        is_async: whether it is ``async def``.
        asks: whether it takes anything but standard arguments.
    """

    owner: str
    name: str
    message: type[betterproto.Message] | None
    takes: int
    slots: tuple[int | str, ...] = ()
    keywords: tuple[str, ...] = ()
    is_async: bool = False
    asks: bool = False

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


def describe(
    cls: type,
    name: str,
    message: type[betterproto.Message] | None,
    *,
    standard: tuple[str, ...],
    optional: frozenset[str] = frozenset(),
) -> Method:
    """Read a method's signature.

    Args:
        cls: the handler class.
        name: the method's name.
        message: what it is registered for.
        standard: names of the arguments the kind passes by position, in order.
        optional: names of the parameters it may opt in to.

    Raises:
        BuildError: HANDLER_SIGNATURE, a required parameter is neither.
    """
    raw = inspect.getattr_static(cls, name)
    parameters = list(inspect.signature(getattr(raw, "__func__", raw)).parameters.values())
    if not isinstance(raw, staticmethod):
        parameters = parameters[1:]
    slots, keywords = _plan(cls, name, parameters, standard, optional)
    simple = not keywords and slots == list(range(len(slots)))
    return Method(
        owner=cls.__name__,
        name=name,
        message=message,
        takes=len(slots),
        slots=() if simple else tuple(slots),
        keywords=tuple(keywords),
        asks=not simple,
        is_async=inspect.iscoroutinefunction(inspect.unwrap(getattr(raw, "__func__", raw))),
    )


def _plan(
    cls: type,
    name: str,
    parameters: Sequence[inspect.Parameter],
    standard: tuple[str, ...],
    optional: frozenset[str],
) -> tuple[list[int | str], list[str]]:
    slots: list[int | str] = []
    keywords: list[str] = []
    given = 0
    for parameter in parameters:
        opted_in = parameter.name in optional
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            slots.extend(range(given, len(standard)))
            given = len(standard)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            if opted_in:
                keywords.append(parameter.name)
            elif parameter.default is parameter.empty:
                raise _unknown_parameter(cls, name, parameter.name, standard, optional)
        elif opted_in and given > 0 and standard[given : given + 1] != (parameter.name,):
            slots.append(parameter.name)
        elif given < len(standard):
            slots.append(given)
            given += 1
        elif parameter.default is parameter.empty:
            raise _unknown_parameter(cls, name, parameter.name, standard, optional)
        else:
            break
    return slots, keywords


def _unknown_parameter(
    cls: type, method: str, parameter: str, standard: tuple[str, ...], optional: frozenset[str]
) -> BuildError:
    return BuildError(
        messages.HANDLER_SIGNATURE,
        code=codes.HANDLER_SIGNATURE,
        details={
            keys.HANDLER_CLASS: cls.__name__,
            keys.METHOD: method,
            keys.FIELD: parameter,
            keys.EXPECTED: ", ".join((*standard, *sorted(optional))),
        },
    )


async def invoke(
    method: Method, instance: Any, standard: tuple[Any, ...], extras: Extras, *, in_thread: bool = False
) -> Any:
    """Call a handler's method.

    Args:
        method: which.
        instance: on what the factory gave.
        standard: the kind's standard arguments; those the method leaves out are not passed.
        extras: values of the opt-ins.
        in_thread: run a synchronous method in a worker thread, so that it cannot stall the loop.
    """
    result = start(method, instance, standard, extras, in_thread)
    return await result if method.is_async or hasattr(type(result), "__await__") else result


def start(method: Method, instance: Any, standard: tuple[Any, ...], extras: Extras, in_thread: bool) -> Any:
    """As ``invoke``, up to its first await: the result, or an awaitable of it."""
    function = getattr(instance, method.name)
    if method.asks:
        arguments = tuple(
            standard[slot] if isinstance(slot, int) else extras(slot) for slot in _slots_of(method)
        )
        function = functools.partial(function, **{name: extras(name) for name in method.keywords})
    else:
        arguments = standard[: method.takes]
    if in_thread and not method.is_async:
        return run_in_thread(functools.partial(function, *arguments), str(method))
    return function(*arguments)


def _slots_of(method: Method) -> tuple[int | str, ...]:
    return method.slots or tuple(range(method.takes))


async def instance_of(factory: Callable[[], Any]) -> Any:
    """What a factory gives, awaited when it is an async one."""
    made = factory()
    return await made if hasattr(type(made), "__await__") else made
