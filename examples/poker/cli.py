"""The command line of the example."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio

from angzarr import ClientError, EventBook, GRPCError, root_hex_of
from examples.poker.replay.job import Acknowledged, Options, Progress, replay
from examples.poker.replay.record import BadRecord, HandRecord, read_records
from examples.poker.replay.report import Report
from examples.poker.replay.steps import steps_of

HANDS = Path(__file__).parent / "data" / "pluribus-hands.jsonl"
STORE = Path(".angzarr") / "poker.db"

GOOD, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
Replay recorded hands of no-limit hold'em: every action of the file is a command to an embedded coordinator on an SQLite
file; then each hand is rebuilt from its stored events and its stacks are compared with the recorded ones.

Run it again, and it finds the hands there. Stop it, even with kill -9, and the next run completes the rest."""

EXIT_CODES = """\
exit codes:
  0    every hand was played to its end and ended as recorded
  1    a command was rejected, or a hand ended otherwise than recorded
  2    nothing could be replayed: bad arguments, an unreadable file, a database that cannot be used
  130  interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the replay; see `--help`. Returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        records = read_records(given.file, given.hands)
        with _acknowledging(given.acknowledged) as acknowledged:
            report = _run(records, Options(given.store, given.in_process, given.concurrency), acknowledged)
    except BadRecord as error:
        return _fail(str(error))
    except ClientError as error:
        return _fail(_words(error))
    except OSError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name != "pokerkit":
            raise
        return _fail("pokerkit ranks the hands, and is not installed: pip install pokerkit")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: what was answered is stored, and the next run completes the rest\n")
        return INTERRUPTED
    _tell(report, as_json=given.json)
    return GOOD if report.good else FOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.poker",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--file",
        type=Path,
        default=HANDS,
        metavar="F",
        help="hands, one JSON object a line (default: the 943 beside it)",
    )
    parser.add_argument(
        "--store",
        type=_named,
        default=str(STORE),
        metavar="F",
        help=f"the database, or :memory: (default: ./{STORE})",
    )
    parser.add_argument("--hands", type=_positive, metavar="N", help="only the first N hands of the file")
    parser.add_argument(
        "--in-process", action="store_true", help="call the coordinator directly, not over a Unix socket"
    )
    parser.add_argument(
        "--concurrency",
        type=_positive,
        default=16,
        metavar="K",
        help="hands in flight (default: %(default)s)",
    )
    parser.add_argument(
        "--acknowledged",
        type=Path,
        metavar="F",
        help="append a line to F as soon as a command is answered: hand, and the sequences of its events",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object; findings go to stderr")
    return parser


def _named(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a database has a name")
    return text


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def _run(records: Sequence[HandRecord], options: Options, acknowledged: Acknowledged) -> Report:
    with _progress(records) as progress:
        try:
            return anyio.run(replay, records, options, progress, acknowledged)
        except BaseExceptionGroup as group:
            raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that the others followed from; the interesting one when there are several."""
    leaves = [
        leaf
        for error in group.exceptions
        for leaf in ([_first(error)] if isinstance(error, BaseExceptionGroup) else [error])
    ]
    return next((leaf for leaf in leaves if isinstance(leaf, GRPCError)), leaves[0])


@contextmanager
def _acknowledging(file: Path | None) -> Iterator[Acknowledged]:
    """What notes in a file which commands were answered, each before the next one of its hand is sent."""
    if file is None:
        yield lambda events: None
        return
    with file.open("a", buffering=1) as lines:

        def acknowledged(events: EventBook) -> None:
            sequences = ",".join(str(page.header.sequence) for page in events.pages)
            lines.write(f"{root_hex_of(events)} {sequences}\n")

        yield acknowledged


@contextmanager
def _progress(records: Sequence[HandRecord]) -> Iterator[Progress]:
    """A progress bar on a terminal, where rich is installed; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda steps: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        yield lambda steps: None
        return
    columns = (TextColumn("commands"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sum(len(steps_of(record)) for record in records))
        yield lambda steps: bar.advance(task, steps)


def _tell(report: Report, *, as_json: bool) -> None:
    findings = sys.stderr if as_json else sys.stdout
    for line in report.findings():
        findings.write(f"{line}\n")
    sys.stdout.write(
        f"{report.as_json()}\n" if as_json else "".join(f"{line}\n" for line in report.summary())
    )


def _words(error: ClientError) -> str:
    if isinstance(error, GRPCError):
        return f"{error.grpc_code.name}: {error.grpc_details or error.message}"
    return f"{error.message} ({error.code})" if error.code else error.message


def _fail(words: str) -> int:
    sys.stderr.write(f"error: {words}\n")
    return FAILED
