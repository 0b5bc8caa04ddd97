"""How the embedded coordinator behaves, one frozen dataclass per concern."""

from dataclasses import dataclass, field

from angzarr.coordinator.store import StoreConfig


@dataclass(frozen=True)
class CommandConfig:
    """Commands and facts."""

    handler_timeout: float = 30.0
    """Seconds a handler may take to answer; afterwards DEADLINE_EXCEEDED, and nothing is stored."""

    max_events: int = 10_000
    """Events one command may cause; more is INTERNAL, so that a runaway handler cannot fill the store."""

    attempts: int = 10
    """How often a command is tried when another writer was first."""

    cache_bytes: int = 32 * 1024 * 1024
    """Bytes of histories kept in memory, so that hot aggregates are not read again."""

    hot_states: int = 10_000
    """Aggregates whose state is kept in memory between commands, for handlers in this process; 0 keeps none. Needs pure
    appliers; states that cannot be copied are folded every time."""

    cascade_depth: int = 32
    """How deep commands may cause commands under CASCADE before the cascade fails."""


@dataclass(frozen=True)
class ReactionConfig:
    """Sagas, process managers and projectors."""

    concurrency: int = 64
    """Aggregates whose reactions run at the same time, over all components."""

    handler_timeout: float = 30.0
    """Seconds a handler may take for one book; afterwards it counts as failed."""

    attempts: int = 10
    """How often a failing handler, or an unreachable target, is tried before the dead letters."""

    min_delay: float = 0.05
    """Seconds before the second attempt; doubles with each."""

    max_delay: float = 5.0
    """Seconds between attempts at most."""

    read_ahead: int = 20_000
    """Events that are read ahead of what a projector has taken in; bounds memory while it catches up."""

    depth: int = 1000
    """How many reactions may cause one another in a row, in any sync mode, before the next goes to the dead letters:
    sagas that answer each other for ever. A replayed letter goes on for as many again."""

    patience: float = 60.0
    """Seconds that a business server in another process may be out of reach before ``attempts`` counts: a restart of it
    costs no dead letters. Its reactions go on as soon as a health check finds it again."""

    health_interval: float = 5.0
    """Seconds between health checks of business servers in other processes, and looks at the projectors' progress."""

    health_timeout: float = 2.0
    """Seconds a health check may take."""

    stalled_after: float = 30.0
    """Seconds a projector may stay where it is, with events to take in, before its health says so."""

    escalation_webhook: str = ""
    """URL that an escalated revocation is posted to as JSON; none by default."""


@dataclass(frozen=True)
class ServingConfig:
    """Sockets and ports."""

    max_message_bytes: int = 10 * 1024 * 1024
    """Bytes of one message, both ways; above it RESOURCE_EXHAUSTED."""

    max_details_bytes: int = 6 * 1024
    """Bytes of error details sent to any client over the wire, and of a continued cascade's failures; above it details
    are left out and failures counted, since clients refuse large trailers. Angzarr's own client is sent up to 45 KiB of
    details; in process they have no limit."""

    grace: float = 5.0
    """Seconds that calls in flight are given when the coordinator stops."""

    subscriber_buffer: int = 1024
    """Books an event stream may lag behind before it is ended with RESOURCE_EXHAUSTED."""


@dataclass(frozen=True)
class CoordinatorConfig:
    """Everything about an embedded coordinator that is not its application or its addresses."""

    store: StoreConfig = field(default_factory=StoreConfig)
    """The database."""

    commands: CommandConfig = field(default_factory=CommandConfig)
    """Commands and facts."""

    reactions: ReactionConfig = field(default_factory=ReactionConfig)
    """Sagas, process managers and projectors."""

    serving: ServingConfig = field(default_factory=ServingConfig)
    """Sockets and ports."""
