"""
Looking a store over: `millpond store verify`.

Steps, each over the whole store: the structure of its files; that every row can be read
and decoded; that counts fit the records, and that nothing hangs on what is not there;
that secrets can be opened. Servers may go on meanwhile. What a stretch shows is looked
at again before it is believed: a cluster does not read all of its nodes at one moment.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from millpond.core.bulk_publish import BulkPublishRun
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync import StoredRecord
from millpond.errors import SettingsError, StoreError, StoreUnavailableError
from millpond.service.damage import is_damage
from millpond.service.developer_keys import SecretSealer
from millpond.stores.copying import (
    ROWS,
    BulkPublishRunRow,
    DeveloperKeyRow,
    IdentityPoolRow,
    ImportedIdentityRow,
    ImportRow,
    Kind,
    Row,
    SpentSessionRow,
    StreamConsumerRow,
    StreamRow,
    TokenKeyRow,
)
from millpond.stores.importing import ImportedIdentity, ImportState
from millpond.stores.verification import Check, Fault, FaultKind, Step, VerifyStore

PAGE_ROWS: Final = 1000
PAGE_BYTES: Final = 4 * 1024 * 1024
FILE_FAULTS_MAX: Final = 20  # SQLite lists what follows from the first ones, too
NAMES_MAX: Final = 4  # the longest key: identity, pool, dataset and record key
UNREADABLE_MAX: Final = 100  # rows of one table; then the rest of it is not read

MENDS: Final[Mapping[FaultKind, str]] = {
    FaultKind.DAMAGED_FILE: "Stop the server and put a backup back (`millpond store "
    "backup` makes them). Without one: `millpond store copy` takes along what can be "
    "read.",
    FaultKind.UNREADABLE_ROW: "Delete what it belongs to (`millpond identity delete`), "
    "or put a backup back.",
    FaultKind.UNREADABLE_REST: "Put a backup back.",
    FaultKind.WRONG_COUNT: "The dataset can be used. Its next deletion sets it right, "
    "or `millpond identity delete`.",
    FaultKind.RECORD_AHEAD: "Devices may be refused: delete the dataset "
    "(`millpond cognito-sync delete-dataset`), and devices write it anew.",
    FaultKind.WRONG_USAGE: "Only DescribeIdentityPoolUsage is wrong.",
    FaultKind.ORPHAN: "It does no harm; nothing reads it.",
    FaultKind.SEALED_KEY: "Start with the secret it was sealed with. If that is lost: "
    "`millpond key create` and `millpond key delete`, or `millpond token-key rotate`.",
}
"""What mends a fault, for people."""


class Watcher(Protocol):
    """Is told how it goes."""

    def begin(self, text: str, *, total: int) -> None:
        """A step begins; `total` is about how many rows it has."""
        ...

    def advance(self, rows: int) -> None:
        """So many more rows were looked at."""
        ...


async def verify_store(
    store: VerifyStore,
    watcher: Watcher,
    *,
    sealers: Mapping[Kind, SecretSealer],
) -> AsyncIterator[Fault]:
    """
    Look everything over, and yield what is wrong as it is found.

    Args:
        sealers: open developer keys and token keys; of a kind that is not there, the
            secrets are not looked at.
    Raises:
        StoreUnavailableError: the store does not answer.
    """
    for name in store.list_files():
        watcher.begin(f"structure of {name}", total=1)
        try:
            for fault in await store.check_file(name, faults_max=FILE_FAULTS_MAX):
                yield fault
        except Exception as error:
            yield _fault_of(error, FaultKind.DAMAGED_FILE, name)
        watcher.advance(1)
    for kind in Kind:
        async for fault in _read_rows(store, kind, watcher, sealers.get(kind)):
            yield fault
    for check in store.checks:
        try:
            async for fault in _walk(store, check, watcher):
                yield fault
        except Exception as error:
            yield _fault_of(error, FaultKind.UNREADABLE_REST, check.table.value)
    watcher.begin("usage of pools", total=1)
    try:
        first = await store.check_usage()
        if first:
            again = await store.check_usage()
            for fault in first:
                if fault in again:  # by its figures, too: a busy pool's go on
                    yield fault
    except Exception as error:
        yield _fault_of(error, FaultKind.UNREADABLE_REST, Kind.DATASETS.value)
    watcher.advance(1)


def _fault_of(error: Exception, kind: FaultKind, table: str) -> Fault:
    """Make a fault of an error that is about what is stored; raise any other."""
    if not _is_fault(error):
        raise error
    return Fault(kind, table, "", _say(error))


def _in_both(first: Iterable[Fault], second: Iterable[Fault]) -> list[Fault]:
    again = {(each.kind, each.table, each.row) for each in second}
    return [each for each in first if each[:3] in again]


async def _walk(
    store: VerifyStore, check: Check, watcher: Watcher
) -> AsyncIterator[Fault]:
    """Go through a table, stretch by stretch."""
    total = await store.count_rows(check.table)
    watcher.begin(check.name, total=total)
    position: bytes | None = None
    while True:
        step: Step = await store.check(check, position, rows_max=PAGE_ROWS)
        if step.faults:
            again = await store.check(check, position, rows_max=PAGE_ROWS)
            for fault in _in_both(step.faults, again.faults):
                yield fault
        watcher.advance(PAGE_ROWS)
        position = step.position
        if position is None:
            return


async def _read_rows(
    store: VerifyStore, kind: Kind, watcher: Watcher, sealer: SecretSealer | None
) -> AsyncIterator[Fault]:
    """Read every row of a kind, and pass over those that cannot be read."""
    try:
        watcher.begin(
            f"rows of {kind.value.replace('_', ' ')}",
            total=await store.count_rows(kind),
        )
    except Exception as error:
        yield _fault_of(error, FaultKind.UNREADABLE_REST, kind.value)
        return
    position: bytes | None = None
    limit, unreadable = PAGE_ROWS, 0
    while True:
        try:
            page = await store.export(
                kind, after=position, limit=limit, bytes_max=PAGE_BYTES
            )
        except Exception as error:
            if not _is_fault(error):
                raise
            if limit > 1:  # the row is among these: nearer, step by step
                limit = max(1, limit // 8)
                continue
            unreadable += 1
            behind = await _skip(store, kind, position)
            if behind is None or unreadable > UNREADABLE_MAX:
                yield Fault(FaultKind.UNREADABLE_REST, kind.value, "", _say(error))
                return
            yield Fault(
                FaultKind.UNREADABLE_ROW, kind.value, _spell(behind), _say(error)
            )
            position, limit = behind, PAGE_ROWS
            continue
        for fault in _look_at(kind, page.rows, sealer):
            yield fault
        watcher.advance(len(page.rows))
        if not page.rows:
            return
        position = page.position
        limit = min(PAGE_ROWS, limit * 2)


async def _skip(store: VerifyStore, kind: Kind, after: bytes | None) -> bytes | None:
    try:
        return await store.skip_row(kind, after)
    except Exception as error:
        if not _is_fault(error):
            raise
        return None


def _is_fault(error: Exception) -> bool:
    """Say whether an error is about what is stored, not about whether it answers."""
    if isinstance(error, StoreError):
        return not isinstance(error, StoreUnavailableError)
    return is_damage(error)


def _say(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, StoreError) else str(error)


def _spell(position: bytes) -> str:
    """Spell the key of a row for people."""
    key = msgspec.msgpack.decode(position)
    return " ".join(
        each.hex() if isinstance(each, bytes) else f"{each}" for each in key
    )


_json = msgspec.json.decode
_DECODED: Final[Mapping[type[Row], Callable[[Any], object]]] = {
    IdentityPoolRow: lambda row: _json(row.description, type=IdentityPool),
    BulkPublishRunRow: lambda row: _json(row.run, type=BulkPublishRun),
    SpentSessionRow: lambda row: (
        row.amended and _json(row.amended, type=list[StoredRecord])
    ),
    ImportRow: lambda row: _json(row.state, type=ImportState),
    ImportedIdentityRow: lambda row: _json(row.mark, type=ImportedIdentity),
    StreamRow: lambda row: row.tags and _json(row.tags, type=dict[str, str]),
    StreamConsumerRow: lambda row: row.tags and _json(row.tags, type=dict[str, str]),
}
"""What is a text or bytes in a row and more than that to those who read it."""


def _look_at(
    kind: Kind, rows: Sequence[Row], sealer: SecretSealer | None
) -> Iterable[Fault]:
    decode = _DECODED.get(ROWS[kind])
    for row in rows:
        try:
            # Types first: a store may hold anything where a row says text.
            msgspec.convert(msgspec.structs.astuple(row), ROWS[kind])
            if decode is not None:
                decode(row)
            if sealer is not None:
                _open(row, sealer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            yield Fault(FaultKind.UNREADABLE_ROW, kind.value, _name(row), str(error))
        except SettingsError:
            text = "it cannot be opened with the secret that is here"
            yield Fault(FaultKind.SEALED_KEY, kind.value, _name(row), text)


def _open(row: Row, sealer: SecretSealer) -> None:
    """Open the secret of a row; a SettingsError says that it cannot be."""
    if isinstance(row, DeveloperKeyRow):
        sealer.open(row.sealed_secret, access_key_id=row.access_key_id)
    elif isinstance(row, TokenKeyRow):
        sealer.open(row.sealed_private_key, access_key_id=row.key_id)


def _name(row: Row) -> str:
    """Name a row by the texts that it begins with; a secret is none of them."""
    values = msgspec.structs.astuple(row)[:NAMES_MAX]
    names = [*itertools.takewhile(lambda each: isinstance(each, str), values)]
    return " ".join(names or [f"{values[0]}"])
