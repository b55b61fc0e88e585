"""
Functions that do what the busiest requests need beside the rows, in one call.

Of a database that is spread, each statement that names a table costs about as much as
an update does as a whole on one server: Citus plans it anew and spells it for the
worker, which parses and plans it again. So there are functions that Citus runs on the
server of the identity. They name shards (`records_102040`), so that PostgreSQL keeps
the plans, as it does of prepared statements.

A function has a branch for each shard. All of it is made from the statements that the
store uses otherwise, so each of them is written once, and the names of the functions
tell what they were made from. They refuse a shard that they do not know (it was split),
or that is on another server by now; then the statements themselves are used.

Writes and moves. Who moves a shard holds off its writers by a lock on its metadata, on
all servers. The executor of Citus takes that lock before it writes; so do we, before we
look whether the shard is still here. Shards of all tables of an identity move together,
so the lock of one stands for all.

Order. A worker would draw ids of the outbox from a sequence of its own. So the
coordinator draws the id, after the identity was loaded and before it is written to. The
write goes through only if nobody wrote to the identity in between. So whoever committed
before has drawn before: ids stay in the order of the commits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncpg
import msgspec

from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("beside_shards.sql")
_DATASETS: Final = Queries("datasets.sql")

_LOAD: Final = "text, text, text, bytea[], bytea, boolean"
_LOOK: Final = "text, text, text, bigint, bigint, bigint, text, bigint"
_CALL: Final = re.compile(r"SELECT (\w+)\((.*)\)", re.DOTALL)


def _called(sql: str) -> tuple[str, str]:
    """Give the function that a statement calls, and what it is called with."""
    call = _CALL.fullmatch(sql)
    assert call is not None, sql
    return call[1], call[2]


# What is called otherwise; it is in the schema.
_SAVED, _SAVED_WITH = _called(_DATASETS.save_dataset)
_NUMBER: Final = "drawn"  # the parameter with the id of the outbox
_TABLE: Final = re.compile(r"\b(FROM|JOIN|INTO|UPDATE) ([a-z_]+)\b")
_HOLD_POOL: Final = "PERFORM hold_pool_1(pool);"
_OUTBOX: Final = re.compile(
    r"(INSERT INTO outbox_\d+ \(identity_id), (.*?VALUES \(\s*identity),", re.DOTALL
)
# What the names tell of: the statements, and how they are put together.
_VERSION: Final = hashlib.sha256(
    "\0".join(
        (
            *(
                "1",
                _SAVED,
                SQL.function,
                SQL.refuse,
                SQL.hold_shard,
                SQL.save,
                _LOAD,
                _LOOK,
            ),
            *(_DATASETS.load_dataset, _DATASETS.look_at_records),
        )
    ).encode()
).hexdigest()[:8]
_LOADING: Final = f"load_dataset_here_{_VERSION}"
_LOOKING: Final = f"look_at_records_here_{_VERSION}"
_SAVING: Final = f"save_dataset_here_{_VERSION}"
_SAVING_FROM: Final = f"save_dataset_from_{_VERSION}"  # on the coordinator

# Rows as JSON: a row of its own kind costs both servers more.
LOAD: Final = f"SELECT {_LOADING}($1, $2, $3, $4, $5, $6)"
LOOK: Final = f"SELECT {_LOOKING}($1, $2, $3, $4, $5, $6, $7, $8)"
SAVE: Final = f"SELECT {_SAVING_FROM}({_SAVED_WITH})"

# What they raise of a shard that they do not know, or that is dropped under their eyes.
REFUSED: Final = (
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,  # a worker has joined without them
)
_decode_row: Final = msgspec.json.Decoder(dict[str, Any]).decode
_BYTES: Final = ("session_id", "request_sha256")

Names = Mapping[str, str]  # table -> what it is called in one branch


def read_row(encoded: str) -> Mapping[str, Any]:
    """Make a row, by its columns, of what `LOAD` and `LOOK` give."""
    row = _decode_row(encoded)
    for each in _BYTES:
        if row.get(each) is not None:
            row[each] = bytes.fromhex(row[each].removeprefix("\\x"))
    return row


async def are_there(connection: Any) -> bool:
    """Say whether the functions of this program are there; the last is made last."""
    there: bool = await connection.fetchval(SQL.has_function, _SAVING_FROM)
    return there


async def make(connection: Any) -> None:
    """
    Make the functions for the shards that there are.

    Args:
        connection: one of asyncpg, to the coordinator of a database that is spread.
    """
    shards = await _shards(connection)
    body, names, types, sequence, outcome = await connection.fetchrow(
        SQL.find_function, _SAVED
    )
    await _spread(connection, _LOADING, _LOAD, "text", shards, _as_json("load_dataset"))
    await _spread(
        connection, _LOOKING, _LOOK, "text", shards, _as_json("look_at_records")
    )
    arguments = [f"{n} {t}" for n, t in zip(names, types, strict=True)]
    drawn = f"{_NUMBER} bigint"

    def save(tables: Names) -> str:
        return _block(body, tables)

    await _spread(
        connection, _SAVING, ", ".join((*arguments, drawn)), outcome, shards, save
    )
    pools = await connection.fetchval(SQL.find_pools_here) or "identity_pools"
    words = {
        "name": _SAVING_FROM,
        "arguments": ", ".join(arguments),
        "saving": _SAVING,
        "names": ", ".join(names),
        "pools": pools,
        "sequence": sequence,
        "number": _NUMBER,
    }
    await connection.execute(_filled(SQL.save, words))


async def _shards(connection: Any) -> Mapping[int, Names]:
    """Give, by the number of the shard of heads, what tables are called there."""
    found: dict[int, dict[str, str]] = {}
    everywhere: dict[str, str] = {}
    for table, shard, number in await connection.fetch(SQL.list_tables_of_shards):
        name = f"{table}_{number}"
        if shard is None:
            everywhere[table] = name
        else:
            found.setdefault(shard, {})[table] = name
    return {shard: {**names, **everywhere} for shard, names in found.items()}


def _as_json(name: str) -> Callable[[Names], str]:
    sql = _DATASETS.by_name[name]

    def branch(tables: Names) -> str:
        row = _localized(sql, tables)
        return (
            SQL.refuse.replace("{shard}", _number(tables))
            + f";\nRETURN row_to_json(found)::text FROM ({row}) AS found"
        )

    return branch


def _block(body: str, tables: Names) -> str:
    """Make a branch of the body of the function that saves on one server."""
    numbered = rf"\1, outbox_id, \2, {_NUMBER},"
    body, outboxes = _OUTBOX.subn(numbered, _localized(body, tables))
    parts = body.split(_HOLD_POOL)
    if outboxes != 1 or len(parts) != 2:
        raise AssertionError(f"{_SAVED} is not what it was")
    hold = f"{SQL.hold_shard};\n{SQL.refuse};"
    return hold.replace("{shard}", _number(tables)).join(parts)


def _number(tables: Names) -> str:
    return tables["identity_heads"].rpartition("_")[2]


def _localized(sql: str, tables: Names) -> str:
    return _TABLE.sub(lambda m: f"{m[1]} {tables.get(m[2], m[2])}", sql)


async def _spread(
    connection: Any,
    name: str,
    arguments: str,
    outcome: str,
    shards: Mapping[int, Names],
    branch: Callable[[Names], str],
) -> None:
    """Make a function that runs beside the identity, its second argument."""
    branches = [
        f"WHEN {shard} THEN\n{branch(tables).strip().removesuffix(';')};"
        for shard, tables in shards.items()
    ]
    words = {
        "name": name,
        "arguments": arguments,
        "outcome": outcome,
        "branches": "\n".join(branches),
    }
    await connection.execute(_filled(SQL.function, words))
    await connection.execute(SQL.spread_function, f"{name}({_types(arguments)})")


def _types(arguments: str) -> str:
    return ",".join(each.split()[-1] for each in arguments.split(","))


def _filled(sql: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: words[m[1]], sql)
