"""Generates the constructor of a prepared class: the dataclass's signature, without its work."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from betterproto import PLACEHOLDER

from angzarr.codec.attributes import mark_if_contentless
from angzarr.codec.fields import Field
from angzarr.codec.source import Source

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["compile_constructor"]


def compile_constructor(schema: "Schema") -> Callable[..., None]:
    """An ``__init__`` that stores what it is given and nothing else; of a oneof's members the last one counts."""
    # no field has a name that begins with an underscore and ends with two
    globals_ = {"_unset__": PLACEHOLDER, "_mark__": mark_if_contentless}
    names = [field.name for field in dataclasses.fields(cast("Any", schema.cls))]
    source = Source("__init__", globals_)
    parameters = "".join(f", {name}={_default(schema, name)}" for name in names)
    native = schema.stores_natively
    with source.block(f"def __init__(_self__{parameters}):"):
        source("pass" if native else "_values__ = _self__.__dict__")
        earlier: set[str] = set()
        for name in names:
            with source.block(f"if {name} is not {_default(schema, name)}:"):
                _write_store(source, schema.by_name[name], earlier, native)
            earlier.add(name)
        if "__post_init__" in vars(schema.cls):  # a deprecated class warns there
            source("_self__.__post_init__()")
    constructor = source.compile(f"{schema.cls.__name__} constructor")
    constructor.__qualname__ = f"{schema.cls.__qualname__}.__init__"
    constructor.__module__ = schema.cls.__module__
    return constructor


def _write_store(source: Source, field: Field, earlier: set[str], native: bool) -> None:
    if native:
        source(f"_self__.{field.name} = {field.name}")
        return
    for sibling in field.siblings:
        if sibling in earlier:
            source(f"_values__.pop({sibling!r}, None)")
    source(f"_values__[{field.name!r}] = {field.name}")
    if field.contentless:
        source(f"_mark__({field.name})")


def _default(schema: "Schema", name: str) -> str:
    return "None" if schema.by_name[name].optional else "_unset__"
