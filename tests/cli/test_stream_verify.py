"""`millpond stream verify`: it finds nothing where there is nothing, and all else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from acceptance.seeding import Seed, fill, identities
from acceptance.sync_client import Dataset, create_pool, remove, replace
from millpond.core import streaming
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId, StoredRecord
from millpond.service.context import system_now_ms
from millpond.sinks.embedded import EmbeddedSink
from millpond.sources.links import fetch_payload
from millpond.stores.base import Store
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

POOL: Final = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
ANN, BOB, EVE = identities(3)
NOW_MS: Final = 1_790_000_000_000


def in_store(folder: Path, work: Callable[[Store], Awaitable[Any]]) -> Any:
    """Do something with a store that no server uses."""

    async def run() -> Any:
        store = SqliteStore(folder)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


async def relay(store: Store) -> None:
    """Send the outbox to the stream, as the server would."""
    sink = EmbeddedSink("changes", store=store, now_ms=system_now_ms)
    await sink.open()
    while entries := await store.list_outbox(POOL, limit=100, bytes_max=2**20):
        await sink.put([StreamRecord(e.identity_id, e.data) for e in entries])
        await store.delete_outbox(POOL, entries)


async def put_events(store: Store, *events: bytes) -> None:
    """Write to the stream behind the back of the pool."""
    sink = EmbeddedSink("changes", store=store, now_ms=system_now_ms)
    await sink.put([StreamRecord(ANN, each) for each in events])


def set_up(folder: Path, *, streaming_status: str = "ENABLED") -> None:
    """Make a pool with a stream and two datasets, of which the stream tells."""
    folder.mkdir(exist_ok=True)

    async def create(store: Store) -> None:
        await store.create_stream("changes", shard_count=3, now_ms=system_now_ms())
        await store.create_identity_pool(
            IdentityPool(
                identity_pool_id=POOL,
                identity_pool_name="x",
                allow_unauthenticated_identities=True,
                stream=StreamConfiguration(
                    stream_name="changes", streaming_status=streaming_status
                ),
            ),
            pools_max=9,
        )

    in_store(folder, create)
    fill(RunningServer(folder), POOL, [Seed(ANN, "prefs", {"a": "1", "b": "1"})])
    fill(RunningServer(folder), POOL, [Seed(BOB, "saves", {"c": "1"})])
    in_store(folder, relay)


@pytest.fixture
def folder(home) -> Path:
    """A store whose stream is complete."""
    set_up(home / "data")
    path: Path = home / "data"
    return path


@pytest.fixture
def verify(run, home):
    """Run `millpond stream verify` on a store; give its status and its document."""

    def run_command(*words: str, data: Path = home / "data", pool: str = POOL) -> Any:
        result = run(
            *("stream", "verify", "--identity-pool-id", pool, "--output", "json"),
            *("--data", str(data), *words),
        )
        return result.code, json.loads(result.out)

    return run_command


def event(
    identity: str,
    dataset: str,
    records: Mapping[str, tuple[int, str | None]],
    *,
    pool: str = POOL,
) -> bytes:
    return streaming.update_event(
        DatasetId(pool, identity, dataset),
        [
            StoredRecord(key, value, count, NOW_MS, "me", None)
            for key, (count, value) in records.items()
        ],
        sync_count=max(count for count, _ in records.values()),
        last_modified_date_ms=NOW_MS,
    )


def deletion(identity: str, dataset: str, sync_count: int) -> bytes:
    return streaming.deletion_event(
        DatasetId(POOL, identity, dataset),
        sync_count=sync_count,
        last_modified_date_ms=NOW_MS,
    )


def told(document: Any) -> list[tuple[str, str, str, str | None]]:
    return [
        (each["Kind"], each["IdentityId"], each["DatasetName"], each.get("Key"))
        for each in document["Differences"]
    ]


def test_a_stream_that_tells_all_is_clean(folder, verify, run):
    """Counts are shown, and the status is 0."""
    code, document = verify()
    text = run("stream", "verify", "--identity-pool-id", POOL, "--data", str(folder))

    assert code == 0
    assert document == {
        "IdentityPoolId": POOL,
        "StreamName": "changes",
        "StreamRecords": 2,
        "StreamRecordsOfPool": 2,
        "Repeats": 0,
        "LinksWithoutRecords": 0,
        "Stream": {"Datasets": 2, "Records": 3},
        "Pool": {"Datasets": 2, "Records": 3},
        "OutboxEntries": 0,
        "ParkedEntries": 0,
        "BulkPublishInProgress": False,
        "DifferenceCount": 0,
        "Differences": [],
    }
    assert text.out == (
        "2 stream records in 'changes', 2 of this pool, 0 repeats passed over\n"
        "stream: 2 datasets, 3 records\n"
        "pool: 2 datasets, 3 records\n"
        "clean\n"
    )
    assert (text.code, text.err) == (0, "")


def test_repeats_and_other_pools_are_passed_over(folder, verify):
    """So is what is no event at all."""
    extra = [
        event(ANN, "prefs", {"a": (1, "1")}),
        event(ANN, "other", {"a": (1, "1")}, pool=POOL[:-1] + "0"),
        b"hello",
    ]
    in_store(folder, lambda store: put_events(store, *extra))

    code, document = verify()

    assert code == 0
    assert document["StreamRecords"] == 5
    assert document["StreamRecordsOfPool"] == 3
    assert document["Repeats"] == 1


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (event(ANN, "prefs", {"a": (9, "1")}), ("newer", ANN, "prefs", "a")),
        (event(ANN, "prefs", {"x": (2, "1")}), ("resurrected", ANN, "prefs", "x")),
        (event(ANN, "prefs", {"a": (2, None)}), ("newer", ANN, "prefs", "a")),
        (event(EVE, "new", {"a": (1, "1")}), ("resurrected", EVE, "new", None)),
        (deletion(ANN, "prefs", 1), ("missing", ANN, "prefs", None)),
    ],
)
def test_what_the_stream_tells_beyond_the_pool_is_found(
    folder, verify, data, difference
):
    """Each kind of difference is told by names, and the status is 1."""
    in_store(folder, lambda store: put_events(store, data))

    code, document = verify()

    assert code == 1
    assert told(document) == [difference]
    assert document["DifferenceCount"] == 1


def test_what_the_stream_has_not_told_is_found(folder, verify, run):
    """Changes that never reached the stream: missing, older, resurrected."""

    async def lose_the_outbox(store: Store) -> None:
        entries = await store.list_outbox(POOL, limit=100, bytes_max=2**20)
        await store.delete_outbox(POOL, entries)

    away = folder.with_name("away")
    away.mkdir()
    streams = json.dumps({"changes": f"file://{away}?volatile=true"})
    with RunningServer(folder, settings={"streams": streams}) as s:
        away.rmdir()
        client = s.client("cognito-sync")
        prefs = Dataset(client, POOL, ANN, "prefs")
        prefs.update(replace("a", "2", 1), remove("b", 1), replace("new", "v"))
        Dataset(client, POOL, BOB, "saves").delete()
        Dataset(client, POOL, EVE, "d").update(replace("k", "top secret"))
        client.close()
    in_store(folder, lose_the_outbox)

    code, document = verify()
    text = run("stream", "verify", "--identity-pool-id", POOL, "--data", str(folder))

    assert code == text.code == 1
    assert sorted(told(document), key=str) == sorted(
        [
            ("older", ANN, "prefs", "a"),
            ("resurrected", ANN, "prefs", "b"),
            ("missing", ANN, "prefs", "new"),
            ("resurrected", BOB, "saves", None),
            ("missing", EVE, "d", None),
        ],
        key=str,
    )
    assert f"older\t{ANN}\tprefs\ta\n" in text.out
    assert text.out.endswith("\n5 differences\n")
    assert "secret" not in text.out + text.err


def test_another_value_is_found(home, verify):
    """The same sync count with something else in it; the values are not shown."""
    set_up(home / "data", streaming_status="DISABLED")
    others = [
        event(ANN, "prefs", {"a": (1, "one"), "b": (1, "1")}),
        event(BOB, "saves", {"c": (1, None)}),
    ]
    in_store(home / "data", lambda store: put_events(store, *others))

    code, document = verify()

    assert code == 1
    assert sorted(told(document), key=str) == sorted(
        [("differing", ANN, "prefs", "a"), ("differing", BOB, "saves", "c")], key=str
    )


def test_a_link_that_leads_nowhere_is_counted(folder, verify, run):
    """It matters only when no other record says what was behind it."""
    dead = f"http://127.0.0.1:1/stream-payloads/{'0' * 32}"
    moved = [
        streaming.move_records_out(each, dead)
        for each in (
            event(ANN, "prefs", {"a": (1, "1")}),
            event(EVE, "d", {"k": (1, "v")}),
        )
    ]
    in_store(folder, lambda store: put_events(store, moved[0]))
    code, document = verify()
    assert (code, document["LinksWithoutRecords"]) == (0, 1)

    fill(RunningServer(folder), POOL, [Seed(EVE, "d", {"k": "v"})])
    in_store(folder, lambda store: put_events(store, moved[1]))
    code, document = verify()
    text = run("stream", "verify", "--identity-pool-id", POOL, "--data", str(folder))
    assert code == 1
    assert told(document) == [("missing", EVE, "d", "k")]
    assert "\n2 links led to no records\n" in text.out


def test_links_are_fetched_by_http_alone(server, tmp_path):
    """What is not there, or not behind such a link, is nothing."""
    path = tmp_path / "file"
    path.write_text("secret")

    assert fetch_payload(f"{server.endpoint}/healthz") == b"ok\n"
    assert fetch_payload(f"{server.endpoint}/stream-payloads/{'0' * 32}") is None
    assert fetch_payload(f"file://{path}") is None
    assert fetch_payload("http://127.0.0.1:1/") is None
    assert fetch_payload("http://[") is None


def test_only_the_first_differences_are_listed(folder, verify, run):
    """All of them are counted."""
    records = {f"k{n:02d}": (5, "v") for n in range(30)}
    in_store(folder, lambda store: put_events(store, event(ANN, "prefs", records)))

    code, document = verify()
    text = run("stream", "verify", "--identity-pool-id", POOL, "--data", str(folder))

    assert code == 1
    assert document["DifferenceCount"] == 30
    assert [each[3] for each in told(document)] == sorted(records)[:20]
    assert text.out.endswith("\n... and 10 more\n30 differences\n")


def test_changes_that_wait_are_told(folder, verify, run):
    """They make a false alarm, and there is an option against it."""
    fill(RunningServer(folder), POOL, [Seed(EVE, "d", {"k": "v"})])

    result = run(
        *("stream", "verify", "--identity-pool-id", POOL, "--data", str(folder)),
        *("--wait", "0.3"),
    )

    assert result.code == 1
    assert f"missing\t{EVE}\td\n" in result.out
    assert result.err == (
        "millpond stream: 1 changes wait in the outbox; they may account for "
        "differences. --wait SECONDS waits for them.\n"
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--identity-pool-id", "us-east-1:no"), "there is no identity pool"),
        (("--identity-pool-id", POOL, "--from", "no"), "'no' does not exist"),
    ],
)
def test_what_is_not_there_is_told(folder, run, words, complaint):
    """A pool or a stream that does not exist is an error like any other."""
    result = run("stream", "verify", *words, "--data", str(folder))

    assert (result.code, result.out) == (1, "")
    assert complaint in result.err


def test_a_pool_without_a_stream_needs_a_name(server, run):
    """There is nothing to read, unless a stream is named."""
    pool = create_pool(server)

    result = run(
        "stream", "verify", "--identity-pool-id", pool, "--data", str(server.data)
    )

    assert result.code == 1
    assert "has no stream; name one with --from" in result.err


# --- Beside a server ----------------------------------------------------------------


def publish_with_live_writes(server: RunningServer, pool: str, stream: str) -> None:
    """Fill a pool, and write and delete while it is published in bulk."""
    client = server.client("cognito-sync")
    client.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": stream, "StreamingStatus": "ENABLED"},
    )
    datasets = [Dataset(client, pool, each) for each in identities(24, seed=7)]

    def write(dataset: Dataset) -> None:
        dataset.update(*(replace(f"k{n}", "v" * 50) for n in range(20)))

    def go_on(dataset: Dataset) -> None:
        for n in range(5):
            counts = dataset.counts()
            dataset.update(
                replace("k0", f"live {n}", counts.get("k0", 0)),
                remove(f"k{n + 1}", counts.get(f"k{n + 1}", 0)),
            )
            if n == 2 and dataset.identity < "us-east-1:8":
                dataset.delete()

    large = Dataset(client, pool, identities(1, seed=8)[0], "large")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, datasets))
        # Too large for one record of an embedded stream, when it is published.
        for n in range(2):
            large.update(replace(f"k{n}", '"' * 400_000))
        client.bulk_publish(IdentityPoolId=pool)
        list(threads.map(go_on, datasets))

    def over() -> bool:
        details = client.get_bulk_publish_details(IdentityPoolId=pool)
        return bool(details["BulkPublishStatus"] == "SUCCEEDED")

    wait_until(over)
    client.close()


def test_an_embedded_stream_is_clean_after_a_bulk_publish(server, run, verify):
    """Live writes, deletions, repeats and a link, beside a running server."""
    run("stream", "create", "checked", "--shards", "2", "--data", str(server.data))
    pool = create_pool(server)
    publish_with_live_writes(server, pool, "checked")

    code, document = verify("--wait", "30", data=server.data, pool=pool)

    assert (code, document["Differences"]) == (0, [])
    assert document["Stream"] == document["Pool"]
    assert document["Pool"]["Datasets"] == 25
    assert document["LinksWithoutRecords"] == 0
    assert document["OutboxEntries"] == 0


def test_a_stream_that_grows_meanwhile_is_clean(server, run, verify):
    """What differs is looked at again, so a change that was under way is no alarm."""
    run("stream", "create", "busy", "--data", str(server.data))
    pool = create_pool(server)
    client = server.client("cognito-sync")
    client.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": "busy", "StreamingStatus": "ENABLED"},
    )
    over = threading.Event()

    def write() -> int:
        count = 0
        while not over.is_set():
            for each in identities(200, seed=10 + count):
                Dataset(client, pool, each).update(replace("k", "v"))
                count += 1
                if over.is_set():
                    break
        return count

    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(write)
        try:
            found = [verify(data=server.data, pool=pool) for _ in range(4)]
        finally:
            over.set()
    client.close()

    assert written.result() > 0
    assert [(code, document["Differences"]) for code, document in found] == [
        (0, [])
    ] * 4


def test_a_file_stream_is_clean_after_a_bulk_publish(
    home, tmp_path, run, verify, monkeypatch
):
    """Files are written by the server and read beside it, finished or not."""
    folder = tmp_path / "backups"
    folder.mkdir()
    streams = json.dumps(
        {"backups": f"file://{folder}?rotate_bytes=50000&volatile=true"}
    )
    monkeypatch.setenv("MILLPOND_STREAMS", streams)
    with RunningServer(home / "data", settings={"streams": streams}) as server:
        pool = create_pool(server)
        publish_with_live_writes(server, pool, "backups")

        code, document = verify("--wait", "30", data=server.data, pool=pool)
        assert (code, document["Differences"]) == (0, [])
        assert document["Stream"] == document["Pool"]
        assert document["Repeats"] > 0
        assert len(list(folder.glob("*.jsonl"))) > 3

    assert not list(folder.glob("*.open"))
    assert verify(pool=pool)[0] == 0
    # The stream forgets a part of what it told.
    min(folder.glob("*.jsonl"), key=lambda each: each.name).unlink()
    for each in sorted(folder.glob("*.jsonl"))[1:]:
        each.unlink()
    code, document = verify(pool=pool)
    assert code == 1
    assert {each["Kind"] for each in document["Differences"]} & {"missing", "older"}


def peak_kib(data: Path) -> int:
    """Verify in a process of its own; give the most memory that it took."""
    script = (
        "import resource, sys; from millpond.cli.main import main; "
        "code = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); "
        "sys.exit(code)"
    )
    result = subprocess.run(
        [
            *(sys.executable, "-c", script, "stream", "verify"),
            *("--identity-pool-id", POOL, "--data", str(data)),
        ],
        env={k: v for k, v in os.environ.items() if not k.startswith("MILLPOND_")},
        capture_output=True,
        text=True,
        timeout=seconds(100),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("clean\n")
    return int(result.stderr.split()[-1])


def test_memory_stays_bounded(folder, tmp_path):
    """Many records take no more memory than the caches of the files."""
    large = tmp_path / "large"
    set_up(large)
    values = {f"key {n:03d}": "v" * 400 for n in range(250)}
    fill(
        RunningServer(large),
        POOL,
        [Seed(each, "big", values) for each in identities(500, seed=9)],
    )
    in_store(large, relay)

    # 125,000 records, 70 MB in the stream and as much again in the pool.
    assert peak_kib(large) - peak_kib(folder) < 90 * 1024
