"""JSON as google.protobuf reads and writes it, and errors that help."""

import json
import math
from base64 import b64encode
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from angzarr._gen.angzarr_client.proto.angzarr import Cover, EventPage, Notification, SyncMode
from angzarr.cli.jsonform import JsonError, Names, loads, read_message, write_message
from angzarr.codec import decode, encode, has_field
from angzarr.messages import CommandRequest, pack
from angzarr.messages.descriptors import descriptor_files

EVERYTHING = "kinds.Everything"


@pytest.fixture(scope="session")
def names(kinds: ModuleType) -> Names:
    return Names(descriptor_files())


@pytest.fixture(scope="session")
def pool(generated: Path) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    content = (generated / "cli_messages" / "descriptors.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        pool.Add(file)
    return pool


@pytest.fixture(scope="session")
def google(pool: descriptor_pool.DescriptorPool) -> Any:
    """google.protobuf's class of the message."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(EVERYTHING))


SAME = [
    {
        "aDouble": 1.5,
        "aFloat": 0.1,
        "anInt32": -7,
        "aUint32": 4294967295,
        "aSint32": 3,
        "aFixed32": 1,
        "aSfixed32": -1,
    },
    {"anInt64": "-9223372036854775808", "aUint64": "18446744073709551615", "aSint64": "5", "aFixed64": "1"},
    {"aSfixed64": "-1", "aBool": True, "aString": "žlutý 🎲", "someBytes": "/+8="},
    {"aDouble": "NaN", "aFloat": "-Infinity"},
    {"aDouble": 1e300, "aFloat": 3.4028233e38},
    {"colour": "COLOUR_RED", "colours": ["COLOUR_NONE", "COLOUR_BLUE", 17]},
    {"inner": {"deep": {"text": "x"}, "colour": "COLOUR_BLUE"}, "inners": [{}, {"deep": {}}]},
    {"numbers": ["1", "-2"], "byName": {"a": "1", "": "2"}, "byNumber": {"-1": {"deep": {"text": "y"}}}},
    {"byTruth": {"true": "COLOUR_RED", "false": "COLOUR_NONE"}, "maybe": 0},
    {"chosenText": ""},
    {"chosenInner": {}},
    {"chosenTime": "1970-01-01T00:00:00Z"},
    {"at": "2026-01-31T12:00:00.123456Z", "lasts": "-0.500s"},
    {"at": "0001-01-01T00:00:00Z", "lasts": "315576000s", "times": ["2026-01-31T12:00:00.100Z"]},
    {"durations": {"a": "1.000001s"}, "wrapped": "0", "wrappedText": "", "mask": "aB,c.dE"},
    {"structure": {"a": [1, None, {"b": "c"}, True]}, "value": None, "list": [1.5, "x", []]},
    {"value": "text", "empty": {}},
    {"any": {"@type": "type.googleapis.com/kinds.Everything.Inner", "deep": {"text": "packed"}}},
    {"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}},
    {"any": {"@type": "x/google.protobuf.Int64Value", "value": "5"}},
    {
        "@other": "named",
        "x2y": "digits",
        "from": True,
        "datetime": "2026-01-31T12:00:00Z",
        "str": "AA==",
        "int": 5,
    },
    {
        "far": {"keyword": {"kind": "def"}},
        "lonely": {"withWhom": {"name": "z"}},
        "cover": {"domain": "player"},
    },
]


@pytest.mark.parametrize("value", SAME, ids=lambda value: "+".join(value))
def test_json_is_read_and_written_as_google_does(
    kinds: ModuleType, names: Names, google: Any, pool: Any, value: dict[str, Any]
) -> None:
    theirs = json_format.Parse(json.dumps(value), google(), descriptor_pool=pool)
    ours = read_message(kinds.Everything, loads(json.dumps(value)), names)

    assert google.FromString(encode(ours)) == theirs or math.isnan(theirs.a_double)
    assert write_message(ours, names) == value
    assert json_format.MessageToDict(theirs, descriptor_pool=pool) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("an_int64", "5"),
        ("anInt64", '"5"'),
        ("anInt32", "5.0"),
        ("anInt32", '"1e2"'),
        ("anInt32", "1e2"),
        ("aDouble", '"1.5"'),
        ("aDouble", "3"),
        ("someBytes", '"_-8"'),
        ("colour", "1"),
        ("colour", "99"),
        ("at", '"2026-01-31T13:00:00+01:00"'),
        ("lasts", '"1.000000001s"'),
        ("numbers", "null"),
        ("inner", "null"),
        ("maybe", "null"),
        ("mask", '""'),
    ],
)
def test_what_google_accepts_is_accepted(
    kinds: ModuleType, names: Names, google: Any, field: str, text: str
) -> None:
    theirs = json_format.Parse(f'{{"{field}": {text}}}', google())
    ours = read_message(kinds.Everything, loads(f'{{"{field}": {text}}}'), names)
    if field == "lasts":
        theirs.lasts.nanos = 0  # ours are microseconds

    assert google.FromString(encode(ours)) == theirs


REFUSED = [
    ('{"anInt32": 1.5}', "a whole number is expected, not 1.5 (at $.anInt32)"),
    ('{"anInt32": 2147483648}', "out of the range of int32"),
    ('{"aUint64": -1}', "-1 is out of the range of uint64"),
    ('{"anInt64": "abc"}', "a number is expected, not the text 'abc'"),
    ('{"anInt64": ""}', "a number is expected"),
    ('{"anInt64": " 5"}', "a number is expected"),
    ('{"anInt64": true}', "a whole number is expected, not true"),
    ('{"aBool": 1}', "true or false is expected, not the number 1"),
    ('{"aBool": "true"}', "true or false is expected"),
    ('{"aString": 5}', "text is expected, not the number 5"),
    ('{"aString": "\\ud800"}', "half of a surrogate pair"),
    ('{"someBytes": "?"}', "this is not base64"),
    ('{"aFloat": 1e39}', "out of the range of float"),
    ('{"aDouble": 1e999}', "out of the range of double"),
    ('{"colour": "RED_ISH"}', "'RED_ISH' is none of COLOUR_NONE, COLOUR_RED, COLOUR_BLUE"),
    ('{"colour": true}', "one of COLOUR_NONE"),
    ('{"inner": 5}', "an object is expected, not the number 5 (at $.inner)"),
    ('{"inner": {"deep": {"txet": 1}}}', "did you mean 'text'?"),
    ('{"numbers": 5}', "a list is expected"),
    ('{"numbers": [1, null]}', "null cannot stand in a list or map (at $.numbers[1])"),
    ('{"byName": [1]}', "an object is expected, not a list"),
    ('{"byNumber": {"x": {}}}', "a number is expected, not the text 'x'"),
    ('{"byTruth": {"yes": 1}}', "the key must be true or false"),
    ('{"byNumber": {"1": {}, "1.0": {}}}', "is there twice"),
    ('{"chosenText": "a", "chosenInner": {}}', "exclude each other"),
    ('{"anInt64": 1, "an_int64": 2}', "is there twice, in two spellings"),
    ('{"anInt64": 1, "anInt64": 2}', "'anInt64' is there twice"),
    ('{"at": "yesterday"}', "a timestamp such as"),
    ('{"at": 5}', "a timestamp such as"),
    ('{"lasts": "5"}', "a duration in seconds such as 1.5s is expected"),
    ('{"any": {"deep": {}}}', '"@type" is missing'),
    ('{"any": {"@type": "x/no.Such"}}', "the message 'no.Such' is not known"),
    ('{"nothing": 1}', "'nothing' is no field of kinds.Everything"),
    ("[]", "an object is expected, not a list (at $)"),
    ('{"a": NaN}', "NaN is not JSON"),
    ('{"a": 1', "this is not JSON"),
    ("", "this is not JSON"),
]


@pytest.mark.parametrize(("text", "complaint"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(
    kinds: ModuleType, names: Names, text: str, complaint: str
) -> None:
    with pytest.raises(JsonError) as raised:
        read_message(kinds.Everything, loads(text), names)

    assert complaint in str(raised.value)


LENIENT = [  # google's reader in Python takes these, against the rules
    '{"anInt64": " 5"}',
    '{"byNumber": {"1": {}, "1.0": {}}}',
    '{"a": NaN}',
    '{"someBytes": "?"}',
    '{"colour": true}',
    '{"anInt64": 1, "an_int64": 2}',
    "[]",
]


@pytest.mark.parametrize("text", [text for text, _ in REFUSED if text not in LENIENT])
def test_google_refuses_it_too(google: Any, text: str) -> None:
    with pytest.raises((json_format.ParseError, UnicodeError)):
        google.FromString(json_format.Parse(text, google()).SerializeToString())


def test_deep_nesting_is_no_crash(kinds: ModuleType, names: Names) -> None:
    with pytest.raises(JsonError):
        read_message(kinds.Everything, loads('{"structure":' * 100_000), names)


def test_absent_fields_stay_absent(kinds: ModuleType, names: Names) -> None:
    message = read_message(kinds.Everything, {"inner": None, "maybe": None}, names)

    assert not has_field(message, "inner")
    assert not has_field(message, "maybe")
    assert write_message(message, names) == {}


def test_original_names_are_those_of_the_proto_file(kinds: ModuleType, names: Names) -> None:
    message = read_message(kinds.Everything, {"anInt64": 5, "@other": "x", "from": True}, names)

    assert write_message(message, names, original_names=True) == {
        "an_int64": "5",
        "named_by_json": "x",
        "from": True,
    }


def test_nanoseconds_that_were_stored_are_shown(kinds: ModuleType, names: Names, google: Any) -> None:
    stored = google(at={"seconds": 1, "nanos": 234551809}).SerializeToString()

    assert write_message(decode(kinds.Everything, stored), names) == {"at": "1970-01-01T00:00:01.234551809Z"}


def test_the_largest_float_is_read_as_it_is_written(kinds: ModuleType, names: Names) -> None:
    message = read_message(kinds.Everything, {"aFloat": 3.4028235e38}, names)

    assert write_message(decode(kinds.Everything, encode(message)), names) == {"aFloat": 3.4028235e38}


def test_a_payload_of_unknown_type_is_shown_as_bytes(names: Names) -> None:
    page = EventPage(event=pack(CommandRequest()))
    page.event.type_url = "type.googleapis.com/not.Known"
    page.event.value = b"\x01\x02"

    assert write_message(page, names) == {
        "event": {"@type": "type.googleapis.com/not.Known", "value": "AQI="}
    }


def test_a_framework_message_is_shown_whatever_prefix_it_carries(names: Names) -> None:
    page = EventPage(event=pack(Notification(cover=Cover(domain="player"))))
    page.event.type_url = "type.angzarr.io/angzarr.Notification"

    assert write_message(page, names) == {
        "event": {"@type": "type.angzarr.io/angzarr.Notification", "cover": {"domain": "player"}}
    }


def test_framework_enums_are_written_by_their_proto_names(names: Names) -> None:
    assert write_message(CommandRequest(sync_mode=SyncMode.SIMPLE), names) == {"syncMode": "SYNC_MODE_SIMPLE"}
    assert (
        read_message(CommandRequest, {"sync_mode": "SYNC_MODE_CASCADE"}, names).sync_mode is SyncMode.CASCADE
    )
    assert read_message(CommandRequest, {"syncMode": "CASCADE"}, names).sync_mode is SyncMode.CASCADE


def test_without_descriptors_the_python_names_do(kinds: ModuleType) -> None:
    message = read_message(
        kinds.Everything, {"anInt64": "5", "from": True, "colour": "COLOUR_RED"}, Names({})
    )

    assert write_message(message, Names({})) == {"anInt64": "5", "colour": "COLOUR_RED", "from": True}


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "aDouble": st.floats(allow_nan=False, allow_infinity=False).filter(bool),
        "aFloat": st.floats(width=32, allow_nan=False, allow_infinity=False).filter(bool),
        "anInt32": st.integers(-(2**31), 2**31 - 1),
        "aUint64": st.integers(0, 2**64 - 1),
        "aString": _TEXT,
        "someBytes": st.binary(max_size=6).map(lambda raw: b64encode(raw).decode()),
        "colours": st.lists(st.sampled_from(["COLOUR_NONE", "COLOUR_RED", "COLOUR_BLUE", 7]), max_size=3),
        "byName": st.dictionaries(_TEXT, st.integers(-(2**63), 2**63 - 1), max_size=3),
        "at": st.datetimes().map(lambda at: at.isoformat() + "Z"),
        "maybe": st.integers(-3, 3),
        "wrappedText": _TEXT,
        "value": st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | _TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
            max_leaves=5,
        ),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=_VALUES)
def test_any_json_means_the_same_to_google(
    kinds: ModuleType, names: Names, google: Any, value: dict[str, Any]
) -> None:
    theirs = json_format.Parse(json.dumps(value), google())
    ours = read_message(kinds.Everything, loads(json.dumps(value)), names)

    assert google.FromString(encode(ours)) == theirs
    assert write_message(ours, names) == json_format.MessageToDict(theirs)
