"""
A consumer: reads a stream with the Kinesis API and keeps the newest of every record.

It does what any consumer must, because a stream delivers at least once: a record counts
only when its sync count is higher than that of the one it already has.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

Content = dict[tuple[str, str], dict[str, str]]
"""Live records, by (identity id, dataset name), then by key."""


class StreamReader:
    """Reads all shards of a stream from the beginning."""

    def __init__(self, kinesis: Any, stream_name: str) -> None:
        """
        Args:
            kinesis: a botocore client.
        """
        self._kinesis = kinesis
        self._iterators = {
            shard["ShardId"]: kinesis.get_shard_iterator(
                StreamName=stream_name,
                ShardId=shard["ShardId"],
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
            for shard in kinesis.list_shards(StreamName=stream_name)["Shards"]
        }
        self._newest: dict[tuple[str, str], dict[str, tuple[int, str | None]]] = {}
        self.stream_records = 0

    @property
    def datasets(self) -> int:
        """How many datasets have arrived."""
        return len(self._newest)

    def content(self) -> Content:
        """Give what has arrived, without what was removed."""
        return {
            dataset: {
                key: value for key, (_, value) in records.items() if value is not None
            }
            for dataset, records in self._newest.items()
        }

    def read(self) -> bool:
        """Read on; say whether the end was reached."""
        at_end = True
        for shard_id, iterator in self._iterators.items():
            answer = self._kinesis.get_records(ShardIterator=iterator)
            self._iterators[shard_id] = answer["NextShardIterator"]
            at_end = at_end and answer["MillisBehindLatest"] == 0
            for record in answer["Records"]:
                self._take(json.loads(record["Data"]))
        return at_end

    def _take(self, event: dict[str, Any]) -> None:
        self.stream_records += 1
        newest = self._newest.setdefault(
            (event["identityId"], event["dataSetName"]), {}
        )
        for record in _records(event):
            known_count, _ = newest.get(record["key"], (0, None))
            if record["syncCount"] > known_count:
                newest[record["key"]] = (record["syncCount"], record["value"])


def _records(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the records of an event; large ones are behind a link."""
    if event["payloadType"] == "S3Url":
        with urllib.request.urlopen(event["kinesisSyncRecordsURL"]) as answer:
            fetched: list[dict[str, Any]] = json.load(answer)
            return fetched
    return event["kinesisSyncRecords"] or []
