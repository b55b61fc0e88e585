"""
Numbered migrations, applied at start or by `millpond migrate`.

An advisory lock lets one node at a time migrate; the others wait for it and find the
work done. Each migration is a transaction of its own, together with its number in the
table `millpond_schema`.

Nodes of the version before go on working meanwhile, so a migration only adds: tables,
columns with a default, functions under a new name. What nobody uses any more is dropped
by a migration of a later release, once no node of the old version can be there. A node
that starts on a schema newer than it knows is refused: it cannot know what it would
break.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from millpond.errors import StoreError, StoreVersionError

SERVER_VERSION_MIN: Final = 14
_LOCK: Final = 0x4D4C504401  # "MLPD", and 1: to migrate
_HAS_TABLE: Final = "SELECT to_regclass('millpond_schema') IS NOT NULL"
_VERSION: Final = "SELECT coalesce(max(version), 0) FROM millpond_schema"
_CREATE_TABLE: Final = """CREATE TABLE IF NOT EXISTS millpond_schema (
    version integer PRIMARY KEY,
    applied timestamp with time zone NOT NULL DEFAULT now()
)"""

# What a semicolon does not end a statement in, and the semicolon that does.
_TOKEN: Final = re.compile(r"--[^\n]*|'[^']*'|\"[^\"]*\"|(\$\w*\$).*?\1|;", re.DOTALL)


def statements(sql: str) -> Iterator[str]:
    """
    Part a script into its statements.

    Citus hands a change of a table to the workers by the text that it came with, and
    they take one statement at a time.
    """
    begin = 0
    for token in _TOKEN.finditer(sql):
        if token[0] == ";":
            yield sql[begin : token.end()].strip()
            begin = token.end()
    rest = sql[begin:].strip()
    if re.sub(r"--[^\n]*", "", rest).strip():
        yield rest


def scripts() -> list[tuple[int, str]]:
    """List the migrations: number and SQL, in order."""
    folder = resources.files(__package__)
    files = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    found = [(int(name.split("_")[0]), name) for name in files]
    assert [n for n, _ in found] == list(range(1, len(found) + 1)), (
        "a number is missing"
    )
    return [
        (number, folder.joinpath(name).read_text("utf-8")) for number, name in found
    ]


async def apply(connection: Any) -> list[int]:
    """
    Bring a database up to date.

    Args:
        connection: one of asyncpg, outside of a transaction.
    Returns:
        The numbers of the migrations that were applied.
    Raises:
        StoreVersionError: the database is newer than this program.
        StoreError: the server is too old, or the database is not in UTF-8.
    """
    _check_server(connection)
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise StoreError(
            f"The encoding of the database is {encoding}; it must be UTF8.",
            op="open",
            hint="Create it anew: CREATE DATABASE ... ENCODING 'UTF8' "
            "TEMPLATE template0.",
        )
    todo = scripts()
    # Without a lock first: most starts find nothing to do, on a server that may be
    # busy or read-only.
    if await _version(connection, len(todo)) == len(todo):
        return []
    await connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
    try:
        return await _apply(connection, todo)
    finally:
        if not connection.is_closed():
            await connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")


async def _apply(connection: Any, todo: list[tuple[int, str]]) -> list[int]:
    await connection.execute(_CREATE_TABLE)
    version = await _version(connection, len(todo))
    for number, sql in todo[version:]:
        async with connection.transaction():
            for statement in statements(sql):
                await connection.execute(statement)
            await connection.execute(f"INSERT INTO millpond_schema VALUES ({number})")
    return [number for number, _ in todo[version:]]


async def _version(connection: Any, known: int) -> int:
    if not await connection.fetchval(_HAS_TABLE):
        return 0
    version = int(await connection.fetchval(_VERSION))
    if version > known:
        raise StoreVersionError(
            f"The store has schema version {version}; this program knows {known}.",
            op="open",
            hint="Use the newer version of Millpond that wrote it.",
        )
    return version


def _check_server(connection: Any) -> None:
    version = connection.get_server_version()
    if version.major < SERVER_VERSION_MIN:
        raise StoreError(
            f"The server is PostgreSQL {version.major}; Millpond needs "
            f"{SERVER_VERSION_MIN} or newer.",
            op="open",
            hint="Upgrade the server, or point 'store' at another one.",
        )
