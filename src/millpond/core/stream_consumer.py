"""
What a consumer of a stream makes of what it reads.

Theory of operation
-------------------
A stream delivers at least once: records repeat, and a bulk publish may overtake live
changes or come behind them. Sync counts bring order into that, because the counter of a
dataset never falls:

* of each (identity, dataset, key) the record with the highest sync count counts,
  and a removal is a record like any other;
* a deleted dataset is remembered by the sync count of its `remove`, and nothing that is
  not above it counts any more, whether it came before or comes after.

So the order in which things arrive does not matter, as long as each arrives once.

`take` applies that to one stream record. It keeps nothing itself: what is known comes
in and what is to be kept goes out, so a consumer may keep it wherever it likes.

Source: docs/concepts.md, "Reading a stream".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from millpond.core.sync import DatasetId


class ReadRecord(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A record of an event, as far as a consumer needs it."""

    key: str
    sync_count: int
    value: str | None = None  # None: the record was removed
    last_modified_date: int = 0  # epoch milliseconds
    device_last_modified_date: int | None = None  # epoch milliseconds
    op: str = "replace"


class ReadEvent(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The JSON of a stream record, as a consumer reads it."""

    identity_pool_id: str
    identity_id: str
    data_set_name: str
    operation: str
    sync_count: int
    last_modified_date: int = 0  # epoch milliseconds
    kinesis_sync_records: list[ReadRecord] | None = None
    kinesis_sync_records_url: str | None = msgspec.field(
        name="kinesisSyncRecordsURL", default=None
    )
    payload_type: str = "Inline"

    @property
    def dataset_id(self) -> DatasetId:
        """Whose dataset it is about."""
        return DatasetId(self.identity_pool_id, self.identity_id, self.data_set_name)

    @property
    def is_deletion(self) -> bool:
        """Whether the dataset was deleted."""
        return self.operation == "remove"

    @property
    def records_url(self) -> str | None:
        """Where the records are; None: they are in the event."""
        return self.kinesis_sync_records_url if self.payload_type == "S3Url" else None


# What an event of ours begins with; JSON in its names is escaped.
_TEXT: Final = rb'"(?:[^"\\]|\\.)*"'
_DATASET_NAME: Final = re.compile(
    rb'\{"identityPoolId":%b,"identityId":%b,"dataSetName":(%b)' % (_TEXT, _TEXT, _TEXT)
)

_decode_event = msgspec.json.Decoder(ReadEvent).decode
_decode_records = msgspec.json.Decoder(list[ReadRecord]).decode


class KnownDataset(msgspec.Struct, frozen=True, gc=False):
    """What a consumer remembers of a dataset, besides its records."""

    seen: int = 0  # the highest sync count of a change
    removed: int = 0  # the highest sync count of a `remove`

    @property
    def exists(self) -> bool:
        """Whether it has changed since it was last deleted."""
        return self.seen > self.removed


class News(msgspec.Struct, frozen=True, gc=False):
    """What a consumer has to keep."""

    dataset: KnownDataset
    records: Sequence[ReadRecord] = ()  # in place of those of the same keys
    drop_up_to: int = 0  # records that are not above this sync count go first


def decode_event(data: bytes) -> ReadEvent | None:
    """Read the data of a stream record; None when it is no event of ours."""
    try:
        return _decode_event(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # anybody may put records into a stream


def read_dataset_name(head: bytes) -> str | None:
    """Read the name of the dataset from the beginning of an event; None: no event."""
    found = _DATASET_NAME.match(head)
    try:
        return None if found is None else msgspec.json.decode(found[1], type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_records(data: bytes) -> list[ReadRecord] | None:
    """Read an array of records that stood behind a link; None when it is none."""
    try:
        return _decode_records(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def take(
    event: ReadEvent,
    records: Iterable[ReadRecord],
    *,
    known: KnownDataset,
    sync_counts: Mapping[str, int],
) -> News | None:
    """
    Say what an event changes.

    Args:
        records: those of the event, from behind its link if it has one.
        known: what is kept of the dataset.
        sync_counts: of the records that are kept, by key; at least of the event's.
    Returns:
        None when the event says nothing new: it is a repeat, or comes too late.
    """
    if event.is_deletion:
        if event.sync_count <= known.removed:
            return None
        dataset = KnownDataset(known.seen, event.sync_count)
        return News(dataset, drop_up_to=event.sync_count)
    newer = [
        each
        for each in records
        if each.sync_count > sync_counts.get(each.key, 0)
        and each.sync_count > known.removed
    ]
    if not newer and event.sync_count <= max(known.seen, known.removed):
        return None
    return News(KnownDataset(max(known.seen, event.sync_count), known.removed), newer)


class DatasetView:
    """A dataset as a consumer keeps it in memory."""

    def __init__(self) -> None:
        self.known = KnownDataset()
        self.records: dict[str, ReadRecord] = {}  # removed ones, too

    @property
    def values(self) -> dict[str, str]:
        """The values of the live records, by key."""
        return {
            key: each.value
            for key, each in self.records.items()
            if each.value is not None
        }

    def take(self, event: ReadEvent, records: Iterable[ReadRecord]) -> bool:
        """Take an event in; say whether it was news."""
        counts = {key: each.sync_count for key, each in self.records.items()}
        news = take(event, records, known=self.known, sync_counts=counts)
        if news is None:
            return False
        self.known = news.dataset
        if news.drop_up_to:
            self.records = {
                key: each
                for key, each in self.records.items()
                if each.sync_count > news.drop_up_to
            }
        self.records.update((each.key, each) for each in news.records)
        return True
