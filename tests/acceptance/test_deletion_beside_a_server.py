"""What a command deletes beside a running server ends its listeners and is streamed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from acceptance.live_reader import LiveReader, live_path
from acceptance.raw_http import RawClient, Request
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from millpond.testing.server import RunningServer, wait_until


@pytest.fixture(params=["data", "store"])
def server(request, tmp_path) -> Iterator[RunningServer]:
    """A server on a store of either kind."""
    settings = {}
    if request.param == "store":
        settings["store"] = request.getfixturevalue("new_database")()
    with RunningServer(tmp_path / "data", settings=settings) as running:
        yield running


def test_listeners_end_and_the_stream_is_told(server):
    """Those of the identity alone; within a moment, as if the server had deleted it."""
    pool, client = create_pool(server), server.client("cognito-sync")
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    client.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={
            "StreamName": "changes",
            "StreamingStatus": "ENABLED",
            "RoleArn": "arn:aws:iam::000000000000:role/streams",
        },
    )
    guests = server.client("cognito-identity")
    ann, ben = (guests.get_id(IdentityPoolId=pool)["IdentityId"] for _ in range(2))
    for each in (ann, ben):
        Dataset(client, pool, each, "prefs").update(replace("k", "v"))
    raw = RawClient(server)

    def listen(identity: str) -> LiveReader:
        return LiveReader(raw, raw.signed(Request(target=live_path(pool, identity))))

    with listen(ann) as anns, listen(ben) as bens:
        run_delete(server, ann)
        anns.read_to_the_end()
        Dataset(client, pool, ben, "prefs").update(replace("k", "w", 1))
        assert bens.changes(1) == [("prefs", 2)]

    def told() -> set[tuple[str, str]]:
        events = [each.event for each in read_stream(kinesis, "changes")]
        return {(each["identityId"], each["operation"]) for each in events}

    wait_until(lambda: (ann, "remove") in told())
    assert (ben, "remove") not in told()


def test_data_without_an_identity_is_no_deleted_one(server):
    """What else commands write ends no listener; erasing the data does."""
    pool, client = create_pool(server), server.client("cognito-sync")
    raw, kept, new = RawClient(server), new_identity(), new_identity()
    client.list_datasets(IdentityPoolId=pool, IdentityId=new)
    Dataset(client, pool, kept, "prefs").update(replace("k", "v"))

    def listen(identity: str) -> LiveReader:
        return LiveReader(raw, raw.signed(Request(target=live_path(pool, identity))))

    with listen(kept) as keeps, listen(new) as news:
        run(server, "key", "create")
        guests = server.client("cognito-identity")
        gone = guests.get_id(IdentityPoolId=pool)["IdentityId"]
        with listen(gone) as goes:
            run_delete(server, gone)
            goes.read_to_the_end()  # so the server has looked
        Dataset(client, pool, kept, "prefs").update(replace("k", "w", 1))
        Dataset(client, pool, new, "prefs").update(replace("k", "v"))
        assert keeps.changes(1) == [("prefs", 2)]
        assert news.changes(1) == [("prefs", 1)]
        run_delete(server, kept)
        keeps.read_to_the_end()


def run_delete(server: RunningServer, identity: str) -> None:
    """Delete an identity from the command line."""
    run(server, "identity", "delete", identity, "--yes")


def run(server: RunningServer, *words: str) -> None:
    """Run a command beside the server."""
    command = [sys.executable, "-m", "millpond", *words, *server.store_words]
    subprocess.run(command, capture_output=True, check=True)
