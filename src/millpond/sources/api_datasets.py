"""
One dataset of a pool elsewhere, as of one sync count, read page by page.

A dataset may change while its pages are read. Then what changed since the count of the
first page is read and put over it, until nothing has changed meanwhile.

Its horizon cannot be asked for. A caller below it is told that the dataset was deleted
after the count it knows; so the horizon is the first count at which one is not told,
and it is found by halving. For most datasets one question tells that there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from millpond.core.sync import SyncLimits, utf8_bytes
from millpond.errors import SourceError
from millpond.sources.api_answers import Dataset, Record, Records, to_ms
from millpond.stores.copying import DatasetRow, RecordRow
from millpond.stores.importing import ArrivingDataset

PAGE_RECORDS: Final = 1024
ROUNDS_MAX: Final = 20  # of a dataset that changes while it is read

List = Callable[[int, int, str | None], Awaitable[tuple[Records, float]]]
"""Lists a page: above a sync count, at most so many, from a token on; with the date, by
the clock of the source, in epoch seconds."""


class Fetched(NamedTuple):
    """A dataset as it was read."""

    sync_count: int
    records: dict[str, Record]
    merged_names: list[str]
    horizon: int
    date_s: float


async def fetch(list_: List, what: str) -> Fetched | None:
    """
    Read a dataset; None: there is none.

    Args:
        what: the dataset, for people.
    Raises:
        SourceError: it changes faster than it can be read, or makes no sense.
    """
    records: dict[str, Record] = {}
    known = 0
    for _ in range(ROUNDS_MAX):
        first, last, date_s, restart = await _read_behind(list_, known, records, what)
        if not first.dataset_exists:
            return None
        if restart:
            records, known = {}, 0
            continue
        if last.dataset_sync_count == first.dataset_sync_count:
            count = first.dataset_sync_count
            _check(records, count, what)
            return Fetched(
                count,
                records,
                list(first.merged_dataset_names or ()),
                await _find_horizon(list_, count),
                date_s,
            )
        known = first.dataset_sync_count
    raise SourceError(f"{what} changes faster than it can be read.")


async def _read_behind(
    list_: List, known: int, records: dict[str, Record], what: str
) -> tuple[Records, Records, float, bool]:
    """
    Read all pages above a count into `records`.

    Returns:
        The first and the last page, the date of the first one, and whether to begin
        again because the dataset was deleted meanwhile.
    """
    token: str | None = None
    first: Records | None = None
    date_s = 0.0
    tokens: set[str] = set()
    while True:
        page, page_date_s = await list_(known, PAGE_RECORDS, token)
        if first is None:
            first, date_s = page, page_date_s
        deleted = known > 0 and page.dataset_deleted_after_requested_sync_count
        if deleted or (not page.dataset_exists and page is not first):
            return first, page, date_s, True
        for each in page.records or ():
            before = records.get(each.key)
            if before is None or before.sync_count <= each.sync_count:
                records[each.key] = each
        token = page.next_token or None
        if token is None:
            return first, page, date_s, False
        if token in tokens:
            raise SourceError(f"The pages of {what} go round in a circle.")
        tokens.add(token)


def _check(records: dict[str, Record], count: int, what: str) -> None:
    newest = max((each.sync_count for each in records.values()), default=0)
    if newest > count:
        raise SourceError(
            f"{what} has the sync count {count}, and a record with {newest}."
        )


async def _find_horizon(list_: List, count: int) -> int:
    # Not from the records: a horizon may also tell that removed ones were forgotten.
    low, high = 1, count
    if high <= low or not await _was_deleted_after(list_, low):
        return 0
    # Told at `low`, and never at the count of the dataset itself.
    while high - low > 1:
        middle = (low + high) // 2
        if await _was_deleted_after(list_, middle):
            low = middle
        else:
            high = middle
    return high


async def _was_deleted_after(list_: List, count: int) -> bool:
    page, _ = await list_(count, 1, None)
    return page.dataset_deleted_after_requested_sync_count


def arriving(
    identity_pool_id: str,
    identity_id: str,
    listed: Dataset,
    fetched: Fetched,
    root: str | None,
) -> ArrivingDataset:
    """Make what arrives of a dataset that was read."""
    name = listed.dataset_name
    rows = [
        RecordRow(
            identity_id,
            identity_pool_id,
            name,
            each.key,
            each.sync_count,
            to_ms(each.last_modified_date),
            each.last_modified_by or identity_id,
            None
            if each.device_last_modified_date is None
            else to_ms(each.device_last_modified_date),
            each.value,
        )
        for each in fetched.records.values()
    ]
    modified_ms = to_ms(listed.last_modified_date)
    modified_by = listed.last_modified_by
    newest = max(rows, key=lambda each: each.sync_count, default=None)
    if newest is not None and newest.last_modified_date_ms > modified_ms:
        modified_ms = newest.last_modified_date_ms  # it changed since it was listed
        modified_by = newest.last_modified_by
    live = [each for each in rows if each.value is not None]
    # AWS: dates have whole milliseconds; a change in the same one would not be seen.
    settled = fetched.date_s * 1000 - modified_ms > 2000
    return ArrivingDataset(
        row=DatasetRow(
            identity_id=identity_id,
            identity_pool_id=identity_pool_id,
            dataset_name=name,
            sync_count=fetched.sync_count,
            live=True,
            horizon=fetched.horizon,
            creation_date_ms=to_ms(listed.creation_date),
            last_modified_date_ms=modified_ms,
            last_modified_by=modified_by or identity_id,
            num_records=len(live),
            data_storage=sum(
                utf8_bytes(each.record_key) + utf8_bytes(each.value or "")
                for each in live
            ),
            root_dataset_name=root,
        ),
        records=rows,
        settled=settled,
    )


def why_not(dataset: ArrivingDataset, limits: SyncLimits) -> str:
    """Say why a dataset cannot be kept here; empty: it can."""
    row = dataset.row
    if row.num_records > limits.records_per_dataset:
        return (
            f"it has {row.num_records} records; the setting records_per_dataset_max "
            f"is {limits.records_per_dataset}"
        )
    if row.data_storage > limits.dataset_bytes:
        return (
            f"it has {row.data_storage} bytes; the setting dataset_bytes_max is "
            f"{limits.dataset_bytes}"
        )
    if "\0" in row.last_modified_by:
        return "its LastModifiedBy has a NUL character, which no store keeps"
    for each in dataset.records:
        reason = _why_not_record(each, limits)
        if reason:
            return f"record '{each.record_key[:64]}' {reason}"
    return ""


def _why_not_record(record: RecordRow, limits: SyncLimits) -> str:
    value = record.value or ""
    if len(record.record_key) > limits.record_key_chars:
        return (
            f"has a key of {len(record.record_key)} characters; the setting "
            f"record_key_chars_max is {limits.record_key_chars}"
        )
    if len(value) > limits.record_value_chars:
        return (
            f"has a value of {len(value)} characters; the setting "
            f"record_value_chars_max is {limits.record_value_chars}"
        )
    if any(
        "\0" in each for each in (record.record_key, value, record.last_modified_by)
    ):
        return "has a NUL character, which no store keeps"
    return ""
