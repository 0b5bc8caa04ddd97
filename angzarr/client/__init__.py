"""Talking to coordinators: clients for every RPC of theirs, over TCP, TLS, Unix sockets or in process."""

from angzarr.client.breaker import BreakerConfig
from angzarr.client.channel import Channel
from angzarr.client.command_builder import CommandBuilder
from angzarr.client.command_handler import CommandHandlerClient
from angzarr.client.config import ChannelConfig
from angzarr.client.domain import DomainClient
from angzarr.client.endpoint import Endpoint, TransportMode, parse_endpoint, resolve_ch_endpoint
from angzarr.client.event_stream import EventStreamClient
from angzarr.client.process_manager import ProcessManagerClient
from angzarr.client.projector import ProjectorClient
from angzarr.client.query import QueryClient
from angzarr.client.query_builder import QueryBuilder
from angzarr.client.saga import SagaClient
from angzarr.client.speculative import SpeculativeClient
from angzarr.client.stub import ChannelStub

__all__ = [
    "BreakerConfig",
    "Channel",
    "ChannelConfig",
    "ChannelStub",
    "CommandBuilder",
    "CommandHandlerClient",
    "DomainClient",
    "Endpoint",
    "EventStreamClient",
    "ProcessManagerClient",
    "ProjectorClient",
    "QueryBuilder",
    "QueryClient",
    "SagaClient",
    "SpeculativeClient",
    "TransportMode",
    "parse_endpoint",
    "resolve_ch_endpoint",
]
