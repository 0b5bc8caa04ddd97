"""What sagas and process managers know of the domains they command: the next sequences, and how to address them."""

import uuid
from collections.abc import Mapping

import betterproto

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError
from angzarr.messages import (
    AngzarrDeferredSequence,
    CommandBook,
    CommandPage,
    Cover,
    MergeStrategy,
    PageHeader,
    SyncMode,
    clone,
    implicit_edition,
    new_cover,
    pack,
)


class Destinations:
    """The context a reaction gets for addressing other aggregates.

    Sequences only, never the destinations' events: a saga translates, the aggregate decides.

    Args:
        sequences: domain → next sequence there; kept by reference.
        source: cover of what triggered the reaction, for ``command_for``.
        source_seq: sequence of the triggering event.
    """

    def __init__(
        self, sequences: dict[str, int], *, source: Cover | None = None, source_seq: int = 0
    ) -> None:
        self.sequences = sequences
        self.source = source
        self.source_seq = source_seq

    @classmethod
    def from_proto(cls, destination_sequences: Mapping[str, int]) -> "Destinations":
        """From a request's ``destination_sequences``; the map is copied."""
        return cls(dict(destination_sequences))

    @property
    def domains(self) -> list[str]:
        """The domains whose sequence is known, in the order given."""
        return list(self.sequences)

    def sequence_for(self, domain: str) -> int | None:
        """The next sequence in a domain; None when it is not known (0 is a sequence)."""
        return self.sequences.get(domain)

    def has_domain(self, domain: str) -> bool:
        """Whether the domain's sequence is known."""
        return domain in self.sequences

    def stamp_command(self, cmd: CommandBook, domain: str) -> CommandBook:
        """Set the domain's sequence on every page of a command, in place of any deferred header.

        Returns:
            The same book.

        Raises:
            InvalidArgumentError: MISSING_DESTINATION_SEQUENCE, the domain's sequence is not known; list it among
                the targets, or address it with ``command_for``.
        """
        sequence = self.sequences.get(domain)
        if sequence is None:
            raise InvalidArgumentError(
                messages.MISSING_DESTINATION_SEQUENCE,
                code=codes.MISSING_DESTINATION_SEQUENCE,
                details={keys.DOMAIN: domain},
            )
        for page in cmd.pages:
            page.header.sequence = sequence
        return cmd

    @staticmethod
    def deferred_header(source_cover: Cover, source_seq: int) -> PageHeader:
        """A header that lets the coordinator find the sequence, and drop a second delivery.

        Args:
            source_cover: whose event caused the command; a rejection goes back there. Copied.
            source_seq: that event's sequence.
        """
        return PageHeader(
            angzarr_deferred=AngzarrDeferredSequence(source=clone(source_cover), source_seq=source_seq)
        )

    def command_for(
        self,
        domain: str,
        root: bytes | uuid.UUID,
        message: betterproto.Message,
        *,
        sequence: int | None = None,
        merge_strategy: MergeStrategy = MergeStrategy.MERGE_COMMUTATIVE,
        sync_mode: SyncMode | None = None,
    ) -> CommandBook:
        """A command for an aggregate, addressed as a reaction's command should be.

        It carries the trigger's edition and correlation id, and the deferred header unless a sequence is given.

        Args:
            domain: the destination's domain.
            root: its root, as UUID or 16 raw bytes.
            message: the command.
            sequence: the sequence it expects; None lets the coordinator find it.
            merge_strategy: what happens when an explicit sequence is stale.
            sync_mode: overrides the flow's mode for this command; None leaves it.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, the root is not 16 bytes.
            UnregisteredMessageError: UNREGISTERED_MESSAGE, the command's class was never registered.
            EncodeError: a field holds a value its type cannot carry.
        """
        raw = root.bytes if isinstance(root, uuid.UUID) else bytes(root)
        if len(raw) != 16:
            raise InvalidArgumentError(
                f"root must be a UUID or 16 bytes, got {len(raw)} bytes", details={keys.FIELD: "root"}
            )
        source = self.source or Cover()
        cover = new_cover(domain, raw, source.correlation_id)
        if source.edition.name:
            cover.edition = implicit_edition(source.edition.name)
        header = (
            self.deferred_header(source, self.source_seq)
            if sequence is None
            else PageHeader(sequence=sequence)
        )
        if sync_mode is not None:
            header.sync_mode = sync_mode
        return CommandBook(
            cover=cover,
            pages=[CommandPage(header=header, merge_strategy=merge_strategy, command=pack(message))],
        )
