"""The coordinator's administration service, as data: ours, and no part of the wire contract."""

from betterproto.lib.google.protobuf import Empty

from angzarr._gen.angzarr.admin.v1 import (
    Cause,
    Component,
    DeadLetterRequest,
    ExplainRequest,
    FoundCommand,
    ListComponentsResponse,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    ListProjectorsResponse,
    Projected,
    Projector,
    RebuildProgress,
    RebuildProjectorRequest,
)
from angzarr.messages.services import service

__all__ = [
    "ADMIN",
    "Cause",
    "Component",
    "DeadLetterRequest",
    "ExplainRequest",
    "FoundCommand",
    "ListComponentsResponse",
    "ListDeadLettersRequest",
    "ListDeadLettersResponse",
    "ListProjectorsResponse",
    "Projected",
    "Projector",
    "RebuildProgress",
    "RebuildProjectorRequest",
]

ADMIN = service(
    "angzarr.admin.v1.CoordinatorAdminService",
    streaming={"RebuildProjector": "server"},
    ListDeadLetters=(ListDeadLettersRequest, ListDeadLettersResponse),
    ReplayDeadLetter=(DeadLetterRequest, Empty),
    SkipDeadLetter=(DeadLetterRequest, Empty),
    Explain=(ExplainRequest, Cause),
    FindCommand=(ExplainRequest, FoundCommand),
    ListProjectors=(Empty, ListProjectorsResponse),
    ListComponents=(Empty, ListComponentsResponse),
    RebuildProjector=(RebuildProjectorRequest, RebuildProgress),
)
