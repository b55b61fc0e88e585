"""`millpond hook-secret`: print the secret with which hooks check who calls them."""

from __future__ import annotations

import argparse
import sys

from millpond.cli.serve import add_settings_options, load_settings
from millpond.errors import MillpondError


def main(argv: list[str]) -> int:
    """Run `millpond hook-secret`."""
    options = make_parser().parse_args(argv)
    from millpond.server import app, stores

    try:
        settings = load_settings(options)
        stores.prepare_data_folder(settings)
        print(app.hook_secret(settings))
    except MillpondError as error:
        print(f"millpond hook-secret: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond hook-secret",
        description="Print the secret that signs what sync triggers behind a URL are "
        "sent: the setting hook_secret, or what is made from the master secret.",
        allow_abbrev=False,
    )
    add_settings_options(parser)
    return parser
