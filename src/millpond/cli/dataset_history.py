"""`millpond dataset history`: the last changes of a dataset, from the pool's stream."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from millpond.cli import paging
from millpond.cli.administration import CommandError, show
from millpond.cli.identity_choice import chosen_identity, chosen_pool
from millpond.cli.tables import Cell, Column, Time, date, print_table
from millpond.errors import NotFoundError
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.core.stream_consumer import ReadRecord
    from millpond.core.sync import DatasetId
    from millpond.service.looking.history import HistoryEvent
    from millpond.service.looking.pages import Page
    from millpond.stores.base import Store

END_WAIT_S: Final = 3.0  # of streams that are elsewhere
_COLUMNS = (
    Column("CHANGED"),
    Column("SYNC COUNT"),
    Column("OP"),
    Column("KEY", flexible=True),
    Column("VALUE", flexible=True),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command, beside those of a dataset."""
    parser.add_argument(
        "--from",
        dest="stream_name",
        metavar="NAME",
        help="another stream than the one that the pool is set up with",
    )


async def history(settings: Settings, options: argparse.Namespace) -> int:
    """Run `millpond dataset history`."""
    from millpond.server import stores

    async with stores.open_existing(settings) as store:
        dataset_id = await _dataset_id(store, settings, options)
        stream_name = await _stream_name(store, dataset_id, options)
        page = await _read(store, settings, stream_name, dataset_id, options)
    token = paging.token_of(page.next_position)
    if options.output == "json":
        document = {
            "IdentityPoolId": dataset_id.identity_pool_id,
            "IdentityId": dataset_id.identity_id,
            "DatasetName": dataset_id.dataset_name,
            "StreamName": stream_name,
            "Events": [_document(each) for each in page.items],
            "NextToken": token,
        }
        show(options, document, [])
        return 0
    print_table(_COLUMNS, [row for each in page.items for row in _rows(each)])
    if not page.items and token is None:
        print(f"Stream '{stream_name}' tells of no change of it.", file=sys.stderr)
    paging.tell_more(token)
    return 0


async def _dataset_id(
    store: Store, settings: Settings, options: argparse.Namespace
) -> DatasetId:
    """Say which dataset is meant; of an identity that is deleted there may be news."""
    from millpond.core.sync import DatasetId
    from millpond.service.looking import ids

    try:
        place = await chosen_identity(store, settings, options)
    except NotFoundError:
        pool = await chosen_pool(store, settings, options)
        typed = ids.typed(options.identity_id, region=settings.region)
        if pool is None or not typed:
            raise
        return DatasetId(pool, typed, options.dataset_name)
    return DatasetId(place.identity_pool_id, place.identity_id, options.dataset_name)


async def _stream_name(
    store: Store, dataset_id: DatasetId, options: argparse.Namespace
) -> str:
    name: str | None = options.stream_name
    if name is None:
        pool = await store.find_identity_pool(dataset_id.identity_pool_id)
        name = pool.stream.stream_name if pool and pool.stream else None
    if name is None:
        raise CommandError(
            f"identity pool '{dataset_id.identity_pool_id}' has no stream; name one "
            "with --from."
        )
    return name


async def _read(
    store: Store,
    settings: Settings,
    stream_name: str,
    dataset_id: DatasetId,
    options: argparse.Namespace,
) -> Page[HistoryEvent, int]:
    from millpond.service.looking.history import look_back, read_through
    from millpond.service.looking.pages import Page
    from millpond.sinks import make_reader
    from millpond.sinks.base import embedded_name, sink_url

    url = sink_url(settings.streams, stream_name)
    before, limit = paging.start(options, int), options.max_items
    embedded = embedded_name(url)
    if embedded is not None:
        return await look_back(store, embedded, dataset_id, before=before, limit=limit)
    if before is not None:
        raise CommandError("--starting-token is for streams that are embedded.")
    reader = make_reader(url, store=store, from_end=False)
    wait_s = 0.0 if url.partition(":")[0].lower() == "file" else END_WAIT_S
    try:
        await reader.open()
        return Page(await read_through(reader, dataset_id, limit=limit, wait_s=wait_s))
    finally:
        await reader.aclose()


def _document(event: HistoryEvent) -> dict[str, Any]:
    return {
        "LastModifiedDate": date(event.last_modified_date_ms),
        "SyncCount": event.sync_count,
        "Operation": "remove" if event.deleted else "replace",
        "Snapshot": event.snapshot,
        "RecordsUrl": event.records_url,
        "Records": [
            {
                "Key": each.key,
                "Value": each.value,
                "SyncCount": each.sync_count,
                "Op": _op(each),
            }
            for each in event.records
        ],
    }


def _op(record: ReadRecord) -> str:
    return "replace" if record.value is not None else "remove"


def _rows(event: HistoryEvent) -> Sequence[tuple[Cell, ...]]:
    """Make the rows of an event: one for each record that it changed."""
    when: tuple[Cell, ...] = (Time(event.last_modified_date_ms), event.sync_count)
    if event.deleted:
        return [(*when, "dataset deleted", None, None)]
    if event.records_url is not None:
        return [(*when, "records behind a link", None, None)]
    if event.snapshot or not event.records:
        return [(*when, f"bulk publish of {len(event.records):,} records", None, None)]
    return [(*when, _op(each), each.key, each.value) for each in event.records]
