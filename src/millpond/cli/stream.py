"""`millpond stream create|list|tail|verify`: streams, whatever they are behind."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    iso,
    note_change,
    plain,
    run,
    show,
)
from millpond.cli.numbers import at_least_1
from millpond.cli.serve import add_settings_options
from millpond.cli.tables import Cell, Column, Time, date, print_table
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.core.streaming import StreamRecord
    from millpond.service.looking.streams import StreamLook
    from millpond.stores.base import OutboxUsage

TAIL_WAIT_S = 1.0
_COLUMNS = (
    Column("STREAM", flexible=True),
    Column("PLACE", flexible=True),
    Column("SHARDS"),
    Column("WAITING"),
    Column("SINCE"),
    Column("PARKED"),
    Column("POOLS", flexible=True),
)


def main(argv: list[str]) -> int:
    """Run `millpond stream`."""
    commands = {"create": _create, "list": _list, "tail": _tail, "verify": _verify}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond stream",
        description="Create embedded streams; list, follow and verify streams of any "
        "kind, by their names. With the server running or not.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="create an embedded stream")
    create.add_argument("stream_name", metavar="NAME", help="its name")
    create.add_argument(
        "--shards", type=at_least_1, default=1, metavar="N", help="shards [1]"
    )
    listing = commands.add_parser(
        "list",
        help="list the streams, where they are, how far they are behind, and the pools "
        "that use them",
    )
    tail = commands.add_parser("tail", help="follow a stream as it grows")
    _add_tail_options(tail)
    verify = commands.add_parser(
        "verify",
        help="read a pool's stream as a consumer does and compare it with the pool",
    )
    _add_verify_options(verify)
    add_store_options(create, listing, verify)
    add_settings_options(tail)
    return parser


def _add_tail_options(tail: argparse.ArgumentParser) -> None:
    tail.add_argument("stream_name", metavar="NAME", help="its name")
    tail.add_argument(
        "--from-start",
        action="store_true",
        help="begin with the oldest record, not with the next one",
    )
    tail.add_argument(
        "--count", type=at_least_1, metavar="N", help="end after so many records"
    )
    tail.add_argument(
        "--identity-id",
        metavar="ID",
        help="show records of this identity alone; the beginning of its id will do",
    )
    tail.add_argument(
        "--raw",
        action="store_true",
        help="print the JSON of each record as it is, values included",
    )


def _add_verify_options(verify: argparse.ArgumentParser) -> None:
    verify.add_argument(
        "--identity-pool-id",
        required=True,
        metavar="ID",
        help="the identity pool; the beginning of its id will do",
    )
    verify.add_argument(
        "--from",
        dest="stream_name",
        metavar="NAME",
        help="another stream than the one that the pool is set up with",
    )
    verify.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait so long for the outbox of the pool to be empty and its bulk "
        "publish to be over",
    )


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, not {text!r}")
    return number


async def _create(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.context import system_now_ms
    from millpond.service.kinesis.streams import create_embedded_stream
    from millpond.sinks import how_to_create
    from millpond.sinks.base import sink_url

    name = options.stream_name
    check_place(settings, options)
    async with stores.open_existing(settings) as store:
        refusal = await create_embedded_stream(
            store,
            settings.streams,
            name,
            shard_count=options.shards,
            now_ms=system_now_ms(),
        )
        if refusal is None:
            await note_change(store, "CreateStream", target=name)
    if refusal is not None:
        url = sink_url(settings.streams, name)
        how = how_to_create(url)
        raise CommandError(f"{refusal} For example: {how}" if how else refusal)
    shown = {"StreamName": name, "ShardCount": options.shards}
    show(options, shown, [f"Created stream {name} with {_shards(options.shards)}."])
    return 0


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.streams import list_streams

    async with stores.open_existing(settings) as store:
        streams = await list_streams(store, settings.streams)
    if options.output == "json":
        show(options, {"Streams": [_document(each) for each in streams]}, [])
    else:
        print_table(_COLUMNS, [_row(each) for each in streams])
    return 0


def _document(stream: StreamLook) -> dict[str, Any]:
    shards = stream.shard_count
    return {
        "StreamName": stream.stream_name,
        "Kind": stream.kind,
        "Place": stream.place,
        **({} if shards is None else {"ShardCount": shards}),
        **_lag(stream.outbox),
        "IdentityPools": [
            {
                "IdentityPoolId": each.identity_pool_id,
                "StreamingStatus": each.streaming_status,
                "DisabledReason": each.disabled_reason,
                **_lag(each.outbox),
            }
            for each in stream.users
        ],
    }


def _lag(outbox: OutboxUsage) -> dict[str, Any]:
    """Say how far a stream is behind: what waits for it, and since when."""
    return {
        "Entries": outbox.entries,
        "OldestDate": date(outbox.oldest_ms),
        "ParkedCount": outbox.parked,
    }


def _row(stream: StreamLook) -> tuple[Cell, ...]:
    match stream.shard_count:
        case None:
            state = None
        case 0:
            state = "does not exist"
        case number:
            state = _shards(number)
    outbox = stream.outbox
    pools = [f"{e.identity_pool_id} {e.streaming_status}" for e in stream.users]
    return (
        stream.stream_name,
        stream.place,
        state,
        outbox.entries,
        Time(outbox.oldest_ms),
        outbox.parked,
        ", ".join(pools),
    )


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count} shards"


async def _tail(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.cli.identity_choice import meant_identity
    from millpond.server import stores
    from millpond.sinks import make_reader
    from millpond.sinks.base import sink_url

    left, identity = options.count, options.identity_id
    async with stores.open_existing(settings) as store:
        if identity is not None:
            identity = await meant_identity(store, settings, None, identity)
        reader = make_reader(
            sink_url(settings.streams, options.stream_name),
            store=store,
            from_end=not options.from_start,
        )
        try:
            await reader.open()
            while left is None or left > 0:
                records = [
                    each
                    for each in await reader.read(wait_s=TAIL_WAIT_S)
                    if identity in (None, each.partition_key)
                ][:left]
                _print(records, raw=options.raw)
                left = None if left is None else left - len(records)
        finally:
            await reader.aclose()
    return 0


def _print(records: list[StreamRecord], *, raw: bool) -> None:
    for record in records:
        if raw:
            sys.stdout.buffer.write(record.data + b"\n")
        else:
            sys.stdout.write(_describe(record) + "\n")
    # Somebody may be looking; and a closed pipe is noticed here.
    sys.stdout.flush()


def _describe(record: StreamRecord) -> str:
    """Tell of a record in a line, without its values."""
    from millpond.core.stream_consumer import decode_event

    event = decode_event(record.data)
    if event is None:
        return f"-\t{plain(record.partition_key)}\tno event: {len(record.data)} bytes"
    if event.is_deletion:
        what = "dataset deleted"
    elif event.records_url is not None:
        what = "records behind a link"
    else:
        records = event.kinesis_sync_records or []
        removed = sum(each.value is None for each in records)
        what = f"{len(records) - removed} set, {removed} removed"
    names = (event.identity_id, event.data_set_name, str(event.sync_count))
    return "\t".join((_time(event.last_modified_date), *map(plain, names), what))


def _time(time_ms: int) -> str:
    try:
        return iso(time_ms)
    except (ValueError, OverflowError, OSError):
        return "-"


async def _verify(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.cli.stream_verify import verify

    return await verify(settings, options)
