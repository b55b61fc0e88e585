"""
A consumer: reads a stream with the Kinesis API and keeps the newest of every record.

What counts of all that arrives is decided by `core.stream_consumer`, as for any
consumer.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence
from typing import Any

from millpond.core.stream_consumer import (
    DatasetView,
    ReadEvent,
    ReadRecord,
    decode_event,
    decode_records,
)

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
        self._views: dict[tuple[str, str], DatasetView] = {}
        self.stream_records = 0

    @property
    def datasets(self) -> int:
        """How many datasets have arrived."""
        return len(self._views)

    def content(self) -> Content:
        """Give what has arrived, without what was removed."""
        return {dataset: view.values for dataset, view in self._views.items()}

    def read(self) -> bool:
        """Read on; say whether the end was reached."""
        at_end = True
        for shard_id, iterator in self._iterators.items():
            answer = self._kinesis.get_records(ShardIterator=iterator)
            self._iterators[shard_id] = answer["NextShardIterator"]
            at_end = at_end and answer["MillisBehindLatest"] == 0
            for record in answer["Records"]:
                self._take(record["Data"])
        return at_end

    def _take(self, data: bytes) -> None:
        self.stream_records += 1
        event = decode_event(data)
        if event is not None:
            dataset = (event.identity_id, event.data_set_name)
            view = self._views.setdefault(dataset, DatasetView())
            view.take(event, _records(event))


def _records(event: ReadEvent) -> Sequence[ReadRecord]:
    """Take the records of an event; large ones are behind a link."""
    if event.records_url is not None:
        with urllib.request.urlopen(event.records_url) as answer:
            return decode_records(answer.read()) or ()
    return event.kinesis_sync_records or ()
