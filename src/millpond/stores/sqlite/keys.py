"""Access keys of developers in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from millpond.stores.base import DeveloperKey
from millpond.stores.sqlite.database import Database, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("keys.sql")


class DeveloperKeys:
    """The `DeveloperKeyStore` part of the port."""

    database: Database

    async def put_developer_key(self, key: DeveloperKey) -> None:
        await self.database.write(lambda db: _put(db, key))

    async def list_developer_keys(self) -> list[DeveloperKey]:
        with self.database.reading("list_developer_keys") as cursor:
            rows = cursor.execute(SQL.list_developer_keys).fetchall()
        return [_to_key(row) for row in rows]

    async def update_developer_key(
        self, access_key_id: str, change: Callable[[DeveloperKey], DeveloperKey]
    ) -> DeveloperKey | None:
        def job(db: Writer) -> DeveloperKey | None:
            rows = db.execute(SQL.find_developer_key, (access_key_id,)).fetchall()
            if not rows:
                return None
            changed = change(_to_key(rows[0]))
            _put(db, changed)
            return changed

        return await self.database.write(job)

    async def delete_developer_key(self, access_key_id: str) -> bool:
        return await self.database.write(
            lambda db: bool(
                db.execute(SQL.delete_developer_key, (access_key_id,)).fetchall()
            )
        )

    async def note_key_uses(self, uses: Mapping[str, int]) -> None:
        rows = [(used_ms, access_key_id) for access_key_id, used_ms in uses.items()]
        await self.database.write(lambda db: db.executemany(SQL.note_key_use, rows))


def _put(db: Writer, key: DeveloperKey) -> None:
    *columns, _ = msgspec.structs.astuple(key)
    db.execute(SQL.put_developer_key, columns)


def _to_key(row: Sequence[Any]) -> DeveloperKey:
    access_key_id, name, sealed_secret, created_ms, read_only, pool, *dates = row
    return DeveloperKey(
        access_key_id=access_key_id,
        name=name,
        sealed_secret=sealed_secret,
        creation_date_ms=created_ms,
        read_only=bool(read_only),
        identity_pool_id=pool,
        expires_ms=dates[0],
        last_used_ms=dates[1],
    )
