"""The codec beside google.protobuf's C decoder and encoder, on what a command handler does all day.

Run as ``python -m benchmarks.codec``; ``run()`` gives the same figures as data. The rounds of all contestants
are interleaved and medians are reported, because single timings on a shared machine jump; ratios within one
run are what counts.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.codec_messages import Ours, Theirs

PAGES = 1000
ROUNDS = 15
TARGETS = {
    "decode, unpack, apply (µs/page)": "≤ 6.5 µs",
    "build and encode a one-event response (µs)": "≤ 1.05 × google",
    "read one scalar attribute (ns)": "≤ 60 ns",
    "construct a two-field message (ns)": "500–750 ns",
}

Contestant = Callable[[], object]


def cases() -> dict[str, tuple[Contestant, Contestant, float, int]]:
    """Name → (ours, google's, unit in seconds, operations per call)."""
    ours, theirs = Ours(PAGES), Theirs(PAGES)
    assert ours.data == theirs.data
    assert len(ours.response()) == len(theirs.response())
    assert ours.rebuild() == theirs.rebuild()
    micro, nano = 1e-6, 1e-9
    return {
        "decode (µs/page)": (ours.decode, theirs.decode, micro, PAGES),
        "encode (µs/page)": (ours.encode, theirs.encode, micro, PAGES),
        "decode, unpack, apply (µs/page)": (ours.rebuild, theirs.rebuild, micro, PAGES),
        "build and encode a one-event response (µs)": (ours.responses, theirs.responses, micro, 1000),
        "read one scalar attribute (ns)": (ours.reads, theirs.reads, nano, 100_000),
        "construct a two-field message (ns)": (ours.constructs, theirs.constructs, nano, 10_000),
    }


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure everything.

    Returns:
        For each case: ``ours`` and ``google`` (median, in the unit that the name ends with), ``ratio`` of the
        medians, ``spread`` (the relative distance of ours' quartiles) and the ``target``, where there is one.
    """
    measured = cases()
    samples: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in measured}
    for _ in range(rounds):
        for name, (ours, theirs, unit, count) in measured.items():
            for contestant, into in zip((ours, theirs), samples[name], strict=True):
                into.append(_seconds(contestant) / count / unit)
    return {name: _summary(name, *times) for name, times in samples.items()}


def _seconds(contestant: Contestant) -> float:
    start = time.perf_counter()
    contestant()
    return time.perf_counter() - start


def _summary(name: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    middle, google = statistics.median(ours), statistics.median(theirs)
    low, _, high = statistics.quantiles(ours, n=4)
    return {
        "ours": round(middle, 3),
        "google": round(google, 3),
        "ratio": round(middle / google, 3),
        "spread": round((high - low) / middle, 3),
        "target": TARGETS.get(name, ""),
    }


def main() -> None:
    """Print the table, or the figures as JSON with ``--json``."""
    results = run()
    if "--json" in sys.argv:
        print(json.dumps(results, indent=2, ensure_ascii=False))
        return
    print(f"{'':44} {'angzarr':>9} {'google C':>9} {'ratio':>7}  target")
    for name, row in results.items():
        print(f"{name:44} {row['ours']:9.2f} {row['google']:9.2f} {row['ratio']:7.2f}  {row['target']}")


if __name__ == "__main__":
    main()
