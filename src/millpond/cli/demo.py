"""
`millpond demo`: a pool from nothing to SUCCEEDED, in a temporary folder.

Everything goes the way of a real user: a server process, signed requests, the CLI, the
Kinesis API. What arrives in the stream is compared with what was written.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from millpond.cli.stream_reader import Content, StreamReader
from millpond.testing.server import RunningServer

IDENTITIES: Final = 200
RECORDS: Final = {"preferences": "colour", "progress": "level"}  # by dataset
DATASETS: Final = tuple(RECORDS)
COLOURS: Final = ("teal", "café au lait", "grün", "藍", "#ffcc00")
RECORDS_MAX: Final = 40
CONCURRENCY: Final = 16
STREAM_NAME: Final = "demo-stream"
PROVIDER: Final = "login.demo"
SHARDS: Final = 4
TIMEOUT_S: Final = 60.0
# Pages on this machine may call the server.
SETTINGS: Final = {"cors_origins": '["http://localhost:*", "http://127.0.0.1:*"]'}


class DemoError(Exception):
    """Something is not as it should be."""


def main(argv: list[str]) -> int:
    """Run `millpond demo`."""
    make_parser().parse_args(argv)
    _forget_other_places()
    # A pipe gets no colours, also where FORCE_COLOR asks for them.
    console = Console(highlight=False, force_terminal=sys.stdout.isatty())
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="millpond-demo-") as folder:
            with RunningServer(Path(folder), settings=SETTINGS) as server:
                summary = run(console, server)
            seconds = time.monotonic() - started
    except (DemoError, BotoCoreError, ClientError, RuntimeError, OSError) as error:
        print(f"millpond demo: {error}", file=sys.stderr)
        return 1
    console.print(
        f"\n[bold green]All of it arrived.[/] {summary} {seconds:.1f} s.",
        soft_wrap=True,
    )
    print(_next_steps())
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    return argparse.ArgumentParser(
        prog="millpond demo",
        description="Start a server in a temporary folder, write the data of "
        f"{IDENTITIES} identities, publish it in bulk, read the stream back and "
        "compare.",
        allow_abbrev=False,
    )


def run(console: Console, server: RunningServer) -> str:
    """
    Do it all with a server, and sum it up in a line.

    Raises:
        DemoError: something is not as it should be.
    """
    console.print(f"A server answers at {server.endpoint}, on the embedded store.")
    clients = {
        name: _client(server, name)
        for name in ("cognito-identity", "cognito-sync", "kinesis")
    }
    sync, kinesis = clients["cognito-sync"], clients["kinesis"]
    pool_id: str = clients["cognito-identity"].create_identity_pool(
        IdentityPoolName="demo",
        AllowUnauthenticatedIdentities=True,
        DeveloperProviderName=PROVIDER,
    )["IdentityPoolId"]
    kinesis.create_stream(StreamName=STREAM_NAME, ShardCount=SHARDS)
    console.print(
        f"Identity pool {pool_id}, stream {STREAM_NAME}, {SHARDS} shards.\n",
        soft_wrap=True,
    )
    with _progress(console) as progress:
        users = _make_users(clients["cognito-identity"], pool_id)
        written = _write(sync, pool_id, users, progress)
        sync.set_identity_pool_configuration(
            IdentityPoolId=pool_id,
            CognitoStreams={"StreamName": STREAM_NAME, "StreamingStatus": "ENABLED"},
        )
        sync.bulk_publish(IdentityPoolId=pool_id)
        reader = _follow(sync, kinesis, pool_id, progress)
    _check_guest(console, server, pool_id, next(iter(written))[0])
    _show_details(console, server, pool_id)
    _compare(written, reader.content())
    records = sum(len(each) for each in written.values())
    return (
        f"{IDENTITIES} identities, {len(written)} datasets, {records} records, "
        f"{reader.stream_records} stream records,"
    )


def _forget_other_places() -> None:
    """
    Leave out what would lead a call elsewhere, or make it as somebody else.

    Whoever tries this may be logged in at AWS, sit behind a proxy, or have a server.
    """
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        del os.environ[name]
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        os.environ[name] = os.devnull
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = "*"


def _client(server: RunningServer, service: str, **credentials: str) -> Any:
    """Make a client, with developer credentials unless others are given."""
    developer = {
        "aws_access_key_id": server.access_key_id,
        "aws_secret_access_key": server.secret_access_key,
    }
    return botocore.session.Session().create_client(
        service,
        endpoint_url=server.endpoint,
        region_name=server.region,
        config=Config(max_pool_connections=CONCURRENCY, proxies={}),
        **(credentials or developer),
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<26}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("datasets"),
        console=console,
    )


def _make_users(identities: Any, pool_id: str) -> list[str]:
    """Make the users' identities, as the backend does that has signed them in."""

    def make(number: int) -> str:
        made = identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool_id, Logins={PROVIDER: f"user-{number:03d}"}
        )
        identity_id: str = made["IdentityId"]
        return identity_id

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(make, range(IDENTITIES)))


def _write(sync: Any, pool_id: str, users: list[str], progress: Progress) -> Content:
    """Write the datasets of all users through the API, several at a time."""
    rng = random.Random(2014)
    content: Content = {}
    for identity_id in users:
        for name in DATASETS:
            count = rng.randint(1, RECORDS_MAX)
            content[identity_id, name] = {
                f"{RECORDS[name]}-{n:02d}": _value(name, rng) for n in range(count)
            }
    task = progress.add_task("Writing", total=len(content))

    def write(item: tuple[tuple[str, str], dict[str, str]]) -> None:
        (identity_id, name), records = item
        names = {
            "IdentityPoolId": pool_id,
            "IdentityId": identity_id,
            "DatasetName": name,
        }
        sync.update_records(
            **names,
            SyncSessionToken=sync.list_records(**names)["SyncSessionToken"],
            RecordPatches=[
                {"Op": "replace", "Key": key, "Value": value, "SyncCount": 0}
                for key, value in records.items()
            ],
        )
        progress.advance(task)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(write, content.items()))  # raises what a thread raised
    return content


def _value(dataset: str, rng: random.Random) -> str:
    if dataset == "preferences":
        return rng.choice(COLOURS)
    return json.dumps({"stars": rng.randint(0, 3), "seconds": rng.randint(20, 300)})


def _follow(sync: Any, kinesis: Any, pool_id: str, progress: Progress) -> StreamReader:
    """Follow the bulk publish by reading its stream, until it is over."""
    reader = StreamReader(kinesis, STREAM_NAME)
    task = progress.add_task("Publishing in bulk", total=IDENTITIES * len(DATASETS))
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        status = sync.get_bulk_publish_details(IdentityPoolId=pool_id)
        over = status["BulkPublishStatus"] != "IN_PROGRESS"
        at_end = reader.read()
        progress.update(task, completed=reader.datasets)
        if over and at_end:
            break
        if time.monotonic() > deadline:
            raise DemoError(f"The bulk publish is not over after {TIMEOUT_S:.0f} s.")
        time.sleep(0.02)
    if status["BulkPublishStatus"] != "SUCCEEDED":
        message = status.get("FailureMessage", "")
        raise DemoError(f"The bulk publish is {status['BulkPublishStatus']}. {message}")
    return reader


def _check_guest(
    console: Console, server: RunningServer, pool_id: str, other_id: str
) -> None:
    """Get a guest's credentials as an app does; they open the guest's data alone."""
    identities = _client(server, "cognito-identity")
    guest_id = identities.get_id(IdentityPoolId=pool_id)["IdentityId"]
    given = identities.get_credentials_for_identity(IdentityId=guest_id)["Credentials"]
    guest = _client(
        server,
        "cognito-sync",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretKey"],
        aws_session_token=given["SessionToken"],
    )
    guest.list_datasets(IdentityPoolId=pool_id, IdentityId=guest_id)
    try:
        guest.list_datasets(IdentityPoolId=pool_id, IdentityId=other_id)
    except guest.exceptions.NotAuthorizedException:
        console.print("\nA guest has credentials of its own, for its own data alone.")
    else:
        raise DemoError("A guest could read the data of somebody else.")


def _show_details(console: Console, server: RunningServer, pool_id: str) -> None:
    """Ask with the command line, as a user would, and show the answer as it is."""
    words = ["cognito-sync", "get-bulk-publish-details", "--identity-pool-id", pool_id]
    console.print(f"\n[bold]$ millpond {' '.join(words)}[/]", soft_wrap=True)
    answer = subprocess.run(
        [sys.executable, "-m", "millpond", *words],
        env={**os.environ, **server.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise DemoError(f"The command failed: {answer.stderr.strip()}")
    print(answer.stdout, end="", flush=True)
    if json.loads(answer.stdout)["BulkPublishStatus"] != "SUCCEEDED":
        raise DemoError("The command line does not say SUCCEEDED.")


def _compare(written: Content, arrived: Content) -> None:
    """Compare what was written with what arrived, dataset by dataset."""
    missing = written.keys() - arrived.keys()
    extra = arrived.keys() - written.keys()
    differing = [
        dataset for dataset in written if written[dataset] != arrived.get(dataset)
    ]
    if missing or extra or differing:
        raise DemoError(
            f"The stream differs from what was written: {len(missing)} datasets are "
            f"missing, {len(extra)} were never written, {len(differing)} differ."
        )


def _next_steps() -> str:
    in_checkout = Path(__file__).parents[3].joinpath("Makefile").exists()
    serve = "make serve" if in_checkout else "millpond serve --data ./millpond-data"
    # Whoever installed a wheel, or runs it by uvx, has a way of their own to commands.
    activate = Path(sys.prefix, "bin", "activate")
    has_one = in_checkout and activate.exists()
    steps = f"  . {os.path.relpath(activate)}\n" if has_one else ""
    return f"""
Try next, with a server of your own:

  {serve}  # prints an endpoint and, once, a developer key to export

and in another terminal, with these exported:

{steps}  aws cognito-identity create-identity-pool \\
      --identity-pool-name mine --allow-unauthenticated-identities
  aws cognito-sync get-bulk-publish-details --identity-pool-id ID
  millpond cognito-sync get-bulk-publish-details --identity-pool-id ID
  millpond cognito-sync help

  import boto3          # the exported variables are all that boto3 needs
  boto3.client("cognito-sync").list_identity_pool_usage()
"""
