"""Dropping what nobody can reach any more, a little at a time."""

from __future__ import annotations

from millpond.core.tokens import sessions_expired_by
from millpond.stores.sqlite import (
    datasets,
    devices,
    identities,
    importing,
    spent_marks,
    streams,
    token_keys,
)
from millpond.stores.sqlite.database import Writer
from millpond.stores.sqlite.identity_pools import SQL


def purge_main(db: Writer, *, now_ms: int, limit: int) -> int:
    """Drop at most about `limit` rows of the main file; return how many."""
    expired = (sessions_expired_by(now_ms), limit)
    dropped = len(db.execute(datasets.SQL.purge_spent_sessions, expired).fetchall())
    retired = (now_ms, limit)
    dropped += len(db.execute(token_keys.SQL.purge_token_keys, retired).fetchall())
    dropped += len(db.execute(spent_marks.SQL.purge_spent_marks, retired).fetchall())
    return dropped + _purge_deleted_pool(db, limit=limit)


def purge_streams(db: Writer, *, now_ms: int, retention_ms: int, limit: int) -> int:
    """Drop at most about `limit` rows of the streams' file; return how many."""
    # Their rows are large: some KiB as a rule, and up to some MiB.
    few, fewer = max(1, limit // 5), max(1, limit // 50)
    dropped = streams.purge_payloads(db, now_ms=now_ms, limit=fewer)
    dropped += streams.purge_records(
        db, now_ms=now_ms, retention_ms=retention_ms, limit=few
    )
    return dropped + streams.purge_deleted(db, limit=few)


def _purge_deleted_pool(db: Writer, *, limit: int) -> int:
    rows = db.execute(SQL.find_deleted_identity_pool).fetchall()
    if not rows:
        return 0
    (pool,) = rows[0]
    dropped = sum(
        len(db.execute(sql, (pool, limit)).fetchall())
        for sql in (
            SQL.purge_outbox,
            SQL.purge_parked_outbox,
            identities.SQL.purge_identities,
            identities.SQL.purge_logins,
            importing.SQL.purge_imported,
        )
    )
    dropped += devices.purge_devices(db, pool, limit=limit)
    # A dataset has up to about a thousand records; a few are enough for one go.
    numbers = db.execute(
        SQL.find_datasets_to_purge, (pool, max(1, limit // 100))
    ).fetchall()
    for number in numbers:
        db.execute(datasets.SQL.clear_records, number)
        devices.forget_dataset(db, *number)
        db.execute(SQL.purge_dataset, number)
    dropped += len(numbers)
    if dropped == 0:
        for sql in (
            SQL.purge_bulk_publish_run,
            SQL.purge_bulk_publish_slices,
            SQL.purge_identity_pool_usage,
            importing.SQL.purge_import,
            importing.SQL.purge_import_positions,
            SQL.purge_identity_pool,
        ):
            db.execute(sql, (pool,))
        dropped = 1
    return dropped
