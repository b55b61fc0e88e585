"""Pools that move: what tests put into a source before its server starts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from millpond.core.identity_pools import IdentityPool
from millpond.stores.copying import IdentityRow, Kind
from millpond.stores.sqlite import SqliteStore
from millpond.testing.source_contract import POOL

DEVELOPER = "login.example"
CREATED_MS = 1_700_000_000_000


def seed(folder: Path, identity_ids: Sequence[str], *, users: int = 0) -> None:
    """
    Make a store with a pool and identities.

    Args:
        users: so many of them are users of the developer's; the others are guests.
    """

    async def run() -> None:
        store = SqliteStore(folder)
        await store.open()
        pool = IdentityPool(
            identity_pool_id=POOL,
            identity_pool_name="moving",
            allow_unauthenticated_identities=True,
            developer_provider_name=DEVELOPER,
            identity_pool_tags={"team": "a"},
            roles={"authenticated": "arn:aws:iam::000000000000:role/users"},
        )
        await store.create_identity_pool(pool, pools_max=9)
        rows = [
            IdentityRow(
                identity_id=each,
                identity_pool_id=POOL,
                creation_date_ms=CREATED_MS + number,
                last_modified_date_ms=CREATED_MS + number,
                guest=number >= users,
                merged_into=None,
                logins=((DEVELOPER, f"user-{number}"),) if number < users else (),
            )
            for number, each in enumerate(dict.fromkeys(identity_ids))
        ]
        await store.import_(Kind.IDENTITIES, rows, position=b"all")
        await store.end_copy()
        await store.aclose()

    asyncio.run(run())
