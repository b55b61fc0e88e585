"""A worker of a real Citus cluster is away: what the others have goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import pytest

from cluster import Cluster, on_a_line
from millpond.core.bulk_publish import LeasedSlice
from millpond.core.sync import DatasetId
from millpond.errors import StoreUnavailableError
from millpond.stores.postgres import PostgresStore
from millpond.testing.citus import TestCitus
from millpond.testing.deadlines import Deadline
from millpond.testing.store_contract.bench import (
    NOW_MS,
    OTHER_POOL,
    POOL,
    a_pool,
    put,
)
from millpond.testing.store_contract.bulk_publish import (
    LEASE_MS,
    finishing,
    scan_all,
    starting,
)
from millpond.testing.store_contract.devices import (
    a_device,
    change,
    join,
    register,
    subscribe,
    waiting,
)
from millpond.testing.store_contract.guests import a_guest, expire
from millpond.testing.store_contract.identities import keep

IDENTITIES: Final = [f"us-east-1:{n:02x}" for n in range(0, 256, 16)]
BACK_S: Final = 20.0


@pytest.fixture
def cluster(
    citus: TestCitus, new_spread_database: Callable[[], str]
) -> Iterator[Cluster]:
    """A database whose last worker can be cut off."""
    with on_a_line(citus, new_spread_database(), IDENTITIES) as cluster:
        yield cluster


def play(
    cluster: Cluster, scene: Callable[[PostgresStore], Coroutine[Any, Any, None]]
) -> None:
    """Run a scene on a store that is open."""

    async def run() -> None:
        store = PostgresStore(cluster.url)
        await store.open()
        await store.create_identity_pool(a_pool(), pools_max=9)
        try:
            await scene(store)
        finally:
            await store.aclose()

    asyncio.run(run())


async def outbox_of(store: PostgresStore) -> set[str]:
    """Say which identities have entries that can be sent now."""
    found = await store.list_outbox(POOL, limit=100, bytes_max=2**20)
    return {each.identity_id for each in found}


async def is_told_of_others(
    store: PostgresStore, count: int, data_storage: int
) -> None:
    """What people look at has the figures of the other workers, and does not fail."""
    assert (await store.measure_outbox(None)).entries == count
    pools = await store.list_outbox_usage(after=None, limit=9)
    assert [each.usage.entries for each in pools] == [count]
    assert await store.count_pushes() == count
    usage = await store.find_identity_pool_usage(POOL)
    assert usage is not None
    assert usage.data_storage == data_storage > 0
    # Pools are on every server.
    with pytest.raises(StoreUnavailableError):
        await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
    # Of one pool a command judges by it: it must be all of it.
    with pytest.raises(StoreUnavailableError):
        await store.measure_outbox(POOL)


async def until(wanted: set[str], ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Wait until an answer is as it should be."""
    deadline = Deadline(BACK_S)
    while (found := await ask()) != wanted:
        assert not deadline.passed(), found
        await asyncio.sleep(0.1)


def test_what_waits_on_other_workers_is_sent(cluster: Cluster) -> None:
    """Entries and pushes of the dead worker stay, and come when it is back."""

    async def scene(store: PostgresStore) -> None:
        for identity in IDENTITIES:
            prefs = DatasetId(POOL, identity, "prefs")
            await join(store, identity)
            device = a_device(f"of {identity}", identity_id=identity, token=identity)
            await put(store, prefs, {"k": "v"}, event=b"e")
            await register(store, device)
            await subscribe(store, device.device_id, to=prefs)
            await change(store, prefs)
        lively = {*IDENTITIES} - cluster.behind
        usage = await store.find_identity_pool_usage(POOL)
        assert usage is not None
        data_storage = usage.data_storage // len(IDENTITIES) * len(lively)
        cluster.line.cut(frozen=False)

        assert await store.list_outbox_pools() == [POOL]
        assert await outbox_of(store) == lively
        await is_told_of_others(store, len(lively), data_storage)
        sent = await store.list_outbox(POOL, limit=100, bytes_max=2**20)
        await store.delete_outbox(POOL, sent)
        assert await store.list_outbox(POOL, limit=9, bytes_max=99) == []
        pushes = await waiting(store)
        assert {each.device.identity_id for each in pushes} == lively
        await store.delete_pushes(pushes)
        assert await waiting(store) == []
        assert await store.leases.hold(["something"])
        await store.nodes.look()
        await store.purge(now_ms=NOW_MS, stream_retention_ms=10**9, limit=100)

        cluster.line.mend()

        async def pushed() -> set[str]:
            return {each.device.identity_id for each in await waiting(store)}

        await until({*cluster.behind}, lambda: outbox_of(store))
        await until({*cluster.behind}, pushed)

    play(cluster, scene)


def test_slices_of_other_workers_are_published(cluster: Cluster) -> None:
    """Each slice is on one worker; those of the dead one wait for it."""

    async def scene(store: PostgresStore) -> None:
        for identity in IDENTITIES:
            await put(store, DatasetId(POOL, identity, "d"), {"k": "v"})
        slices = await store.cut_bulk_publish("us-east-1", 16)
        await store.start_bulk_publish(POOL, starting(), slices)
        cluster.line.cut(frozen=False)
        found: set[str] = set()
        left: list[LeasedSlice] = []
        while leased := await store.lease_slice("w", now_ms=NOW_MS, lease_ms=LEASE_MS):
            try:
                scanned = await scan_all(store, leased, limit=2)
            except StoreUnavailableError:
                left.append(leased)
                continue
            assert await store.close_slice(leased)
            found |= {each.identity_id for each in scanned}

        assert found == {*IDENTITIES} - cluster.behind
        assert left

        cluster.line.mend()

        async def rest() -> set[str]:
            try:
                pages = [await scan_all(store, each) for each in left]
            except StoreUnavailableError:
                return set()
            return {each.identity_id for page in pages for each in page}

        await until({*cluster.behind}, rest)
        for each in left[:-1]:
            assert await store.close_slice(each)
        assert not await store.close_slice(left[-1])
        run = await store.finish_slice(left[-1], finishing)
        assert run.status == "SUCCEEDED"

    play(cluster, scene)


def test_what_is_on_other_workers_expires(cluster: Cluster) -> None:
    """Tombstones of the dead worker wait until it is back, and so may all guests."""
    datasets = {each: DatasetId(POOL, each, "d") for each in IDENTITIES}
    since_ms = NOW_MS + 10

    async def scene(store: PostgresStore) -> None:
        for each in IDENTITIES:
            await join(store, each)
            await put(store, datasets[each], {"k": "v"})
            await put(store, datasets[each], {"k": None})
        guests = {f"us-east-1:guest-{n}" for n in range(16)}
        await keep(store, *map(a_guest, guests))
        size = await store.measure_bytes()
        cluster.line.cut(frozen=False)

        async def old() -> set[str]:
            found = await store.list_expired_tombstones(
                modified_before_ms=since_ms, limit=100
            )
            return {each.identity_id for each in found}

        assert await old() == {*IDENTITIES} - cluster.behind
        gone = {*await expire(store, since_ms=since_ms, rows_max=3)}
        assert gone < guests
        assert 0 < await store.measure_bytes() < size

        cluster.line.mend()

        async def expired() -> set[str]:
            gone.update(await expire(store, since_ms=since_ms, rows_max=3))
            return gone

        await until({*IDENTITIES}, old)
        await until(guests, expired)

    play(cluster, scene)
