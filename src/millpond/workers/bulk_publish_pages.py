"""Pages of a bulk publish: as many datasets as one put takes, encoded."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from millpond.core import streaming
from millpond.core.bulk_publish import Counts, LeasedSlice, Position
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId
from millpond.stores.base import DatasetSnapshot
from millpond.workers.delivery import Room


class Page(msgspec.Struct, frozen=True, gc=False):
    """Datasets that are put, and acknowledged, together."""

    records: list[StreamRecord]
    counts: Counts
    end: Position  # of the last of them
    is_full: bool  # it was cut, so that more may stand behind it


def to_page(
    leased: LeasedSlice, snapshots: Sequence[DatasetSnapshot], room: Room
) -> Page:
    """Encode what was read, one or more. It takes milliseconds: not on the loop."""
    data_bytes = sum(len(each.records_json) for each in snapshots)
    last = snapshots[-1]
    return Page(
        records=[_stream_record(leased, each) for each in snapshots],
        counts=Counts(
            datasets=len(snapshots),
            records=sum(each.num_records for each in snapshots),
            data_bytes=data_bytes,
        ),
        end=Position(last.identity_id, last.dataset_name),
        is_full=len(snapshots) >= room.records_max or data_bytes >= room.bytes_max,
    )


def _stream_record(leased: LeasedSlice, snapshot: DatasetSnapshot) -> StreamRecord:
    identity_id, name = snapshot.identity_id, snapshot.dataset_name
    return streaming.snapshot_record(
        DatasetId(leased.identity_pool_id, identity_id, name),
        snapshot.records_json,
        sync_count=snapshot.sync_count,
        last_modified_date_ms=snapshot.last_modified_date_ms,
        message_id=f"{leased.run_id}.{identity_id}.{name}.{snapshot.sync_count}",
    )
