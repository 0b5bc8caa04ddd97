"""Generates the constructor of a prepared class: the dataclass's signature, without its work."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from betterproto import PLACEHOLDER

from angzarr.codec.attributes import mark_if_contentless
from angzarr.codec.layout import GROUPS, ON_WIRE, UNKNOWN, set_dict
from angzarr.codec.source import Source

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["compile_constructor"]

# A field may have any name but these: betterproto gives no field a name that begins with an underscore
# and ends with two.
_NAMES = {"_unset__": PLACEHOLDER, "_set_dict__": set_dict, "_mark__": mark_if_contentless}


def compile_constructor(schema: "Schema") -> Callable[..., None]:
    """An ``__init__`` that stores what it is given and nothing else; of a oneof's members the last one counts."""
    names = [field.name for field in dataclasses.fields(cast("Any", schema.cls))]
    source = Source("__init__", dict(_NAMES))
    parameters = "".join(f", {name}={_default(schema, name)}" for name in names)
    with source.block(f"def __init__(_self__{parameters}):"):
        source("_values__ = {}")
        earlier: set[str] = set()
        for name in names:
            with source.block(f"if {name} is not {_default(schema, name)}:"):
                for sibling in schema.by_name[name].siblings:
                    if sibling in earlier:
                        source(f"_values__.pop({sibling!r}, None)")
                source(f"_values__[{name!r}] = {name}")
                if schema.by_name[name].contentless:
                    source(f"_mark__({name})")
            earlier.add(name)
        source("_set_dict__(_self__, _values__)")
        if "__post_init__" in vars(
            schema.cls
        ):  # a deprecated class warns there, and betterproto's notes follow
            source("_self__.__post_init__()")
            with source.block(f"for _key__ in {(ON_WIRE, UNKNOWN, GROUPS)!r}:"):
                source("_values__.pop(_key__, None)")
    constructor = source.compile(f"{schema.cls.__name__} constructor")
    constructor.__qualname__ = f"{schema.cls.__qualname__}.__init__"
    constructor.__module__ = schema.cls.__module__
    return constructor


def _default(schema: "Schema", name: str) -> str:
    return "None" if schema.by_name[name].optional else "_unset__"
