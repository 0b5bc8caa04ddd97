from typing import Any
from unittest.mock import ANY

import pytest
from grpclib.const import Status
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.errors import DispatchError
from angzarr.messages import (
    EventPage,
    PageHeader,
    PayloadReference,
    UpcastRequest,
    UpcastResponse,
    encode,
    pack,
    unpack,
    unpack_any,
)
from angzarr.router import UpcasterRouter, upcaster, upcasts
from tests.bank.domain import AccountV2, AccountV3
from tests.bank.messages import AccountOpened, AccountOpenedV1, AccountOpenedV2, Deposited
from tests.router.helpers import T0, page, upcaster_router


def both() -> UpcasterRouter:
    return upcaster_router(AccountV2, AccountV3)


async def upcast(router: UpcasterRouter, *pages: EventPage, domain: str = "account") -> list[EventPage]:
    answer = await router.dispatch(UpcastRequest(domain=domain, events=list(pages)))
    assert isinstance(answer, UpcastResponse)
    return answer.events


async def test_an_old_event_becomes_the_new_one_through_the_chain() -> None:
    found = await upcast(both(), page(AccountOpenedV1(name="Ada Lovelace"), 3))
    assert unpack(found[0].event, AccountOpened) == AccountOpened(owner="Ada Lovelace")


async def test_upcasters_chain_in_the_order_of_registration_only() -> None:
    backwards = upcaster_router(AccountV3, AccountV2)
    found = await upcast(backwards, page(AccountOpenedV1(name="Ada Lovelace")))
    assert unpack(found[0].event, AccountOpenedV2).first_name == "Ada"


async def test_one_upcaster_transforms_a_page_once() -> None:
    @upcaster(name="loop", domain="account")
    class Loop:
        @upcasts(AccountOpenedV1, AccountOpenedV1)
        def again(self, old: AccountOpenedV1) -> AccountOpenedV1:
            return AccountOpenedV1(name=old.name + "!")

    found = await upcast(upcaster_router(Loop), page(AccountOpenedV1(name="a")))
    assert unpack(found[0].event, AccountOpenedV1).name == "a!"


async def test_all_else_about_a_page_stays() -> None:
    old = EventPage(
        header=PageHeader(sequence=7),
        created_at=T0,
        event=pack(AccountOpenedV1(name="a")),
        no_commit=True,
        cascade_id="c",
    )
    before = encode(old)
    (found,) = await upcast(both(), old)
    assert (found.header.sequence, found.created_at, found.no_commit, found.cascade_id) == (
        7,
        T0,
        True,
        "c",
    )
    assert encode(old) == before


async def test_what_needs_no_upcasting_passes_unchanged() -> None:
    pages = [
        page(Deposited(amount=1), 0),
        EventPage(external=PayloadReference(uri="s3://x")),
        EventPage(),
        page(AccountOpened(owner="a"), 3),
    ]
    assert [encode(found) for found in await upcast(both(), *pages)] == [encode(one) for one in pages]


async def test_the_events_of_other_domains_pass_unchanged() -> None:
    old = page(AccountOpenedV1(name="a"))
    assert [encode(found) for found in await upcast(both(), old, domain="table")] == [encode(old)]


async def test_an_upcaster_without_methods_lets_everything_pass() -> None:
    @upcaster(name="idle", domain="account")
    class Idle: ...

    old = page(AccountOpenedV1(name="a"))
    assert [encode(found) for found in await upcast(upcaster_router(Idle), old)] == [encode(old)]


async def test_old_events_match_behind_any_prefix_and_new_ones_carry_ours() -> None:
    (found,) = await upcast(both(), page(AccountOpenedV2(first_name="Ada"), prefix=""))
    assert found.event.type_url == "type.googleapis.com/bank.AccountOpened"


async def test_the_event_is_packed_under_the_class_the_method_returned() -> None:
    @upcaster(name="other", domain="account")
    class Other:
        @upcasts(AccountOpenedV1, AccountOpened)
        async def other(self, old: AccountOpenedV1) -> Any:
            return AccountOpenedV2(first_name=old.name)

    (found,) = await upcast(upcaster_router(Other), page(AccountOpenedV1(name="a")))
    assert unpack_any(found.event) == AccountOpenedV2(first_name="a")


@pytest.mark.parametrize(("wrong", "name"), [(None, "NoneType"), ("text", "str"), ([Deposited()], "list")])
async def test_an_upcaster_that_returns_no_message_is_named(wrong: Any, name: str) -> None:
    @upcaster(name="wrong", domain="account")
    class Wrong:
        @upcasts(AccountOpenedV1, AccountOpened)
        def wrong(self, old: AccountOpenedV1) -> Any:
            return wrong

    with pytest.raises(DispatchError) as caught:
        await upcast(upcaster_router(Wrong), page(AccountOpenedV1()))
    assert (caught.value.code(), caught.value.error_code) == (
        Status.INTERNAL,
        "UPCASTER_WRONG_RESPONSE_KIND",
    )
    assert caught.value.extras == {
        "handler_class": "Wrong",
        "method": "wrong",
        "actual_return_type": name,
        "actual": ANY,
    }


async def test_an_old_event_that_cannot_be_decoded_is_an_error() -> None:
    broken = page(AccountOpenedV1(name="a"))
    broken.event.value = b"\x0a\x09"
    with pytest.raises(DispatchError) as caught:
        await upcast(both(), broken)
    assert caught.value.error_code == "ANY_DECODE_FAILED"


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                AccountOpenedV1(name="Ada Lovelace"),
                AccountOpenedV2(first_name="Ada"),
                AccountOpened(owner="Ada"),
                Deposited(amount=1),
            ]
        ),
        max_size=8,
    )
)
async def test_number_and_order_of_pages_are_kept_and_a_second_pass_changes_nothing(
    events: list[Any],
) -> None:
    pages = [page(event, sequence) for sequence, event in enumerate(events)]
    once = await upcast(both(), *pages)
    assert [found.header.sequence for found in once] == list(range(len(events)))
    assert [encode(found) for found in await upcast(both(), *once)] == [encode(found) for found in once]
