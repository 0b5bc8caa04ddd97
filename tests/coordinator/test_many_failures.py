"""A continued cascade of very many failures: it has succeeded, and its caller can read the answer."""

import json

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.cascade import Cascade, Failure
from angzarr.messages import CascadeErrorMode, SyncMode
from tests.coordinator.foreigner import cover, names, page, visited
from tests.coordinator.worlds import FAST, A, B, Domain, Saga, command


def failed(count: int, message: str) -> Cascade:
    error = GRPCError(Status.FAILED_PRECONDITION, message)
    return Cascade(failures=[Failure("s", "right", error) for _ in range(count)])


def test_few_failures_are_told_as_they_are() -> None:
    said = json.loads(failed(2, "no").as_json(300))
    assert said == [
        {"component": "s", "domain": "right", "code": "FAILED_PRECONDITION", "message": "no"},
        {"component": "s", "domain": "right", "code": "FAILED_PRECONDITION", "message": "no"},
    ]


def test_long_messages_are_shortened_and_what_does_not_fit_is_counted() -> None:
    text = failed(40, "ä" * 1000).as_json(4000)
    said = json.loads(text)
    assert len(text) <= 4000
    assert said[0]["message"].startswith("ää")
    assert said[0]["message"].endswith("…")
    assert said[-1] == {
        "component": "",
        "domain": "",
        "code": "UNKNOWN",
        "message": f"and {40 - len(said) + 1} more, see the coordinator's log",
    }


async def test_a_foreign_client_gets_the_answer_of_a_cascade_with_very_many_failures() -> None:
    right = Domain()
    right.refuse["DoBad"] = GRPCError(Status.FAILED_PRECONDITION, "no " * 500)
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoBad")] * 60})
    async with visited(
        handlers={"left": Domain(), "right": right}, sagas={"s": ("left", saga)}, config=FAST
    ) as (_, foreigner):
        fields = {"sync_mode": int(SyncMode.CASCADE)}
        fields["cascade_error_mode"] = int(CascadeErrorMode.CASCADE_ERROR_CONTINUE)
        answer = await foreigner.send(page("DoOne", sequence=0), to=cover("left", A), **fields)
        assert names(answer.events) == ["DoneOne"]
        assert len(json.loads(foreigner.trailing["x-angzarr-cascade-errors"])) > 1
