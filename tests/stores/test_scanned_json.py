"""The JSON that SQLite makes of a dataset is what the rules would have encoded."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from millpond.core.bulk_publish import Position, whole_pool
from millpond.core.streaming import EncodedRecord, KinesisSyncRecord, StreamRecord
from millpond.core.sync import DatasetId
from millpond.sinks.file_format import decode_line, encode_lines
from millpond.stores.base import DatasetSnapshot
from millpond.stores.sqlite import FILE_NAME, SqliteStore
from millpond.testing.store_contract.bench import ALICE, NOW_MS, POOL, a_pool, put
from millpond.workers.bulk_publish_pages import to_page
from millpond.workers.delivery import Room

ROOM = Room(10, 2**23)
AWKWARD = "".join(map(chr, range(0xA1))) + "\u2028\ufeff\uffff\U0001f9c0\U0010ffff"
TEXTS = st.text(max_size=40) | st.text(alphabet=AWKWARD, max_size=40)
MIB = 2**20


class Seen:
    """A store, and what a bulk publish would read of a dataset that is put into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(folder)
        self._loop = asyncio.Runner()
        self._numbers = itertools.count()
        self._loop.run(self._open())

    async def _open(self) -> None:
        await self.store.open()
        await self.store.create_identity_pool(a_pool(), pools_max=1)

    def put(self, values: dict[str, str]) -> DatasetSnapshot:
        """Put a dataset behind all others, and read it."""
        name = f"{next(self._numbers):09}"
        self._loop.run(put(self.store, DatasetId(POOL, ALICE, name), values))
        return self.read(behind=f"{int(name) - 1:09}")

    def read(self, behind: str) -> DatasetSnapshot:
        """Read the dataset behind another one."""
        position = Position(ALICE, behind)
        (found,) = self._loop.run(
            self.store.scan_datasets(
                whole_pool(POOL), position=position, limit=2, bytes_max=2**24
            )
        )
        return found

    def close(self) -> None:
        """Close the store."""
        self._loop.run(self.store.aclose())
        self._loop.close()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    opened = Seen(tmp_path_factory.mktemp("scanned"))
    yield opened
    opened.close()


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXTS, TEXTS, max_size=5))
@example({chr(n): f"{chr(n)}x{chr(n)}" for n in range(0xA1)})
@example({"k": (AWKWARD * MIB)[:MIB], AWKWARD: ""})
@example({"k": '\\"' * (MIB // 2), '",': '","', "\\": "\\"})
@example({"k": "\0" * MIB, "\0": "\0", "": ""})
def test_any_text_is_encoded_as_the_rules_do(
    seen: Seen, values: dict[str, str]
) -> None:
    """The same text comes out, of UTF-8 on one line: a file takes it as it is."""
    snapshot = seen.put(values)

    wanted = [
        KinesisSyncRecord(key, values[key], 1, NOW_MS, NOW_MS, "replace")
        for key in sorted(values)
    ]
    decoded = msgspec.json.decode(snapshot.records_json, type=list[KinesisSyncRecord])
    assert decoded == wanted
    (record,) = to_page(whole_pool(POOL), [snapshot], ROOM).records
    assert type(record) is EncodedRecord
    line = encode_lines([record])
    assert line == encode_lines([StreamRecord(record.partition_key, record.data)])
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    "text", [b"\xed\xa0\x80", b"a\xed\xb0\x80b", b"\xff", b"\xf0\x9f", b"\xc0\x80"]
)
def test_what_is_no_text_goes_as_bytes(seen: Seen, text: bytes) -> None:
    """SQLite lets other programs write surrogates and worse; no line breaks by it."""
    name = seen.put({"k": "v", "l": "w"}).dataset_name
    with apsw.Connection(str(seen.folder / FILE_NAME)) as beside:
        beside.execute(
            "UPDATE records SET value = CAST(? AS TEXT) WHERE record_key = 'k' AND "
            "dataset_number = (SELECT max(dataset_number) FROM records)",
            (text,),
        )

    snapshot = seen.read(behind=f"{int(name) - 1:09}")

    (record,) = to_page(whole_pool(POOL), [snapshot], ROOM).records
    assert type(record) is StreamRecord
    assert b'"value":"%b"' % text in record.data
    line = encode_lines([record])
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode_line(line[:-1]).data == record.data
