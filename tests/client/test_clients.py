"""What each client asks of its stub, and how clients are made of parts."""

import inspect
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpclib
import pytest
from grpclib.const import Status

from angzarr.client import (
    CommandHandlerClient,
    DomainClient,
    EventStreamClient,
    ProcessManagerClient,
    ProjectorClient,
    QueryClient,
    SagaClient,
    SpeculativeClient,
)
from angzarr.errors import ClientError, GRPCError, InvalidArgumentError
from angzarr.identity import compute_root
from angzarr.messages import (
    AggregateRoot,
    BusinessResponse,
    CascadeErrorMode,
    CommandBook,
    CommandRequest,
    CommandResponse,
    Cover,
    Empty,
    EventBook,
    EventRequest,
    EventStreamFilter,
    FactInjectionResponse,
    MergeStrategy,
    ProcessManagerCoordinatorRequest,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    Query,
    SagaHandleRequest,
    SagaResponse,
    SequenceRange,
    SpeculateCommandHandlerRequest,
    SpeculatePmRequest,
    SpeculateProjectorRequest,
    SpeculateSagaRequest,
    SyncMode,
)
from angzarr.messages.services import SERVICES
from tests.client.stubs import Recording

if TYPE_CHECKING:
    from angzarr.client.base import SingleServiceClient

COVER = Cover(domain="player", correlation_id="corr")
BOOK = EventBook(cover=COVER)
COMMAND = CommandBook(cover=COVER)

UNARY: list[tuple[Callable[[Any], Callable[..., Awaitable[Any]]], str, Any, Any]] = [
    (lambda s: QueryClient.from_stub(s).get_event_book, "get_event_book", Query(cover=COVER), BOOK),
    (
        lambda s: CommandHandlerClient.from_stub(s).handle_command,
        "handle_command",
        CommandRequest(command=COMMAND),
        CommandResponse(events=BOOK),
    ),
    (
        lambda s: CommandHandlerClient.from_stub(s).handle_event,
        "handle_event",
        EventRequest(events=BOOK),
        FactInjectionResponse(already_processed=True),
    ),
    (
        lambda s: CommandHandlerClient.from_stub(s).handle_compensation,
        "handle_compensation",
        CommandRequest(command=COMMAND),
        BusinessResponse(events=BOOK),
    ),
    (
        lambda s: CommandHandlerClient.from_stub(s).handle_sync_speculative,
        "handle_sync_speculative",
        SpeculateCommandHandlerRequest(command=COMMAND),
        CommandResponse(events=BOOK),
    ),
    (
        lambda s: SpeculativeClient.from_stubs(s, None, None, None).command_handler,
        "handle_sync_speculative",
        SpeculateCommandHandlerRequest(command=COMMAND),
        CommandResponse(events=BOOK),
    ),
    (
        lambda s: SpeculativeClient.from_stubs(None, s, None, None).saga,
        "execute_speculative",
        SpeculateSagaRequest(request=SagaHandleRequest(source=BOOK)),
        SagaResponse(events=[BOOK]),
    ),
    (
        lambda s: SpeculativeClient.from_stubs(None, None, s, None).projector,
        "handle_speculative",
        SpeculateProjectorRequest(events=BOOK),
        Projection(projector="p"),
    ),
    (
        lambda s: SpeculativeClient.from_stubs(None, None, None, s).process_manager,
        "handle_speculative",
        SpeculatePmRequest(request=ProcessManagerHandleRequest(trigger=BOOK)),
        ProcessManagerHandleResponse(facts=[BOOK]),
    ),
    (
        lambda s: SagaClient.from_stub(s).execute,
        "execute",
        SagaHandleRequest(source=BOOK),
        SagaResponse(events=[BOOK]),
    ),
    (
        lambda s: SagaClient.from_stub(s).execute_speculative,
        "execute_speculative",
        SpeculateSagaRequest(request=SagaHandleRequest(source=BOOK)),
        SagaResponse(events=[BOOK]),
    ),
    (
        lambda s: ProcessManagerClient.from_stub(s).handle,
        "handle",
        ProcessManagerCoordinatorRequest(trigger=BOOK),
        ProcessManagerHandleResponse(facts=[BOOK]),
    ),
    (
        lambda s: ProcessManagerClient.from_stub(s).handle_speculative,
        "handle_speculative",
        SpeculatePmRequest(request=ProcessManagerHandleRequest(trigger=BOOK)),
        ProcessManagerHandleResponse(facts=[BOOK]),
    ),
    (
        lambda s: ProjectorClient.from_stub(s).handle_sync,
        "handle_sync",
        EventRequest(events=BOOK),
        Projection(projector="p"),
    ),
    (lambda s: ProjectorClient.from_stub(s).handle, "handle", BOOK, None),
    (
        lambda s: ProjectorClient.from_stub(s).handle_speculative,
        "handle_speculative",
        SpeculateProjectorRequest(events=BOOK),
        Projection(projector="p"),
    ),
]


@pytest.mark.parametrize(("method", "name", "request_", "answer"), UNARY)
async def test_a_method_calls_its_rpc_with_timeout_and_correlation_id(
    method: Callable[[Any], Callable[..., Awaitable[Any]]], name: str, request_: Any, answer: Any
) -> None:
    stub = Recording(answer)
    assert await method(stub)(request_, timeout=3.0) is answer
    [(called, request, timeout, metadata)] = stub.calls
    assert called == name
    assert request is request_
    assert timeout == 3.0
    assert metadata == [("x-correlation-id", "corr")]


@pytest.mark.parametrize(("method", "name", "request_", "answer"), UNARY)
async def test_a_status_becomes_our_error(
    method: Callable[[Any], Callable[..., Awaitable[Any]]], name: str, request_: Any, answer: Any
) -> None:
    status = grpclib.GRPCError(Status.NOT_FOUND, "no such thing")
    with pytest.raises(GRPCError) as raised:
        await method(Recording(status))(request_)
    assert raised.value.is_not_found()
    assert raised.value.grpc_details == "no such thing"
    assert raised.value.__cause__ is status


def test_every_coordinator_rpc_has_a_method() -> None:
    clients: tuple[type[SingleServiceClient], ...] = (
        CommandHandlerClient,
        QueryClient,
        SagaClient,
        ProcessManagerClient,
        ProjectorClient,
        EventStreamClient,
    )
    served = {service.full_name: client for client in clients for service in client.services}
    for service in SERVICES:
        if "Coordinator" in service.full_name or service.short_name.startswith("Event"):
            for rpc in service.rpcs.values():
                assert hasattr(served[service.full_name], rpc.python_name), rpc.path


async def test_no_correlation_id_sends_no_header_and_no_timeout_no_deadline() -> None:
    stub = Recording(BOOK)
    await QueryClient.from_stub(stub).get_event_book(Query())
    assert stub.calls[0][2:] == (None, [])


async def test_a_correlation_id_that_no_header_can_carry_stays_in_the_message() -> None:
    stub = Recording(BOOK)
    await QueryClient.from_stub(stub).get_event_book(Query(cover=Cover(correlation_id="café")))
    assert stub.last.cover.correlation_id == "café"
    assert stub.calls[0][3] == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "1"])
async def test_a_timeout_that_makes_no_sense_is_refused(timeout: object) -> None:
    stub = Recording()
    with pytest.raises(InvalidArgumentError) as raised:
        await QueryClient.from_stub(stub).get_event_book(Query(), timeout=timeout)  # type: ignore[arg-type]
    assert raised.value.details["field"] == "timeout"
    assert stub.calls == []


async def test_handle_wraps_a_command_book() -> None:
    stub = Recording(CommandResponse())
    await CommandHandlerClient.from_stub(stub).handle(COMMAND)
    assert stub.last.command is COMMAND
    assert stub.last.sync_mode is SyncMode.ASYNC
    assert stub.last.cascade_error_mode is CascadeErrorMode.CASCADE_ERROR_FAIL_FAST


async def test_get_events_drains_the_stream_in_order() -> None:
    stub = Recording([EventBook(next_sequence=n) for n in (1, 2, 3)])
    books = await QueryClient.from_stub(stub).get_events(Query(cover=COVER))
    assert [book.next_sequence for book in books] == [1, 2, 3]
    assert stub.calls[0][0] == "get_events"
    assert stub.calls[0][3] == [("x-correlation-id", "corr")]


async def test_stream_events_gives_one_book_at_a_time() -> None:
    stub = Recording([EventBook(next_sequence=1), grpclib.GRPCError(Status.INTERNAL, "broke")])
    books = QueryClient.from_stub(stub).stream_events(Query())
    assert (await anext(books)).next_sequence == 1
    with pytest.raises(GRPCError):
        await anext(books)


async def test_more_books_than_allowed_are_an_error() -> None:
    client = QueryClient.from_stub(Recording([BOOK, BOOK], [BOOK, BOOK], [BOOK, BOOK]))
    assert len(await client.get_events(Query(), max_books=2)) == 2
    for limit in (1, 0):
        with pytest.raises(ClientError) as raised:
            await client.get_events(Query(), max_books=limit)
        assert raised.value.code == "STREAM_LIMIT_EXCEEDED"
        assert raised.value.details == {"limit": str(limit)}


@pytest.mark.parametrize("bound", [-1, "1", 1.5, True])
async def test_a_bound_that_makes_no_sense_is_refused(bound: Any) -> None:
    stub = Recording()
    with pytest.raises(InvalidArgumentError) as raised:
        await QueryClient.from_stub(stub).get_events(Query(), max_books=bound)
    assert raised.value.details["field"] == "max_books"
    assert stub.calls == []


async def test_a_bound_of_nothing_takes_no_book() -> None:
    client = QueryClient.from_stub(Recording([], [BOOK]))
    assert await client.get_events(Query(), max_books=0) == []
    with pytest.raises(ClientError) as raised:
        await client.get_events(Query(), max_books=0)
    assert raised.value.code == "STREAM_LIMIT_EXCEEDED"


@pytest.mark.parametrize("root", [5, b"short", None])
def test_builders_refuse_what_is_no_root(root: Any) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        CommandHandlerClient.from_stub(Recording()).command("player", root)
    assert raised.value.code == "PROTO_UUID_INVALID"


def test_builders_take_roots_in_every_form_that_send_takes() -> None:
    root = compute_root("player", "alice")
    for given in (root, root.bytes, str(root), "alice"):
        query = QueryClient.from_stub(Recording()).query("player", given).build()
        command = CommandHandlerClient.from_stub(Recording()).command("player", given).with_command("u", b"")
        assert query.cover.root.value == command.build().cover.root.value == root.bytes


async def test_aggregate_roots_are_streamed() -> None:
    stub = Recording([AggregateRoot(domain="a"), AggregateRoot(domain="b")])
    assert [root.domain async for root in QueryClient.from_stub(stub).get_aggregate_roots()] == ["a", "b"]
    assert isinstance(stub.last, Empty)


async def test_synchronize_passes_the_queries_on() -> None:
    stub = Recording([BOOK])
    queries = [Query()]
    assert [book async for book in QueryClient.from_stub(stub).synchronize(queries)] == [BOOK]
    assert stub.last is queries


async def test_a_subscription_names_its_correlation_id() -> None:
    stub = Recording([BOOK])
    assert [book async for book in EventStreamClient.from_stub(stub).subscribe("corr")] == [BOOK]
    assert stub.last == EventStreamFilter(correlation_id="corr")


def domain_client(
    commands: Recording, queries: Recording | None = None, domain: str = "player"
) -> DomainClient:
    return DomainClient.from_clients(
        CommandHandlerClient.from_stub(commands),
        QueryClient.from_stub(queries or Recording()),
        SpeculativeClient.from_stubs(commands, None, None, None),
        domain=domain,
    )


async def test_send_without_a_sequence_lets_the_aggregate_decide() -> None:
    stub = Recording(CommandResponse())
    root = uuid.uuid4()
    await domain_client(stub).send(SequenceRange(lower=1), root=root)
    page = stub.last.command.pages[0]
    assert page.merge_strategy is MergeStrategy.MERGE_AGGREGATE_HANDLES
    assert page.header.sequence == 0
    assert stub.last.command.cover.domain == "player"
    assert stub.last.command.cover.root.value == root.bytes
    assert stub.last.sync_mode is SyncMode.ASYNC
    assert page.command.type_url.endswith("/angzarr_client.proto.angzarr.SequenceRange")


async def test_send_with_a_sequence_is_strict() -> None:
    stub = Recording(CommandResponse())
    await domain_client(stub).send(
        SequenceRange(), root=uuid.uuid4(), sequence=0, sync_mode=SyncMode.SIMPLE, correlation_id="corr"
    )
    page = stub.last.command.pages[0]
    assert (page.merge_strategy, page.header.sequence) == (MergeStrategy.MERGE_STRICT, 0)
    assert stub.last.sync_mode is SyncMode.SIMPLE
    assert stub.last.command.cover.correlation_id == "corr"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (uuid.UUID(int=5), uuid.UUID(int=5)),
        (uuid.UUID(int=5).bytes, uuid.UUID(int=5)),
        (str(uuid.UUID(int=5)), uuid.UUID(int=5)),
        ("alice", compute_root("player", "alice")),
    ],
)
async def test_a_root_may_be_a_uuid_bytes_or_text(root: uuid.UUID | bytes | str, expected: uuid.UUID) -> None:
    stub = Recording(CommandResponse())
    await domain_client(stub).send(SequenceRange(), root=root)
    assert stub.last.command.cover.root.value == expected.bytes


@pytest.mark.parametrize("root", [b"short", None, 5])
async def test_anything_else_is_no_root(root: object) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        await domain_client(Recording()).send(SequenceRange(), root=root)  # type: ignore[arg-type]
    assert raised.value.code == "PROTO_UUID_INVALID"


async def test_send_needs_a_domain() -> None:
    client = domain_client(Recording(CommandResponse()), domain="")
    with pytest.raises(InvalidArgumentError) as raised:
        await client.send(SequenceRange(), root="alice")
    assert raised.value.details["field"] == "domain"
    await client.send(SequenceRange(), root="alice", domain="player")


async def test_execute_and_execute_with_mode_send_a_book() -> None:
    stub = Recording(CommandResponse(), CommandResponse())
    client = domain_client(stub)
    await client.execute(COMMAND)
    assert (stub.last.command, stub.last.sync_mode) == (COMMAND, SyncMode.ASYNC)
    await client.execute_with_mode(COMMAND, SyncMode.CASCADE)
    assert stub.last.sync_mode is SyncMode.CASCADE


async def test_a_domain_client_queries() -> None:
    queries = Recording(BOOK, [BOOK])
    client = domain_client(Recording(), queries)
    assert await client.get_event_book(Query()) is BOOK
    assert await client.get_events(Query()) == [BOOK]


async def test_the_parts_are_attributes_and_closing_leaves_them_usable() -> None:
    commands = CommandHandlerClient.from_stub(Recording(CommandResponse()))
    query = QueryClient.from_stub(Recording())
    speculative = SpeculativeClient.from_stubs(None, None, None, None)
    client = DomainClient.from_clients(commands, query, speculative)
    assert (client.command_handler, client.query, client.speculative) == (commands, query, speculative)
    await client.close()
    await client.close()
    await client.execute(COMMAND)


async def test_without_a_speculative_client_the_command_handlers_stub_speculates() -> None:
    stub = Recording(CommandResponse())
    client = DomainClient.from_clients(
        CommandHandlerClient.from_stub(stub), QueryClient.from_stub(Recording())
    )
    await client.speculative.command_handler(SpeculateCommandHandlerRequest())
    assert stub.names == ["handle_sync_speculative"]
    with pytest.raises(GRPCError) as raised:
        await client.speculative.saga(SpeculateSagaRequest())
    assert raised.value.grpc_code is Status.UNIMPLEMENTED


async def test_at_current_sequence_works_for_the_parts_of_a_domain_client() -> None:
    client = domain_client(Recording(), Recording(EventBook(next_sequence=4)))
    built = await client.command_handler.command("player", uuid.uuid4()).at_current_sequence()
    assert built.with_command(SequenceRange()).build().pages[0].header.sequence == 4


def test_every_public_method_has_a_docstring() -> None:
    for client in (CommandHandlerClient, QueryClient, DomainClient, SagaClient, ProjectorClient):
        for name, member in inspect.getmembers(client, inspect.isfunction):
            assert name.startswith("_") or inspect.getdoc(member), f"{client.__name__}.{name}"
