"""A small world in a store of either kind, for commands that look at it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from millpond.core.identities import Login
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.sync import DatasetId
from millpond.stores.base import Store
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import NOW_MS, delete, put
from millpond.testing.store_contract.devices import a_device, register
from millpond.testing.store_contract.identities import an_identity, keep

POOL: Final = "us-east-1:7c4f5e0a-0000-4000-8000-000000000001"
EMPTY_POOL: Final = "us-east-1:7c4fffff-0000-4000-8000-000000000002"
ANN: Final = "us-east-1:a0000000-0000-4000-8000-00000000000a"
ABE: Final = "us-east-1:a0000000-0000-4000-8000-00000000000b"
GUEST: Final = "us-east-1:b0000000-0000-4000-8000-00000000000c"
LOSER: Final = "us-east-1:c0000000-0000-4000-8000-00000000000d"
NOBODY: Final = "us-east-1:d0000000-0000-4000-8000-00000000000e"
"""Has data, and no identity."""
SUBJECT: Final = "1234567890"
DEVELOPER: Final = "login.game"
STREAM: Final = "changes"
NOW: Final = "2025-06-15T15:06:40+00:00"
"""When everything happens."""


class Place:
    """Where a store is, and the option that says so."""

    def __init__(self, option: str, where: str) -> None:
        if option == "--data":
            Path(where).mkdir()
        self.words = (option, where)
        self._where = where

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Store]:
        """Open the store itself."""
        store: Store
        if self.words[0] == "--store":
            from millpond.stores.postgres import PostgresStore

            store = PostgresStore(self._where)
        else:
            store = SqliteStore(Path(self._where))
        await store.open()
        try:
            yield store
        finally:
            await store.aclose()

    def run(self, scene: Callable[[Store], Awaitable[object]]) -> None:
        """Do something with the open store."""

        async def play() -> None:
            async with self.open() as store:
                await scene(store)

        asyncio.run(play())


def a_pool(pool_id: str, name: str, **others: object) -> IdentityPool:
    """Describe a pool that streams."""
    members: dict[str, object] = {
        "stream": StreamConfiguration(stream_name=STREAM, streaming_status="ENABLED"),
        "developer_provider_name": DEVELOPER,
        "supported_login_providers": {"accounts.google.com": "an-app"},
    }
    return IdentityPool(
        identity_pool_id=pool_id,
        identity_pool_name=name,
        allow_unauthenticated_identities=True,
        **{**members, **others},  # type: ignore[arg-type]
    )


async def fill(store: Store) -> None:
    """Two pools; in one of them users, a guest, a merged one, and some data."""
    await store.create_identity_pool(a_pool(POOL, "Players"), pools_max=9)
    empty = a_pool(EMPTY_POOL, "Nobody yet", stream=None)
    await store.create_identity_pool(empty, pools_max=9)
    await store.create_stream(STREAM, shard_count=2, now_ms=NOW_MS)
    google = Login("accounts.google.com", SUBJECT)
    await keep(
        store,
        an_identity(ANN, google, Login(DEVELOPER, "ann@game"), pool=POOL),
        an_identity(ABE, Login("accounts.google.com", "other"), pool=POOL),
        an_identity(GUEST, pool=POOL, guest=True),
        an_identity(LOSER, pool=POOL, merged_into=ANN),
    )
    prefs = DatasetId(POOL, ANN, "prefs")
    await put(store, prefs, {"color": "red", "size": "1"}, event=b"x", by="phone")
    await put(store, prefs, {"size": None}, event=b"x", by="tablet")
    gone = DatasetId(POOL, ANN, "gone")
    await put(store, gone, {"k": "v"})
    await delete(store, gone)
    await put(store, DatasetId(POOL, NOBODY, "prefs"), {"k": "v"})
    device = a_device(
        "phone-1", identity_pool_id=POOL, identity_id=ANN, token="t" * 40 + "ending"
    )
    await register(store, device)
    await store.put_subscription(prefs, "phone-1")
