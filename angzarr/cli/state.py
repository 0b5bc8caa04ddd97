"""``angzarr state``: an aggregate's state, folded from its events."""

import base64
import dataclasses
import enum
import inspect
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import anyio
import betterproto
import typer

from angzarr.app import App
from angzarr.cli import options
from angzarr.cli.errors import wrong_input
from angzarr.cli.loading import load_app
from angzarr.cli.output import write_json, write_line
from angzarr.cli.reaching import connected, root_of
from angzarr.cli.vocabulary import Vocabulary, of_loaded
from angzarr.messages import EventBook, UpcastRequest
from angzarr.router import HandlerInfo, UpcasterRouter, rebuild

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="state", no_args_is_help=True)
def state(
    spec: options.AppSpec,
    domain: options.Domain,
    root: options.Root,
    at: Annotated[
        str, typer.Option("--at", help="After this sequence, or at this RFC 3339 time.", show_default=False)
    ] = "",
    edition: options.Edition = "",
    to: options.To = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Show the state of an aggregate: its events, folded by the application's own appliers.

    The coordinator is asked for the events only; the application is imported here and not run.

    Examples:

        angzarr state players:app player --root alice
        angzarr state players:app player --root alice --at 3
    """
    loaded = load_app(spec)
    handlers = _handlers_with_state(loaded, domain)
    words = of_loaded(loaded, spec)

    async def run() -> None:
        async with connected(domain, to) as client:
            builder = client.query.query(domain, root_of(domain, root)).edition(edition)
            if at.isdigit():
                builder.as_of_sequence(int(at))
            elif at:
                builder.as_of_time(at)
            stored = await client.get_event_book(builder.build(), timeout)
        book = await _upcast(loaded, domain, stored)
        for info, factory in handlers:
            _show(info, await _rebuilt(info, factory, book), book, words, as_json=as_json)

    anyio.run(run)


async def _rebuilt(info: HandlerInfo, factory: Any, book: EventBook) -> Any:
    """The state after a book of events, from a factory that may be async."""
    made = factory()
    instance = await made if inspect.isawaitable(made) else made
    return rebuild(info.cls, book, factory=lambda: instance)


def _handlers_with_state(app: App, domain: str) -> list[tuple[HandlerInfo, Any]]:
    found = [
        (info, dict(router.factories)[info.cls])
        for router in app.routers
        for info in router.handlers
        if info.state_type is not None and domain in (info.domain, info.pm_domain)
    ]
    if not found:
        known = sorted(
            {info.pm_domain or info.domain for router in app.routers for info in router.handlers} - {""}
        )
        raise wrong_input(
            f"no handler of {app.name} keeps state of the domain {domain!r}",
            f"its domains are {', '.join(known)}",
        )
    return found


async def _upcast(app: App, domain: str, book: EventBook) -> EventBook:
    for router in app.of_kind(UpcasterRouter):
        if any(info.domain == domain for info in router.handlers):
            book.pages = (await router.dispatch(UpcastRequest(domain=domain, events=book.pages))).events
    return book


def _show(info: HandlerInfo, value: Any, book: EventBook, words: Vocabulary, *, as_json: bool) -> None:
    shown = plain(value, words)
    after = book.pages[-1].header.sequence if book.pages else None
    if as_json:
        write_json({"handler": info.cls.__name__, "sequence": after, "state": shown})
        return
    events = "no events" if after is None else f"after event {after}"
    write_line((type(value).__name__, "bold"), (f"  of {info.cls.__name__}, {events}", "dim"))
    write_line((json.dumps(shown, indent=2, ensure_ascii=False), ""))


def plain(value: Any, words: Vocabulary) -> Any:
    """Any state as JSON: messages by their mapping, dataclasses and other objects by their attributes."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, enum.Enum | betterproto.Enum):
        return value.name
    if isinstance(value, int | float):
        return value
    if isinstance(value, betterproto.Message):
        return words.to_json(value, original_names=True)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {_key(key): plain(item, words) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, words) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item, words) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return _attributes(value, words)


def _key(key: Any) -> str:
    return str(key.name) if isinstance(key, enum.Enum) else str(key)


def _attributes(value: Any, words: Vocabulary) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name), words) for field in dataclasses.fields(value)}
    attributes = getattr(value, "__dict__", None)
    if attributes is None or isinstance(value, uuid.UUID):
        return str(value)
    return {name: plain(item, words) for name, item in attributes.items() if not name.startswith("__")}
