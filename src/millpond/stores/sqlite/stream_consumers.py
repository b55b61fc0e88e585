"""Consumers of embedded streams, in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millpond.stores.base import StreamConsumer
from millpond.stores.sqlite.database import Database, Writer
from millpond.stores.sqlite.streams import SQL
from millpond.stores.streams import ALL_CONSUMERS, decode_tags, encode_tags


class StreamConsumers:
    """The `StreamConsumerStore` part of the port."""

    streams_database: Database

    async def create_stream_consumer(
        self,
        consumer: StreamConsumer,
        decide: Callable[[Sequence[StreamConsumer]], None],
    ) -> bool:
        stream_id = consumer.stream_id

        def job(db: Writer) -> bool:
            if not db.execute(SQL.find_live_stream, (stream_id,)).fetchall():
                return False
            bounds = (stream_id, "", ALL_CONSUMERS)
            found = db.execute(SQL.list_stream_consumers, bounds).fetchall()
            decide([_consumer(row) for row in found])
            row = (
                stream_id,
                consumer.consumer_name,
                consumer.creation_date_ms,
                encode_tags(consumer.tags),
            )
            db.execute(SQL.create_stream_consumer, row)
            return True

        return await self.streams_database.write(job)

    async def find_stream_consumer(
        self, stream_id: int, consumer_name: str
    ) -> StreamConsumer | None:
        named = (stream_id, consumer_name)
        with self.streams_database.reading("find_stream_consumer") as cursor:
            rows = cursor.execute(SQL.find_stream_consumer, named).fetchall()
        return _consumer(rows[0]) if rows else None

    async def list_stream_consumers(
        self, stream_id: int, *, after: str | None, limit: int
    ) -> list[StreamConsumer]:
        bounds = (stream_id, after or "", limit)
        with self.streams_database.reading("list_stream_consumers") as cursor:
            rows = cursor.execute(SQL.list_stream_consumers, bounds).fetchall()
        return [_consumer(row) for row in rows]

    async def update_stream_consumer(
        self,
        stream_id: int,
        consumer_name: str,
        change: Callable[[StreamConsumer], StreamConsumer],
    ) -> StreamConsumer | None:
        named = (stream_id, consumer_name)

        def job(db: Writer) -> StreamConsumer | None:
            rows = db.execute(SQL.find_stream_consumer, named).fetchall()
            if not rows:
                return None
            changed = change(_consumer(rows[0]))
            row = (encode_tags(changed.tags), *named)
            db.execute(SQL.update_stream_consumer, row)
            return changed

        return await self.streams_database.write(job)

    async def delete_stream_consumer(self, stream_id: int, consumer_name: str) -> bool:
        named = (stream_id, consumer_name)
        return await self.streams_database.write(
            lambda db: bool(db.execute(SQL.delete_stream_consumer, named).fetchall())
        )


def _consumer(row: Sequence[Any]) -> StreamConsumer:
    stream_id, name, creation_date_ms, tags = row
    return StreamConsumer(
        stream_id=stream_id,
        consumer_name=name,
        creation_date_ms=creation_date_ms,
        tags=decode_tags(tags),
    )
