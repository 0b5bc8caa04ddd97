"""grpc.reflection: lets grpcurl and its like ask a server what it serves and how the messages look.

Answers come from the framework's descriptors and those of every imported package that `angzarr protos compile` made.
"""

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import betterproto
from anyio import to_thread
from betterproto.lib.google.protobuf import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from grpclib.const import Cardinality, Handler, Status

from angzarr._gen.grpc.reflection import v1, v1alpha
from angzarr.codec import decode
from angzarr.messages.descriptors import descriptor_files

OF_EVERY_SERVER = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
"""Full names of the services that servers of ours have beside what they are for."""


class ReflectionService:
    """Server reflection, in the versions v1 and v1alpha.

    Args:
        services: full names of the services to list.
        files: where the descriptors are: file name → serialized FileDescriptorProto. By default everything known, read
            at the first question.
    """

    def __init__(
        self, services: Iterable[str], files: Callable[[], dict[str, bytes]] = descriptor_files
    ) -> None:
        self._services = sorted(services)
        self._load = files
        self._index: Index | None = None

    def __mapping__(self) -> dict[str, Handler]:
        return {
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": Handler(
                _Conversation(self, module).hold,
                Cardinality.STREAM_STREAM,
                module.ServerReflectionRequest,
                module.ServerReflectionResponse,
            )
            for version, module in (("v1", v1), ("v1alpha", v1alpha))
        }

    async def index(self) -> "Index":
        """The descriptors by name of file and symbol; read once."""
        if self._index is None:
            self._index = await to_thread.run_sync(lambda: Index(self._load()))
        return self._index

    @property
    def services(self) -> list[str]:
        """Full names of the services listed."""
        return self._services


class Index:
    """Finds the file that declares something, and the files that one needs.

    Args:
        files: file name → serialized FileDescriptorProto.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        parsed = [decode(FileDescriptorProto, content) for content in files.values()]
        self._imports = {file.name: list(file.dependency) for file in parsed}
        self._home = {symbol: file.name for file in reversed(parsed) for symbol in symbols_of(file)}
        self._extensions = {
            (extension.extendee.lstrip("."), extension.number): file.name
            for file in parsed
            for extension in _extensions_of(file)
        }

    def file(self, name: str) -> list[bytes] | None:
        """A file and all it imports, itself first; None if there is no such file; every file for ``*`` (ours)."""
        if name == "*":
            return list(self._files.values())
        return self._with_imports(name) if name in self._files else None

    def declaring(self, symbol: str) -> list[bytes] | None:
        """The file that declares a service, method, message, field, enum or enum value, and all it imports."""
        return self._with_imports(self._home[symbol]) if symbol in self._home else None

    def extending(self, message: str, number: int) -> list[bytes] | None:
        """The file that declares an extension field, and all it imports."""
        home = self._extensions.get((message, number))
        return None if home is None else self._with_imports(home)

    def extension_numbers(self, message: str) -> list[int] | None:
        """Numbers of the extension fields of a message, sorted; None for an unknown message."""
        if message not in self._home:
            return None
        return sorted(number for extended, number in self._extensions if extended == message)

    def _with_imports(self, name: str) -> list[bytes]:
        found: dict[str, bytes] = {}
        wanted = [name]
        while wanted:
            current = wanted.pop()
            if current not in found and current in self._files:
                found[current] = self._files[current]
                wanted.extend(self._imports[current])
        return list(found.values())


def symbols_of(file: FileDescriptorProto) -> Iterator[str]:
    """Full names of everything a file declares."""
    prefix = f"{file.package}." if file.package else ""
    for message in file.message_type:
        yield from _symbols_of_message(prefix, message)
    for enum in file.enum_type:
        yield prefix + enum.name
        yield from (prefix + value.name for value in enum.value)
    for service in file.service:
        yield prefix + service.name
        yield from (f"{prefix}{service.name}.{method.name}" for method in service.method)
    yield from (prefix + extension.name for extension in file.extension)


def _symbols_of_message(prefix: str, message: DescriptorProto) -> Iterator[str]:
    name = prefix + message.name
    yield name
    for field in (*message.field, *message.extension):
        yield f"{name}.{field.name}"
    yield from (f"{name}.{oneof.name}" for oneof in message.oneof_decl)
    for enum in message.enum_type:
        yield f"{name}.{enum.name}"
        yield from (f"{name}.{value.name}" for value in enum.value)
    for nested in message.nested_type:
        yield from _symbols_of_message(f"{name}.", nested)


def _extensions_of(scope: FileDescriptorProto | DescriptorProto) -> Iterator[FieldDescriptorProto]:
    yield from scope.extension
    for message in scope.message_type if isinstance(scope, FileDescriptorProto) else scope.nested_type:
        yield from _extensions_of(message)


class _Conversation:
    """One version of the protocol: the same messages, in another package."""

    def __init__(self, service: ReflectionService, messages: ModuleType) -> None:
        self._service = service
        self._messages: Any = messages

    async def hold(self, stream: Any) -> None:
        async for request in stream:
            await stream.send_message(await self._answer(request))

    async def _answer(self, request: Any) -> Any:
        which: str
        asked: Any
        which, asked = betterproto.which_one_of(request, "message_request")
        response = self._messages.ServerReflectionResponse(valid_host=request.host, original_request=request)
        if which == "list_services":
            response.list_services_response = self._messages.ListServiceResponse(
                service=[self._messages.ServiceResponse(name=name) for name in self._service.services]
            )
            return response
        index = await self._service.index()
        if which == "all_extension_numbers_of_type":
            self._put_numbers(response, asked, index.extension_numbers(asked))
        elif which == "file_containing_extension":
            found = index.extending(asked.containing_type, asked.extension_number)
            self._put_files(response, f"extension {asked.extension_number} of {asked.containing_type}", found)
        elif which == "file_containing_symbol":
            self._put_files(response, f"symbol {asked}", index.declaring(asked))
        elif which == "file_by_filename":
            self._put_files(response, f"file {asked}", index.file(asked))
        else:
            self._put_error(response, Status.INVALID_ARGUMENT, "the request asks nothing")
        return response

    def _put_files(self, response: Any, what: str, files: list[bytes] | None) -> None:
        if files is None:
            self._put_error(response, Status.NOT_FOUND, f"{what} is not known here")
        else:
            response.file_descriptor_response = self._messages.FileDescriptorResponse(
                file_descriptor_proto=files
            )

    def _put_numbers(self, response: Any, message: str, numbers: list[int] | None) -> None:
        if numbers is None:
            self._put_error(response, Status.NOT_FOUND, f"message {message} is not known here")
        else:
            response.all_extension_numbers_response = self._messages.ExtensionNumberResponse(
                base_type_name=message, extension_number=numbers
            )

    def _put_error(self, response: Any, status: Status, text: str) -> None:
        response.error_response = self._messages.ErrorResponse(error_code=status.value, error_message=text)
