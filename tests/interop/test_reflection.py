"""grpcio-reflection's client, and google.protobuf's pool behind it, ask our server what it serves."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from angzarr._gen.grpc.reflection import v1
from angzarr.cli.compiler.users import compile_protos
from angzarr.codec import decode, encode
from angzarr.messages.descriptors import descriptor_files
from angzarr.server import ServerOptions, create_server
from tests.bank.domain import bank
from tests.interop.protos import pool

T = TypeVar("T")
SHOP = """
syntax = "proto3";
package shop.reflected;
import "google/protobuf/timestamp.proto";
message Sold { string sku = 1; google.protobuf.Timestamp sold_at = 2; }
"""
PACKAGE = "angzarr_client.proto.angzarr"


async def asked(question: Callable[[grpc.Channel], T], *services: Any) -> T:
    """What a foreign client finds out about a server of these services, or of all the bank's routers."""
    handle = create_server(services or bank(), address="127.0.0.1:0", options=ServerOptions(linger=0.05))
    await handle.start()
    try:
        return await asyncio.to_thread(_ask, handle.server.addresses[0], question)
    finally:
        await handle.stop()


def _ask(address: str, question: Callable[[grpc.Channel], T]) -> T:
    with grpc.insecure_channel(address) as channel:
        return question(channel)


async def test_the_services_are_listed() -> None:
    listed = await asked(lambda channel: ProtoReflectionDescriptorDatabase(channel).get_services())
    assert sorted(listed) == [
        f"{PACKAGE}.CommandHandlerService",
        f"{PACKAGE}.ProcessManagerService",
        f"{PACKAGE}.ProjectorService",
        f"{PACKAGE}.SagaService",
        f"{PACKAGE}.UpcasterService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


async def test_a_client_that_knows_nothing_can_build_and_make_a_call() -> None:
    def call(channel: grpc.Channel) -> Any:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName("grpc.health.v1.Health")
        method = service.FindMethodByName("Check")
        request = GetMessageClass(method.input_type)()
        reply = GetMessageClass(method.output_type)
        return channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )(request)

    assert (await asked(call)).status == 2


async def test_every_message_of_the_contract_is_described_as_the_protos_say() -> None:
    def differences(channel: grpc.Channel) -> list[str]:
        theirs = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        files = ["types", "command_handler", "saga", "process_manager", "projector", "upcaster"]
        return [
            name
            for file in files
            for name, message in pool()
            .FindFileByName(f"angzarr_client/proto/angzarr/{file}.proto")
            .message_types_by_name.items()
            if _shape(message) != _shape(theirs.FindMessageTypeByName(message.full_name))
        ]

    assert await asked(differences) == []


def _shape(message: Any) -> list[tuple[str, int, int]]:
    return [(field.name, field.number, field.type) for field in message.fields]


async def test_what_is_not_known_is_not_found() -> None:
    def ask(channel: grpc.Channel) -> list[int]:
        questions = [
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such"),
            reflection_pb2.ServerReflectionRequest(file_by_filename="no/such.proto"),
            reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="no.Such"),
            reflection_pb2.ServerReflectionRequest(),
        ]
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        return [answer.error_response.error_code for answer in stub.ServerReflectionInfo(iter(questions))]

    assert await asked(ask) == [5, 5, 5, 3]


async def test_extensions_are_looked_up_by_number() -> None:
    def ask(channel: grpc.Channel) -> list[int]:
        request = reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type=f"{PACKAGE}.EventBook")
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([request]))
        return list(answer.all_extension_numbers_response.extension_number)

    assert await asked(ask) == []


async def test_version_1_answers_as_well() -> None:
    def ask(channel: grpc.Channel) -> Any:
        method = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        request = v1.ServerReflectionRequest(file_containing_symbol=f"{PACKAGE}.SagaService.Handle")
        (answer,) = method(iter([encode(request)]))
        return decode(v1.ServerReflectionResponse, answer)

    answer = await asked(ask)
    files = answer.file_descriptor_response.file_descriptor_proto
    assert answer.original_request.file_containing_symbol == f"{PACKAGE}.SagaService.Handle"
    assert len(files) == len(set(files))
    assert b"saga.proto" in files[0]


async def test_packages_that_the_user_compiled_are_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "shop.proto").write_text(SHOP)
    await asyncio.to_thread(compile_protos, [tmp_path / "protos"], tmp_path / "reflected_shop")
    monkeypatch.syspath_prepend(tmp_path)
    await asyncio.to_thread(import_module, "reflected_shop.shop.reflected")

    def fields(channel: grpc.Channel) -> list[str]:
        found = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        return [field.name for field in found.FindMessageTypeByName("shop.reflected.Sold").fields]

    assert await asked(fields) == ["sku", "sold_at"]


@pytest.mark.parametrize("name", ["types", "query"])
def test_the_descriptors_that_are_shipped_are_those_of_the_protos(name: str) -> None:
    file = f"angzarr_client/proto/angzarr/{name}.proto"
    assert descriptor_files()[file] == pool().FindFileByName(file).serialized_pb
    assert Path(file).suffix == ".proto"
