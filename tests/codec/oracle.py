"""google.protobuf as the oracle: the same protos compiled for both, generated messages, comparison of values."""

import functools
import importlib.util
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import betterproto
from betterproto.casing import safe_snake_case
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as GoogleMessage
from google.protobuf.unknown_fields import UnknownFieldSet

from angzarr import _gen
from angzarr._gen.names import PACKAGES
from angzarr.codec.wellknown import EPOCH

HERE = Path(__file__).parent

Pair = tuple[type[betterproto.Message], type[GoogleMessage]]

_counter = iter(range(1_000_000))
_our_name = functools.cache(safe_snake_case)


def load_kitchen() -> ModuleType:
    """A fresh copy of the kitchen sink's generated classes: what one test prepares, another does not see."""
    name = f"kitchen_{next(_counter)}"
    spec = importlib.util.spec_from_file_location(name, _compiled() / "kitchen" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@functools.cache
def _compiled() -> Path:
    out = Path(tempfile.mkdtemp(prefix="angzarr-kitchen-"))
    plugin = Path(sys.executable).with_name("protoc-gen-python_betterproto")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{HERE}",
            f"--plugin=protoc-gen-python_betterproto={plugin}",
            f"--python_betterproto_out={out}",
            f"--descriptor_set_out={out / 'kitchen.binpb'}",
            "--include_imports",
            "kitchen.proto",
        ],
        check=True,
        capture_output=True,
    )
    return out


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    seen = set()
    for data in (_gen.descriptor_set(), (_compiled() / "kitchen.binpb").read_bytes()):
        for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
            if file.name not in seen:
                seen.add(file.name)
                pool.Add(file)
    return pool


@functools.cache
def google_class(full_name: str) -> type[GoogleMessage]:
    """The google.protobuf class of a message."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))


def kitchen_pairs(module: ModuleType) -> dict[str, Pair]:
    """Name → (our class, google's class) for every message of the kitchen sink."""
    pairs = {}
    for name, cls in vars(module).items():
        if isinstance(cls, type) and issubclass(cls, betterproto.Message):
            pairs[name] = cls, google_class("kitchen." + {"OuterInner": "Outer.Inner"}.get(name, name))
    return pairs


def contract_pairs() -> dict[str, Pair]:
    """Name → (our class, google's class) for every message that angzarr ships."""
    pairs = {}
    for package, names in PACKAGES.items():
        module = importlib.import_module(f"angzarr._gen.{package}")
        for full_name, name in names.items():
            pairs[full_name] = getattr(module, name), google_class(full_name)
    return pairs


def generate(cls: type[GoogleMessage], rng: Any, depth: int = 3) -> Any:
    """A message with arbitrary content; ``rng`` is a random.Random, which hypothesis can provide."""
    message = cls()
    _fill(message, rng, depth)
    return message


def _fill(message: Any, rng: Any, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.4 or (field.message_type and depth <= 0):
            continue
        if _is_map(field):
            _fill_map(message, field, rng, depth)
        elif field.is_repeated:
            for _ in range(rng.choice((0, 1, 2, 5))):
                if field.message_type:
                    _fill(getattr(message, field.name).add(), rng, depth - 1)
                else:
                    getattr(message, field.name).append(_scalar(field, rng))
        elif field.message_type:
            child = getattr(message, field.name)
            child.SetInParent()
            _fill(child, rng, depth - 1)
        else:
            setattr(message, field.name, _scalar(field, rng))


def _fill_map(message: Any, field: FieldDescriptor, rng: Any, depth: int) -> None:
    assert field.message_type is not None
    key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
    for _ in range(rng.choice((0, 1, 3))):
        name = _scalar(key, rng)
        if value.message_type:
            _fill(getattr(message, field.name)[name], rng, depth - 1)
        else:
            getattr(message, field.name)[name] = _scalar(value, rng)


_BITS = {
    FieldDescriptor.TYPE_INT32: (31, True),
    FieldDescriptor.TYPE_SINT32: (31, True),
    FieldDescriptor.TYPE_SFIXED32: (31, True),
    FieldDescriptor.TYPE_ENUM: (31, True),
    FieldDescriptor.TYPE_INT64: (63, True),
    FieldDescriptor.TYPE_SINT64: (63, True),
    FieldDescriptor.TYPE_SFIXED64: (63, True),
    FieldDescriptor.TYPE_UINT32: (32, False),
    FieldDescriptor.TYPE_FIXED32: (32, False),
    FieldDescriptor.TYPE_UINT64: (64, False),
    FieldDescriptor.TYPE_FIXED64: (64, False),
}
_FLOATS = (0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, 3.4028234663852886e38, 1e-45)
_TEXTS = ("", "a", "é", "漢字", "😀 \x00", "x" * 127, "y" * 128, "z" * 300)


def _scalar(field: FieldDescriptor, rng: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        return rng.random() < 0.7
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return rng.choice((*_FLOATS, 1e300, rng.random()))
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return rng.choice(_FLOATS)
    if field.type == FieldDescriptor.TYPE_STRING:
        return rng.choice(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.getrandbits(1040).to_bytes(130, "big")[: rng.choice((0, 1, 16, 130))]
    if field.enum_type and rng.random() < 0.7:
        return rng.choice(field.enum_type.values).number
    bits, signed = _BITS[field.type]
    value = rng.getrandbits(rng.choice((1, 6, 7, 8, 14, 21, 28, bits)))
    value &= (1 << bits) - 1
    return -value - 1 if signed and rng.random() < 0.3 else value


@functools.cache
def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """What differs in value or presence between google's message and ours, one line each."""
    fields, oneofs = _parts(theirs.DESCRIPTOR)
    chosen = {name: theirs.WhichOneof(name) for name in oneofs}
    for oneof, name in chosen.items():
        expected = _our_name(name) if name else ""
        mine = betterproto.which_one_of(ours, oneof)[0] if _readable(ours, oneof) else expected
        if mine != expected:
            yield f"{path}{oneof}: {expected!r} chosen, not {mine!r}"
    for field, of in fields:
        if of in chosen and chosen[of] != field.name:
            continue
        yield from _field_differences(theirs, ours, field, path)


@functools.cache
def _parts(descriptor: Descriptor) -> tuple[list[tuple[FieldDescriptor, str]], list[str]]:
    """Each field with the name of its oneof, and the oneofs that are not an optional field's."""
    oneofs = [oneof.name for oneof in descriptor.oneofs if not oneof.name.startswith("_")]
    fields = [
        (field, "" if field.containing_oneof is None else field.containing_oneof.name)
        for field in descriptor.fields
    ]
    return fields, oneofs


def _readable(ours: Any, oneof: str) -> bool:
    """Whether the chosen member can be read: a time may be out of datetime's range."""
    try:
        betterproto.which_one_of(ours, oneof)
    except ValueError:
        return False
    return True


def _field_differences(theirs: Any, ours: Any, field: FieldDescriptor, path: str) -> Iterator[str]:
    here = path + field.name
    value = getattr(theirs, field.name)
    try:
        mine = getattr(ours, _our_name(field.name))
    except ValueError:
        if not _unrepresentable(value):
            yield f"{here}: unreadable, but it is {value}"
        return
    if _is_map(field):
        yield from _map_differences(field, value, mine, here)
    elif field.is_repeated:
        if len(value) != len(mine):
            yield f"{here}: {len(value)} items, not {len(mine)}"
        for index, (a, b) in enumerate(zip(value, mine, strict=False)):
            yield from _value_differences(field, a, b, f"{here}[{index}]")
    elif field.has_presence and not theirs.HasField(field.name) and (mine is None or field.message_type):
        if mine and not _is_zero_moment(mine):
            yield f"{here}: absent, not {mine!r}"
    elif field.has_presence and not theirs.HasField(field.name):
        yield f"{here}: absent, not {mine!r}"
    else:
        yield from _value_differences(field, value, mine, here)


def _is_zero_moment(value: Any) -> bool:
    return value in (EPOCH, timedelta(0))


def _map_differences(field: FieldDescriptor, value: Any, mine: Any, here: str) -> Iterator[str]:
    if set(value) != set(mine):
        yield f"{here}: keys {set(value)}, not {set(mine)}"
    assert field.message_type is not None
    element = field.message_type.fields_by_name["value"]
    for key in value:
        if key in mine:
            yield from _value_differences(element, value[key], mine[key], f"{here}[{key!r}]")


def _value_differences(field: FieldDescriptor, theirs: Any, ours: Any, here: str) -> Iterator[str]:
    if field.message_type is None:
        if type(ours) not in (type(theirs), *_ENUM_TYPES(ours)) or not _same(theirs, ours):
            yield f"{here}: {theirs!r}, not {ours!r}"
    elif field.message_type.full_name == "google.protobuf.Timestamp":
        yield from _moment_differences(theirs, ours, here, EPOCH)
    elif field.message_type.full_name == "google.protobuf.Duration":
        yield from _moment_differences(theirs, ours, here, timedelta(0))
    elif _is_wrapper(field.message_type):
        if not _same(theirs.value, ours):
            yield f"{here}: {theirs.value!r}, not {ours!r}"
    else:
        yield from differences(theirs, ours, here + ".")


def _ENUM_TYPES(value: Any) -> tuple[type, ...]:
    return (type(value),) if isinstance(value, betterproto.Enum) else ()


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return bool(a == b)


@functools.cache
def _is_wrapper(descriptor: Descriptor) -> bool:
    return descriptor.file.name == "google/protobuf/wrappers.proto"


def moment(theirs: Any) -> timedelta | None:
    """The offset that a google Timestamp or Duration stands for, to the microsecond; None when it is too large."""
    sign = 1 if theirs.nanos >= 0 else -1
    try:
        return timedelta(seconds=theirs.seconds, microseconds=sign * (abs(theirs.nanos) // 1000))
    except OverflowError:
        return None


def _unrepresentable(theirs: Any) -> bool:
    offset = moment(theirs)
    if offset is None:
        return True
    if theirs.DESCRIPTOR.name == "Duration":
        return False
    try:
        EPOCH + offset
    except OverflowError:
        return True
    return False


def _moment_differences(theirs: Any, ours: Any, here: str, zero: Any) -> Iterator[str]:
    if _unrepresentable(theirs):
        if isinstance(ours, datetime | timedelta):
            yield f"{here}: out of range, not {ours!r}"
        return
    expected = zero + moment(theirs)
    if (
        not isinstance(ours, type(zero))
        or ours != expected
        or (ours is not None and _zone(ours) not in (None, UTC))
    ):
        yield f"{here}: {expected!r}, not {ours!r}"


def _zone(value: Any) -> Any:
    return value.tzinfo if isinstance(value, datetime) else None


def same_encoding(theirs: GoogleMessage, data: bytes) -> bool:
    """Whether ``data``, which we wrote, means to google what ``theirs`` is, unknown fields included."""
    again = type(theirs).FromString(data)
    if theirs.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True):
        return True
    first, again = _without_limits(theirs), _without_limits(again)
    if first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True):
        return True
    # google writes a map entry that it keeps as an unknown field anew; we leave it as it was
    same_unknown = unknown_fields(first) == unknown_fields(again)
    first.DiscardUnknownFields()
    again.DiscardUnknownFields()
    known = first.SerializeToString(deterministic=True), again.SerializeToString(deterministic=True)
    return same_unknown and known[0] == known[1]


def _without_limits(message: Any) -> Any:
    """A copy without what we do not keep: unknown fields inside wrappers, and the payload of NaNs."""
    copy = type(message)()
    copy.CopyFrom(message)
    _normalise(copy)
    return copy


def _normalise(message: Any) -> None:
    for field, value in message.ListFields():
        if _is_map(field):
            for key in list(value):
                item = value[key]
                if isinstance(item, GoogleMessage):
                    _normalise(item)
                elif isinstance(item, float) and math.isnan(item):
                    value[key] = math.nan
        elif field.message_type is None:
            if field.is_repeated:
                for index, item in enumerate(value):
                    if isinstance(item, float) and math.isnan(item):
                        value[index] = math.nan
            elif isinstance(value, float) and math.isnan(value):
                setattr(message, field.name, math.nan)
        else:
            for item in value if field.is_repeated else [value]:
                _normalise(item)
    if _is_wrapper(message.DESCRIPTOR):
        message.DiscardUnknownFields()


def unknown_fields(message: GoogleMessage) -> list[tuple[int, int]]:
    """Number and wire type of the unknown fields that google sees, in the message and below."""
    unknown = UnknownFieldSet(message)
    found = [(unknown[i].field_number, unknown[i].wire_type) for i in range(len(unknown))]
    for field, value in message.ListFields():
        if _is_map(field):
            items = [item for _, item in sorted(value.items())]
        else:
            items = list(value) if field.is_repeated else [value]
        found += [pair for item in items if isinstance(item, GoogleMessage) for pair in unknown_fields(item)]
    return found
