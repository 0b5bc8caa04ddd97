"""Reading a file of recorded hands: one JSON object a line, fields as in the PHH notation.

A line that cannot be read is the file's mistake and stops everything before the first command (`BadRecord`). An action
that breaks the rules of poker is for the domain to refuse, and one that is no notation stops its own hand only.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from examples.poker.rules.dealing import PLAYERS, Entry

LARGEST_AMOUNT = 10**12
FINEST_UNIT = 10_000
SMALLEST_EXPONENT = 50

_NUMBER = r"-?\d{1,13}(?:\.\d{1,6})?"
_ACTION = re.compile(
    rf"""
      d\ dh\ p(?P<hole_seat>\d{{1,4}})\ (?P<hole>\S+)
    | d\ db\ (?P<board>\S+)
    | p(?P<seat>\d{{1,4}})\ (?:
          (?P<fold>f) | (?P<call>cc) | cbr\ (?P<raise_to>{_NUMBER}) | (?P<show>sm)(?:\ (?P<shown>\S+))?
      )
    """,
    re.VERBOSE,
)


class BadRecord(Exception):
    """A file of hands, or one line of it, cannot be read."""


@dataclass(frozen=True)
class Action:
    """One recorded action.

    Attributes:
        number: which action of the hand it is, from 1.
        text: as the file has it, without comment.
        verb: ``deal_hole``, ``deal_board``, ``fold``, ``call``, ``raise_to``, ``show`` or ``muck``; ``unknown``
            for what is no PHH notation.
        seat: the seat, or 0 for the board.
        cards: run of two-letter cards; ``""`` for a show of whatever was dealt.
        amount: what the bet comes to, in units of the record.
    """

    number: int
    text: str
    verb: str
    seat: int = 0
    cards: str = ""
    amount: int = 0


@dataclass(frozen=True)
class HandRecord:
    """One recorded hand. Amounts are in units; a chip is ``unit`` of them, 1 wherever the record has whole chips.

    Attributes:
        line: where the hand stands in the file.
        finishing_stacks: the recorded result, in units, exactly as recorded.
    """

    line: int
    session: str
    hand: str
    unit: int
    entries: tuple[Entry, ...]
    min_bet: int
    actions: tuple[Action, ...]
    finishing_stacks: tuple[Fraction, ...]

    @property
    def key(self) -> str:
        """The business key of the hand's aggregate."""
        return f"{self.session}-{self.hand}"


def read_records(path: Path, limit: int | None = None) -> list[HandRecord]:
    """The hands of a file, in its order.

    Args:
        limit: read that many hands and no further; None for all.

    Raises:
        BadRecord: the file is missing, unreadable, not UTF-8 or has no hands; a line is malformed (named by number);
            two lines are the same hand.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            records = list(islice(_records(path, lines), limit))
    except OSError as error:
        raise BadRecord(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadRecord(
            f"cannot read {path}: not UTF-8 text ({error.reason} at byte {error.start})"
        ) from error
    if not records and limit != 0:
        raise BadRecord(f"{path} has no hands")
    return records


def _records(path: Path, lines: Iterable[str]) -> Iterator[HandRecord]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = parse_record(line, number)
        except BadRecord as error:
            raise BadRecord(f"{path}, line {number}: {error}") from error
        if record.key in seen:
            raise BadRecord(
                f"{path}, line {number}: session {record.session} hand {record.hand} "
                f"is on line {seen[record.key]} already"
            )
        seen[record.key] = number
        yield record


def parse_record(line: str, number: int = 1) -> HandRecord:
    """One hand from one line of JSON.

    Raises:
        BadRecord: not JSON, not an object, a key missing or of the wrong form.
    """
    fields = _json_object(line)
    players = _list(fields, "players")
    if len(players) not in PLAYERS:
        raise BadRecord(f"players: {len(players)} of them, and a hand has 2 to 10")
    stacks, antes, blinds, finishing = (
        _amounts(fields, key, len(players))
        for key in ("starting_stacks", "antes", "blinds_or_straddles", "finishing_stacks")
    )
    min_bet = _amount(_need(fields, "min_bet"), "min_bet")
    texts = _action_texts(_list(fields, "actions"))
    matches = {at: _ACTION.fullmatch(text) for at, text in texts.items()}
    bets = [Fraction(match["raise_to"]) for match in matches.values() if match and match["raise_to"]]
    unit = _unit([*stacks, *antes, *blinds, min_bet, *bets])
    if len(players) == 2:  # heads up the button, seat 2, has the small blind, and the notation lists it first
        antes, blinds = antes[::-1], blinds[::-1]
    return HandRecord(
        line=number,
        session=_identifier(fields, "session"),
        hand=_identifier(fields, "hand"),
        unit=unit,
        entries=tuple(
            Entry(_text(player, "players"), int(stack * unit), int(ante * unit), int(blind * unit))
            for player, stack, ante, blind in zip(players, stacks, antes, blinds, strict=True)
        ),
        min_bet=int(min_bet * unit),
        actions=tuple(_action(at, texts[at], match, unit) for at, match in matches.items()),
        finishing_stacks=tuple(stack * unit for stack in finishing),
    )


def _json_object(line: str) -> Mapping[str, Any]:
    def no_number(text: str) -> NoReturn:
        raise BadRecord(f"{text} is not an amount")

    try:
        value = json.loads(line, parse_float=Decimal, parse_constant=no_number)
    except (json.JSONDecodeError, RecursionError) as error:
        where = (
            f"{error.msg} at column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else "nested too deep"
        )
        raise BadRecord(f"not JSON: {where}") from error
    except ValueError as error:
        raise BadRecord(f"not a number that JSON can mean: {error}") from error
    if not isinstance(value, dict):
        raise BadRecord("not a JSON object")
    return value


def _need(fields: Mapping[str, Any], key: str) -> Any:
    try:
        return fields[key]
    except KeyError:
        raise BadRecord(f"key {key!r} is missing") from None


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    value = _need(fields, key)
    if not isinstance(value, list):
        raise BadRecord(f"{key}: not a list")
    return value


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not _is_text(value):
        raise BadRecord(f"{key}: {value!r} is not a text")
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
        return False
    return True


def _identifier(fields: Mapping[str, Any], key: str) -> str:
    value = _need(fields, key)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise BadRecord(f"{key}: {value!r} is neither a text nor a whole number")
    return _text(str(value), key)


def _amounts(fields: Mapping[str, Any], key: str, count: int) -> list[Fraction]:
    values = [_amount(value, key) for value in _list(fields, key)]
    if len(values) != count:
        raise BadRecord(f"{key}: {len(values)} of them for {count} players")
    return values


def _amount(value: object, key: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRecord(f"{key}: {value!r} is not an amount of chips")
    if not -LARGEST_AMOUNT <= value <= LARGEST_AMOUNT:
        raise BadRecord(f"{key}: {value:.3e} is out of range")
    if isinstance(value, Decimal) and value.adjusted() < -SMALLEST_EXPONENT:
        return Fraction(0)
    return Fraction(value)


def _unit(amounts: Iterable[Fraction]) -> int:
    unit = math.lcm(*(amount.denominator for amount in amounts))
    if unit > FINEST_UNIT:
        raise BadRecord(f"amounts are finer than 1/{FINEST_UNIT} of a chip")
    return unit


def _action_texts(actions: Iterable[object]) -> dict[int, str]:
    """The actions by number, without their comments and those that are comments only."""
    texts = {
        at: " ".join(_text(text, f"action {at}").partition("#")[0].split())
        for at, text in enumerate(actions, 1)
    }
    return {at: text for at, text in texts.items() if text}


def _action(at: int, text: str, match: re.Match[str] | None, unit: int) -> Action:
    if match is None:
        return Action(at, text, "unknown")
    if match["hole"]:
        return Action(at, text, "deal_hole", int(match["hole_seat"]), match["hole"])
    if match["board"]:
        return Action(at, text, "deal_board", cards=match["board"])
    seat = int(match["seat"])
    if match["raise_to"]:
        return Action(at, text, "raise_to", seat, amount=int(Fraction(match["raise_to"]) * unit))
    if match["show"] and match["shown"]:
        return Action(at, text, "show", seat, "" if match["shown"] == "-" else match["shown"])
    verb = "fold" if match["fold"] else "call" if match["call"] else "muck"
    return Action(at, text, verb, seat)
