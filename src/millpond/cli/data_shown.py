"""What `millpond data` prints: datasets, records, and what a synchronization did."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from millpond.cli.tables import (
    NOTHING,
    Cell,
    Column,
    Time,
    date,
    local,
    plain,
    print_table,
)

if TYPE_CHECKING:
    from millpond.client import Dataset, Sync
    from millpond.client.errors import SyncError
    from millpond.client.status import DatasetStatus, Report

_DATASETS: Final = (
    Column("DATASET", flexible=True),
    Column("RECORDS"),
    Column("UNSENT"),
    Column("REFUSED"),
    Column("LAST SYNC"),
    Column("LAST ERROR"),
)
_RECORDS: Final = (
    Column("KEY", flexible=True),
    Column("VALUE", flexible=True),
    Column("STATE"),
)
_REPORTS: Final = (
    Column("DATASET", flexible=True),
    Column("PULLED"),
    Column("PUSHED"),
    Column("MERGED"),
    Column("REFUSED"),
    Column("ERROR"),
)


def show_datasets(sync: Sync, *, json_form: bool) -> None:
    """Print the datasets that are in the file, and how each stands."""
    found = sync.status.datasets
    sizes = {name: len(sync.dataset(name)) for name in found}
    if json_form:
        each = [
            {
                "DatasetName": name,
                "NumRecords": sizes[name],
                "Unsent": [*status.unsent],
                "SetAside": dict(status.set_aside),
                "Deleted": status.deleting,
                "LastSyncDate": date(status.last_sync_ms),
                "LastError": status.last_error,
            }
            for name, status in found.items()
        ]
        print(json.dumps({"Datasets": each}))
        return
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            sizes[name],
            len(status.unsent),
            len(status.set_aside),
            Time(status.last_sync_ms),
            status.last_error,
        )
        for name, status in found.items()
    ]
    print_table(_DATASETS, rows)


def show_records(dataset: Dataset, *, json_form: bool) -> None:
    """Print the records of a dataset, by key."""
    status = dataset.status
    records = sorted(dataset.items())
    removed = sorted({*status.unsent} - {key for key, _ in records})
    if json_form:
        print(
            json.dumps(
                {
                    "DatasetName": dataset.name,
                    "Records": [
                        {
                            "Key": key,
                            "Value": value,
                            "Unsent": key in status.unsent,
                            "SetAside": status.set_aside.get(key),
                        }
                        for key, value in [*records, *((key, None) for key in removed)]
                    ],
                }
            )
        )
        return
    rows: list[tuple[Cell, ...]] = [
        (key, value, _state(status, key)) for key, value in records
    ]
    print_table(_RECORDS, [*rows, *((key, None, "removed") for key in removed)])


def _state(status: DatasetStatus, key: str) -> str | None:
    if key in status.set_aside:
        return f"refused: {status.set_aside[key]}"
    return "unsent" if key in status.unsent else None


def show_reports(
    done: Sequence[tuple[str, Report, SyncError | None]], *, json_form: bool
) -> None:
    """Print what synchronizations did."""
    if json_form:
        print(json.dumps({"Datasets": [_document(*each) for each in done]}))
        return
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            len(report.pulled),
            len(report.pushed),
            len(report.merged),
            len(report.set_aside),
            None if error is None else _code(error),
        )
        for name, report, error in done
    ]
    print_table(_REPORTS, rows)


def show_change(dataset: Dataset, report: Report, *, json_form: bool) -> bool:
    """Print what changed, a line; tell whether anything did."""
    if not (report.pulled or report.pushed or report.merged):
        return False
    if json_form:
        values = {key: dataset.get(key) for key in report.pulled}
        print(
            json.dumps({**_document(dataset.name, report, None), "Values": values}),
            flush=True,
        )
        return True
    parts = []
    for what in ("pulled", "pushed", "merged"):
        keys = getattr(report, what)
        if keys:
            parts.append(f"{what} {', '.join(map(plain, keys))}")
    when = local(time.time_ns() // 1_000_000)
    print(f"{when}\t{dataset.name}\t{'; '.join(parts) or NOTHING}", flush=True)
    return True


def _document(name: str, report: Report, error: SyncError | None) -> dict[str, Any]:
    return {
        "DatasetName": name,
        "Pulled": [*report.pulled],
        "Pushed": [*report.pushed],
        "Merged": [*report.merged],
        "SetAside": dict(report.set_aside),
        "Attempts": report.attempts,
        "Error": None if error is None else _code(error),
    }


def _code(error: SyncError) -> str:
    return str(getattr(error, "code", type(error).__name__))
