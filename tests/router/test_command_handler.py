from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY

import pytest
from grpclib.const import Status

from angzarr.errors import CommandRejectedError, DispatchError
from angzarr.messages import (
    Any as PackedAny,
)
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    CommandPage,
    ContextualCommand,
    Cover,
    Edition,
    EventBook,
    EventPage,
    Notification,
    PageHeader,
    PayloadReference,
    RevocationResponse,
    encode,
    has_field,
    pack,
)
from angzarr.messages.timestamps import frozen
from angzarr.router import CommandHandlerRouter, command_handler, handles
from tests.bank.domain import Accounts
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    AuditAccount,
    CloseAccount,
    Deposit,
    Deposited,
    OpenAccount,
    Withdraw,
    Withdrawn,
)
from tests.router.conftest import Dispatch
from tests.router.helpers import (
    ROOT,
    T0,
    book,
    command,
    command_router,
    cover,
    events_in,
    request,
    sequences_in,
)

AT = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def answering(result: Any) -> CommandHandlerRouter:
    """A router of one handler that answers a Deposit with whatever is given."""

    @command_handler(domain="account", state=Account)
    class Answering:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Any:
            return result

    return command_router(Answering)


async def refusal(
    dispatch: Dispatch, router: CommandHandlerRouter, asked: ContextualCommand
) -> DispatchError:
    with pytest.raises(DispatchError) as caught:
        await dispatch(router, asked)
    return caught.value


async def test_a_command_is_decided_on_the_state_its_history_gives(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="alice"), Deposited(amount=10, balance=10))
    response = await dispatch(command_router(Accounts), request(Deposit(amount=5), after=history))
    assert events_in(response.events) == [Deposited(amount=5, balance=15)]


async def test_without_history_the_first_event_has_sequence_zero(dispatch: Dispatch) -> None:
    response = await dispatch(command_router(Accounts), request(OpenAccount(owner="alice")))
    assert sequences_in(response.events) == [0]
    assert response.events.next_sequence == 1


async def test_emitted_pages_continue_the_history_and_carry_one_time(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="alice"), Deposited(amount=10, balance=10), start=40)
    with frozen(AT):
        response = await dispatch(command_router(Accounts), request(CloseAccount(), after=history))
    assert sequences_in(response.events) == [42, 43]
    assert [page.created_at for page in response.events.pages] == [AT, AT]
    assert response.events.next_sequence == 44


async def test_the_answer_carries_the_cover_of_the_command(dispatch: Dispatch) -> None:
    asked = request(OpenAccount(owner="alice"))
    asked.command.cover.edition = Edition(name="what-if")
    response = await dispatch(command_router(Accounts), asked)
    assert encode(response.events.cover) == encode(asked.command.cover)
    assert response.events.cover.edition.name == "what-if"


async def test_events_are_packed_under_the_standard_prefix_and_their_full_name(dispatch: Dispatch) -> None:
    response = await dispatch(command_router(Accounts), request(OpenAccount(owner="a")))
    assert response.events.pages[0].event.type_url == "type.googleapis.com/bank.AccountOpened"


@pytest.mark.parametrize("prefix", ["", "type.googleapis.com/", "example.org/types/"])
async def test_commands_match_by_full_name_behind_any_prefix(dispatch: Dispatch, prefix: str) -> None:
    asked = request(OpenAccount(owner="alice"))
    asked.command.pages[0].command.type_url = f"{prefix}bank.OpenAccount"
    response = await dispatch(command_router(Accounts), asked)
    assert len(response.events.pages) == 1


async def test_a_name_that_only_ends_like_a_command_does_not_match(dispatch: Dispatch) -> None:
    asked = request(OpenAccount(owner="alice"))
    asked.command.pages[0].command.type_url = "type.googleapis.com/other.bank.OpenAccount"
    assert (await refusal(dispatch, command_router(Accounts), asked)).error_code == "NO_HANDLER_REGISTERED"


async def test_a_command_without_pages_is_missing_its_page(dispatch: Dispatch) -> None:
    for asked in (ContextualCommand(), ContextualCommand(command=CommandBook(cover=cover()))):
        error = await refusal(dispatch, command_router(Accounts), asked)
        assert (error.code(), error.error_code, str(error)) == (
            Status.INVALID_ARGUMENT,
            "MISSING_COMMAND_PAGE",
            "missing command page",
        )


@pytest.mark.parametrize("without_domain", [None, Cover(), cover(domain="")])
async def test_a_command_without_domain_is_missing_its_book(
    dispatch: Dispatch, without_domain: Cover | None
) -> None:
    asked = ContextualCommand(command=CommandBook(pages=command(Deposit(amount=1)).pages))
    if without_domain is not None:
        asked.command.cover = without_domain
    error = await refusal(dispatch, command_router(Accounts), asked)
    assert (error.error_code, str(error)) == ("MISSING_COMMAND_BOOK", "missing command book")


@pytest.mark.parametrize(
    "page",
    [
        CommandPage(),
        CommandPage(command=PackedAny(value=b"x")),
        CommandPage(external=PayloadReference(uri="s3://x")),
    ],
    ids=["nothing", "no type", "external"],
)
async def test_a_page_without_inline_command_is_missing_its_payload(
    dispatch: Dispatch, page: CommandPage
) -> None:
    asked = ContextualCommand(command=CommandBook(cover=cover(), pages=[page]))
    error = await refusal(dispatch, command_router(Accounts), asked)
    assert (error.error_code, str(error)) == ("MISSING_COMMAND_PAYLOAD", "missing command payload")


async def test_a_command_that_nobody_handles_names_domain_and_type(dispatch: Dispatch) -> None:
    error = await refusal(dispatch, command_router(Accounts), request(AuditAccount(auditor="kate")))
    assert error.code() is Status.INVALID_ARGUMENT
    assert error.error_code == "NO_HANDLER_REGISTERED"
    assert error.extras == {"domain": "account", "type_url": "type.googleapis.com/bank.AuditAccount"}


async def test_a_command_for_another_domain_is_not_handled(dispatch: Dispatch) -> None:
    asked = ContextualCommand(command=command(Deposit(amount=1), of=cover(domain="table")))
    error = await refusal(dispatch, command_router(Accounts), asked)
    assert error.extras["domain"] == "table"


async def test_a_command_that_cannot_be_decoded_says_where(dispatch: Dispatch) -> None:
    asked = request(OpenAccount(owner="alice"))
    asked.command.pages[0].command.value = b"\x0a\x02\xff\xff"
    error = await refusal(dispatch, command_router(Accounts), asked)
    assert (error.code(), error.error_code) == (Status.INVALID_ARGUMENT, "ANY_DECODE_FAILED")
    assert error.extras["type_url"] == "type.googleapis.com/bank.OpenAccount"
    assert error.extras["path"] == "owner"
    assert error.extras["cause"]


async def test_an_event_that_cannot_be_decoded_is_an_error_and_not_a_wrong_state(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="alice"))
    history.pages[0].event.value = b"\x0a\x05a"
    error = await refusal(dispatch, command_router(Accounts), request(Deposit(amount=1), after=history))
    assert error.error_code == "ANY_DECODE_FAILED"
    assert error.extras["type_url"] == "type.googleapis.com/bank.AccountOpened"


async def test_an_undecodable_event_that_nobody_applies_does_not_matter(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="alice"))
    history.pages.append(
        EventPage(event=PackedAny(type_url="type.googleapis.com/bank.AccountViewed", value=b"\xff"))
    )
    response = await dispatch(command_router(Accounts), request(Deposit(amount=1), after=history))
    assert events_in(response.events) == [Deposited(amount=1, balance=1)]


async def test_a_rejection_gets_the_cover_of_the_command(dispatch: Dispatch) -> None:
    asked = request(Deposit(amount=0))
    with pytest.raises(CommandRejectedError) as caught:
        await dispatch(command_router(Accounts), asked)
    assert caught.value.code == "VALUE_NOT_POSITIVE"
    assert caught.value.cover is not None
    assert encode(caught.value.cover) == encode(asked.command.cover)


async def test_a_rejection_keeps_the_cover_and_identity_its_handler_gave_it(dispatch: Dispatch) -> None:
    own = CommandRejectedError("no", cover=Cover(domain="mine"))

    @command_handler(domain="account", state=Account)
    class Refusing:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            raise own

    with pytest.raises(CommandRejectedError) as caught:
        await dispatch(command_router(Refusing), request(Deposit()))
    assert caught.value is own
    assert caught.value.cover is not None
    assert caught.value.cover.domain == "mine"


async def test_other_exceptions_pass_and_say_what_was_handled(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account)
    class Broken:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            raise KeyError("till")

    with pytest.raises(KeyError) as caught:
        await dispatch(command_router(Broken), request(Deposit()))
    assert caught.value.__notes__ == [
        f"raised by Broken.deposit, handling bank.Deposit of account/{ROOT.hex()}; correlation id corr-1"
    ]


@pytest.mark.parametrize("nothing", [None, [], ()])
async def test_a_handler_may_emit_nothing(dispatch: Dispatch, nothing: Any) -> None:
    response = await dispatch(answering(nothing), request(Deposit(), after=book(start=7)))
    assert has_field(response, "events")
    assert response.events.pages == []
    assert response.events.next_sequence == 7
    assert response.events.cover.domain == "account"


@pytest.mark.parametrize("many", [list, tuple])
async def test_a_handler_may_emit_several_messages(dispatch: Dispatch, many: Any) -> None:
    events = many([Withdrawn(amount=1), AccountClosed(reason="x")])
    response = await dispatch(answering(events), request(Deposit()))
    assert events_in(response.events) == list(events)
    assert sequences_in(response.events) == [0, 1]


async def test_a_book_is_used_as_it_is_and_unstamped_pages_are_stamped(dispatch: Dispatch) -> None:
    unstamped = EventPage(event=pack(Withdrawn(amount=1)), cascade_id="c1")
    stamped = EventPage(
        header=PageHeader(sequence=6), created_at=T0, event=pack(AccountClosed()), no_commit=True
    )
    made = EventBook(pages=[unstamped, stamped])
    with frozen(AT):
        response = await dispatch(answering(made), request(Deposit(), after=book(start=5)))
    assert sequences_in(response.events) == [5, 6]
    assert [page.created_at for page in response.events.pages] == [AT, T0]
    assert response.events.pages[0].cascade_id == "c1"
    assert response.events.pages[1].no_commit
    assert response.events.next_sequence == 7
    assert response.events.cover.correlation_id == "corr-1"
    assert not has_field(made.pages[0], "header")


async def test_a_book_with_a_cover_keeps_it(dispatch: Dispatch) -> None:
    made = EventBook(cover=cover(root=b"r" * 16, correlation_id="own"), pages=[])
    response = await dispatch(answering(made), request(Deposit()))
    assert response.events.cover.root.value == b"r" * 16
    assert response.events.cover.correlation_id == "own"


@pytest.mark.parametrize(
    ("answer", "arm"),
    [
        (BusinessResponse(revocation=RevocationResponse(reason="no")), "revocation"),
        (BusinessResponse(revocation=RevocationResponse()), "revocation"),
        (BusinessResponse(notification=Notification(cover=Cover(domain="x"))), "notification"),
        (BusinessResponse(notification=Notification()), "notification"),
    ],
)
async def test_a_business_response_passes_its_revocation_or_notification(
    dispatch: Dispatch, answer: BusinessResponse, arm: str
) -> None:
    response = await dispatch(answering(answer), request(Deposit()))
    assert has_field(response, arm)
    assert encode(response) == encode(answer)


async def test_the_events_of_a_business_response_are_stamped(dispatch: Dispatch) -> None:
    answer = BusinessResponse(events=EventBook(pages=[EventPage(event=pack(AccountClosed()))]))
    response = await dispatch(answering(answer), request(Deposit(), after=book(start=3)))
    assert sequences_in(response.events) == [3]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ("text", "str"),
        (7, "int"),
        ([Deposited(), "text"], "str"),
        (RevocationResponse(), "RevocationResponse"),
        ([EventBook()], "EventBook"),
        (EventPage(), "EventPage"),
        ({"amount": 1}, "dict"),
    ],
)
async def test_a_handler_that_returns_the_wrong_thing_is_named(
    dispatch: Dispatch, wrong: Any, name: str
) -> None:
    error = await refusal(dispatch, answering(wrong), request(Deposit()))
    assert (error.code(), error.error_code) == (Status.INTERNAL, "HANDLER_WRONG_RESPONSE_KIND")
    assert error.extras == {
        "handler_class": "Answering",
        "method": "deposit",
        "actual_return_type": name,
        "actual": ANY,
    }


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (7, "7"),
        ("text", "'text'"),
        ({"amount": 1}, "{'amount': 1}"),
        (RevocationResponse(reason="no"), "RevocationResponse(reason='no')"),
    ],
)
async def test_what_the_handler_returned_is_shown(dispatch: Dispatch, wrong: Any, shown: str) -> None:
    error = await refusal(dispatch, answering(wrong), request(Deposit()))
    assert error.extras["actual"] == shown


async def test_what_a_handler_returned_is_shown_in_brief(dispatch: Dispatch) -> None:
    error = await refusal(dispatch, answering("x" * 100_000), request(Deposit()))
    assert len(error.extras["actual"]) == 120


async def test_the_handler_of_the_right_domain_answers_when_several_share_a_command(
    dispatch: Dispatch,
) -> None:
    @command_handler(domain="left", state=Account)
    class Left:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Deposited:
            return Deposited(amount=1)

    @command_handler(domain="right", state=Account)
    class Right:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Deposited:
            return Deposited(amount=2)

    router = command_router(Left, Right)
    asked = ContextualCommand(command=command(Deposit(), of=cover(domain="right")))
    response = await dispatch(router, asked)
    assert events_in(response.events) == [Deposited(amount=2)]
    assert router.name == "left"


async def test_a_factory_is_called_once_for_each_request(dispatch: Dispatch) -> None:
    made = []

    def factory() -> Accounts:
        made.append(Accounts())
        return made[-1]

    router = command_router((Accounts, factory))
    made.clear()
    await dispatch(router, request(OpenAccount(owner="a")))
    assert len(made) == 1


async def test_factories_may_be_async(dispatch: Dispatch) -> None:
    async def factory() -> Accounts:
        return Accounts()

    response = await dispatch(command_router((Accounts, factory)), request(OpenAccount(owner="a")))
    assert len(response.events.pages) == 1


async def test_another_message_than_a_contextual_command_is_refused() -> None:
    with pytest.raises(DispatchError) as caught:
        await command_router(Accounts).dispatch(command(Deposit()))  # type: ignore[arg-type]
    assert caught.value.error_code == "HANDLER_WRONG_REQUEST_KIND"
    assert caught.value.extras == {"expected": "ContextualCommand", "actual": "CommandBook"}


async def test_the_request_is_left_as_it_was(dispatch: Dispatch) -> None:
    asked = request(Withdraw(amount=1), after=book(AccountOpened(owner="a"), Deposited(balance=3)))
    before = encode(asked)
    await dispatch(command_router(Accounts), asked)
    assert encode(asked) == before
