"""`millpond migrate`: bring the schema of a store up to date, and spread it."""

from __future__ import annotations

import argparse
from typing import Any

from millpond.cli.administration import CommandError, add_store_options, run, show
from millpond.settings import Settings


def main(argv: list[str]) -> int:
    """Run `millpond migrate`."""
    # There is one thing to do; the other commands choose by a word.
    return run(make_parser(), argv, {"migrate": _migrate})


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond migrate",
        description="Bring the schema of a store up to date. A server does so when it "
        "starts; with this command it can be done before, while servers of the "
        "version before are running.",
        allow_abbrev=False,
    )
    parser.set_defaults(command="migrate")
    parser.add_argument(
        "--distribute",
        action="store_true",
        help="spread the tables over the servers of a Citus cluster",
    )
    add_store_options(parser)
    return parser


async def _migrate(settings: Settings, options: argparse.Namespace) -> int:
    if settings.store:
        # A lock and changes of the schema want a connection of their own.
        url = settings.listen_store or settings.store
        done = await _migrate_database(url, distribute=options.distribute)
    elif options.distribute:
        raise CommandError(
            "The embedded store is one folder on one machine; it cannot be "
            "distributed. Name a PostgreSQL database with --store."
        )
    else:
        done = await _migrate_folder(settings)
    lines = [f"The schema is at version {done['SchemaVersion']}."]
    if done.get("DistributedTables") is not None:
        names = ", ".join(done["DistributedTables"]) or "none, all were before"
        lines.append(f"Distributed: {names}.")
    show(options, done, lines)
    return 0


async def _migrate_folder(settings: Settings) -> dict[str, Any]:
    from millpond.server import stores
    from millpond.stores.sqlite import migrations

    async with stores.open_existing(settings):
        pass
    return {"SchemaVersion": len(migrations.scripts("main"))}


async def _migrate_database(url: str, *, distribute: bool) -> dict[str, Any]:
    from millpond.server.stores import load_postgres

    load_postgres()  # or it says what to install
    from millpond.stores.postgres import distribution, migrations
    from millpond.stores.postgres.database import Database
    from millpond.stores.postgres.faults import map_driver_errors

    connection = await Database(url).connect("migrate")
    try:
        await distribution.refuse_worker(connection)
        with map_driver_errors("migrate"):
            applied = await migrations.apply(connection)
        done: dict[str, Any] = {
            "SchemaVersion": len(migrations.scripts()),
            "AppliedMigrations": applied,
        }
        if distribute:
            done["DistributedTables"] = await distribution.distribute(connection)
    finally:
        await connection.close()
    return done
