"""
The heads of identities: what orders the writers of an identity in PostgreSQL.

Whoever writes to an identity, its datasets or its devices holds its head first. It
knows none of them, and so each of them may know it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from millpond.stores.postgres.database import Session
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("heads.sql")


async def hold(db: Session, pool: str, identity_ids: Iterable[str]) -> None:
    """Let nobody else write to these identities before the transaction ends."""
    ids = sorted(set(identity_ids))
    if ids:
        await db.run(SQL.hold_heads, pool, ids, secrets.randbits(48))


async def leave(
    db: Session, pool: str, identity_id: str, *, bytes_added: int, date_ms: int | None
) -> None:
    """
    Note what a deletion took off the usage, and drop the head once that is counted.

    Args:
        bytes_added: to the size of the pool; negative for what is deleted.
        date_ms: of the change; `None` when nothing changed.
    """
    names = (pool, identity_id)
    await db.run(SQL.leave_head, *names, bytes_added, date_ms)
    await db.run(SQL.drop_head, *names)
