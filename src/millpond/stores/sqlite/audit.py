"""Who changed what, in the embedded store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from millpond.stores import audit
from millpond.stores.base import AuditEntry, AuditFilter
from millpond.stores.sqlite.database import Database
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("audit.sql")


class Audit:
    """The `AuditStore` part of the port."""

    database: Database

    async def put_audit_entries(self, entries: Sequence[AuditEntry]) -> None:
        rows = [msgspec.structs.astuple(each) for each in entries]
        await self.database.write(lambda db: db.executemany(SQL.put_audit_entry, rows))

    async def list_audit_entries(
        self, wanted: AuditFilter, *, before: str | None, limit: int
    ) -> list[AuditEntry]:
        names, values = audit.conditions(wanted)
        sql = SQL.list_audit_entries.replace(
            "TRUE", " AND ".join(["TRUE", *(f"{each} = ?" for each in names)])
        )
        row = (*audit.bounds(wanted, before), *values, limit)
        with self.database.reading("list_audit_entries") as cursor:
            rows = cursor.execute(sql, row).fetchall()
        return [audit.to_entry(each) for each in rows]

    async def trim_audit(self, *, frequent: bool, keep: int, limit: int) -> int:
        row = (frequent, keep, limit)
        return await self.database.write(
            lambda db: len(db.execute(SQL.trim_audit, row).fetchall())
        )
