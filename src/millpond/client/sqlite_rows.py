"""
Rows of SQLite, and copies made of them: the tables, statements and errors.

Tables begin with `millpond_`, and may live beside those of an app. Nothing here loads
the rules before the first copy is asked for: an app that only opens its data and reads
a value should not wait for more than SQLite itself.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time

from millpond.client.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Final

    from millpond.client.address import Address
    from millpond.client.storage import Stored

FORMAT: Final = 1
BUSY_S: Final = 30.0  # for how long others may write before it is an error
_SCHEMA: Final = """
CREATE TABLE millpond_format (version INTEGER NOT NULL);
CREATE TABLE millpond_dataset (
  row INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
  pool TEXT NOT NULL,
  identity_id TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 0,
  step INTEGER NOT NULL DEFAULT 0,
  sync_count INTEGER NOT NULL DEFAULT 0,
  sent TEXT,
  deleting INTEGER NOT NULL DEFAULT 0,
  absorbed TEXT,
  token TEXT,
  last_sync_ms INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  UNIQUE (pool, identity_id, name)
);
CREATE TABLE millpond_record (
  dataset INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT,
  base TEXT,
  base_count INTEGER NOT NULL,
  dirty INTEGER NOT NULL,
  edit INTEGER NOT NULL,
  modified_ms INTEGER NOT NULL,
  refused TEXT,
  PRIMARY KEY (dataset, key)
);
CREATE TABLE millpond_kept (
  pool TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (pool, name)
);
CREATE TABLE millpond_following (
  pool TEXT NOT NULL,
  guest TEXT NOT NULL,
  account TEXT NOT NULL,
  PRIMARY KEY (pool, guest)
);
"""
_KINDS: Final = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "foreign",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CANTOPEN: "missing",
}
_TEXTS: Final = {
    "busy": "Another process has been writing for too long",
    "full": "There is no room left",
    "damaged": "The file is damaged",
    "foreign": "The file is no SQLite database",
    "readonly": "The file may not be written",
    "missing": "The file cannot be opened",
    "failed": "The file cannot be read or written",
}


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none, and see whether we know those there are."""
    deadline_s = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # While others open it, too, SQLite does not wait by itself.
            busy = _kind(error) == "busy" and time.monotonic() < deadline_s
            if not busy:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = FULL")  # an acknowledged write is on disk
    if _format(connection) is None:
        connection.execute("BEGIN IMMEDIATE")
        if _format(connection) is None:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO millpond_format VALUES (?)", (FORMAT,))
        connection.execute("COMMIT")
    found = _format(connection)
    if found != FORMAT:
        raise StorageError(
            "newer",
            f"The file has format {found}, of a later release; known is {FORMAT}.",
        )


def _format(connection: sqlite3.Connection) -> int | None:
    named = "SELECT 1 FROM sqlite_master WHERE name = 'millpond_format'"
    if connection.execute(named).fetchone() is None:
        return None
    found = connection.execute("SELECT version FROM millpond_format").fetchone()
    return None if found is None else int(found[0])


def stored(connection: sqlite3.Connection, head: Sequence[Any]) -> Stored:
    import msgspec

    from millpond.client.storage import Stored
    from millpond.core.client_sync.copies import Copy, LocalRecord, Sent

    row, _, step, sync_count, sent, deleting, absorbed, token, *told = head
    found = connection.execute(
        "SELECT key, value, base, base_count, dirty, edit, modified_ms, refused"
        " FROM millpond_record WHERE dataset = ? ORDER BY rowid",
        (row,),
    )
    records = {
        key: LocalRecord(value, base, base_count, bool(dirty), *others)
        for key, value, base, base_count, dirty, *others in found
    }
    copy = Copy(
        sync_count,
        records,
        None if sent is None else msgspec.json.decode(sent, type=Sent),
        bool(deleting),
        {} if absorbed is None else msgspec.json.decode(absorbed, type=dict[str, int]),
        token,
    )
    return Stored(copy, row, step, *told)


def write(
    connection: sqlite3.Connection,
    address: Address,
    version: int,
    before: Stored,
    after: Stored,
) -> Stored:
    """Write what differs; the row of a new one is given."""
    import msgspec

    copy = after.copy
    head = (
        version,
        after.step,
        copy.sync_count,
        None if copy.sent is None else msgspec.json.encode(copy.sent).decode(),
        copy.deleting,
        msgspec.json.encode(copy.absorbed).decode() if copy.absorbed else None,
        copy.token,
        after.last_sync_ms,
        after.last_error,
    )
    row = before.row
    if row:
        connection.execute(
            "UPDATE millpond_dataset SET version = ?, step = ?, sync_count = ?,"
            " sent = ?, deleting = ?, absorbed = ?, token = ?, last_sync_ms = ?,"
            " last_error = ?"
            " WHERE row = ?",
            (*head, row),
        )
    else:
        inserted = connection.execute(
            "INSERT INTO millpond_dataset (version, step, sync_count, sent, deleting,"
            " absorbed, token, last_sync_ms, last_error, pool, identity_id, name)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*head, *address),
        ).lastrowid
        assert inserted is not None
        row = inserted
    old, new = before.copy.records, copy.records
    gone = [(row, key) for key in old if key not in new]
    if gone:
        connection.executemany(
            "DELETE FROM millpond_record WHERE dataset = ? AND key = ?", gone
        )
    connection.executemany(
        "INSERT INTO millpond_record (dataset, key, value, base, base_count, dirty,"
        " edit, modified_ms, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (dataset, key) DO UPDATE SET value = excluded.value,"
        " base = excluded.base, base_count = excluded.base_count,"
        " dirty = excluded.dirty, edit = excluded.edit,"
        " modified_ms = excluded.modified_ms, refused = excluded.refused",
        [
            (
                *(row, key, each.value, each.base, each.base_count, each.dirty),
                *(each.edit, each.modified_ms, each.refused),
            )
            for key, each in new.items()
            if old.get(key) is not each
        ],
    )
    return msgspec.structs.replace(after, row=row)


def drop(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    for row in rows:
        connection.execute("DELETE FROM millpond_record WHERE dataset = ?", (row,))
        connection.execute("DELETE FROM millpond_dataset WHERE row = ?", (row,))


def unsent(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, str, int]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row, name, deleting in rows:
        keys = connection.execute(
            "SELECT key FROM millpond_record JOIN millpond_dataset ON row = dataset"
            " WHERE row = ? AND dirty AND (value IS NOT NULL OR base IS NOT NULL"
            "  OR base_count <> 0 OR sent IS NOT NULL) ORDER BY key",
            (row,),
        ).fetchall()
        if keys or deleting:
            found[name] = tuple(
                dict.fromkeys((*found.get(name, ()), *(key for (key,) in keys)))
            )
    return found


def kept(connection: sqlite3.Connection, pool: str, name: str) -> str | None:
    found = connection.execute(
        "SELECT value FROM millpond_kept WHERE pool = ? AND name = ?", (pool, name)
    ).fetchone()
    return None if found is None else found[0]


def _kind(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    return "failed" if code is None else _KINDS.get(code & 0xFF, "failed")


@contextlib.contextmanager
def errors_named(path: str) -> Iterator[None]:
    """Say what is the matter with a file: SQLite's own texts might have values in."""
    try:
        yield
    except UnicodeEncodeError:
        raise StorageError(
            "failed", "A key or a value has half of a surrogate pair: it is no text."
        ) from None
    except sqlite3.Error as error:
        kind = _kind(error)
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StorageError(kind, f"{_TEXTS[kind]} ({name}): {path}") from None
