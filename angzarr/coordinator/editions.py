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
    """Carry out a command to the coordinator.

    Raises:
        GRPCError: INVALID_ARGUMENT, it is none, or is about the main timeline.
    """
    for page in book.pages:
        await _delete(engine, _decoded(page))


def _decoded(page: CommandPage) -> DeleteEditionEvents:
    payload = any_of(page)
    if payload is None or not type_matches(payload, DeleteEditionEvents):
        invalid("Domain '_angzarr' takes DeleteEditionEvents only")
    try:
        return codec.decode(DeleteEditionEvents, payload.value)
    except DecodeError as error:
        invalid(f"Malformed DeleteEditionEvents: {error}")


async def _delete(engine: Engine, command: DeleteEditionEvents) -> None:
    edition = books.edition_name(command.edition)
    if edition == MAIN:
        invalid("The main timeline cannot be deleted: name an edition")
    if not command.domain:
        invalid("DeleteEditionEvents must name a domain")

    def forget(_: object = None) -> None:
        engine.fan_out.edition_deleted(command.domain, edition)

    # Before, so that nobody writes down how far it is; afterwards, so that nobody remembers it.
    forget()
    await stored(engine.store.submit([DeleteEdition(command.domain, edition)]), forget)
