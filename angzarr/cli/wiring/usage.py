"""Which messages an application could use, and which it does."""

from collections.abc import Iterator

import betterproto

from angzarr.cli.wiring.model import Wiring
from angzarr.codec.schema import schema_of
from angzarr.errors import UnregisteredMessageError
from angzarr.messages import full_name, message_class, registered_names


def messages_of(wiring: Wiring) -> frozenset[str]:
    """Every message declared in a protobuf package that some command of the application is from."""
    commands = {name for info in wiring.of_kind("command_handler") for name in info.handles}
    modules = {message_class(name).__module__ for name in commands}
    return frozenset(name for name in registered_names() if message_class(name).__module__ in modules)


def used_messages(wiring: Wiring) -> frozenset[str]:
    """Every message that a handler takes, gives or keeps, and everything inside those."""
    named = {
        *(name for info in wiring.handlers for name in (*info.handles, *info.applies, *info.facts)),
        *(name for step in wiring.steps for name in (*step.takes, *step.emits)),
        *(sent.command for step in wiring.steps for sent in step.sends),
        *(full_name(cls) for info in wiring.handlers for pair in info.upcasts for cls in pair),
        *(name for info in wiring.handlers for name in _state(info.state_type)),
    }
    inside = {name for message in messages_of(wiring) for name in _parts(message)}
    return frozenset(named | inside)


def _state(state_type: type | None) -> Iterator[str]:
    if state_type is not None and issubclass(state_type, betterproto.Message):
        yield full_name(state_type)


def _parts(name: str) -> Iterator[str]:
    for field in schema_of(message_class(name)).fields:
        cls = field.element.cls
        if isinstance(cls, type) and issubclass(cls, betterproto.Message):
            try:
                yield full_name(cls)
            except UnregisteredMessageError:
                continue
