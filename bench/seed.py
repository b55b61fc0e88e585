"""Data to measure with, written through the store's port before a server starts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from millpond.contract.cognito_sync import RecordPatch
from millpond.core import sync
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.sync import Changes, DatasetId, StoredDataset, SyncLimits
from millpond.stores.base import Store
from millpond.stores.sqlite import SqliteStore

NOW_MS: Final = 1_750_000_000_000
POOL: Final = "us-east-1:11111111-1111-4111-8111-111111111111"
STREAM: Final = "bench"
PROVIDER: Final = "login.bench"
STREAM_SHARDS: Final = 4
RECORDS_PER_DATASET: Final = 20
VALUE_CHARS: Final = 64
TOGETHER: Final = 256  # datasets on their way at a time; one transaction takes as many

SOURCE: Final = random.Random()  # random, but for no secret

_LIMITS: Final = SyncLimits()


def random_bytes(count: int) -> bytes:
    """Give random bytes, of which nobody needs to be surprised."""
    return SOURCE.randbytes(count)


@dataclass(frozen=True)
class SyncData:
    """What is seeded for reads and writes: the same datasets for each identity."""

    identity_ids: list[str]
    datasets: tuple[str, ...] = (
        *("listed", "updated-1", "updated-20"),
        "updated-by-users",
    )

    sync_count = 2  # of each dataset; the last update touched one record


def record_key(number: int) -> str:
    """Name a record."""
    return f"setting-{number:02}"


def record_value(seed: int) -> str:
    """Make a value of the usual length, different for each seed."""
    return f"{seed:x}".ljust(VALUE_CHARS, "v")


def identity_ids(count: int) -> list[str]:
    """Make ids that are spread evenly, as real ones are, and the same in every run."""
    source = random.Random(count)
    return [f"us-east-1:{_uuid(source.getrandbits(128))}" for _ in range(count)]


def _uuid(number: int) -> str:
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def seed_sync(folder: Path, identities: int, *, cold: Sequence[str] = ()) -> SyncData:
    """
    Seed datasets of 20 records, one of which was changed once more.

    Args:
        cold: ids of more identities, which have the dataset that is listed alone.
    """
    data = SyncData(identity_ids(identities))
    folder.mkdir()
    seed_store(SqliteStore(folder), data, cold=cold)
    return data


def seed_store(store: Store, data: SyncData, *, cold: Sequence[str] = ()) -> None:
    """Seed the same into any store, which is opened and closed."""
    names = [
        DatasetId(POOL, identity_id, dataset)
        for identity_id in data.identity_ids
        for dataset in data.datasets
    ]
    names += [DatasetId(POOL, each, data.datasets[0]) for each in cold]
    asyncio.run(_seed(store, names, touch_one=True))


def seed_publish(folder: Path, records: int) -> int:
    """Seed a pool with a stream; return how many records it holds."""
    folder.mkdir()
    return seed_publish_store(SqliteStore(folder), records)


def seed_publish_store(store: Store, records: int) -> int:
    """Seed the same into any store, which is opened and closed."""
    count = records // RECORDS_PER_DATASET
    names = [DatasetId(POOL, each, "settings") for each in identity_ids(count)]
    asyncio.run(_seed(store, names, touch_one=False))
    return count * RECORDS_PER_DATASET


async def _seed(store: Store, names: list[DatasetId], *, touch_one: bool) -> None:
    await store.open()
    try:
        await _create_pool(store, streaming=not touch_one)
        for batch in _batches(names):
            await asyncio.gather(*(_update(store, each, 0) for each in batch))
            if touch_one:
                await asyncio.gather(*(_update(store, each, 1) for each in batch))
    finally:
        await store.aclose()


async def _create_pool(store: Store, *, streaming: bool) -> None:
    stream = None
    if streaming:
        stream = StreamConfiguration(
            stream_name=STREAM,
            role_arn="arn:aws:iam::000000000000:role/bench",
            streaming_status="ENABLED",
        )
        await store.create_stream(STREAM, shard_count=STREAM_SHARDS, now_ms=NOW_MS)
    pool = IdentityPool(
        identity_pool_id=POOL,
        identity_pool_name="bench",
        allow_unauthenticated_identities=True,
        developer_provider_name=PROVIDER,
        stream=stream,
    )
    await store.create_identity_pool(pool, pools_max=1)


def _batches(names: list[DatasetId]) -> Iterator[list[DatasetId]]:
    for begin in range(0, len(names), TOGETHER):
        yield names[begin : begin + TOGETHER]


async def _update(store: Store, dataset_id: DatasetId, sync_count: int) -> None:
    """Write all records, or after that (with their sync count) the first alone."""
    touched = RECORDS_PER_DATASET if sync_count == 0 else 1
    patches = [
        RecordPatch(
            op="replace",
            key=record_key(number),
            value=record_value(number),
            sync_count=sync_count,
        )
        for number in range(touched)
    ]

    def decide(stored: StoredDataset) -> Changes:
        return sync.apply_patches(
            stored,
            patches,
            dataset_name=dataset_id.dataset_name,
            now_ms=NOW_MS,
            modified_by="000000000000",
            limits=_LIMITS,
        )

    keys = [patch.key for patch in patches]
    await store.update_dataset(dataset_id, keys=keys, session_id=None, decide=decide)
