"""Dispatch of a command, bytes in to bytes out, beside angzarr-client 0.3.1.

Run as ``python -m benchmarks.dispatch``; ``run()`` gives the same figures as data. The other client runs in an
environment of its own, made on first use (or given as ``--python``). Processor time is
measured, rounds are interleaved and medians are reported, because single timings on a shared machine jump; ratios
within one run are what counts.
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
ROUNDS = 15
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
JOBS = {  # name: (their router, events, types, calls a round, cached)
    "no history": ("fluent", 0, 2, 300, False),
    "10 events": ("fluent", 10, 2, 200, False),
    "100 events": ("fluent", 100, 2, 40, False),
    "1,000 events": ("fluent", 1_000, 2, 6, False),
    "10,000 events": ("fluent", 10_000, 2, 1, False),
    "1,000 events of 12 types, fluent": ("fluent", 1_000, 12, 6, False),
    "1,000 events of 12 types, class": ("class", 1_000, 12, 6, False),
    "cache, 100 events and one": ("fluent", 100, 2, 40, True),
    "cache, 1,000 events and one": ("fluent", 1_000, 2, 6, True),
    "cache, 10,000 events and one": ("fluent", 10_000, 2, 2, True),
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
        For each job: ``ours`` and ``theirs`` (median microseconds a call), ``ratio`` of the medians, ``spread`` (the
        relative distance of our quartiles) and the ``target`` for the ratio.
    """
    samples: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in JOBS}
    with theirs(python or alternative_python()) as alternative:
        for name in JOBS:
            _, events, types, _, _ = JOBS[name]
            dispatch_ours.check(events, types)
        for number in range(rounds + 1):
            for name, (router, events, types, calls, cached) in JOBS.items():
                timed = dispatch_ours.seconds_growing if cached else dispatch_ours.seconds
                mine, other = timed(events, types, calls), alternative(router, events, types, calls)
                if number:  # the first round warms both up
                    samples[name][0].append(mine / calls * 1e6)
                    samples[name][1].append(other / calls * 1e6)
    return {name: _summary(name, *times) for name, times in samples.items()}


def _summary(name: str, ours: list[float], other: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(ours, n=4)
    against = statistics.median(other)
    return {
        "ours": round(middle, 2),
        "theirs": round(against, 2),
        "ratio": round(middle / against, 3),
        "spread": round((high - low) / middle, 3),
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
