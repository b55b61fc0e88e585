"""
`millpond dump`: write the pools and streams of a server as a file for `apply`.

Identities, their data and developer keys are no part of it.
"""

from __future__ import annotations

import argparse
import io
import sys

from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM


def main(argv: list[str]) -> int:
    """Run `millpond dump`."""
    from millpond.cli.pools_file import shapes, text
    from millpond.cli.pools_file.present import Server

    options = make_parser().parse_args(argv)
    server = Server(options, connecting.settle(options))
    chosen = options.identity_pool_id
    parts = []
    if chosen is None:
        for name, stream in server.list_streams():
            spelled = shapes.write(stream, server.shapes.stream)
            parts.append(text.table(("streams", name), spelled))
    pools = [*server.list_pools()] if chosen is None else [server.describe_pool(chosen)]
    names = [each[shapes.NAME] for each in pools]
    for each in pools:
        label, own = each[shapes.NAME], dict(each)
        if names.count(label) > 1:
            label = each[shapes.POOL_ID]  # a table's name is there once
        else:
            del own[shapes.NAME]
            if not options.ids:
                del own[shapes.POOL_ID]
        spelled = shapes.write(own, server.shapes.pool)
        parts.append(text.table(("pools", label), spelled))
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")  # as TOML is, wherever it is written
    print("\n".join(parts), end="")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} dump",
        description="Write the pools and streams of a server as a file that `millpond "
        "apply` takes: what they are, not what is in them.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--identity-pool-id", metavar="ID", help="this pool alone, without streams"
    )
    parser.add_argument(
        "--ids",
        action="store_true",
        help="with the ids of pools: for this server, not for another one",
    )
    connecting.add_options(parser)
    return parser
