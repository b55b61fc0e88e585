"""Who changed what, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import msgspec

from millpond.stores import audit
from millpond.stores.base import Along, AuditEntry, AuditFilter
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("audit.sql")
T = TypeVar("T")


class AuditedDatabase(Database):
    """
    A database whose changes take entries of the audit along.

    Not where it is spread: the audit is on the coordinator alone, and a change of what
    is on another server would commit in two places.
    """

    async def write_accepted(
        self, op: str, job: Callable[[Session], Awaitable[T]]
    ) -> T:
        along = audit.find_along()
        entry = along.take() if along is not None else None
        if along is None or entry is None or self.is_spread:
            return await super().write_accepted(op, job)
        columns = [[each] for each in msgspec.structs.astuple(entry)]

        async def write_both(db: Session) -> T:
            result = await job(db)
            await db.run(SQL.put_audit_entries, *columns)
            return result

        result = await super().write_accepted(op, write_both)
        along.is_kept = True
        return result


class Audit:
    """The `AuditStore` part of the port."""

    database: Database

    def taking_along(self, entry: AuditEntry) -> AbstractContextManager[Along]:
        return audit.taking_along(entry)

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
