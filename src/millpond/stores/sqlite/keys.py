"""Access keys of developers in the embedded store."""

from __future__ import annotations

from typing import Final

from millpond.stores.base import DeveloperKey
from millpond.stores.sqlite.database import Database
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("keys.sql")


class DeveloperKeys:
    """The `DeveloperKeyStore` part of the port."""

    database: Database

    async def put_developer_key(self, key: DeveloperKey) -> None:
        row = (
            key.access_key_id,
            key.name,
            key.sealed_secret,
            key.creation_date_ms,
        )
        await self.database.write(lambda db: db.execute(SQL.put_developer_key, row))

    async def list_developer_keys(self) -> list[DeveloperKey]:
        with self.database.reading("list_developer_keys") as cursor:
            rows = cursor.execute(SQL.list_developer_keys).fetchall()
        return [
            DeveloperKey(
                access_key_id=row[0],
                name=row[1],
                sealed_secret=row[2],
                creation_date_ms=row[3],
            )
            for row in rows
        ]

    async def delete_developer_key(self, access_key_id: str) -> bool:
        return await self.database.write(
            lambda db: bool(
                db.execute(SQL.delete_developer_key, (access_key_id,)).fetchall()
            )
        )
