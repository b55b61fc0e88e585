"""Keys that sign OpenID tokens, in the embedded store."""

from __future__ import annotations

from typing import Final

from millpond.stores.base import TokenKey
from millpond.stores.sqlite.database import Database
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("token_keys.sql")


class TokenKeys:
    """The `TokenKeyStore` part of the port."""

    database: Database

    async def put_token_key(self, key: TokenKey) -> bool:
        row = (
            key.key_id,
            key.sealed_private_key,
            key.creation_date_ms,
            key.retire_date_ms,
        )
        return await self.database.write(
            lambda db: bool(db.execute(SQL.put_token_key, row).fetchall())
        )

    async def list_token_keys(self) -> list[TokenKey]:
        with self.database.reading("list_token_keys") as cursor:
            rows = cursor.execute(SQL.list_token_keys).fetchall()
        return [
            TokenKey(
                key_id=row[0],
                sealed_private_key=row[1],
                creation_date_ms=row[2],
                retire_date_ms=row[3],
            )
            for row in rows
        ]

    async def retire_token_key(self, key_id: str, *, retire_date_ms: int) -> bool:
        row = (retire_date_ms, key_id)
        return await self.database.write(
            lambda db: bool(db.execute(SQL.retire_token_key, row).fetchall())
        )
