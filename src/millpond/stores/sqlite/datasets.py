"""Datasets and their records in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

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
from millpond.stores.base import (
    IdentityUsage,
    NamedDataset,
    RecordPage,
    RecordRange,
)
from millpond.stores.sqlite import devices, identity_pools
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("datasets.sql")
_POOL_SQL: Final = identity_pools.SQL

# Taken once: these run for every request.
_FIND_STREAMING: Final = _POOL_SQL.find_streaming
_FIND_DATASET: Final = SQL.find_dataset
_LOAD_DATASET: Final = SQL.load_dataset
_FIND_RECORDS: Final = SQL.find_records
_LOOK_AT_RECORDS: Final = SQL.look_at_records
_PUT_TOGETHER_MAX: Final = 64
_PUT_VALUES: Final = "(?,?,?,?,?,?,?)"
_PUT_RECORDS: Final = {
    size: SQL.put_record.replace(_PUT_VALUES, ",".join([_PUT_VALUES] * size))
    for size in (1, 2, 4, 8, 16, 32, _PUT_TOGETHER_MAX)
}

# What is read on the event loop: some 2 ms of it. The rest is read on a thread.
_QUICK_RECORDS: Final = 200
_QUICK_BYTES: Final = 131_072  # of values

_encode = msgspec.json.Encoder().encode
_decode_records = msgspec.json.Decoder(list[StoredRecord]).decode


class Datasets:
    """The `DatasetStore` part of the port."""

    database: Database

    async def update_dataset(
        self,
        dataset_id: DatasetId,
        *,
        keys: Sequence[str],
        session_id: bytes | None,
        decide: Callable[[StoredDataset], Changes],
        count_tombstones: bool = False,
    ) -> Changes | None:
        def job(db: Writer) -> Changes | None:
            cursor = db.cursor()
            row = _load_dataset(cursor, dataset_id, session_id, keys)
            if row is None:
                return None
            streaming, sync_trigger, subscribed, number = row[:4]
            state = None if number is None else to_state(row[4:14])
            stored = StoredDataset(
                state,
                _loaded_records(cursor, row, keys),
                _count_live(cursor, dataset_id, state),
                None if row[14] is None else _to_spent(row[14:20]),
                bool(streaming),
                sync_trigger,
                bool(subscribed),
                _count_tombstones(cursor, number) if count_tombstones else None,
            )
            changes = decide(stored)
            _save(db, cursor, dataset_id, number, changes)
            if changes.dataset is not None:
                self._note_growth(dataset_id, state, changes.dataset)
            return changes

        return await self.database.write(job)

    def _note_growth(
        self, dataset_id: DatasetId, before: DatasetState | None, after: DatasetState
    ) -> None:
        """Let the pool hold more, or less, when the group of jobs is committed."""
        pool_id = dataset_id.identity_pool_id
        pools = self.database.at_commit.setdefault(_add_growth, {})
        grown, date_ms = pools.get(pool_id, (0, 0))
        grown += after.data_storage - (before.data_storage if before else 0)
        pools[pool_id] = grown, max(date_ms, after.last_modified_date_ms)

    async def list_expired_tombstones(
        self, *, modified_before_ms: int, limit: int
    ) -> list[DatasetId]:
        def job(db: Reader) -> list[DatasetId]:
            # Many are of one dataset, which a list of some rows may be full of.
            numbers = dict(
                db.execute(SQL.list_expired_tombstones, (modified_before_ms, limit))
            )
            rows = db.execute(SQL.find_names, (_encode([*numbers]).decode(),))
            return [DatasetId(*row) for row in rows]

        return await self.database.read_slowly("list_expired_tombstones", job)

    async def drop_tombstones(
        self,
        dataset_id: DatasetId,
        *,
        modified_before_ms: int,
        keep: int,
        limit: int,
        forget: Callable[[DatasetState, int], DatasetState],
    ) -> int:
        def job(db: Writer) -> int:
            names = msgspec.structs.astuple(dataset_id)
            for number, *columns in db.execute(SQL.find_any_dataset, names).fetchall():
                bounds = (number, modified_before_ms, limit, keep)
                rows = db.execute(SQL.list_old_tombstones, bounds).fetchall()
                if rows:
                    state = forget(to_state(columns), rows[0][0])
                    keys = [(number, key) for _, key in rows]
                    db.executemany(SQL.drop_tombstone, keys)
                    save_dataset(db, dataset_id, number, state)
                return len(rows)
            return 0

        return await self.database.write(job)

    async def read_records(
        self,
        dataset_id: DatasetId,
        select: Callable[[DatasetState | None], RecordRange | None],
        *,
        expected: RecordRange | None = None,
    ) -> RecordPage | None:
        if expected is not None and expected.position is None:
            rows = self.database.look(
                "read_records", _LOOK_AT_RECORDS, _look_bounds(dataset_id, expected)
            )
            if not rows:
                return None
            page = _expected_page(rows[0], select, expected)
            if page is not None:
                return page
        with self.database.reading("read_records") as cursor:
            found = _find_dataset(cursor, dataset_id)
            if found is None:
                return None
            number, state = found
            chosen = select(state)
            if state is None or chosen is None or _is_small(state, chosen):
                return _read_page(cursor, dataset_id, number, state, chosen)

        def job(cursor: Reader) -> RecordPage | None:
            found = _find_dataset(cursor, dataset_id)
            if found is None:
                return None
            number, state = found
            return _read_page(cursor, dataset_id, number, state, select(state))

        return await self.database.read_slowly("read_records", job)

    async def find_records(
        self, dataset_id: DatasetId, keys: Sequence[str]
    ) -> RecordPage | None:
        def job(cursor: Reader) -> RecordPage | None:
            found = _find_dataset(cursor, dataset_id)
            if found is None:
                return None
            number, state = found
            records = _find_records(cursor, number, [*dict.fromkeys(keys)])
            return RecordPage(state, [*records.values()])

        return await self.database.read_slowly("find_records", job)

    async def find_spent_session(
        self, dataset_id: DatasetId, session_id: bytes
    ) -> SpentSession | None:
        with self.database.reading("find_spent_session") as cursor:
            return _find_spent_session(cursor, session_id)

    async def list_datasets(
        self,
        identity_pool_id: str,
        identity_id: str,
        *,
        after: str | None,
        limit: int | None,
        deleted: bool = False,
    ) -> list[NamedDataset] | None:
        with self.database.reading("list_datasets") as cursor:
            if not cursor.execute(_FIND_STREAMING, (identity_pool_id,)).fetchall():
                return None
            rows = cursor.execute(
                SQL.list_datasets,
                (
                    identity_pool_id,
                    identity_id,
                    after or "",
                    not deleted,  # the least that `live` may be
                    -1 if limit is None else limit,
                ),
            )
            return [NamedDataset(name, to_state(rest)) for name, *rest in rows]

    async def find_identity_usage(
        self, identity_pool_id: str, identity_id: str
    ) -> IdentityUsage | None:
        with self.database.reading("find_identity_usage") as cursor:
            if not cursor.execute(_FIND_STREAMING, (identity_pool_id,)).fetchall():
                return None
            ((count, size, modified),) = cursor.execute(
                SQL.find_identity_usage, (identity_pool_id, identity_id)
            ).fetchall()
        return None if modified is None else IdentityUsage(count, size, modified)


def _find_dataset(
    cursor: Reader, dataset_id: DatasetId
) -> tuple[int | None, DatasetState | None] | None:
    """Find a dataset, which may not be there; None when there is no pool."""
    rows = cursor.execute(
        _FIND_DATASET,
        (
            dataset_id.identity_pool_id,
            dataset_id.identity_id,
            dataset_id.dataset_name,
        ),
    ).fetchall()
    if not rows:
        return None
    number, *columns = rows[0]
    return number, None if number is None else to_state(columns)


def _load_dataset(
    cursor: Reader, dataset_id: DatasetId, session_id: bytes | None, keys: Sequence[str]
) -> tuple[Any, ...] | None:
    """Load what an update is decided on: the row, None when there is no pool."""
    bounds = (
        dataset_id.identity_pool_id,
        dataset_id.identity_id,
        dataset_id.dataset_name,
        session_id,
        keys[0] if len(keys) == 1 else None,
    )
    rows: list[tuple[Any, ...]] = cursor.execute(_LOAD_DATASET, bounds).fetchall()
    return rows[0] if rows else None


def _loaded_records(
    cursor: Reader, row: Sequence[Any], keys: Sequence[str]
) -> dict[str, StoredRecord]:
    """Give the records of some keys; if it is one key, its record is in the row."""
    if len(keys) == 1:
        return {} if row[20] is None else {row[20]: StoredRecord(*row[20:])}
    return _find_records(cursor, row[3], keys)


def to_state(columns: Sequence[Any]) -> DatasetState:
    (count, live, horizon, created, modified, by, records, size, root, forgotten) = (
        columns
    )
    return DatasetState(
        sync_count=count,
        exists=bool(live),
        horizon=horizon,
        forgotten=forgotten,
        creation_date_ms=created,
        last_modified_date_ms=modified,
        last_modified_by=by,
        num_records=records,
        data_storage=size,
        root_dataset_name=root,
    )


def _is_small(state: DatasetState, chosen: RecordRange) -> bool:
    """Whether what is chosen may be read on the event loop, whatever it is."""
    few = chosen.limit is not None and chosen.limit <= _QUICK_RECORDS
    return few and state.data_storage <= _QUICK_BYTES


def _read_page(
    cursor: Reader,
    dataset_id: DatasetId,
    number: int | None,
    state: DatasetState | None,
    chosen: RecordRange | None,
) -> RecordPage:
    merged = _list_merged(cursor, dataset_id)
    if number is None or chosen is None:
        return RecordPage(state, [], merged)
    return RecordPage(state, _list_records(cursor, number, chosen), merged)


def _look_bounds(dataset_id: DatasetId, expected: RecordRange) -> tuple[Any, ...]:
    return (
        dataset_id.identity_pool_id,
        dataset_id.identity_id,
        dataset_id.dataset_name,
        expected.after,
        # One more tells that there are too many for a look.
        min(
            _QUICK_RECORDS + 1,
            limits.LONG_MAX if expected.limit is None else expected.limit,
        ),
        _QUICK_BYTES,
    )


def _expected_page(
    row: Sequence[Any],
    select: Callable[[DatasetState | None], RecordRange | None],
    expected: RecordRange,
) -> RecordPage | None:
    """Give the page when it is what was expected; None when one has to look again."""
    number, *columns, has_merged, encoded = row
    if has_merged:
        return None  # rarely; their names are another statement
    state = None if number is None else to_state(columns)
    chosen = select(state)
    if state is None or chosen is None:
        return RecordPage(state, [])
    if (
        chosen.position is not None
        or chosen.after != expected.after
        or chosen.limit != expected.limit
        or chosen.up_to < state.sync_count
        or encoded is None
    ):
        return None
    records = _decode_records(encoded)
    if len(records) > _QUICK_RECORDS:
        return None
    return RecordPage(state, records)


def _find_records(
    cursor: Reader, number: int | None, keys: Sequence[str]
) -> dict[str, StoredRecord]:
    if number is None or not keys:
        return {}
    names = _encode(keys).decode()
    ((encoded,),) = cursor.execute(_FIND_RECORDS, (number, names)).fetchall()
    return {record.key: record for record in _decode_records(encoded)}


def _list_merged(cursor: Reader, dataset_id: DatasetId) -> tuple[str, ...]:
    names = msgspec.structs.astuple(dataset_id)
    return tuple(name for (name,) in cursor.execute(SQL.list_merged_datasets, names))


def _list_records(
    cursor: Reader, number: int, chosen: RecordRange
) -> list[StoredRecord]:
    count, key = chosen.position or (chosen.after, "")
    limit = -1 if chosen.limit is None else chosen.limit
    rows = cursor.execute(
        SQL.list_records, (number, chosen.after, chosen.up_to, count, key, limit)
    )
    return [StoredRecord(*row) for row in rows]


def _count_live(
    cursor: Reader, dataset_id: DatasetId, state: DatasetState | None
) -> int:
    """Count the identity's datasets, when it may be about to get another one."""
    if state is not None and state.exists:
        return 0
    ((count,),) = cursor.execute(
        SQL.count_live_datasets, (dataset_id.identity_pool_id, dataset_id.identity_id)
    ).fetchall()
    return int(count)


def _count_tombstones(cursor: Reader, number: int | None) -> int:
    ((count,),) = cursor.execute(SQL.count_tombstones_of_dataset, (number,)).fetchall()
    return int(count)


def _find_spent_session(cursor: Reader, session_id: bytes) -> SpentSession | None:
    rows = cursor.execute(SQL.find_spent_session, (session_id,)).fetchall()
    if not rows:
        return None
    return _to_spent(rows[0])


def _to_spent(columns: Sequence[Any]) -> SpentSession:
    found, request_sha256, count, modified_ms, by, encoded = columns
    amended = tuple(_decode_records(encoded)) if encoded is not None else ()
    return SpentSession(found, request_sha256, Outcome(count, modified_ms, by, amended))


def _save(
    db: Writer,
    cursor: Reader,
    dataset_id: DatasetId,
    number: int | None,
    changes: Changes,
) -> None:
    after = changes.dataset
    if after is not None:
        number = save_dataset(cursor, dataset_id, number, after)
    if changes.clear_records:
        cursor.execute(SQL.clear_records, (number,))
    if changes.records:
        _put_records(cursor, number, changes.records)
    if changes.spent is not None:
        outcome = changes.spent.outcome
        cursor.execute(
            SQL.put_spent_session,
            (
                changes.spent.session_id,
                changes.spent.request_sha256,
                outcome.sync_count,
                outcome.last_modified_date_ms,
                outcome.last_modified_by,
                _encode(outcome.amended) if outcome.amended else None,
                dataset_id.identity_id,
            ),
        )
    if changes.event is not None:
        cursor.execute(
            SQL.put_outbox,
            (dataset_id.identity_pool_id, dataset_id.identity_id, changes.event),
        )
    if after is not None and number is not None:
        if changes.notice is not None:
            devices.notify(db, number, dataset_id.dataset_name, after, changes.notice)
        if not after.exists:
            devices.forget_dataset(db, number)


def _add_growth(db: Writer, pools: dict[str, Any]) -> None:
    for pool_id, (grown, date_ms) in pools.items():
        db.execute(_POOL_SQL.add_data_storage, (pool_id, grown, date_ms))


def _put_records(
    db: Reader, number: int | None, records: Sequence[StoredRecord]
) -> None:
    """Put many rows with each statement: other threads may run at each step of one."""
    done = 0
    while done < len(records):
        # Of a few sizes, so that all of these statements stay prepared.
        size = min(_PUT_TOGETHER_MAX, 1 << (len(records) - done).bit_length() - 1)
        row: list[Any] = []
        for record in records[done : done + size]:
            row.append(number)
            row += astuple(record)  # the columns have the order of its members
        db.execute(_PUT_RECORDS[size], row)
        done += size


def save_dataset(
    db: Reader, dataset_id: DatasetId, number: int | None, state: DatasetState
) -> int:
    columns = (
        state.sync_count,
        state.exists,
        state.horizon,
        state.creation_date_ms,
        state.last_modified_date_ms,
        state.last_modified_by,
        state.num_records,
        state.data_storage,
        state.root_dataset_name,
        state.forgotten,
    )
    if number is not None:
        db.execute(SQL.update_dataset, (number, *columns))
        return number
    names = (
        dataset_id.identity_pool_id,
        dataset_id.identity_id,
        dataset_id.dataset_name,
    )
    ((number,),) = db.execute(SQL.create_dataset, (*names, *columns)).fetchall()
    assert number is not None
    return number
