"""
Moving a pool in from elsewhere: `copy`, and how it gets on with a server.

Theory of operation
-------------------
A pass reads the source from beginning to end and writes what it gives, several arrivals
in a transaction: those that came while the one before was being written. The position
goes into the same transaction, so a pass that was interrupted goes on where it was;
one that was over begins anew, and then reads only what has changed.

Which identities are disabled nobody says. ListIdentities lists them, and can leave them
out. So they are listed a second time, and those that are not among them now are; before
that is believed they are looked for once more, for a list may have a gap.

Beside a server with the embedded store, which waits while somebody else writes, little
is written at a time, less where that takes long, and then nothing for a while; nor is
more than a share of a core taken from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import msgspec

from millpond.core import ownership
from millpond.core.sync import SyncLimits
from millpond.errors import SourceError
from millpond.server import lock
from millpond.settings import Settings
from millpond.sources.base import Batch, PoolSource
from millpond.stores.base import Store
from millpond.stores.copying import size_of
from millpond.stores.importing import (
    Arrival,
    Arrived,
    Aside,
    ImportedIdentity,
    ImportState,
    ImportStore,
)
from millpond.stores.settling import identity_row

POSITION: Final = "api"
BATCH_BYTES: Final = 1024 * 1024  # in a transaction, or one arrival that is larger
POLITE_BYTES: Final = 64 * 1024  # beside a server on the same file, at the most
POLITE_BYTES_MIN: Final = 4 * 1024
POLITE_WRITE_S: Final = 0.01  # where a transaction takes longer, the next is smaller
POLITE_PAUSE: Final = 4.0  # times as long as was written, or computed
POLITE_PAUSE_MIN_S: Final = 0.004
LOOK_S: Final = 1.0  # between two looks whether there is a server
REPORT_S: Final = 2.0  # between two notes of how it goes
ASIDES_SHOWN_MAX: Final = 1000
RETRIED_MAX: Final = 10_000  # identities that could not be read

_replace = msgspec.structs.replace


class MovingStore(Store, ImportStore, Protocol):
    """A store into which a pool can move."""


class Watcher(Protocol):
    """Is told how a pass goes."""

    def step(self, text: str, *, total: int, done: int = 0) -> None:
        """A step begins, of about `total` identities."""
        ...

    def at(self, done: int, state: ImportState) -> None:
        """So many are done, and all in all it stands so."""
        ...

    def tell(self, line: str) -> None:
        """Something should be known."""
        ...


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a pass went.

    Args:
        failed: what could not be taken, some of it by name: it is wrong, over a limit,
            or could not be read.
        failed_count: all of it.
        aside: what was kept aside because it was changed here as well.
    """

    state: ImportState
    failed: list[Aside]
    failed_count: int
    aside: list[Aside]


def limits_of(settings: Settings) -> SyncLimits:
    """Give the limits that a server with these settings has."""
    return SyncLimits(
        datasets_per_identity=settings.datasets_per_identity_max,
        records_per_dataset=settings.records_per_dataset_max,
        dataset_bytes=settings.dataset_bytes_max,
        record_key_chars=settings.record_key_chars_max,
        record_value_chars=settings.record_value_chars_max,
        # A client may have to replace every record by one of another key.
        record_patches=max(
            settings.record_patches_max, 2 * settings.records_per_dataset_max
        ),
        tombstones_per_dataset=settings.tombstones_per_dataset_max,
    )


async def copy_pool(
    store: MovingStore,
    source: PoolSource,
    identity_pool_id: str,
    *,
    settings: Settings,
    watcher: Watcher,
    now_ms: Callable[[], int],
) -> Outcome:
    """
    Do a pass over a pool, or go on with one.

    Raises:
        SourceError: it cannot be read; what was taken stays.
        StoreError: the store cannot be written.
    """
    described = await source.describe_pool()
    needed = [e for e in described.missing if not e.endswith("PoolUsage")]
    if needed:
        raise SourceError(
            f"These rights are missing: {', '.join(needed)}.",
            hint="'millpond import plan' prints a policy with all that is needed.",
        )
    fresh = ImportState(identity_pool_id=identity_pool_id, source=source.name)
    state = await store.begin_import(
        described.pool, fresh, pools_max=settings.identity_pools_max
    )
    if state is None:
        raise await _refusal(store, identity_pool_id, settings)
    copying = _Copy(store, source, state, settings, watcher, now_ms)
    return await copying.run()


async def _refusal(
    store: MovingStore, identity_pool_id: str, settings: Settings
) -> SourceError:
    if await store.find_identity_pool(identity_pool_id) is None:
        return SourceError(
            f"There are {settings.identity_pools_max} identity pools already; that is "
            "the limit.",
            hint="The setting identity_pools_max raises it.",
        )
    return SourceError(
        f"Identity pool '{identity_pool_id}' is here already, is not empty, and did "
        "not come from an import. Nothing was written.",
        hint="Delete it here, or import into another store.",
    )


class _Copy:
    """A pass under way."""

    def __init__(
        self,
        store: MovingStore,
        source: PoolSource,
        state: ImportState,
        settings: Settings,
        watcher: Watcher,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._source = source
        self._pool = state.identity_pool_id
        self._state = state
        self._watcher = watcher
        self._now_ms = now_ms
        self._manners = Manners(settings)
        self._decide = partial(ownership.decide, limits=limits_of(settings))
        self._before = (state.requests, state.throttled)
        self._failed: list[Aside] = []
        self._failed_count = 0
        self._aside: list[Aside] = []
        self._retry: dict[str, str] = {}
        self._reported_s = 0.0

    async def run(self) -> Outcome:
        if not self._state.step:
            await self._store.put_import_position(self._pool, POSITION, None)
            self._state = ImportState(
                identity_pool_id=self._pool,
                source=self._source.name,
                pass_number=self._state.pass_number + 1,
                step="copy",
                began_ms=self._now_ms(),
                expected=self._state.listed or None,
                complete_ms=self._state.complete_ms,
                follower=self._state.follower,
            )
            self._before = (0, 0)
            await self._report()
        try:
            if self._state.step == "copy":
                await self._copy_all()
                await self._retry_unread()
                await self._go_to("disabled")
            await self._settle_disabled()
            self._state = _replace(
                self._state,
                ended_ms=self._now_ms(),
                complete_ms=self._state.began_ms,
            )
            await self._go_to("")
        except BaseException:
            with contextlib.suppress(Exception):
                await self._report()
            raise
        return Outcome(
            state=self._state,
            failed=self._failed,
            failed_count=self._failed_count,
            aside=self._aside,
        )

    async def _go_to(self, step: str) -> None:
        self._state = _replace(self._state, step=step)
        await self._report()

    async def _copy_all(self) -> None:
        position = await self._store.find_import_position(self._pool, POSITION)
        self._watcher.step(
            "copy identities",
            total=self._state.expected or 0,
            done=self._state.listed,
        )

        async def known(ids: Collection[str]) -> Mapping[str, ImportedIdentity]:
            return await self._store.find_imported(self._pool, ids)

        batches = self._source.read(position, known)
        async with _Gathered(batches, self._manners) as gathered:
            while True:
                arrivals, behind, unreadable = await gathered.take()
                if not arrivals and behind is None and not unreadable:
                    return
                self._retry |= unreadable
                await self._write(arrivals, behind)

    async def _write(
        self, arrivals: list[Arrival], position: bytes | None = None
    ) -> None:
        began_s = time.monotonic()
        arrived = await self._store.arrive(
            self._pool,
            arrivals,
            self._decide,
            pass_number=self._state.pass_number,
            now_ms=self._now_ms(),
            position=None if position is None else (POSITION, position),
        )
        if arrived is None:
            raise SourceError(f"Identity pool '{self._pool}' was deleted here.")
        took_s = time.monotonic() - began_s
        self._count(arrivals, arrived)
        if time.monotonic() - self._reported_s >= REPORT_S:
            await self._report()
        self._watcher.at(self._state.listed, self._state)
        await self._manners.pause(took_s)

    def _count(self, arrivals: list[Arrival], arrived: Arrived) -> None:
        refused = {
            (each.identity_id, name): reason
            for each in arrivals
            for name, reason in each.asides.items()
        }
        for (identity_id, name), reason in refused.items():
            self._fail(Aside(identity_id, name, reason))
        kept = [
            each
            for each in arrived.asides
            if (each.identity_id, each.dataset_name) not in refused
        ]
        self._aside += kept[: max(0, ASIDES_SHOWN_MAX - len(self._aside))]
        state = self._state
        self._state = _replace(
            state,
            listed=state.listed + sum(each.names is not None for each in arrivals),
            identities=state.identities + arrived.identities,
            datasets=state.datasets + arrived.datasets,
            records=state.records + arrived.records,
            data_bytes=state.data_bytes + arrived.data_bytes,
            aside=state.aside + len(arrived.asides),
            unclaimed=state.unclaimed + arrived.unclaimed,
        )

    def _fail(self, aside: Aside) -> None:
        self._failed_count += 1
        if len(self._failed) < ASIDES_SHOWN_MAX:
            self._failed.append(aside)
        what = f"'{aside.identity_id}'"
        if aside.dataset_name:
            what = f"dataset '{aside.dataset_name}' of {what}"
        self._watcher.tell(f"not taken: {what}: {aside.reason}")

    async def _retry_unread(self) -> None:
        """Try what could not be read once more, now that all else is done."""
        for number, (identity_id, reason) in enumerate(self._retry.items()):
            try:
                if number >= RETRIED_MAX:
                    raise SourceError(reason)
                found = await self._store.find_imported(self._pool, [identity_id])
                arrivals = await self._source.fetch_identity(
                    identity_id, found.get(identity_id)
                )
            except SourceError as error:
                self._fail(Aside(identity_id, "", str(error)))
            else:
                if arrivals:
                    await self._write(arrivals)
        self._state = _replace(self._state, aside=self._state.aside + len(self._retry))

    async def _settle_disabled(self) -> None:
        """Find who is disabled, and have them lead to who took their place."""
        pass_number = self._state.pass_number
        for text in ("look for disabled identities", "look for them again"):
            if await self._list_not_enabled("") or text.startswith("look for dis"):
                self._watcher.step(text, total=self._state.listed)
                await self._note_enabled(pass_number)
        after = ""
        while ids := await self._list_not_enabled(after):
            arrivals = [
                each
                for identity_id in ids
                if (each := await self._disabled(identity_id, disabled=True))
            ]
            if arrivals:
                await self._write(arrivals)
            after = ids[-1]

    async def _list_not_enabled(self, after: str) -> list[str]:
        return await self._store.list_not_enabled(
            self._pool,
            pass_number=self._state.pass_number,
            after=after,
            limit=100,
        )

    async def _note_enabled(self, pass_number: int) -> None:
        token: str | None = None
        done = 0
        while True:
            page = await self._source.list_identities(token, enabled=True)
            ids = [each.identity_id for each in page.identities]
            await self._store.note_enabled(self._pool, ids, pass_number=pass_number)
            marks = await self._store.find_imported(self._pool, ids)
            back = [
                each
                for identity_id, mark in marks.items()
                if mark.disabled
                and (each := await self._disabled(identity_id, disabled=False))
            ]
            if back:
                await self._write(back)
            done += len(ids)
            self._watcher.at(done, self._state)
            await self._manners.pause(0.0)
            if page.token is None or page.token == token:
                return
            token = page.token

    async def _disabled(self, identity_id: str, *, disabled: bool) -> Arrival | None:
        identity = await self._store.find_identity(identity_id)
        if identity is None or identity.identity_pool_id != self._pool:
            return None
        marks = await self._store.find_imported(self._pool, [identity_id])
        mark = marks.get(identity_id)
        if mark is None or mark.disabled is disabled:
            return None
        row = _replace(
            identity_row(identity),
            last_modified_date_ms=mark.identity_date_ms or 0,
        )
        return Arrival(
            identity_pool_id=self._pool,
            identity_id=identity_id,
            identity=row,
            disabled=disabled,
        )

    async def _report(self) -> None:
        """Note how it goes, for `status` and the metrics."""
        self._reported_s = time.monotonic()
        calls = getattr(self._source, "calls", None)
        requests, throttled = self._before
        if calls is not None:
            self._state = _replace(
                self._state,
                requests=requests + calls.requests,
                throttled=throttled + calls.throttled,
                rate=round(calls.rate, 1),
            )
        self._state = _replace(self._state, updated_ms=self._now_ms())
        state = self._state

        def change(before: ImportState) -> ImportState:
            return _replace(state, follower=before.follower)

        await self._store.change_import(self._pool, change)


def _is_held(folder: Path) -> bool:
    holder = lock.find_holder(folder)
    return holder is not None and holder.is_held


class Manners:
    """How much is written at a time, and how long nothing then."""

    def __init__(
        self,
        settings: Settings,
        *,
        is_held: Callable[[Path], bool] = _is_held,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        """
        Args:
            is_held: says whether a server has a folder.
            cpu_clock: how long this process has computed, in seconds.
        """
        self._folder: Path | None = None if settings.store else settings.data
        self._is_held = is_held
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._looked_s = float("-inf")
        self._computed_s = cpu_clock()
        self._served = False
        self._bytes = POLITE_BYTES

    @property
    def batch_bytes(self) -> int:
        """How much a transaction may hold; one arrival may be larger."""
        return self._bytes if self._is_served() else BATCH_BYTES

    async def pause(self, wrote_s: float) -> None:
        """Let others write, after a transaction that took so long."""
        await asyncio.sleep(self.pause_s(wrote_s))

    def pause_s(self, wrote_s: float) -> float:
        """Say how long to do nothing, and how much to write the next time."""
        before_s, self._computed_s = self._computed_s, self._cpu_clock()
        if not self._is_served():
            return 0.0
        if wrote_s > POLITE_WRITE_S:
            self._bytes = max(self._bytes // 2, POLITE_BYTES_MIN)
        else:
            self._bytes = min(self._bytes + POLITE_BYTES_MIN, POLITE_BYTES)
        # What is read meanwhile waits for what is written, and so is slowed down too.
        busy_s = max(wrote_s, self._computed_s - before_s)
        return max(busy_s * POLITE_PAUSE, POLITE_PAUSE_MIN_S)

    def _is_served(self) -> bool:
        now_s = self._clock()
        if self._folder is not None and now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._served = self._is_held(self._folder)
        return self._served


class _Gathered:
    """Reads a source while something else is done, and gives what has come."""

    def __init__(self, batches: AsyncIterator[Batch], manners: Manners) -> None:
        self._batches = batches
        self._manners = manners
        self._waiting: list[tuple[Batch, int]] = []
        self._size = 0
        self._changed = asyncio.Condition()
        self._over = False
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Gathered:
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        close = getattr(self._batches, "aclose", None)
        if close is not None:
            await close()

    async def take(self) -> tuple[list[Arrival], bytes | None, dict[str, str]]:
        """Give the next arrivals and what follows; nothing at all: it is over."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self._over)
            arrivals: list[Arrival] = []
            position: bytes | None = None
            unreadable: dict[str, str] = {}
            size = taken = 0
            for batch, batch_size in self._waiting:
                if taken and size + batch_size > self._manners.batch_bytes:
                    break
                size += batch_size
                taken += 1
                arrivals += batch.arrivals
                position = batch.position or position
                unreadable |= batch.unreadable
            del self._waiting[:taken]
            self._size -= size
            self._changed.notify_all()
        if not taken:
            assert self._reading is not None
            await self._reading  # or what it failed with
        return arrivals, position, unreadable

    async def _read(self) -> None:
        try:
            async for batch in self._batches:
                size = sum(_size(each) for each in batch.arrivals)
                async with self._changed:
                    self._waiting.append((batch, size))
                    self._size += size
                    self._changed.notify_all()
                    await self._changed.wait_for(lambda: self._size < BATCH_BYTES)
        finally:
            self._over = True
            async with self._changed:
                self._changed.notify_all()


def _size(arrival: Arrival) -> int:
    return 1000 + sum(
        size_of(msgspec.structs.astuple(record))
        for dataset in arrival.datasets
        for record in dataset.records
    )
