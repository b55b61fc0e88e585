"""Housekeeping: learn of new keys, save session counts, drop what is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog
from prometheus_client import Gauge

from millpond.errors import StoreError
from millpond.metrics import Metrics
from millpond.service import tombstones
from millpond.service.context import Context
from millpond.service.live import end_deleted
from millpond.stores.base import CensusPlace, Counted, Neighbours, SharedFiles
from millpond.workers.loop import pause_s_max, run_steps

KEYS_PAUSE_S: Final = 0.4  # a deleted key ends within a second
KEYS_TOLD_PAUSE_S: Final = 10.0  # where we are told, in case that is lost
DELETIONS_PAUSE_S: Final = 0.4
SESSIONS_PAUSE_S: Final = 1.0
KEY_USES_PAUSE_S: Final = 10.0
AUDIT_PAUSE_S: Final = 0.5  # docs promise a second
AUDIT_TRIM_PAUSE_S: Final = 60.0
PURGE_PAUSE_S: Final = 10.0
PURGE_PAUSE_S_MAX: Final = 30.0
PURGE_ROWS_MAX: Final = 1000  # per transaction, so that writers hardly wait
PURGE_REST_S: Final = 0.05  # between two transactions
EXPIRY_SHARE: Final = 0.1  # of their lifetime tombstones may be late, but ...
EXPIRY_PAUSE_S_MAX: Final = 600.0  # ... no later than that
GUESTS_PAUSE_S: Final = 3600.0  # a lifetime has a day at least
GUEST_ROWS_MAX: Final = 1000  # identities that are looked at in one transaction

_log = structlog.get_logger()

CENSUS_ROWS_MAX: Final = 10_000  # a piece; some milliseconds
CENSUS_PAUSE_S: Final = 5.0  # between two counts of a small store
CENSUS_PAUSE_S_MAX: Final = 60.0  # of one that is asked over a network
CENSUS_SHARE: Final = 0.005  # of the time; a large store is counted slowly


async def watch_keys(
    context: Context, name: str, refresh: Callable[[], Awaitable[None]]
) -> None:
    """
    Keep keys in memory up to date until cancelled.

    Args:
        refresh: learns of others that are in the store by now.
    """
    told = isinstance(context.store, Neighbours)

    async def step() -> bool:
        await refresh()
        return False

    await run_steps(
        name,
        step,
        pause_s=KEYS_TOLD_PAUSE_S if told else KEYS_PAUSE_S,
        wake=context.keys_changed,
    )


class UsedKeys(Protocol):
    """Keys in memory, of which it is known which were used."""

    async def save_uses(self, now_ms: int) -> None: ...


async def save_key_uses(context: Context, keys: UsedKeys) -> None:
    """Write now and then which keys were used, until cancelled."""

    async def step() -> bool:
        await keys.save_uses(context.now_ms())
        return False

    await run_steps("key uses", step, pause_s=KEY_USES_PAUSE_S)


async def save_audit(context: Context) -> None:
    """Write what the audit has counted, until cancelled."""

    async def step() -> bool:
        await context.audit.flush()
        return False

    await run_steps("audit", step, pause_s=AUDIT_PAUSE_S)


async def trim_audit(context: Context) -> None:
    """Drop the oldest entries of the audit beyond what is to be kept."""
    settings = context.settings

    async def step() -> bool:
        dropped = 0
        for frequent, keep in (
            (False, settings.audit_entries_max),
            (True, settings.audit_frequent_entries_max),
        ):
            dropped += await context.store.trim_audit(
                frequent=frequent, keep=keep, limit=PURGE_ROWS_MAX
            )
        await asyncio.sleep(PURGE_REST_S)
        return dropped > 0

    await run_steps("audit trim", step, pause_s=AUDIT_TRIM_PAUSE_S)


async def save_last_words(context: Context, keys: UsedKeys) -> None:
    """Write what is only in memory, when the workers have ended."""
    try:
        await context.audit.flush()
        await keys.save_uses(context.now_ms())
    except StoreError as error:
        _log.warning("server.last_words_lost", error=str(error))


async def watch_deletions(context: Context) -> None:
    """
    End the listeners of identities that another process deletes, until cancelled; of a
    store that several servers share, they tell each other.
    """
    store = context.store
    if not isinstance(store, SharedFiles):
        return

    asked = False

    async def step() -> bool:
        nonlocal asked
        # The first time, too, though nobody listens: what counts is what comes then.
        if context.changes.count or not asked:
            written = await store.was_written_elsewhere()
            asked = True
            if written:
                await end_deleted(context)
        return False

    await run_steps("deletion watch", step, pause_s=DELETIONS_PAUSE_S)


async def save_sync_sessions(context: Context) -> None:
    """Save the counts of sync sessions until cancelled."""

    async def step() -> bool:
        await context.sync_sessions.save()
        return False

    await run_steps("session counts", step, pause_s=SESSIONS_PAUSE_S)


async def purge(context: Context) -> None:
    """Drop what nobody can reach any more, until cancelled."""

    async def step() -> bool:
        dropped = await context.store.purge(
            now_ms=context.now_ms(),
            stream_retention_ms=context.settings.stream_retention_s * 1000,
            limit=PURGE_ROWS_MAX,
        )
        if dropped:
            await asyncio.sleep(PURGE_REST_S)
        return dropped > 0

    await run_steps(
        "purge",
        step,
        pause_s=PURGE_PAUSE_S,
        pause_s_max=pause_s_max(context, PURGE_PAUSE_S, PURGE_PAUSE_S_MAX),
    )


async def expire_tombstones(context: Context) -> None:
    """Drop tombstones that have expired, until cancelled."""

    async def step() -> bool:
        dropped = await tombstones.expire(context)
        if dropped:
            await asyncio.sleep(PURGE_REST_S)
        return dropped > 0

    lifetime_s = context.settings.tombstone_lifetime_s
    pause_s = min(EXPIRY_PAUSE_S_MAX, EXPIRY_SHARE * lifetime_s)
    await run_steps("tombstone expiry", step, pause_s=pause_s)


async def expire_guests(context: Context, metrics: Metrics) -> None:
    """
    Delete guests that nobody uses, if that is wanted, until cancelled.

    Whether somebody is used is known only since it is kept, so the first ones go a
    whole lifetime after the setting was switched on.
    """

    async def step() -> bool:
        await expire_unused_guests(context, metrics)
        return False

    await run_steps("guest expiry", step, pause_s=GUESTS_PAUSE_S)


async def expire_unused_guests(context: Context, metrics: Metrics) -> None:
    """Delete the guests that nobody has used for long enough, if that is wanted."""
    lifetime_ms = context.settings.unused_guest_lifetime_s * 1000
    store = context.store
    if not lifetime_ms:
        await store.stop_guest_expiry()
        return
    now_ms = context.now_ms()
    since_ms = await store.begin_guest_expiry(now_ms=now_ms)
    if since_ms > now_ms - lifetime_ms:
        return
    place: str | None = ""
    while place is not None:
        expired = await store.expire_guests(
            place, unused_since_ms=now_ms - lifetime_ms, rows_max=GUEST_ROWS_MAX
        )
        metrics.expired_guests.inc(len(expired.identity_ids))
        for each in expired.identity_ids:
            context.changes.end(each)
        place = expired.place
        await asyncio.sleep(PURGE_REST_S)


class CountStep(Protocol):
    """Counts a piece; one of the methods of `stores.base.Census`."""

    def __call__(self, after: CensusPlace, *, rows_max: int) -> Awaitable[Counted]: ...


async def take_census(context: Context, metrics: Metrics) -> None:
    """Count what no scrape could, a piece at a time, until cancelled."""

    async def step() -> bool:
        store = context.store
        await _count(store.count_identities, metrics.identities)
        await _count(store.count_tombstones, metrics.tombstones)
        return False

    await run_steps(
        "census",
        step,
        pause_s=CENSUS_PAUSE_S,
        pause_s_max=pause_s_max(context, CENSUS_PAUSE_S, CENSUS_PAUSE_S_MAX),
    )


async def _count(piece: CountStep, gauge: Gauge) -> None:
    total = 0
    place: CensusPlace = None
    while True:
        started = time.monotonic()
        counted = await piece(place, rows_max=CENSUS_ROWS_MAX)
        total += counted.count
        place = counted.place
        if place is None:
            gauge.set(total)
            return
        await asyncio.sleep((time.monotonic() - started) / CENSUS_SHARE)
