"""Events in, commands for other aggregates out: the router of sagas."""

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
    SagaHandleRequest,
    SagaResponse,
    has_field,
    is_notification,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import Method
from angzarr.router.context import bound
from angzarr.router.events import Events, events_of, reacted_to
from angzarr.router.faults import decode_payload, explain, malformed, wrong_request, wrong_return
from angzarr.router.raw.events import EventForms, read_first
from angzarr.router.reactions import B, Checks, Trigger, correlated, triggers_of
from angzarr.router.registry import Compiled, Factory
from angzarr.router.rejections import carrying, read_refusal, sort_answer
from angzarr.router.responses import SagaHandlerResponse

__all__ = ["SagaRouter"]

_CHECKS = Checks(
    empty=(codes.EMPTY_SAGA_SOURCE, messages.EMPTY_SAGA_SOURCE),
    no_payload=(codes.MISSING_SAGA_EVENT_PAYLOAD, messages.MISSING_SAGA_EVENT_PAYLOAD),
    bad_type_url=(codes.SAGA_INVALID_TYPE_URL, messages.SAGA_INVALID_TYPE_URL),
)
_log = get_logger(__name__)


class SagaRouter(BuiltRouter):
    """Dispatches events to classes decorated with ``@saga``."""

    kind: ClassVar[str] = "saga"
    request_type: ClassVar[type[betterproto.Message]] = SagaHandleRequest

    def __init__(self, factories: Sequence[Factory], **options: Any) -> None:
        super().__init__(factories, **options)
        names = {name for compiled, _ in self.entries for name in compiled.handles}
        self._forms = EventForms(reacted_to(names))

    async def dispatch(self, request: SagaHandleRequest) -> SagaResponse:
        """Hand every inline event of the source book, in order, to the sagas of its domain.

        A rejection (an event that is a Notification) goes to the ``@rejected`` methods of every saga. A book of a
        domain that no saga here handles gives an empty answer: coordinators pass every domain's books.

        Args:
            request: the source book, and the destinations' sequences.

        Returns:
            Commands and facts, in the order of events, sagas and methods.

        Raises:
            DispatchError: MISSING_SAGA_SOURCE, EMPTY_SAGA_SOURCE, MISSING_SAGA_EVENT_PAYLOAD, SAGA_INVALID_TYPE_URL:
                the source book is incomplete; ANY_DECODE_FAILED; SAGA_HANDLER_UNSUPPORTED_RETURN_TYPE;
                HANDLER_WRONG_REQUEST_KIND.
        """
        if not isinstance(request, SagaHandleRequest):
            raise wrong_request(SagaHandleRequest, request)
        if not has_field(request, "source"):
            raise malformed(codes.MISSING_SAGA_SOURCE, messages.MISSING_SAGA_SOURCE)
        source = events_of(request.source, self._forms.wanted)
        return await self._dispatch(source, request.destination_sequences)

    async def dispatch_bytes(self, data: bytes) -> bytes:
        """``dispatch`` from bytes to bytes: of the source book, only events that have a handler become objects.

        Args:
            data: an encoded SagaHandleRequest.

        Returns:
            The encoded SagaResponse.

        Raises:
            DecodeError: ``data`` is malformed; else as ``dispatch``.
        """
        read = self._read(data)
        if read is None:
            return await super().dispatch_bytes(data)
        return codec.encode(await self._dispatch(*read))

    def _read(self, data: bytes) -> tuple[Events, Mapping[str, int]] | None:
        """The source and the destinations' sequences; None for what the codec is to read."""
        source = read_first(data, self._forms)
        if source is None:
            return None
        try:
            rest = codec.decode(SagaHandleRequest, data[source[1] :])
        except DecodeError:
            return None
        return None if has_field(rest, "source") else (source[0], rest.destination_sequences)

    async def _dispatch(self, source: Events, sequences: Mapping[str, int]) -> SagaResponse:
        cover = source.cover
        domain = "" if cover is None else cover.domain
        concerned = [entry for entry in self.entries if entry[0].info.source == domain]
        if domain and not concerned and not any(is_notification(type_url) for type_url, _, _ in source.found):
            _log.info("no saga handles this domain", router=self.name, domain=domain)
            return SagaResponse()
        with bound(Cover() if cover is None else cover):
            answer = SagaHandlerResponse()
            for trigger in triggers_of(source, sequences, _CHECKS):
                if trigger.is_notification:
                    await self._handle_rejection(trigger, answer)
                else:
                    await self._handle_event(concerned, trigger, answer)
        return SagaResponse(
            commands=list(correlated(answer.commands, cover)), events=list(correlated(answer.events, cover))
        )

    async def _handle_event(
        self, concerned: Sequence[tuple[Compiled, Any]], trigger: Trigger, answer: SagaHandlerResponse
    ) -> None:
        for handler, factory in concerned:
            for method in handler.handles.get(trigger.name, ()):
                assert method.message is not None
                event = decode_payload(method.message, trigger.type_url, trigger.value)
                await self._react(method, factory, event, trigger, answer)

    async def _handle_rejection(self, trigger: Trigger, answer: SagaHandlerResponse) -> None:
        refusal = read_refusal(trigger.type_url, trigger.value)
        for handler, factory in self.entries:
            for method in handler.rejected.get(refusal.key, ()):
                await self._react(method, factory, refusal.notification, trigger, answer)

    async def _react(
        self, method: Method, factory: Any, event: object, trigger: Trigger, answer: SagaHandlerResponse
    ) -> None:
        try:
            instance = await self._instance(factory)
            result = await self._call(method, instance, (event, trigger.destinations), trigger.extra)
            if trigger.is_notification:
                sorted_answer = sort_answer(result)
                result = sorted_answer.result
                books = [*sorted_answer.books, *carrying(sorted_answer, trigger.cover)]
                _collect(answer, method, SagaHandlerResponse(events=books))
            _collect(answer, method, result)
        except BaseException as error:
            explain(error, method, trigger.type_url, trigger.cover)
            raise


def _collect(answer: SagaHandlerResponse, method: Method, result: object) -> None:
    if isinstance(result, SagaHandlerResponse):
        answer.commands.extend(_all_of(CommandBook, result.commands, method))
        answer.events.extend(_all_of(EventBook, result.events, method))
        return
    for book in result if isinstance(result, list | tuple) else (result,):
        if isinstance(book, CommandBook):
            answer.commands.append(book)
        elif isinstance(book, EventBook):
            answer.events.append(book)
        elif result is not None:
            raise _wrong(method, book)


def _all_of(cls: type[B], books: Iterable[object], method: Method) -> Iterator[B]:
    for book in books:
        if not isinstance(book, cls):
            raise _wrong(method, book)
        yield book


def _wrong(method: Method, came: object) -> Exception:
    code, text = (
        codes.SAGA_HANDLER_UNSUPPORTED_RETURN_TYPE,
        messages.SAGA_HANDLER_UNSUPPORTED_RETURN_TYPE,
    )
    return wrong_return(method, came, code, text)
