"""The embedded store keeps the store contract."""

from __future__ import annotations

import asyncio
from pathlib import Path

from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract import StoreContract
from millpond.testing.store_contract.bench import (
    ALICE,
    NOW_MS,
    POOL,
    PREFS,
    a_pool,
    put,
)


class TestSqliteStore(StoreContract):
    """The embedded store keeps the store contract."""

    def new_store(self, place: Path) -> SqliteStore:
        return SqliteStore(place)


def test_what_another_process_writes_is_noticed(tmp_path: Path) -> None:
    """Once for each look, and never what the store itself has written."""

    async def scene() -> None:
        store, other = SqliteStore(tmp_path), SqliteStore(tmp_path)
        await store.open()
        await other.open()
        try:
            assert not await store.was_written_elsewhere()
            await store.create_identity_pool(a_pool(), pools_max=9)
            await put(store, PREFS, {"k": "v"})
            assert not await store.was_written_elsewhere()
            await other.find_identity_pool_usage(POOL)
            assert not await store.was_written_elsewhere()
            await put(other, PREFS, {"k": "w"})
            await other.delete_identity(ALICE, now_ms=NOW_MS)
            assert await store.was_written_elsewhere()
            assert not await store.was_written_elsewhere()
        finally:
            await other.aclose()
            await store.aclose()

    asyncio.run(scene())
