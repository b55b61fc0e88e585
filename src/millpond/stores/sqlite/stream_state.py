"""
What a consumer of a stream has read so far, in a temporary file.

It serves one check and is then thrown away, so nothing in it is made durable; being a
file, it holds millions of records in little memory. Values do not go into it, only
their digests. All methods block.

The tables are made with the file and go with it, so there are no migrations, and the
statements stand here and not with those of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from millpond.core.stream_comparison import (
    Difference,
    Kept,
    Kind,
    compare_records,
    digest,
)
from millpond.core.stream_consumer import KnownDataset, ReadEvent, ReadRecord, take
from millpond.stores.sqlite.database import map_driver_errors

CACHE_KIB: Final = 32 * 1024

_encode = msgspec.json.Encoder().encode

_CREATE_DATASETS: Final = """
CREATE TABLE datasets (
    dataset_number INTEGER PRIMARY KEY,
    identity_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    seen INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    checked INTEGER NOT NULL DEFAULT 0, -- compared with that of the pool
    UNIQUE (identity_id, dataset_name)
) STRICT
"""
_CREATE_RECORDS: Final = """
CREATE TABLE records (
    dataset_number INTEGER NOT NULL,
    record_key TEXT NOT NULL,
    sync_count INTEGER NOT NULL,
    digest BLOB, -- of its value; NULL: it was removed
    PRIMARY KEY (dataset_number, record_key)
) STRICT, WITHOUT ROWID
"""
_CREATE_DIFFERENCES: Final = """
CREATE TABLE differences (
    kind TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    record_key TEXT NOT NULL, -- empty: the dataset as a whole; no key is
    PRIMARY KEY (identity_id, dataset_name, record_key)
) STRICT, WITHOUT ROWID
"""
_FIND_DATASET: Final = """
SELECT dataset_number, seen, removed FROM datasets
WHERE identity_id = ? AND dataset_name = ?
"""
_FIND_SYNC_COUNTS: Final = """
SELECT record_key, sync_count FROM records
WHERE dataset_number = ? AND record_key IN (SELECT value FROM json_each(?))
"""
_PUT_DATASET: Final = """
INSERT INTO datasets (identity_id, dataset_name, seen, removed) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET seen = excluded.seen, removed = excluded.removed
RETURNING dataset_number
"""
_DROP_RECORDS: Final = """
DELETE FROM records WHERE dataset_number = ? AND sync_count <= ?
"""
_PUT_RECORD: Final = """
INSERT INTO records (dataset_number, record_key, sync_count, digest) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET sync_count = excluded.sync_count, digest = excluded.digest
"""
_COUNT_CONTENTS: Final = """
SELECT (SELECT count(*) FROM datasets WHERE seen > removed), (
    SELECT count(*) FROM records JOIN datasets USING (dataset_number)
    WHERE digest IS NOT NULL AND seen > removed
)
"""
_CHECK_DATASET: Final = """
UPDATE datasets SET checked = 1 WHERE identity_id = ? AND dataset_name = ?
RETURNING dataset_number, seen, removed
"""
_LIST_RECORDS: Final = """
SELECT record_key, sync_count, digest FROM records WHERE dataset_number = ?
"""
_FORGET_DIFFERENCES: Final = """
DELETE FROM differences WHERE identity_id = ? AND dataset_name = ?
"""
_NOTE_DIFFERENCE: Final = """
INSERT INTO differences (kind, identity_id, dataset_name, record_key)
VALUES (?, ?, ?, coalesce(?, ''))
"""
_NOTE_UNKNOWN: Final = """
INSERT INTO differences (kind, identity_id, dataset_name, record_key)
SELECT ?, identity_id, dataset_name, '' FROM datasets
WHERE checked = 0 AND seen > removed
"""
_COUNT_DIFFERENCES: Final = """
SELECT count(*) FROM differences
"""
_LIST_DIFFERENCES: Final = """
SELECT kind, identity_id, dataset_name, nullif(record_key, '') FROM differences
ORDER BY identity_id, dataset_name, record_key LIMIT ?
"""
_LIST_DIFFERING: Final = """
SELECT DISTINCT identity_id, dataset_name FROM differences
ORDER BY identity_id, dataset_name LIMIT ?
"""


class Arrived(NamedTuple):
    """An event with its records, from behind its link if it had one."""

    event: ReadEvent
    records: Sequence[ReadRecord]


class Contents(NamedTuple):
    """How much a consumer has."""

    datasets: int
    records: int


class LiveDataset(NamedTuple):
    """A dataset of the pool as it is now; without records it may not exist at all."""

    identity_id: str
    dataset_name: str
    exists: bool
    records: Sequence[ReadRecord]  # live ones


class StreamState:
    """The consumer's datasets and records, and where they differ from the pool's."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: a file that is not there yet, in a folder for its owner alone.
        """
        with map_driver_errors("open the consumer's state"):
            self._db = apsw.Connection(str(path))
            self._db.pragma("journal_mode", "off")
            self._db.pragma("synchronous", "off")
            self._db.pragma("cache_size", -CACHE_KIB)
            self._rows(_CREATE_DATASETS)
            self._rows(_CREATE_RECORDS)
            self._rows(_CREATE_DIFFERENCES)

    def _rows(self, sql: str, row: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(sql, row).fetchall()

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._db.close()

    def take(self, arrived: Iterable[Arrived]) -> int:
        """Take events in; say how many of them were repeats."""
        repeats = 0
        with map_driver_errors("write the consumer's state"), self._db:
            repeats = sum(not self._take(*each) for each in arrived)
        return repeats

    def contents(self) -> Contents:
        """Count the live datasets and their live records."""
        with map_driver_errors("read the consumer's state"):
            return Contents(*self._rows(_COUNT_CONTENTS)[0])

    def compare(self, datasets: Iterable[LiveDataset]) -> None:
        """Compare datasets of the pool, and note what is different about each now."""
        with map_driver_errors("write the consumer's state"), self._db:
            for each in datasets:
                names = (each.identity_id, each.dataset_name)
                self._rows(_FORGET_DIFFERENCES, names)
                self._note(names, self._differences(each))

    def note_unknown(self) -> None:
        """Note the datasets that are alive here and were not compared."""
        with map_driver_errors("write the consumer's state"), self._db:
            self._rows(_NOTE_UNKNOWN, (Kind.RESURRECTED,))

    def count_differences(self) -> int:
        """Count what is different."""
        with map_driver_errors("read the consumer's state"):
            return int(self._rows(_COUNT_DIFFERENCES)[0][0])

    def list_differences(self, limit: int) -> list[Difference]:
        """List the first differences, by identity, dataset and key."""
        with map_driver_errors("read the consumer's state"):
            rows = self._rows(_LIST_DIFFERENCES, (limit,))
        return [Difference(Kind(row[0]), *row[1:]) for row in rows]

    def list_differing(self, limit: int) -> list[tuple[str, str]]:
        """List datasets with differences: identity id and name."""
        with map_driver_errors("read the consumer's state"):
            return list(self._rows(_LIST_DIFFERING, (limit,)))

    def _take(self, event: ReadEvent, records: Sequence[ReadRecord]) -> bool:
        names = (event.identity_id, event.data_set_name)
        found = self._rows(_FIND_DATASET, names)
        number, *marks = found[0] if found else (None,)
        counts: dict[str, int] = {}
        if number is not None and records:
            keys = _encode([each.key for each in records]).decode()
            counts = dict(self._rows(_FIND_SYNC_COUNTS, (number, keys)))
        news = take(event, records, known=KnownDataset(*marks), sync_counts=counts)
        if news is None:
            return False
        row = (*names, news.dataset.seen, news.dataset.removed)
        ((number,),) = self._rows(_PUT_DATASET, row)
        if news.drop_up_to:
            self._rows(_DROP_RECORDS, (number, news.drop_up_to))
        self._db.executemany(
            _PUT_RECORD,
            [
                (number, each.key, each.sync_count, digest(each.value))
                for each in news.records
            ],
        )
        return True

    def _differences(self, live: LiveDataset) -> Iterator[tuple[Kind, str | None]]:
        names = (live.identity_id, live.dataset_name)
        found = self._rows(_CHECK_DATASET, names)
        number, seen, removed = found[0] if found else (None, 0, 0)
        if not live.exists:
            if seen > removed:
                yield Kind.RESURRECTED, None
        elif number is None:
            yield Kind.MISSING, None
        elif seen <= removed:
            # Its deletion is the last thing that the stream has told.
            yield Kind.MISSING, None
        else:
            rows = self._rows(_LIST_RECORDS, (number,))
            kept = {key: Kept(count, value) for key, count, value in rows}
            yield from compare_records(live.records, kept)

    def _note(
        self, names: tuple[str, str], found: Iterable[tuple[Kind, str | None]]
    ) -> None:
        rows = [(kind, *names, key) for kind, key in found]
        if rows:
            self._db.executemany(_NOTE_DIFFERENCE, rows)
