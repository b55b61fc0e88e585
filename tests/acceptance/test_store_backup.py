"""`millpond store backup`: a backup that is made beside a running server is whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

from acceptance.command_line import Printed
from acceptance.sync_client import Dataset, create_pool, new_identity
from millpond.errors import StoreError
from millpond.server import backups, secret_key, stores
from millpond.server.stores import INCOMPLETE_FILE_NAME
from millpond.settings import Settings
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

STREAM = "changes"


def backup(*words: str) -> Printed:
    """Run `millpond store backup`."""
    done = subprocess.run(
        [sys.executable, "-m", "millpond", "store", "backup", *words],
        capture_output=True,
        timeout=seconds(60),
        check=False,
    )
    return Printed(done.returncode, done.stdout, done.stderr)


class Writers:
    """Devices that write for as long as they are let, and know what was answered."""

    def __init__(self, server: RunningServer, pool: str, count: int) -> None:
        self._stop = threading.Event()
        self.acknowledged: dict[str, int] = {}
        self._threads = [
            threading.Thread(target=self._write, args=(server, pool))
            for _ in range(count)
        ]

    def __enter__(self) -> Writers:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def _write(self, server: RunningServer, pool: str) -> None:
        identity = new_identity()
        with contextlib.closing(server.client("cognito-sync")) as client:
            dataset = Dataset(client, pool, identity)
            number = 0
            while not self._stop.is_set():
                dataset.put(number=str(number))
                number += 1
                self.acknowledged[identity] = number  # its sync count


def test_what_was_acknowledged_before_is_there(tmp_path: Path) -> None:
    """A server on the backup has it, and its stream is told of all of it."""
    data, copy = tmp_path / "data", tmp_path / "backups" / "copy"
    with RunningServer(data) as server:
        pool = create_pool(server)
        server.client("kinesis").create_stream(StreamName=STREAM, ShardCount=1)
        server.client("cognito-sync").set_identity_pool_configuration(
            IdentityPoolId=pool,
            CognitoStreams={"StreamName": STREAM, "StreamingStatus": "ENABLED"},
        )
        with Writers(server, pool, 3) as writers:
            wait_until(lambda: sum(writers.acknowledged.values()) > 60)
            before = dict(writers.acknowledged)
            done = backup(str(copy), "--data", str(data), "--with-secret-key")
            assert done.code == 0, done
            sent = sum(writers.acknowledged.values())
            wait_until(lambda: sum(writers.acknowledged.values()) > sent)
        keys = (server.access_key_id, server.secret_access_key)
    assert copy.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in copy.iterdir()) == sorted(
        [FILE_NAME, STREAMS_FILE_NAME, secret_key.FILE_NAME]
    )

    restored = RunningServer(copy)
    restored.access_key_id, restored.secret_access_key = keys
    with restored:
        kinesis = restored.client("kinesis")
        counts = {}
        for identity, acknowledged in before.items():
            dataset = Dataset(restored.client("cognito-sync"), pool, identity)
            counts[identity] = dataset.list()["DatasetSyncCount"]
            assert counts[identity] >= acknowledged
        wait_until(lambda: told(kinesis) >= everything_up_to(counts))


def everything_up_to(counts: dict[str, int]) -> set[tuple[str, int]]:
    """Give identity and sync count of each change that there was."""
    return {(i, n) for i, count in counts.items() for n in range(1, count + 1)}


def told(kinesis: Any) -> set[tuple[str, int]]:
    """Read which changes a stream has been told of."""
    (shard,) = kinesis.list_shards(StreamName=STREAM)["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName=STREAM,
        ShardId=shard["ShardId"],
        ShardIteratorType="TRIM_HORIZON",
    )["ShardIterator"]
    found: set[tuple[str, int]] = set()
    while True:
        page = kinesis.get_records(ShardIterator=iterator)
        if not page["Records"]:
            return found
        for each in page["Records"]:
            event = json.loads(each["Data"])
            found.add((event["identityId"], event["syncCount"]))
        iterator = page["NextShardIterator"]


# --- Without a server -----------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a developer key."""
    folder = tmp_path / "data"
    for words in (("store", "create"), ("key", "create")):
        subprocess.run(
            [sys.executable, "-m", "millpond", *words, "--data", str(folder)],
            check=True,
            capture_output=True,
        )
    return folder


def test_the_secret_comes_on_request_only(tmp_path: Path, data: Path) -> None:
    """Without it the command says what to keep; a server asks for it."""
    target = tmp_path / "backup"
    done = backup(str(target), "--data", str(data))
    assert done.code == 0
    assert b"secret.key is not in it; keep that apart" in done.out

    async def serve() -> None:
        async with stores.open_store(Settings(data=target)) as store:
            assert len(await store.list_developer_keys()) == 1

    with pytest.raises(Exception, match=r"secret\.key' is missing"):
        asyncio.run(serve())
    shutil.copy(data / secret_key.FILE_NAME, target)
    asyncio.run(serve())


def test_the_command_speaks_json(tmp_path: Path, data: Path) -> None:
    """A program finds where the backup is, and how large."""
    target = tmp_path / "backup"
    done = backup(str(target), "--data", str(data), "--output", "json")
    size = sum((target / n).stat().st_size for n in (FILE_NAME, STREAMS_FILE_NAME))

    assert json.loads(done.out) == {
        "Source": str(data),
        "Target": str(target),
        "Bytes": size,
        "SecretKey": False,
    }


@pytest.mark.parametrize("point", ["first file", "second file", "secret"])
def test_a_torn_backup_is_recognised(
    tmp_path: Path, data: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was cut off, no server starts on it."""
    target = tmp_path / "backup"

    def progress(name: str, done: int, total: int) -> None:
        if name == {"first file": FILE_NAME, "second file": STREAMS_FILE_NAME}.get(
            point
        ):
            raise KeyboardInterrupt

    def interrupt(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    if point == "secret":
        monkeypatch.setattr(backups, "copy_secret_key", interrupt)
    with pytest.raises(KeyboardInterrupt):
        backups.make_backup(data, target, with_secret_key=True, progress=progress)
    assert (target / INCOMPLETE_FILE_NAME).exists()

    async def serve() -> None:
        async with stores.open_store(Settings(data=target)):
            pass

    with pytest.raises(StoreError, match="is a backup that was not finished"):
        asyncio.run(serve())
    with pytest.raises(StoreError, match="is a backup that was not finished"):
        backups.make_backup(
            target, tmp_path / "of it", with_secret_key=False, progress=progress
        )


@pytest.mark.parametrize(
    ("prepare", "words", "message"),
    [
        (lambda p: (p / "to").mkdir(), [], ""),
        (lambda p: (p / "to" / "x").mkdir(parents=True), [], "is not empty"),
        (lambda p: (p / "to").write_text(""), [], "Cannot write to"),
        (lambda p: shutil.rmtree(p / "data"), [], "There is no store in"),
        (
            lambda p: (p / "data" / "secret.key").unlink(),
            ["--with-secret-key"],
            "the setting secret_key",
        ),
        (lambda p: None, ["--store", "postgresql://x/y"], "pg_dump"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, data: Path, prepare: Any, words: list[str], message: str
) -> None:
    """In one line, with exit status 1; an empty folder is fine."""
    prepare(tmp_path)
    done = backup(str(tmp_path / "to"), "--data", str(data), *words)

    if not message:
        assert done.code == 0
        return
    assert (done.code, done.out) == (1, b"")
    assert message in done.err.decode()
    assert done.err.decode().count("\n") == 1


def test_a_damaged_store_is_found(tmp_path: Path, data: Path) -> None:
    """A copy of damage is not called a backup."""
    with contextlib.closing(apsw.Connection(str(data / FILE_NAME))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = int(str(connection.pragma("page_size")))
        found: Any = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'developer_keys'"
        ).fetchall()
    with (data / FILE_NAME).open("r+b") as file:
        file.seek((found[0][0] - 1) * size)
        file.write(b"\xff" * 64)
    done = backup(str(tmp_path / "to"), "--data", str(data))

    assert done.code == 1
    assert b"Traceback" not in done.err
    assert (tmp_path / "to" / INCOMPLETE_FILE_NAME).exists()
