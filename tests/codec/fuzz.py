"""Random and damaged bytes to google.protobuf and to the codec: both must take them or both refuse them.

``python -m tests.codec.fuzz --seconds 600`` or ``--inputs 10000000`` runs it for long, from a random seed that
it prints; a difference is printed with the bytes that show it, and the exit code is 1. ``--jobs 4`` divides it among
processes, each with a seed of its own.
"""

import argparse
import dataclasses
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.message import DecodeError as GoogleDecodeError

from angzarr import codec
from tests.codec.oracle import (
    Pair,
    contract_pairs,
    differences,
    generate,
    kitchen_pairs,
    load_kitchen,
    same_encoding,
)


@dataclasses.dataclass(frozen=True)
class Difference:
    """An input on which the two disagree."""

    message: str
    data: bytes
    what: str


def all_pairs() -> dict[str, Pair]:
    """Every message: the kitchen sink plain and prepared, the contract prepared."""
    prepared = kitchen_pairs(load_kitchen())
    contract = contract_pairs()
    for cls, _ in (*prepared.values(), *contract.values()):
        codec.prepare(cls)
    plain = {f"plain {name}": pair for name, pair in kitchen_pairs(load_kitchen()).items()}
    return plain | prepared | contract


def disagreement(pair: Pair, data: bytes) -> str:
    """How google and the codec disagree about ``data``; "" when they do not."""
    cls, google = pair
    try:
        theirs = google.FromString(data)
    except GoogleDecodeError:
        theirs = None
    try:
        ours = codec.decode(cls, data)
    except codec.DecodeError as error:
        return f"only we refuse it: {error}" if theirs is not None else ""
    if theirs is None:
        return "only google refuses it"
    encoded = codec.encode(ours)
    if not same_encoding(theirs, encoded):
        return f"encoded anew it means something else: {encoded.hex()}"
    return next(differences(theirs, ours), "")


def inputs(google: type[Any], rng: random.Random) -> Iterator[bytes]:
    """A few inputs for a message: valid, merged, damaged, random."""
    data: bytes = generate(google, rng, rng.choice((0, 1, 2))).SerializeToString()
    yield data
    yield data + generate(google, rng, 1).SerializeToString()
    yield damaged(data, rng)
    yield damaged(data, rng)
    yield rng.randbytes(rng.randrange(1, 12))


def damaged(data: bytes, rng: random.Random) -> bytes:
    """``data`` with bytes changed, cut, inserted, removed or repeated."""
    out = bytearray(data or b"\x00")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(out) + 1)
        damage = rng.randrange(6)
        if damage == 0:
            out[at : at + 1] = rng.randbytes(1)
        elif damage == 1:
            del out[at:]
        elif damage == 2:
            del out[at : at + rng.randrange(1, 4)]
        elif damage == 3:
            out[at:at] = rng.randbytes(rng.randrange(1, 5))
        elif damage == 4:
            out += out[rng.randrange(len(out) + 1) : at]
        elif at < len(out):
            out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def fuzz(
    pairs: Mapping[str, Pair], seed: int, *, count: int, seconds: float = float("inf")
) -> Iterator[Difference | int]:
    """Try ``count`` inputs, or as many as fit into ``seconds``.

    Yields:
        Each difference, and now and then the number of inputs tried so far.
    """
    rng, tried, end = random.Random(seed), 0, time.monotonic() + seconds
    while tried < count and time.monotonic() < end:
        for name, pair in pairs.items():
            for data in inputs(pair[1], rng):
                tried += 1
                what = disagreement(pair, data)
                if what:
                    yield Difference(name, data, what)
        yield tried


def divided(options: argparse.Namespace) -> int:
    """Run that many processes, each with its share of the inputs and the next seed; 1 if one found a difference."""
    share = [f"--inputs={-(-options.inputs // options.jobs)}", f"--seconds={options.seconds}"]
    command = [sys.executable, "-m", "tests.codec.fuzz", *share]
    running = [
        subprocess.Popen([*command, f"--seed={options.seed + number}"]) for number in range(options.jobs)
    ]
    return max(process.wait() for process in running)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    if options.jobs > 1:
        return divided(options)
    sys.stdout.write(f"seed {options.seed}\n")
    tried = found = 0
    for result in fuzz(all_pairs(), options.seed, count=options.inputs, seconds=options.seconds):
        if isinstance(result, int):
            tried = result
        else:
            found += 1
            sys.stdout.write(f"{result.message}: {result.what}\n  {result.data.hex()}\n")
    sys.stdout.write(f"{tried} inputs, {found} differences\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
