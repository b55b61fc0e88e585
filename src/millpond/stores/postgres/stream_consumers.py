"""
Consumers of embedded streams, in PostgreSQL.

Whoever registers one holds the row of its stream, so none comes in between the look at
those that there are and the new one, nor after the stream was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millpond.stores.base import StreamConsumer
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.streams import SQL
from millpond.stores.streams import ALL_CONSUMERS, decode_tags, encode_tags


class StreamConsumers:
    """The `StreamConsumerStore` part of the port."""

    database: Database

    async def create_stream_consumer(
        self,
        consumer: StreamConsumer,
        decide: Callable[[Sequence[StreamConsumer]], None],
    ) -> bool:
        stream_id = consumer.stream_id

        async def job(db: Session) -> bool:
            if await db.row(SQL.find_stream_to_change, stream_id) is None:
                return False
            bounds = (stream_id, "", ALL_CONSUMERS)
            found = await db.rows(SQL.list_stream_consumers, *bounds)
            decide([_consumer(row) for row in found])
            row = (
                stream_id,
                consumer.consumer_name,
                consumer.creation_date_ms,
                encode_tags(consumer.tags),
            )
            await db.run(SQL.create_stream_consumer, *row)
            return True

        return await self.database.write("create_stream_consumer", job)

    async def find_stream_consumer(
        self, stream_id: int, consumer_name: str
    ) -> StreamConsumer | None:
        async with self.database.session("find_stream_consumer") as db:
            row = await db.row(SQL.find_stream_consumer, stream_id, consumer_name)
        return None if row is None else _consumer(row)

    async def list_stream_consumers(
        self, stream_id: int, *, after: str | None, limit: int
    ) -> list[StreamConsumer]:
        bounds = (stream_id, after or "", limit)
        async with self.database.session("list_stream_consumers") as db:
            rows = await db.rows(SQL.list_stream_consumers, *bounds)
        return [_consumer(row) for row in rows]

    async def update_stream_consumer(
        self,
        stream_id: int,
        consumer_name: str,
        change: Callable[[StreamConsumer], StreamConsumer],
    ) -> StreamConsumer | None:
        named = (stream_id, consumer_name)

        async def job(db: Session) -> StreamConsumer | None:
            if await db.row(SQL.find_stream_to_change, stream_id) is None:
                return None
            row = await db.row(SQL.find_stream_consumer, *named)
            if row is None:
                return None
            changed = change(_consumer(row))
            tags = encode_tags(changed.tags)
            await db.run(SQL.update_stream_consumer, *named, tags)
            return changed

        return await self.database.write("update_stream_consumer", job)

    async def delete_stream_consumer(self, stream_id: int, consumer_name: str) -> bool:
        async with self.database.session("delete_stream_consumer") as db:
            return (
                await db.run(SQL.delete_stream_consumer, stream_id, consumer_name) > 0
            )


def _consumer(row: Any) -> StreamConsumer:
    columns = dict(row)
    return StreamConsumer(tags=decode_tags(columns.pop("tags")), **columns)
