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
from millpond.service import bulk_publish, configuration, records
from millpond.service.context import Caller, Context
from millpond.settings import Settings
from millpond.sinks import SinkRegistry
from millpond.testing.fakes import ScriptedSink, scripted_factories
from millpond.workers import loop

POOL = "us-east-1:aaaaaaaa-0000-0000-0000-000000000000"
STREAM = "changes"
OTHER_POOL = "us-east-1:bbbbbbbb-0000-0000-0000-000000000000"
OTHER_STREAM = "other-changes"
CALLER = Caller("AKIA", "000000000000")


@dataclass
class World:
    """What a worker lives in."""

    context: Context
    sinks: SinkRegistry
    sink: ScriptedSink
    other_sink: ScriptedSink
    roles: list[str | None]
    """For whom sinks were made."""
    metrics: Metrics

    async def write(
        self, identity_id: str, dataset_name: str, *keys: str, pool: str = POOL
    ) -> None:
        """Write new records through the service."""
        names: dict[str, Any] = {
            "identity_pool_id": pool,
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

    async def waiting(self) -> int:
        """Count what waits in the outbox."""
        return (await self.context.store.measure_outbox(None)).entries

    async def add_pool(self, pool: str, stream: str) -> None:
        """Create a pool with an enabled stream."""
        await self.context.store.create_identity_pool(
            IdentityPool(
                identity_pool_id=pool,
                identity_pool_name="test",
                allow_unauthenticated_identities=False,
            ),
            pools_max=10,
        )
        await self.stream("ENABLED", pool=pool, stream=stream)

    async def stream(
        self,
        status: str,
        *,
        pool: str = POOL,
        stream: str = STREAM,
        role_arn: str | None = None,
    ) -> None:
        """Switch streaming on or off, or to another stream."""
        configuration = StreamConfiguration(
            stream_name=stream, streaming_status=status, role_arn=role_arn
        )
        await self.context.store.update_identity_pool(
            pool, lambda each: msgspec.structs.replace(each, stream=configuration)
        )

    async def configure(self, status: str) -> None:
        """Switch streaming on or off through the service, as a developer does."""
        await configuration.set_identity_pool_configuration(
            self.context,
            CALLER,
            contract.SetIdentityPoolConfigurationRequest(
                identity_pool_id=POOL,
                cognito_streams=contract.CognitoStreams(
                    stream_name=STREAM,
                    streaming_status=status,  # type: ignore[arg-type]
                ),
            ),
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
            streams={STREAM: "scripted:", OTHER_STREAM: "other:"},
            bulk_publish_slices=settings.pop("bulk_publish_slices", 4),
            **settings,
        )
        async with stores.open_store(chosen) as store:
            sink, other_sink = ScriptedSink(script), ScriptedSink()
            roles: list[str | None] = []
            factories = scripted_factories(roles, scripted=sink, other=other_sink)
            sinks = SinkRegistry(chosen.streams, factories)
            context = app.make_context(chosen, store)
            made = World(context, sinks, sink, other_sink, roles, Metrics())
            await made.add_pool(POOL, STREAM)
            yield made

    def run_test(test: Test, script: Sequence[Any] = (), **settings: Any) -> None:
        async def main() -> None:
            async with world(script, settings) as made:
                await test(made)

        asyncio.run(main())

    return run_test
