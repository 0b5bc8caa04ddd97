"""Commands to the coordinator itself, in domain ``_angzarr``: so far, deleting an edition's events in a domain."""

from angzarr import codec
from angzarr.coordinator import books
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.outliving import stored
from angzarr.coordinator.status import invalid
from angzarr.coordinator.store.records import MAIN, DeleteEdition
from angzarr.errors import DecodeError
from angzarr.messages import CommandBook, CommandPage, DeleteEditionEvents, any_of, type_matches


async def execute(engine: Engine, book: CommandBook) -> None:
    """Carry out a command to the coordinator, all of its pages or none.

    Raises:
        GRPCError: INVALID_ARGUMENT, it is none, or is about the main timeline.
    """
    deletions = [_checked(page) for page in book.pages]

    def forget(_: object = None) -> None:
        for deletion in deletions:
            engine.fan_out.edition_deleted(deletion.domain, deletion.edition)

    # Before, so that nobody writes down how far it is; afterwards, so that nobody remembers it.
    forget()
    await stored(engine.store.submit(deletions), forget)


def _checked(page: CommandPage) -> DeleteEdition:
    payload = any_of(page)
    if payload is None or not type_matches(payload, DeleteEditionEvents):
        invalid("Domain '_angzarr' takes DeleteEditionEvents only")
    try:
        command = codec.decode(DeleteEditionEvents, payload.value)
    except DecodeError as error:
        invalid(f"Malformed DeleteEditionEvents: {error}")
    edition = books.edition_name(command.edition)
    if edition == MAIN:
        invalid("The main timeline cannot be deleted: name an edition")
    if not command.domain:
        invalid("DeleteEditionEvents must name a domain")
    return DeleteEdition(command.domain, edition)
