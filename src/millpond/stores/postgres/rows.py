"""Rows of PostgreSQL as the structs of `core`, where several modules need it."""

from __future__ import annotations

from typing import Any

from millpond.core.sync import DatasetState


def to_state(row: Any) -> DatasetState:
    """Make the state of a dataset from a row with its columns."""
    return DatasetState(
        sync_count=row["sync_count"],
        exists=row["live"],
        horizon=row["horizon"],
        creation_date_ms=row["creation_date_ms"],
        last_modified_date_ms=row["last_modified_date_ms"],
        last_modified_by=row["last_modified_by"],
        num_records=row["num_records"],
        data_storage=row["data_storage"],
        root_dataset_name=row["root_dataset_name"],
        forgotten=row["forgotten"],
    )


def state_columns(state: DatasetState) -> tuple[Any, ...]:
    """Give the columns of a state, in the order of the table."""
    return (
        state.sync_count,
        state.exists,
        state.horizon,
        state.creation_date_ms,
        state.last_modified_date_ms,
        state.last_modified_by,
        state.num_records,
        state.data_storage,
        state.root_dataset_name,
        state.forgotten,
    )
