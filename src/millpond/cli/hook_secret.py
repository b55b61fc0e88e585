"""`millpond hook-secret`: print the secret with which hooks check who calls them."""

from __future__ import annotations

import argparse

from millpond.cli.administration import check_place, run
from millpond.cli.serve import add_settings_options
from millpond.settings import Settings


def main(argv: list[str]) -> int:
    """Run `millpond hook-secret`."""
    # There is one thing to do; the other commands choose by a word.
    return run(make_parser(), argv, {"print": _print})


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond hook-secret",
        description="Print the secret that signs what sync triggers behind a URL are "
        "sent: the setting hook_secret, or what is made from the master secret.",
        allow_abbrev=False,
    )
    parser.set_defaults(command="print")
    add_settings_options(parser)
    return parser


async def _print(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server.sealers import hook_secret

    if not (settings.hook_secret or settings.secret_key):  # it is of the folder
        check_place(settings, options)
    print(hook_secret(settings, make=False))
    return 0
