"""Listeners to an identity that has left thousands of datasets behind."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path

from millpond.contract.live import GetLiveUpdatesRequest
from millpond.core.identity_pools import IdentityPool
from millpond.metrics import Metrics
from millpond.server.answer_streams import AnswerStreams
from millpond.server.answers import Answers
from millpond.server.connections import Connections
from millpond.server.live import LiveStreams
from millpond.server.peers import TrustedProxies
from millpond.server.under_way import UnderWay
from millpond.service.changes import Changes
from millpond.service.context import Caller
from millpond.service.live import get_live_updates
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from service.stage import make_context

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
MALLORY = "us-east-1:a0000000-0000-4000-8000-000000000000"
DEVELOPER = Caller("AKIAEXAMPLE", "000000000000")
DATASETS = 8_000
LISTENERS = 30
STEP_CPU_S_MAX = 0.3  # a step has some 3 ms; at once they took 6.6 s
FILL = """
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT ?)
    INSERT INTO datasets (
        identity_pool_id, identity_id, dataset_name, sync_count, live, horizon,
        creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
        data_storage
    )
    SELECT ?, ?, printf('gone-%05d', n), 2, 0, 2, 1, 1, '', 0, 0 FROM numbers
"""


class Reader:
    """A connection that takes everything at once."""

    def __init__(self) -> None:
        self.told = 0  # datasets

    async def send(self, message):
        """Take a part of the answer."""
        self.told += message.get("body", b"").count(b"gone-")

    async def receive(self):
        """Never go away."""
        await asyncio.Event().wait()


async def longest_step(until: asyncio.Event) -> float:
    """Measure the processor time for which others had to wait, at the longest."""
    longest, before = 0.0, time.thread_time()
    while not until.is_set():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return longest


def test_listeners_that_want_everything_hold_nobody_up(tmp_path: Path) -> None:
    """Each is told of all datasets, and others go on after every step."""
    gc.collect()
    gc.freeze()  # what other tests have left is not to be walked through meanwhile
    try:
        asyncio.run(everything(tmp_path))
    finally:
        gc.unfreeze()


async def everything(folder: Path) -> None:
    """Let listeners ask from the start on, all at once."""
    store = SqliteStore(folder)
    await store.open()
    pool = IdentityPool(
        identity_pool_id=POOL,
        identity_pool_name="test",
        allow_unauthenticated_identities=True,
    )
    await store.create_identity_pool(pool, pools_max=1)
    await store.database.write(
        lambda db: db.execute(FILL, (DATASETS, POOL, MALLORY)).fetchall()
    )
    changes = Changes(listeners_max=LISTENERS, listeners_per_identity_max=LISTENERS)
    context = make_context(store, Settings(), lambda: 1, changes=changes)
    settings, under_way, metrics = Settings(), UnderWay(), Metrics()
    connections = Connections(settings, under_way, metrics, TrustedProxies([]))
    answers = Answers(settings, metrics, connections, under_way)
    streams = LiveStreams(
        settings, changes, metrics, AnswerStreams(under_way, connections, answers)
    )
    readers = [Reader() for _ in range(LISTENERS)]

    async def listen(number: int, reader: Reader) -> None:
        request = GetLiveUpdatesRequest(POOL, MALLORY, "1")
        updates = await get_live_updates(context, DEVELOPER, request)
        client = ("127.0.0.1", str(number))
        await streams.stream(
            updates, [], client, "127.0.0.1", reader.receive, reader.send
        )

    done = asyncio.Event()
    measuring = asyncio.create_task(longest_step(done))
    listening = [asyncio.create_task(listen(*each)) for each in enumerate(readers)]
    while any(each.told < DATASETS for each in readers):
        assert not any(each.done() for each in listening)
        await asyncio.sleep(0.01)
    done.set()
    longest = await measuring
    for each in listening:
        each.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    await store.aclose()

    assert longest < STEP_CPU_S_MAX
