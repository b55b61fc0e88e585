"""Keys in PostgreSQL: those of developers, and those that sign OpenID tokens."""

from __future__ import annotations

from typing import Any, Final

from millpond.stores.base import DeveloperKey, TokenKey
from millpond.stores.postgres import nodes
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("keys.sql")


class Keys:
    """The `DeveloperKeyStore` and `TokenKeyStore` parts of the port."""

    database: Database

    async def put_developer_key(self, key: DeveloperKey) -> None:
        await self._write(
            "put_developer_key",
            SQL.put_developer_key,
            key.access_key_id,
            key.name,
            key.sealed_secret,
            key.creation_date_ms,
        )

    async def list_developer_keys(self) -> list[DeveloperKey]:
        async with self.database.session("list_developer_keys") as db:
            rows = await db.rows(SQL.list_developer_keys)
        return [DeveloperKey(**row) for row in rows]

    async def delete_developer_key(self, access_key_id: str) -> bool:
        sql = SQL.delete_developer_key
        return await self._write("delete_developer_key", sql, access_key_id) > 0

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
