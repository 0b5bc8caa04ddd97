# ruff: noqa: RUF009
"""A purse of several currencies: amounts are messages within messages, as they mostly are."""

from collections import Counter
from dataclasses import dataclass, field

import betterproto

from angzarr.errors import CommandRejectedError
from angzarr.messages import register
from angzarr.router import applies, handles
from tests.testing.shop import Money


@dataclass(eq=False, repr=False)
class PutIn(betterproto.Message):
    money: "Money" = betterproto.message_field(1)
    note: str = betterproto.string_field(2)


@dataclass(eq=False, repr=False)
class TakeOut(betterproto.Message):
    money: "Money" = betterproto.message_field(1)
    note: str = betterproto.string_field(2)


@dataclass(eq=False, repr=False)
class Was(betterproto.Message):
    inside: "Money" = betterproto.message_field(1, group="way")
    outside: "Money" = betterproto.message_field(2, group="way")


for cls in (PutIn, TakeOut, Was):
    register(cls, f"purse.{cls.__name__}")


@dataclass
class Purse:
    cents: Counter[str] = field(default_factory=Counter)


class Purses:
    """Undecorated; ``takes_too_much`` is what may be wrong with it."""

    def takes_too_much(self, purse: Purse, money: Money) -> bool:
        return money.cents > purse.cents[money.currency]

    @applies(Was)
    def was(self, purse: Purse, event: Was) -> None:
        way, money = betterproto.which_one_of(event, "way")
        if way:
            assert isinstance(money, Money)
            purse.cents[money.currency] += money.cents if way == "inside" else -money.cents

    @handles(PutIn)
    def put_in(self, command: PutIn) -> Was:
        if command.money.cents <= 0 or not command.money.currency:
            raise CommandRejectedError.invalid_argument("NOTHING", "there has to be something")
        return Was(inside=command.money)

    @handles(TakeOut)
    def take_out(self, command: TakeOut, purse: Purse) -> Was:
        if command.money.cents <= 0 or self.takes_too_much(purse, command.money):
            raise CommandRejectedError.precondition_failed("TOO_MUCH", "there is not so much")
        return Was(outside=command.money)
