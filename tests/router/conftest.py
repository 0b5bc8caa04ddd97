"""Every test of dispatching runs over both paths: messages, and bytes."""

from typing import Any, Protocol, overload

import pytest

from angzarr.messages import (
    BusinessResponse,
    ContextualCommand,
    EventBook,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    SagaHandleRequest,
    SagaResponse,
    UpcastRequest,
    UpcastResponse,
    encode,
)
from angzarr.router import (
    CommandHandlerRouter,
    ProcessManagerRouter,
    ProjectorRouter,
    SagaRouter,
    UpcasterRouter,
)
from tests.router import paths


class Dispatch(Protocol):
    """Has a router answer a request, over one of the paths."""

    @overload
    async def __call__(
        self, router: CommandHandlerRouter, request: ContextualCommand
    ) -> BusinessResponse: ...
    @overload
    async def __call__(self, router: SagaRouter, request: SagaHandleRequest) -> SagaResponse: ...
    @overload
    async def __call__(
        self, router: ProcessManagerRouter, request: ProcessManagerHandleRequest
    ) -> ProcessManagerHandleResponse: ...
    @overload
    async def __call__(self, router: ProjectorRouter, request: EventBook) -> Projection: ...
    @overload
    async def __call__(self, router: UpcasterRouter, request: UpcastRequest) -> UpcastResponse: ...


async def over_messages(router: Any, request: Any) -> Any:
    return await router.dispatch(request)


async def over_bytes(router: Any, request: Any) -> Any:
    return await paths.over_bytes(router, encode(request))


@pytest.fixture(params=[over_messages, over_bytes], ids=["messages", "bytes"])
def dispatch(request: pytest.FixtureRequest) -> Dispatch:
    chosen: Dispatch = request.param
    return chosen
