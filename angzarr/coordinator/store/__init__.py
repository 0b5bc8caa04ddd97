"""Where events live: the protocol, its records, and SQLite."""

from angzarr.coordinator.store.base import Store
from angzarr.coordinator.store.sqlite import MEMORY, SqliteStore, StoreConfig

__all__ = ["MEMORY", "SqliteStore", "Store", "StoreConfig"]
