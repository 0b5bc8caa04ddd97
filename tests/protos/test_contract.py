"""The generated descriptors, the generated classes and the RPC tables all say what the wire contract says."""

import betterproto
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from angzarr import _gen
from angzarr._gen.angzarr_client.proto import angzarr as generated
from angzarr._gen.names import NAMES
from angzarr.messages import services
from tests.protos.contract import ENUMS, MESSAGES, RPCS

PACKAGE = "angzarr_client.proto.angzarr"


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_gen.descriptor_set()).file:
        pool.Add(file)
    return pool


POOL = _pool()


def _rows(table: str) -> list[tuple[str, str]]:
    pairs = [line.partition(":")[::2] for line in table.strip().splitlines()]
    return [(name, rest.strip()) for name, rest in pairs]


def _short(full_name: str) -> str:
    return full_name.removeprefix(f"{PACKAGE}.").removeprefix("google.protobuf.")


def _describe_field(field: FieldDescriptor) -> str:
    scalar = {
        FieldDescriptor.TYPE_BYTES: "bytes",
        FieldDescriptor.TYPE_STRING: "string",
        FieldDescriptor.TYPE_UINT32: "uint32",
        FieldDescriptor.TYPE_UINT64: "uint64",
        FieldDescriptor.TYPE_BOOL: "bool",
    }
    named = field.message_type or field.enum_type
    kind = _short(named.full_name) if named else scalar[field.type]
    oneof = field.containing_oneof
    if field.is_repeated:
        label = "*"
    elif oneof is not None:
        label = "?" if oneof.name.startswith("_") else f"@{oneof.name}"
    else:
        label = ""
    return f"{field.name}={field.number} {kind}{label}"


def _describe_message(message: Descriptor) -> str:
    return "; ".join(
        _describe_field(field) for field in sorted(message.fields, key=lambda field: field.number)
    )


@pytest.mark.parametrize(("name", "fields"), _rows(MESSAGES))
def test_a_message_has_the_fields_of_the_contract(name: str, fields: str) -> None:
    assert _describe_message(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")) == fields


@pytest.mark.parametrize(("name", "values"), _rows(ENUMS))
def test_an_enum_has_the_values_of_the_contract(name: str, values: str) -> None:
    enum = POOL.FindEnumTypeByName(f"{PACKAGE}.{name}")

    assert " ".join(f"{value.name}={value.number}" for value in enum.values) == values


def _describe_rpc(method: MethodDescriptor) -> str:
    request = ("stream " if method.client_streaming else "") + _short(method.input_type.full_name)
    response = ("stream " if method.server_streaming else "") + _short(method.output_type.full_name)
    return f"{method.containing_service.name}/{method.name}: {request} > {response}"


def test_the_services_have_the_rpcs_of_the_contract() -> None:
    names = sorted({line.partition("/")[0] for line in RPCS.split("\n") if line})
    described = [
        _describe_rpc(method)
        for name in names
        for method in POOL.FindServiceByName(f"{PACKAGE}.{name}").methods
    ]

    assert sorted(described) == sorted(RPCS.strip().splitlines())


def test_the_rpc_tables_have_the_rpcs_of_the_contract() -> None:
    def kind(cls: type[betterproto.Message], streaming: bool) -> str:
        return ("stream " if streaming else "") + {"Uuid": "UUID"}.get(cls.__name__, cls.__name__)

    described = [
        f"{service.short_name}/{rpc.name}: {kind(rpc.request, rpc.client_streaming)}"
        f" > {kind(rpc.response, rpc.server_streaming)}"
        for service in services.SERVICES
        for rpc in service.rpcs.values()
    ]

    assert sorted(described) == sorted(RPCS.strip().splitlines())


def test_nothing_but_the_contract_is_declared() -> None:
    assert sorted(NAMES) == sorted(f"{PACKAGE}.{name}" for name, _ in _rows(MESSAGES))


@pytest.mark.parametrize("full_name", sorted(NAMES))
def test_a_generated_class_has_the_fields_of_its_descriptor(full_name: str) -> None:
    described = {
        field.number: (
            field.name,
            None
            if field.containing_oneof is None or field.containing_oneof.name.startswith("_")
            else field.containing_oneof.name,
            field.message_type.GetOptions().map_entry if field.message_type else False,
        )
        for field in POOL.FindMessageTypeByName(full_name).fields
    }
    message = getattr(generated, NAMES[full_name])()
    metadata = message._betterproto.meta_by_field_name.items()

    assert {meta.number: (name, meta.group, meta.proto_type == "map") for name, meta in metadata} == described


@pytest.mark.parametrize(("name", "values"), _rows(ENUMS))
def test_an_enum_answers_to_its_full_proto_value_names(name: str, values: str) -> None:
    enum = getattr(generated, name)

    for value in values.split():
        full, _, number = value.partition("=")
        assert getattr(enum, full) is enum.try_value(int(number))


def test_the_short_name_of_an_enum_value_is_the_member_s_own() -> None:
    full: generated.SyncMode = generated.SyncMode.SYNC_MODE_SIMPLE

    assert full is generated.SyncMode.try_value(1)
    assert full.name == "SIMPLE"


@pytest.mark.parametrize(
    ("message", "number", "name"),
    [
        ("EventProcessingFailedDetails", 4, "stack_trace"),
        ("Notification", 4, "metadata"),
        ("CommandResponse", 3, "cascade_errors"),
        ("SagaCompensationFailed", 3, "saga_name"),
    ],
)
def test_a_field_that_others_know_stays_reserved(message: str, number: int, name: str) -> None:
    proto = descriptor_pb2.DescriptorProto()
    POOL.FindMessageTypeByName(f"{PACKAGE}.{message}").CopyToProto(proto)

    assert [(found.start, found.end) for found in proto.reserved_range] == [(number, number + 1)]
    assert list(proto.reserved_name) == [name]


def test_field_five_of_a_cover_is_free() -> None:
    proto = descriptor_pb2.DescriptorProto()
    POOL.FindMessageTypeByName(f"{PACKAGE}.Cover").CopyToProto(proto)

    assert not proto.reserved_range


def test_the_status_messages_are_google_s() -> None:
    from google.rpc import error_details_pb2, status_pb2

    ours = {
        name: _describe_numbers(POOL.FindMessageTypeByName(f"google.rpc.{name}"))
        for name in ("Status", "ErrorInfo", "RetryInfo", "DebugInfo", "BadRequest", "PreconditionFailure")
    }
    theirs = {
        "Status": _describe_numbers(status_pb2.Status.DESCRIPTOR),
        "ErrorInfo": _describe_numbers(error_details_pb2.ErrorInfo.DESCRIPTOR),
        "RetryInfo": _describe_numbers(error_details_pb2.RetryInfo.DESCRIPTOR),
        "DebugInfo": _describe_numbers(error_details_pb2.DebugInfo.DESCRIPTOR),
        "BadRequest": _describe_numbers(error_details_pb2.BadRequest.DESCRIPTOR),
        "PreconditionFailure": _describe_numbers(error_details_pb2.PreconditionFailure.DESCRIPTOR),
    }

    assert ours == theirs


def test_the_health_and_reflection_messages_are_those_of_grpc() -> None:
    from grpc_health.v1 import health_pb2
    from grpc_reflection.v1alpha import reflection_pb2

    for package, module in (
        ("grpc.health.v1", health_pb2),
        ("grpc.reflection.v1alpha", reflection_pb2),
        ("grpc.reflection.v1", reflection_pb2),
    ):
        for name in set(module.DESCRIPTOR.message_types_by_name) - {
            "HealthListRequest",
            "HealthListResponse",
        }:
            theirs = module.DESCRIPTOR.message_types_by_name[name]
            assert _describe_numbers(POOL.FindMessageTypeByName(f"{package}.{name}")) == _describe_numbers(
                theirs
            )


def _describe_numbers(message: Descriptor) -> list[tuple[int, str, int, bool]]:
    rows = [(field.number, field.name, field.type, field.is_repeated) for field in message.fields]
    return sorted(rows)


def test_the_descriptors_are_complete_enough_to_make_classes_from() -> None:
    cls = message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.EventBook"))

    assert cls(next_sequence=3).SerializeToString() == b"\x30\x03"
