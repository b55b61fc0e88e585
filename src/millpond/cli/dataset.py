"""`millpond dataset list|show|history`: datasets, their records and their past."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from millpond.cli import dataset_history, paging
from millpond.cli.administration import (
    add_pool_option,
    add_store_options,
    run,
    show,
)
from millpond.cli.dataset_tables import (
    bytes_of_limit,
    dataset_document,
    dataset_row,
    print_datasets,
    records_of_limit,
    state_document,
)
from millpond.cli.identity_choice import chosen_identity
from millpond.cli.tables import (
    Cell,
    Column,
    Time,
    date,
    print_details,
    print_table,
)
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.core.sync import StoredRecord
    from millpond.service.looking.datasets import DatasetDetails

_COLUMNS = (
    Column("KEY", flexible=True),
    Column("VALUE", flexible=True),
    Column("SYNC COUNT"),
    Column("OP"),
    Column("CHANGED"),
    Column("ON DEVICE"),
    Column("BY", flexible=True),
)


def main(argv: list[str]) -> int:
    """Run `millpond dataset`."""
    commands = {"list": _list, "show": _show, "history": dataset_history.history}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond dataset",
        description="See the datasets of an identity and what is in them. The id of "
        "the identity may be given by its beginning.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the datasets of an identity")
    showing = commands.add_parser(
        "show", help="show a dataset and its records, removed ones too"
    )
    history = commands.add_parser(
        "history", help="show the last changes of a dataset, from a stream"
    )
    for each in (listing, showing, history):
        each.add_argument(
            "identity_id",
            metavar="IDENTITY_ID",
            help="id of the identity; the beginning will do",
        )
        add_pool_option(each)
        paging.add_options(each)
    for each in (showing, history):
        each.add_argument(
            "dataset_name", metavar="DATASET_NAME", help="name of the dataset"
        )
    dataset_history.add_options(history)
    listing.add_argument(
        "--deleted", action="store_true", help="those too that were deleted"
    )
    add_store_options(listing, showing, history)
    return parser


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.datasets import list_datasets

    after = paging.start(options, str)
    async with stores.open_existing(settings) as store:
        place = await chosen_identity(store, settings, options)
        page = await list_datasets(
            store,
            place.identity_pool_id,
            place.identity_id,
            after=after,
            limit=options.max_items,
            deleted=options.deleted,
        )
    token = paging.token_of(page.next_position)
    if options.output == "json":
        datasets = [dataset_document(each, settings) for each in page.items]
        names = {
            "IdentityPoolId": place.identity_pool_id,
            "IdentityId": place.identity_id,
        }
        show(options, {**names, "Datasets": datasets, "NextToken": token}, [])
        return 0
    print_datasets([dataset_row(each, settings) for each in page.items])
    paging.tell_more(token)
    return 0


async def _show(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.core.sync import DatasetId
    from millpond.server import stores
    from millpond.service.looking.datasets import RecordPosition, describe_dataset

    after = paging.start(options, RecordPosition)
    async with stores.open_existing(settings) as store:
        place = await chosen_identity(store, settings, options)
        details = await describe_dataset(
            store,
            DatasetId(place.identity_pool_id, place.identity_id, options.dataset_name),
            after=after,
            limit=options.max_items,
        )
    token = paging.token_of(details.records.next_position)
    if options.output == "json":
        show(options, {**_document(details, settings), "NextToken": token}, [])
        return 0
    print_details(_pairs(details, settings))
    if details.records.items:
        print()
    print_table(_COLUMNS, [_record_row(each) for each in details.records.items])
    paging.tell_more(token)
    return 0


def _document(details: DatasetDetails, settings: Settings) -> dict[str, Any]:
    return {
        "IdentityPoolId": details.dataset_id.identity_pool_id,
        "IdentityId": details.dataset_id.identity_id,
        "DatasetName": details.dataset_id.dataset_name,
        **state_document(details.state, settings),
        "MergedDatasetNames": list(details.merged_dataset_names),
        "Records": [_record_document(each) for each in details.records.items],
    }


def _op(record: StoredRecord) -> str:
    return "replace" if record.value is not None else "remove"


def _record_document(record: StoredRecord) -> dict[str, Any]:
    return {
        "Key": record.key,
        "Value": record.value,
        "SyncCount": record.sync_count,
        "Op": _op(record),
        "LastModifiedDate": date(record.last_modified_date_ms),
        "DeviceLastModifiedDate": date(record.device_last_modified_date_ms),
        "LastModifiedBy": record.last_modified_by,
    }


def _record_row(record: StoredRecord) -> tuple[Cell, ...]:
    return (
        record.key,
        record.value,
        record.sync_count,
        _op(record),
        Time(record.last_modified_date_ms),
        Time(record.device_last_modified_date_ms),
        record.last_modified_by,
    )


def _pairs(details: DatasetDetails, settings: Settings) -> list[tuple[str, Cell]]:
    state = details.state
    return [
        ("Dataset", details.dataset_id.dataset_name),
        ("Identity", details.dataset_id.identity_id),
        ("Identity pool", details.dataset_id.identity_pool_id),
        *([] if state.exists else [("State", "deleted")]),
        ("Records", records_of_limit(state, settings)),
        ("Data", bytes_of_limit(state, settings)),
        ("Sync count", state.sync_count),
        ("Created", Time(state.creation_date_ms)),
        ("Last change", Time(state.last_modified_date_ms)),
        ("by", state.last_modified_by),
        *(("Merged copy", name) for name in details.merged_dataset_names),
    ]
