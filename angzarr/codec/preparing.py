"""``prepare``: a generated class becomes fast, in place, for everybody who uses it."""

import functools
import gc
import re
import sys
from collections import deque
from collections.abc import Iterator
from itertools import chain, repeat
from types import FrameType
from typing import Any

from betterproto import Message

from angzarr.codec import plain
from angzarr.codec.attributes import attributes_of
from angzarr.codec.constructor import compile_constructor
from angzarr.codec.fields import MESSAGE
from angzarr.codec.methods import methods_of
from angzarr.codec.schema import LOCK, Schema, schema_of

__all__ = ["prepare"]


def prepare(cls: type[Message]) -> None:
    """Make attribute access and construction of a message class fast, in place. Idempotent, cheap, thread-safe.

    Its public behaviour stays, with these exceptions, in which it follows google.protobuf: an empty
    sub-message that was assigned is encoded; ``bytes()``, ``parse`` and the like are those of this codec;
    copies keep unknown fields; of several oneof members given to the constructor only the last is kept.
    Besides, ``Class.field`` of a scalar is its default in place of betterproto's placeholder.

    The work is done when the class is first used, and includes the classes of its sub-messages. Messages of
    the class that exist already are brought over; no other thread may be at work on them meanwhile.
    """
    schema = schema_of(cls)
    with LOCK:
        if schema.prepared or schema.preparation is not None:
            return
        if _was_used(schema):
            _finish(schema)
        else:
            _finish_on_first_use(schema)


def _was_used(schema: Schema) -> bool:
    """Whether messages of the class may exist; betterproto's constructor leaves a trace in the class."""
    return (
        "_betterproto_meta" in vars(schema.cls)
        or "parse" in vars(schema)
        or bool(schema.cls.__subclasses__())
    )


def _finish_on_first_use(schema: Schema) -> None:
    cls: Any = schema.cls
    schema.preparation = functools.partial(_finish, schema)

    @functools.wraps(cls.__init__)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        _finish(schema)
        cls.__init__(self, *args, **kwargs)

    cls.__init__ = __init__
    for mentioned in _mentioned(cls):
        prepare(mentioned)


def _mentioned(cls: type) -> Iterator[type[Message]]:
    """The message classes that the annotations of a class name, as far as they exist already."""
    names = vars(sys.modules[cls.__module__])
    for annotation in vars(cls).get("__annotations__", {}).values():
        for word in re.findall(r"[\w.]+", str(annotation)):
            first, *others = word.split(".")
            found = functools.reduce(lambda value, name: getattr(value, name, None), others, names.get(first))
            if isinstance(found, type) and issubclass(found, Message) and found is not Message:
                yield found


def _prepare_now(cls: type[Message]) -> None:
    prepare(cls)
    schema_of(cls).complete_preparation()


def _finish(schema: Schema) -> None:
    with LOCK:
        if schema.prepared:
            return
        post_init = schema.cls.__post_init__
        used = _was_used(schema)
        constructor = compile_constructor(schema)
        methods = methods_of(schema, _prepare_now)
        _install(schema, methods | attributes_of(schema, schema_of) | {"__init__": constructor})
        schema.recompile()
        if (
            used or _was_used(schema) or _is_constructing(post_init)
        ):  # what another thread has made, or is making
            _bring_over(schema)
        schema.settled = True
        for field in schema.fields:
            if field.element.kind == MESSAGE:
                prepare(field.element.message_class)


def _install(schema: Schema, attributes: dict[str, Any]) -> None:
    """Set the attributes of a class, and that it is prepared.

    In one call that runs no bytecode: no other thread sees some of it only.
    """
    owners = chain(repeat(schema.cls, len(attributes)), repeat(schema))
    values = attributes | {"prepared": True, "preparation": None}
    deque(map(setattr, owners, values.keys(), values.values()), maxlen=0)


def _is_constructing(post_init: Any) -> bool:
    """Whether a thread is in the last part of a constructor, where betterproto leaves its trace in the class."""
    return any(_is_within(post_init, frame) for frame in sys._current_frames().values())


def _is_within(function: Any, frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is function.__code__:
            return True
        frame = frame.f_back
    return False


def _bring_over(schema: Schema) -> None:
    """Make messages that exist already keep only what is present."""
    for message in _instances(schema.cls):
        if type(message) is schema.cls:
            values = message.__dict__
            kept = plain.brought_over(schema, dict(values))
            for key in [key for key in list(values) if key not in kept]:
                del values[key]
            values.update(kept)


def _instances(cls: type) -> list[Any]:
    """Every living instance of a class and of its subclasses.

    In one call that runs no bytecode: another thread may be building a tuple that holds the class, and CPython
    breaks off the building of a tuple that somebody else holds when it comes to resize it.
    """
    is_instance = functools.partial(type.__instancecheck__, cls)
    return list(filter(is_instance, chain.from_iterable(map(gc.get_referrers, (cls,)))))
