"""What cannot be followed is said in a line, and nothing is written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from millpond.cli import importing
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import POOL, UNKNOWN_POOL, a_pool


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with one pool."""
    folder = tmp_path / "data"
    folder.mkdir()

    async def make() -> None:
        store = SqliteStore(folder)
        await store.open()
        assert await store.create_identity_pool(a_pool(), pools_max=9)
        await store.aclose()

    asyncio.run(make())
    return folder


@pytest.mark.parametrize(
    ("pool", "words", "told"),
    [
        (POOL, ["--no-api"], "leaves nothing to read"),
        (POOL, ["--stream", "kinesis://a", "--files", "b"], "give one of them"),
        (POOL, ["--stream", "nats://a", "--no-api"], "kinesis://"),
        (POOL, ["--files", "/nowhere", "--no-api"], "/nowhere"),
        (POOL, ["--files", "s3://", "--no-api"], "s3://BUCKET"),
        (POOL, ["--interval", "-1"], "--interval"),
        (UNKNOWN_POOL, ["--files", ".", "--no-api"], "There is no identity pool"),
        (POOL.upper(), ["--files", ".", "--no-api"], f"There may be '{POOL}'"),
    ],
)
def test_what_cannot_be_followed(
    data: Path,
    capsys: pytest.CaptureFixture[str],
    pool: str,
    words: list[str],
    told: str,
) -> None:
    """Each is refused with what to do."""
    given = ["follow", pool, "--once", "--data", str(data), *words]
    assert importing.main(given) == 1
    printed = capsys.readouterr()
    assert told in printed.err
    assert not printed.out

    async def look() -> None:
        store = SqliteStore(data)
        await store.open()
        assert await store.find_arrival(POOL, POOL) is None
        await store.aclose()

    asyncio.run(look())
