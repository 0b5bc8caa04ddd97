# ruff: noqa: E501
"""The wire contract, written down once more and independently of the proto files.

``name=number type``; ``*`` repeated, ``?`` explicitly optional, ``@x`` member of the oneof x.
"""

MESSAGES = """
UUID: value=1 bytes
Cover: root=1 UUID; domain=2 string; correlation_id=3 string; edition=4 Edition
Edition: name=1 string; divergences=2 DomainDivergence*
DomainDivergence: domain=1 string; sequence=2 uint32
PayloadReference: storage_type=1 PayloadStorageType; uri=2 string; content_hash=3 bytes; original_size=4 uint64; stored_at=5 Timestamp
PageHeader: sequence=1 uint32@sequence_type; external_deferred=2 ExternalDeferredSequence@sequence_type; angzarr_deferred=3 AngzarrDeferredSequence@sequence_type; sync_mode=4 SyncMode?
ExternalDeferredSequence: external_id=1 string; description=2 string
AngzarrDeferredSequence: source=1 Cover; source_seq=2 uint32
EventPage: header=1 PageHeader; created_at=2 Timestamp; event=3 Any@payload; external=4 PayloadReference@payload; no_commit=6 bool; cascade_id=7 string?
Snapshot: sequence=2 uint32; state=3 Any; retention=4 SnapshotRetention
EventBook: cover=1 Cover; snapshot=2 Snapshot; pages=3 EventPage*; next_sequence=6 uint32
EventRequest: events=1 EventBook; sync_mode=2 SyncMode; route_to_handler=3 bool
Projection: cover=1 Cover; projector=2 string; sequence=3 uint32; projection=4 Any
CommandPage: header=1 PageHeader; merge_strategy=2 MergeStrategy; command=3 Any@payload; external=4 PayloadReference@payload
CommandBook: cover=1 Cover; pages=2 CommandPage*
CommandRequest: command=1 CommandBook; sync_mode=2 SyncMode; cascade_error_mode=3 CascadeErrorMode; cascade_id=4 string?
ContextualCommand: events=1 EventBook; command=2 CommandBook
ContextualCommandRequest: command=1 ContextualCommand; sync_mode=2 SyncMode
SequenceRange: lower=1 uint32; upper=2 uint32?
SequenceSet: values=1 uint32*
TemporalQuery: as_of_time=1 Timestamp@point_in_time; as_of_sequence=2 uint32@point_in_time
Query: cover=1 Cover; range=3 SequenceRange@selection; sequences=4 SequenceSet@selection; temporal=5 TemporalQuery@selection
AggregateRoot: domain=1 string; root=2 UUID
EventStreamFilter: correlation_id=1 string
Notification: cover=1 Cover; payload=2 Any; sent_at=3 Timestamp
RejectionNotification: rejected_command=1 CommandBook; rejection_reason=2 string
Confirmation: target=1 Cover; sequences=2 uint32*; cascade_id=3 string
Revocation: target=1 Cover; sequences=2 uint32*; cascade_id=3 string; reason=4 string
Compensate: target=1 Cover; sequences=2 uint32*; reason=3 string
NoOp: original_sequence=1 uint32; cascade_id=2 string; reason=3 string
CascadeCommit: cascade_id=1 string
CascadeRollback: cascade_id=1 string; reason=2 string
CascadeConflictDetail: cascade_ids=1 string*; overlapping_fields=2 string*
SequenceMismatchDetails: expected_sequence=1 uint32; actual_sequence=2 uint32; merge_strategy=3 MergeStrategy
EventProcessingFailedDetails: error=1 string; retry_count=2 uint32; is_transient=3 bool
PayloadRetrievalFailedDetails: storage_type=1 PayloadStorageType; uri=2 string; content_hash=3 bytes; original_size=4 uint64; error=5 string
AngzarrDeadLetter: cover=1 Cover; rejected_command=2 CommandBook@payload; rejection_reason=3 string; occurred_at=7 Timestamp; metadata=8 AngzarrDeadLetter.MetadataEntry*; rejected_events=9 EventBook@payload; source_component=10 string; source_component_type=11 string; sequence_mismatch=12 SequenceMismatchDetails@rejection_details; event_processing_failed=13 EventProcessingFailedDetails@rejection_details; payload_retrieval_failed=14 PayloadRetrievalFailedDetails@rejection_details
Target: domain=1 string
ComponentDescriptor: name=1 string; component_type=2 string; inputs=3 Target*
GetDescriptorRequest:
FactRequest: facts=1 EventBook; prior_events=2 EventBook
ReplayRequest: base_snapshot=1 Snapshot; events=2 EventPage*
ReplayResponse: state=1 Any
CommandResponse: events=1 EventBook; projections=2 Projection*
RevocationResponse: emit_system_revocation=1 bool; send_to_dead_letter_queue=2 bool; escalate=3 bool; abort=4 bool; reason=5 string
BusinessResponse: events=1 EventBook@result; revocation=2 RevocationResponse@result; notification=3 Notification@result
SpeculateCommandHandlerRequest: command=1 CommandBook; point_in_time=2 TemporalQuery
FactInjectionResponse: events=1 EventBook; already_processed=2 bool; projections=3 Projection*
SagaHandleRequest: source=1 EventBook; sync_mode=2 SyncMode; cascade_error_mode=3 CascadeErrorMode; destination_sequences=4 SagaHandleRequest.DestinationSequencesEntry*
SpeculateSagaRequest: request=1 SagaHandleRequest
SagaResponse: commands=1 CommandBook*; events=2 EventBook*
SagaCompensationFailed: triggering_aggregate=1 Cover; triggering_event_sequence=2 uint32; rejection_reason=4 string; compensation_failure_reason=5 string; rejected_command=6 CommandBook; occurred_at=7 Timestamp
ProcessManagerCoordinatorRequest: trigger=1 EventBook; sync_mode=2 SyncMode; cascade_error_mode=3 CascadeErrorMode
SpeculatePmRequest: request=1 ProcessManagerHandleRequest
ProcessManagerHandleRequest: trigger=1 EventBook; process_state=2 EventBook; destination_sequences=3 ProcessManagerHandleRequest.DestinationSequencesEntry*
ProcessManagerHandleResponse: process_events=1 EventBook*; commands=2 CommandBook*; facts=3 EventBook*
SpeculateProjectorRequest: events=1 EventBook
UpcastRequest: domain=1 string; events=2 EventPage*
UpcastResponse: events=1 EventPage*
DeleteEditionEvents: edition=1 string; domain=2 string
CloudEvent: type=1 string; data=2 Any; extensions=3 CloudEvent.ExtensionsEntry*; id=4 string?; source=5 string?; subject=6 string?
CloudEventsResponse: events=1 CloudEvent*
"""

ENUMS = """
SyncMode: SYNC_MODE_ASYNC=0 SYNC_MODE_SIMPLE=1 SYNC_MODE_CASCADE=2 SYNC_MODE_DECISION=3 SYNC_MODE_ISOLATED=4
CascadeErrorMode: CASCADE_ERROR_FAIL_FAST=0 CASCADE_ERROR_CONTINUE=1 CASCADE_ERROR_COMPENSATE=2 CASCADE_ERROR_DEAD_LETTER=3
MergeStrategy: MERGE_COMMUTATIVE=0 MERGE_STRICT=1 MERGE_AGGREGATE_HANDLES=2 MERGE_MANUAL=3
SnapshotRetention: RETENTION_DEFAULT=0 RETENTION_PERSIST=1 RETENTION_TRANSIENT=2
PayloadStorageType: PAYLOAD_STORAGE_TYPE_UNSPECIFIED=0 PAYLOAD_STORAGE_TYPE_FILESYSTEM=1 PAYLOAD_STORAGE_TYPE_GCS=2 PAYLOAD_STORAGE_TYPE_S3=3
"""

RPCS = """
CommandHandlerService/Handle: ContextualCommand > BusinessResponse
CommandHandlerService/HandleFact: FactRequest > EventBook
CommandHandlerService/Replay: ReplayRequest > ReplayResponse
CommandHandlerCoordinatorService/HandleCommand: CommandRequest > CommandResponse
CommandHandlerCoordinatorService/HandleEvent: EventRequest > FactInjectionResponse
CommandHandlerCoordinatorService/HandleSyncSpeculative: SpeculateCommandHandlerRequest > CommandResponse
CommandHandlerCoordinatorService/HandleCompensation: CommandRequest > BusinessResponse
SagaService/Handle: SagaHandleRequest > SagaResponse
SagaCoordinatorService/Execute: SagaHandleRequest > SagaResponse
SagaCoordinatorService/ExecuteSpeculative: SpeculateSagaRequest > SagaResponse
ProcessManagerService/Handle: ProcessManagerHandleRequest > ProcessManagerHandleResponse
ProcessManagerCoordinatorService/Handle: ProcessManagerCoordinatorRequest > ProcessManagerHandleResponse
ProcessManagerCoordinatorService/HandleSpeculative: SpeculatePmRequest > ProcessManagerHandleResponse
ProjectorService/Handle: EventBook > Projection
ProjectorService/HandleSpeculative: EventBook > Projection
ProjectorCoordinatorService/HandleSync: EventRequest > Projection
ProjectorCoordinatorService/Handle: EventBook > Empty
ProjectorCoordinatorService/HandleSpeculative: SpeculateProjectorRequest > Projection
EventQueryService/GetEventBook: Query > EventBook
EventQueryService/GetEvents: Query > stream EventBook
EventQueryService/Synchronize: stream Query > stream EventBook
EventQueryService/GetAggregateRoots: Empty > stream AggregateRoot
EventStreamService/Subscribe: EventStreamFilter > stream EventBook
UpcasterService/Upcast: UpcastRequest > UpcastResponse
"""
