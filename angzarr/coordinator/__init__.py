"""The embedded coordinator: a whole event-sourced application in one process, on SQLite."""

from angzarr.coordinator.config import (
    CommandConfig,
    CoordinatorConfig,
    ReactionConfig,
    ServingConfig,
)
from angzarr.coordinator.embedded import EmbeddedCoordinator
from angzarr.coordinator.errors import (
    ConflictError,
    Pending,
    SettleTimeout,
    StoreError,
    StoreFullError,
    StoreOpenError,
)
from angzarr.coordinator.health import ComponentHealth
from angzarr.coordinator.store import StoreConfig

__all__ = [
    "CommandConfig",
    "ComponentHealth",
    "ConflictError",
    "CoordinatorConfig",
    "EmbeddedCoordinator",
    "Pending",
    "ReactionConfig",
    "ServingConfig",
    "SettleTimeout",
    "StoreConfig",
    "StoreError",
    "StoreFullError",
    "StoreOpenError",
]
