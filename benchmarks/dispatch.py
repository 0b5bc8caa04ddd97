"""Dispatch of a command, bytes in to bytes out, beside angzarr-client 0.3.1.

Run as ``python -m benchmarks.dispatch``; ``run()`` gives the same figures as data. The other client runs in an
environment of its own, made on first use (or given as ``--python``).

What makes the ratios hold on a shared machine: both sides are timed by the same clock, processor time; on the same
processor, in turns, each for the same time after an untimed start (a process that has just been woken finds cold
caches); the ratio of a round compares two timings made within a fraction of a second, and their median is reported.
"""

import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from benchmarks import dispatch_ours

HERE = Path(__file__).parent
ALTERNATIVE = "angzarr-client==0.3.1"
ROUNDS = 21
SECONDS = 0.03
"""What a job is timed for in one round, on either side."""
TARGETS = {
    "no history": 1.0,
    "10 events": 0.95,
    "100 events": 0.9,
    "1,000 events": 0.9,
    "10,000 events": 0.9,
    "1,000 events of 12 types, fluent": 0.7,
    "1,000 events of 12 types, class": 0.35,
    "cache, 100 events and one": 0.2,
    "cache, 1,000 events and one": 0.05,
    "cache, 10,000 events and one": 0.05,
}
GROWING = {100: 60, 1_000: 40, 10_000: 8}
"""Calls a round of a job with a cache, by the events of the first; each needs a history of its own."""
JOBS = {  # name: (their router, events, types, cached)
    "no history": ("fluent", 0, 2, False),
    "10 events": ("fluent", 10, 2, False),
    "100 events": ("fluent", 100, 2, False),
    "1,000 events": ("fluent", 1_000, 2, False),
    "10,000 events": ("fluent", 10_000, 2, False),
    "1,000 events of 12 types, fluent": ("fluent", 1_000, 12, False),
    "1,000 events of 12 types, class": ("class", 1_000, 12, False),
    "cache, 100 events and one": ("fluent", 100, 2, True),
    "cache, 1,000 events and one": ("fluent", 1_000, 2, True),
    "cache, 10,000 events and one": ("fluent", 10_000, 2, True),
}


def alternative_python() -> str:
    """An interpreter that has the other client, in an environment kept between runs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = Path(os.environ.get("XDG_CACHE_HOME", gettempdir())) / f"angzarr-benchmarks-{version}"
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    wanted = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", ALTERNATIVE]
    subprocess.run(wanted, check=True)
    return str(python)


@contextmanager
def theirs(python: str) -> Iterator[Callable[[str, int, int, int], float]]:
    """A function that times the other client: router, events, types, calls → seconds."""
    with TemporaryDirectory() as directory:
        descriptors = Path(directory) / "bank.binpb"
        _describe(descriptors)
        worker = subprocess.Popen(
            [python, str(HERE / "dispatch_theirs.py"), str(descriptors)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        stdin, stdout = worker.stdin, worker.stdout

        def seconds(router: str, events: int, types: int, calls: int) -> float:
            asked = {"router": router, "events": events, "types": types, "calls": calls}
            print(json.dumps(asked), file=stdin, flush=True)
            return float(json.loads(stdout.readline()))

        with worker:
            yield seconds
            stdin.close()


def _describe(target: Path) -> None:
    protos = HERE.parent / "tests" / "bank" / "protos"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(protos), "--include_imports"]
    subprocess.run(
        [*command, f"--descriptor_set_out={target}", str(protos / "bank" / "bank.proto")], check=True
    )


def run(rounds: int = ROUNDS, python: str | None = None) -> dict[str, Any]:
    """Measure everything.

    Args:
        rounds: how many times each job is timed on either side.
        python: an interpreter that has the other client; by default an environment is made.

    Returns:
        For each job: ``ours`` and ``theirs`` (median microseconds a call), the median ``ratio`` of a round, its
        ``spread`` (the distance of its quartiles) and the ``target`` for it.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in JOBS}
    _share_one_processor()
    with theirs(python or alternative_python()) as alternative:
        sides = {name: _sides(alternative, *job) for name, job in JOBS.items()}
        for number in range(rounds):
            for name, (mine, other) in sides.items():
                if number % 2:
                    second, first = other(), mine()
                else:
                    first, second = mine(), other()
                samples[name].append((first, second))
    return {name: _summary(name, pairs) for name, pairs in samples.items()}


def _share_one_processor() -> None:
    """Keep this process, and those it starts, on one processor: two of a machine may differ by half."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _sides(
    alternative: Callable[[str, int, int, int], float], router: str, events: int, types: int, cached: bool
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Functions that time each side, in microseconds a call. Both are warmed up here."""
    dispatch_ours.check(events, types)

    def ours(calls: int) -> float:
        timed = dispatch_ours.seconds_growing if cached else dispatch_ours.seconds
        return timed(events, types, calls) / calls * 1e6

    def other(calls: int) -> float:
        return alternative(router, events, types, calls) / calls * 1e6

    many = GROWING[events] if cached else _calls(ours)
    many_of_theirs = _calls(other)
    return lambda: ours(many), lambda: other(many_of_theirs)


def _calls(side: Callable[[int], float]) -> int:
    """How many calls take about as long as a round is."""
    side(1)
    few = max(1, int(SECONDS / 10 * 1e6 / side(1)))
    return max(1, int(SECONDS * 1e6 / side(few)))


def _summary(name: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles((mine / other for mine, other in pairs), n=4)
    return {
        "ours": round(statistics.median(mine for mine, _ in pairs), 2),
        "theirs": round(statistics.median(other for _, other in pairs), 2),
        "ratio": round(middle, 3),
        "spread": round(high - low, 3),
        "target": TARGETS[name],
    }


def main() -> None:
    """Print the table, or the figures as JSON with ``--json``; ``--python PATH`` has the other client."""
    python = sys.argv[sys.argv.index("--python") + 1] if "--python" in sys.argv else None
    results = run(python=python)
    if "--json" in sys.argv:
        print(json.dumps(results, indent=2, ensure_ascii=False))
        return
    print(f"{'µs a command':36} {'angzarr':>10} {ALTERNATIVE:>22} {'ratio':>7}  target")
    for name, row in results.items():
        print(f"{name:36} {row['ours']:10.1f} {row['theirs']:22.1f} {row['ratio']:7.3f}  ≤ {row['target']}")


if __name__ == "__main__":
    main()
