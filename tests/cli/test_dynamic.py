"""Classes made from descriptors at run time behave as the generated ones."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

HEAD = """
import sys
from pathlib import Path
from angzarr.cli.dynamic import register_described
from angzarr.cli.jsonform import Names, read_message, write_message
from angzarr.codec import decode, encode
from angzarr.messages import message_class
from angzarr.messages.descriptors import _files_of

files = _files_of(Path(sys.argv[1], "cli_messages", "descriptors.binpb").read_bytes())
register_described(files)
names = Names(files)
Everything = message_class("kinds.Everything")
"""


def _python(generated: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + dedent(code), str(generated)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "value",
    [
        '{"aDouble": 1.5, "anInt64": "5", "aBool": true, "aString": "x", "someBytes": "/w==", "aSint64": "-3"}',
        '{"colour": "COLOUR_RED", "colours": ["COLOUR_BLUE", 7], "inner": {"deep": {"text": "x"}}}',
        '{"byName": {"a": "1"}, "byNumber": {"3": {}}, "byTruth": {"true": "COLOUR_RED"}, "maybe": 0}',
        '{"chosenText": ""}',
        '{"chosenTime": "1970-01-01T00:00:00Z", "at": "2026-01-31T12:00:00Z", "lasts": "1.500s"}',
        '{"wrapped": "0", "wrappedText": "", "structure": {"a": [1, null]}, "value": true, "mask": "aB"}',
        '{"any": {"@type": "x/kinds.Everything.Inner", "deep": {}}, "empty": {}, "list": [1]}',
        '{"from": true, "@other": "y", "x2y": "z", "far": {"keyword": {"kind": "def"}}, "cover": {"domain": "d"}}',
        '{"lonely": {"withWhom": {"name": "n"}}, "times": ["2026-01-31T12:00:00Z"], "durations": {"a": "2s"}}',
    ],
)
def test_json_goes_in_and_out_by_way_of_bytes(generated: Path, value: str) -> None:
    out = _python(
        generated,
        f"""
        import json
        message = read_message(Everything, json.loads({value!r}), names)
        print(write_message(decode(Everything, encode(message)), names) == json.loads({value!r}))
        """,
    )

    assert out == "True\n"


def test_the_bytes_are_those_of_the_generated_class(generated: Path) -> None:
    out = _python(
        generated,
        """
        import importlib
        value = {"colour": "COLOUR_RED", "inner": {"deep": {"text": "x"}}, "byName": {"a": "1"}, "maybe": 0}
        dynamic = encode(read_message(Everything, value, names))
        sys.path.insert(0, sys.argv[1])
        generated = importlib.import_module("cli_messages.kinds").Everything
        print(generated is Everything, encode(read_message(generated, value, names)) == dynamic)
        """,
    )

    assert out == "False True\n"


def test_a_class_that_is_registered_already_is_kept(generated: Path) -> None:
    out = _python(
        generated,
        """
        from angzarr import Cover
        known = message_class("kinds.Everything")
        register_described(files)
        print(message_class("kinds.Everything") is known, type(known().cover) is Cover)
        """,
    )

    assert out == "True True\n"
