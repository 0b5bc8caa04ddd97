import dataclasses
import sys
from types import ModuleType

import betterproto
import pytest
from betterproto.lib.google import protobuf as google

import angzarr.messages as m
from angzarr.errors import UnregisteredMessageError
from angzarr.messages.names import WELL_KNOWN, framework_name, register


@dataclasses.dataclass(eq=False, repr=False)
class Unregistered(betterproto.Message):
    name: str = betterproto.string_field(1)


def test_a_framework_message_knows_its_protobuf_name() -> None:
    assert m.full_name(m.EventBook) == "angzarr_client.proto.angzarr.EventBook"
    assert m.full_name(m.UUID) == "angzarr_client.proto.angzarr.UUID"


def test_a_name_finds_its_class() -> None:
    assert m.message_class("angzarr_client.proto.angzarr.Cover") is m.Cover


def test_a_class_without_a_name_says_how_to_give_it_one() -> None:
    with pytest.raises(UnregisteredMessageError, match=r"Unregistered.*protos compile.*register_package"):
        m.full_name(Unregistered)


def test_a_name_without_a_class_is_an_error_too() -> None:
    with pytest.raises(UnregisteredMessageError, match=r"no\.such\.Message"):
        m.message_class("no.such.Message")


def test_googles_well_known_types_have_their_names_without_registration() -> None:
    assert m.full_name(m.Empty) == "google.protobuf.Empty"
    assert m.full_type_url_for(m.Any) == "type.googleapis.com/google.protobuf.Any"


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_a_well_known_name_finds_betterprotos_class(name: str) -> None:
    assert m.message_class(f"google.protobuf.{name}").__name__ == name


def test_a_well_known_message_goes_through_any() -> None:
    assert m.unpack_any(m.pack(google.StringValue(value="x"))) == google.StringValue(value="x")


def test_a_class_that_only_shares_a_well_known_name_is_not_registered() -> None:
    class Empty(betterproto.Message):
        pass

    with pytest.raises(UnregisteredMessageError):
        m.full_name(Empty)


def test_what_is_no_class_has_no_name() -> None:
    with pytest.raises(UnregisteredMessageError, match="None is not registered"):
        m.full_name(None)  # type: ignore[arg-type]


def test_helpers_of_the_reference_client_say_the_same() -> None:
    assert m.full_type_name(m.Cover) == "angzarr_client.proto.angzarr.Cover"
    assert m.wire_name("shop.Added") == "shop.Added"


def generated_module(name: str) -> ModuleType:
    module = ModuleType(name)
    source = """
from dataclasses import dataclass
import betterproto

@dataclass(eq=False, repr=False)
class Order(betterproto.Message):
    line: "OrderLine" = betterproto.message_field(1)

@dataclass(eq=False, repr=False)
class OrderLine(betterproto.Message):
    tax: "OrderLineTax" = betterproto.message_field(1)

@dataclass(eq=False, repr=False)
class OrderLineTax(betterproto.Message):
    cents: int = betterproto.int64_field(1)

@dataclass(eq=False, repr=False)
class OrderPlaced(betterproto.Message):
    pass
"""
    sys.modules[name] = module
    exec(source, module.__dict__)
    return module


def test_a_package_generated_by_plain_protoc_can_be_registered() -> None:
    module = generated_module("tests_generated_shop")
    m.register_package(module, "shop.v1")
    assert {
        cls.__name__: m.full_name(cls) for cls in (module.Order, module.OrderLine, module.OrderLineTax)
    } == {
        "Order": "shop.v1.Order",
        "OrderLine": "shop.v1.Order.Line",
        "OrderLineTax": "shop.v1.Order.Line.Tax",
    }
    assert m.full_name(module.OrderPlaced) == "shop.v1.OrderPlaced"


def test_a_package_may_have_no_name() -> None:
    module = generated_module("tests_generated_bare")
    m.register_package(module, "")
    assert m.full_name(module.OrderPlaced) == "OrderPlaced"


def test_the_later_of_two_classes_of_one_name_is_found() -> None:
    first, second = generated_module("tests_reloaded"), generated_module("tests_reloaded")
    register(first.Order, "reloaded.Order")
    register(second.Order, "reloaded.Order")
    assert m.message_class("reloaded.Order") is second.Order
    assert m.full_name(first.Order) == "reloaded.Order"


def test_type_urls_are_written_with_the_google_prefix() -> None:
    assert m.type_url("bank.Opened") == "type.googleapis.com/bank.Opened"
    assert m.full_type_url(m.NoOp) == "type.googleapis.com/angzarr_client.proto.angzarr.NoOp"
    assert m.full_type_url_for is m.full_type_url


@pytest.mark.parametrize(
    ("url", "name"),
    [("type.googleapis.com/a.B", "a.B"), ("x/y/a.B", "a.B"), ("a.B", "a.B"), ("", ""), ("a.B/", "")],
)
def test_the_name_is_what_follows_the_last_slash(url: str, name: str) -> None:
    assert m.type_name_from_url(url) == name


@pytest.mark.parametrize(
    ("url", "matches"),
    [
        ("type.googleapis.com/a.B", True),
        ("type.angzarr.io/a.B", False),
        ("a.B", False),
        ("type.googleapis.com/x.a.B", False),
    ],
)
def test_matching_a_url_is_exact(url: str, matches: bool) -> None:
    assert m.type_url_matches(url, "a.B") is matches
    assert m.type_url_matches_exact(url, "a.B") is matches


@pytest.mark.parametrize(
    "url",
    [
        "type.googleapis.com/angzarr_client.proto.angzarr.Notification",
        "type.googleapis.com/angzarr_client.proto.angzarr.v1.Notification",
        "type.angzarr.io/angzarr.Notification",
        "angzarr.Notification",
        "x/io.angzarr.v1.Notification",
    ],
)
def test_a_notification_is_known_under_every_name_coordinators_write(url: str) -> None:
    assert m.is_notification(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "Notification",
        "type.googleapis.com/shop.Notification",
        "type.googleapis.com/angzarr.RejectionNotification",
        "type.googleapis.com/my.angzarr.Notification",
        "angzarr.Notification/x",
    ],
)
def test_anything_else_is_no_notification(url: str) -> None:
    assert not m.is_notification(url)


def test_a_business_type_in_a_framework_package_is_no_framework_type() -> None:
    assert framework_name("type.googleapis.com/angzarr.Shipment") is None
