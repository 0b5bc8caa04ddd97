"""Declaring handlers, and dispatching to them.

A handler is a class with a kind (``@command_handler``, ``@saga``, ``@process_manager``, ``@projector``, ``@upcaster``)
and decorated methods. ``Router(name).with_handler(Class, factory).build()`` compiles tables from them; the runtime
router it gives has ``await dispatch(request)`` and is a grpclib service.

What methods are given, by position; trailing parameters may be left out:

=================  =======================  ===========================================
kind               decorator                arguments after ``self``
=================  =======================  ===========================================
command_handler    ``@handles``             command, state, sequence
command_handler    ``@handles_fact``        event, state
command_handler    ``@rejected``            notification, state
command_handler,   ``@applies``             state, event
process_manager
command_handler,   ``@state_factory``
process_manager
saga               ``@handles``             event, destinations
saga               ``@rejected``            notification, destinations
process_manager    ``@handles``             event, state, destinations
process_manager    ``@rejected``            notification, state, destinations
projector          ``@handles``             event
upcaster           ``@upcasts``             old event
=================  =======================  ===========================================

More is given to parameters of these names: ``cover`` and ``correlation_id`` (all but upcasters), ``source_cover``,
``source_seq`` and ``destinations`` (sagas, process managers), ``speculative`` (projectors). The first parameter after
``self`` is always the message, whatever its name.

Methods and factories may be ``def`` or ``async def``; appliers and state factories are synchronous.
"""

from angzarr.router.builder import Router
from angzarr.router.command_handler import CommandHandlerRouter
from angzarr.router.decorators import (
    applies,
    command_handler,
    handles,
    handles_fact,
    process_manager,
    projector,
    rejected,
    saga,
    state_factory,
    upcaster,
    upcasts,
)
from angzarr.router.kinds import AnyRouter
from angzarr.router.process_manager import ProcessManagerRouter
from angzarr.router.projector import ProjectorRouter
from angzarr.router.registry import HandlerInfo
from angzarr.router.responses import (
    ProcessManagerResponse,
    RejectionHandlerResponse,
    SagaHandlerResponse,
)
from angzarr.router.saga import SagaRouter
from angzarr.router.state import rebuild
from angzarr.router.upcaster import UpcasterRouter

__all__ = [
    "AnyRouter",
    "CommandHandlerRouter",
    "HandlerInfo",
    "ProcessManagerResponse",
    "ProcessManagerRouter",
    "ProjectorRouter",
    "RejectionHandlerResponse",
    "Router",
    "SagaHandlerResponse",
    "SagaRouter",
    "UpcasterRouter",
    "applies",
    "command_handler",
    "handles",
    "handles_fact",
    "process_manager",
    "projector",
    "rebuild",
    "rejected",
    "saga",
    "state_factory",
    "upcaster",
    "upcasts",
]
