"""The table of coordinator-contract.md §8, row by row, with real routers as the source of a refused command."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from angzarr.compensation import (
    DelegationOptions,
    delegate_to_framework,
    emit_compensation_events,
    pm_delegate_to_framework,
    pm_emit_compensation_events,
)
from angzarr.coordinator import EmbeddedCoordinator, ReactionConfig
from angzarr.errors import GRPCError
from angzarr.messages import (
    BusinessResponse,
    CascadeErrorMode,
    EventBook,
    Notification,
    RejectionNotification,
    RevocationResponse,
    SyncMode,
    new_cover,
    unpack,
)
from angzarr.router import RejectionHandlerResponse, SagaHandlerResponse
from tests.bank.messages import AccountClosed, Deposited, OpenAccount
from tests.coordinator.quarrels import FLOW, ROOT, Answer, Quarrel, names, own
from tests.coordinator.worlds import FAST

QUIET = DelegationOptions(emit_system_event=False)
CLOSED = AccountClosed(reason="no welcome")

KINDS = ["account", "saga", "manager"]


def answering(who: str, answer: Any) -> Answer:
    """An answer that is the same whatever was refused; a process manager wraps a revocation in its own way."""

    def give(_: Notification) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return give


async def quarrel(who: str, answer: Any, **options: Any) -> Quarrel:
    story = Quarrel(**{who: answering(who, answer)})
    await story.run(**options)
    return story


def source_of(who: str) -> tuple[str, bytes]:
    return ("greeting", bytes.fromhex(FLOW.replace("-", ""))) if who == "manager" else ("account", ROOT.bytes)


# events with pages: stored; done


@pytest.mark.parametrize(
    "answer", [CLOSED, own(CLOSED), emit_compensation_events(own(CLOSED)), [CLOSED, CLOSED]]
)
async def test_an_aggregates_events_are_stored_and_nothing_has_failed(answer: Any) -> None:
    story = await quarrel("account", answer)
    count = len(answer) if isinstance(answer, list) else 1
    assert story.history["account"] == ["AccountOpened", *["AccountClosed"] * count]
    assert (story.failures, story.letters) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        own(CLOSED),
        SagaHandlerResponse(events=[own(CLOSED)]),
        emit_compensation_events(own(CLOSED)),
        RejectionHandlerResponse(events=[own(CLOSED)]),
    ],
)
async def test_a_sagas_events_are_stored_in_its_source_and_nothing_has_failed(answer: Any) -> None:
    story = await quarrel("saga", answer)
    assert story.history["account"] == ["AccountOpened", "AccountClosed"]
    assert (story.failures, story.letters) == ([], [])


@pytest.mark.parametrize(
    "answer", [pm_emit_compensation_events(own(CLOSED)), emit_compensation_events(own(CLOSED))]
)
async def test_a_process_managers_events_are_stored_in_its_process_and_nothing_has_failed(
    answer: Any,
) -> None:
    story = await quarrel("manager", answer)
    assert story.history["greeting"] == ["OnboardingStarted", "AccountClosed"]
    assert (story.failures, story.letters) == ([], [])


# nothing, empty events, or an error: the default


@pytest.mark.parametrize("who", KINDS)
@pytest.mark.parametrize(
    "answer", [None, BusinessResponse(), BusinessResponse(events=EventBook()), RuntimeError("broken")]
)
async def test_otherwise_a_system_revocation_is_emitted(who: str, answer: Any) -> None:
    story = await quarrel(who, answer)
    (failure,) = story.failures
    domain, root = source_of(who)
    assert failure.rejection_reason == "mailbox is full"
    assert (failure.triggering_aggregate.domain, failure.triggering_aggregate.root.value) == (domain, root)
    assert failure.triggering_event_sequence == 0
    assert failure.rejected_command.cover.domain == "mail"
    assert failure.occurred_at.year > 2000
    assert [text.partition(":")[0] for text in story.projected] == [FLOW]
    assert story.letters == []
    assert story.history["vault"] == ["AccountViewed"]


async def test_a_source_whose_handler_raises_is_named_as_the_reason() -> None:
    story = await quarrel("account", RuntimeError("broken"))
    assert "RuntimeError" in story.failures[0].compensation_failure_reason


# revocation.emit_system_revocation


@pytest.mark.parametrize("who", KINDS)
async def test_a_revocation_may_emit_a_system_revocation(who: str) -> None:
    made = pm_delegate_to_framework if who == "manager" else delegate_to_framework
    story = await quarrel(who, made("up to you"))
    assert [failure.compensation_failure_reason for failure in story.failures] == ["up to you"]
    assert story.projected == [f"{FLOW}: up to you"]
    assert story.history["account"] == ["AccountOpened"]
    assert story.letters == []


async def test_a_process_manager_may_do_both() -> None:
    both = pm_emit_compensation_events(own(CLOSED), also_emit_system_event=True, reason="and tell")
    story = await quarrel("manager", both)
    assert story.history["greeting"] == ["OnboardingStarted", "AccountClosed"]
    assert [failure.compensation_failure_reason for failure in story.failures] == ["and tell"]


@pytest.mark.parametrize("who", KINDS)
async def test_a_revocation_that_asks_for_nothing_leads_to_nothing(who: str) -> None:
    story = await quarrel(who, RevocationResponse(reason="let it be"))
    assert (story.failures, story.letters) == ([], [])
    assert story.history["account"] == ["AccountOpened"]


# revocation.send_to_dead_letter_queue


@pytest.mark.parametrize("who", KINDS)
async def test_a_revocation_may_ask_for_a_dead_letter(who: str) -> None:
    made = pm_delegate_to_framework if who == "manager" else delegate_to_framework
    story = await quarrel(who, made("look", replace(QUIET, send_to_dead_letter=True)))
    (letter,) = story.letters
    component = ("greeting", "process_manager") if who == "manager" else ("welcome", "saga")
    assert (letter.source_component, letter.source_component_type) == component
    assert letter.rejection_reason == "look"
    assert letter.rejected_command.cover.domain == "mail"
    assert story.failures == []


# revocation.escalate


@pytest.mark.parametrize("who", KINDS)
async def test_a_revocation_may_escalate_to_the_log(who: str, caplog: pytest.LogCaptureFixture) -> None:
    story = await quarrel(who, delegate_to_framework("help", replace(QUIET, escalate=True)))
    (record,) = [record for record in caplog.records if "rejection_escalated" in record.getMessage()]
    assert record.levelname == "ERROR"
    assert "reason='help'" in record.getMessage()
    assert f"source_domain='{source_of(who)[0]}'" in record.getMessage()
    assert story.failures == []


@contextmanager
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    posted: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posted
    server.shutdown()
    thread.join()
    server.server_close()


async def test_an_escalation_is_posted_to_the_configured_webhook() -> None:
    with webhook() as (url, posted):
        config = replace(FAST, reactions=ReactionConfig(min_delay=0.001, attempts=3, escalation_webhook=url))
        await quarrel("account", delegate_to_framework("help", replace(QUIET, escalate=True)), config=config)
    assert len(posted) == 1
    assert b'"reason": "help"' in posted[0]


# revocation.abort


@pytest.mark.parametrize("who", KINDS)
async def test_a_revocation_may_stop_the_chain(who: str) -> None:
    story = await quarrel(who, delegate_to_framework("stop", replace(QUIET, abort=True)))
    assert story.history["vault"] == []
    assert (story.failures, story.letters) == ([], [])


@pytest.mark.parametrize("who", KINDS)
@pytest.mark.parametrize(
    "errors", [CascadeErrorMode.CASCADE_ERROR_FAIL_FAST, CascadeErrorMode.CASCADE_ERROR_CONTINUE]
)
async def test_under_cascade_the_caller_gets_an_aborts_error(who: str, errors: CascadeErrorMode) -> None:
    story = Quarrel(**{who: answering(who, delegate_to_framework("stop", replace(QUIET, abort=True)))})
    answer = await story.run(mode=SyncMode.CASCADE, cascade_error_mode=errors)
    assert isinstance(answer, GRPCError)
    assert answer.grpc_details == "Compensation aborted the chain: stop"
    assert story.history["vault"] == []


@pytest.mark.parametrize("who", KINDS)
async def test_without_abort_the_chain_goes_on(who: str) -> None:
    story = await quarrel(who, delegate_to_framework("go on", QUIET))
    assert story.history["vault"] == ["AccountViewed"]


# notification: forwarded upstream once more


@pytest.mark.parametrize("who", KINDS)
async def test_a_notification_goes_to_the_aggregate_it_names(who: str) -> None:
    onward = Notification(cover=new_cover("person", ROOT))
    told: list[Notification] = []

    def person(notification: Notification) -> Any:
        told.append(notification)
        return Deposited(amount=1)

    def forward(notification: Notification) -> RejectionHandlerResponse:
        onward.payload = notification.payload
        return RejectionHandlerResponse(notification=onward)

    story = Quarrel(**{who: forward, "person": person})
    await story.run()
    assert story.history["person"] == ["AccountOpened", "Deposited"]
    assert unpack(told[0].payload, RejectionNotification).rejection_reason == "mailbox is full"
    assert (story.failures, story.letters) == ([], [])


@pytest.mark.parametrize(
    ("who", "above"), [("account", "person"), ("saga", "account"), ("manager", "account")]
)
async def test_a_notification_passed_on_as_it_came_goes_to_whoever_is_upstream(who: str, above: str) -> None:
    story = Quarrel(
        **{
            who: lambda notification: BusinessResponse(notification=notification),
            above: lambda _: Deposited(amount=1),
        }
    )
    await story.run()
    assert story.told == [who, above]
    assert story.history[above] == ["AccountOpened", "Deposited"]
    assert (story.failures, story.letters) == ([], [])


async def test_a_notification_with_nobody_upstream_is_a_failure() -> None:
    onward = BusinessResponse(notification=Notification())
    story = Quarrel(account=lambda _: onward, person=lambda _: onward)
    await story.run()
    assert story.told == ["account", "person"]
    assert len(story.failures) == 1


# who hears of it


async def test_a_sagas_source_hears_of_the_refusal_as_well() -> None:
    story = Quarrel(saga=lambda _: delegate_to_framework("mine", QUIET), account=lambda _: CLOSED)
    await story.run()
    assert story.told == ["saga", "account"]
    assert story.history["account"] == ["AccountOpened", "AccountClosed"]
    assert (story.failures, story.letters) == ([], [])


async def test_a_process_managers_trigger_does_not_hear_of_it() -> None:
    story = await quarrel("manager", pm_emit_compensation_events(own(CLOSED)))
    assert story.told == ["manager"]


@pytest.mark.parametrize("who", KINDS)
async def test_the_answers_are_carried_out_in_a_cascade_too(who: str) -> None:
    story = Quarrel(**{who: answering(who, delegate_to_framework("up to you"))})
    answer = await story.run(mode=SyncMode.CASCADE)
    assert isinstance(answer, GRPCError)
    assert answer.grpc_details == "mailbox is full"
    assert [failure.compensation_failure_reason for failure in story.failures] == ["up to you"]


def _running(coordinator: EmbeddedCoordinator) -> bool:
    return any("running" in row.state for row in coordinator.runtime.reactions.pending())


@pytest.mark.parametrize("who", ["saga", "manager"])
async def test_what_was_answered_before_a_stop_is_carried_out_once_after_it(who: str, tmp_path: Path) -> None:
    async def revoked_and_stopped() -> None:
        async with EmbeddedCoordinator(story.app(), store=tmp_path / "q.db", config=FAST) as running:
            stop.append(running.runtime.reactions.stop)
            client = running.client("person").command_handler
            builder = client.command("person", ROOT).with_correlation_id(FLOW)
            await builder.with_command(OpenAccount(owner="alice")).execute()
            with anyio.fail_after(30):
                while who not in story.told or _running(running):  # noqa: ASYNC110
                    await anyio.sleep(0.005)

    stop: list[Callable[[], None]] = []

    def answer(_: Notification) -> BusinessResponse:
        stop[0]()
        return delegate_to_framework("up to you")

    story = Quarrel(**{who: answer})
    await revoked_and_stopped()
    async with EmbeddedCoordinator(story.app(), store=tmp_path / "q.db", config=FAST) as running:
        await running.settle(30)
        _, root = source_of(who)
        assert names(await running.events("angzarr.saga-failures", root)) == ["SagaCompensationFailed"]
    assert story.told.count(who) == 1
