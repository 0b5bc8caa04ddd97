"""google.protobuf is the oracle: same bytes, same value; same value, same bytes; same refusals."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from angzarr import codec
from tests.codec.fuzz import all_pairs, disagreement, fuzz
from tests.codec.oracle import generate

PAIRS = all_pairs()


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_generated_messages_decode_to_the_same_value_and_encode_to_the_same_bytes(
    name: str, rng: random.Random
) -> None:
    data = generate(PAIRS[name][1], rng, 2).SerializeToString()
    assert disagreement(PAIRS[name], data) == ""


ONE_ENCODING = [name for name in PAIRS if not any(part in name for part in ("Maps", "Lists", "Everything"))]


@pytest.mark.parametrize("name", ONE_ENCODING)
def test_messages_without_maps_and_unpacked_lists_encode_to_the_very_same_bytes(name: str) -> None:
    cls, google = PAIRS[name]
    rng = random.Random(name)
    for _ in range(20):
        data = generate(google, rng, 1).SerializeToString(deterministic=True)
        assert len(codec.encode(codec.decode(cls, data))) == len(data)


def test_damaged_bytes_are_taken_or_refused_as_google_does() -> None:
    differences = [found for found in fuzz(PAIRS, 20261124, count=4000) if not isinstance(found, int)]
    assert differences == []


@pytest.mark.long
@pytest.mark.parametrize("name", PAIRS)
def test_ten_thousand_generated_messages_of_every_class(name: str) -> None:
    rng = random.Random(f"ten thousand {name}")
    for _ in range(10_000):
        data = generate(PAIRS[name][1], rng, rng.choice((0, 0, 1, 2))).SerializeToString()
        assert disagreement(PAIRS[name], data) == ""


@pytest.mark.long
def test_two_hundred_thousand_damaged_inputs() -> None:
    differences = [found for found in fuzz(PAIRS, 1, count=200_000) if not isinstance(found, int)]
    assert differences == []
