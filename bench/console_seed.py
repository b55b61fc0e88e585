"""Data for the console: many identities, stream records, parked changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

import seed
from millpond.core.identities import Identity, IdentityChanges, Login
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.streaming import update_event
from millpond.core.sync import DatasetId, StoredRecord
from millpond.stores.base import NewStreamRecord, Store
from millpond.stores.sqlite import SqliteStore

WITH_DATA: Final = 2000  # identities that have datasets, a stream record, and a parked
TOGETHER: Final = 1000  # identities in one transaction
ENABLED: Final = StreamConfiguration(
    stream_name=seed.STREAM, streaming_status="ENABLED"
)


def seed_console(folder: Path, identities: int) -> seed.SyncData:
    """Seed a store; those identities that have data are given."""
    data = seed.seed_sync(folder, WITH_DATA)
    asyncio.run(_seed(folder, data.identity_ids, identities))
    return data


async def _seed(folder: Path, with_data: Sequence[str], identities: int) -> None:
    store = SqliteStore(folder)
    await store.open()
    try:
        await store.update_identity_pool(seed.POOL, _with_stream)
        ids = [*with_data, *seed.identity_ids(identities)][:identities]
        for first in range(0, len(ids), TOGETHER):
            some = ids[first : first + TOGETHER]
            await _keep(store, [_person(each, n) for n, each in enumerate(some, first)])
        events = [_event(each) for each in with_data]
        await store.create_stream(seed.STREAM, shard_count=1, now_ms=seed.NOW_MS)
        stream = await store.find_stream(seed.STREAM)
        assert stream is not None
        records = [NewStreamRecord(0, "key", each) for each in events]
        await store.put_stream_records(stream.stream_id, records, now_ms=seed.NOW_MS)
        await _park(store, with_data, events)
    finally:
        await store.aclose()


async def _keep(store: Store, people: list[Identity]) -> None:
    await store.update_identities(
        seed.POOL,
        identity_ids=[],
        logins=[],
        decide=lambda stored: IdentityChanges(people[0], people),
    )


def _with_stream(pool: IdentityPool) -> IdentityPool:
    return msgspec.structs.replace(pool, stream=ENABLED)


def _person(identity_id: str, number: int) -> Identity:
    return Identity(
        identity_id=identity_id,
        identity_pool_id=seed.POOL,
        creation_date_ms=seed.NOW_MS,
        last_modified_date_ms=seed.NOW_MS,
        guest=False,
        logins=(Login(seed.PROVIDER, f"person {number}"),),
    )


def _event(identity_id: str) -> bytes:
    record = StoredRecord(
        key=seed.record_key(1),
        value=seed.record_value(1),
        sync_count=1,
        last_modified_date_ms=seed.NOW_MS,
        last_modified_by="000000000000",
        device_last_modified_date_ms=None,
    )
    return update_event(
        DatasetId(seed.POOL, identity_id, "listed"),
        [record],
        sync_count=1,
        last_modified_date_ms=seed.NOW_MS,
    )


async def _park(
    store: SqliteStore, identity_ids: Sequence[str], events: Sequence[bytes]
) -> None:
    """Park changes, as if the stream had refused them."""
    reason = "It is larger than the topic takes."
    rows = [
        (number, seed.POOL, identity_id, event, seed.NOW_MS, seed.NOW_MS, reason)
        for number, (identity_id, event) in enumerate(
            zip(identity_ids, events, strict=True), 1
        )
    ]
    sql = "INSERT INTO parked_outbox VALUES (?, ?, ?, ?, ?, ?, ?)"
    await store.database.write(lambda db: db.executemany(sql, rows))
