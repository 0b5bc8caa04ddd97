"""angzarr: event-sourced CQRS applications in asyncio.

Everything public is here, or in a module whose name says what it is for: ``angzarr.codec``, ``angzarr.testing``,
``angzarr.error_codes``, ``angzarr.server.readiness``. Names are imported on first use, so ``import angzarr`` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from angzarr.app import (
        App,
    )
    from angzarr.client import (
        ChannelConfig,
        CommandBuilder,
        CommandHandlerClient,
        DomainClient,
        EventStreamClient,
        ProcessManagerClient,
        ProjectorClient,
        QueryBuilder,
        QueryClient,
        SagaClient,
        SpeculativeClient,
        TransportMode,
        resolve_ch_endpoint,
    )
    from angzarr.codec import (
        clone,
        has_field,
    )
    from angzarr.compensation import (
        CompensationContext,
        DelegationOptions,
        PMRevocationResponse,
        delegate_to_framework,
        emit_compensation_events,
        pm_delegate_to_framework,
        pm_emit_compensation_events,
    )
    from angzarr.coordinator import (
        EmbeddedCoordinator,
        SettleTimeout,
    )
    from angzarr.destinations import (
        Destinations,
    )
    from angzarr.errors import (
        BuildError,
        ClientError,
        CommandRejectedError,
        ConnectionError,
        DecodeError,
        DispatchError,
        EncodeError,
        GRPCError,
        InvalidArgumentError,
        InvalidTimestampError,
        OutcomeUnknownError,
        TransportError,
        UnregisteredMessageError,
    )
    from angzarr.identity import (
        INVENTORY_PRODUCT_NAMESPACE,
        cart_root,
        compute_root,
        customer_root,
        fulfillment_root,
        inventory_product_root,
        inventory_root,
        order_root,
        product_root,
        to_proto_bytes,
    )
    from angzarr.messages import (
        CORRELATION_ID_HEADER,
        DEFAULT_EDITION,
        META_ANGZARR_DOMAIN,
        PROJECTION_DOMAIN_PREFIX,
        PROJECTION_TYPE_URL,
        TYPE_URL_PREFIX,
        UNKNOWN_DOMAIN,
        UUID,
        WILDCARD_DOMAIN,
        AggregateRoot,
        AngzarrDeadLetter,
        AngzarrDeferredSequence,
        BusinessResponse,
        CascadeCommit,
        CascadeConflictDetail,
        CascadeErrorMode,
        CascadeRollback,
        CloudEvent,
        CloudEventsResponse,
        CommandBook,
        CommandPage,
        CommandRequest,
        CommandResponse,
        Compensate,
        ComponentDescriptor,
        Confirmation,
        ContextualCommand,
        ContextualCommandRequest,
        Cover,
        CoverBearer,
        DeleteEditionEvents,
        DomainDivergence,
        Edition,
        EventBook,
        EventPage,
        EventProcessingFailedDetails,
        EventRequest,
        EventStreamFilter,
        ExternalDeferredSequence,
        FactInjectionResponse,
        FactRequest,
        GetDescriptorRequest,
        MergeStrategy,
        NoOp,
        Notification,
        PageHeader,
        PayloadReference,
        PayloadRetrievalFailedDetails,
        PayloadStorageType,
        ProcessManagerCoordinatorRequest,
        ProcessManagerHandleRequest,
        ProcessManagerHandleResponse,
        Projection,
        Query,
        RejectionNotification,
        ReplayRequest,
        ReplayResponse,
        Revocation,
        RevocationResponse,
        SagaCompensationFailed,
        SagaHandleRequest,
        SagaResponse,
        SequenceMismatchDetails,
        SequenceRange,
        SequenceSet,
        Snapshot,
        SnapshotRetention,
        SpeculateCommandHandlerRequest,
        SpeculatePmRequest,
        SpeculateProjectorRequest,
        SpeculateSagaRequest,
        SyncMode,
        Target,
        TemporalQuery,
        UpcastRequest,
        UpcastResponse,
        cache_key,
        command_sequence_of,
        correlated_metadata,
        correlation_id_of,
        decode_page,
        destination_map,
        domain_of,
        edition_of,
        events_of,
        first_command,
        first_page,
        full_name,
        full_type_url,
        full_type_url_for,
        has_correlation_id,
        implicit_edition,
        is_deferred,
        is_empty,
        is_notification,
        last_page,
        merge_strategy_of,
        message_class,
        next_sequence_of,
        now,
        pack,
        parse_timestamp,
        payload_of,
        proto_to_uuid,
        proto_uuid_to_hex,
        register_package,
        root_hex_of,
        root_uuid_of,
        routing_key,
        sequence_of,
        try_unpack,
        type_name_from_url,
        type_url,
        type_url_matches,
        type_url_matches_exact,
        type_url_of,
        unpack,
        unpack_any,
        uuid_to_proto,
    )
    from angzarr.retry import (
        ExponentialBackoffRetry,
        RetryPolicy,
        default_retry_policy,
    )
    from angzarr.router import (
        CommandHandlerRouter,
        ProcessManagerResponse,
        ProcessManagerRouter,
        ProjectorRouter,
        RejectionHandlerResponse,
        Router,
        SagaHandlerResponse,
        SagaRouter,
        UpcasterRouter,
        rebuild,
    )
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
    from angzarr.server import (
        DEFAULT_BIND_HOST,
        ENV_BIND_ADDRESS,
        CommandHandlerGrpc,
        ProcessManagerGrpc,
        ProjectorGrpc,
        SagaGrpc,
        ServerConfig,
        ServerHandle,
        UpcasterGrpc,
        cleanup_socket,
        configure_logging,
        create_server,
        get_transport_config,
        resolve_bind_address,
        run_command_handler_server,
        run_process_manager_server,
        run_projector_server,
        run_saga_server,
        run_server,
        run_upcaster_server,
        serve,
    )
    from angzarr.testing import (
        DEFAULT_TEST_NAMESPACE,
        ScenarioContext,
        make_command_book,
        make_command_page,
        make_cover,
        make_event_book,
        make_event_page,
        make_timestamp,
        testing_pack_event,
        uuid_for,
        uuid_obj_for,
        uuid_str_for,
    )
    from angzarr.validation import (
        require_exists,
        require_non_negative,
        require_not_empty,
        require_not_empty_str,
        require_not_exists,
        require_positive,
        require_status,
        require_status_not,
    )

_MODULES = {
    "angzarr.app": """
        App
    """,
    "angzarr.client": """
        ChannelConfig CommandBuilder CommandHandlerClient DomainClient EventStreamClient
        ProcessManagerClient ProjectorClient QueryBuilder QueryClient SagaClient SpeculativeClient
        TransportMode resolve_ch_endpoint
    """,
    "angzarr.codec": """
        clone has_field
    """,
    "angzarr.compensation": """
        CompensationContext DelegationOptions PMRevocationResponse delegate_to_framework
        emit_compensation_events pm_delegate_to_framework pm_emit_compensation_events
    """,
    "angzarr.coordinator": """
        EmbeddedCoordinator SettleTimeout
    """,
    "angzarr.destinations": """
        Destinations
    """,
    "angzarr.errors": """
        BuildError ClientError CommandRejectedError ConnectionError DecodeError DispatchError EncodeError
        GRPCError InvalidArgumentError InvalidTimestampError OutcomeUnknownError TransportError
        UnregisteredMessageError
    """,
    "angzarr.identity": """
        INVENTORY_PRODUCT_NAMESPACE cart_root compute_root customer_root fulfillment_root
        inventory_product_root inventory_root order_root product_root to_proto_bytes
    """,
    "angzarr.messages": """
        CORRELATION_ID_HEADER DEFAULT_EDITION META_ANGZARR_DOMAIN PROJECTION_DOMAIN_PREFIX
        PROJECTION_TYPE_URL TYPE_URL_PREFIX UNKNOWN_DOMAIN UUID WILDCARD_DOMAIN AggregateRoot
        AngzarrDeadLetter AngzarrDeferredSequence BusinessResponse CascadeCommit CascadeConflictDetail
        CascadeErrorMode CascadeRollback CloudEvent CloudEventsResponse CommandBook CommandPage
        CommandRequest CommandResponse Compensate ComponentDescriptor Confirmation ContextualCommand
        ContextualCommandRequest Cover CoverBearer DeleteEditionEvents DomainDivergence Edition EventBook
        EventPage EventProcessingFailedDetails EventRequest EventStreamFilter ExternalDeferredSequence
        FactInjectionResponse FactRequest GetDescriptorRequest MergeStrategy NoOp Notification PageHeader
        PayloadReference PayloadRetrievalFailedDetails PayloadStorageType ProcessManagerCoordinatorRequest
        ProcessManagerHandleRequest ProcessManagerHandleResponse Projection Query RejectionNotification
        ReplayRequest ReplayResponse Revocation RevocationResponse SagaCompensationFailed SagaHandleRequest
        SagaResponse SequenceMismatchDetails SequenceRange SequenceSet Snapshot SnapshotRetention
        SpeculateCommandHandlerRequest SpeculatePmRequest SpeculateProjectorRequest SpeculateSagaRequest
        SyncMode Target TemporalQuery UpcastRequest UpcastResponse cache_key command_sequence_of
        correlated_metadata correlation_id_of decode_page destination_map domain_of edition_of events_of
        first_command first_page full_name full_type_url full_type_url_for has_correlation_id
        implicit_edition is_deferred is_empty is_notification last_page merge_strategy_of message_class
        next_sequence_of now pack parse_timestamp payload_of proto_to_uuid proto_uuid_to_hex
        register_package root_hex_of root_uuid_of routing_key sequence_of try_unpack type_name_from_url
        type_url type_url_matches type_url_matches_exact type_url_of unpack unpack_any uuid_to_proto
    """,
    "angzarr.retry": """
        ExponentialBackoffRetry RetryPolicy default_retry_policy
    """,
    "angzarr.router": """
        CommandHandlerRouter ProcessManagerResponse ProcessManagerRouter ProjectorRouter
        RejectionHandlerResponse Router SagaHandlerResponse SagaRouter UpcasterRouter rebuild
    """,
    "angzarr.router.decorators": """
        applies command_handler handles handles_fact process_manager projector rejected saga state_factory
        upcaster upcasts
    """,
    "angzarr.server": """
        DEFAULT_BIND_HOST ENV_BIND_ADDRESS CommandHandlerGrpc ProcessManagerGrpc ProjectorGrpc SagaGrpc
        ServerConfig ServerHandle UpcasterGrpc cleanup_socket configure_logging create_server
        get_transport_config resolve_bind_address run_command_handler_server run_process_manager_server
        run_projector_server run_saga_server run_server run_upcaster_server serve
    """,
    "angzarr.testing": """
        DEFAULT_TEST_NAMESPACE ScenarioContext make_command_book make_command_page make_cover
        make_event_book make_event_page make_timestamp testing_pack_event uuid_for uuid_obj_for uuid_str_for
    """,
    "angzarr.validation": """
        require_exists require_non_negative require_not_empty require_not_empty_str require_not_exists
        require_positive require_status require_status_not
    """,
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "CORRELATION_ID_HEADER",
    "DEFAULT_BIND_HOST",
    "DEFAULT_EDITION",
    "DEFAULT_TEST_NAMESPACE",
    "ENV_BIND_ADDRESS",
    "INVENTORY_PRODUCT_NAMESPACE",
    "META_ANGZARR_DOMAIN",
    "PROJECTION_DOMAIN_PREFIX",
    "PROJECTION_TYPE_URL",
    "TYPE_URL_PREFIX",
    "UNKNOWN_DOMAIN",
    "UUID",
    "WILDCARD_DOMAIN",
    "AggregateRoot",
    "AngzarrDeadLetter",
    "AngzarrDeferredSequence",
    "App",
    "BuildError",
    "BusinessResponse",
    "CascadeCommit",
    "CascadeConflictDetail",
    "CascadeErrorMode",
    "CascadeRollback",
    "ChannelConfig",
    "ClientError",
    "CloudEvent",
    "CloudEventsResponse",
    "CommandBook",
    "CommandBuilder",
    "CommandHandlerClient",
    "CommandHandlerGrpc",
    "CommandHandlerRouter",
    "CommandPage",
    "CommandRejectedError",
    "CommandRequest",
    "CommandResponse",
    "Compensate",
    "CompensationContext",
    "ComponentDescriptor",
    "Confirmation",
    "ConnectionError",
    "ContextualCommand",
    "ContextualCommandRequest",
    "Cover",
    "CoverBearer",
    "DecodeError",
    "DelegationOptions",
    "DeleteEditionEvents",
    "Destinations",
    "DispatchError",
    "DomainClient",
    "DomainDivergence",
    "Edition",
    "EmbeddedCoordinator",
    "EncodeError",
    "EventBook",
    "EventPage",
    "EventProcessingFailedDetails",
    "EventRequest",
    "EventStreamClient",
    "EventStreamFilter",
    "ExponentialBackoffRetry",
    "ExternalDeferredSequence",
    "FactInjectionResponse",
    "FactRequest",
    "GRPCError",
    "GetDescriptorRequest",
    "InvalidArgumentError",
    "InvalidTimestampError",
    "MergeStrategy",
    "NoOp",
    "Notification",
    "OutcomeUnknownError",
    "PMRevocationResponse",
    "PageHeader",
    "PayloadReference",
    "PayloadRetrievalFailedDetails",
    "PayloadStorageType",
    "ProcessManagerClient",
    "ProcessManagerCoordinatorRequest",
    "ProcessManagerGrpc",
    "ProcessManagerHandleRequest",
    "ProcessManagerHandleResponse",
    "ProcessManagerResponse",
    "ProcessManagerRouter",
    "Projection",
    "ProjectorClient",
    "ProjectorGrpc",
    "ProjectorRouter",
    "Query",
    "QueryBuilder",
    "QueryClient",
    "RejectionHandlerResponse",
    "RejectionNotification",
    "ReplayRequest",
    "ReplayResponse",
    "RetryPolicy",
    "Revocation",
    "RevocationResponse",
    "Router",
    "SagaClient",
    "SagaCompensationFailed",
    "SagaGrpc",
    "SagaHandleRequest",
    "SagaHandlerResponse",
    "SagaResponse",
    "SagaRouter",
    "ScenarioContext",
    "SequenceMismatchDetails",
    "SequenceRange",
    "SequenceSet",
    "ServerConfig",
    "ServerHandle",
    "SettleTimeout",
    "Snapshot",
    "SnapshotRetention",
    "SpeculateCommandHandlerRequest",
    "SpeculatePmRequest",
    "SpeculateProjectorRequest",
    "SpeculateSagaRequest",
    "SpeculativeClient",
    "SyncMode",
    "Target",
    "TemporalQuery",
    "TransportError",
    "TransportMode",
    "UnregisteredMessageError",
    "UpcastRequest",
    "UpcastResponse",
    "UpcasterGrpc",
    "UpcasterRouter",
    "applies",
    "cache_key",
    "cart_root",
    "cleanup_socket",
    "clone",
    "command_handler",
    "command_sequence_of",
    "compute_root",
    "configure_logging",
    "correlated_metadata",
    "correlation_id_of",
    "create_server",
    "customer_root",
    "decode_page",
    "default_retry_policy",
    "delegate_to_framework",
    "destination_map",
    "domain_of",
    "edition_of",
    "emit_compensation_events",
    "events_of",
    "first_command",
    "first_page",
    "fulfillment_root",
    "full_name",
    "full_type_url",
    "full_type_url_for",
    "get_transport_config",
    "handles",
    "handles_fact",
    "has_correlation_id",
    "has_field",
    "implicit_edition",
    "inventory_product_root",
    "inventory_root",
    "is_deferred",
    "is_empty",
    "is_notification",
    "last_page",
    "make_command_book",
    "make_command_page",
    "make_cover",
    "make_event_book",
    "make_event_page",
    "make_timestamp",
    "merge_strategy_of",
    "message_class",
    "next_sequence_of",
    "now",
    "order_root",
    "pack",
    "parse_timestamp",
    "payload_of",
    "pm_delegate_to_framework",
    "pm_emit_compensation_events",
    "process_manager",
    "product_root",
    "projector",
    "proto_to_uuid",
    "proto_uuid_to_hex",
    "rebuild",
    "register_package",
    "rejected",
    "require_exists",
    "require_non_negative",
    "require_not_empty",
    "require_not_empty_str",
    "require_not_exists",
    "require_positive",
    "require_status",
    "require_status_not",
    "resolve_bind_address",
    "resolve_ch_endpoint",
    "root_hex_of",
    "root_uuid_of",
    "routing_key",
    "run_command_handler_server",
    "run_process_manager_server",
    "run_projector_server",
    "run_saga_server",
    "run_server",
    "run_upcaster_server",
    "saga",
    "sequence_of",
    "serve",
    "state_factory",
    "testing_pack_event",
    "to_proto_bytes",
    "try_unpack",
    "type_name_from_url",
    "type_url",
    "type_url_matches",
    "type_url_matches_exact",
    "type_url_of",
    "unpack",
    "unpack_any",
    "upcaster",
    "upcasts",
    "uuid_for",
    "uuid_obj_for",
    "uuid_str_for",
    "uuid_to_proto",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
