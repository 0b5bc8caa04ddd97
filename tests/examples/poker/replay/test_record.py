import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from examples.poker.replay.record import Action, BadRecord, HandRecord, parse_record, read_records
from examples.poker.rules.dealing import Entry


def hand(**changes: Any) -> str:
    """A line of the file; a change to None takes the key away."""
    fields = {
        "session": "30",
        "hand": 0,
        "players": ["Ann", "Bob", "Cem"],
        "antes": [0, 0, 0],
        "blinds_or_straddles": [50, 100, 0],
        "min_bet": 100,
        "starting_stacks": [1000, 1000, 1000],
        "finishing_stacks": [950, 1050, 1000],
        "actions": ["d dh p1 AsAh", "d dh p2 ????", "d dh p3 QsQh", "p3 f", "p1 f"],
    } | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None})


def actions(*texts: str) -> tuple[Action, ...]:
    return parse_record(hand(actions=list(texts))).actions


def complaint(line: str) -> str:
    with pytest.raises(BadRecord) as caught:
        parse_record(line)
    return str(caught.value)


def test_a_line_becomes_a_hand() -> None:
    assert parse_record(hand(actions=["p3 f"]), 7) == HandRecord(
        line=7,
        session="30",
        hand="0",
        unit=1,
        entries=(Entry("Ann", 1000, 0, 50), Entry("Bob", 1000, 0, 100), Entry("Cem", 1000, 0, 0)),
        min_bet=100,
        actions=(Action(1, "p3 f", "fold", 3),),
        finishing_stacks=(Fraction(950), Fraction(1050), Fraction(1000)),
    )


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("d dh p1 TcQc", Action(1, "d dh p1 TcQc", "deal_hole", 1, "TcQc")),
        ("d db 7d5h9d", Action(1, "d db 7d5h9d", "deal_board", 0, "7d5h9d")),
        ("p4 cbr 210", Action(1, "p4 cbr 210", "raise_to", 4, amount=210)),
        ("p1 cc", Action(1, "p1 cc", "call", 1)),
        ("p3 f", Action(1, "p3 f", "fold", 3)),
        ("p1 sm TcQc", Action(1, "p1 sm TcQc", "show", 1, "TcQc")),
        ("p1 sm -", Action(1, "p1 sm -", "show", 1)),
        ("p2 sm", Action(1, "p2 sm", "muck", 2)),
        ("p3  f # a long think", Action(1, "p3 f", "fold", 3)),
        ("p2 cbr -5", Action(1, "p2 cbr -5", "raise_to", 2, amount=-5)),
    ],
)
def test_an_action_is_read(text: str, action: Action) -> None:
    assert actions(text) == (action,)


def test_a_comment_is_no_action_but_keeps_its_number() -> None:
    assert actions("# nobody moves", "p3 f") == (Action(2, "p3 f", "fold", 3),)


def test_two_players_post_as_the_notation_has_it_the_button_the_small_blind() -> None:
    record = parse_record(
        hand(
            players=["Ann", "Bob"],
            antes=[0, 0],
            blinds_or_straddles=[50, 100],
            starting_stacks=[1000, 1000],
            finishing_stacks=[1000, 1000],
            actions=[],
        )
    )
    assert [entry.blind for entry in record.entries] == [100, 50]


def test_amounts_with_cents_are_counted_in_cents() -> None:
    record = parse_record(hand(min_bet=0.25, actions=["p3 cbr 1.5"]))
    assert (record.unit, record.min_bet, record.entries[0].stack) == (4, 1, 4000)
    assert record.actions[0].amount == 6
    assert list(map(int, record.finishing_stacks)) == [3800, 4200, 4000]


def test_half_a_chip_at_the_end_needs_no_finer_unit() -> None:
    record = parse_record(hand(finishing_stacks=[950.0, 1162.5, 887.5]))
    assert record.unit == 1
    assert record.finishing_stacks == (Fraction(950), Fraction(2325, 2), Fraction(1775, 2))


@pytest.mark.parametrize("text", ["p1 jumps", "p3 cbr", "p3 cbr many", "d db", "p3 sd AsAh", "fold"])
def test_what_is_no_notation_is_an_unknown_action(text: str) -> None:
    record = parse_record(hand(actions=["p3 f", text, "p1 f"]))
    assert [(action.number, action.verb) for action in record.actions] == [
        (1, "fold"),
        (2, "unknown"),
        (3, "fold"),
    ]
    assert record.actions[1].text == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"session": NaN}', "NaN is not an amount"),
        ("[" * 100_000, "not JSON: nested too deep"),
        (hand(session=None), "key 'session' is missing"),
        (hand(session=""), "session: '' is neither a text nor a whole number"),
        (hand(hand=True), "hand: True is neither"),
        (hand(actions=None), "key 'actions' is missing"),
        (hand(actions="p3 f"), "actions: not a list"),
        (hand(actions=["p3 f", 7]), "action 2: 7 is not a text"),
        (hand(players=["Ann"]), "players: 1 of them, and a hand has 2 to 10"),
        (hand(players=["Ann", "Bob", 3]), "players: 3 is not a text"),
        (hand(players=["Ann", "Bob", "\ud800"]), "is not a text"),
        (hand(antes=[0, 0]), "antes: 2 of them for 3 players"),
        (hand(starting_stacks=[1000, 1000, "many"]), "starting_stacks: 'many' is not an amount of chips"),
        (hand(starting_stacks=[1000, 1000, 1e99]), "starting_stacks: 1.000e+99 is out of range"),
        (hand(starting_stacks=[1000, 1000, True]), "starting_stacks: True is not an amount"),
        (hand(min_bet=0.00001), "amounts are finer than 1/10000 of a chip"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_line_that_makes_no_sense_says_why(line: str, words: str) -> None:
    assert words in complaint(line)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hands.jsonl"
    file.write_text(f"{hand()}\n\n{hand(hand=1, min_bet=None)}\n")
    with pytest.raises(BadRecord) as caught:
        read_records(file)
    assert str(caught.value) == f"{file}, line 3: key 'min_bet' is missing"


def test_the_same_hand_twice_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hands.jsonl"
    file.write_text(f"{hand()}\n{hand()}\n")
    with pytest.raises(BadRecord) as caught:
        read_records(file)
    assert str(caught.value) == f"{file}, line 2: session 30 hand 0 is on line 1 already"


def test_reading_stops_after_the_hands_wanted(tmp_path: Path) -> None:
    file = tmp_path / "hands.jsonl"
    file.write_text(f"{hand()}\nnonsense\n")
    assert len(read_records(file, limit=1)) == 1


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "has no hands"), (b"\n \n", "has no hands"), (b"\xff\xfe", "not UTF-8 text")]
)
def test_a_file_without_hands_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "hands.jsonl"
    file.write_bytes(content)
    with pytest.raises(BadRecord) as caught:
        read_records(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecord) as caught:
        read_records(tmp_path / "nowhere.jsonl")
    assert str(caught.value) == f"cannot read {tmp_path / 'nowhere.jsonl'}: No such file or directory"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadRecord) as caught:
        read_records(tmp_path)
    assert "Is a directory" in str(caught.value)
