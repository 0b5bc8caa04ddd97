"""Run every benchmark beside what a user would pick instead; write benchmarks/results.md and results.json.

``python -m benchmarks [NAME...]`` runs those named, or all but ``growth``, which takes a quarter of an hour; earlier
results of the others are kept. Each runs in an interpreter of its own, so that none warms another up. Timings jump on
shared machines: the ratios of medians inside one run are what counts.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.environments import python_with

HERE = Path(__file__).parent
Figures = dict[str, Any]

TITLES = {
    "codec": "Codec, beside google.protobuf's C decoder",
    "dispatch": "Dispatch of a command, beside angzarr-client 0.3.1 (µs a command)",
    "coordinator": "Embedded coordinator, beside eventsourcing 9.5",
    "growth": "Embedded coordinator, 10 million stored events beside 10,000",
    "rpc_client": "Client calls, beside grpc.aio's client",
    "rpc_server": "Server, beside the reference client's production server",
}
ARGUMENTS: dict[str, Callable[[], list[str]]] = {
    "coordinator": lambda: ["--theirs", python_with("eventsourcing==9.5.*")],
    "growth": lambda: ["--directory", kept] if (kept := os.environ.get("ANGZARR_GROWTH_STORES")) else [],
}


LONG = {"growth"}


def available() -> list[str]:
    return [name for name in TITLES if (HERE / f"{name}.py").exists()]


def measure(name: str) -> Figures:
    """The figures of one benchmark, from its own process."""
    arguments = ARGUMENTS.get(name, list)()
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def machine() -> Figures:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def table(figures: Figures) -> list[str]:
    """A Markdown table: a row a case, a column a figure; cases that are plain numbers get one column."""
    rows = {name: row if isinstance(row, dict) else {"value": row} for name, row in figures.items()}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(cell(row.get(column, "")) for column in columns) + " |")
    return lines


def cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and value < 100
        else f"{value:,}"
        if isinstance(value, int | float)
        else str(value)
    )


def report(results: dict[str, Figures], where: Figures) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `nox -s bench`. " + ", ".join(f"{k}: {v}" for k, v in where.items()) + ".",
    ]
    for name, figures in results.items():
        lines += ["", f"## {TITLES[name]}", "", *table(figures)]
    return "\n".join(lines) + "\n"


def earlier() -> dict[str, Figures]:
    """What results.json has of earlier runs."""
    try:
        found: dict[str, Figures] = json.loads((HERE / "results.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def main(names: Sequence[str]) -> None:
    unknown = set(names) - set(available())
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(available())}")
    results: dict[str, Figures] = {}
    for name in names or [name for name in available() if name not in LONG]:
        print(f"{name} …", file=sys.stderr)
        results[name] = measure(name)
    where = machine()
    results = earlier() | results
    results = {name: results[name] for name in available() if name in results}
    text = report(results, where)
    (HERE / "results.json").write_text(
        json.dumps({"machine": where, **results}, indent=2, ensure_ascii=False) + "\n"
    )
    (HERE / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
