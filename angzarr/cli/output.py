"""What goes to stdout: lines for people, JSON for machines."""

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from betterproto.lib.google.protobuf import Any as PackedAny

from angzarr.cli.jsonform.times import exact_timestamp, write_timestamp
from angzarr.cli.vocabulary import Vocabulary
from angzarr.messages import EventPage, any_of, sequence_of, type_name_from_url

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console() -> "Console":
    """The terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def write_json(value: Any) -> None:
    """Write one line of JSON."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def write_line(*parts: tuple[str, str]) -> None:
    """Write one line of (text, style) parts; colours only show on terminals."""
    from rich.text import Text

    console().print(Text.assemble(*parts))


def event_json(page: EventPage, vocabulary: Vocabulary) -> dict[str, Any]:
    """An event for machines."""
    payload = any_of(page)
    shown: dict[str, Any] = {"sequence": sequence_of(page), "createdAt": created_at(page)}
    if payload is None:
        return {**shown, "type": "", "external": vocabulary.to_json(page.external)}
    return {**shown, "type": type_name_from_url(payload.type_url), "data": _data(payload, vocabulary)}


def write_events(pages: list[EventPage], vocabulary: Vocabulary) -> None:
    """Write a line for each event, for people."""
    for page in pages:
        write_line(*_event_parts(page, vocabulary))


def _event_parts(page: EventPage, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    payload = any_of(page)
    name = type_name_from_url(payload.type_url) if payload is not None else "(stored elsewhere)"
    yield f"{sequence_of(page):>6}  ", "bold"
    yield f"{created_at(page)}  ", "dim"
    yield name.rpartition(".")[2], "cyan"
    data = (
        _data(payload, vocabulary, original_names=True) if payload is not None else {"uri": page.external.uri}
    )
    yield f"  {json.dumps(data, ensure_ascii=False)}", ""
    if page.no_commit:
        yield "  (pending)", "yellow"


def _data(payload: PackedAny, vocabulary: Vocabulary, *, original_names: bool = False) -> Any:
    shown = vocabulary.to_json(payload, original_names=original_names)
    return {key: value for key, value in shown.items() if key != "@type"}


def created_at(page: EventPage) -> str:
    """When an event was created, as RFC 3339."""
    return write_timestamp(exact_timestamp(page.created_at))
