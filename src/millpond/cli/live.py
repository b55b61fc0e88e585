"""
`millpond live`: the changes of an identity, as they are made.

It listens as a device does (GetLiveUpdates), with a developer's key, and comes back
with the id of the last event whenever its connection ends, so that nothing is missed.

    0    --count changes were told
    130  Ctrl-C
    255  refused, or no answer for longer than --patience
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from typing import Any, Final

from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM
from millpond.cli.bulk_publish_watch import duration, may_pass
from millpond.cli.notes import INTERRUPTED, note
from millpond.cli.numbers import at_least_1, seconds
from millpond.cli.tables import local, plain
from millpond.client.api import events
from millpond.client.api.client import Client
from millpond.client.api.faults import Fault
from millpond.client.api.model import ServiceModel

_RETRY_S: Final = (0.2, 2.0)  # the pause before it comes back, at first and at most


def main(argv: list[str]) -> int:
    """Run `millpond live`."""
    options = make_parser().parse_args(argv)
    api = Client(options, connecting.settle(options), ServiceModel.load("live"))
    try:
        _follow(api, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} live",
        description="Follow the changes of an identity: a line for each, with the "
        "time, the dataset and its sync count.",
        epilog="Exit status: 0 after --count changes, 130 after Ctrl-C, 255 when it is "
        "refused or without an answer.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--identity-pool-id", required=True, metavar="ID", help="the identity pool"
    )
    parser.add_argument(
        "--identity-id", required=True, metavar="ID", help="the identity"
    )
    parser.add_argument(
        "--from-start",
        action="store_true",
        help="tell of every dataset once, then of the changes",
    )
    parser.add_argument(
        "--count", type=at_least_1, metavar="N", help="end after so many changes"
    )
    parser.add_argument(
        "--patience",
        type=seconds(0),
        default=300.0,
        metavar="SECONDS",
        help="how long to wait for a server that has stopped answering (default 300)",
    )
    parser.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="form of the lines [text]",
    )
    connecting.add_options(parser)
    return parser


def _follow(api: Client, options: argparse.Namespace) -> None:
    """Tell of changes until there were enough."""
    left: int | None = options.count
    for update in _updates(api, options):
        _print(update, options)
        if left is not None:
            left -= 1
            if left <= 0:
                return


def _updates(api: Client, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Listen, and come back as often as the stream ends."""
    names = {
        "IdentityPoolId": options.identity_pool_id.strip().lower(),
        "IdentityId": options.identity_id.strip().lower(),
    }
    last = {"LastEventId": events.EVERYTHING} if options.from_start else {}
    gone_s: float | None = None  # since when nobody answers; None: nobody was asked
    heard = False
    pause_s = _RETRY_S[0]
    while True:
        try:
            lines = api.listen("get-live-updates", **names, **last)
        except Fault as fault:
            if not heard or not may_pass(fault):
                raise
            gone_s = _be_patient(fault, gone_s, options.patience)
        else:
            events.check_form(lines)
            if gone_s is not None:
                note("The server answers again.")
            elif not heard:
                note(f"Listening to {names['IdentityId']}; Ctrl-C ends it.")
            gone_s, heard = None, True
            try:
                for message in events.parse(lines):
                    pause_s = _RETRY_S[0]
                    if message.event_id is not None:
                        last = {"LastEventId": message.event_id}
                    if message.data is not None:
                        yield _read(message.data)
            finally:
                lines.close()
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # not all at the same moment
        pause_s = min(2 * pause_s, _RETRY_S[1])


def _read(data: str) -> dict[str, Any]:
    try:
        return events.read(data)
    except Fault as fault:
        raise Fault(f"{fault}: {plain(data[:80])}") from None


def _be_patient(fault: Fault, gone_s: float | None, patience_s: float) -> float:
    """
    Say since when nobody answers.

    Raises:
        Fault: that is too long.
    """
    now_s = time.monotonic()
    if gone_s is None:
        note(f"{fault}\nTrying again for {duration(patience_s)}.")
        gone_s = now_s
    if now_s - gone_s >= patience_s:
        raise fault
    return gone_s


def _print(update: dict[str, Any], options: argparse.Namespace) -> None:
    if options.output == "json":
        print(json.dumps(update), flush=True)
        return
    when = local(time.time_ns() // 1_000_000)
    name = plain(str(update.get("datasetName")))
    print(f"{when}\t{name}\t{update.get('syncCount')}", flush=True)
