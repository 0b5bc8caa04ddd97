"""HandleCommand's input checks, in the contract's order."""

import re

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.messages import UUID, Any, CommandBook, CommandPage, CommandRequest, Cover, Edition, PageHeader
from tests.coordinator.conftest import Bench, command, cover, request

BIG = CommandPage(header=PageHeader(sequence=0), command=Any(type_url="x", value=b"x" * 262_145))


async def refused(bench: Bench, made: CommandRequest) -> GRPCError:
    with pytest.raises(GRPCError) as caught:
        await bench.service.handle_command(made)
    return caught.value


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (CommandRequest(), r"^CommandRequest must have a command$"),
        (CommandRequest(command=CommandBook(pages=[command("Deposit", 1)] * 101)), r"101.*100"),
        (CommandRequest(command=CommandBook(pages=[BIG])), r"262145.*262144"),
        (CommandRequest(command=CommandBook()), r"^CommandBook must have a cover$"),
        (request(to=Cover()), r"domain"),
        (request(to=cover(domain="9lives")), r"9lives"),
        (request(to=cover(domain="a" * 65)), r"domain"),
        (request(to=Cover(domain="account")), r"^Cover must have a root UUID$"),
        (request(to=Cover(domain="account", root=UUID(value=b"short"))), r"^Invalid UUID: "),
        (request(to=cover(edition="No")), r"edition"),
        (request(to=cover(correlation_id="a b")), r"correlation id"),
        (request(to=cover(correlation_id="a" * 129)), r"correlation id"),
    ],
)
async def test_malformed_requests_are_invalid_arguments(
    bench: Bench, made: CommandRequest, text: str
) -> None:
    error = await refused(bench, made)
    assert error.status is Status.INVALID_ARGUMENT
    assert re.search(text, error.message or "")
    assert bench.account.calls == []


async def test_an_unknown_domain_is_not_found_and_the_known_ones_are_named(bench: Bench) -> None:
    error = await refused(bench, request(command("Deposit", 1), to=cover(domain="inventory")))
    assert error.status is Status.NOT_FOUND
    assert "inventory" in (error.message or "")
    assert "account" in (error.message or "")


async def test_the_largest_legal_command_passes(bench: Bench) -> None:
    made = request(*[command("Deposit", 1)] * 100, to=cover(correlation_id="a" * 128))
    assert len((await bench.service.handle_command(made)).events.pages) == 100


@pytest.mark.parametrize("edition", ["", "angzarr"])
async def test_the_main_timeline_has_two_names(bench: Bench, edition: str) -> None:
    made = request(command("Deposit", 5))
    made.command.cover.edition = Edition(name=edition)
    await bench.service.handle_command(made)
    response = await bench.service.handle_command(request(command("Deposit", 6, 1)))
    assert response.events.next_sequence == 2
