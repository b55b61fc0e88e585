"""Who changed what, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from millpond.stores import audit
from millpond.stores.base import AuditEntry, AuditFilter
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("audit.sql")


class Audit:
    """The `AuditStore` part of the port."""

    database: Database

    async def put_audit_entries(self, entries: Sequence[AuditEntry]) -> None:
        columns = zip(*(msgspec.structs.astuple(each) for each in entries), strict=True)
        arrays = [list(each) for each in columns]
        if arrays:
            await self._run("put_audit_entries", SQL.put_audit_entries, *arrays)

    async def list_audit_entries(
        self, wanted: AuditFilter, *, before: str | None, limit: int
    ) -> list[AuditEntry]:
        names, values = audit.conditions(wanted)
        further = (f"{name} = ${number}" for number, name in enumerate(names, 4))
        sql = SQL.list_audit_entries.replace("TRUE", " AND ".join(["TRUE", *further]))
        async with self.database.session("list_audit_entries") as db:
            rows = await db.rows(sql, *audit.bounds(wanted, before), limit, *values)
        return [audit.to_entry(tuple(each)) for each in rows]

    async def trim_audit(self, *, frequent: bool, keep: int, limit: int) -> int:
        return await self._run("trim_audit", SQL.trim_audit, frequent, keep, limit)

    async def _run(self, op: str, sql: str, *args: object) -> int:
        async def job(db: Session) -> int:
            return await db.run(sql, *args)

        return await self.database.write(op, job)
