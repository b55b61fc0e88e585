"""A server of the Kinesis operations, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.server.bindings import APIS
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from service.stage import Operations, player

START_MS = 1_750_000_000_250


class Server(Operations):
    """
    The operations over a store of their own.

    The clock stands still at START_MS until a test sets `now_ms`. The short forms work
    with a stream called `changes`.
    """

    contract = contract
    modules = next(modules for api, modules in APIS if api is contract.API)

    def __init__(self, store: SqliteStore, settings: Settings) -> None:
        super().__init__(store, settings)
        self.now_ms = START_MS

    def read_clock(self) -> int:
        return self.now_ms

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
    return player(Server, tmp_path)
