"""Which messages there are, and what they are called: from an application, or from a running coordinator."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

import betterproto

from angzarr._gen.grpc.reflection.v1 import ServerReflectionRequest, ServerReflectionResponse
from angzarr._gen.names import PACKAGES
from angzarr.app import App
from angzarr.cli.dynamic import register_described
from angzarr.cli.errors import wrong_input
from angzarr.cli.jsonform import Names, loads, read_message, write_message
from angzarr.cli.loading import handlers_of, load_app
from angzarr.client.base import SingleServiceClient
from angzarr.errors import ClientError
from angzarr.messages import message_class, registered_names
from angzarr.messages.descriptors import descriptor_files
from angzarr.messages.services import Service, service
from angzarr.retry import ExponentialBackoffRetry

_FRAMEWORK = frozenset(name for names in PACKAGES.values() for name in names)
_EVERY_FILE = "*"

REFLECTION = service(
    "grpc.reflection.v1.ServerReflection",
    streaming={"ServerReflectionInfo": "both"},
    ServerReflectionInfo=(ServerReflectionRequest, ServerReflectionResponse),
)


class Vocabulary:
    """The messages of an application.

    Args:
        files: serialized FileDescriptorProtos by file name.
        commands: full names of the commands of a domain, by domain, as far as they are known.
        source: where it comes from, for errors.
    """

    def __init__(
        self, files: Mapping[str, bytes], commands: Mapping[str, Collection[str]], source: str
    ) -> None:
        self._names = Names(files)
        self._commands = commands
        self._source = source

    def message(self, name: str, domain: str = "") -> type[betterproto.Message]:
        """The class that a user means.

        Args:
            name: a message's full name, or the end of one.
            domain: the domain it is for; its commands win over other messages of the same short name.

        Raises:
            CommandLineError: there is none, or there are several; the text says which there are.
        """
        known = [known for known in registered_names() if known not in _FRAMEWORK]
        own = sorted(self._commands.get(domain, ()))
        for candidates in ([name] if name in known else [], _ending(name, own), _ending(name, known)):
            if len(candidates) > 1:
                raise wrong_input(f"{name!r} is ambiguous", f"write one of {', '.join(candidates)}")
            if candidates:
                return message_class(candidates[0])
        raise wrong_input(f"{self._source} knows no message {name!r}", _suggestion(name, own or known))

    def from_json(self, cls: type[betterproto.Message], text: str) -> betterproto.Message:
        """A message from JSON text.

        Raises:
            JsonError: the text does not describe it.
        """
        return read_message(cls, loads(text), self._names)

    def to_json(self, message: betterproto.Message, *, original_names: bool = False) -> Any:
        """The JSON form of a message."""
        return write_message(message, self._names, original_names=original_names)


def _ending(name: str, candidates: Iterable[str]) -> list[str]:
    return [candidate for candidate in candidates if candidate == name or candidate.endswith(f".{name}")]


def _suggestion(name: str, known: list[str]) -> str:
    if not known:
        return "say where the messages are: --app module:attribute, or ANGZARR_APP"
    short = {candidate.rpartition(".")[2]: candidate for candidate in known}
    close = difflib.get_close_matches(name.rpartition(".")[2], short, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = ", ".join(sorted(short)[:20])
    return f"there is {shown}" + (" and more" if len(short) > 20 else "")


def of_app(spec: str) -> Vocabulary:
    """The vocabulary of an application that can be imported.

    Raises:
        CommandLineError: it cannot.
    """
    return of_loaded(load_app(spec), spec)


def of_loaded(app: App, source: str) -> Vocabulary:
    """The vocabulary of an application that is there."""
    commands: dict[str, set[str]] = {}
    for info in handlers_of(app):
        if info.kind == "command_handler":
            commands.setdefault(info.domain, set()).update(info.handles)
    return Vocabulary(descriptor_files(), commands, source)


class ReflectionClient(SingleServiceClient):
    """Client of grpc.reflection.v1.ServerReflection."""

    services: ClassVar[tuple[Service, ...]] = (REFLECTION,)

    async def files(self, timeout: float | None = None) -> dict[str, bytes]:
        """Every proto file the server knows, by name; none when it does not tell.

        Raises:
            ClientError: the server cannot be reached.
        """
        request = ServerReflectionRequest(file_by_filename=_EVERY_FILE)
        try:
            asked = self.stub.server_reflection_info([request], timeout=timeout)
            answers = [answer async for answer in asked]
        except ClientError as error:
            if error.is_connection_error():
                raise
            return {}
        found = [content for answer in answers for content in _files_in(answer)]
        return {str(at): content for at, content in enumerate(found)}


def _files_in(answer: ServerReflectionResponse) -> list[bytes]:
    name, value = betterproto.which_one_of(answer, "message_response")
    return list(value.file_descriptor_proto) if name == "file_descriptor_response" and value else []


async def of_coordinator(endpoint: str, timeout: float | None = None) -> Vocabulary:
    """The vocabulary of a running coordinator, by server reflection.

    Raises:
        ClientError: it cannot be reached.
    """
    async with ReflectionClient.connect(endpoint, ExponentialBackoffRetry(max_attempts=1)) as client:
        files = await client.files(timeout)
    register_described(files)
    return Vocabulary({**files, **descriptor_files()}, {}, f"the coordinator at {endpoint}")
