"""The embedded store keeps the store contract."""

from __future__ import annotations

from pathlib import Path

from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    """The embedded store keeps the store contract."""

    def new_store(self, place: Path) -> SqliteStore:
        return SqliteStore(place)
