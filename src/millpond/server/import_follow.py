"""
Following a pool that is still being written to elsewhere: `millpond import follow`.

Theory of operation
-------------------
Where there is a feed, the pool's stream or files of it, what it gives is written as it
comes, and the position goes into the same transaction: who was killed goes on where he
was. An update says only what it touched. Where something before it is missing, or the
identity is not here yet, and the API can be asked, the whole identity is fetched
instead, behind what the update said.

Without a feed the API is asked again. A whole pass finds everything (and costs a call
for each identity); between two of them the identities that changed last are looked at,
the last one first, for who has played today plays on.

Neither writes over what was written here (`core.ownership`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from millpond.core import ownership
from millpond.core.ownership import is_gapless
from millpond.errors import SourceError, SourceRefusedError
from millpond.server.importing import (
    Manners,
    MovingStore,
    Outcome,
    Watcher,
    copy_pool,
    limits_of,
)
from millpond.settings import Settings
from millpond.sources.api_calls import ApiRefusedError
from millpond.sources.base import Batch, PoolSource, Source, nothing_known
from millpond.stores.importing import (
    Arrival,
    Arrived,
    ArrivingDataset,
    Aside,
    ImportedIdentity,
    ImportState,
)
from millpond.stores.settling import state_of

REPORT_S: Final = 2.0  # between two notes of how it goes
RETRY_S: Final = 5.0  # after a feed failed
RECENT_MAX: Final = 1000  # identities that are looked at between two passes
RECENT_MS: Final = 24 * 3600 * 1000
ROUND_S: Final = 15.0  # between two looks at the same one, at least
SHOWN_MAX: Final = 1000

_replace = msgspec.structs.replace


class Followed(msgspec.Struct, kw_only=True):
    """
    What came of following.

    Args:
        events: updates that the feed gave, or identities that were looked at.
        fetched: identities that were fetched whole, because something was missing.
        unreadable: pieces of the feed that say nothing of this pool, by name.
        passes: over the whole source.
    """

    events: int = 0
    fetched: int = 0
    datasets: int = 0
    records: int = 0
    aside: list[Aside] = []
    aside_count: int = 0
    unreadable: dict[str, str] = {}
    unreadable_count: int = 0
    passes: int = 0
    lag_s: float = 0.0
    rate: float = 0.0


class Follower:
    """Follows one pool."""

    def __init__(
        self,
        store: MovingStore,
        identity_pool_id: str,
        *,
        api: PoolSource | None,
        feed: Source | None,
        settings: Settings,
        watcher: Watcher,
        now_ms: Callable[[], int],
        interval_s: float,
        once: bool = False,
    ) -> None:
        """
        Args:
            api, feed: at least one of them.
            interval_s: between two readings of a feed that was read to its end, or two
                passes over the API.
            once: stop when nothing is left to take for now.
        """
        self.found = Followed()
        self._store = store
        self._pool = identity_pool_id
        self._api = api
        self._feed = feed
        self._settings = settings
        self._watcher = watcher
        self._now_ms = now_ms
        self._interval_s = interval_s
        self._once = once
        self._manners = Manners(settings)
        self._decide = partial(ownership.decide, limits=limits_of(settings))
        self._began_s = time.monotonic()
        self._reported_s = 0.0

    async def run(self) -> None:
        """
        Follow until cancelled, or until there is nothing left.

        Raises:
            SourceError: the source says no, or a single reading of it fails.
            StoreError: the store cannot be written.
        """
        if self._feed is None:
            await self._ask()
        else:
            await self._read(self._feed)

    # --- A feed -----------------------------------------------------------------------

    async def _read(self, feed: Source) -> None:
        await self._begin(feed)
        self._watcher.step(f"follow {feed.name}", total=0)
        while True:
            position = await self._store.find_import_position(self._pool, feed.kind)
            try:
                async for batch in feed.read(position, nothing_known):
                    await self._take(feed, batch)
            except SourceError as error:
                if self._once or isinstance(error, SourceRefusedError):
                    raise
                self._watcher.tell(f"{error} It is tried again.")
                await asyncio.sleep(RETRY_S)
                continue
            self.found.lag_s = 0.0
            await self._report(force=True)
            if self._once:
                return
            await asyncio.sleep(self._interval_s)

    async def _begin(self, feed: Source) -> None:
        """Note that something moves in; where the pool is not here, make it."""
        if await self._store.find_import(self._pool) is not None:
            return
        if self._api is not None:
            described = (await self._api.describe_pool()).pool
        else:
            found = await self._store.find_identity_pool(self._pool)
            if found is None:
                raise SourceError(
                    f"There is no identity pool '{self._pool}' here, and a feed does "
                    "not tell what it is like.",
                    hint="Begin with 'millpond import copy', or name the API as well.",
                )
            described = found
        state = ImportState(identity_pool_id=self._pool, source=feed.name)
        begun = await self._store.begin_import(
            described, state, pools_max=self._settings.identity_pools_max
        )
        if begun is None:
            raise SourceError(
                f"Identity pool '{self._pool}' is here, is not empty, and did not come "
                "from an import. Nothing was written."
            )

    async def _take(self, feed: Source, batch: Batch) -> None:
        self._note_unreadable(batch.unreadable)
        arrivals = await self._complete(batch.arrivals)
        position = None
        if batch.position is not None:
            position = (feed.kind, batch.position)
        await self._write(arrivals, position)
        self.found.events += len(batch.arrivals)
        behind_ms = getattr(feed, "behind_ms", None)
        self.found.lag_s = (
            self._lag_of(batch) if behind_ms is None else behind_ms / 1000
        )
        await self._report()

    def _lag_of(self, batch: Batch) -> float:
        dates = [
            dataset.row.last_modified_date_ms
            for each in batch.arrivals
            for dataset in each.datasets
        ]
        return max(0.0, (self._now_ms() - max(dates)) / 1000) if dates else 0.0

    async def _complete(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Put whole identities behind updates that are not enough by themselves."""
        if self._api is None or not arrivals:
            return list(arrivals)
        ids = {each.identity_id for each in arrivals}
        marks = await self._store.find_imported(self._pool, ids)
        lacking = [
            identity_id
            for identity_id in sorted(ids)
            if _lacks(
                marks.get(identity_id),
                (each for each in arrivals if each.identity_id == identity_id),
            )
        ]
        found = list(arrivals)
        for identity_id in lacking:
            known = _without_gaps(marks.get(identity_id), arrivals)
            try:
                fetched = await self._api.fetch_identity(identity_id, known)
            except ApiRefusedError as error:
                # One that is refused for good must not hold up all the others.
                self._note_unreadable({identity_id: str(error)})
                continue
            found += fetched
            self.found.fetched += bool(fetched)
        return found

    # --- Asking the API ---------------------------------------------------------------

    async def _ask(self) -> None:
        assert self._api is not None
        while True:
            outcome = await copy_pool(
                self._store,
                self._api,
                self._pool,
                settings=self._settings,
                watcher=self._watcher,
                now_ms=self._now_ms,
            )
            self._note_pass(outcome)
            await self._report(force=True)
            if self._once:
                return
            until_s = time.monotonic() + self._interval_s
            recent = await self._find_recent()
            while time.monotonic() < until_s:
                round_s = time.monotonic() + ROUND_S
                await self._look_at(self._api, recent, until_s)
                pause_s = min(round_s, until_s) - time.monotonic()
                await asyncio.sleep(max(0.0, pause_s))

    def _note_pass(self, outcome: Outcome) -> None:
        self.found.passes += 1
        self.found.events += outcome.state.listed
        self.found.datasets += outcome.state.datasets
        self.found.records += outcome.state.records
        self._note_asides(outcome.aside)
        self._note_unreadable(
            {f"{e.identity_id} {e.dataset_name}": e.reason for e in outcome.failed}
        )

    async def _find_recent(self) -> list[str]:
        """Find the identities that changed last, the last one first."""
        since_ms = self._now_ms() - RECENT_MS
        recent: list[tuple[int, str]] = []
        after = ""
        while marks := await self._store.list_imported(
            self._pool, after=after, limit=500
        ):
            after = marks[-1][0]
            for identity_id, mark in marks:
                changed_ms = max(
                    (each.modified_ms for each in mark.datasets.values()), default=0
                )
                if changed_ms >= since_ms and not mark.disabled:
                    recent.append((changed_ms, identity_id))
            if len(recent) > 4 * RECENT_MAX:
                recent = sorted(recent, reverse=True)[:RECENT_MAX]
            await asyncio.sleep(0)
        return [each for _, each in sorted(recent, reverse=True)[:RECENT_MAX]]

    async def _look_at(self, api: PoolSource, ids: list[str], until_s: float) -> None:
        """Fetch what has changed of identities."""
        for identity_id in ids:
            if time.monotonic() >= until_s:
                return
            marks = await self._store.find_imported(self._pool, [identity_id])
            try:
                arrivals = await api.fetch_identity(identity_id, marks.get(identity_id))
            except SourceError as error:
                self._note_unreadable({identity_id: str(error)})
                continue
            self.found.events += 1
            await self._write(arrivals, None)
            await self._report()

    # --- Both -------------------------------------------------------------------------

    async def _write(
        self, arrivals: Sequence[Arrival], position: tuple[str, bytes] | None
    ) -> None:
        if not arrivals and position is None:
            return
        began_s = time.monotonic()
        arrived = await self._store.arrive(
            self._pool,
            arrivals,
            self._decide,
            pass_number=1,
            now_ms=self._now_ms(),
            position=position,
        )
        if arrived is None:
            raise SourceError(f"Identity pool '{self._pool}' was deleted here.")
        self._note(arrived)
        await self._manners.pause(time.monotonic() - began_s)

    def _note(self, arrived: Arrived) -> None:
        self.found.datasets += arrived.datasets
        self.found.records += arrived.records
        self._note_asides(arrived.asides)

    def _note_asides(self, asides: Iterable[Aside]) -> None:
        for each in asides:
            self.found.aside_count += 1
            if len(self.found.aside) < SHOWN_MAX:
                self.found.aside.append(each)
            name = each.dataset_name
            what = (
                f"dataset '{name}' of '{each.identity_id}'"
                if name
                else each.identity_id
            )
            self._watcher.tell(f"set aside: {what}: {each.reason}")

    def _note_unreadable(self, unreadable: Mapping[str, str]) -> None:
        for name, reason in unreadable.items():
            self.found.unreadable_count += 1
            if len(self.found.unreadable) < SHOWN_MAX:
                self.found.unreadable[name] = reason
            self._watcher.tell(f"passed over: {name}: {reason}")

    async def _report(self, *, force: bool = False) -> None:
        """Note how it goes, for `status` and the metrics."""
        now_s = time.monotonic()
        if not force and now_s - self._reported_s < REPORT_S:
            return
        self._reported_s = now_s
        found = self.found
        found.rate = round(found.events / max(now_s - self._began_s, 0.001), 1)
        follower = {
            "lag_seconds": round(found.lag_s, 1),
            "events": float(found.events),
            "rate": found.rate,
            "datasets": float(found.datasets),
            "aside": float(found.aside_count),
            "unreadable": float(found.unreadable_count),
        }

        def change(state: ImportState) -> ImportState:
            return _replace(state, follower=follower)

        await self._store.change_import(self._pool, change)
        at: Any = getattr(self._watcher, "count", None)
        if at is not None:
            at(found.events)


def _lacks(mark: ImportedIdentity | None, arrivals: Iterable[Arrival]) -> bool:
    """Say whether something is missing before these updates of an identity."""
    if mark is None or not mark.is_done:
        return True
    taken = dict(mark.datasets)
    for arrival in arrivals:
        if arrival.asides:
            return True  # the API may have what the feed does not
        for dataset in arrival.datasets:
            name, row = dataset.row.dataset_name, dataset.row
            if row.live and not is_gapless(taken.get(name), state_of(row)):
                return True
            taken[name] = _as_if_taken(taken.get(name), dataset)
    return False


def _as_if_taken(
    taken: ownership.Taken | None, dataset: ArrivingDataset
) -> ownership.Taken:
    """Give the mark as it is behind an update, as far as gaps are concerned."""
    before = taken or ownership.Taken()
    count = max(before.whole_to, dataset.row.sync_count)
    return _replace(before, whole_to=count)


def _without_gaps(
    mark: ImportedIdentity | None, arrivals: Iterable[Arrival]
) -> ImportedIdentity | None:
    """Forget what was known of datasets of which updates came: they are read again."""
    if mark is None:
        return None
    names = {dataset.row.dataset_name for e in arrivals for dataset in e.datasets}
    datasets = {
        name: _replace(taken, seen_date_ms=0) if name in names else taken
        for name, taken in mark.datasets.items()
    }
    return _replace(mark, datasets=datasets)
