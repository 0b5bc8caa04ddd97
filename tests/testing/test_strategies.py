import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import betterproto
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from angzarr.codec import decode, encode, has_field
from angzarr.errors import InvalidArgumentError
from angzarr.messages import Cover, PageHeader, message_class, registered_names, unpack_any
from angzarr.testing import messages
from angzarr.testing.strategies import MAX_DEPTH, plausible_messages, unhurried
from tests.testing.kinds import Colour, Kinds, Leaf, Tree

OURS = [name for name in registered_names() if name.startswith("angzarr_client.")]
GENERATE_ONLY = settings(
    max_examples=5000, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
PROJECT = Path(__file__).parents[2]
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(messages(Kinds))
def test_a_message_with_every_kind_of_field_survives_the_codec(message: Kinds) -> None:
    assert decode(Kinds, encode(message)) == message


@QUICK
@given(plausible_messages(Kinds))
def test_a_plausible_message_survives_the_codec(message: Kinds) -> None:
    assert decode(Kinds, encode(message)) == message


@pytest.mark.parametrize("name", OURS)
def test_every_message_of_the_contract_survives_the_codec(name: str) -> None:
    cls = message_class(name)

    @settings(QUICK, max_examples=10)
    @given(messages(cls))
    def survives(message: betterproto.Message) -> None:
        assert decode(cls, encode(message)) == message

    survives()


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("a great int32", lambda m: m.an_int32 > 2**30),
        ("a negative sint64", lambda m: m.a_sint64 < -(2**40)),
        ("a great uint64", lambda m: m.a_uint64 > 2**62),
        ("a fraction", lambda m: m.a_double != int(m.a_double) if abs(m.a_double) < 1e9 else False),
        ("text beyond ASCII", lambda m: not m.a_string.isascii()),
        ("an enum number nobody named", lambda m: m.colour.name is None),
        ("a negative enum member", lambda m: m.colour == Colour.BLUE),
        ("several leaves", lambda m: len(m.leaves) > 1),
        ("a map of messages", lambda m: any(leaf.text for leaf in m.by_number.values())),
        ("a map of enums", lambda m: len(m.palette) == 2),
        ("no leaf", lambda m: not has_field(m, "leaf")),
        ("an empty leaf that is present", lambda m: has_field(m, "leaf") and not m.leaf.text),
        ("a time before 1970", lambda m: m.at < datetime(1900, 1, 1, tzinfo=UTC)),
        ("a negative duration", lambda m: m.took < timedelta(0)),
        ("a wrapped zero", lambda m: m.maybe == 0),
        ("an absent wrapper", lambda m: m.perhaps is None),
        ("an optional empty text", lambda m: m.note == ""),
        ("an absent optional", lambda m: m.hue is None),
        ("each oneof member", lambda m: betterproto.which_one_of(m, "choice")[0] == "choice_leaf"),
        ("an empty oneof", lambda m: betterproto.which_one_of(m, "choice")[0] == ""),
        ("a packed message", lambda m: bool(m.extra.type_url) and bool(m.extra.value)),
    ],
)
def test_it_finds(what: str, holds: Callable[[Kinds], bool]) -> None:
    find(messages(Kinds), holds, settings=GENERATE_ONLY)


@QUICK
@given(messages(Kinds, extra=st.just(None) | messages(Kinds).map(lambda message: message.extra)))
def test_a_packed_message_is_of_a_registered_class_and_whole(message: Kinds) -> None:
    if message.extra.type_url:
        unpack_any(message.extra)


@QUICK
@given(messages(Tree))
def test_recursive_messages_end(tree: Tree) -> None:
    def height(node: Tree) -> int:
        below = [*node.children, *([node.next] if has_field(node, "next") else [])]
        return 1 + max(map(height, below), default=0)

    assert height(tree) <= MAX_DEPTH + 1


@given(messages(Leaf, text="fixed"))
def test_a_fixed_value_is_kept(leaf: Leaf) -> None:
    assert leaf.text == "fixed"


@given(messages(Cover, domain=st.sampled_from(["player", "table"])))
def test_a_fixed_field_may_be_a_strategy(cover: Cover) -> None:
    assert cover.domain in {"player", "table"}


@given(messages(PageHeader, sequence=3))
def test_fixing_a_oneof_member_leaves_out_the_others(header: PageHeader) -> None:
    assert betterproto.which_one_of(header, "sequence_type") == ("sequence", 3)


@given(messages(Cover, edition=None))
def test_fixing_a_field_to_none_leaves_it_unset(cover: Cover) -> None:
    assert not has_field(cover, "edition")


def test_fixing_a_field_that_does_not_exist_is_refused_with_the_fields_there_are() -> None:
    with pytest.raises(InvalidArgumentError, match="Leaf has no field 'txt'; it has text"):
        messages(Leaf, txt="x")


def test_the_simplest_message_is_the_empty_one() -> None:
    assert find(messages(Cover), lambda _: True, settings=settings(database=None)) == Cover()


FIRST_RUN = """
import time
from datetime import timedelta
time.perf_counter = time.process_time  # a busy machine makes little slower by this clock
from hypothesis import given, settings
from angzarr.testing import commands_for, event_books, messages
from tests.bank.domain import Accounts
from tests.bank.messages import OpenAccount

for strategy in (messages(OpenAccount), commands_for(Accounts), event_books(Accounts)):
    settings(max_examples=10, deadline=timedelta(seconds=1))(given(strategy)(lambda _: None))()
"""


def test_what_takes_time_only_once_is_done_before_the_first_example() -> None:
    order: list[str] = []
    example = st.builds(lambda: order.append("drawn"))
    strategy = unhurried(example, lambda: order.append("prepared"))
    assert order == []
    strategy.validate()
    assert order == ["prepared"]


@pytest.mark.once
def test_the_first_run_in_a_new_project_is_not_called_slow(tmp_path: Path) -> None:
    """Hypothesis makes tables of all characters then, which takes seconds, and counts them as ours if we let it."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", FIRST_RUN], cwd=tmp_path, env=environment, check=True)
