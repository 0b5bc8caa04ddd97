# ruff: noqa: RUF009
"""Messages of a shop, with the kinds of field that the bank has not: as betterproto's plugin would generate them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import betterproto
import betterproto.lib.google.protobuf as betterproto_lib_google_protobuf

from angzarr.messages import register


class Colour(betterproto.Enum):
    UNKNOWN = 0
    RED = 1
    BLUE = 2


@dataclass(eq=False, repr=False)
class Money(betterproto.Message):
    currency: str = betterproto.string_field(1)
    cents: int = betterproto.int64_field(2)


@dataclass(eq=False, repr=False)
class Line(betterproto.Message):
    sku: str = betterproto.string_field(1)
    quantity: int = betterproto.int32_field(2)
    price: int = betterproto.int32_field(3)
    colour: "Colour" = betterproto.enum_field(4)


@dataclass(eq=False, repr=False)
class PlaceOrder(betterproto.Message):
    customer: str = betterproto.string_field(1)
    lines: list["Line"] = betterproto.message_field(2)
    lasts: timedelta = betterproto.message_field(3)
    labels: dict[str, str] = betterproto.map_field(4, betterproto.TYPE_STRING, betterproto.TYPE_STRING)
    note: str | None = betterproto.string_field(5, optional=True)


@dataclass(eq=False, repr=False)
class AddLine(betterproto.Message):
    line: "Line" = betterproto.message_field(1)


@dataclass(eq=False, repr=False)
class Rate(betterproto.Message):
    score: float = betterproto.double_field(1)
    weight: float = betterproto.float_field(2)


@dataclass(eq=False, repr=False)
class Pay(betterproto.Message):
    cash: "Money" = betterproto.message_field(1, group="means")
    card: str = betterproto.string_field(2, group="means")
    points: int = betterproto.int32_field(3, group="means")
    proof: "betterproto_lib_google_protobuf.Any" = betterproto.message_field(4)


@dataclass(eq=False, repr=False)
class Cancel(betterproto.Message):
    because: str = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class OrderPlaced(betterproto.Message):
    order_id: str = betterproto.string_field(1)
    customer: str = betterproto.string_field(2)
    lines: list["Line"] = betterproto.message_field(3)
    placed_at: datetime = betterproto.message_field(4)
    due: datetime = betterproto.message_field(5)
    labels: dict[str, str] = betterproto.map_field(6, betterproto.TYPE_STRING, betterproto.TYPE_STRING)
    seed: int = betterproto.uint64_field(7)
    total: int = betterproto.int32_field(8)


@dataclass(eq=False, repr=False)
class LineAdded(betterproto.Message):
    order_id: str = betterproto.string_field(1)
    line: "Line" = betterproto.message_field(2)


@dataclass(eq=False, repr=False)
class Rated(betterproto.Message):
    score: float = betterproto.double_field(1)
    mean: float = betterproto.double_field(2)


@dataclass(eq=False, repr=False)
class Paid(betterproto.Message):
    order_id: str = betterproto.string_field(1)
    cash: "Money" = betterproto.message_field(2, group="means")
    card: str = betterproto.string_field(3, group="means")
    points: int = betterproto.int32_field(4, group="means")
    cents_text: str = betterproto.string_field(5)


@dataclass(eq=False, repr=False)
class Cancelled(betterproto.Message):
    order_id: str = betterproto.string_field(1)
    because: str = betterproto.string_field(2)


@dataclass(eq=False, repr=False)
class Order(betterproto.Message):
    """A state that is a message."""

    order_id: str = betterproto.string_field(1)
    customer: str = betterproto.string_field(2)
    stock: dict[str, int] = betterproto.map_field(3, betterproto.TYPE_STRING, betterproto.TYPE_INT64)
    lines: list["Line"] = betterproto.message_field(4)
    due: datetime = betterproto.message_field(5)
    paid: bool = betterproto.bool_field(6)
    last: "Money" = betterproto.message_field(7)
    mean: float = betterproto.double_field(8)
    ratings: int = betterproto.uint32_field(9)


@dataclass(eq=False, repr=False)
class Ship(betterproto.Message):
    order_id: str = betterproto.string_field(1)
    at: datetime = betterproto.message_field(2)


@dataclass(eq=False, repr=False)
class ShippingAsked(betterproto.Message):
    order_id: str = betterproto.string_field(1)


for _cls in (
    Money, Line, PlaceOrder, AddLine, Rate, Pay, Cancel, OrderPlaced, LineAdded, Rated, Paid, Cancelled, Order, Ship,
    ShippingAsked,
):  # fmt: skip
    register(_cls, f"testing.shop.{_cls.__name__}")
