"""Keys in PostgreSQL: those of developers, and those that sign OpenID tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from millpond.stores.base import DeveloperKey, TokenKey
from millpond.stores.postgres import nodes
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("keys.sql")


class Keys:
    """The `DeveloperKeyStore` and `TokenKeyStore` parts of the port."""

    database: Database

    async def put_developer_key(self, key: DeveloperKey) -> None:
        await self._write("put_developer_key", SQL.put_developer_key, *_columns(key))

    async def list_developer_keys(self) -> list[DeveloperKey]:
        async with self.database.session("list_developer_keys") as db:
            rows = await db.rows(SQL.list_developer_keys)
        return [DeveloperKey(**row) for row in rows]

    async def update_developer_key(
        self, access_key_id: str, change: Callable[[DeveloperKey], DeveloperKey]
    ) -> DeveloperKey | None:
        async def job(db: Session) -> DeveloperKey | None:
            row = await db.row(SQL.find_developer_key, access_key_id)
            if row is None:
                return None
            changed = change(DeveloperKey(**row))
            await db.run(SQL.put_developer_key, *_columns(changed))
            await nodes.tell_to_look_again(db)
            return changed

        return await self.database.write("update_developer_key", job)

    async def delete_developer_key(self, access_key_id: str) -> bool:
        sql = SQL.delete_developer_key
        return await self._write("delete_developer_key", sql, access_key_id) > 0

    async def note_key_uses(self, uses: Mapping[str, int]) -> None:
        rows = [(used_ms, access_key_id) for access_key_id, used_ms in uses.items()]
        # Not as the others: no server needs to know at once.
        async with self.database.session("note_key_uses") as db:
            await db.run_many(SQL.note_key_use, rows)

    async def put_token_key(self, key: TokenKey) -> bool:
        put = await self._write(
            "put_token_key",
            SQL.put_token_key,
            key.key_id,
            key.sealed_private_key,
            key.creation_date_ms,
            key.retire_date_ms,
        )
        return put > 0

    async def list_token_keys(self) -> list[TokenKey]:
        async with self.database.session("list_token_keys") as db:
            rows = await db.rows(SQL.list_token_keys)
        return [TokenKey(**row) for row in rows]

    async def retire_token_key(self, key_id: str, *, retire_date_ms: int) -> bool:
        row = (retire_date_ms, key_id)
        return await self._write("retire_token_key", SQL.retire_token_key, *row) > 0

    async def _write(self, op: str, sql: str, *args: Any) -> int:
        """Change keys, and let the servers know at once."""

        async def job(db: Session) -> int:
            changed = await db.run(sql, *args)
            await nodes.tell_to_look_again(db)
            return changed

        return await self.database.write(op, job)


def _columns(key: DeveloperKey) -> list[Any]:
    *columns, _ = msgspec.structs.astuple(key)
    return columns
