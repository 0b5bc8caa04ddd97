"""The same work written twice: on betterproto messages with angzarr's codec, and on google.protobuf's."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import betterproto
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from angzarr import _gen, codec
from angzarr import messages as ours

_AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
_TYPE_URL = "type.googleapis.com/benchmark.ChipsDeposited"
_ROOT = bytes(range(16))


@dataclass(eq=False, repr=False)
class ChipsDeposited(betterproto.Message):
    amount: int = betterproto.int64_field(1)
    balance: int = betterproto.int64_field(2)


class Ours:
    """betterproto messages and angzarr's codec."""

    def __init__(self, pages: int) -> None:
        for cls in (ChipsDeposited, ours.ContextualCommand, ours.BusinessResponse):
            codec.prepare(cls)
        self.message = ours.ContextualCommand(
            events=ours.EventBook(cover=_cover(), pages=[_page(i) for i in range(pages)], next_sequence=pages)
        )
        self.data = codec.encode(self.message)
        self._parse = codec.parser_for(ours.ContextualCommand)
        self._event = ChipsDeposited(amount=5, balance=10)

    def decode(self) -> ours.ContextualCommand:
        return codec.decode(ours.ContextualCommand, self.data)

    def encode(self) -> bytes:
        return codec.encode(self.message)

    def rebuild(self) -> int:
        parse, balance = codec.parser_for(ChipsDeposited), 0
        for page in codec.decode(ours.ContextualCommand, self.data).events.pages:
            packed = page.event
            if packed.type_url == _TYPE_URL:
                value = packed.value
                event = parse(value, 0, len(value))
                balance += event.amount
        return balance

    def response(self) -> bytes:
        page = ours.EventPage(
            header=ours.PageHeader(sequence=7),
            created_at=_AT,
            event=ours.Any(type_url=_TYPE_URL, value=codec.encode(ChipsDeposited(amount=5, balance=1234))),
        )
        book = ours.EventBook(cover=_cover(), pages=[page], next_sequence=8)
        return codec.encode(ours.BusinessResponse(events=book))

    def responses(self) -> None:
        for _ in range(1000):
            self.response()

    def reads(self) -> None:
        event = self._event
        for _ in range(10_000):
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018

    def constructs(self) -> None:
        for _ in range(10_000):
            ChipsDeposited(amount=5, balance=1234)


def _cover() -> ours.Cover:
    return ours.Cover(root=ours.UUID(value=_ROOT), domain="player", correlation_id="c-1")


def _page(index: int) -> ours.EventPage:
    event = ChipsDeposited(amount=index % 100 + 1, balance=1000 + index)
    return ours.EventPage(
        header=ours.PageHeader(sequence=index),
        created_at=_AT + timedelta(seconds=index),
        event=ours.Any(type_url=_TYPE_URL, value=codec.encode(event)),
    )


class Theirs:
    """google.protobuf with its C implementation, and a loop written by hand."""

    def __init__(self, pages: int) -> None:
        pool = _pool()
        package = "angzarr_client.proto.angzarr."
        names = (
            "ContextualCommand",
            "BusinessResponse",
            "EventBook",
            "EventPage",
            "PageHeader",
            "Cover",
            "UUID",
        )
        found = {name: _class(pool, package + name) for name in names}
        self._classes = found
        self._any = _class(pool, "google.protobuf.Any")
        self._stamp = _class(pool, "google.protobuf.Timestamp")
        self._event_class = _class(pool, "benchmark.ChipsDeposited")
        self.message = found["ContextualCommand"](
            events=found["EventBook"](
                cover=self._cover(), pages=[self._page(i) for i in range(pages)], next_sequence=pages
            )
        )
        self.data: bytes = self.message.SerializeToString()
        self._event = self._event_class(amount=5, balance=10)

    def decode(self) -> Any:
        return self._classes["ContextualCommand"].FromString(self.data)

    def encode(self) -> bytes:
        data: bytes = self.message.SerializeToString()
        return data

    def rebuild(self) -> int:
        parse, balance = self._event_class.FromString, 0
        for page in self._classes["ContextualCommand"].FromString(self.data).events.pages:
            packed = page.event
            if packed.type_url == _TYPE_URL:
                event = parse(packed.value)
                balance += event.amount
        return balance

    def response(self) -> bytes:
        classes = self._classes
        stamp = self._stamp()
        stamp.FromDatetime(_AT)
        page = classes["EventPage"](
            header=classes["PageHeader"](sequence=7),
            created_at=stamp,
            event=self._any(
                type_url=_TYPE_URL, value=self._event_class(amount=5, balance=1234).SerializeToString()
            ),
        )
        book = classes["EventBook"](cover=self._cover(), pages=[page], next_sequence=8)
        data: bytes = classes["BusinessResponse"](events=book).SerializeToString()
        return data

    def responses(self) -> None:
        for _ in range(1000):
            self.response()

    def reads(self) -> None:
        event = self._event
        for _ in range(10_000):
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018
            event.amount  # noqa: B018

    def constructs(self) -> None:
        new = self._event_class
        for _ in range(10_000):
            new(amount=5, balance=1234)

    def _cover(self) -> Any:
        classes = self._classes
        return classes["Cover"](root=classes["UUID"](value=_ROOT), domain="player", correlation_id="c-1")

    def _page(self, index: int) -> Any:
        stamp = self._stamp()
        stamp.FromDatetime(_AT + timedelta(seconds=index))
        event = self._event_class(amount=index % 100 + 1, balance=1000 + index)
        return self._classes["EventPage"](
            header=self._classes["PageHeader"](sequence=index),
            created_at=stamp,
            event=self._any(type_url=_TYPE_URL, value=event.SerializeToString()),
        )


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_gen.descriptor_set()).file:
        pool.Add(file)
    event = descriptor_pb2.FileDescriptorProto(name="benchmark.proto", package="benchmark", syntax="proto3")
    message = event.message_type.add(name="ChipsDeposited")
    for number, name in enumerate(("amount", "balance"), 1):
        message.field.add(name=name, number=number, type="TYPE_INT64", label="LABEL_OPTIONAL")
    pool.Add(event)
    return pool


def _class(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
