"""Facts of sagas that are sent again: once by what led to them, whatever they call themselves."""

from collections.abc import Sequence

from angzarr.messages import (
    CommandBook,
    Cover,
    EventBook,
    EventPage,
    ExternalDeferredSequence,
    PageHeader,
    SagaHandleRequest,
    new_cover,
)
from tests.coordinator.worlds import A, B, Domain, Saga, names, payload, world


class Renaming:
    """A saga whose fact has another external id each time."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _: Cover) -> Sequence[CommandBook | EventBook]:
        self.times += 1
        header = PageHeader(external_deferred=ExternalDeferredSequence(external_id=f"try-{self.times}"))
        page = EventPage(header=header, event=payload("Noticed"))
        return [EventBook(cover=new_cover("right", B), pages=[page])]


async def test_a_fact_that_a_saga_sends_again_under_another_external_id_is_stored_once() -> None:
    rule = Renaming()
    async with world(handlers={"right": Domain()}, sagas={"s": ("left", Saga({"DoneOne": rule}))}) as running:
        page = EventPage(header=PageHeader(sequence=0), event=payload("DoneOne"))
        asked = SagaHandleRequest(source=EventBook(cover=new_cover("left", A), pages=[page]))
        for _ in range(2):
            await running.runtime.sagas.execute(asked)
            await running.settle(30)
        assert names(await running.events("right", B)) == ["Noticed"]
        assert await running.dead_letters() == []
    assert rule.times == 2
