"""
Spreading the tables over several servers, with the extension Citus.

Everything of an identity is on one of them: the tables that grow are distributed by the
identity and lie side by side, so no request of Cognito Sync looks further than one
server. Identity pools are the same on each. A login leads to an identity that is not
known yet, so logins are spread by themselves.

What no statement joins with an identity is on the coordinator alone: keys, leases, the
runs of bulk publishes, embedded streams. A table that is the same on each server is
written to on each, so while one of them is away nobody could write to it.

The functions run where Millpond is connected, which has to be the coordinator: the ids
of the outbox come from one sequence there, and so stay in the order of the commits.
"""

from __future__ import annotations

from typing import Any, Final

from millpond.errors import StoreError
from millpond.stores.postgres import beside_shards
from millpond.stores.postgres.faults import map_driver_errors
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("shards.sql")

REFERENCE_TABLES: Final = ("identity_pools",)  # what statements of workers join
# table -> distribution column, and the table beside whose rows its rows lie
DISTRIBUTED_TABLES: Final[dict[str, tuple[str, str]]] = {
    "identity_heads": ("identity_id", "none"),
    "identities": ("identity_id", "identity_heads"),
    "datasets": ("identity_id", "identity_heads"),
    "records": ("identity_id", "identity_heads"),
    "spent_sessions": ("identity_id", "identity_heads"),
    "outbox": ("identity_id", "identity_heads"),
    "parked_outbox": ("identity_id", "identity_heads"),
    "devices": ("identity_id", "identity_heads"),
    "subscriptions": ("identity_id", "identity_heads"),
    "pushes": ("identity_id", "identity_heads"),
    "imported_identities": ("identity_id", "identity_heads"),
    "logins": ("login_digest", "none"),
}
# Changed together with what is on another server: Citus has to know of them, or the
# commit is not the same for both.
MANAGED_LOCAL_TABLES: Final = ("identity_pool_usage", "imports", "import_positions")
# On the coordinator alone: a write to them asks no other server, and needs none.
LOCAL_TABLES: Final = (
    "millpond_schema",
    "copy_mark",
    "copy_positions",
    "developer_keys",
    "token_keys",
    "spent_marks",
    "bulk_publish_runs",
    "bulk_publish_slices",
    "leases",
    "streams",
    "stream_consumers",
    "stream_shards",
    "stream_records",
    "stream_payloads",
    "verification",
    "guest_expiry",
    "audit",
)

HAS_CITUS: Final = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"
# Of the coordinator the group is 0, of each worker another one.
_IS_WORKER: Final = "SELECT groupid <> 0 FROM pg_dist_local_group"
_COORDINATOR: Final = """SELECT nodename || ':' || nodeport FROM pg_dist_node
WHERE groupid = 0 AND noderole = 'primary'"""
_LOCK: Final = 0x4D4C504402  # "MLPD", and 2: to distribute
_IS_SPREAD: Final = (
    "SELECT 1 FROM pg_dist_partition WHERE logicalrelid = $1::text::regclass"
)
# A local table that Citus knows: of no shards and no copies.
_IS_MANAGED: Final = _IS_SPREAD + " AND partmethod = 'n' AND repmodel = 's'"
_REFER: Final = "SELECT create_reference_table($1::text::regclass)"
_MANAGE: Final = "SELECT citus_add_local_table_to_metadata($1::text::regclass)"
_UNDISTRIBUTE: Final = "SELECT undistribute_table($1::text::regclass)"
_DISTRIBUTE: Final = (
    "SELECT create_distributed_table($1::text::regclass, $2, colocate_with := $3)"
)


async def refuse_worker(connection: Any) -> None:
    """
    Refuse a URL that leads to one of the workers of a cluster.

    A transaction there sees what the coordinator has, but takes its locks, draws its
    numbers and listens where nobody else does.

    Args:
        connection: one of asyncpg.
    Raises:
        StoreError: this is a worker.
    """
    with map_driver_errors("open"):
        if await connection.fetchval(HAS_CITUS) is None:
            return
        if await connection.fetchval(_IS_WORKER):
            known = await connection.fetchval(_COORDINATOR)
            raise StoreError(
                "The URL in 'store' leads to a worker of a Citus cluster.",
                op="open",
                hint="Point it, and 'listen_store', at the coordinator"
                + (f", which the workers know as {known}." if known else "."),
            )


async def is_spread(connection: Any) -> bool:
    """Say whether the tables are distributed; the extension alone does nothing."""
    if await connection.fetchval(HAS_CITUS) is None:
        return False
    return await connection.fetchval(_IS_SPREAD, "identity_heads") is not None


async def distribute(connection: Any) -> list[str]:
    """
    Distribute the tables that are not distributed yet.

    Args:
        connection: one of asyncpg, to a database with our schema.
    Returns:
        The names of the tables.
    Raises:
        StoreError: Citus is not there, or this is a worker.
    """
    await refuse_worker(connection)
    with map_driver_errors("distribute"):
        if await connection.fetchval(HAS_CITUS) is None:
            raise StoreError(
                "This database cannot be distributed: it has no extension 'citus'. "
                "Install Citus on all its servers and run CREATE EXTENSION citus here. "
                "Without it everything runs on this one server, as before."
            )
        # Who comes second finds the work done. The lock goes with the connection.
        await connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        done = []
        # What an older version spread comes back to where it is used.
        for table in (*LOCAL_TABLES, *MANAGED_LOCAL_TABLES):
            managed = table in MANAGED_LOCAL_TABLES
            if managed and await connection.fetchval(_IS_MANAGED, table):
                continue
            if await connection.fetchval(_IS_SPREAD, table) is not None:
                await connection.execute(_UNDISTRIBUTE, table)
                done.append(table)
        # Reference tables first: the others are joined with them.
        for table in REFERENCE_TABLES:
            if await connection.fetchval(_IS_SPREAD, table) is None:
                await connection.execute(_REFER, table)
                done.append(table)
        for table, (column, beside) in DISTRIBUTED_TABLES.items():
            if await connection.fetchval(_IS_SPREAD, table) is None:
                await connection.execute(_DISTRIBUTE, table, column, beside)
                done.append(table)
        for table in MANAGED_LOCAL_TABLES:
            if await connection.fetchval(_IS_MANAGED, table) is None:
                await connection.execute(_MANAGE, table)
                done.append(table)
        await connection.execute(SQL.create_look)
        await connection.execute(SQL.spread_look)
        await beside_shards.make(connection)
        return done
