"""A server of the Kinesis operations, for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.core.tokens import PageTokens, SyncSessions
from millpond.errors import ServiceException
from millpond.service import kinesis, kinesis_records
from millpond.service.context import Caller, Context
from millpond.service.sync_sessions import SyncSessionCounter
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore

START_MS = 1_750_000_000_250


class Server:
    """
    The operations over a store of their own.

    The clock stands still at START_MS until a test sets `now_ms`. The short forms work
    with a stream called `changes`.
    """

    def __init__(self, store: SqliteStore, settings: Settings) -> None:
        self.now_ms = START_MS
        self.store = store
        key = b"k" * 32
        self._context = Context(
            store=store,
            settings=settings,
            sessions=SyncSessions(key, lifetime_ms=1, random_bytes=bytes),
            pages=PageTokens(key),
            sync_sessions=SyncSessionCounter(store),
            now_ms=lambda: self.now_ms,
        )

    async def call(self, operation: str, **members: Any) -> Any:
        """Call an operation with the attributes of its request."""
        module = kinesis if hasattr(kinesis, operation) else kinesis_records
        name = "".join(word.capitalize() for word in operation.split("_"))
        request = getattr(contract, f"{name}Request")(**members)
        caller = Caller("AKIAEXAMPLE", "000000000000")
        return await getattr(module, operation)(self._context, caller, request)

    async def refused(
        self, error: type[ServiceException], operation: str, **members: Any
    ) -> str:
        """Call an operation that must be refused; return the message."""
        with pytest.raises(error) as caught:
            await self.call(operation, **members)
        return caught.value.message

    async def create(self, name: str = "changes", *, shard_count: int = 1) -> None:
        """Create a stream."""
        await self.call("create_stream", stream_name=name, shard_count=shard_count)

    async def put(self, *data: bytes) -> list[str]:
        """Put records with the partition key `key`; return their sequence numbers."""
        records = [
            contract.PutRecordsRequestEntry(data=each, partition_key="key")
            for each in data
        ]
        answer = await self.call("put_records", stream_name="changes", records=records)
        return [each.sequence_number for each in answer.records]

    async def iterator(
        self, kind: str = "TRIM_HORIZON", *, shard: int = 0, **members: Any
    ) -> str:
        """Get a shard iterator."""
        answer = await self.call(
            "get_shard_iterator",
            stream_name="changes",
            shard_id=shards.shard_id(shard),
            shard_iterator_type=kind,
            **members,
        )
        return str(answer.shard_iterator)

    async def read(self, iterator: str, **members: Any) -> Any:
        """Get records behind an iterator."""
        return await self.call("get_records", shard_iterator=iterator, **members)

    async def read_data(
        self, kind: str = "TRIM_HORIZON", **members: Any
    ) -> list[bytes]:
        """Get the data of the records behind a new iterator."""
        answer = await self.read(await self.iterator(kind, **members))
        return [each.data for each in answer.records]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene against a fresh server; settings may be named."""

    def run(scene: Callable[[Server], Awaitable[None]], **settings: Any) -> None:
        async def on_stage() -> None:
            store = SqliteStore(tmp_path)
            await store.open()
            try:
                await scene(Server(store, Settings(**settings)))
            finally:
                await store.aclose()

        asyncio.run(on_stage())

    return run
