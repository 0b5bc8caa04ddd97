"""Building commands fluently."""

import uuid
from typing import TYPE_CHECKING, Any, Self

import betterproto

from angzarr import codec
from angzarr.arguments import is_whole, require, unfit
from angzarr.client.failures import refused_argument
from angzarr.client.roots import as_root
from angzarr.error_codes import codes, messages
from angzarr.errors import InvalidArgumentError
from angzarr.messages import Any as PackedMessage
from angzarr.messages import (
    CascadeErrorMode,
    CommandBook,
    CommandPage,
    CommandRequest,
    CommandResponse,
    MergeStrategy,
    PageHeader,
    SyncMode,
    full_type_url_for,
    new_cover,
)
from angzarr.messages.pages import LAST_SEQUENCE

if TYPE_CHECKING:
    from angzarr.client.command_handler import CommandHandlerClient


class CommandBuilder:
    """Builds one command, and executes it. Every setter returns the builder; of several calls the last one counts.

    Args:
        client: executes the command.
        domain: the aggregate's domain.
        root: the aggregate's root: its UUID, 16 bytes, or a text: a UUID's, or the business key of the aggregate.

    Raises:
        InvalidArgumentError: PROTO_UUID_INVALID, the root is none of these.
    """

    def __init__(self, client: "CommandHandlerClient", domain: str, root: uuid.UUID | bytes | str) -> None:
        self._client = client
        self._domain = domain
        self._root = as_root(domain, root)
        self._correlation_id = ""
        self._sequence = 0
        self._merge_strategy = MergeStrategy.MERGE_COMMUTATIVE
        self._type_url: str | None = None
        self._payload: bytes | None = None

    def with_correlation_id(self, id: str) -> Self:
        """Say what exchange the command belongs to. Without one, or with ``""``, a fresh UUID is made."""
        self._correlation_id = id
        return self

    def with_sequence(self, seq: int) -> Self:
        """Say which sequence the aggregate is expected to be at: the one its next event gets. Without it: 0.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, it is not a number from 0 to 2**32 - 1.
        """
        self._sequence = checked_sequence(seq, "sequence")
        return self

    def with_merge_strategy(self, strategy: MergeStrategy) -> Self:
        """Say what happens when the sequence is stale: MERGE_COMMUTATIVE by default, MERGE_STRICT refuses."""
        self._merge_strategy = strategy
        return self

    def with_command(self, command: Any, message: Any = None) -> Self:
        """Set the command: ``with_command(message)``, or ``with_command(type_url, message)``.

        The message is encoded at once. A type URL is sent as it is given; without one it is
        ``type.googleapis.com/`` and the class's full name.

        Raises:
            UnregisteredMessageError: UNREGISTERED_MESSAGE, a class whose full name is not known.
            InvalidArgumentError: INVALID_ARGUMENT, a field holds what its type cannot carry.
        """
        if isinstance(command, betterproto.Message):
            self._type_url, self._payload = full_type_url_for(type(command)), _encoded(command)
        else:
            self._type_url, self._payload = command, None if message is None else _encoded(message)
        return self

    async def at_current_sequence(self) -> Self:
        """Set the sequence to the aggregate's next one, as the coordinator has it now.

        Asks for no events, only for the sequence that follows them; for all of them where a coordinator does not say.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, the client was made from a stub that cannot be asked.
            ClientError: what ``QueryClient.get_event_book`` raises.
        """
        query = self._client.queries.query(self._domain, self._root)
        tail = await query.range(LAST_SEQUENCE).get_event_book()
        if 0 < tail.next_sequence < LAST_SEQUENCE:
            return self.with_sequence(tail.next_sequence)
        book = await self._client.queries.query(self._domain, self._root).get_event_book()
        return self.with_sequence(book.next_sequence)

    def build(self) -> CommandBook:
        """The command as a book of one page, made anew with each call.

        Raises:
            InvalidArgumentError: COMMAND_TYPE_URL_MISSING or COMMAND_PAYLOAD_MISSING.
        """
        if not self._type_url:
            raise _missing(codes.COMMAND_TYPE_URL_MISSING)
        if self._payload is None:
            raise _missing(codes.COMMAND_PAYLOAD_MISSING)
        page = CommandPage(
            header=PageHeader(sequence=self._sequence),
            merge_strategy=self._merge_strategy,
            command=PackedMessage(type_url=self._type_url, value=self._payload),
        )
        cover = new_cover(self._domain, self._root, self._correlation_id or str(uuid.uuid4()))
        return CommandBook(cover=cover, pages=[page])

    async def execute(
        self,
        sync_mode: SyncMode = SyncMode.ASYNC,
        timeout: float | None = None,
        cascade_error_mode: CascadeErrorMode = CascadeErrorMode.CASCADE_ERROR_FAIL_FAST,
    ) -> CommandResponse:
        """Build the command and send it.

        Args:
            sync_mode: what the answer waits for: the events alone (ASYNC), projectors (SIMPLE), reactions (CASCADE).
            timeout: seconds for all attempts together; None for the channel's default.
            cascade_error_mode: what an error in a cascade does.

        Raises:
            InvalidArgumentError: what ``build`` raises.
            ClientError: what ``CommandHandlerClient.handle_command`` raises.
        """
        request = CommandRequest(
            command=self.build(), sync_mode=sync_mode, cascade_error_mode=cascade_error_mode
        )
        return await self._client.handle_command(request, timeout)


def checked_sequence(value: int, field: str) -> int:
    """The value, when it can be a sequence.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT; details ``field``, ``actual`` and ``expected``.
    """
    in_range = is_whole(value) and 0 <= value <= LAST_SEQUENCE
    require(in_range, field, value, "a number from 0 to 2**32 - 1")
    return value


def _encoded(message: Any) -> bytes:
    if isinstance(message, bytes):
        return message
    if isinstance(message, betterproto.Message):
        try:
            return codec.encode(message)
        except ValueError as error:
            raise refused_argument(error, getattr(error, "path", "")) from error
    serialize = getattr(message, "SerializeToString", None)
    if serialize is None:
        raise unfit("message", type(message).__name__, "a message or bytes")
    return bytes(serialize())


def _missing(code: str) -> InvalidArgumentError:
    return InvalidArgumentError(getattr(messages, code), code=code)
