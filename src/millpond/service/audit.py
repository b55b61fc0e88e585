"""
The audit: who changed what, when and from where, and how that went.

Theory of operation. What a developer key or a session of the console changes leaves an
entry, and the entry is durable before the change is answered. It names things (pool,
identity, dataset, stream), never what is in them: no values, secrets or tokens.

Some operations are called for each user or each record (`Operation.frequent`). Their
changes are merged: the first one of a key, an operation and a dataset leaves an entry
at once, those that follow within `WINDOW_MS` are counted in memory, and the count is
written within a second. `NAMED_MAX` datasets have entries of their own in that time,
all others have one together; so a script that goes through every user costs the store a
few rows a second, however fast it is. A kill of the server loses what was counted in
the last second and no entry.

What was refused or failed is merged in the same way, and kept with the frequent ones:
nobody pushes out what was done by asking for what is not allowed.

Memory is bounded by `TALLIES_MAX` entries that are still counted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from millpond.contract.shapes import Operation
from millpond.errors import ServiceException, StoreError
from millpond.service.callers import Caller
from millpond.stores.base import AuditEntry, AuditStore

OK: Final = "OK"
INTERRUPTED: Final = "Interrupted"
"""The caller went away before the answer; it may have been done."""

WINDOW_MS: Final = 60_000
NAMED_MAX: Final = 32
TALLIES_MAX: Final = 4096  # some 1,000 bytes each
ENTRIES_AT_ONCE: Final = 256  # written in one transaction
NAME_CHARS_MAX: Final = 256
TARGET_CHARS_MAX: Final = 4096  # room for the ids of 60 identities
_TIME_CHARS: Final = 12
_RANDOM_BYTES: Final = 8

_log = structlog.get_logger()
_Names = tuple[str, str, str, str]  # pool, identity, dataset, target
_Group = tuple[str, str, str, str, str]  # key, origin, operation, result, pool


class Tally:
    """An entry that may come to stand for more changes."""

    __slots__ = ("changes", "entry", "last_ms")

    def __init__(self, entry: AuditEntry) -> None:
        self.entry = entry
        self.changes = entry.changes
        self.last_ms = entry.last_ms

    def add(self, now_ms: int) -> None:
        self.changes += 1
        self.last_ms = max(self.last_ms, now_ms)

    def read(self) -> AuditEntry:
        return msgspec.structs.replace(
            self.entry, changes=self.changes, last_ms=self.last_ms
        )


class _Window:
    """What one group has changed of late."""

    __slots__ = ("began_ms", "tallies")

    def __init__(self, began_ms: int) -> None:
        self.began_ms = began_ms
        self.tallies: dict[_Names, Tally] = {}


class AuditBook:
    """Makes entries of changes, and sees to it that the store has them."""

    def __init__(
        self,
        store: AuditStore,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._numbers = itertools.count()
        self._last_ms = 0
        self._windows: dict[_Group, _Window] = {}
        self._counted = 0  # tallies in all windows
        self._unwritten: dict[str, Tally] = {}  # by entry id

    async def note(
        self,
        caller: Caller,
        *,
        operation: str,
        identity_pool_id: str = "",
        identity_id: str = "",
        dataset_name: str = "",
        target: str = "",
        result: str = OK,
        frequent: bool = False,
    ) -> None:
        """
        Note what a caller did; it is durable when this returns.

        Args:
            operation: its name, or that of an action that is no operation.
            target: what was changed, where the other names do not say it.
            result: `OK`, or the code of the error.
            frequent: whether it may be merged with others of its kind.
        Raises:
            StoreError: it is not kept; what failed anyhow is not told of again.
        """
        names = (
            identity_pool_id[:NAME_CHARS_MAX],
            identity_id[:NAME_CHARS_MAX],
            dataset_name[:NAME_CHARS_MAX],
            target[:TARGET_CHARS_MAX],
        )
        if result == OK and not frequent:
            entry = self._make(caller, operation, names, result, frequent=False)
            await self._store.put_audit_entries([entry])
            return
        tally = self._merge(caller, operation, names, result)
        if tally is None:
            return
        try:
            await self._store.put_audit_entries([tally.entry])
        except StoreError as error:
            self._write_later(tally)
            if result == OK:
                raise
            _log.warning("audit.not_kept", error=str(error))

    def make(
        self, caller: Caller, operation: str, names: _Names, *, frequent: bool
    ) -> AuditEntry:
        """Make the entry of a call that is about to be made, as if it succeeded."""
        own = caller.scope.identity_pool_id
        names = (names[0] or own or "", *names[1:])
        return self._make(caller, operation, names, OK, frequent=frequent)

    def find_tally(self, caller: Caller, operation: str, names: _Names) -> Tally | None:
        """Find what counts further changes of this kind; None: this one is new."""
        window = self._windows.get(_group(caller, operation, OK, names))
        if window is None or not 0 <= self._now_ms() - window.began_ms < WINDOW_MS:
            return None
        tally = window.tallies.get(names)
        if tally is None and len(window.tallies) >= NAMED_MAX:
            tally = window.tallies.get((names[0], "", "", ""))
        return tally

    def count(self, tally: Tally) -> None:
        """Count one more change; it is written within a second."""
        tally.add(self._now_ms())
        self._write_later(tally)

    async def keep_first(
        self, caller: Caller, entry: AuditEntry, names: _Names, *, is_kept: bool
    ) -> None:
        """
        Let an entry stand for further changes of its kind.

        Args:
            names: with what the answer named.
            is_kept: whether the store has the entry as it was made.
        Raises:
            StoreError: the store had it not, and takes it not.
        """
        group = _group(caller, entry.operation, OK, names)
        now_ms = self._now_ms()
        window = self._windows.get(group)
        if window is None or not 0 <= now_ms - window.began_ms < WINDOW_MS:
            window = self._open(group, now_ms)
        tally = window.tallies.get(names)
        is_of_rest = tally is None and len(window.tallies) >= NAMED_MAX
        if is_of_rest:
            names = (names[0], "", "", "")
            tally = window.tallies.get(names)
        if tally is not None and not is_kept:
            self.count(tally)
            return
        named = _named(entry, names)
        if is_of_rest:  # it stands for all others
            named = msgspec.structs.replace(named, dataset_name="", target="")
        if tally is None:
            window.tallies[names] = Tally(named)
            self._counted += 1
        if not is_kept or named.identity_id != entry.identity_id:
            await self._store.put_audit_entries([named])

    async def note_names(
        self, caller: Caller, operation: str, names: _Names, result: str
    ) -> None:
        """Note what failed; as `note`."""
        pool, identity, dataset, target = names
        await self.note(
            caller,
            operation=operation,
            identity_pool_id=pool,
            identity_id=identity,
            dataset_name=dataset,
            target=target,
            result=result,
        )

    async def keep_more(self, entry: AuditEntry, identity_ids: Sequence[str]) -> None:
        """
        Let identities be found that a call was about beside the one of its entry.

        Raises:
            StoreError: they are not kept.
        """
        more = [
            msgspec.structs.replace(
                entry,
                entry_id=self._new_id(entry.time_ms),
                identity_id=each[:NAME_CHARS_MAX],
                target="",
                frequent=True,  # what is done to users pushes out nothing else
            )
            for each in identity_ids
        ]
        if more:
            await self._store.put_audit_entries(more)

    async def amend(self, entry: AuditEntry) -> None:
        """Write how a call ended that failed; whoever made it is told of that alone."""
        try:
            await self._store.put_audit_entries([entry])
        except StoreError as error:
            self._write_later(Tally(entry))
            _log.warning("audit.not_kept", error=str(error))

    def note_later(
        self, caller: Caller, *, operation: str, names: _Names, result: str
    ) -> None:
        """Note what a caller did, within a second; for who cannot wait."""
        tally = self._merge(caller, operation, names, result)
        if tally is not None:
            self._write_later(tally)

    def forget(self) -> None:
        """Drop what is counted and not written, and what it is merged with."""
        self._windows.clear()
        self._unwritten.clear()
        self._counted = 0

    async def flush(self) -> None:
        """
        Write what was counted.

        Raises:
            StoreError: it is written the next time.
        """
        while self._unwritten:
            ids = [*itertools.islice(self._unwritten, ENTRIES_AT_ONCE)]
            tallies = [self._unwritten.pop(each) for each in ids]
            try:
                await self._store.put_audit_entries([each.read() for each in tallies])
            except BaseException:
                for each in tallies:
                    self._write_later(each)
                raise

    def _merge(
        self, caller: Caller, operation: str, names: _Names, result: str
    ) -> Tally | None:
        """Count a change; give what stands for it when that is new."""
        now_ms = self._now_ms()
        group = _group(caller, operation, result, names)
        window = self._windows.get(group)
        if window is None or not 0 <= now_ms - window.began_ms < WINDOW_MS:
            window = self._open(group, now_ms)
        tally = window.tallies.get(names)
        if tally is None and len(window.tallies) >= NAMED_MAX:
            names = (group[-1], "", "", "")  # all others together
            tally = window.tallies.get(names)
        if tally is not None:
            tally.add(now_ms)
            self._write_later(tally)
            return None
        tally = Tally(self._make(caller, operation, names, result, frequent=True))
        window.tallies[names] = tally
        self._counted += 1
        return tally

    def _open(self, group: _Group, now_ms: int) -> _Window:
        """Begin to count anew; what was counted before is on its way."""
        before = self._windows.pop(group, None)
        if before is not None:
            self._counted -= len(before.tallies)
        if self._counted + NAMED_MAX >= TALLIES_MAX:
            self._windows.clear()
            self._counted = 0
        window = self._windows[group] = _Window(now_ms)
        return window

    def _write_later(self, tally: Tally) -> None:
        # A store that takes nothing for long must not fill the memory.
        if len(self._unwritten) < TALLIES_MAX:
            self._unwritten[tally.entry.entry_id] = tally

    def _make(
        self,
        caller: Caller,
        operation: str,
        names: _Names,
        result: str,
        *,
        frequent: bool,
    ) -> AuditEntry:
        whence = caller.whence
        now_ms = self._now_ms()
        identity_pool_id, identity_id, dataset_name, target = names
        return AuditEntry(
            entry_id=self._new_id(now_ms),
            time_ms=now_ms,
            last_ms=now_ms,
            frequent=frequent,
            origin=whence.origin,
            access_key_id=caller.access_key_id[:NAME_CHARS_MAX],
            caller_name=caller.scope.name[:NAME_CHARS_MAX],
            operation=operation,
            identity_pool_id=identity_pool_id,
            identity_id=identity_id,
            dataset_name=dataset_name,
            target=target,
            address=whence.address[:NAME_CHARS_MAX],
            user_agent=whence.user_agent[:NAME_CHARS_MAX],
            request_id=whence.request_id[:NAME_CHARS_MAX],
            result=result,
        )

    def _new_id(self, now_ms: int) -> str:
        """Make an id behind all that were made here; no other server makes it."""
        self._last_ms = max(self._last_ms, now_ms)
        number = next(self._numbers) & 0xFFFF_FFFF
        tail = self._random_bytes(_RANDOM_BYTES).hex()
        return f"{self._last_ms:0{_TIME_CHARS}x}{number:08x}{tail}"


def _group(caller: Caller, operation: str, result: str, names: _Names) -> _Group:
    """Say with which others a change is counted."""
    pool = names[0] if result == OK else ""
    return caller.access_key_id, caller.whence.origin, operation, result, pool


_TARGETS: Final = (
    "resource_arn",
    "stream_arn",
    "stream_name",
    "consumer_arn",
    "consumer_name",
    "identity_pool_name",
    "device_id",
)
_OF_POOL: Final = ":identitypool/"  # in the ARN of one


def make_namer(operation: Operation) -> Callable[..., _Names]:
    """
    Make what names what a call is about: pool, identity, dataset, and what else there
    is. It takes the request and, where it is there, the answer.
    """
    given = operation.request.__struct_fields__
    told = () if operation.response is None else operation.response.__struct_fields__
    if {"identity_pool_id", "identity_id", "dataset_name"} <= {*given}:

        def name_dataset(request: Any, response: Any = None) -> _Names:
            return (
                request.identity_pool_id,
                request.identity_id,
                request.dataset_name,
                "",
            )

        return name_dataset

    def find(name: str, request: Any, response: Any) -> str:
        value = getattr(request, name, None) if name in given else None
        if value is None and name in told:
            value = getattr(response, name, None)
        return value if isinstance(value, str) else ""

    def name_any(request: Any, response: Any = None) -> _Names:
        targets = (find(each, request, response) for each in _TARGETS)
        target = next(filter(None, targets), "")
        identity_id = find("identity_id", request, response)
        deleted = _deleted(request)
        if deleted:
            identity_id = deleted[0]
            target = " ".join(deleted) if len(deleted) > 1 else ""
        pool = find("identity_pool_id", request, response)
        if not pool and _OF_POOL in target:
            pool = target.partition(_OF_POOL)[2]
        return pool[:NAME_CHARS_MAX], identity_id, "", target[:TARGET_CHARS_MAX]

    return name_any


def _deleted(request: Any) -> list[str]:
    """List the identities that a request deletes, each once."""
    return [*dict.fromkeys(getattr(request, "identity_ids_to_delete", None) or ())]


def result_of(error: Exception) -> str:
    """Give the code under which an error is answered."""
    if isinstance(error, ServiceException):
        return type(error).__name__
    return "InternalErrorException"


def noting(
    operation: Operation,
    call: Callable[[Any, Caller, Any], Awaitable[Any]],
) -> Callable[[Any, Caller, Any], Awaitable[Any]]:
    """
    Have the calls of an operation that changes something leave entries, where they are
    a developer's: in the transaction of the first change where the store can do that,
    else behind it, and before the answer.

    Args:
        call: takes the context, the caller and the request.
    """
    name_of = make_namer(operation)
    name, frequent = operation.name, operation.frequent

    async def call_and_note(context: Any, caller: Caller, request: Any) -> Any:
        if caller.session is not None:
            return await call(context, caller, request)
        book: AuditBook = context.audit
        names = name_of(request)
        tally = book.find_tally(caller, name, names) if frequent else None
        if tally is None:
            return await note_first(context, caller, request, names)
        try:
            response = await call(context, caller, request)
        except Exception as error:
            await book.note_names(caller, name, names, result_of(error))
            raise
        except asyncio.CancelledError:
            book.note_later(caller, operation=name, names=names, result=INTERRUPTED)
            raise
        book.count(tally)
        return response

    async def note_first(
        context: Any, caller: Caller, request: Any, names: _Names
    ) -> Any:
        book: AuditBook = context.audit
        entry = book.make(caller, name, names, frequent=frequent)
        with context.store.taking_along(entry) as along:
            try:
                response = await call(context, caller, request)
            except Exception as error:
                result = result_of(error)
                if along.is_kept:  # a part of it may have been done
                    failed = msgspec.structs.replace(entry, result=result)
                    await book.amend(failed)  # its target has them all
                else:
                    await book.note_names(caller, name, names, result)
                raise
            except asyncio.CancelledError:
                if not along.is_kept:
                    book.note_later(
                        caller, operation=name, names=names, result=INTERRUPTED
                    )
                raise
        named = name_of(request, response)
        if frequent:
            await book.keep_first(caller, entry, named, is_kept=along.is_kept)
        elif named != names or not along.is_kept:
            await context.store.put_audit_entries([_named(entry, named)])
        await book.keep_more(entry, _deleted(request)[1:])
        return response

    return call_and_note


def _named(entry: AuditEntry, names: _Names) -> AuditEntry:
    """Put into an entry what only the answer named."""
    return msgspec.structs.replace(
        entry,
        identity_pool_id=names[0] or entry.identity_pool_id,
        identity_id=names[1],
    )
