"""
Looking a database over (`stores.verification`).

PostgreSQL looks after its own files (`pg_amcheck`, data checksums); here is what only
Millpond knows about its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from millpond.stores.base import Verification
from millpond.stores.copying import Kind
from millpond.stores.postgres.copying import first_position
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.verification import (
    NUMBER_END,
    TEXT_END,
    Check,
    Fault,
    FaultKind,
    Step,
)

SQL: Final = Queries("verification.sql")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode
_BYTES_END: Final = b"\xff" * 64  # behind every digest

# The columns of the position of each kind's export; the records of streams have none
# in one table, and are not walked through here.
_KEYS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.DEVELOPER_KEYS: ("access_key_id",),
    Kind.TOKEN_KEYS: ("key_id",),
    Kind.IDENTITY_POOLS: ("identity_pool_id",),
    Kind.IDENTITIES: ("identity_id",),
    Kind.DATASETS: ("identity_id", "identity_pool_id", "dataset_name"),
    Kind.RECORDS: ("identity_id", "identity_pool_id", "dataset_name", "key_digest"),
    Kind.SPENT_SESSIONS: ("identity_id", "session_id"),
    Kind.DEVICES: ("identity_id", "device_id"),
    Kind.SUBSCRIPTIONS: (
        *("identity_id", "identity_pool_id", "dataset_name", "device_id"),
    ),
    Kind.PUSHES: ("identity_id", "device_id", "dataset_name"),
    Kind.OUTBOX: ("identity_id", "outbox_id"),
    Kind.PARKED_OUTBOX: ("identity_id", "outbox_id"),
    Kind.BULK_PUBLISH_RUNS: ("identity_pool_id",),
    Kind.BULK_PUBLISH_SLICES: ("identity_pool_id", "slice_number"),
    Kind.IMPORTS: ("identity_pool_id",),
    Kind.IMPORT_POSITIONS: ("identity_pool_id", "position_name"),
    Kind.IMPORTED_IDENTITIES: ("identity_id", "identity_pool_id"),
    Kind.STREAMS: ("stream_id",),
    Kind.STREAM_CONSUMERS: ("stream_id", "consumer_name"),
    Kind.STREAM_PAYLOADS: ("payload_id",),
    Kind.AUDIT: ("entry_id",),
}


class _Walk(NamedTuple):
    """A check: what it looks for, and the statement that finds it."""

    kind: FaultKind
    sql: str


_LOGINS: Final = Check("logins and identities", Kind.IDENTITIES)
_WALKS: Final = {
    Check("datasets and pools", Kind.DATASETS): _Walk(
        FaultKind.ORPHAN, SQL.datasets_without_pool
    ),
    Check("counts", Kind.DATASETS): _Walk(FaultKind.WRONG_COUNT, SQL.wrong_counts),
    Check("sync counts", Kind.DATASETS): _Walk(
        FaultKind.RECORD_AHEAD, SQL.records_ahead
    ),
    Check("records and datasets", Kind.RECORDS): _Walk(
        FaultKind.ORPHAN, SQL.records_without_dataset
    ),
    Check("identities and pools", Kind.IDENTITIES): _Walk(
        FaultKind.ORPHAN, SQL.identities_without_pool
    ),
    Check("devices and pools", Kind.DEVICES): _Walk(
        FaultKind.ORPHAN, SQL.devices_without_pool
    ),
    Check("subscriptions", Kind.SUBSCRIPTIONS): _Walk(
        FaultKind.ORPHAN, SQL.subscriptions_without_dataset
    ),
    Check("pushes and devices", Kind.PUSHES): _Walk(
        FaultKind.ORPHAN, SQL.pushes_without_device
    ),
    Check("outbox and pools", Kind.OUTBOX): _Walk(
        FaultKind.ORPHAN, SQL.outbox_without_pool
    ),
    Check("parked outbox and pools", Kind.PARKED_OUTBOX): _Walk(
        FaultKind.ORPHAN, SQL.parked_without_pool
    ),
}


class Verifications:
    """What `VerifyStore` has beside `CopyStore`."""

    database: Database

    @property
    def checks(self) -> Sequence[Check]:
        return [*_WALKS, _LOGINS]

    def list_files(self) -> Sequence[str]:
        return []

    async def check_file(self, name: str, *, faults_max: int) -> Sequence[Fault]:
        return []

    async def check(self, check: Check, after: bytes | None, *, rows_max: int) -> Step:
        async with self.database.session("check") as db:
            if check == _LOGINS:
                return await _check_logins(db, after, rows_max)
            walk = _WALKS[check]
            first = first_position(check.table)
            begin = first if after is None else tuple(_unpack(after))
            end = await _find_key(db, check.table, begin, rows_max - 1)
            stretch = (*begin, *(end or _ends(first)))
            table = check.table.value
            faults = [
                Fault(walk.kind, table, row, text)
                for row, text in await db.rows(walk.sql, *stretch)
            ]
            return Step(faults, None if end is None else _pack(end))

    async def skip_row(self, kind: Kind, after: bytes | None) -> bytes | None:
        if kind not in _KEYS:
            return None
        begin = first_position(kind) if after is None else tuple(_unpack(after))
        async with self.database.session("skip_row") as db:
            key = await _find_key(db, kind, begin, 0)
        return None if key is None else _pack(key)

    async def check_usage(self) -> Sequence[Fault]:
        async with self.database.moment("check_usage") as db:
            said = {pool: size for pool, size in await db.rows(SQL.list_usage)}
            waiting = {pool: size for pool, size in await db.rows(SQL.sum_uncounted)}
            held = {pool: size for pool, size in await db.rows(SQL.sum_datasets)}
        faults = []
        for pool, counted in said.items():
            size, found = counted + waiting.get(pool, 0), held.get(pool, 0)
            if size != found:
                text = f"it is said to hold {size} bytes, and its datasets hold {found}"
                table = Kind.IDENTITY_POOLS.value
                faults.append(Fault(FaultKind.WRONG_USAGE, table, pool, text))
        return faults

    async def put_verification(self, verification: Verification) -> None:
        row = (verification.ended_ms, verification.faults)
        async with self.database.session("put_verification") as db:
            await db.run(SQL.put_verification, *row)

    async def find_verification(self) -> Verification | None:
        async with self.database.session("find_verification") as db:
            row = await db.row(SQL.find_verification)
        return None if row is None else Verification(**row)


async def _check_logins(db: Session, after: bytes | None, rows_max: int) -> Step:
    begin = b"" if after is None else _unpack(after)[0]
    rows = await db.rows(SQL.list_logins, begin, rows_max)
    ids = sorted({identity_id for _, _, identity_id in rows})
    found = {each for (each,) in await db.rows(SQL.find_identities, ids)}
    faults = [
        Fault(
            FaultKind.ORPHAN,
            "logins",
            f"{pool} {digest.hex()}",
            f"identity {identity_id} is not there",
        )
        for digest, pool, identity_id in rows
        if identity_id not in found
    ]
    whole = len(rows) == rows_max
    return Step(faults, _pack((rows[-1]["login_digest"],)) if whole else None)


async def _find_key(
    db: Session, kind: Kind, after: tuple[Any, ...], further: int
) -> tuple[Any, ...] | None:
    """Find the key of a row behind another one; None when there is none so far on."""
    key = _KEYS[kind]
    columns = ", ".join(key)
    marks = ", ".join(f"${number}" for number in range(1, len(key) + 1))
    row = await db.row(
        f"SELECT {columns} FROM {kind.value} WHERE ({columns}) > ({marks}) "
        f"ORDER BY {columns} LIMIT 1 OFFSET ${len(key) + 1}",
        *after,
        further,
    )
    return None if row is None else tuple(row)


def _ends(first: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give what is behind every key of these types."""
    return tuple(
        TEXT_END
        if isinstance(each, str)
        else _BYTES_END
        if isinstance(each, bytes)
        else NUMBER_END
        for each in first
    )
