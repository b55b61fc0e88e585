"""How datasets are shown, among those of an identity and alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millpond.cli.tables import Cell, Column, Time, date, print_table, size
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.core.sync import DatasetState
    from millpond.stores.base import NamedDataset

_COLUMNS = (
    Column("DATASET", flexible=True),
    Column("RECORDS"),
    Column("DATA"),
    Column("SYNC COUNT"),
    Column("LAST CHANGE"),
    Column("BY", flexible=True),
)


def dataset_document(dataset: NamedDataset, settings: Settings) -> dict[str, Any]:
    """Write a dataset as JSON, its sizes beside their limits."""
    return {
        "DatasetName": dataset.dataset_name,
        **state_document(dataset.state, settings),
    }


def state_document(state: DatasetState, settings: Settings) -> dict[str, Any]:
    """Write what is known of a dataset as JSON."""
    return {
        "Deleted": not state.exists,
        "SyncCount": state.sync_count,
        "NumRecords": state.num_records,
        "NumRecordsMax": settings.records_per_dataset_max,
        "DataStorage": state.data_storage,
        "DataStorageMax": settings.dataset_bytes_max,
        "CreationDate": date(state.creation_date_ms),
        "LastModifiedDate": date(state.last_modified_date_ms),
        "LastModifiedBy": state.last_modified_by,
    }


def dataset_row(dataset: NamedDataset, settings: Settings) -> tuple[Cell, ...]:
    """Make the row of a dataset."""
    state = dataset.state
    return (
        dataset.dataset_name,
        records_of_limit(state, settings) if state.exists else "deleted",
        bytes_of_limit(state, settings) if state.exists else None,
        state.sync_count,
        Time(state.last_modified_date_ms),
        state.last_modified_by,
    )


def records_of_limit(state: DatasetState, settings: Settings) -> str:
    """Say how many records there are of how many there may be."""
    return f"{state.num_records:,} of {settings.records_per_dataset_max:,}"


def bytes_of_limit(state: DatasetState, settings: Settings) -> str:
    """Say how large a dataset is of how large it may be."""
    return f"{size(state.data_storage)} of {size(settings.dataset_bytes_max)}"


def print_datasets(rows: Sequence[tuple[Cell, ...]]) -> None:
    """Print the rows of datasets."""
    print_table(_COLUMNS, rows)
