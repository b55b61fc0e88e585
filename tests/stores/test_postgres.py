"""The PostgreSQL store keeps the store contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.stores.postgres import PostgresStore
from millpond.testing.store_contract import StoreContract


class TestPostgresStore(StoreContract):
    """The PostgreSQL store keeps the store contract."""

    @pytest.fixture(autouse=True)
    def _databases(self, new_database: Callable[[], str]) -> None:
        self._new_database = new_database
        self._urls: dict[Path, str] = {}

    def new_store(self, place: Path) -> PostgresStore:
        if place not in self._urls:
            self._urls[place] = self._new_database()
        return PostgresStore(self._urls[place])
