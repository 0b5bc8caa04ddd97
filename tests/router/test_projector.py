from typing import Any

import pytest

from angzarr.errors import DispatchError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    Cover,
    EventBook,
    EventPage,
    PayloadReference,
    Projection,
    encode,
    has_field,
    pack,
    unpack,
)
from angzarr.router import handles, projector
from tests.bank.domain import Statements
from tests.bank.messages import AccountOpened, AccountViewed, Deposited, Statement, Withdrawn
from tests.router.conftest import Dispatch
from tests.router.helpers import ROOT, book, cover, page, projector_router


def noting(name: str, notes: list[Any], domains: list[str]) -> type:
    @projector(name=name, domains=domains)
    class Noting:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            notes.append((name, event.amount))

    return Noting


async def test_every_event_of_the_book_reaches_its_methods_in_order(dispatch: Dispatch) -> None:
    answer = await dispatch(
        projector_router(Statements), book(AccountOpened(), Deposited(amount=5), Withdrawn(amount=2))
    )
    statement = unpack(answer.projection, Statement)
    assert [(line.text, line.amount) for line in statement.lines] == [("deposit", 5), ("withdrawal", -2)]
    assert statement.total == 3


async def test_the_answer_has_cover_sequence_and_the_projectors_name(dispatch: Dispatch) -> None:
    answer = await dispatch(projector_router(Statements), book(AccountOpened(), start=6))
    assert isinstance(answer, Projection)
    assert encode(answer.cover) == encode(cover())
    assert (answer.projector, answer.sequence) == ("statements", 7)
    assert not has_field(answer, "projection")


async def test_one_instance_serves_all_events_of_a_book(dispatch: Dispatch) -> None:
    made = []

    def factory() -> Statements:
        made.append(Statements())
        return made[-1]

    router = projector_router((Statements, factory))
    await dispatch(router, book(Deposited(), Deposited()))
    await dispatch(router, book(Deposited(), of=cover(domain="table")))
    assert len(made) == 1


async def test_each_event_goes_through_the_projectors_in_the_order_of_registration(
    dispatch: Dispatch,
) -> None:
    notes: list[Any] = []
    router = projector_router(noting("one", notes, ["account"]), noting("two", notes, ["*"]))
    await dispatch(router, book(Deposited(amount=1), Deposited(amount=2)))
    assert notes == [("one", 1), ("two", 1), ("one", 2), ("two", 2)]


@pytest.mark.parametrize(
    ("found", "reached"),
    [
        (book(Deposited()), ["listed", "star"]),
        (book(Deposited(), of=cover(domain="table")), ["star"]),
        (EventBook(pages=[page(Deposited())]), ["star"]),
    ],
    ids=["listed domain", "other domain", "no cover"],
)
async def test_a_projector_gets_its_domains_or_all(
    dispatch: Dispatch, found: EventBook, reached: list[str]
) -> None:
    notes: list[Any] = []
    router = projector_router(noting("listed", notes, ["account"]), noting("star", notes, ["*"]))
    await dispatch(router, found)
    assert [name for name, _ in notes] == reached


async def test_what_it_does_not_handle_is_skipped(dispatch: Dispatch) -> None:
    notes: list[Any] = []
    pages = [
        page(AccountViewed()),
        EventPage(),
        EventPage(external=PayloadReference(uri="x")),
        EventPage(event=PackedAny()),
        page(Deposited(amount=1), prefix="x.example/"),
    ]
    router = projector_router(noting("one", notes, ["account"]))
    await dispatch(router, EventBook(cover=cover(), pages=pages))
    assert notes == [("one", 1)]


async def test_handlers_get_what_they_ask_for_by_name() -> None:
    told: list[Any] = []

    @projector(name="asking", domains=["*"])
    class Asking:
        @handles(Deposited)
        async def deposited(
            self, event: Deposited, cover: Cover, correlation_id: str, *, speculative: bool
        ) -> None:
            told.append((cover.root.value, correlation_id, speculative))

    router = projector_router(Asking)
    await router.dispatch(book(Deposited()))
    await router.dispatch(book(Deposited()), speculative=True)
    await router.dispatch(EventBook(pages=[page(Deposited())]))
    assert told == [(ROOT, "corr-1", False), (ROOT, "corr-1", True), (b"", "", False)]


async def test_the_last_message_returned_is_the_projection_and_names_its_projector(
    dispatch: Dispatch,
) -> None:
    def returning(name: str, result: Any) -> type:
        @projector(name=name, domains=["account"])
        class Returning:
            @handles(Deposited)
            def deposited(self, event: Deposited) -> Any:
                return result

        return Returning

    router = projector_router(
        returning("one", Statement(total=1)),
        returning("two", Statement(total=2)),
        returning("three", None),
        returning("four", 17),
    )
    answer = await dispatch(router, book(Deposited()))
    assert answer.projection == pack(Statement(total=2))
    assert answer.projector == "two"


async def test_an_event_that_cannot_be_decoded_is_an_error(dispatch: Dispatch) -> None:
    broken = book(Deposited(amount=1))
    broken.pages[0].event.value = b"\x08"
    with pytest.raises(DispatchError) as caught:
        await dispatch(projector_router(Statements), broken)
    assert caught.value.error_code == "ANY_DECODE_FAILED"


async def test_a_handler_that_raises_says_what_it_handled(dispatch: Dispatch) -> None:
    @projector(name="broken", domains=["*"])
    class Broken:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk") as caught:
        await dispatch(projector_router(Broken), book(Deposited()))
    assert "Broken.deposited, handling bank.Deposited of account/" in caught.value.__notes__[0]


async def test_another_message_is_refused() -> None:
    with pytest.raises(DispatchError) as caught:
        await projector_router(Statements).dispatch(Deposited())  # type: ignore[arg-type]
    assert caught.value.error_code == "HANDLER_WRONG_REQUEST_KIND"


async def test_a_method_that_is_a_generator_and_so_has_done_nothing_is_an_error(dispatch: Dispatch) -> None:
    @projector(name="lines", domains=["account"])
    class Yielding:
        @handles(Deposited)
        async def deposited(self, event: Deposited) -> Any:
            yield event

    with pytest.raises(DispatchError) as caught:
        await dispatch(projector_router(Yielding), book(Deposited(amount=1)))
    assert caught.value.error_code == "HANDLER_WRONG_RESPONSE_KIND"
    assert caught.value.extras["handler_class"] == "Yielding"
    assert caught.value.extras["method"] == "deposited"
    assert caught.value.extras["actual_return_type"] == "async_generator"
