"""Objects are found in files of any form and size, and what is none is counted."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.sources import pieces
from millpond.sources.pieces import read_pieces

ONE: Final = {"identityPoolId": "p", "value": 'a}{\n"b\\\u2028é', "list": [{"k": 1}]}
TWO: Final[dict[str, Any]] = {"n": -12.5e3, "word": None, "deep": {"a": {"b": []}}}


class Trickle(io.RawIOBase):
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(self._step, size) if size > 0 else self._step)


def found(data: bytes) -> list[dict[str, Any] | None]:
    return [each.members for each in read_pieces(io.BytesIO(data))]


def encoded(*objects: object, between: str = "") -> bytes:
    return between.join(json.dumps(each) for each in objects).encode()


@pytest.mark.parametrize("between", ["", "\n", "\r\n", " \n\n ", "\x1e"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_forms(between: str, pack: Any) -> None:
    """Objects follow each other with anything blank between them, packed or not."""
    data = pack(encoded(ONE, TWO, ONE, between=between))
    assert found(data) == [ONE, TWO, ONE]


@given(st.integers(1, 40), st.booleans())
def test_cut_anywhere(step: int, packed: bool) -> None:
    """However few bytes come at a time, the objects are the same."""
    data = encoded(ONE, TWO, {"x": "\U0001f9c0"}, ONE)
    file = Trickle(gzip.compress(data) if packed else data, step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CHUNK_BYTES", 7)
        assert [e.members for e in read_pieces(file)] == [  # type: ignore[arg-type]
            *(ONE, TWO, {"x": "\U0001f9c0"}, ONE),
        ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b" \n ", []),
        (b"time,key\n1,2\n3,4\n", [None]),
        (b"\x89PNG\r\n\x1a\n\x00\x00" + bytes(range(256)) * 9, [None]),
        (b"[1, 2]", [None]),
        (b"garbage\n" + encoded(ONE), [None, ONE]),
        (encoded(ONE) + b"garbage" + encoded(TWO), [ONE, None]),
        (encoded(ONE) + b"garbage\n" + encoded(TWO), [ONE, None, TWO]),
        (encoded(ONE) + b"}" + encoded(TWO), [ONE, None, TWO]),
        (encoded(ONE)[:-9] + b"\n" + encoded(TWO), [None, TWO]),
        (encoded(ONE, TWO)[:-4], [ONE, None]),
        (b'{"a": ' * 200_000 + b"\n" + encoded(TWO), [None, TWO]),
        (b'{"a": 1' + b"9" * 9000 + b"}\n" + encoded(TWO), [None, TWO]),
        (gzip.compress(encoded(ONE) * 50)[:-9], [ONE] * 50 + [None]),
        (gzip.compress(encoded(ONE)) + gzip.compress(encoded(TWO)), [ONE, TWO]),
        (b"\x1f\x8bno gzip at all", [None]),
        (b"\x1f", [None]),
    ],
)
def test_garbage(data: bytes, expected: list[dict[str, Any] | None]) -> None:
    """What is no object counts once, and the objects behind it are found."""
    assert found(data) == expected


def test_memory() -> None:
    """A large file takes no more memory than a small one."""

    class Endless(io.RawIOBase):
        left = 60_000

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            self.left -= 1000
            return encoded(ONE, between="") * 1000 if self.left >= 0 else b""

    tracemalloc.start()
    try:
        file: Any = Endless()
        count = len([True for _ in read_pieces(file)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60_000
    assert peak < 8 * 1024 * 1024


def test_long_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that is too long is passed over, in memory that is bounded."""
    monkeypatch.setattr(pieces, "OBJECT_CHARS_MAX", 1000)
    monkeypatch.setattr(pieces, "CHUNK_BYTES", 100)
    data = b'{"a": "' + b"x" * 50_000 + b'"}\n' + encoded(TWO)
    assert found(data) == [None, TWO]
