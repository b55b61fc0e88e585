"""What the parts of the store contract share: a place to play, and things to store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    Outcome,
    SpentSession,
    StoredDataset,
    StoredRecord,
)
from millpond.stores.base import RecordPage, RecordRange, Store

NOW_MS: Final = 1_750_000_000_000
POOL: Final = "us-east-1:00000000-0000-4000-8000-000000000001"
OTHER_POOL: Final = "us-east-1:00000000-0000-4000-8000-000000000002"
UNKNOWN_POOL: Final = "us-east-1:00000000-0000-4000-8000-00000000000f"
ALICE: Final = "us-east-1:a0000000-0000-4000-8000-000000000000"
BOB: Final = "us-east-1:b0000000-0000-4000-8000-000000000000"
PREFS: Final = DatasetId(POOL, ALICE, "prefs")
# Text that a careless store changes: quotes, order, composition, planes, controls.
AWKWARD_TEXTS: Final = (
    "plain",
    "'; DROP TABLE records; --",
    'a "quoted" \\ back',
    "%_*?[x]",
    " spaces around ",
    "line\nbreak\ttab\x01\x1f\x7f",
    "e\u0301 is not \u00e9",
    "\u2028\u2029\ufeff\uffff",
    "\U0001f9c0\U0010ffff",
    "0123",
    "1e3",
)

Scene = Callable[[Store], Awaitable[None]]


class StoreBench:
    """Runs scenes on a store of their own."""

    def new_store(self, place: Path) -> Store:
        """
        Make a store that is not open yet.

        Args:
            place: an existing folder, empty at first. A second store of the same place
                finds what the first one kept, and both may be open at a time when the
                backend allows that at all.
        """
        raise NotImplementedError

    def play(self, place: Path, scene: Scene) -> None:
        """Run a scene on an open store with one pool, `POOL`, which streams."""

        async def run() -> None:
            store = self.new_store(place)
            await store.open()
            try:
                assert await store.create_identity_pool(a_pool(), pools_max=100)
                await scene(store)
            finally:
                await store.aclose()

        asyncio.run(run())


def never(*_: object) -> NoReturn:
    """Stand in for a function that must not be called."""
    raise AssertionError("called for nothing")


def a_pool(identity_pool_id: str = POOL, *, streaming: bool = True) -> IdentityPool:
    """Describe a pool."""
    return IdentityPool(
        identity_pool_id=identity_pool_id,
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
        stream=StreamConfiguration(
            stream_name="changes",
            streaming_status="ENABLED" if streaming else "DISABLED",
        ),
    )


def deciding_to_put(
    values: Mapping[str, str | None],
    *,
    now_ms: int = NOW_MS,
    by: str = "device",
    event: bytes | None = None,
    session: bytes | None = None,
) -> Callable[[StoredDataset], Changes]:
    """Make a `decide` that sets records; None removes. All of them must be loaded."""

    def decide(stored: StoredDataset) -> Changes:
        before = stored.dataset
        alive = before if before is not None and before.exists else None
        count = before.sync_count + 1 if before is not None else 1
        records = [
            StoredRecord(key, value, count, now_ms, by, None)
            for key, value in values.items()
        ]
        old = [stored.records[key] for key in values if key in stored.records]
        grown = _size(records) - _size(old)
        added = _live(records) - _live(old)
        outcome = Outcome(count, now_ms, by)
        spent = None
        if session is not None:
            spent = SpentSession(session, b"sha256 of the request", outcome)
        return Changes(
            dataset=DatasetState(
                sync_count=count,
                exists=True,
                horizon=before.horizon if before is not None else 0,
                forgotten=before.forgotten if before is not None else 0,
                creation_date_ms=alive.creation_date_ms if alive else now_ms,
                last_modified_date_ms=now_ms,
                last_modified_by=by,
                num_records=(alive.num_records if alive else 0) + added,
                data_storage=(alive.data_storage if alive else 0) + grown,
            ),
            records=records,
            spent=spent,
            event=event,
            outcome=outcome,
        )

    return decide


def deciding_to_delete(
    *, now_ms: int = NOW_MS, event: bytes | None = None
) -> Callable[[StoredDataset], Changes]:
    """Make a `decide` that deletes a dataset, which must exist."""

    def decide(stored: StoredDataset) -> Changes:
        before = stored.dataset
        assert before is not None
        assert before.exists
        return Changes(
            dataset=DatasetState(
                sync_count=before.sync_count + 1,
                exists=False,
                horizon=before.sync_count + 1,
                creation_date_ms=before.creation_date_ms,
                last_modified_date_ms=now_ms,
                last_modified_by=before.last_modified_by,
                num_records=0,
                data_storage=0,
            ),
            clear_records=True,
            event=event,
        )

    return decide


async def put(
    store: Store,
    dataset_id: DatasetId,
    values: Mapping[str, str | None],
    *,
    now_ms: int = NOW_MS,
    by: str = "device",
    event: bytes | None = None,
    session: bytes | None = None,
) -> Changes:
    """Set records of a dataset; None removes."""
    changes = await store.update_dataset(
        dataset_id,
        keys=list(values),
        session_id=session,
        decide=deciding_to_put(
            values, now_ms=now_ms, by=by, event=event, session=session
        ),
    )
    assert changes is not None
    return changes


async def delete(
    store: Store,
    dataset_id: DatasetId,
    *,
    now_ms: int = NOW_MS,
    event: bytes | None = None,
) -> Changes:
    """Delete a dataset."""
    changes = await store.update_dataset(
        dataset_id,
        keys=(),
        session_id=None,
        decide=deciding_to_delete(now_ms=now_ms, event=event),
    )
    assert changes is not None
    return changes


async def read_all(store: Store, dataset_id: DatasetId) -> RecordPage:
    """Read a dataset with all its records, tombstones too."""

    def select(dataset: DatasetState | None) -> RecordRange | None:
        if dataset is None:
            return None
        return RecordRange(after=0, up_to=dataset.sync_count)

    page = await store.read_records(dataset_id, select)
    assert page is not None
    return page


async def values_of(store: Store, dataset_id: DatasetId) -> dict[str, str | None]:
    """Read the values of a dataset by key; tombstones have None."""
    return {
        each.key: each.value for each in (await read_all(store, dataset_id)).records
    }


def _live(records: list[StoredRecord]) -> int:
    return sum(each.value is not None for each in records)


def _size(records: list[StoredRecord]) -> int:
    return sum(
        len(each.key.encode()) + len(each.value.encode())
        for each in records
        if each.value is not None
    )
