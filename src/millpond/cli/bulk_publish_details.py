"""
`millpond get-bulk-publish-details`: how a bulk publish goes, for people.

`millpond cognito-sync get-bulk-publish-details` is the API's own and stays so: one
call, one answer. This one says it in a line, follows the run to its end with `--watch`,
and tells a script by its exit status how it went:

    0    SUCCEEDED; without --watch IN_PROGRESS too
    1    FAILED
    3    NOT_STARTED: there is no run that could be watched
    130  Ctrl-C; the run goes on without anybody watching
    255  no answer
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final, TextIO

from millpond.cli import bulk_publish_watch
from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM
from millpond.cli.bulk_publish_watch import Details
from millpond.client.api.client import Client
from millpond.client.api.model import ServiceModel

_CLEAR_LINE: Final = "\r\x1b[K"


def main(argv: list[str]) -> int:
    """Run `millpond get-bulk-publish-details`."""
    options = make_parser().parse_args(argv)
    screen = Line(sys.stdout)
    api = Client(options, connecting.settle(options), ServiceModel.load("cognito-sync"))

    def ask() -> Details:
        pool = {"IdentityPoolId": options.identity_pool_id}
        return Details(api.call("get-bulk-publish-details", **pool))

    try:
        details = ask()
        screen.show(details)
        if options.watch:
            details = bulk_publish_watch.watch(ask, details, screen, options)
    except KeyboardInterrupt:
        return bulk_publish_watch.let_go(screen, options.identity_pool_id)
    finally:
        screen.close()
    return bulk_publish_watch.conclude(details, options.identity_pool_id)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} get-bulk-publish-details",
        description="Say how the last bulk publish of an identity pool went, or is "
        "going.",
        epilog="Exit status: 0 SUCCEEDED (without --watch IN_PROGRESS too), 1 FAILED, "
        "3 NOT_STARTED, 130 after Ctrl-C (the run goes on), 255 without an answer.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--identity-pool-id", required=True, metavar="ID", help="the identity pool"
    )
    parser.add_argument(
        "--watch", action="store_true", help="go on until the run has ended"
    )
    bulk_publish_watch.add_options(parser)
    connecting.add_options(parser)
    return parser


class Line:
    """
    Where the state is shown: on a terminal one line drawn over and over, elsewhere one
    line for each change.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redraws = bulk_publish_watch.can_redraw(stream)
        self._line_is_open = False
        self._shown: tuple[Any, ...] | None = None

    def show(self, details: Details) -> None:
        """Show the state."""
        line = details.line()
        if self._redraws:
            from shutil import get_terminal_size

            # A line that wraps could not be drawn over.
            line = line[: get_terminal_size().columns - 1]
            self._stream.write(f"{_CLEAR_LINE}{line}")
            self._line_is_open = True
        elif details.key != self._shown:
            self._stream.write(f"{line}\n")
        self._shown = details.key
        self._stream.flush()

    def close(self) -> None:
        """End the line, so that something else can be written."""
        if self._line_is_open:
            self._stream.write("\n")
            self._stream.flush()
            self._line_is_open = False
