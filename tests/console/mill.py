"""A server whose streams fare well and badly, for their pages and the outbox's."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from millpond.core.streaming import update_event
from millpond.core.sync import DatasetId, StoredRecord
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

IDENTITY = "us-east-1:0e0e0e0e-0000-4000-8000-00000000000{}"
PROVIDER = "login.mill"
AWAY = "nats://user:secret@127.0.0.1:1/away"  # nobody listens at port 1


class Mill:
    """A running server, its pools, and a way into its store."""

    def __init__(self, data: Path, **settings: str) -> None:
        self._numbers = itertools.count(2_000_000_000)
        self.server = RunningServer(
            data,
            settings={
                "streams": json.dumps({"away": AWAY}),
                "bulk_publish_retries_max": "3",
                "bulk_publish_slices": "4",
            }
            | settings,
        )

    def __enter__(self) -> Mill:
        self.server.start()
        self.sync = self.server.client("cognito-sync")
        self.kinesis = self.server.client("kinesis")
        return self

    def __exit__(self, *error: object) -> None:
        self.server.stop()

    def pool(self, name: str, stream: str | None = None) -> str:
        """Make a pool that pours into a stream; of one that is embedded, the stream."""
        made = self.server.client("cognito-identity").create_identity_pool(
            IdentityPoolName=name,
            AllowUnauthenticatedIdentities=True,
            DeveloperProviderName=PROVIDER,
        )
        pool: str = made["IdentityPoolId"]
        if stream is not None:
            if stream != "away":
                self.create_stream(stream)
            self.sync.set_identity_pool_configuration(
                IdentityPoolId=pool,
                CognitoStreams={"StreamName": stream, "StreamingStatus": "ENABLED"},
            )
        return pool

    def create_stream(self, stream: str, shards: int = 1) -> None:
        """Make an embedded stream, unless there is one."""
        if stream not in self.kinesis.list_streams(Limit=1000)["StreamNames"]:
            self.kinesis.create_stream(StreamName=stream, ShardCount=shards)

    def put(
        self,
        pool: str,
        dataset: str,
        values: dict[str, str],
        *,
        identity_id: str = IDENTITY.format(1),
        sync_count: int = 0,
    ) -> None:
        """Write records as a developer does."""
        named = {
            "IdentityPoolId": pool,
            "IdentityId": identity_id,
            "DatasetName": dataset,
        }
        listed = self.sync.list_records(**named)
        self.sync.update_records(
            **named,
            SyncSessionToken=listed["SyncSessionToken"],
            RecordPatches=[
                {"Op": "replace", "Key": key, "Value": value, "SyncCount": sync_count}
                for key, value in values.items()
            ],
        )

    def command(self, *words: str) -> Any:
        """Run a command beside the server; give what it prints as JSON."""
        store = ("--data", str(self.server.data), "--output", "json")
        done = subprocess.run(
            [sys.executable, "-m", "millpond", *words, *store],
            check=True,
            capture_output=True,
            timeout=seconds(60),
        )
        return json.loads(done.stdout)

    def key(self, *words: str) -> tuple[str, str]:
        """Make a developer key; give its id and its secret."""
        made = self.command("key", "create", *words)
        return made["AccessKeyId"], made["SecretAccessKey"]

    def sign_up(self, pool: str, user: str) -> str:
        """Make a user of the developer's provider; give the id of the identity."""
        identity = self.server.client("cognito-identity")
        made = identity.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={PROVIDER: user}
        )
        identity_id: str = made["IdentityId"]
        return identity_id

    def park(
        self,
        pool: str,
        reason: str,
        *events: bytes,
        identity_id: str = IDENTITY.format(1),
    ) -> list[int]:
        """Put changes aside as the relay does with what a stream refuses."""

        now_ms = time.time_ns() // 1_000_000
        ids = [next(self._numbers) for _ in events]

        def write(db: Any) -> None:
            for outbox_id, data in zip(ids, events, strict=True):
                row = (
                    outbox_id,
                    pool,
                    identity_id,
                    data,
                    now_ms,
                    now_ms,
                    reason,
                )
                db.execute(
                    "INSERT INTO parked_outbox VALUES (?, ?, ?, ?, ?, ?, ?)", row
                )

        async def in_store(store: SqliteStore) -> None:
            await store.database.write(write)

        self.in_store(in_store)
        return ids

    def in_store(self, work: Any) -> Any:
        """Do something in the store, beside the server, as commands do."""

        async def opened() -> Any:
            store = SqliteStore(self.server.data)
            await store.open()
            try:
                return await work(store)
            finally:
                await store.aclose()

        # On a thread: what drives a browser has a loop of its own on this one.
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(asyncio.run, opened()).result()

    def wait_for_stream(self, stream: str, count: int) -> Sequence[dict[str, Any]]:
        """Wait until an embedded stream of one shard has so many events."""

        def read() -> list[dict[str, Any]] | None:
            iterator = self.kinesis.get_shard_iterator(
                StreamName=stream,
                ShardId="shardId-000000000000",
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
            found = self.kinesis.get_records(ShardIterator=iterator)["Records"]
            events = [json.loads(each["Data"]) for each in found]
            return events if len(events) >= count else None

        found: Sequence[dict[str, Any]] = wait_until(read)
        return found


def an_event(
    pool: str,
    dataset: str,
    key: str,
    value: str | None,
    *,
    identity_id: str = IDENTITY.format(1),
) -> bytes:
    """Encode a change of one record."""
    record = StoredRecord(
        key=key,
        value=value,
        sync_count=1,
        last_modified_date_ms=1,
        last_modified_by="someone",
        device_last_modified_date_ms=None,
    )
    dataset_id = DatasetId(pool, identity_id, dataset)
    return update_event(dataset_id, [record], sync_count=1, last_modified_date_ms=1)
