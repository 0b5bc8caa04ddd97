"""Every test of dispatching runs over both paths: messages, and bytes."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from angzarr.messages import BusinessResponse, ContextualCommand, decode, encode
from angzarr.router import CommandHandlerRouter

Dispatch: TypeAlias = Callable[[CommandHandlerRouter, ContextualCommand], Awaitable[BusinessResponse]]


async def over_messages(router: CommandHandlerRouter, request: ContextualCommand) -> BusinessResponse:
    return await router.dispatch(request)


async def over_bytes(router: CommandHandlerRouter, request: ContextualCommand) -> BusinessResponse:
    return decode(BusinessResponse, await router.dispatch_bytes(encode(request)))


@pytest.fixture(params=[over_messages, over_bytes], ids=["messages", "bytes"])
def dispatch(request: pytest.FixtureRequest) -> Dispatch:
    chosen: Dispatch = request.param
    return chosen
