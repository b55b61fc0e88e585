"""The demonstration: it runs, and it notices when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from millpond.cli.demo import DemoError, _compare
from millpond.cli.stream_reader import StreamReader
from millpond.testing.deadlines import seconds

# What people have who are logged in at AWS, sit behind a proxy, or run a server.
ELSEWHERE = {
    "AWS_SESSION_TOKEN": "of somebody",
    "AWS_PROFILE": "there-is-none",
    "AWS_ENDPOINT_URL_COGNITO_SYNC": "http://127.0.0.1:9",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "http_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "FORCE_COLOR": "1",
}


@pytest.mark.parametrize("variables", [{}, ELSEWHERE], ids=["here", "elsewhere"])
def test_the_demonstration_succeeds(tmp_path: Path, variables: dict[str, str]) -> None:
    """
    `millpond demo` ends with SUCCEEDED, a comparison, what to try next, and 0; what a
    shell says of other places leads none of it there.
    """
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\noutput = table\n")
    demo = subprocess.run(
        [sys.executable, "-m", "millpond", "demo"],
        capture_output=True,
        text=True,
        timeout=seconds(100),
        check=False,
        env={**os.environ, "COLUMNS": "100", "HOME": str(tmp_path), **variables},
    )

    assert demo.returncode == 0, demo.stderr
    assert '"BulkPublishStatus": "SUCCEEDED"' in demo.stdout
    assert "All of it arrived. 200 identities, 400 datasets" in demo.stdout
    assert "A guest has credentials of its own" in demo.stdout
    assert "aws cognito-sync get-bulk-publish-details" in demo.stdout
    assert "boto3.client" in demo.stdout
    assert "\x1b" not in demo.stdout


@pytest.mark.parametrize(
    "arrived",
    [
        {},
        {("i", "d"): {"a": "2"}},
        {("i", "d"): {}},
        {("i", "d"): {"a": "1", "b": "1"}},
        {("i", "d"): {"a": "1"}, ("i", "e"): {}},
    ],
)
def test_a_difference_is_an_error(arrived) -> None:
    """A dataset that is missing, extra, or holds something else is told."""
    with pytest.raises(DemoError, match="differs"):
        _compare({("i", "d"): {"a": "1"}}, arrived)


class OneShard:
    """A Kinesis client with one shard, whose records come one at a time."""

    def __init__(self, events: list[dict]) -> None:
        self.events = events

    def list_shards(self, **request: object) -> dict:
        return {"Shards": [{"ShardId": "shardId-000000000000"}]}

    def get_shard_iterator(self, **request: object) -> dict:
        return {"ShardIterator": "0"}

    def get_records(self, ShardIterator: str) -> dict:  # noqa: N803, the API's name
        place = int(ShardIterator)
        return {
            "Records": [
                {"Data": json.dumps(event)} for event in self.events[place : place + 1]
            ],
            "NextShardIterator": str(place + 1),
            "MillisBehindLatest": 0 if place + 1 >= len(self.events) else 1,
        }


def event(*records: tuple[str, str | None, int]) -> dict:
    return {
        "identityPoolId": "p",
        "identityId": "i",
        "dataSetName": "d",
        "operation": "replace",
        "syncCount": max(count for _, _, count in records),
        "payloadType": "Inline",
        "kinesisSyncRecords": [
            {"key": key, "value": value, "syncCount": count}
            for key, value, count in records
        ],
    }


def test_a_reader_keeps_the_newest_of_every_record() -> None:
    """Repeats and late arrivals change nothing; a removal stays a removal."""
    events = [
        event(("a", "1", 1), ("b", "1", 1)),
        event(("a", "2", 2)),
        event(("b", None, 3)),
        event(("a", "1", 1), ("b", "1", 1)),  # a repeat, after the removal
    ]
    reader = StreamReader(OneShard(events), "s")

    while not reader.read():
        pass

    assert reader.content() == {("i", "d"): {"a": "2"}}
    assert reader.stream_records == 4
