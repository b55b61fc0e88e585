"""`millpond pool adopt`: an identity pool under the id that it has at AWS."""

from __future__ import annotations

import argparse

from millpond.cli.administration import CommandError, add_store_options, run, show
from millpond.settings import Settings


def main(argv: list[str]) -> int:
    """Run `millpond pool`."""
    return run(make_parser(), argv, {"adopt": _adopt})


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond pool",
        description="Create an identity pool under an id that an app knows already. "
        "CreateIdentityPool makes up an id; an app that moves here from AWS has its "
        "own built in.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    adopt = commands.add_parser("adopt", help="create a pool under its id at AWS")
    adopt.add_argument(
        "identity_pool_id", metavar="IDENTITY_POOL_ID", help="the id that it has at AWS"
    )
    adopt.add_argument("--name", required=True, help="its name, for people")
    adopt.add_argument(
        "--allow-unauthenticated-identities",
        action="store_true",
        help="give identities to users who do not sign in",
    )
    add_store_options(adopt)
    return parser


async def _adopt(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.identity_pools import adopt_identity_pool

    async with stores.open_store(settings) as store:
        refusal = await adopt_identity_pool(
            store,
            options.identity_pool_id,
            name=options.name,
            allow_guests=options.allow_unauthenticated_identities,
            pools_max=settings.identity_pools_max,
        )
    if refusal is not None:
        raise CommandError(refusal)
    show(
        options,
        {"IdentityPoolId": options.identity_pool_id},
        [f"Created identity pool {options.identity_pool_id}."],
    )
    return 0
