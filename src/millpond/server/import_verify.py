"""
Comparing what came with its source: per identity, a digest of everything on both sides.

What was written here since it came is ours, and is told apart; so is what the source
has changed since. A digest is over counts, dates, authors, keys and values.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from millpond.core.ownership import Taken
from millpond.errors import SourceError
from millpond.server.importing import MovingStore
from millpond.sources.base import PoolSource, nothing_known
from millpond.stores.importing import (
    Arrival,
    ArrivingDataset,
    ImportedIdentity,
)

PARALLEL: Final = 8
SHOWN_MAX: Final = 1000

_encode = msgspec.msgpack.Encoder().encode


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not the same on both sides."""

    identity_id: str
    dataset_name: str  # empty: the identity itself
    reason: str


class Verification(msgspec.Struct, kw_only=True):
    """
    What was found.

    Args:
        ours: datasets that were written here, and so are not compared.
        differences: some of them, by name; `different` counts all.
        digests: of identities that differ, there and here.
    """

    identities: int = 0
    same: int = 0
    datasets: int = 0
    records: int = 0
    ours: int = 0
    different: int = 0
    differences: list[Difference] = []
    digests: dict[str, tuple[str, str]] = {}


async def verify_pool(
    store: MovingStore,
    source: PoolSource,
    identity_pool_id: str,
    *,
    sample: int | None,
    progress: Callable[[int], None],
) -> Verification:
    """
    Compare all identities, or some that are drawn.

    Raises:
        SourceError: the source cannot be read, or nothing was imported.
    """
    if await store.find_import(identity_pool_id) is None:
        raise SourceError(
            f"Nothing of identity pool '{identity_pool_id}' was imported here.",
            hint="'millpond import copy' begins with it.",
        )
    await source.describe_pool()
    found = Verification(differences=[], digests={})
    identities = (
        _all(source, found)
        if sample is None
        else _drawn(store, source, identity_pool_id, sample, found)
    )
    async for identity_id, parts in identities:
        marks = await store.find_imported(identity_pool_id, [identity_id])
        here = await store.find_arrival(identity_pool_id, identity_id)
        _compare(identity_id, parts, here, marks.get(identity_id), found)
        progress(found.identities)
    if sample is None:
        await _find_gone(store, source, identity_pool_id, found)
    return found


async def _all(
    source: PoolSource, found: Verification
) -> AsyncIterator[tuple[str, list[Arrival]]]:
    parts: dict[str, list[Arrival]] = {}
    async for batch in source.read(None, nothing_known):
        for each in batch.arrivals:
            parts.setdefault(each.identity_id, []).append(each)
            if each.names is not None:
                yield each.identity_id, parts.pop(each.identity_id)
        for identity_id, reason in batch.unreadable.items():
            _note(found, identity_id, "", f"cannot be read there: {reason}")


async def _drawn(
    store: MovingStore, source: PoolSource, pool: str, count: int, found: Verification
) -> AsyncIterator[tuple[str, list[Arrival]]]:
    region = pool.partition(":")[0]
    ids: dict[str, None] = {}
    for _ in range(count * 2):
        if len(ids) >= count:
            break
        start = f"{region}:{uuid.UUID(int=random.getrandbits(128))}"
        rows = await store.list_imported(pool, after=start, limit=1)
        rows = rows or await store.list_imported(pool, after="", limit=1)
        ids |= {identity_id: None for identity_id, _ in rows}
    waiting = list(ids)
    while waiting:
        some, waiting = waiting[:PARALLEL], waiting[PARALLEL:]
        fetched = await asyncio.gather(
            *(source.fetch_identity(each) for each in some), return_exceptions=True
        )
        for identity_id, parts in zip(some, fetched, strict=True):
            if isinstance(parts, SourceError):
                _note(found, identity_id, "", f"cannot be read there: {parts}")
            elif isinstance(parts, BaseException):
                raise parts
            elif not parts:
                _note(found, identity_id, "", "is not there any more")
            else:
                yield identity_id, parts


def _compare(
    identity_id: str,
    parts: list[Arrival],
    here: Arrival | None,
    mark: ImportedIdentity | None,
    found: Verification,
) -> None:
    found.identities += 1
    before = found.different
    there = {each.row.dataset_name: each for part in parts for each in part.datasets}
    refused = {name: why for part in parts for name, why in part.asides.items()}
    mine = {each.row.dataset_name: each for each in here.datasets} if here else {}
    taken = mark.datasets if mark is not None else {}
    if mark is None or not mark.is_done:
        _note(found, identity_id, "", "did not come yet")
    elif mark.identity_date_ms is not None and (here is None or here.identity is None):
        _note(found, identity_id, "", "was deleted here")
    for name, reason in sorted(refused.items()):
        _note(found, identity_id, name, f"cannot be taken: {reason}")
    sums = (hashlib.sha256(), hashlib.sha256())
    for name, dataset in sorted(there.items()):
        known, own = taken.get(name), mine.get(name)
        found.datasets += 1
        found.records += len(dataset.records)
        was_taken = known is not None and known.sync_count > 0
        if own is not None and (
            not was_taken
            or (known is not None and own.row.sync_count != known.sync_count)
        ):
            found.ours += 1
            continue
        if known is not None:
            dataset = _lifted(dataset, known)
        sums[0].update(_digest(dataset))
        if own is None or not own.row.live:
            _note(found, identity_id, name, "is not here")
            continue
        sums[1].update(_digest(own))
        follows = known is not None and known.floor > 0
        reason = _why_different(dataset, own, follows=follows)
        if reason:
            _note(found, identity_id, name, reason)
    for name, own in sorted(mine.items()):
        known = taken.get(name)
        if not own.row.live or name in there or name in refused or known is None:
            continue
        if own.row.sync_count == known.sync_count:
            _note(found, identity_id, name, "is not there any more")
    if found.different == before:
        found.same += 1
    elif len(found.digests) < SHOWN_MAX:
        found.digests[identity_id] = (sums[0].hexdigest(), sums[1].hexdigest())


def _digest(dataset: ArrivingDataset) -> bytes:
    total = hashlib.sha256(_encode(dataset.row))
    for record in sorted(dataset.records, key=lambda each: each.record_key):
        total.update(_encode(record))
    return total.digest()


def _lifted(dataset: ArrivingDataset, known: Taken) -> ArrivingDataset:
    """Give a dataset with the counts that it has here (`core.ownership`)."""
    if not known.lift:
        return dataset
    return msgspec.structs.replace(
        dataset,
        row=msgspec.structs.replace(
            dataset.row, sync_count=dataset.row.sync_count + known.lift
        ),
        records=[
            msgspec.structs.replace(each, sync_count=each.sync_count + known.lift)
            for each in dataset.records
        ],
    )


def _why_different(
    there: ArrivingDataset, here: ArrivingDataset, *, follows: bool
) -> str:
    """
    Say what differs first; empty: nothing does.

    Args:
        follows: it follows another one here, which is dead, and tells of that.
    """
    if there.row.sync_count != here.row.sync_count:
        return (
            f"has the sync count {there.row.sync_count} there and "
            f"{here.row.sync_count} here"
        )
    theirs = {each.record_key: each for each in there.records}
    mine = {each.record_key: each for each in here.records}
    expired = {
        key
        for key, each in theirs.items()
        if each.value is None
        and key not in mine
        and each.sync_count <= here.row.horizon
    }
    for key in sorted({*theirs, *mine} - expired):
        if theirs.get(key) != mine.get(key):
            return f"record '{key[:64]}' is not the same"
    for member in there.row.__struct_fields__:
        one, other = getattr(there.row, member), getattr(here.row, member)
        if member == "horizon" and (expired or follows):
            continue  # it tells of what expired or died here
        if one != other:
            return f"{member} is {one} there and {other} here"
    return ""


async def _find_gone(
    store: MovingStore, source: PoolSource, pool: str, found: Verification
) -> None:
    """Find identities that came, and that the last pass did not see any more."""
    state = await store.find_import(pool)
    assert state is not None
    after = ""
    while rows := await store.list_imported(pool, after=after, limit=500):
        after = rows[-1][0]
        for identity_id, mark in rows:
            if not mark.is_done or mark.pass_number >= state.pass_number:
                continue
            if not await source.fetch_identity(identity_id):
                _note(found, identity_id, "", "is not there any more")


def _note(found: Verification, identity_id: str, name: str, reason: str) -> None:
    found.different += 1
    if len(found.differences) < SHOWN_MAX:
        found.differences.append(
            Difference(identity_id=identity_id, dataset_name=name, reason=reason)
        )
