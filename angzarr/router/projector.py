"""Events in, views written: the router of projectors."""

from types import AsyncGeneratorType, GeneratorType
from typing import Any, ClassVar

import betterproto

from angzarr import codec
from angzarr.messages import (
    WILDCARD_DOMAIN,
    Cover,
    EventBook,
    Projection,
    pack,
    type_name_from_url,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import Method
from angzarr.router.context import bound
from angzarr.router.faults import decode_payload, explain, wrong_request, wrong_return
from angzarr.router.reactions import cover_of
from angzarr.router.registry import Compiled
from angzarr.router.state import inline_events

__all__ = ["ProjectorRouter"]


class ProjectorRouter(BuiltRouter):
    """Dispatches events to classes decorated with ``@projector``."""

    kind: ClassVar[str] = "projector"
    request_type: ClassVar[type[betterproto.Message]] = EventBook

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
        book, cover = request, cover_of(request)
        domain = WILDCARD_DOMAIN if cover is None else cover.domain
        projection = Projection(sequence=book.next_sequence)
        if cover is not None:
            projection.cover = codec.clone(cover)
        with bound(Cover() if cover is None else cover):
            live = [
                (handler, await self._instance(factory))
                for handler, factory in self.entries
                if handler.handles and {domain, WILDCARD_DOMAIN} & set(handler.info.domains)
            ]
            if live:
                projection.projector = live[-1][0].info.name
            await self._project(book, live, cover, speculative, projection)
        return projection

    async def _project(
        self,
        book: EventBook,
        live: list[tuple[Compiled, Any]],
        cover: Cover | None,
        speculative: bool,
        projection: Projection,
    ) -> None:
        def extra(name: str) -> Any:
            if name == "speculative":
                return speculative
            known = Cover() if cover is None else cover
            return known.correlation_id if name == "correlation_id" else codec.clone(known)

        for payload in inline_events(book.pages):
            for handler, instance in live:
                for method in handler.handles.get(type_name_from_url(payload.type_url), ()):
                    assert method.message is not None
                    event = decode_payload(method.message, payload.type_url, payload.value)
                    result = await self._show(method, instance, event, extra, payload.type_url, cover)
                    if isinstance(result, GeneratorType | AsyncGeneratorType):
                        raise wrong_return(method, result)  # which has not run at all
                    if isinstance(result, betterproto.Message):
                        projection.projection = pack(result)
                        projection.projector = handler.info.name

    async def _show(
        self, method: Method, instance: Any, event: object, extra: Any, type_url: str, cover: Cover | None
    ) -> Any:
        try:
            return await self._call(method, instance, (event,), extra)
        except BaseException as error:
            explain(error, method, type_url, cover)
            raise
