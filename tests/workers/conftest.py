"""A pool with data in a real store, and a sink that does as it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.contract import cognito_sync as contract
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.metrics import Metrics
from millpond.server import app, stores
from millpond.service import bulk_publish, records
from millpond.service.context import Caller, Context
from millpond.settings import Settings
from millpond.sinks import SinkRegistry
from millpond.testing.fakes import ScriptedSink, scripted_factories
from millpond.workers import loop

POOL = "us-east-1:aaaaaaaa-0000-0000-0000-000000000000"
STREAM = "changes"
CALLER = Caller("AKIA", "000000000000")


@dataclass
class World:
    """What a worker lives in."""

    context: Context
    sinks: SinkRegistry
    sink: ScriptedSink
    metrics: Metrics

    async def write(self, identity_id: str, dataset_name: str, *keys: str) -> None:
        """Write new records through the service."""
        names: dict[str, Any] = {
            "identity_pool_id": POOL,
            "identity_id": identity_id,
            "dataset_name": dataset_name,
        }
        listed = await records.list_records(
            self.context, CALLER, contract.ListRecordsRequest(**names)
        )
        known = {each.key: each.sync_count for each in listed.records}
        await records.update_records(
            self.context,
            CALLER,
            contract.UpdateRecordsRequest(
                **names,
                sync_session_token=listed.sync_session_token,
                record_patches=[
                    contract.RecordPatch(
                        op="replace",
                        key=key,
                        value=f"value of {key}",
                        sync_count=known.get(key, 0),
                    )
                    for key in keys
                ],
            ),
        )

    async def stream(self, status: str) -> None:
        """Switch streaming on or off."""
        configuration = StreamConfiguration(stream_name=STREAM, streaming_status=status)
        await self.context.store.update_identity_pool(
            POOL, lambda pool: msgspec.structs.replace(pool, stream=configuration)
        )

    async def start_bulk_publish(self) -> None:
        """Ask for a bulk publish."""
        await bulk_publish.bulk_publish(
            self.context, CALLER, contract.BulkPublishRequest(identity_pool_id=POOL)
        )

    async def details(self) -> contract.GetBulkPublishDetailsResponse:
        """Ask how it went."""
        return await bulk_publish.get_bulk_publish_details(
            self.context,
            CALLER,
            contract.GetBulkPublishDetailsRequest(identity_pool_id=POOL),
        )


Test = Callable[[World], Coroutine[Any, Any, None]]
Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run an async test in a world of its own."""
    # Backoff is tested as arithmetic; here it must not take real time.
    monkeypatch.setattr(loop.Backoff, "delay_s", lambda self, failures: 0.0)

    @contextlib.asynccontextmanager
    async def world(
        script: Sequence[Any], settings: dict[str, Any]
    ) -> AsyncIterator[World]:
        chosen = Settings(
            data=tmp_path,
            public_url="http://millpond.test",
            streams={STREAM: "scripted:"},
            bulk_publish_slices=settings.pop("bulk_publish_slices", 4),
            **settings,
        )
        async with stores.open_store(chosen) as store:
            await store.create_identity_pool(
                IdentityPool(
                    identity_pool_id=POOL,
                    identity_pool_name="test",
                    allow_unauthenticated_identities=False,
                ),
                pools_max=10,
            )
            sink = ScriptedSink(script)
            sinks = SinkRegistry(chosen.streams, scripted_factories(sink))
            made = World(app.make_context(chosen, store), sinks, sink, Metrics())
            await made.stream("ENABLED")
            yield made

    def run_test(test: Test, script: Sequence[Any] = (), **settings: Any) -> None:
        async def main() -> None:
            async with world(script, settings) as made:
                await test(made)

        asyncio.run(main())

    return run_test
