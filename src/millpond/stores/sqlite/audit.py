"""Who changed what, in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import msgspec

from millpond.stores import audit
from millpond.stores.base import Along, AuditEntry, AuditFilter
from millpond.stores.sqlite.database import Database, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("audit.sql")
T = TypeVar("T")


class AuditedDatabase(Database):
    """The main file, whose changes take entries of the audit along."""

    async def write(self, job: Callable[[Writer], T]) -> T:
        along = audit.find_along()
        entry = along.take() if along is not None else None
        if along is None or entry is None:
            return await super().write(job)
        row = msgspec.structs.astuple(entry)

        def write_both(db: Writer) -> T:
            result = job(db)
            db.execute(SQL.put_audit_entry, row)
            return result

        result = await super().write(write_both)
        along.is_kept = True
        return result


class Audit:
    """The `AuditStore` part of the port."""

    database: Database

    def taking_along(self, entry: AuditEntry) -> AbstractContextManager[Along]:
        return audit.taking_along(entry)

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
