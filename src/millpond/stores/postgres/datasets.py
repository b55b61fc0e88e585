"""
Datasets and their records in PostgreSQL.

An update takes two round trips as a rule: it loads what it is decided on without
holding anything, and writes with a function that refuses when the identity was written
to meanwhile. Then it loads and decides again while it holds the identity, so that it
cannot lose a second time. Nobody thus waits for a node that is slow, or was killed,
between the two.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from millpond import limits
from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    Outcome,
    SpentSession,
    StoredDataset,
    StoredRecord,
)
from millpond.errors import StoreError, StoreUnavailableError
from millpond.stores.base import (
    IdentityUsage,
    NamedDataset,
    RecordPage,
    RecordRange,
)
from millpond.stores.postgres import beside_shards, heads, identity_pools
from millpond.stores.postgres.database import Database, Session, run_again
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.rows import to_state
from millpond.stores.postgres.shards import Question, Shards, pick

SQL: Final = Queries("datasets.sql")
LOOKS_MAX: Final = 20  # at a dataset that changes faster than it is read
DIGEST_BYTES: Final = 16
# What is worked on on the event loop, a millisecond or two; the rest goes to a thread.
QUICK_RECORDS: Final = 200
QUICK_CHARS: Final = 131_072
_EXPIRED_TOMBSTONES: Final = Question(
    "list_expired_tombstones",
    SQL.list_expired_tombstones,
    ("records",),
    "identity_pool_id text, identity_id text, dataset_name text, "
    "last_modified_date_ms bigint",
)

_encode = msgspec.json.Encoder().encode
_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_records = msgspec.json.Decoder(list[StoredRecord]).decode


T = TypeVar("T")


class Datasets:
    """The `DatasetStore` part of the port."""

    database: Database
    shards: Shards

    async def update_dataset(
        self,
        dataset_id: DatasetId,
        *,
        keys: Sequence[str],
        session_id: bytes | None,
        decide: Callable[[StoredDataset], Changes],
        count_tombstones: bool = False,
    ) -> Changes | None:
        names = msgspec.structs.astuple(dataset_id)
        if len(keys) <= QUICK_RECORDS:
            digests = digests_of(keys)
        else:
            digests = await asyncio.to_thread(digests_of, keys)
        look = (*names, digests, session_id, count_tombstones)

        async def try_once(db: Session, by: _Ways) -> tuple[bool, Changes | None]:
            row = await by.load(db, *look)
            if row is None:
                return True, None
            if len(keys) <= QUICK_RECORDS:
                changes = decide(_to_stored(row))
            else:
                changes = await asyncio.to_thread(lambda: decide(_to_stored(row)))
            return await _save(db, by, dataset_id, row, changes), changes

        async def holding(db: Session) -> Changes | None:
            await identity_pools.hold(db, dataset_id.identity_pool_id)
            await heads.hold(db, dataset_id.identity_pool_id, [dataset_id.identity_id])
            saved, changes = await try_once(db, _PLAIN)
            assert saved, "the head is held"
            return changes

        async def optimistic(by: _Ways) -> tuple[bool, Changes | None]:
            async with self.database.connection("update_dataset") as db:
                return await try_once(db, by)

        with self.database.accepted("update_dataset"):
            saved, changes = await run_again(lambda: self._quickly(optimistic))
            if saved:
                return changes
            return await self.database.write_accepted("update_dataset", holding)

    async def list_expired_tombstones(
        self, *, modified_before_ms: int, limit: int
    ) -> list[DatasetId]:
        bounds = (modified_before_ms, limit)
        found = await self.shards.look(_EXPIRED_TOMBSTONES, *bounds)
        rows = pick(found, "last_modified_date_ms", limit)
        # Many are of one dataset, which a list of some rows may be full of.
        return [*dict.fromkeys(DatasetId(*names) for *names, _ in rows)]

    async def drop_tombstones(
        self,
        dataset_id: DatasetId,
        *,
        modified_before_ms: int,
        keep: int,
        limit: int,
        forget: Callable[[DatasetState, int], DatasetState],
    ) -> int:
        names = msgspec.structs.astuple(dataset_id)

        async def job(db: Session) -> int:
            # Whoever decided on the horizon as it was decides again.
            await identity_pools.hold(db, dataset_id.identity_pool_id)
            await heads.hold(db, dataset_id.identity_pool_id, [dataset_id.identity_id])
            row = await db.row(SQL.find_any_dataset, *names)
            bounds = (modified_before_ms, limit, keep)
            old = await db.rows(SQL.list_old_tombstones, *names, *bounds)
            if row is None or not old:
                return 0
            state = forget(to_state(row), old[0]["sync_count"])
            digests = [each["key_digest"] for each in old]
            await db.run(SQL.drop_tombstones, *names, digests)
            await db.run(SQL.put_horizon, *names, state.horizon, state.forgotten)
            return len(old)

        return await self.database.write("drop_tombstones", job)

    async def read_records(
        self,
        dataset_id: DatasetId,
        select: Callable[[DatasetState | None], RecordRange | None],
        *,
        expected: RecordRange | None = None,
    ) -> RecordPage | None:
        async def read(by: _Ways) -> RecordPage | None:
            async with self.database.connection("read_records") as db:
                return await _read(db, by, dataset_id, select, expected)

        with self.database.accepted("read_records"):
            return await self._quickly(read)

    async def _quickly(self, act: Callable[[_Ways], Awaitable[T]]) -> T:
        """Do something beside the shards, where that can be done."""
        if self.database.is_beside_shards:
            try:
                return await act(_BESIDE)
            except StoreError as error:
                if not isinstance(error.__cause__, beside_shards.REFUSED):
                    raise
        return await act(_PLAIN)

    async def find_records(
        self, dataset_id: DatasetId, keys: Sequence[str]
    ) -> RecordPage | None:
        names = msgspec.structs.astuple(dataset_id)
        wanted = set(keys)
        async with self.database.moment("find_records") as db:
            row = await db.row(SQL.load_dataset, *names, digests_of(keys), None, False)
        if row is None:
            return None
        stored = _to_stored(row)
        records = [each for key, each in stored.records.items() if key in wanted]
        return RecordPage(stored.dataset, records)

    async def find_spent_session(
        self, dataset_id: DatasetId, session_id: bytes
    ) -> SpentSession | None:
        async with self.database.session("find_spent_session") as db:
            row = await db.row(
                SQL.find_spent_session, dataset_id.identity_id, session_id
            )
        return None if row is None else _to_spent(row)

    async def list_datasets(
        self,
        identity_pool_id: str,
        identity_id: str,
        *,
        after: str | None,
        limit: int | None,
        deleted: bool = False,
    ) -> list[NamedDataset] | None:
        bounds = (identity_pool_id, identity_id, after or "", deleted, limit)
        async with self.database.session("list_datasets") as db:
            rows = await db.rows(SQL.list_datasets, *bounds)
        if not rows:
            return None
        return [
            NamedDataset(row["dataset_name"], to_state(row))
            for row in rows
            if row["dataset_name"] is not None
        ]

    async def find_identity_usage(
        self, identity_pool_id: str, identity_id: str
    ) -> IdentityUsage | None:
        async with self.database.session("find_identity_usage") as db:
            count, size, modified = await db.row(
                SQL.find_identity_usage, identity_pool_id, identity_id
            )
        return None if modified is None else IdentityUsage(count, size, modified)


class _Ways(NamedTuple):
    """How the statements of the busiest requests are run."""

    load: Callable[..., Awaitable[Any]]
    look: Callable[..., Awaitable[Any]]
    save: str


async def _load_beside(db: Session, *look: Any) -> Any:
    row = await db.value(beside_shards.LOAD, *look)
    return None if row is None else beside_shards.read_row(row)


async def _look_beside(db: Session, *look: Any) -> Any:
    row = await db.value(beside_shards.LOOK, *look)
    return None if row is None else beside_shards.read_row(row)


_PLAIN: Final = _Ways(
    lambda db, *look: db.row(SQL.load_dataset, *look),
    lambda db, *look: db.row(SQL.look_at_records, *look),
    SQL.save_dataset,
)
_BESIDE: Final = _Ways(_load_beside, _look_beside, beside_shards.SAVE)


async def _read(
    db: Session,
    by: _Ways,
    dataset_id: DatasetId,
    select: Callable[[DatasetState | None], RecordRange | None],
    expected: RecordRange | None,
) -> RecordPage | None:
    names = msgspec.structs.astuple(dataset_id)
    guess = expected or RecordRange(after=0, up_to=0, limit=0)
    for _ in range(LOOKS_MAX):
        row = await by.look(db, *names, *_bounds(guess))
        if row is None:
            return None
        state = None if row["sync_count"] is None else to_state(row)
        chosen = select(state)
        if state is None or chosen is None or _covers(guess, chosen, state):
            if len(row["found_records"] or "") <= QUICK_CHARS:
                return _to_page(row, state, chosen)
            return await asyncio.to_thread(_to_page, row, state, chosen)
        guess = chosen
        if chosen.up_to >= state.sync_count:
            # It may be written to before the next look; then all is wanted.
            guess = msgspec.structs.replace(chosen, up_to=limits.LONG_MAX)
    raise StoreUnavailableError(
        "The dataset changes faster than it can be read.", op="read_records"
    )


def digests_of(keys: Sequence[str]) -> list[bytes]:
    """Make what stands for record keys in the index; it may be less than a key."""
    return [
        hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES).digest() for key in keys
    ]


def _to_stored(row: Any) -> StoredDataset:
    encoded = row["found_records"]
    records = _decode_records(encoded) if encoded else []
    return StoredDataset(
        None if row["sync_count"] is None else to_state(row),
        {record.key: record for record in records},
        row["live_datasets"],
        None if row["session_id"] is None else _to_spent(row),
        row["streaming"],
        row["sync_trigger"],
        row["subscribed"],
        row["num_tombstones"],
    )


def _to_spent(row: Any) -> SpentSession:
    amended = row["amended"]
    return SpentSession(
        row["session_id"],
        row["request_sha256"],
        Outcome(
            row["spent_count"],
            row["spent_date_ms"],
            row["spent_by"],
            tuple(_decode_records(amended)) if amended is not None else (),
        ),
    )


async def _save(
    db: Session, by: _Ways, dataset_id: DatasetId, row: Any, changes: Changes
) -> bool:
    """Write what was decided on a row; False when it is not what it was any more."""
    if not _writes(changes):
        return True
    after = changes.dataset
    grown = after.data_storage - (row["data_storage"] or 0) if after else 0
    if len(changes.records) <= QUICK_RECORDS:
        columns = _record_columns(changes.records)
    else:
        columns = await asyncio.to_thread(_record_columns, changes.records)
    saved = await db.value(
        by.save,
        *msgspec.structs.astuple(dataset_id),
        row["version"],
        secrets.randbits(48),
        row["streaming"],
        row["sync_trigger"],
        None if after is None else _numbers_of(after),
        None if after is None else after.last_modified_by,
        None if after is None else after.root_dataset_name,
        grown,
        changes.clear_records,
        *columns,
        *_spent_columns(changes.spent),
        changes.event,
        changes.notice is not None,
        None if changes.notice is None else changes.notice.writer,
    )
    return bool(saved)


def _writes(changes: Changes) -> bool:
    """Whether there is anything to write: a repeated update writes nothing."""
    return (
        changes.dataset is not None
        or bool(changes.records)
        or changes.clear_records
        or changes.spent is not None
        or changes.event is not None
    )


def _numbers_of(state: DatasetState) -> list[int]:
    return [
        state.sync_count,
        int(state.exists),
        state.horizon,
        state.creation_date_ms,
        state.last_modified_date_ms,
        state.num_records,
        state.data_storage,
        state.forgotten,
    ]


def _record_columns(records: Sequence[StoredRecord]) -> tuple[list[Any], ...]:
    keys = [each.key for each in records]
    return (
        digests_of(keys),
        keys,
        [each.value for each in records],
        [each.sync_count for each in records],
        [each.last_modified_date_ms for each in records],
        [each.device_last_modified_date_ms for each in records],
        [each.last_modified_by for each in records],
    )


def _spent_columns(spent: SpentSession | None) -> tuple[Any, ...]:
    if spent is None:
        return (None,) * 5
    outcome = spent.outcome
    return (
        spent.session_id,
        spent.request_sha256,
        [outcome.sync_count, outcome.last_modified_date_ms],
        outcome.last_modified_by,
        _encode(outcome.amended).decode() if outcome.amended else None,
    )


def _bounds(chosen: RecordRange) -> tuple[Any, ...]:
    count, key = chosen.position or (-1, "")  # -1: before every record
    return chosen.after, chosen.up_to, count, key, chosen.limit


def _covers(guess: RecordRange, chosen: RecordRange, state: DatasetState) -> bool:
    """Whether what was read by a guess is what is wanted."""
    if (guess.after, guess.position, guess.limit) != (
        chosen.after,
        chosen.position,
        chosen.limit,
    ):
        return False
    newest = state.sync_count
    return min(guess.up_to, newest) == min(chosen.up_to, newest)


def _to_page(
    row: Any, state: DatasetState | None, chosen: RecordRange | None
) -> RecordPage:
    names, encoded = row["merged_names"], row["found_records"]
    records = _decode_records(encoded) if encoded and chosen is not None else []
    return RecordPage(
        state,
        [] if state is None else records,
        _decode_names(names) if names else (),
    )
