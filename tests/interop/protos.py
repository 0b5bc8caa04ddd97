"""google.protobuf's classes of the wire contract, compiled from protos/ by grpc_tools: the foreign peers' own."""

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
PACKAGE = "angzarr_client.proto.angzarr"


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """A pool of every file of protos/ and of the bank, apart from the default one."""
    found = descriptor_pool.DescriptorPool()
    for file in _descriptors().file:
        found.AddSerializedFile(file.SerializeToString())
    return found


def google(name: str, package: str = PACKAGE) -> Any:
    """google.protobuf's class of a message."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"{package}.{name}"))


def _descriptors() -> descriptor_pb2.FileDescriptorSet:
    roots = [ROOT / "protos", ROOT / "tests" / "bank" / "protos"]
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "all.binpb")
        arguments = ["protoc", *(f"-I{root}" for root in roots), f"-I{_well_known()}"]
        arguments += ["--include_imports", f"--descriptor_set_out={target}", *_files(roots)]
        assert protoc.main(arguments) == 0
        return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


def _files(roots: list[Path]) -> Iterator[str]:
    for root in roots:
        yield from (str(path) for path in sorted(root.rglob("*.proto")))


def _well_known() -> Path:
    import grpc_tools

    return Path(grpc_tools.__path__[0], "_proto")
