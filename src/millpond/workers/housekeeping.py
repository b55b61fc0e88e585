"""Housekeeping: learn of new keys, save session counts, drop what is dead."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from millpond.service.context import Context
from millpond.workers.loop import run_steps

KEYS_PAUSE_S: Final = 0.4  # a deleted key ends within a second
SESSIONS_PAUSE_S: Final = 1.0
PURGE_PAUSE_S: Final = 10.0
PURGE_ROWS_MAX: Final = 1000  # per transaction, so that writers hardly wait
PURGE_REST_S: Final = 0.05  # between two transactions


class Ring(Protocol):
    """Keys in memory, of which there may be others in the store by now."""

    async def refresh(self) -> None: ...


async def watch_keys(name: str, keys: Ring) -> None:
    """Keep keys up to date until cancelled."""

    async def step() -> bool:
        await keys.refresh()
        return False

    await run_steps(name, step, pause_s=KEYS_PAUSE_S)


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

    await run_steps("purge", step, pause_s=PURGE_PAUSE_S)
