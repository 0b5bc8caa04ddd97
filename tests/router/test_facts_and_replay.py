from datetime import UTC, datetime
from typing import Any

import pytest

from angzarr.errors import DispatchError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    BusinessResponse,
    EventBook,
    EventPage,
    FactRequest,
    PayloadReference,
    ReplayRequest,
    ReplayResponse,
    RevocationResponse,
    Snapshot,
    encode,
    has_field,
    pack,
    unpack,
)
from angzarr.messages.timestamps import frozen
from angzarr.router import command_handler, handles_fact, state_factory
from tests.bank.domain import Accounts
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    AccountViewed,
    Deposited,
    InterestPosted,
    Onboarding,
)
from tests.router.helpers import book, command_router, cover, events_in, page, sequences_in

AT = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


async def test_a_fact_becomes_the_events_its_method_returns() -> None:
    asked = FactRequest(
        facts=EventBook(cover=cover(), pages=[page(InterestPosted(amount=2))]),
        prior_events=book(AccountOpened(owner="a"), Deposited(balance=10)),
    )
    with frozen(AT):
        answer = await command_router(Accounts).dispatch_fact(asked)
    assert events_in(answer) == [Deposited(amount=2, balance=12)]
    assert sequences_in(answer) == [2]
    assert answer.next_sequence == 3
    assert answer.pages[0].created_at == AT
    assert encode(answer.cover) == encode(cover())


async def test_without_facts_the_answer_is_an_empty_book() -> None:
    answer = await command_router(Accounts).dispatch_fact(FactRequest(prior_events=book(start=5)))
    assert encode(answer) == b""


async def test_each_fact_is_handled_in_order_on_the_state_before_all_of_them() -> None:
    facts = EventBook(pages=[page(InterestPosted(amount=1)), page(InterestPosted(amount=2))])
    asked = FactRequest(facts=facts, prior_events=book(Deposited(balance=10)))
    answer = await command_router(Accounts).dispatch_fact(asked)
    assert events_in(answer) == [Deposited(amount=1, balance=11), Deposited(amount=2, balance=12)]
    assert sequences_in(answer) == [1, 2]


async def test_facts_that_nobody_handles_are_left_out() -> None:
    pages = [
        page(AccountViewed()),
        EventPage(external=PayloadReference(uri="s3://x")),
        EventPage(),
        EventPage(event=PackedAny()),
    ]
    answer = await command_router(Accounts).dispatch_fact(FactRequest(facts=EventBook(pages=pages)))
    assert answer.pages == []
    assert answer.next_sequence == 0


async def test_one_instance_and_one_state_serve_all_facts_of_a_request() -> None:
    made, folded = [], []

    @command_handler(domain="account", state=Account)
    class Counting:
        def __init__(self) -> None:
            made.append(self)

        @state_factory
        def initial(self) -> Account:
            folded.append(self)
            return Account()

        @handles_fact(InterestPosted)
        def interest(self, fact: InterestPosted) -> None: ...

    router = command_router(Counting)
    made.clear()
    pages = [page(InterestPosted()), page(InterestPosted())]
    await router.dispatch_fact(FactRequest(facts=EventBook(pages=pages)))
    assert len(made) == len(folded) == 1


async def test_every_class_with_a_method_for_the_fact_answers_whatever_its_domain() -> None:
    def counting(domain: str) -> type:
        @command_handler(domain=domain, state=Account)
        class Counting:
            @handles_fact(InterestPosted)
            def interest(self, fact: InterestPosted) -> AccountClosed:
                return AccountClosed(reason=domain)

        return Counting

    router = command_router(counting("left"), counting("right"))
    facts = EventBook(cover=cover(domain="left"), pages=[page(InterestPosted())])
    answer = await router.dispatch_fact(FactRequest(facts=facts))
    assert events_in(answer) == [AccountClosed(reason="left"), AccountClosed(reason="right")]


async def test_a_fact_that_cannot_be_decoded_is_an_error() -> None:
    broken = page(InterestPosted(amount=1))
    broken.event.value = b"\x08"
    with pytest.raises(DispatchError) as caught:
        await command_router(Accounts).dispatch_fact(FactRequest(facts=EventBook(pages=[broken])))
    assert caught.value.error_code == "ANY_DECODE_FAILED"


@pytest.mark.parametrize("wrong", ["text", BusinessResponse(revocation=RevocationResponse())])
async def test_a_fact_method_that_does_not_return_events_is_named(wrong: Any) -> None:
    @command_handler(domain="account", state=Account)
    class Wrong:
        @handles_fact(InterestPosted)
        async def interest(self, fact: InterestPosted, state: Account) -> Any:
            return wrong

    with pytest.raises(DispatchError) as caught:
        await command_router(Wrong).dispatch_fact(
            FactRequest(facts=EventBook(pages=[page(InterestPosted())]))
        )
    assert caught.value.error_code == "HANDLER_WRONG_RESPONSE_KIND"
    assert caught.value.extras["method"] == "interest"


async def replayed(asked: ReplayRequest) -> Account:
    response = await command_router(Accounts).dispatch_replay(asked)
    return unpack(response.state, Account)


async def test_replay_gives_the_state_after_the_events() -> None:
    events = book(AccountOpened(owner="a"), Deposited(balance=3)).pages
    assert await replayed(ReplayRequest(events=events)) == Account(owner="a", balance=3)


async def test_replay_starts_from_the_base_and_applies_every_event() -> None:
    base = Snapshot(sequence=1, state=pack(Account(owner="S", balance=7)))
    events = book(AccountOpened(owner="a")).pages
    assert await replayed(ReplayRequest(base_snapshot=base, events=events)) == Account(owner="a", balance=7)


async def test_replay_without_anything_gives_the_fresh_state() -> None:
    assert await replayed(ReplayRequest()) == Account()
    assert await replayed(ReplayRequest(base_snapshot=Snapshot(sequence=4))) == Account()


async def test_replay_on_a_base_of_another_type_is_an_error_and_not_a_wrong_state() -> None:
    base = Snapshot(state=pack(Onboarding(owner="x")))
    with pytest.raises(DispatchError) as caught:
        await replayed(ReplayRequest(base_snapshot=base))
    assert caught.value.error_code == "ANY_TYPE_MISMATCH"


async def test_replay_of_a_base_that_cannot_be_decoded_is_an_error() -> None:
    base = Snapshot(state=PackedAny(type_url="type.googleapis.com/bank.Account", value=b"\x0a\x09"))
    with pytest.raises(DispatchError) as caught:
        await replayed(ReplayRequest(base_snapshot=base))
    assert caught.value.error_code == "ANY_DECODE_FAILED"


async def test_replay_of_a_state_that_is_no_message_gives_no_state() -> None:
    @command_handler(domain="account", state=dict)
    class Plain: ...

    response = await command_router(Plain).dispatch_replay(ReplayRequest(events=book(Deposited()).pages))
    assert isinstance(response, ReplayResponse)
    assert not has_field(response, "state")


async def test_other_messages_are_refused() -> None:
    router = command_router(Accounts)
    for method in (router.dispatch_fact, router.dispatch_replay):
        with pytest.raises(DispatchError) as caught:
            await method(EventBook())  # type: ignore[arg-type]
        assert caught.value.error_code == "HANDLER_WRONG_REQUEST_KIND"
