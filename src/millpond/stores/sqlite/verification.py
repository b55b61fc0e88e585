"""Looking the embedded store over (`stores.verification`), on threads of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from millpond.stores.base import Verification
from millpond.stores.copying import STREAM_KINDS, Kind
from millpond.stores.sqlite.copying import first_position
from millpond.stores.sqlite.database import Database, Reader
from millpond.stores.sqlite.queries import Queries
from millpond.stores.verification import (
    NUMBER_END,
    Check,
    Fault,
    FaultKind,
    Step,
)

SQL: Final = Queries("verification.sql")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode

# The columns of the position of each kind's export.
_KEYS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.DEVELOPER_KEYS: ("access_key_id",),
    Kind.TOKEN_KEYS: ("key_id",),
    Kind.IDENTITY_POOLS: ("identity_pool_id",),
    Kind.IDENTITIES: ("identity_id",),
    Kind.DATASETS: ("dataset_number",),
    Kind.RECORDS: ("dataset_number", "record_key"),
    Kind.SPENT_SESSIONS: ("session_id",),
    Kind.DEVICES: ("device_id",),
    Kind.SUBSCRIPTIONS: ("dataset_number", "device_id"),
    Kind.PUSHES: ("device_id", "dataset_name"),
    Kind.OUTBOX: ("outbox_id",),
    Kind.PARKED_OUTBOX: ("outbox_id",),
    Kind.BULK_PUBLISH_RUNS: ("identity_pool_id",),
    Kind.BULK_PUBLISH_SLICES: ("identity_pool_id", "slice_number"),
    Kind.IMPORTS: ("identity_pool_id",),
    Kind.IMPORT_POSITIONS: ("identity_pool_id", "position_name"),
    Kind.IMPORTED_IDENTITIES: ("identity_pool_id", "identity_id"),
    Kind.STREAMS: ("stream_id",),
    Kind.STREAM_CONSUMERS: ("stream_id", "consumer_name"),
    Kind.STREAM_RECORDS: ("stream_id", "shard", "sequence_number"),
    Kind.STREAM_PAYLOADS: ("payload_id",),
    Kind.AUDIT: ("entry_id",),
}


class _Walk(NamedTuple):
    """A check: the table it walks through, its key, and what it looks for."""

    table: str
    key: tuple[str, ...]
    first: tuple[Any, ...]  # below every key
    kind: FaultKind
    sql: str


def _of(kind: Kind, fault: FaultKind, sql: str) -> _Walk:
    return _Walk(kind.value, _KEYS[kind], first_position(kind), fault, sql)


_LOGINS: Final = ("identity_pool_id", "provider_name", "subject")
_WALKS: Final = {
    Check("datasets and pools", Kind.DATASETS): _of(
        Kind.DATASETS, FaultKind.ORPHAN, SQL.datasets_without_pool
    ),
    Check("counts", Kind.DATASETS): _of(
        Kind.DATASETS, FaultKind.WRONG_COUNT, SQL.wrong_counts
    ),
    Check("sync counts", Kind.DATASETS): _of(
        Kind.DATASETS, FaultKind.RECORD_AHEAD, SQL.records_ahead
    ),
    Check("records and datasets", Kind.RECORDS): _of(
        Kind.RECORDS, FaultKind.ORPHAN, SQL.records_without_dataset
    ),
    Check("identities and pools", Kind.IDENTITIES): _of(
        Kind.IDENTITIES, FaultKind.ORPHAN, SQL.identities_without_pool
    ),
    Check("logins and identities", Kind.IDENTITIES): _Walk(
        "logins", _LOGINS, ("", "", ""), FaultKind.ORPHAN, SQL.logins_without_identity
    ),
    Check("devices and pools", Kind.DEVICES): _of(
        Kind.DEVICES, FaultKind.ORPHAN, SQL.devices_without_pool
    ),
    Check("subscriptions", Kind.SUBSCRIPTIONS): _of(
        Kind.SUBSCRIPTIONS, FaultKind.ORPHAN, SQL.subscriptions_without_dataset
    ),
    Check("pushes and devices", Kind.PUSHES): _of(
        Kind.PUSHES, FaultKind.ORPHAN, SQL.pushes_without_device
    ),
    Check("outbox and pools", Kind.OUTBOX): _of(
        Kind.OUTBOX, FaultKind.ORPHAN, SQL.outbox_without_pool
    ),
    Check("parked outbox and pools", Kind.PARKED_OUTBOX): _of(
        Kind.PARKED_OUTBOX, FaultKind.ORPHAN, SQL.parked_without_pool
    ),
}


class Verifications:
    """What `VerifyStore` has beside `CopyStore`."""

    database: Database
    streams_database: Database

    @property
    def checks(self) -> Sequence[Check]:
        return [*_WALKS]

    def list_files(self) -> Sequence[str]:
        return [each.path.name for each in (self.database, self.streams_database)]

    async def check_file(self, name: str, *, faults_max: int) -> Sequence[Fault]:
        def job(cursor: Reader) -> list[Fault]:
            rows = cursor.execute(f"PRAGMA integrity_check({int(faults_max)})")
            texts = [text for (text,) in rows if text != "ok"]
            return [Fault(FaultKind.DAMAGED_FILE, name, "", each) for each in texts]

        (file,) = [
            each
            for each in (self.database, self.streams_database)
            if each.path.name == name
        ]
        return await file.read_slowly("check_file", job)

    async def check(self, check: Check, after: bytes | None, *, rows_max: int) -> Step:
        walk = _WALKS[check]
        begin = walk.first if after is None else tuple(_unpack(after))

        def job(cursor: Reader) -> Step:
            end = _find_key(cursor, walk.table, walk.key, begin, rows_max - 1)
            stretch = (*begin, *(end or _ends(walk.first)))
            faults = [
                Fault(walk.kind, walk.table, str(row), text)
                for row, text in cursor.execute(walk.sql, stretch)
            ]
            return Step(faults, None if end is None else _pack(end))

        return await self.database.read_slowly("check", job)

    async def skip_row(self, kind: Kind, after: bytes | None) -> bytes | None:
        begin = first_position(kind) if after is None else tuple(_unpack(after))
        file = self.streams_database if kind in STREAM_KINDS else self.database
        key = await file.read_slowly(
            "skip_row",
            lambda cursor: _find_key(cursor, kind.value, _KEYS[kind], begin, 0),
        )
        return None if key is None else _pack(key)

    async def check_usage(self) -> Sequence[Fault]:
        def job(cursor: Reader) -> list[Fault]:
            rows = cursor.execute(SQL.wrong_usage)
            table = Kind.IDENTITY_POOLS.value
            return [Fault(FaultKind.WRONG_USAGE, table, *each) for each in rows]

        return await self.database.read_slowly("check_usage", job)

    async def put_verification(self, verification: Verification) -> None:
        row = (verification.ended_ms, verification.faults)
        await self.database.write(lambda db: db.execute(SQL.put_verification, row))

    async def find_verification(self) -> Verification | None:
        rows = self.database.look("find_verification", SQL.find_verification, ())
        if not rows:
            return None
        ended_ms, faults = rows[0]
        return Verification(ended_ms=ended_ms, faults=faults)


def _find_key(
    cursor: Reader,
    table: str,
    key: tuple[str, ...],
    after: tuple[Any, ...],
    further: int,
) -> tuple[Any, ...] | None:
    """Find the key of a row behind another one; None when there is none so far on."""
    columns, marks = ", ".join(key), ", ".join("?" * len(key))
    sql = (
        f"SELECT {columns} FROM {table} WHERE ({columns}) > ({marks}) "
        f"ORDER BY {columns} LIMIT 1 OFFSET ?"
    )
    for row in cursor.execute(sql, (*after, further)):
        return tuple(row)
    return None


def _ends(first: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give what is behind every key of these types."""
    # SQLite puts bytes behind every text, also behind one that is no UTF-8.
    return tuple(b"" if isinstance(each, str) else NUMBER_END for each in first)
