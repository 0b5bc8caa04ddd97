"""Events of several domains in, commands and the process's own events out: the router of process managers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import betterproto

from angzarr import codec
from angzarr.error_codes import codes, messages
from angzarr.errors import DecodeError
from angzarr.log import get_logger
from angzarr.messages import (
    CommandBook,
    Cover,
    EventBook,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    has_field,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import Method
from angzarr.router.context import bound
from angzarr.router.events import Events, events_of, reacted_to
from angzarr.router.faults import decode_payload, explain, malformed, wrong_request, wrong_return
from angzarr.router.raw.events import EventForms, read_first
from angzarr.router.raw.history import RawHistory
from angzarr.router.raw.pages import Unusual, within
from angzarr.router.reactions import Checks, Trigger, correlated, triggers_of
from angzarr.router.registry import Compiled, Factory
from angzarr.router.rejections import carrying, read_refusal, sort_answer
from angzarr.router.requests import BookHistory, History
from angzarr.router.responses import ProcessManagerResponse
from angzarr.router.state import Fold, inline_events

__all__ = ["ProcessManagerRouter"]

_CHECKS = Checks(
    empty=(codes.EMPTY_PM_TRIGGER, messages.EMPTY_PM_TRIGGER),
    no_payload=(codes.MISSING_PM_EVENT_PAYLOAD, messages.MISSING_PM_EVENT_PAYLOAD),
    bad_type_url=(codes.PM_INVALID_TYPE_URL, messages.PM_INVALID_TYPE_URL),
)
_log = get_logger(__name__)


class Process:
    """One process manager class during one request: its state, and what it has answered so far."""

    def __init__(self, compiled: Compiled, factory: Any, fold: Fold, history: History) -> None:
        self.compiled = compiled
        self.factory = factory
        self.emitted: list[EventBook] = []
        self._fold = fold
        self._history = history
        self._state: Any = None
        self._folded = False
        self._pending: list[EventBook] = []

    def state(self, instance: Any) -> Any:
        """The state after the history and the process events of the pages before this one."""
        if not self._folded:
            self._state, self._folded = self._history.fold(self._fold, instance), True
        for book in self._pending:
            for payload in inline_events(book.pages):
                self._state = self._fold.apply(instance, self._state, payload.type_url, payload.value)
        self._pending.clear()
        return self._state

    def turn_page(self, books: Iterable[EventBook]) -> None:
        """Let the process events of a page count for the pages after it."""
        self._pending.extend(books)


class ProcessManagerRouter(BuiltRouter):
    """Dispatches events to classes decorated with ``@process_manager``."""

    kind: ClassVar[str] = "process_manager"
    request_type: ClassVar[type[betterproto.Message]] = ProcessManagerHandleRequest

    def __init__(self, factories: Sequence[Factory], **options: Any) -> None:
        super().__init__(factories, **options)
        self._folds = tuple(Fold(compiled) for compiled, _ in self.entries)
        names = {name for compiled, _ in self.entries for name in compiled.handles}
        self._forms = EventForms(reacted_to(names))

    async def dispatch(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        """Hand every inline event of the trigger book, in order, to the process managers that list its domain.

        A rejection (an event that is a Notification) goes to the ``@rejected`` methods of every process manager.

        Args:
            request: the trigger book, the process's own events so far, and the destinations' sequences.

        Returns:
            Commands and facts, in the order of events, classes and methods; the process's own new events as one book.

        Raises:
            DispatchError: MISSING_PM_TRIGGER, EMPTY_PM_TRIGGER, MISSING_PM_EVENT_PAYLOAD, PM_INVALID_TYPE_URL: the
                trigger book is incomplete; ANY_DECODE_FAILED, ANY_TYPE_MISMATCH; PM_HANDLER_WRONG_RETURN_TYPE;
                HANDLER_WRONG_REQUEST_KIND.
        """
        if not isinstance(request, ProcessManagerHandleRequest):
            raise wrong_request(ProcessManagerHandleRequest, request)
        if not has_field(request, "trigger"):
            raise malformed(codes.MISSING_PM_TRIGGER, messages.MISSING_PM_TRIGGER)
        trigger = events_of(request.trigger, self._forms.wanted)
        own = request.process_state if has_field(request, "process_state") else None
        return await self._dispatch(trigger, BookHistory(own), request.destination_sequences)

    async def dispatch_bytes(self, data: bytes) -> bytes:
        """``dispatch`` from bytes to bytes: only what has a handler or an applier becomes objects.

        Args:
            data: an encoded ProcessManagerHandleRequest.

        Returns:
            The encoded ProcessManagerHandleResponse.

        Raises:
            DecodeError: ``data`` is malformed; else as ``dispatch``.
        """
        read = self._read(data)
        if read is None:
            return await super().dispatch_bytes(data)
        trigger, history, sequences = read
        try:
            answer = await self._dispatch(trigger, history, sequences)
            history.read_rest()
        except Exception as error:
            if isinstance(error, DecodeError) or not history.is_read:
                codec.decode(ProcessManagerHandleRequest, data)
            raise
        return codec.encode(answer)

    def _read(self, data: bytes) -> tuple[Events, RawHistory, Mapping[str, int]] | None:
        """The trigger, the process's own events and the destinations' sequences; None for what the codec is to read."""
        trigger = read_first(data, self._forms)
        if trigger is None:
            return None
        start = end = trigger[1]
        try:
            if data.startswith(b"\x12", end):
                start, end = within(data, end + 1, len(data))
            rest = codec.decode(ProcessManagerHandleRequest, data[end:])
        except (IndexError, Unusual, DecodeError):
            return None
        if has_field(rest, "trigger") or has_field(rest, "process_state"):
            return None
        return trigger[0], RawHistory(data, start, end), rest.destination_sequences

    async def _dispatch(
        self, trigger: Events, history: History, sequences: Mapping[str, int]
    ) -> ProcessManagerHandleResponse:
        cover = trigger.cover
        triggers = triggers_of(trigger, sequences, _CHECKS)
        processes = [
            Process(compiled, factory, fold, history)
            for (compiled, factory), fold in zip(self.entries, self._folds, strict=True)
        ]
        with bound(Cover() if cover is None else cover):
            answer = await self._react(triggers, processes, "" if cover is None else cover.domain)
        return ProcessManagerHandleResponse(
            process_events=list(correlated(_merged(answer.process_events), cover)),
            commands=list(correlated(answer.commands, cover)),
            facts=list(correlated(answer.facts, cover)),
        )

    async def _react(
        self, triggers: Iterable[Trigger], processes: Sequence[Process], domain: str
    ) -> ProcessManagerResponse:
        answer = ProcessManagerResponse()
        called = 0
        for trigger in triggers:
            for process in processes:
                own = ProcessManagerResponse()
                if trigger.is_notification:
                    called += await self._handle_rejection(process, trigger, own)
                elif domain in process.compiled.info.sources:
                    called += await self._handle_event(process, trigger, own)
                process.turn_page(own.process_events)
                _extend(answer, own)
        if not called:
            _log.info("no process manager handles this trigger", router=self.name, domain=domain)
        return answer

    async def _handle_event(self, process: Process, trigger: Trigger, answer: ProcessManagerResponse) -> int:
        methods = process.compiled.handles.get(trigger.name, ())
        for method in methods:
            assert method.message is not None
            event = decode_payload(method.message, trigger.type_url, trigger.value)
            await self._invoke(method, process, event, trigger, answer)
        return len(methods)

    async def _handle_rejection(
        self, process: Process, trigger: Trigger, answer: ProcessManagerResponse
    ) -> int:
        refusal = read_refusal(trigger.type_url, trigger.value)
        methods = process.compiled.rejected.get(refusal.key, ())
        for method in methods:
            await self._invoke(method, process, refusal.notification, trigger, answer)
        return len(methods)

    async def _invoke(
        self,
        method: Method,
        process: Process,
        event: object,
        trigger: Trigger,
        answer: ProcessManagerResponse,
    ) -> None:
        try:
            instance = await self._instance(process.factory)
            standard = (event, process.state(instance), trigger.destinations)
            result = await self._call(method, instance, standard, trigger.extra)
            if trigger.is_notification:
                sorted_answer = sort_answer(result)
                result = sorted_answer.result
                verdicts = carrying(sorted_answer, trigger.cover)
                own = ProcessManagerResponse(process_events=sorted_answer.books, facts=verdicts)
                _collect(answer, method, own)
            _collect(answer, method, result)
        except BaseException as error:
            explain(error, method, trigger.type_url, trigger.cover)
            raise


def _extend(answer: ProcessManagerResponse, more: ProcessManagerResponse) -> None:
    answer.commands.extend(more.commands)
    answer.process_events.extend(more.process_events)
    answer.facts.extend(more.facts)


def _collect(answer: ProcessManagerResponse, method: Method, result: object) -> None:
    if result is None:
        return
    if not isinstance(result, ProcessManagerResponse):
        raise _wrong(method, result)
    for command in result.commands:
        if not isinstance(command, CommandBook):
            raise _wrong(method, command)
    for book in (*result.process_events, *result.facts):
        if not isinstance(book, EventBook):
            raise _wrong(method, book)
    _extend(answer, result)


def _wrong(method: Method, came: object) -> Exception:
    return wrong_return(
        method, came, codes.PM_HANDLER_WRONG_RETURN_TYPE, messages.PM_HANDLER_WRONG_RETURN_TYPE
    )


def _merged(books: Iterable[EventBook]) -> Iterator[EventBook]:
    """Several books as one: the first cover that says anything, all pages in order, the last snapshot."""
    found = list(books)
    if len(found) < 2:
        yield from found
        return
    merged = EventBook(pages=[page for book in found for page in book.pages])
    merged.next_sequence = max(book.next_sequence for book in found)
    cover = next(
        (book.cover for book in found if has_field(book, "cover") and codec.encode(book.cover)), None
    )
    if cover is not None:
        merged.cover = codec.clone(cover)
    for book in found:
        if has_field(book, "snapshot"):
            merged.snapshot = book.snapshot
    yield merged
