"""
Copies in a file of SQLite, for all threads and processes of a machine at once.

A change is one transaction, and on disk before it returns: WAL with synchronous=FULL,
one fsync each. Records are rows, so a change writes what it changed. A row of a dataset
has a version that each change raises; a copy that was read once is good as long as that
stands.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

from millpond.client import sqlite_rows
from millpond.client.errors import ClosedError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final

    from millpond.client.address import Address
    from millpond.client.storage import Changed, Decide, Stored
    from millpond.core.client_sync.copies import Copy

IN_MEMORY: Final = ":memory:"


class SQLite:
    """
    A file to keep data in; it is made where there is none.

    Args:
        path: on a disk of this machine: files of a network do not keep SQLite's locks.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def __repr__(self) -> str:
        return f"SQLite({self.path!r})"

    def open(self) -> Storage:
        """Open it, or make it, for the rest of the library (StorageError)."""
        return Storage(self.path)


class Memory:
    """A place that is gone with the process; what opens the same one sees the same."""

    def __init__(self) -> None:
        self._storage: Storage | None = None

    def open(self) -> Storage:
        """Open it, for the rest of the library."""
        if self._storage is None:
            self._storage = Storage(IN_MEMORY)
        return self._storage


class Storage:
    """The copies of a file; all of it from any thread, and in children that fork."""

    def __init__(self, path: str) -> None:
        self.path = path if path == IN_MEMORY else os.path.abspath(path)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._left_alone: list[sqlite3.Connection] = []
        self._cache: dict[Address, tuple[int, Stored]] = {}
        self._connection: sqlite3.Connection | None = self._connect()

    def __repr__(self) -> str:
        return f"<Storage {self.path!r}>"

    def close(self) -> None:
        """Close it; in memory, nothing: it is there as long as somebody knows it."""
        with self._lock:
            if self._connection is not None and self.path != IN_MEMORY:
                self._connection.close()
                self._connection = None

    def value(self, address: Address, key: str) -> str | None:
        """Give the value of a record as the app sees it."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT value FROM millpond_record WHERE key = ? AND dataset = ("
                " SELECT row FROM millpond_dataset"
                " WHERE pool = ? AND identity_id = ? AND name = ?)",
                (key, *address),
            ).fetchone()
        return None if found is None else found[0]

    def load(self, address: Address) -> Stored:
        """Give what is stored of a dataset; nothing of it is changed by anybody."""
        with self._reading() as connection:
            if connection.in_transaction:  # a merge looks at its dataset
                return self._load(connection, address)[1]
            connection.execute("BEGIN")  # the row and its records as of one moment
            try:
                return self._load(connection, address)[1]
            finally:
                connection.execute("ROLLBACK")

    def change(self, address: Address, decide: Decide) -> Changed:
        """
        Change what is stored, durably, as a whole or not at all.

        Raises:
            StorageError: it cannot be written; nothing was.
        """
        with self._writing() as connection:
            return self._change(connection, address, decide)

    def ensure(self, address: Address) -> Stored:
        """See to it that there is a row, so that one who drops it is noticed."""
        with self._writing() as connection:
            version, stored = self._load(connection, address)
            if not stored.row:
                stored = sqlite_rows.write(connection, address, 1, stored, stored)
                self._cache[address] = version + 1, stored
            return stored

    def follow(
        self, guest: Address, account: Address, rule: Callable[[Copy, Copy], Copy]
    ) -> Changed | None:
        """Take a guest's copy into an account's, where there is one."""
        with self._writing() as connection:
            theirs = self._load(connection, guest)[1]
            if not theirs.row:
                return None

            def decide(mine: Stored) -> Stored:
                from msgspec.structs import replace

                copy = rule(mine.copy, theirs.copy)
                return replace(mine, copy=copy, step=mine.step + 1)

            sqlite_rows.drop(connection, [theirs.row])
            self._cache.pop(guest, None)
            return self._change(connection, account, decide)

    def has_failed(self, address: Address) -> bool:
        """Tell whether an attempt to send failed, or was never answered."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT row FROM millpond_dataset WHERE pool = ? AND identity_id = ?"
                " AND name = ? AND (last_error IS NOT NULL OR sent IS NOT NULL)"
                " AND (deleting OR row IN"
                " (SELECT dataset FROM millpond_record WHERE dirty))",
                address,
            ).fetchone()
        return found is not None

    def pools(self) -> list[str]:
        """List the pools that there is something of, sorted."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT pool FROM millpond_dataset UNION SELECT pool FROM millpond_kept"
                " ORDER BY 1"
            ).fetchall()
        return [pool for (pool,) in found]

    def names(self, pool: str, identity_ids: Sequence[str]) -> list[str]:
        """List the datasets of identities, sorted."""
        return sorted({name for _, name, _ in self._rows(pool, identity_ids)})

    def unsent(
        self, pool: str, identity_ids: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """List what the server does not have, by dataset; no key: its deletion."""
        with self._reading() as connection:
            return sqlite_rows.unsent(connection, self._rows(pool, identity_ids))

    def forget(
        self, pool: str, identity_ids: Sequence[str], *, discard: bool
    ) -> dict[str, tuple[str, ...]]:
        """
        Drop all copies of identities, unless something is unsent and not to be lost.

        Returns:
            What was unsent; where that is something and `discard` is not set, nothing
            was dropped.
        """
        with self._writing() as connection:
            rows = self._rows(pool, identity_ids)
            unsent = sqlite_rows.unsent(connection, rows)
            if unsent and not discard:
                return unsent
            sqlite_rows.drop(connection, [row for row, _, _ in rows])
            self._cache.clear()
            connection.executemany(
                "DELETE FROM millpond_following WHERE pool = ? AND account = ?",
                [(pool, each) for each in identity_ids],
            )
        return unsent

    def mark_following(self, pool: str, guest: str, account: str) -> None:
        """Keep that the data of a guest belongs to an account; again does nothing."""
        with self._reading() as connection:
            known = connection.execute(
                "SELECT account FROM millpond_following WHERE pool = ? AND guest = ?",
                (pool, guest),
            ).fetchone()
        if guest == account or known == (account,):
            return
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO millpond_following VALUES (?, ?, ?)",
                (pool, guest, account),
            )

    def followers(self, pool: str, account: str) -> list[str]:
        """List the guests whose data belongs to an account, directly or by others."""
        with self._reading() as connection:
            rows = connection.execute(
                "WITH RECURSIVE following (guest) AS ("
                " SELECT guest FROM millpond_following"
                "  WHERE pool = :pool AND account = :account"
                " UNION SELECT f.guest FROM millpond_following f JOIN following"
                "  ON f.account = following.guest AND f.pool = :pool)"
                " SELECT guest FROM following WHERE guest <> :account",
                {"pool": pool, "account": account},
            ).fetchall()
        return [guest for (guest,) in rows]

    def get(self, pool: str, name: str) -> str | None:
        """Give a text that is kept for a pool."""
        with self._reading() as connection:
            return sqlite_rows.kept(connection, pool, name)

    def swap(
        self, pool: str, name: str, before: str | None, after: str | None
    ) -> str | None:
        """Set a text if it is still what it was; give what it is then."""
        with self._writing() as connection:
            now = sqlite_rows.kept(connection, pool, name)
            if now != before:
                return now
            connection.execute(
                "DELETE FROM millpond_kept WHERE pool = ? AND name = ?", (pool, name)
            )
            if after is not None:
                connection.execute(
                    "INSERT INTO millpond_kept VALUES (?, ?, ?)", (pool, name, after)
                )
            return after

    def changes_elsewhere(self) -> int:
        """Give a number that changes when another process, or connection, writes."""
        with self._reading() as connection:
            found = connection.execute("PRAGMA data_version").fetchone()
        return int(found[0])

    def _load(
        self, connection: sqlite3.Connection, address: Address
    ) -> tuple[int, Stored]:
        """Give the version and what is stored, within a transaction."""
        from millpond.client.storage import Stored

        head = connection.execute(
            "SELECT row, version, step, sync_count, sent, deleting, absorbed,"
            " token, last_sync_ms, last_error FROM millpond_dataset"
            " WHERE pool = ? AND identity_id = ? AND name = ?",
            address,
        ).fetchone()
        if head is None:
            return 0, Stored()
        row, version = head[:2]
        known = self._cache.get(address)
        if known is not None and known[0] == version and known[1].row == row:
            return known
        found = version, sqlite_rows.stored(connection, head)
        self._cache[address] = found
        return found

    def _change(
        self, connection: sqlite3.Connection, address: Address, decide: Decide
    ) -> Changed:
        from millpond.client.storage import Changed

        version, before = self._load(connection, address)
        after = decide(before)
        if after == before:
            return Changed(before, before)
        after = sqlite_rows.write(connection, address, version + 1, before, after)
        self._cache[address] = version + 1, after  # dropped where it is rolled back
        return Changed(before, after)

    def _rows(
        self, pool: str, identity_ids: Sequence[str]
    ) -> list[tuple[int, str, int]]:
        """List row, name and whether it is being deleted."""
        places = ", ".join("?" * len(identity_ids))
        with self._reading() as connection:
            return connection.execute(
                "SELECT row, name, deleting FROM millpond_dataset"
                f" WHERE pool = ? AND identity_id IN ({places})",
                (pool, *identity_ids),
            ).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock, sqlite_rows.errors_named(self.path):
            if self._connection is None:
                raise ClosedError("It is closed.")
            yield self._connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            if connection.in_transaction:
                raise StorageError(
                    "failed", "A merge or a codec may not write while it is asked."
                )
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._cache.clear()
                if connection.in_transaction:  # a full disk ends some by itself
                    connection.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        with sqlite_rows.errors_named(self.path):
            _make_private(self.path)
            connection = sqlite3.connect(
                self.path,
                timeout=sqlite_rows.BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                sqlite_rows.prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _after_fork(self) -> None:
        """Open it anew: a connection of SQLite does not survive a fork."""
        self._lock = threading.RLock()  # the other may be held by a thread that is gone
        self._pid = os.getpid()
        self._cache = {}
        if self._connection is not None and self.path != IN_MEMORY:
            self._left_alone.append(self._connection)  # to close it would drop locks
            self._connection = self._connect()


def _make_private(path: str) -> None:
    """Make a new file one that others on the machine cannot read; SQLite would not."""
    if path != IN_MEMORY:
        with contextlib.suppress(OSError):  # SQLite says what is the matter
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
