"""Old events in, current ones out: the router of upcasters."""

from collections.abc import Sequence
from typing import Any, ClassVar

import betterproto

from angzarr import codec
from angzarr.error_codes import codes, messages
from angzarr.messages import Any as PackedAny
from angzarr.messages import Cover, EventPage, UpcastRequest, UpcastResponse, any_of, pack, type_name_from_url
from angzarr.router.base import BuiltRouter
from angzarr.router.context import bound
from angzarr.router.faults import decode_payload, explain, wrong_request, wrong_return
from angzarr.router.registry import Compiled

__all__ = ["UpcasterRouter"]


class UpcasterRouter(BuiltRouter):
    """Dispatches old events to classes decorated with ``@upcaster``."""

    kind: ClassVar[str] = "upcaster"
    request_type: ClassVar[type[betterproto.Message]] = UpcastRequest

    async def dispatch(self, request: UpcastRequest) -> UpcastResponse:
        """Bring the events of a domain into their current form.

        Each upcaster of the domain, in the order of registration, may transform a page once; the next one sees the
        result. Everything else about a page stays, and so do the number and order of pages.

        Args:
            request: the domain and the pages.

        Returns:
            As many pages, in the same order.

        Raises:
            DispatchError: ANY_DECODE_FAILED, an event that has an upcaster cannot be decoded;
                UPCASTER_WRONG_RESPONSE_KIND, an upcaster returned something that is not a message;
                HANDLER_WRONG_REQUEST_KIND.
        """
        if not isinstance(request, UpcastRequest):
            raise wrong_request(UpcastRequest, request)
        steps = [entry for entry in self.entries if entry[0].info.domain == request.domain]
        cover = Cover(domain=request.domain)
        with bound(cover):
            return UpcastResponse(events=[await self._upcast(page, steps, cover) for page in request.events])

    async def _upcast(
        self, page: EventPage, steps: Sequence[tuple[Compiled, Any]], cover: Cover
    ) -> EventPage:
        current = original = any_of(page)
        if current is None:
            return page
        for handler, factory in steps:
            current = await self._step(handler, factory, current, cover)
        if current is original:
            return page
        upcast = codec.clone(page)
        upcast.event = current
        return upcast

    async def _step(self, handler: Compiled, factory: Any, event: PackedAny, cover: Cover) -> PackedAny:
        method = handler.upcasts.get(type_name_from_url(event.type_url))
        if method is None or method.message is None:
            return event
        old = decode_payload(method.message, event.type_url, event.value)
        try:
            instance = await self._instance(factory)
            new = await self._call(method, instance, (old,), _nothing)
            if not isinstance(new, betterproto.Message):
                code, text = codes.UPCASTER_WRONG_RESPONSE_KIND, messages.UPCASTER_WRONG_RESPONSE_KIND
                raise wrong_return(method, new, code, text)
            return pack(new)
        except BaseException as error:
            explain(error, method, event.type_url, cover)
            raise


def _nothing(name: str) -> Any:
    raise LookupError(f"upcasters have no parameter {name!r}")
