"""Datasets of an identity, and the records of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from millpond.core.sync import DatasetId, DatasetState, StoredRecord
from millpond.errors import NotFoundError
from millpond.service.looking.pages import Page, cut
from millpond.stores.base import NamedDataset, RecordRange, Store


class RecordPosition(NamedTuple):
    """The place of a record among those of its dataset."""

    sync_count: int
    key: str


class DatasetDetails(msgspec.Struct, frozen=True):
    """A dataset, the names of what merges put beside it, and some of its records."""

    dataset_id: DatasetId
    state: DatasetState
    merged_dataset_names: tuple[str, ...]
    records: Page[StoredRecord, RecordPosition]


async def list_datasets(
    store: Store,
    identity_pool_id: str,
    identity_id: str,
    *,
    after: str | None,
    limit: int,
    deleted: bool,
) -> Page[NamedDataset, str]:
    """
    List datasets by name, those behind `after`.

    Args:
        deleted: with those that were deleted.
    Raises:
        NotFoundError: there is no such pool.
    """
    found = await store.list_datasets(
        identity_pool_id, identity_id, after=after, limit=limit + 1, deleted=deleted
    )
    if found is None:
        raise NotFoundError(f"there is no identity pool '{identity_pool_id}'.")
    return cut(found, limit, lambda each: each.dataset_name)


async def find_records(
    store: Store, dataset_id: DatasetId, keys: Sequence[str]
) -> tuple[DatasetState | None, dict[str, StoredRecord]]:
    """
    Find records of a dataset by key, removed ones too; those that never were are not
    among them, and the dataset may never have been.

    Raises:
        NotFoundError: there is no such pool.
    """
    page = await store.find_records(dataset_id, keys)
    if page is None:
        raise NotFoundError(
            f"there is no identity pool '{dataset_id.identity_pool_id}'."
        )
    return page.dataset, {each.key: each for each in page.records}


async def describe_dataset(
    store: Store,
    dataset_id: DatasetId,
    *,
    after: RecordPosition | None,
    limit: int,
) -> DatasetDetails:
    """
    Tell of a dataset, and its records in the order in which they were changed last,
    those behind `after`, removed ones too.

    Raises:
        NotFoundError: it never was, or there is no such pool.
    """

    def select(state: DatasetState | None) -> RecordRange | None:
        if state is None:
            return None
        # From the count of the position on: what is before it is not looked at again.
        first = 0 if after is None else after.sync_count - 1
        return RecordRange(
            after=first, up_to=state.sync_count, position=after, limit=limit + 1
        )

    page = await store.read_records(dataset_id, select)
    if page is None:
        raise NotFoundError(
            f"there is no identity pool '{dataset_id.identity_pool_id}'."
        )
    if page.dataset is None:
        raise NotFoundError(
            f"identity '{dataset_id.identity_id}' has no dataset "
            f"'{dataset_id.dataset_name}'."
        )

    def position(record: StoredRecord) -> RecordPosition:
        return RecordPosition(record.sync_count, record.key)

    return DatasetDetails(
        dataset_id,
        page.dataset,
        tuple(page.merged_dataset_names),
        cut(page.records, limit, position),
    )
