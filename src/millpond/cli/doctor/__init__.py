"""
`millpond doctor`: find out why calls fail, and say what to do about it.

It goes the way of a call, step by step, with the same options, variables and files:
where to, as whom, does anybody answer, is it Millpond, do the clocks agree, is the
signature accepted, how is the server (versions, store, disk, regions, streams and their
bucket, login providers, sources of pools that move in), and, with `--identity-pool-id`,
how are the pool, what it calls (sync trigger, stream, push, login providers) and its
last bulk publish. When the store does not answer, that is all that is told. Each step
is one line: `ok`, `warn` or `fail`, what is so, and how to mend it. Nothing of the
server's is changed. A step after which the others would mean nothing is the last one.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterator
from typing import Final

from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM
from millpond.cli.doctor import caller, pool, server
from millpond.cli.doctor.check import Check, Status, Steps, T, fail
from millpond.cli.doctor.examination import (
    examine_pool,
    examine_server,
    explain_store,
)
from millpond.client.api.client import Client
from millpond.client.api.configuration import Configuration
from millpond.client.api.faults import Fault
from millpond.client.api.model import ServiceModel

_NAME_WIDTH: Final = len("identity pool")
_STREAM: Final = "stream "  # how a check is named that is of a stream
_STATUS_WIDTH: Final = max(map(len, Status))


def main(argv: list[str]) -> int:
    """Run `millpond doctor`."""
    options = make_parser().parse_args(argv)
    checks = []
    for check in examine(options):
        checks.append(check)
        if options.output == "text":
            print(_line(check), flush=True)
    healthy = all(check.status is not Status.FAIL for check in checks)
    if options.output == "json":
        found = [_as_json(check) for check in checks]
        print(json.dumps({"Healthy": healthy, "Checks": found}, indent=4))
    return 0 if healthy else 1


def examine(options: argparse.Namespace) -> Iterator[Check]:
    """Go through all steps, as far as one leads to the next."""
    try:
        configuration = connecting.settle(options)
        _ = configuration.profile  # one that was named and is not there
    except Fault as fault:
        yield fail(
            "settings",
            str(fault),
            f"Correct the option or the file: `{PROGRAM} configure list` without it "
            "tells what counts, and from where.",
        )
        return
    try:
        yield from _steps(options, configuration)
    except Fault as fault:  # such as a server that goes away in the middle
        yield fail("server", str(fault), "Try again; look into the log of the server.")


def _steps(
    options: argparse.Namespace, configuration: Configuration
) -> Iterator[Check]:
    # While the store is down, nothing else is worth a word; so all else waits for that.
    held: list[Check] = []
    url = _hold(held, caller.find_endpoint(options, configuration))
    region = _hold(held, caller.find_region(options, configuration))
    credentials = _hold(held, caller.find_credentials(configuration, region))
    if url is None:
        yield from held
        return
    answer = _hold(held, server.examine(url, options, configuration))
    signs = region is not None and credentials is not None
    if isinstance(answer, server.StoreDown):
        examination = _client("examination", options, configuration) if signs else None
        yield explain_store(examination, answer.said)
        return
    yield from held
    if answer is None:
        return
    yield server.compare_clocks(answer)
    if region is None or credentials is None:
        return
    sync = _client("cognito-sync", options, configuration)
    if not (yield from pool.examine_signature(sync, credentials, region)):
        return
    examination = _client("examination", options, configuration)
    told: dict[str, Status] = {}
    for check in examine_server(examination):
        told[check.name] = check.status
        yield check
    pool_id = options.identity_pool_id
    if pool_id is None:
        return
    streaming = _client("streaming", options, configuration)
    kinesis = _kinesis_client(options, configuration, url)
    streams = [name for name in told if name.startswith(_STREAM)]
    streams.sort(key=lambda name: told[name] is not Status.OK)
    known = [name.removeprefix(_STREAM) for name in streams]
    if (yield from pool.examine_pool(sync, streaming, kinesis, pool_id, known)):
        # A stream that all pools share is looked at again, maybe in another's name.
        for check in examine_pool(examination, pool_id):
            if told.get(check.name) is not check.status:
                yield check


def _hold(held: list[Check], steps: Steps[T]) -> T:
    """Take steps without telling yet what they find; give back what they do."""
    while True:
        try:
            held.append(next(steps))
        except StopIteration as end:
            found: T = end.value
            return found


def _client(
    api: str, options: argparse.Namespace, configuration: Configuration
) -> Client:
    return Client(options, configuration, ServiceModel.load(api))


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} doctor",
        description="Find out why calls fail, and say what to do about it. The exit "
        "status is 1 when a check fails.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--identity-pool-id",
        metavar="ID",
        help="look at this pool too: stream, sync trigger, push, login providers",
    )
    parser.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="form of the result [text]",
    )
    connecting.add_options(parser)
    # Who asks a doctor does not want to wait for the usual minute.
    parser.set_defaults(connect_timeout="5", read_timeout="10")
    return parser


def _kinesis_client(
    options: argparse.Namespace, configuration: Configuration, url: str
) -> Client:
    """Ask the same server, wherever other calls of Kinesis go."""
    from millpond.contract import botocore_model, kinesis

    there = copy.copy(options)
    there.endpoint_url = url
    model = botocore_model.service_model(kinesis.API)
    return Client(there, configuration, ServiceModel("kinesis", model))


def _line(check: Check) -> str:
    text = check.text
    if check.mend:
        stop = "" if text.endswith((".", "!", "?", ":")) else "."
        text = f"{text}{stop} To mend: {check.mend}"
    one_line = " ".join(text.split())
    return f"{check.status:{_STATUS_WIDTH}}  {check.name:{_NAME_WIDTH}}  {one_line}"


def _as_json(check: Check) -> dict[str, str]:
    shown = {"Name": check.name, "Status": str(check.status), "Text": check.text}
    return {**shown, "Mend": check.mend} if check.mend else shown
