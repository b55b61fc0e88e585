"""Files of Firehose are read whole, in their order, and on where it was."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from millpond.aws import Place
from millpond.core.sync import SyncLimits
from millpond.errors import SourceError, SourceRefusedError
from millpond.sources import files as files_module
from millpond.sources.base import Batch, nothing_known
from millpond.sources.files import FilesSource
from millpond.sources.places import Bucket, Folder
from sinks.faulty_kinesis import CREDENTIALS
from sinks.moto_server import Moto
from sources.events import OTHER_POOL, POOL, encoded, event, identity

YEAR_2025_S = 1_750_000_000


def write(path: Path, data: bytes, *, modified_s: int = YEAR_2025_S) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (modified_s, modified_s))


def of_folder(path: Path) -> FilesSource:
    return FilesSource(POOL, Folder(path), limits=SyncLimits())


async def read(one: FilesSource, after: bytes | None = None) -> list[Batch]:
    return [each async for each in one.read(after, nothing_known)]


def counts(batches: list[Batch]) -> list[tuple[str, int]]:
    return [
        (each.identity_id, dataset.row.sync_count)
        for batch in batches
        for each in batch.arrivals
        for dataset in each.datasets
    ]


def faults(batches: list[Batch]) -> dict[str, str]:
    return {name: why for batch in batches for name, why in batch.unreadable.items()}


def test_files_of_all_forms(tmp_path: Path) -> None:
    """Packed or not, in folders, with repeats; what cannot be read is named once."""
    write(tmp_path / "2025/06/b-1", gzip.compress(encoded(event(1, 2), event(2, 1))))
    write(
        tmp_path / "2025/06/a-1.gz", encoded(event(1, 1)) + b"\n" + encoded(event(1, 1))
    )
    write(
        tmp_path / "2025/06/c-1",
        encoded(event(3, 1)) + b"torn\n" + encoded(event(3, 2)),
    )
    write(tmp_path / "2025/06/d.csv", b"time,key\n1,2\n")
    write(tmp_path / "2025/06/e", encoded(event(1, 9, identityPoolId=OTHER_POOL)) * 3)
    write(tmp_path / "2025/06/empty", b"")

    batches = asyncio.run(read(of_folder(tmp_path)))

    one, two, three = (identity(n) for n in (1, 2, 3))
    assert counts(batches) == [
        *((one, 1), (one, 1), (one, 2), (two, 1), (three, 1), (three, 2)),
    ]
    found = faults(batches)
    assert set(found) == {
        "2025/06/c-1",
        "2025/06/d.csv",
        f"2025/06/e, identity pool {OTHER_POOL}",
    }
    assert "a piece cannot be read; piece 2" in found["2025/06/c-1"]
    assert "no stream record" in found["2025/06/d.csv"]
    assert found[f"2025/06/e, identity pool {OTHER_POOL}"].startswith("3 records")


def test_goes_on_behind_any_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a file and between files; nothing is missing, whoever reads on."""
    monkeypatch.setattr(files_module, "EVENTS_MAX", 2)
    for name in "abc":
        events = [event(ord(name), n) for n in range(1, 6)]
        write(tmp_path / name, encoded(*events))
    batches = asyncio.run(read(of_folder(tmp_path)))
    everything = counts(batches)
    assert len(everything) == 15
    for number, batch in enumerate(batches[:-1]):
        if batch.position is None:
            continue
        rest = counts(asyncio.run(read(of_folder(tmp_path), batch.position)))
        assert counts(batches[: number + 1]) + rest == everything


def test_later_files_come_with_the_next_reading(tmp_path: Path) -> None:
    """Those that are put before others by their names, and those that were changed."""
    write(tmp_path / "m", encoded(event(1, 1)), modified_s=YEAR_2025_S)
    one = of_folder(tmp_path)
    position = asyncio.run(read(one))[-1].position
    assert counts(asyncio.run(read(one, position))) == []
    write(tmp_path / "a", encoded(event(2, 1)), modified_s=YEAR_2025_S + 60)
    write(tmp_path / "m", encoded(event(1, 2)), modified_s=YEAR_2025_S + 61)
    later = counts(asyncio.run(read(one, position)))
    assert later == [(identity(2), 1), (identity(1), 2)]
    other = of_folder(tmp_path)  # another process does not know what was read
    assert set(later) <= set(counts(asyncio.run(read(other, position))))


def test_no_such_folder(tmp_path: Path) -> None:
    """That is said with its name."""
    with pytest.raises(SourceError, match="nowhere"):
        asyncio.run(read(of_folder(tmp_path / "nowhere")))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """A bucket of S3, in moto: its client and its endpoint."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(Moto()) as moto:
        client = boto3.client("s3", region_name="us-east-1", endpoint_url=moto.url)
        client.create_bucket(Bucket="backup")
        yield client, moto.url


def of_bucket(endpoint_url: str, name: str = "backup") -> FilesSource:
    place = Place("us-east-1")
    files = Bucket(name, "changes/", place, endpoint_url=endpoint_url)
    return FilesSource(POOL, files, limits=SyncLimits())


def test_a_bucket(bucket: tuple[Any, str]) -> None:
    """Objects below a prefix, more of them than a page holds, are read as files are."""
    client, endpoint_url = bucket
    for number in range(1, 4):
        body = gzip.compress(encoded(*(event(number, n) for n in range(1, 30))))
        client.put_object(Bucket="backup", Key=f"changes/2025/{number}", Body=body)
    client.put_object(Bucket="backup", Key="changes/2025/", Body=b"")
    client.put_object(Bucket="backup", Key="others/1", Body=encoded(event(9, 1)))

    async def scene() -> None:
        one = of_bucket(endpoint_url)
        batches = await read(one)
        assert len(counts(batches)) == 3 * 29
        assert faults(batches) == {}
        assert counts(await read(one, batches[-1].position)) == []
        await one.aclose()
        other = of_bucket(endpoint_url, "nobodys-bucket")
        with pytest.raises(SourceError, match="nobodys-bucket"):
            await read(other)
        await other.aclose()

    asyncio.run(scene())


def test_a_connection_that_is_lost_within_an_object() -> None:
    """The rest is asked for, behind what was read."""
    from botocore.exceptions import IncompleteReadError

    from millpond.sources.places import _Body

    data = bytes(range(256)) * 4

    class Torn:
        def __init__(self, start: int) -> None:
            self.at, self.left = start, 300

        def read(self, size: int) -> bytes:
            if self.left <= 0:
                raise IncompleteReadError(actual_bytes=0, expected_bytes=1)
            some = data[self.at : self.at + min(size, self.left)]
            self.at, self.left = self.at + len(some), self.left - len(some)
            return some

        def close(self) -> None:
            pass

    body = _Body(Torn(0), len(data), Torn)
    found = b""
    while some := body.read(100):
        found += some
    assert found == data


def test_rights_are_named() -> None:
    """Who may not read is told which action is missing."""
    from millpond.errors import AwsError

    bucket = Bucket("backup", "", Place(None), endpoint_url="http://127.0.0.1:1")
    refused = bucket._refused(AwsError("no", code="AccessDenied"), "s3:ListBucket")
    assert isinstance(refused, SourceRefusedError)
    assert refused.action == "s3:ListBucket"
