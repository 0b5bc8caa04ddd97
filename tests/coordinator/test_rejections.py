"""What a source's answer to a rejection leads to: the table of section 8."""

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import EmbeddedCoordinator
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    EventBook,
    Notification,
    RejectionNotification,
    RevocationResponse,
    SagaCompensationFailed,
    new_cover,
    unpack,
)
from tests.coordinator.worlds import A, B, C, Domain, Saga, View, command, events, names, send, world


class Quarrel:
    """Left asks right, right refuses, and left answers to that as told."""

    def __init__(self, answer: BusinessResponse | Exception | None = None) -> None:
        self.left, self.right, self.third = Domain(), Domain(), Domain()
        self.view = View()
        self.more: list[CommandBook] = []
        self.right.refuse["DoIt"] = GRPCError(Status.FAILED_PRECONDITION, "not now")

        def compensate(request: ContextualCommand) -> BusinessResponse:
            if isinstance(answer, Exception):
                raise answer
            return BusinessResponse(events=events(request, "TakenBack")) if answer is None else answer

        self.left.compensate = compensate

    async def run(self) -> EmbeddedCoordinator:
        saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt"), *self.more]})
        async with world(
            handlers={"left": self.left, "right": self.right, "third": self.third},
            sagas={"s": ("left", saga)},
            projectors={"view": (["angzarr.saga-failures"], self.view)},
        ) as running:
            await send(running, "left", A, "DoOne", correlation_id="c-1")
            await running.settle(30)
            self.history = names(await running.events("left", A))
            self.failures = await running.events("angzarr.saga-failures", A)
            self.letters = await running.dead_letters()
            return running


async def test_events_compensate() -> None:
    quarrel = Quarrel()
    await quarrel.run()
    assert quarrel.history == ["DoneOne", "TakenBack"]
    assert (quarrel.failures.pages, quarrel.letters) == ([], [])


async def test_the_source_is_told_what_was_refused_and_why() -> None:
    quarrel = Quarrel()
    await quarrel.run()
    (told,) = quarrel.left.notifications
    notice = unpack(told.command.pages[0].command, Notification)
    refusal = unpack(notice.payload, RejectionNotification)
    assert (notice.cover.domain, notice.cover.root.value) == ("left", A)
    assert refusal.rejection_reason == "not now"
    assert refusal.rejected_command.cover.domain == "right"
    deferred = refusal.rejected_command.pages[0].header.angzarr_deferred
    assert (deferred.source.domain, deferred.source.root.value, deferred.source_seq) == ("left", A, 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (BusinessResponse(), "the source did not compensate"),
        (BusinessResponse(events=EventBook()), "the source did not compensate"),
        (GRPCError(Status.INTERNAL, "broken"), "broken"),
        (
            BusinessResponse(revocation=RevocationResponse(emit_system_revocation=True, reason="up to you")),
            "up to you",
        ),
    ],
)
async def test_otherwise_a_failure_is_published(answer: BusinessResponse | Exception, why: str) -> None:
    quarrel = Quarrel(answer)
    await quarrel.run()
    assert quarrel.history == ["DoneOne"]
    (page,) = quarrel.failures.pages
    failed = unpack(page.event, SagaCompensationFailed)
    assert (failed.rejection_reason, failed.compensation_failure_reason) == ("not now", why)
    assert (failed.triggering_aggregate.root.value, failed.triggering_event_sequence) == (A, 0)
    assert failed.rejected_command.cover.domain == "right"
    assert [name for _, _, name in quarrel.view.events] == ["SagaCompensationFailed"]
    assert quarrel.view.books[0].cover.correlation_id == "c-1"


async def test_a_revocation_may_ask_for_a_dead_letter() -> None:
    quarrel = Quarrel(
        BusinessResponse(revocation=RevocationResponse(send_to_dead_letter_queue=True, reason="look"))
    )
    await quarrel.run()
    (letter,) = quarrel.letters
    assert (letter.source_component, letter.rejection_reason) == ("s", "look")
    assert letter.rejected_command.cover.domain == "right"
    assert quarrel.failures.pages == []


async def test_a_revocation_may_escalate(caplog: pytest.LogCaptureFixture) -> None:
    quarrel = Quarrel(BusinessResponse(revocation=RevocationResponse(escalate=True, reason="help")))
    await quarrel.run()
    (record,) = [record for record in caplog.records if "rejection_escalated" in record.getMessage()]
    assert record.levelname == "ERROR"
    assert "reason='help'" in record.getMessage()
    assert "component='s'" in record.getMessage()


async def test_a_revocation_may_stop_the_chain() -> None:
    quarrel = Quarrel(BusinessResponse(revocation=RevocationResponse(abort=True, reason="stop")))
    quarrel.more = [command("third", C, "DoAnother")]
    await quarrel.run()
    assert quarrel.third.commands == []
    assert quarrel.failures.pages == []


async def test_without_abort_the_chain_goes_on() -> None:
    quarrel = Quarrel()
    quarrel.more = [command("third", C, "DoAnother")]
    await quarrel.run()
    assert len(quarrel.third.commands) == 1


async def test_a_notification_is_forwarded_once_more() -> None:
    quarrel = Quarrel(BusinessResponse(notification=Notification(cover=new_cover("third", C))))
    quarrel.third.compensate = lambda request: BusinessResponse(events=events(request, "Understood"))
    running = await quarrel.run()
    assert running.addresses == []
    (told,) = quarrel.third.notifications
    assert told.command.cover.root.value == C
    assert quarrel.failures.pages == []


async def test_a_notification_is_not_forwarded_twice() -> None:
    onward = BusinessResponse(notification=Notification(cover=new_cover("third", C)))
    quarrel = Quarrel(onward)
    quarrel.third.compensate = lambda _: onward
    await quarrel.run()
    assert len(quarrel.third.notifications) == 1


async def test_a_source_without_handler_is_published() -> None:
    quarrel = Quarrel()
    quarrel.left.compensate = None
    await quarrel.run()
    assert len(quarrel.failures.pages) == 1
