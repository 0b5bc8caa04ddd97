"""angzarr: event-sourced CQRS applications in asyncio.

Everything public is here, or in a module whose name says what it is for: ``angzarr.codec``, ``angzarr.testing``,
``angzarr.error_codes``, ``angzarr.server.readiness``. Names are imported on first use, so ``import angzarr`` is cheap:
type checkers read the imports, the interpreter the table, and a test holds the two equal.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from angzarr.app import App as App
    from angzarr.client import BreakerConfig as BreakerConfig
    from angzarr.client import ChannelConfig as ChannelConfig
    from angzarr.client import CommandBuilder as CommandBuilder
    from angzarr.client import CommandHandlerClient as CommandHandlerClient
    from angzarr.client import DomainClient as DomainClient
    from angzarr.client import EventStreamClient as EventStreamClient
    from angzarr.client import ProcessManagerClient as ProcessManagerClient
    from angzarr.client import ProjectorClient as ProjectorClient
    from angzarr.client import QueryBuilder as QueryBuilder
    from angzarr.client import QueryClient as QueryClient
    from angzarr.client import SagaClient as SagaClient
    from angzarr.client import SpeculativeClient as SpeculativeClient
    from angzarr.client import TransportMode as TransportMode
    from angzarr.client import resolve_ch_endpoint as resolve_ch_endpoint
    from angzarr.codec import clone as clone
    from angzarr.codec import has_field as has_field
    from angzarr.compensation import CompensationContext as CompensationContext
    from angzarr.compensation import DelegationOptions as DelegationOptions
    from angzarr.compensation import PMRevocationResponse as PMRevocationResponse
    from angzarr.compensation import delegate_to_framework as delegate_to_framework
    from angzarr.compensation import emit_compensation_events as emit_compensation_events
    from angzarr.compensation import pm_delegate_to_framework as pm_delegate_to_framework
    from angzarr.compensation import pm_emit_compensation_events as pm_emit_compensation_events
    from angzarr.coordinator import EmbeddedCoordinator as EmbeddedCoordinator
    from angzarr.coordinator import SettleTimeout as SettleTimeout
    from angzarr.destinations import Destinations as Destinations
    from angzarr.errors import BuildError as BuildError
    from angzarr.errors import ClientError as ClientError
    from angzarr.errors import CommandRejectedError as CommandRejectedError
    from angzarr.errors import ConnectionError as ConnectionError
    from angzarr.errors import DecodeError as DecodeError
    from angzarr.errors import DispatchError as DispatchError
    from angzarr.errors import EncodeError as EncodeError
    from angzarr.errors import GRPCError as GRPCError
    from angzarr.errors import InvalidArgumentError as InvalidArgumentError
    from angzarr.errors import InvalidTimestampError as InvalidTimestampError
    from angzarr.errors import OutcomeUnknownError as OutcomeUnknownError
    from angzarr.errors import TransportError as TransportError
    from angzarr.errors import UnregisteredMessageError as UnregisteredMessageError
    from angzarr.identity import INVENTORY_PRODUCT_NAMESPACE as INVENTORY_PRODUCT_NAMESPACE
    from angzarr.identity import cart_root as cart_root
    from angzarr.identity import compute_root as compute_root
    from angzarr.identity import customer_root as customer_root
    from angzarr.identity import fulfillment_root as fulfillment_root
    from angzarr.identity import inventory_product_root as inventory_product_root
    from angzarr.identity import inventory_root as inventory_root
    from angzarr.identity import order_root as order_root
    from angzarr.identity import product_root as product_root
    from angzarr.identity import to_proto_bytes as to_proto_bytes
    from angzarr.interceptors import Call as Call
    from angzarr.interceptors import CorrelationInterceptor as CorrelationInterceptor
    from angzarr.interceptors import Interceptor as Interceptor
    from angzarr.interceptors import LoggingInterceptor as LoggingInterceptor
    from angzarr.interceptors import Proceed as Proceed
    from angzarr.messages import CORRELATION_ID_HEADER as CORRELATION_ID_HEADER
    from angzarr.messages import DEFAULT_EDITION as DEFAULT_EDITION
    from angzarr.messages import META_ANGZARR_DOMAIN as META_ANGZARR_DOMAIN
    from angzarr.messages import PROJECTION_DOMAIN_PREFIX as PROJECTION_DOMAIN_PREFIX
    from angzarr.messages import PROJECTION_TYPE_URL as PROJECTION_TYPE_URL
    from angzarr.messages import TYPE_URL_PREFIX as TYPE_URL_PREFIX
    from angzarr.messages import UNKNOWN_DOMAIN as UNKNOWN_DOMAIN
    from angzarr.messages import UUID as UUID
    from angzarr.messages import WILDCARD_DOMAIN as WILDCARD_DOMAIN
    from angzarr.messages import AggregateRoot as AggregateRoot
    from angzarr.messages import AngzarrDeadLetter as AngzarrDeadLetter
    from angzarr.messages import AngzarrDeferredSequence as AngzarrDeferredSequence
    from angzarr.messages import BusinessResponse as BusinessResponse
    from angzarr.messages import CascadeCommit as CascadeCommit
    from angzarr.messages import CascadeConflictDetail as CascadeConflictDetail
    from angzarr.messages import CascadeErrorMode as CascadeErrorMode
    from angzarr.messages import CascadeRollback as CascadeRollback
    from angzarr.messages import CloudEvent as CloudEvent
    from angzarr.messages import CloudEventsResponse as CloudEventsResponse
    from angzarr.messages import CommandBook as CommandBook
    from angzarr.messages import CommandPage as CommandPage
    from angzarr.messages import CommandRequest as CommandRequest
    from angzarr.messages import CommandResponse as CommandResponse
    from angzarr.messages import Compensate as Compensate
    from angzarr.messages import ComponentDescriptor as ComponentDescriptor
    from angzarr.messages import Confirmation as Confirmation
    from angzarr.messages import ContextualCommand as ContextualCommand
    from angzarr.messages import ContextualCommandRequest as ContextualCommandRequest
    from angzarr.messages import Cover as Cover
    from angzarr.messages import CoverBearer as CoverBearer
    from angzarr.messages import DeleteEditionEvents as DeleteEditionEvents
    from angzarr.messages import DomainDivergence as DomainDivergence
    from angzarr.messages import Edition as Edition
    from angzarr.messages import EventBook as EventBook
    from angzarr.messages import EventPage as EventPage
    from angzarr.messages import EventProcessingFailedDetails as EventProcessingFailedDetails
    from angzarr.messages import EventRequest as EventRequest
    from angzarr.messages import EventStreamFilter as EventStreamFilter
    from angzarr.messages import ExternalDeferredSequence as ExternalDeferredSequence
    from angzarr.messages import FactInjectionResponse as FactInjectionResponse
    from angzarr.messages import FactRequest as FactRequest
    from angzarr.messages import GetDescriptorRequest as GetDescriptorRequest
    from angzarr.messages import MergeStrategy as MergeStrategy
    from angzarr.messages import NoOp as NoOp
    from angzarr.messages import Notification as Notification
    from angzarr.messages import PageHeader as PageHeader
    from angzarr.messages import PayloadReference as PayloadReference
    from angzarr.messages import PayloadRetrievalFailedDetails as PayloadRetrievalFailedDetails
    from angzarr.messages import PayloadStorageType as PayloadStorageType
    from angzarr.messages import ProcessManagerCoordinatorRequest as ProcessManagerCoordinatorRequest
    from angzarr.messages import ProcessManagerHandleRequest as ProcessManagerHandleRequest
    from angzarr.messages import ProcessManagerHandleResponse as ProcessManagerHandleResponse
    from angzarr.messages import Projection as Projection
    from angzarr.messages import Query as Query
    from angzarr.messages import RejectionNotification as RejectionNotification
    from angzarr.messages import ReplayRequest as ReplayRequest
    from angzarr.messages import ReplayResponse as ReplayResponse
    from angzarr.messages import Revocation as Revocation
    from angzarr.messages import RevocationResponse as RevocationResponse
    from angzarr.messages import SagaCompensationFailed as SagaCompensationFailed
    from angzarr.messages import SagaHandleRequest as SagaHandleRequest
    from angzarr.messages import SagaResponse as SagaResponse
    from angzarr.messages import SequenceMismatchDetails as SequenceMismatchDetails
    from angzarr.messages import SequenceRange as SequenceRange
    from angzarr.messages import SequenceSet as SequenceSet
    from angzarr.messages import Snapshot as Snapshot
    from angzarr.messages import SnapshotRetention as SnapshotRetention
    from angzarr.messages import SpeculateCommandHandlerRequest as SpeculateCommandHandlerRequest
    from angzarr.messages import SpeculatePmRequest as SpeculatePmRequest
    from angzarr.messages import SpeculateProjectorRequest as SpeculateProjectorRequest
    from angzarr.messages import SpeculateSagaRequest as SpeculateSagaRequest
    from angzarr.messages import SyncMode as SyncMode
    from angzarr.messages import Target as Target
    from angzarr.messages import TemporalQuery as TemporalQuery
    from angzarr.messages import UpcastRequest as UpcastRequest
    from angzarr.messages import UpcastResponse as UpcastResponse
    from angzarr.messages import cache_key as cache_key
    from angzarr.messages import command_sequence_of as command_sequence_of
    from angzarr.messages import correlated_metadata as correlated_metadata
    from angzarr.messages import correlation_id_of as correlation_id_of
    from angzarr.messages import decode_page as decode_page
    from angzarr.messages import destination_map as destination_map
    from angzarr.messages import domain_of as domain_of
    from angzarr.messages import edition_of as edition_of
    from angzarr.messages import events_of as events_of
    from angzarr.messages import first_command as first_command
    from angzarr.messages import first_page as first_page
    from angzarr.messages import full_name as full_name
    from angzarr.messages import full_type_url as full_type_url
    from angzarr.messages import full_type_url_for as full_type_url_for
    from angzarr.messages import has_correlation_id as has_correlation_id
    from angzarr.messages import implicit_edition as implicit_edition
    from angzarr.messages import is_deferred as is_deferred
    from angzarr.messages import is_empty as is_empty
    from angzarr.messages import is_notification as is_notification
    from angzarr.messages import last_page as last_page
    from angzarr.messages import merge_strategy_of as merge_strategy_of
    from angzarr.messages import message_class as message_class
    from angzarr.messages import next_sequence_of as next_sequence_of
    from angzarr.messages import now as now
    from angzarr.messages import pack as pack
    from angzarr.messages import parse_timestamp as parse_timestamp
    from angzarr.messages import payload_of as payload_of
    from angzarr.messages import proto_to_uuid as proto_to_uuid
    from angzarr.messages import proto_uuid_to_hex as proto_uuid_to_hex
    from angzarr.messages import register_package as register_package
    from angzarr.messages import root_hex_of as root_hex_of
    from angzarr.messages import root_uuid_of as root_uuid_of
    from angzarr.messages import routing_key as routing_key
    from angzarr.messages import sequence_of as sequence_of
    from angzarr.messages import try_unpack as try_unpack
    from angzarr.messages import type_name_from_url as type_name_from_url
    from angzarr.messages import type_url as type_url
    from angzarr.messages import type_url_matches as type_url_matches
    from angzarr.messages import type_url_matches_exact as type_url_matches_exact
    from angzarr.messages import type_url_of as type_url_of
    from angzarr.messages import unpack as unpack
    from angzarr.messages import unpack_any as unpack_any
    from angzarr.messages import uuid_to_proto as uuid_to_proto
    from angzarr.retry import ExponentialBackoffRetry as ExponentialBackoffRetry
    from angzarr.retry import RetryPolicy as RetryPolicy
    from angzarr.retry import default_retry_policy as default_retry_policy
    from angzarr.router import CommandHandlerRouter as CommandHandlerRouter
    from angzarr.router import ProcessManagerResponse as ProcessManagerResponse
    from angzarr.router import ProcessManagerRouter as ProcessManagerRouter
    from angzarr.router import ProjectorRouter as ProjectorRouter
    from angzarr.router import RejectionHandlerResponse as RejectionHandlerResponse
    from angzarr.router import Router as Router
    from angzarr.router import SagaHandlerResponse as SagaHandlerResponse
    from angzarr.router import SagaRouter as SagaRouter
    from angzarr.router import UpcasterRouter as UpcasterRouter
    from angzarr.router import rebuild as rebuild
    from angzarr.router.decorators import applies as applies
    from angzarr.router.decorators import command_handler as command_handler
    from angzarr.router.decorators import handles as handles
    from angzarr.router.decorators import handles_fact as handles_fact
    from angzarr.router.decorators import process_manager as process_manager
    from angzarr.router.decorators import projector as projector
    from angzarr.router.decorators import rejected as rejected
    from angzarr.router.decorators import saga as saga
    from angzarr.router.decorators import state_factory as state_factory
    from angzarr.router.decorators import upcaster as upcaster
    from angzarr.router.decorators import upcasts as upcasts
    from angzarr.server import DEFAULT_BIND_HOST as DEFAULT_BIND_HOST
    from angzarr.server import ENV_BIND_ADDRESS as ENV_BIND_ADDRESS
    from angzarr.server import CommandHandlerGrpc as CommandHandlerGrpc
    from angzarr.server import ProcessManagerGrpc as ProcessManagerGrpc
    from angzarr.server import ProjectorGrpc as ProjectorGrpc
    from angzarr.server import SagaGrpc as SagaGrpc
    from angzarr.server import ServerConfig as ServerConfig
    from angzarr.server import ServerHandle as ServerHandle
    from angzarr.server import UpcasterGrpc as UpcasterGrpc
    from angzarr.server import cleanup_socket as cleanup_socket
    from angzarr.server import configure_logging as configure_logging
    from angzarr.server import create_server as create_server
    from angzarr.server import get_transport_config as get_transport_config
    from angzarr.server import resolve_bind_address as resolve_bind_address
    from angzarr.server import run_command_handler_server as run_command_handler_server
    from angzarr.server import run_process_manager_server as run_process_manager_server
    from angzarr.server import run_projector_server as run_projector_server
    from angzarr.server import run_saga_server as run_saga_server
    from angzarr.server import run_server as run_server
    from angzarr.server import run_upcaster_server as run_upcaster_server
    from angzarr.server import serve as serve
    from angzarr.testing import DEFAULT_TEST_NAMESPACE as DEFAULT_TEST_NAMESPACE
    from angzarr.testing import ScenarioContext as ScenarioContext
    from angzarr.testing import make_command_book as make_command_book
    from angzarr.testing import make_command_page as make_command_page
    from angzarr.testing import make_cover as make_cover
    from angzarr.testing import make_event_book as make_event_book
    from angzarr.testing import make_event_page as make_event_page
    from angzarr.testing import make_timestamp as make_timestamp
    from angzarr.testing import testing_pack_event as testing_pack_event
    from angzarr.testing import uuid_for as uuid_for
    from angzarr.testing import uuid_obj_for as uuid_obj_for
    from angzarr.testing import uuid_str_for as uuid_str_for
    from angzarr.validation import require_exists as require_exists
    from angzarr.validation import require_non_negative as require_non_negative
    from angzarr.validation import require_not_empty as require_not_empty
    from angzarr.validation import require_not_empty_str as require_not_empty_str
    from angzarr.validation import require_not_exists as require_not_exists
    from angzarr.validation import require_positive as require_positive
    from angzarr.validation import require_status as require_status
    from angzarr.validation import require_status_not as require_status_not
else:
    _MODULES = {
        "angzarr.app": "App",
        "angzarr.client": """
            BreakerConfig ChannelConfig CommandBuilder CommandHandlerClient DomainClient EventStreamClient
            ProcessManagerClient ProjectorClient QueryBuilder QueryClient SagaClient SpeculativeClient
            TransportMode resolve_ch_endpoint
        """,
        "angzarr.codec": "clone has_field",
        "angzarr.compensation": """
            CompensationContext DelegationOptions PMRevocationResponse delegate_to_framework
            emit_compensation_events pm_delegate_to_framework pm_emit_compensation_events
        """,
        "angzarr.coordinator": "EmbeddedCoordinator SettleTimeout",
        "angzarr.destinations": "Destinations",
        "angzarr.errors": """
            BuildError ClientError CommandRejectedError ConnectionError DecodeError DispatchError
            EncodeError GRPCError InvalidArgumentError InvalidTimestampError OutcomeUnknownError
            TransportError UnregisteredMessageError
        """,
        "angzarr.identity": """
            INVENTORY_PRODUCT_NAMESPACE cart_root compute_root customer_root fulfillment_root
            inventory_product_root inventory_root order_root product_root to_proto_bytes
        """,
        "angzarr.interceptors": "Call CorrelationInterceptor Interceptor LoggingInterceptor Proceed",
        "angzarr.messages": """
            CORRELATION_ID_HEADER DEFAULT_EDITION META_ANGZARR_DOMAIN PROJECTION_DOMAIN_PREFIX
            PROJECTION_TYPE_URL TYPE_URL_PREFIX UNKNOWN_DOMAIN UUID WILDCARD_DOMAIN AggregateRoot
            AngzarrDeadLetter AngzarrDeferredSequence BusinessResponse CascadeCommit CascadeConflictDetail
            CascadeErrorMode CascadeRollback CloudEvent CloudEventsResponse CommandBook CommandPage
            CommandRequest CommandResponse Compensate ComponentDescriptor Confirmation ContextualCommand
            ContextualCommandRequest Cover CoverBearer DeleteEditionEvents DomainDivergence Edition
            EventBook EventPage EventProcessingFailedDetails EventRequest EventStreamFilter
            ExternalDeferredSequence FactInjectionResponse FactRequest GetDescriptorRequest MergeStrategy
            NoOp Notification PageHeader PayloadReference PayloadRetrievalFailedDetails PayloadStorageType
            ProcessManagerCoordinatorRequest ProcessManagerHandleRequest ProcessManagerHandleResponse
            Projection Query RejectionNotification ReplayRequest ReplayResponse Revocation
            RevocationResponse SagaCompensationFailed SagaHandleRequest SagaResponse SequenceMismatchDetails
            SequenceRange SequenceSet Snapshot SnapshotRetention SpeculateCommandHandlerRequest
            SpeculatePmRequest SpeculateProjectorRequest SpeculateSagaRequest SyncMode Target TemporalQuery
            UpcastRequest UpcastResponse cache_key command_sequence_of correlated_metadata correlation_id_of
            decode_page destination_map domain_of edition_of events_of first_command first_page full_name
            full_type_url full_type_url_for has_correlation_id implicit_edition is_deferred is_empty
            is_notification last_page merge_strategy_of message_class next_sequence_of now pack
            parse_timestamp payload_of proto_to_uuid proto_uuid_to_hex register_package root_hex_of
            root_uuid_of routing_key sequence_of try_unpack type_name_from_url type_url type_url_matches
            type_url_matches_exact type_url_of unpack unpack_any uuid_to_proto
        """,
        "angzarr.retry": "ExponentialBackoffRetry RetryPolicy default_retry_policy",
        "angzarr.router": """
            CommandHandlerRouter ProcessManagerResponse ProcessManagerRouter ProjectorRouter
            RejectionHandlerResponse Router SagaHandlerResponse SagaRouter UpcasterRouter rebuild
        """,
        "angzarr.router.decorators": """
            applies command_handler handles handles_fact process_manager projector rejected saga
            state_factory upcaster upcasts
        """,
        "angzarr.server": """
            DEFAULT_BIND_HOST ENV_BIND_ADDRESS CommandHandlerGrpc ProcessManagerGrpc ProjectorGrpc SagaGrpc
            ServerConfig ServerHandle UpcasterGrpc cleanup_socket configure_logging create_server
            get_transport_config resolve_bind_address run_command_handler_server run_process_manager_server
            run_projector_server run_saga_server run_server run_upcaster_server serve
        """,
        "angzarr.testing": """
            DEFAULT_TEST_NAMESPACE ScenarioContext make_command_book make_command_page make_cover
            make_event_book make_event_page make_timestamp testing_pack_event uuid_for uuid_obj_for
            uuid_str_for
        """,
        "angzarr.validation": """
            require_exists require_non_negative require_not_empty require_not_empty_str require_not_exists
            require_positive require_status require_status_not
        """,
    }
    _HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

    __all__ = sorted(_HOME)

    def __getattr__(name: str) -> object:
        from importlib import import_module

        module = _HOME.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
