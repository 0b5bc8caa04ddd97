"""The bytes path of process managers answers what the message path answers, whatever it is given."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angzarr.errors import ClientError, DecodeError, DispatchError
from angzarr.messages import (
    EventBook,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Snapshot,
    decode,
    encode,
    pack,
)
from angzarr.messages.timestamps import frozen
from angzarr.router import ProcessManagerResponse, applies, handles, process_manager, rejected
from tests.bank.domain import Onboardings
from tests.bank.messages import (
    AccountViewed,
    Deposit,
    Deposited,
    Onboarding,
    OnboardingDeposit,
    OnboardingStarted,
    Withdrawn,
)
from tests.router.helpers import OTHER, T0, book, command, cover, mutated, notification, process_router

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
    def deposited(self, event: Deposited, state: Onboarding) -> ProcessManagerResponse:
        told = book(Deposited(amount=event.amount, balance=state.deposits), of=PROCESS)
        return ProcessManagerResponse(process_events=[book(OnboardingDeposit(), of=PROCESS)], facts=[told])

    @rejected("mail", "Deposit")
    def refused(self, notification: Any, state: Onboarding) -> ProcessManagerResponse:
        return ProcessManagerResponse(facts=[book(Deposited(balance=state.deposits))])


ROUTERS = (process_router(Telling), process_router(Telling, Onboardings))


async def outcome(call: Any) -> tuple[Any, ...]:
    try:
        return ("answer", encode(await call))
    except DecodeError as error:
        return ("malformed", error.path, error.reason)
    except DispatchError as error:
        return (error.error_code, error.code(), str(error), error.extras)
    except ClientError as error:
        return (type(error), error.code, error.details)


async def both(router: Any, data: bytes) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    async def over_messages() -> ProcessManagerHandleResponse:
        answer: ProcessManagerHandleResponse = await router.dispatch(
            decode(ProcessManagerHandleRequest, data)
        )
        return answer

    async def over_bytes() -> ProcessManagerHandleResponse:
        return decode(ProcessManagerHandleResponse, await router.dispatch_bytes(data))

    with frozen(T0):
        return await outcome(over_messages()), await outcome(over_bytes())


triggers = st.lists(
    st.sampled_from(
        [
            Deposited(amount=3),
            Withdrawn(amount=1),
            AccountViewed(viewer="x"),
            notification(command(Deposit(), of=cover(domain="mail"))),
        ]
    ),
    max_size=3,
)
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
        made.trigger = book(
            *draw(triggers), of=cover(domain=draw(st.sampled_from(["account", "account", "x"])))
        )
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
        over_messages, over_bytes = await both(router, encode(asked))
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
async def test_both_paths_fail_the_same_on_mutated_bytes(data: bytes) -> None:
    for router in ROUTERS:
        over_messages, over_bytes = await both(router, data)
        assert over_bytes == over_messages


async def test_every_single_byte_of_a_request_may_be_wrong() -> None:
    origin = plausible()
    for index in range(len(origin)):
        for value in (origin[index] ^ 0x80, origin[index] ^ 1, 255):
            data = origin[:index] + bytes([value]) + origin[index + 1 :]
            over_messages, over_bytes = await both(ROUTERS[0], data)
            assert over_bytes == over_messages, (index, value)


async def test_a_malformed_state_that_nobody_asks_for_is_an_error() -> None:
    asked = ProcessManagerHandleRequest(
        trigger=book(AccountViewed()), process_state=EventBook(pages=[*book(Withdrawn()).pages])
    )
    broken = encode(asked).replace(b"bank.Withdrawn", b"bank.Withdr\xff\xff\xff")
    with pytest.raises(DecodeError) as caught:
        await ROUTERS[0].dispatch_bytes(broken)
    assert caught.value.path == "process_state.pages[0].event.type_url"
