"""A dataset: its records, its past, and what goes with it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from millpond.console import looking, places, staging
from millpond.console.base import (
    Ask,
    Console,
    Crumb,
    Done,
    Download,
    Refused,
    Shown,
    Viewer,
    action,
    link,
    page,
    with_form,
)
from millpond.console.pages import dataset_edit
from millpond.contract import cognito_sync
from millpond.core.stream_consumer import ReadRecord
from millpond.core.sync import DatasetId, DatasetState, StoredRecord
from millpond.errors import NotFoundError
from millpond.service.looking.datasets import (
    DatasetDetails,
    RecordPosition,
    describe_dataset,
    find_records,
)
from millpond.service.looking.history import HistoryEvent, look_back
from millpond.sinks.base import embedded_name, sink_url

RECORDS_AT_ONCE: Final = 50
EVENTS_AT_ONCE: Final = 20
RECORDS_OF_EVENT_MAX: Final = 20
LOOK_BACK_MAX: Final = 2000  # records of a stream, for one page
_PATH: Final = "/identities/{identity}/datasets/{dataset}"
_DELETE: Final = cognito_sync.API.by_name["DeleteDataset"]


async def show_dataset(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show a dataset and some of its records, in the order of their last change."""
    dataset_id, details = await _describe(console, viewer, ask, RECORDS_AT_ONCE)
    is_json = ask.query.choice("as", ("json", ""), "") == "json"
    hide = ask.query.choice("removed", ("hide", ""), "") == "hide"
    store = console.context.store
    pool = await store.find_identity_pool(dataset_id.identity_pool_id)
    records = details.records.items
    after = details.records.next_position
    return Shown(
        title=dataset_id.dataset_name,
        crumbs=places.crumbs_to_identity(dataset_id, ask.query.text("pool")),
        data={
            **state_of(console, dataset_id, details.state),
            "of_pool": ask.query.text("pool"),
            "root_dataset_name": details.state.root_dataset_name,
            "merged_dataset_names": details.merged_dataset_names,
            "stream_name": pool.stream.stream_name if pool and pool.stream else None,
            "as_json": is_json,
            "hides_removed": hide,
            "records": [
                _record(each, is_json=is_json)
                for each in records
                if not hide or each.value is not None
            ],
            "hidden": sum(each.value is None for each in records) if hide else 0,
            "is_first": "after" not in ask.query,
            "next": places.spell_next(after),
        },
    )


async def _describe(
    console: Console, viewer: Viewer, ask: Ask, limit: int
) -> tuple[DatasetId, DatasetDetails]:
    """
    Find the dataset that a path means.

    Raises:
        Refused: it never was.
    """
    dataset_id = await places.find_dataset_id(console, viewer, ask)
    after = places.read_cursor(ask, "after", RecordPosition)
    store = console.context.store
    try:
        return dataset_id, await describe_dataset(
            store, dataset_id, after=after, limit=limit
        )
    except NotFoundError as error:
        raise Refused(404, looking.as_sentence(error)) from error


def state_of(
    console: Console, dataset_id: DatasetId, state: DatasetState | None
) -> dict[str, Any]:
    """Give what all pages of a dataset say of it."""
    limits = console.context.limits
    return {
        **msgspec.structs.asdict(dataset_id),
        "exists": state is not None and state.exists,
        "sync_count": state.sync_count if state else 0,
        "num_records": state.num_records if state else 0,
        "num_records_max": limits.records_per_dataset,
        "data_storage": state.data_storage if state else 0,
        "data_storage_max": limits.dataset_bytes,
        "creation_date_ms": state.creation_date_ms if state else None,
        "last_modified_date_ms": state.last_modified_date_ms if state else None,
        "last_modified_by": state.last_modified_by if state else None,
    }


def _record(record: StoredRecord, *, is_json: bool) -> dict[str, Any]:
    value = record.value
    return {
        "key": record.key,
        "spelt_key": staging.spell_key(record.key),
        "value": value,
        "formatted": staging.format_json(value) if is_json and value else None,
        "op": staging.REMOVE if value is None else staging.REPLACE,
        "sync_count": record.sync_count,
        "last_modified_date_ms": record.last_modified_date_ms,
        "device_last_modified_date_ms": record.device_last_modified_date_ms,
        "last_modified_by": record.last_modified_by,
    }


async def download_value(console: Console, viewer: Viewer, ask: Ask) -> Download:
    """Hand out the value of a record, whole."""
    dataset_id = await places.find_dataset_id(console, viewer, ask)
    keys = staging.read_keys(ask.query.many("key"))
    if len(keys) != 1:
        raise Refused(400, "Name one record, as 'key'.")
    _, records = await find_records(console.context.store, dataset_id, keys)
    record = records.get(keys[0])
    if record is None or record.value is None:
        raise Refused(404, "There is no such record, or it was removed.")
    return Download(f"{keys[0][:60]}.txt", record.value.encode())


# --- The past -------------------------------------------------------------------------


async def show_history(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what the pool's stream tells of the last changes."""
    dataset_id = await places.find_dataset_id(console, viewer, ask)
    before = places.read_cursor(ask, "before", int)
    context, pool_id = console.context, dataset_id.identity_pool_id
    pool = await context.store.find_identity_pool(pool_id)
    stream_name = pool.stream.stream_name if pool and pool.stream else None
    url = sink_url(context.settings.streams, stream_name) if stream_name else ""
    embedded = embedded_name(url)
    data: dict[str, Any] = {
        **msgspec.structs.asdict(dataset_id),
        "of_pool": ask.query.text("pool"),
        "stream_name": stream_name,
        "is_embedded": embedded is not None,
        "is_missing": False,
        "events": [],
        "is_first": before is None,
        "next": None,
    }
    if embedded is not None:
        try:
            found = await look_back(
                context.store,
                embedded,
                dataset_id,
                before=before,
                limit=EVENTS_AT_ONCE,
                look_at_max=LOOK_BACK_MAX,
            )
        except NotFoundError:
            data["is_missing"] = True
        else:
            data["events"] = [_event(each) for each in found.items]
            data["next"] = places.spell_next(found.next_position)
    return Shown(title="History", crumbs=_crumbs(ask, dataset_id), data=data)


def _crumbs(ask: Ask, dataset_id: DatasetId) -> list[Crumb]:
    of_pool = ask.query.text("pool")
    return [
        *places.crumbs_to_identity(dataset_id, of_pool),
        (dataset_id.dataset_name, url_of(dataset_id, of_pool)),
    ]


def url_of(dataset_id: DatasetId, of_pool: str) -> str:
    """Give the page of a dataset."""
    return link(
        _PATH,
        {"pool": of_pool},
        identity=dataset_id.identity_id,
        dataset=dataset_id.dataset_name,
    )


def _event(event: HistoryEvent) -> dict[str, Any]:
    records: list[ReadRecord] = [*event.records]
    if event.deleted:
        what = "deleted"
    elif event.records_url is not None:
        what = "link"
    else:
        what = "snapshot" if event.snapshot or not records else "change"
    shown = records[:RECORDS_OF_EVENT_MAX] if what == "change" else []
    return {
        "what": what,
        "last_modified_date_ms": event.last_modified_date_ms,
        "sync_count": event.sync_count,
        "num_records": len(records),
        "records": [
            {
                "key": each.key,
                "value": each.value,
                "op": staging.REMOVE if each.value is None else staging.REPLACE,
            }
            for each in shown
        ],
    }


# --- Deleting -------------------------------------------------------------------------


async def ask_to_delete(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what goes with a dataset, and let its name be typed."""
    dataset_id, details = await _describe(console, viewer, ask, 1)
    if not details.state.exists:
        raise Refused(404, "This dataset is deleted already.")
    return Shown(
        title="Delete this dataset",
        crumbs=_crumbs(ask, dataset_id),
        data=state_of(console, dataset_id, details.state),
    )


async def delete_dataset(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Delete a dataset whose name was typed."""
    shown = await ask_to_delete(console, viewer, ask)
    dataset_id = await places.find_dataset_id(console, viewer, ask)
    if ask.form.text("dataset_name").strip() != dataset_id.dataset_name:
        wrong = "That is not its name. Nothing was deleted."
        return with_form(shown, ask.form, {"dataset_name": wrong})
    names = msgspec.structs.asdict(dataset_id)
    await console.call(viewer, _DELETE, cognito_sync.DeleteDatasetRequest(**names))
    return Done(
        url_of(dataset_id, ask.query.text("pool")),
        f"Deleted '{dataset_id.dataset_name}' with {shown.data['num_records']} "
        "records. Devices learn of it when they synchronize.",
    )


ROUTES: Final = (
    page(_PATH, show_dataset, "dataset.html"),
    page(f"{_PATH}/value", download_value, ""),
    page(f"{_PATH}/history", show_history, "dataset_history.html"),
    page(f"{_PATH}/delete", ask_to_delete, "dataset_delete.html"),
    action(f"{_PATH}/delete", delete_dataset),
    *dataset_edit.ROUTES,
)
