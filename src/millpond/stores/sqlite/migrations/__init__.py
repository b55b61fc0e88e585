"""
Numbered migrations, applied at start in one transaction, a folder for each file.

The number of the last one applied is SQLite's `user_version`. A database with a higher
number was written by a newer program and is refused: this program cannot know what it
would break.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from millpond.errors import NoStoreError, StoreError, StoreVersionError

APPLICATION_ID: Final = 0x4D4C5044  # "MLPD", so that `file` can tell
# A table that each file has had from the first migration on.
_LANDMARKS: Final = {"main": "developer_keys", "streams": "streams"}


def refuse_foreign(connection: apsw.Connection, schema: str, path: Path) -> None:
    """
    Refuse a database of something else, before anything in it is changed.

    Raises:
        StoreError: it is that of another program, or our other file.
    """
    names = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    tables = {name for (name,) in connection.execute(names)}
    if not tables:
        return
    number = int(str(connection.pragma("application_id")))
    if number != APPLICATION_ID:
        raise StoreError(
            f"'{path}' is a database of another program.",
            op="open",
            hint="Name the folder of a store, or put a backup in its place.",
        )
    if _LANDMARKS[schema] not in tables:
        raise StoreError(
            f"'{path}' is a database of Millpond, but another one than its name says.",
            op="open",
            hint="Put the file in its place that belongs there.",
        )


def refuse_empty(connection: apsw.Connection, path: Path) -> None:
    """
    Refuse a database in which nothing was ever made, such as a first start leaves that
    was killed.

    Raises:
        NoStoreError: it is one.
    """
    if not int(str(connection.pragma("user_version"))):
        raise NoStoreError(
            f"There is no store in '{path.parent.absolute()}': its {path.name} is "
            "empty."
        )


def scripts(schema: str) -> list[tuple[int, str]]:
    """List the migrations of `main` or `streams`: number and SQL, in order."""
    folder = Path(__file__).parent / schema
    files = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    found = [(int(name.split("_")[0]), name) for name in files]
    assert [n for n, _ in found] == list(range(1, len(found) + 1)), (
        "a number is missing"
    )
    return [
        (number, folder.joinpath(name).read_text("utf-8")) for number, name in found
    ]


def apply(connection: apsw.Connection, schema: str) -> None:
    """
    Bring a database up to date.

    Raises:
        StoreVersionError: the database is newer than this program.
    """
    connection.execute("BEGIN IMMEDIATE")  # another process may be doing the same
    try:
        _apply(connection, scripts(schema))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: apsw.Connection, todo: list[tuple[int, str]]) -> None:
    version = int(str(connection.pragma("user_version")))
    if version > len(todo):
        raise StoreVersionError(
            f"The store has schema version {version}; this program knows {len(todo)}.",
            op="open",
            hint="Use the newer version of Millpond that wrote it.",
        )
    if version == len(todo):
        return
    for number, sql in todo[version:]:
        for _ in connection.execute(sql):
            pass
        connection.pragma("user_version", number)
    connection.pragma("application_id", APPLICATION_ID)
