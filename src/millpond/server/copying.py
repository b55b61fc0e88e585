"""
Moving everything from one store to another: `millpond store copy`.

Theory of operation
-------------------
Nobody may use either store meanwhile. A data folder is held by its lock; a database
says which servers it has. The target is empty at first and is marked, so that no server
starts on half of it. Kind by kind, page by page, rows go over, each page with the
position behind it, and a copy that was interrupted goes on where it was.

The fingerprint of the source is made of what every write changes (the usage of pools,
the counters). It tells when the source was written to between two runs.

In the end both stores are read again, and counts and checksums compared. Only then the
mark goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from millpond.core.tokens import sessions_expired_by
from millpond.errors import StoreError, StoreInUseError, StoreUnavailableError
from millpond.server import lock, secret_key
from millpond.server.stores import (
    check_backup_is_whole,
    is_there,
    load_postgres,
    make_store,
    prepare_data_folder,
)
from millpond.settings import Settings
from millpond.stores.copying import (
    Checksum,
    CopyMark,
    CopyStore,
    Kind,
    Row,
    SpentSessionRow,
)
from millpond.stores.urls import redacted

PAGE_ROWS: Final = 2000
PAGE_BYTES: Final = 4 * 1024 * 1024  # and one row more; two pages are in memory
_SMALL_KINDS: Final = (Kind.DEVELOPER_KEYS, Kind.TOKEN_KEYS, Kind.IDENTITY_POOLS)
_SCHEMES: Final = ("postgresql://", "postgres://")

_pack = msgspec.msgpack.Encoder().encode


class Place(NamedTuple):
    """Where a store is: a data folder, or the URL of a database."""

    folder: Path | None
    url: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """
        Read a place as the command line names it.

        Raises:
            StoreError: it is a URL of something else.
        """
        if not text:
            raise StoreError("A place is empty; name a data folder or a database.")
        if text.lower().startswith(_SCHEMES):
            return cls(None, text)
        if "://" in text:
            scheme = text.partition("://")[0]
            raise StoreError(
                f"'{scheme}://' is no store; name a data folder or a postgresql:// URL."
            )
        return cls(Path(text).resolve(), "")

    @property
    def name(self) -> str:
        """The place, for people: without a password."""
        if self.folder is not None:
            return str(self.folder)
        load_postgres()  # or it says what to install
        return redacted(self.url)

    @property
    def settings(self) -> Settings:
        """The settings of a server on this store."""
        if self.folder is not None:
            return Settings(data=self.folder)
        return Settings(store=self.url)


class Watcher(Protocol):
    """Is told how a copy goes."""

    def begin(self, step: str, kind: Kind, *, total: int, done: int) -> None:
        """Rows of a kind are about to be copied or compared: about `total` of them."""
        ...

    def advance(self, rows: int) -> None:
        """So many more are done."""
        ...


class Comparison(NamedTuple):
    """What was found of a kind in both stores."""

    kind: Kind
    source: Checksum
    target: Checksum

    @property
    def same(self) -> bool:
        """Whether the rows are the same, sequence numbers aside."""
        return (self.source.count, self.source.text) == (
            self.target.count,
            self.target.text,
        )

    @property
    def renumbered(self) -> bool:
        """Whether stream records have other sequence numbers than before."""
        return self.source.numbers_text != self.target.numbers_text


async def copy_store(
    source: Place,
    target: Place,
    *,
    watcher: Watcher,
    now_ms: int,
    leave_old_sessions: bool = False,
) -> list[Comparison]:
    """
    Copy everything, or go on where it was interrupted, and compare.

    Args:
        leave_old_sessions: see `_refuse_old_sessions`.
    Returns:
        What was found of each kind. When all are the same, the copy is complete.
    Raises:
        StoreError: these stores cannot be copied; the message says why.
    """
    if source == target:
        raise StoreError("A store cannot be copied onto itself.")
    async with contextlib.AsyncExitStack() as stack:
        there = await _open_source(stack, source)
        here = await _open_target(stack, target)
        fingerprint = await _fingerprint(there)
        if not leave_old_sessions and source.folder and target.url:
            await _refuse_old_sessions(there, now_ms=now_ms)
        mark = CopyMark(source=source.name, fingerprint=fingerprint, begun_ms=now_ms)
        await _begin(here, target, mark)
        if source.folder is not None and target.folder is not None:
            try:
                copy_secret_key(source.folder, target.folder)
            except OSError as error:
                raise StoreUnavailableError(
                    f"Cannot copy {secret_key.FILE_NAME}: {error.strerror}."
                ) from error
        with_owner = bool(target.url)
        for kind in Kind:
            await _copy_kind(there, here, kind, watcher, with_owner=with_owner)
        await here.raise_counters(await there.read_counters())
        found = [
            await _compare(there, here, kind, watcher, with_owner=with_owner)
            for kind in Kind
        ]
        # Whoever came meanwhile, in spite of it all.
        await _refuse_servers(there, source)
        await _refuse_servers(here, target)
        if await _fingerprint(there) != fingerprint:
            raise StoreError(_changed(source, target))
        if all(each.same for each in found):
            await here.end_copy()
    return found


async def _open_source(stack: contextlib.AsyncExitStack, place: Place) -> CopyStore:
    try:
        found = await is_there(place.settings)
    except StoreError as error:
        raise type(error)(f"'{place.name}': {error}") from error
    if not found:
        raise StoreError(f"There is no store in '{place.name}'.")
    if place.folder is not None:
        check_backup_is_whole(place.folder)
    store = await _open(stack, place, alone=False)
    if await store.find_copy_mark() is not None:
        raise StoreError(
            f"'{place.name}' is itself the target of a copy that is not complete."
        )
    return store


async def _open_target(stack: contextlib.AsyncExitStack, target: Place) -> CopyStore:
    if target.folder is not None:
        prepare_data_folder(target.settings)
        check_backup_is_whole(target.folder)
    return await _open(stack, target, alone=True)


async def _open(
    stack: contextlib.AsyncExitStack, place: Place, *, alone: bool
) -> CopyStore:
    if place.folder is not None:
        stack.enter_context(lock.hold(place.folder))
    store = make_store(place.settings)
    try:
        await store.open()
    except StoreError as error:
        raise type(error)(f"'{place.name}': {error}") from error
    stack.push_async_callback(store.aclose)
    if not await store.hold_for_copy(alone=alone):
        raise StoreInUseError(f"Another copy uses '{place.name}'.")
    await _refuse_servers(store, place)
    return store


async def _refuse_servers(store: CopyStore, place: Place) -> None:
    servers = await store.count_servers()
    if servers:
        raise StoreInUseError(
            f"{servers} server{'s use' if servers > 1 else ' uses'} '{place.name}'.",
            hint="Stop all of them first; one that was killed counts for eight seconds "
            "more.",
        )


def copy_secret_key(source: Path, target: Path) -> None:
    """
    Copy the file with the master secret, for the owner alone.

    Raises:
        StoreError: there is another one already.
    """
    file = source / secret_key.FILE_NAME
    if not file.exists():
        return
    secret = file.read_bytes()
    copied = target / secret_key.FILE_NAME
    try:
        descriptor = os.open(copied, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        # An earlier run may have ended between making the file and writing it.
        if copied.read_bytes() == secret:
            return
        if copied.stat().st_size:
            raise StoreError(
                f"'{copied}' holds another secret than '{file}', with which the keys "
                "of the store are sealed.",
                hint="Move it away.",
            ) from error
        descriptor = os.open(copied, os.O_WRONLY)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(secret)
        stream.flush()
        os.fsync(stream.fileno())


async def _begin(here: CopyStore, target: Place, mark: CopyMark) -> None:
    """Mark the target, which is empty or was marked by an earlier run."""
    found = await here.find_copy_mark()
    if found is None:
        for kind in Kind:
            if await here.count_rows(kind):
                raise StoreError(
                    f"'{target.name}' is not empty: it holds {kind.replace('_', ' ')}.",
                    hint="Copy into an empty database, or a folder that is not there.",
                )
        await here.begin_copy(mark)
    elif found.source != mark.source:
        raise StoreError(
            f"'{target.name}' is the target of a copy of '{found.source}' that is not "
            "complete.",
            hint="Complete that one, or copy into an empty store.",
        )
    elif found.fingerprint != mark.fingerprint:
        raise StoreError(_changed_text(mark.source, target.name))


def _changed(source: Place, target: Place) -> str:
    return _changed_text(source.name, target.name)


def _changed_text(source: str, target: str) -> str:
    return (
        f"'{source}' was written to since the copy into '{target}' was begun. Stop all "
        "servers, empty the target and begin again."
    )


async def _fingerprint(store: CopyStore) -> str:
    """Sum up what every write changes."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(_pack(await store.read_counters()))
    for kind in _SMALL_KINDS:
        checksum = Checksum(kind)
        await _read(store, kind, checksum.add)
        digest.update(checksum.text.encode())
    return digest.hexdigest()


async def _refuse_old_sessions(there: CopyStore, *, now_ms: int) -> None:
    """
    Refuse marks of sync sessions that do not say whose they are.

    Versions before the one that can copy did not keep it, and a database finds them
    by the identity. They are worth something until the session expires: a client that
    repeats an update is told what it was told before.
    """
    last = b""

    def look(rows: Sequence[Row]) -> None:
        nonlocal last
        for row in rows:
            if isinstance(row, SpentSessionRow) and not row.identity_id:
                last = max(last, row.session_id)

    await _read(there, Kind.SPENT_SESSIONS, look)
    expiry = int.from_bytes(last[: len(sessions_expired_by(0))])
    if last >= sessions_expired_by(now_ms):
        raise StoreError(
            "Some sync sessions were used before this version was installed, and their "
            "marks cannot be moved to a database.",
            hint=f"They expire within {-(-(expiry - now_ms) // 3_600_000)} h: copy "
            "then, or leave them behind with --leave-old-sessions. A client that "
            "repeats such an update would be refused with a conflict.",
        )


def _moving(rows: Sequence[Row], *, with_owner: bool) -> Sequence[Row]:
    """Leave out marks of sessions without an owner, where they are found by it."""
    if not with_owner:
        return rows
    return [
        row
        for row in rows
        if not isinstance(row, SpentSessionRow) or row.identity_id != ""
    ]


async def _copy_kind(
    there: CopyStore, here: CopyStore, kind: Kind, watcher: Watcher, *, with_owner: bool
) -> None:
    after = await here.find_copy_position(kind)
    done = await here.count_rows(kind) if after is not None else 0
    total = await there.count_rows(kind)
    watcher.begin("copy", kind, total=total, done=done)

    async def export(after: bytes | None) -> tuple[Sequence[Row], bytes]:
        page = await there.export(
            kind, after=after, limit=PAGE_ROWS, bytes_max=PAGE_BYTES
        )
        return page.rows, page.position

    rows, position = await export(after)
    while rows:
        # The next page is read while this one is written.
        following = asyncio.create_task(export(position))
        try:
            moving = _moving(rows, with_owner=with_owner)
            await here.import_(kind, moving, position=position)
        except BaseException:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            raise
        watcher.advance(len(rows))
        rows, position = await following


async def _compare(
    there: CopyStore, here: CopyStore, kind: Kind, watcher: Watcher, *, with_owner: bool
) -> Comparison:
    comparison = Comparison(kind, Checksum(kind), Checksum(kind))
    watcher.begin("compare", kind, total=await here.count_rows(kind), done=0)

    def add_source(rows: Sequence[Row]) -> None:
        comparison.source.add(_moving(rows, with_owner=with_owner))

    def add_target(rows: Sequence[Row]) -> None:
        comparison.target.add(rows)
        watcher.advance(len(rows))

    await asyncio.gather(_read(there, kind, add_source), _read(here, kind, add_target))
    return comparison


async def _read(
    store: CopyStore, kind: Kind, take: Callable[[Sequence[Row]], None]
) -> None:
    """Read all rows of a kind, page by page."""
    after: bytes | None = None
    while True:
        page = await store.export(
            kind, after=after, limit=PAGE_ROWS, bytes_max=PAGE_BYTES
        )
        if not page.rows:
            return
        take(page.rows)
        after = page.position
