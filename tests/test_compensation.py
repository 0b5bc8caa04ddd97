import pytest

import angzarr.messages as m
from angzarr.compensation import (
    CompensationContext,
    DelegationOptions,
    PMRevocationResponse,
    delegate_to_framework,
    emit_compensation_events,
    pm_delegate_to_framework,
    pm_emit_compensation_events,
)
from angzarr.errors import DecodeError

SOURCE = m.Cover(domain="order", root=m.UUID(value=bytes(16)))


def rejected(header: m.PageHeader) -> m.CommandBook:
    command = m.Any(type_url="type.googleapis.com/examples.CreateShipment")
    return m.CommandBook(
        cover=m.Cover(domain="fulfillment"), pages=[m.CommandPage(header=header, command=command)]
    )


def notification_of(command: m.CommandBook) -> m.Notification:
    return m.Notification(
        payload=m.pack(m.RejectionNotification(rejected_command=command, rejection_reason="no stock"))
    )


def deferred() -> m.PageHeader:
    return m.PageHeader(angzarr_deferred=m.AngzarrDeferredSequence(source=SOURCE, source_seq=7))


def test_a_rejection_tells_its_source_and_reason() -> None:
    context = CompensationContext.from_notification(notification_of(rejected(deferred())))
    assert context.rejection_reason == "no stock"
    assert context.source_event_sequence == 7
    assert context.source_aggregate == SOURCE
    assert context.source_domain == "order"
    assert context.source_root == bytes(16)
    assert context.rejected_command_type == "type.googleapis.com/examples.CreateShipment"
    assert context.dispatch_key == "fulfillment/examples.CreateShipment"


def test_a_rejection_under_its_production_name_is_read_too() -> None:
    notification = notification_of(rejected(deferred()))
    notification.payload.type_url = "type.angzarr.io/angzarr.RejectionNotification"
    assert CompensationContext.from_notification(notification).rejection_reason == "no stock"


def test_another_header_has_no_source() -> None:
    context = CompensationContext.from_notification(notification_of(rejected(m.PageHeader(sequence=4))))
    assert (
        context.source_event_sequence,
        context.source_aggregate,
        context.source_domain,
        context.source_root,
    ) == (
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("notification", [m.Notification(), m.Notification(payload=m.pack(m.Target()))])
def test_a_notification_without_a_rejection_is_an_empty_context(notification: m.Notification) -> None:
    context = CompensationContext.from_notification(notification)
    assert context == CompensationContext()
    assert (context.dispatch_key, context.rejected_command_type) == ("", None)


def test_a_malformed_rejection_is_a_decode_error() -> None:
    payload = m.Any(type_url=m.full_type_url(m.RejectionNotification), value=b"\x0a\x05x")
    with pytest.raises(DecodeError):
        CompensationContext.from_notification(m.Notification(payload=payload))


def test_delegating_asks_for_a_system_event_and_nothing_else() -> None:
    assert delegate_to_framework("out of stock") == m.BusinessResponse(
        revocation=m.RevocationResponse(emit_system_revocation=True, reason="out of stock")
    )


def test_every_option_has_its_flag() -> None:
    options = DelegationOptions(emit_system_event=False, send_to_dead_letter=True, escalate=True, abort=True)
    assert delegate_to_framework("x", options).revocation == m.RevocationResponse(
        emit_system_revocation=False, send_to_dead_letter_queue=True, escalate=True, abort=True, reason="x"
    )


def test_compensation_events_are_an_answer_of_events() -> None:
    book = m.EventBook(next_sequence=3)
    assert emit_compensation_events(book) == m.BusinessResponse(events=book)


def test_a_process_manager_delegates_without_events() -> None:
    assert pm_delegate_to_framework("x") == PMRevocationResponse(
        m.RevocationResponse(emit_system_revocation=True, reason="x"), None
    )


def test_a_process_manager_records_its_compensation() -> None:
    book = m.EventBook(next_sequence=3)
    assert pm_emit_compensation_events(book, also_emit_system_event=True, reason="x") == PMRevocationResponse(
        m.RevocationResponse(emit_system_revocation=True, reason="x"), book
    )
