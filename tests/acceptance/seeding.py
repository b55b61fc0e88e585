"""
Filling the store of a server that is stopped: thousands of datasets in a second or two.

It goes through the same functions as requests do, without the way there and back. No
worker runs, so what is meant for a stream stays in the outbox.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from millpond.contract.cognito_sync import (
    ListRecordsRequest,
    RecordPatch,
    UpdateRecordsRequest,
)
from millpond.server import app, stores
from millpond.service import records
from millpond.service.context import Caller, Context
from millpond.settings import Settings
from millpond.testing.server import RunningServer

AT_A_TIME: Final = 64  # more of them might wait too long for a connection
_CALLER: Final = Caller(access_key_id="AKIASEED", account_id="000000000000")


class Seed(NamedTuple):
    """One update of one dataset."""

    identity: str
    dataset: str
    values: Mapping[str, str]


def identities(count: int, *, seed: int = 1) -> Sequence[str]:
    """Make up identity ids, the same ones each time."""
    random = Random(seed)
    return [
        f"us-east-1:{uuid.UUID(int=random.getrandbits(128), version=4)}"
        for _ in range(count)
    ]


def fill(server: RunningServer, pool: str, seeds: Iterable[Seed]) -> None:
    """Write new datasets into the store of a server that is stopped."""
    asyncio.run(_fill(server, pool, list(seeds)))


async def _fill(server: RunningServer, pool: str, seeds: list[Seed]) -> None:
    settings = Settings(
        data=server.data, store=server.store_url, secret_key=server.secret_key
    )
    async with stores.open_store(settings) as store:
        context = app.make_context(settings, store)
        for first in range(0, len(seeds), AT_A_TIME):
            await asyncio.gather(
                *(_write(context, pool, s) for s in seeds[first : first + AT_A_TIME])
            )


async def _write(context: Context, pool: str, seed: Seed) -> None:
    names: dict[str, Any] = {
        "identity_pool_id": pool,
        "identity_id": seed.identity,
        "dataset_name": seed.dataset,
    }
    listed = await records.list_records(context, _CALLER, ListRecordsRequest(**names))
    patches = [
        RecordPatch(op="replace", key=key, value=value, sync_count=0)
        for key, value in seed.values.items()
    ]
    request = UpdateRecordsRequest(
        **names,
        record_patches=patches,
        sync_session_token=listed.sync_session_token,
    )
    await records.update_records(context, _CALLER, request)
