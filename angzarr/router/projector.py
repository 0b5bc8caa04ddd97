"""Events in, views written: the router of projectors."""

from collections.abc import Sequence
from types import AsyncGeneratorType, GeneratorType
from typing import Any, ClassVar

import betterproto

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import (
    WILDCARD_DOMAIN,
    Cover,
    EventBook,
    Projection,
    full_name,
    pack,
    type_name_from_url,
)
from angzarr.messages import Any as PackedAny
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import Method
from angzarr.router.context import bound
from angzarr.router.events import Events, events_of, handled
from angzarr.router.faults import decode_payload, explain, wrong_request, wrong_return
from angzarr.router.raw.events import EventForms, read_events
from angzarr.router.registry import Compiled, Factory

__all__ = ["ProjectorRouter"]


class ProjectorRouter(BuiltRouter):
    """Dispatches events to classes decorated with ``@projector``."""

    kind: ClassVar[str] = "projector"
    request_type: ClassVar[type[betterproto.Message]] = EventBook

    def __init__(self, factories: Sequence[Factory], **options: Any) -> None:
        super().__init__(factories, **options)
        names = {name for compiled, _ in self.entries for name in compiled.handles}
        self._forms = EventForms(handled(names))

    async def dispatch(self, request: EventBook, *, speculative: bool = False) -> Projection:
        """Hand every inline event of a book, in order, to the projectors of its domain.

        A book without a cover reaches projectors of ``"*"`` only.

        Args:
            request: the book of events.
            speculative: what handlers that ask for ``speculative`` are told: nothing must be kept.

        Returns:
            Cover and sequence of the book, the projector's name, and the last message that a method returned, packed.
            Of several projectors the one that returned it, else the last one concerned, gives the name.

        Raises:
            DispatchError: ANY_DECODE_FAILED, an event that has a handler cannot be decoded;
                HANDLER_WRONG_RESPONSE_KIND, a method is a generator; HANDLER_WRONG_REQUEST_KIND.
        """
        if not isinstance(request, EventBook):
            raise wrong_request(EventBook, request)
        return await self._dispatch(events_of(request, self._forms.wanted), speculative)

    async def dispatch_bytes(self, data: bytes) -> bytes:
        """``dispatch`` from bytes to bytes: only events that have a handler become objects.

        Args:
            data: an encoded EventBook.

        Returns:
            The encoded Projection.

        Raises:
            DecodeError: ``data`` is malformed; else as ``dispatch``.
        """
        events = read_events(data, 0, len(data), MAX_DEPTH - 1, self._forms)
        if events is None:
            return await super().dispatch_bytes(data)
        return codec.encode(await self._dispatch(events, speculative=False))

    async def _dispatch(self, events: Events, speculative: bool) -> Projection:
        cover = events.cover
        domain = WILDCARD_DOMAIN if cover is None else cover.domain
        projection = Projection(sequence=events.next_sequence)
        if cover is not None:
            projection.cover = codec.clone(cover)
        with bound(Cover() if cover is None else cover):
            live = [
                (handler, await self._made(handler, factory, events))
                for handler, factory in self.entries
                if handler.handles and {domain, WILDCARD_DOMAIN} & set(handler.info.domains)
            ]
            if live:
                projection.projector = live[-1][0].info.name
            await self._project(events, live, speculative, projection)
        return projection

    async def _made(self, handler: Compiled, factory: Any, events: Events) -> Any:
        try:
            return await self._instance(factory)
        except BaseException as error:
            type_url = events.found[0][0] if events.found else full_name(EventBook)
            explain(error, handler.info.cls, type_url, events.cover)
            raise

    async def _project(
        self,
        events: Events,
        live: list[tuple[Compiled, Any]],
        speculative: bool,
        projection: Projection,
    ) -> None:
        cover = events.cover

        def extra(name: str) -> Any:
            if name == "speculative":
                return speculative
            known = Cover() if cover is None else cover
            return known.correlation_id if name == "correlation_id" else codec.clone(known)

        for type_url, value, _ in events.found:
            for handler, instance in live:
                for method in handler.handles.get(type_name_from_url(type_url), ()):
                    assert method.message is not None
                    event = decode_payload(method.message, type_url, value)
                    shown = await self._show(method, instance, event, extra, type_url, cover)
                    if shown is not None:
                        projection.projection = shown
                        projection.projector = handler.info.name

    async def _show(
        self, method: Method, instance: Any, event: object, extra: Any, type_url: str, cover: Cover | None
    ) -> PackedAny | None:
        """What a method shows: the message it returned, packed."""
        try:
            result = await self._call(method, instance, (event,), extra)
            if isinstance(result, GeneratorType | AsyncGeneratorType):
                raise wrong_return(method, result)  # which has not run at all
            return pack(result) if isinstance(result, betterproto.Message) else None
        except BaseException as error:
            explain(error, method, type_url, cover)
            raise
