"""The bytes path of process managers calls what the message path calls and answers what it answers."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angzarr import codec
from angzarr.destinations import Destinations
from angzarr.errors import DecodeError
from angzarr.messages import (
    Cover,
    EventBook,
    ProcessManagerHandleRequest,
    Snapshot,
    encode,
    pack,
)
from angzarr.router import ProcessManagerResponse, applies, handles, process_manager, rejected
from tests.bank.domain import Onboardings
from tests.bank.messages import (
    AccountViewed,
    Deposited,
    Onboarding,
    OnboardingDeposit,
    OnboardingStarted,
    Withdrawn,
)
from tests.router.helpers import OTHER, book, cover, mutated, process_router
from tests.router.paths import both
from tests.router.test_event_bytes import books, calls

PROCESS = cover(domain="onboarding", root=OTHER)


@process_manager(
    name="telling", pm_domain="onboarding", sources=["account"], targets=["mail"], state=Onboarding
)
class Telling:
    """Tells its whole state in its answers, and keeps something of each."""

    @applies(OnboardingStarted)
    def started(self, state: Onboarding, event: OnboardingStarted) -> None:
        state.deposits = (7 * state.deposits + 1) % 1009

    @applies(OnboardingDeposit)
    def deposit(self, state: Onboarding, event: OnboardingDeposit) -> None:
        state.deposits = (7 * state.deposits + 2) % 1009

    @handles(Deposited)
    def deposited(
        self,
        event: Deposited,
        state: Onboarding,
        destinations: Destinations,
        source_seq: int,
        source_cover: Cover | None,
        correlation_id: str,
    ) -> ProcessManagerResponse:
        calls.append((event.amount, source_seq, destinations.sequences, source_cover, correlation_id))
        told = book(Deposited(amount=event.amount, balance=state.deposits), of=PROCESS)
        return ProcessManagerResponse(process_events=[book(OnboardingDeposit(), of=PROCESS)], facts=[told])

    @rejected("mail", "Deposit")
    async def refused(self, notification: Any, state: Onboarding, source_seq: int) -> ProcessManagerResponse:
        calls.append(("refused", source_seq))
        return ProcessManagerResponse(facts=[book(Deposited(balance=state.deposits))])


ROUTERS = (process_router(Telling), process_router(Telling, Onboardings))


own = st.lists(
    st.sampled_from(
        [OnboardingStarted(), OnboardingDeposit(), Deposited(amount=300), AccountViewed(viewer="y")]
    ),
    max_size=6,
)


@st.composite
def requests(draw: st.DrawFn) -> ProcessManagerHandleRequest:
    made = ProcessManagerHandleRequest()
    if draw(st.integers(0, 9)):
        made.trigger = draw(books())
    if draw(st.integers(0, 9)):
        made.process_state = book(*draw(own), of=PROCESS, start=draw(st.sampled_from([0, 120])))
        if draw(st.integers(0, 3)) == 0:
            made.process_state.snapshot = Snapshot(
                sequence=draw(st.integers(0, 3)), state=pack(Onboarding(deposits=5))
            )
    if draw(st.booleans()):
        made.destination_sequences = {"mail": 3}
    return made


@given(asked=requests())
@settings(max_examples=100, deadline=None)
async def test_both_paths_answer_the_same(asked: ProcessManagerHandleRequest) -> None:
    for router in ROUTERS:
        over_messages, over_bytes = await both(router, encode(asked), calls)
        assert over_bytes == over_messages


def plausible() -> bytes:
    state = book(OnboardingStarted(), OnboardingDeposit(), Deposited(amount=300), of=PROCESS)
    state.snapshot = Snapshot(sequence=0, state=pack(Onboarding(deposits=5)))
    return encode(
        ProcessManagerHandleRequest(
            trigger=book(Deposited(amount=3), AccountViewed()),
            process_state=state,
            destination_sequences={"mail": 3},
        )
    )


def mutations() -> st.SearchStrategy[bytes]:
    return mutated(st.one_of(st.just(plausible()), requests().map(encode)))


@given(data=mutations())
@settings(max_examples=150, deadline=None)
@example(data=b"")
@example(data=b"\x0a")
@example(data=b"\x12\x00")
@example(data=b"\x12\x00\x12\x00")
@example(data=b"\x12\x02\x1a\x00\x0a\x00")
@example(data=b"\x0a\x00\x12")
@example(data=b"\x0a\x00\x12\x00\x0a\x02\x1a\x00")
@example(data=b"\x0a\x80\x80\x80\x80")
@example(data=b"\x0a\x02\x1a\x00\x12\xff\xff\xff\x7f")
@example(data=b"\x0a\x02\x1a\x00\x12\x80\x80\x80\x80")
async def test_both_paths_fail_the_same_on_mutated_bytes(data: bytes) -> None:
    for router in ROUTERS:
        over_messages, over_bytes = await both(router, data, calls)
        assert over_bytes == over_messages


async def test_every_single_byte_of_a_request_may_be_wrong() -> None:
    origin = plausible()
    for index in range(len(origin)):
        for value in (origin[index] ^ 0x80, origin[index] ^ 1, 255):
            data = origin[:index] + bytes([value]) + origin[index + 1 :]
            over_messages, over_bytes = await both(ROUTERS[0], data, calls)
            assert over_bytes == over_messages, (index, value)


async def test_a_malformed_state_that_nobody_asks_for_is_an_error() -> None:
    asked = ProcessManagerHandleRequest(
        trigger=book(AccountViewed()), process_state=EventBook(pages=[*book(Withdrawn()).pages])
    )
    broken = encode(asked).replace(b"bank.Withdrawn", b"bank.Withdr\xff\xff\xff")
    with pytest.raises(DecodeError) as caught:
        await ROUTERS[0].dispatch_bytes(broken)
    assert caught.value.path == "process_state.pages[0].event.type_url"


async def test_nothing_is_handled_of_a_trigger_whose_end_is_malformed() -> None:
    asked = encode(ProcessManagerHandleRequest(trigger=book(Deposited(amount=1), Deposited(amount=2))))
    calls.clear()
    with pytest.raises(DecodeError):
        await ROUTERS[0].dispatch_bytes(asked[:-1] + b"\xff")
    assert calls == []


@pytest.mark.parametrize("handled", [0, 1])
async def test_only_events_with_a_handler_or_an_applier_are_decoded(
    handled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    original = codec.parser_for

    def noting(cls: Any) -> Any:
        parsed.append(cls.__name__)
        return original(cls)

    trigger = book(*[AccountViewed(viewer="v")] * 30, *[Deposited(amount=1)] * handled)
    state = book(*[Withdrawn(amount=1)] * 30, OnboardingStarted(), of=PROCESS)
    data = encode(ProcessManagerHandleRequest(trigger=trigger, process_state=state))
    await ROUTERS[0].dispatch_bytes(data)
    monkeypatch.setattr(codec, "parser_for", noting)
    await ROUTERS[0].dispatch_bytes(data)
    assert parsed == ["Cover", "Cover"]  # of the trigger, of the state
