"""The NATS sink keeps the sink contract, with real servers that fail in real ways."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client

from millpond.core import targets
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
    StreamUnfitError,
)
from millpond.sinks.base import FailedRecord
from millpond.sinks.nats import NatsSink, make_reader, make_sink
from millpond.sinks.nats_connection import read_address
from millpond.testing.deadlines import seconds
from millpond.testing.sink_contract import SinkBench, SinkContract, by_key, put_all
from sinks.nats_servers import (
    WHY_NOT,
    NatsServer,
    change_stream,
    connected,
    create_stream,
    remove_stream,
    running_cluster,
    running_server,
    stream_state,
    until,
)
from sinks.scenes import close_under_a_put, numbered, opened

needs_server = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

Scene = Callable[[NatsServer], Awaitable[None]]


def sink_of(hosts: str, *, patience_s: float = 20.0) -> NatsSink:
    return NatsSink(
        read_address(f"nats://{hosts}/changes"), patience_s=seconds(patience_s)
    )


async def read_all(hosts: str, stream_name: str = "changes") -> list[StreamRecord]:
    """Read a stream to its end."""
    reader = make_reader(f"nats://{hosts}/{stream_name}", from_end=False)
    found: list[StreamRecord] = []

    async def is_open() -> bool:
        with contextlib.suppress(SinkUnavailableError):
            await reader.open()
            return True
        return False

    try:
        await until(is_open, what="the stream can be read")
        while batch := await reader.read(wait_s=seconds(0.5)):
            found += batch
    finally:
        await reader.aclose()
    return found


def with_server(
    tmp_path: Path, scene: Scene, extra: str = "", userinfo: str = "", **config: object
) -> None:
    """Play a scene on a server with a stream `changes`."""

    async def run() -> None:
        async with running_server(tmp_path, extra, userinfo) as server:
            await create_stream([server.url], "changes", **config)
            await scene(server)

    asyncio.run(run())


@needs_server
class TestNatsSink(SinkContract):
    """The NATS sink keeps the sink contract."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        async with running_server(tmp_path) as server:
            await create_stream([server.url], "changes")

            async def delivered() -> list[StreamRecord]:
                return await read_all(server.host)

            async def disconnect() -> None:
                server.kill()

            async def recreate() -> None:
                await remove_stream([server.url], "changes")
                await create_stream([server.url], "changes")

            yield SinkBench(
                sink=sink_of(server.host, patience_s=2.0),
                delivered=delivered,
                remove_stream=lambda: remove_stream([server.url], "changes"),
                disconnect=disconnect,
                spoil=lambda: change_stream([server.url], "changes", no_ack=True),
                recreate=recreate,
            )


@needs_server
def test_a_record_that_is_sent_again_is_stored_once(tmp_path):
    """The stream removes repeats by message id; keys and ids come back unchanged."""
    records = [
        StreamRecord("us-east-1:7c4f", b"1", "a/1"),
        StreamRecord("k\u00e4se %", b"2", "100% \u2603"),
    ]

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            for _ in range(2):
                assert (await sink.put(records)).failed == ()

        assert await read_all(server.host) == records

    with_server(tmp_path, scene)


@needs_server
def test_many_callers_put_at_once(tmp_path):
    """Puts that run at the same time get their own answers."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            batches = [
                [StreamRecord(f"{batch}-{n % 5}", b"%d" % n) for n in range(100)]
                for batch in range(8)
            ]
            results = await asyncio.gather(*(sink.put(each) for each in batches))

            assert all(each.failed == () for each in results)
            records = [*itertools.chain(*batches)]
            assert by_key(records) == by_key(await read_all(server.host))

    with_server(tmp_path, scene)


@needs_server
def test_a_full_stream_is_worth_another_try(tmp_path):
    """What a full stream refuses is reported, and goes in when there is room again."""
    records = numbered(5)

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            result = await sink.put(records)

            assert [each.index for each in result.failed] == [3, 4]
            assert all(each.retryable for each in result.failed)
            assert "maximum messages exceeded" in result.failed[0].reason
            with pytest.raises(SinkUnavailableError, match="maximum messages exceeded"):
                await sink.put(records[3:])
            async with connected([server.url]) as client:
                await client.jetstream().purge_stream("changes")

            assert (await sink.put(records[3:])).failed == ()

    with_server(tmp_path, scene, max_msgs=3, discard="new")


@needs_server
def test_a_stream_that_is_full_of_bytes_is_worth_another_try(tmp_path):
    """The maximum of bytes is reported like that of messages."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await sink.put([StreamRecord("a", b"x" * 3000)])
            with pytest.raises(SinkUnavailableError, match="maximum bytes exceeded"):
                await sink.put([StreamRecord("a", b"x" * 3000)])

    with_server(tmp_path, scene, max_bytes=4000, discard="new")


@needs_server
def test_the_limits_are_those_of_server_and_stream(tmp_path):
    """The smaller of both limits counts, headers included."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            assert sink.record_bytes_max == 10_000 - 512
            # Percent signs make a key longer than it is.
            key = "\u2603" * 300
            record = StreamRecord(key, b"x" * (sink.record_bytes_max - 900))
            (failed,) = (await sink.put([record])).failed

            assert not failed.retryable
            assert "the limit is 10000" in failed.reason

    with_server(tmp_path, scene, max_msg_size=10_000)


@needs_server
def test_a_stream_that_became_stricter_refuses_a_record_for_good(tmp_path):
    """A message that is too large for the stream by now is not worth another try."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            async with connected([server.url]) as client:
                await client.jetstream().update_stream(
                    name="changes", subjects=["changes"], max_msg_size=100
                )
            large = StreamRecord("a", b"x" * 200)
            first, second = (await sink.put([large, StreamRecord("a", b"")])).failed

            assert (first.index, first.retryable) == (0, False)
            assert second == FailedRecord(
                1, "It stands behind record 0.", retryable=True
            )

    with_server(tmp_path, scene)


@needs_server
def test_a_sealed_stream_counts_as_gone(tmp_path):
    """A stream that takes no messages for good is no stream to publish to."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            async with connected([server.url]) as client:
                await client.jetstream().update_stream(
                    name="changes", subjects=["changes"], sealed=True
                )
            with pytest.raises(StreamGoneError, match="sealed"):
                await sink.put(numbered(3))

    with_server(tmp_path, scene)


@needs_server
def test_a_subject_that_went_to_another_stream_is_not_written(tmp_path):
    """When the stream is gone and another took its subject, nothing goes there."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await remove_stream([server.url], "changes")
            await create_stream([server.url], "others", subjects=["changes"])
            with pytest.raises(StreamGoneError):
                await sink.put(numbered(3))

            assert (await stream_state([server.url], "others"))["messages"] == 0

    with_server(tmp_path, scene)


@needs_server
def test_the_subject_is_named_when_the_stream_has_not_just_one(tmp_path):
    """With several subjects or wildcards the URL says which; else an error says so."""

    async def scene(server: NatsServer) -> None:
        with pytest.raises(SinkError, match=r"\?subject=SUBJECT") as caught:
            await sink_of(server.host).open()

        assert not caught.value.retryable
        url = f"nats://{server.host}/changes?subject=pools.eu"
        async with opened(make_sink(url, None)) as sink:
            await sink.put([StreamRecord("a", b"1")])
        async with connected([server.url]) as client:
            await client.jetstream().publish("pools.us", b"foreign")
        reader = make_reader(url, from_end=False)
        await reader.open()
        try:
            assert await reader.read(wait_s=seconds(20)) == [StreamRecord("a", b"1")]
        finally:
            await reader.aclose()

    with_server(tmp_path, scene, subjects=["pools.*"])


@needs_server
def test_a_wrong_password_is_said_without_it(tmp_path):
    """The server's refusal is an error for people; no message holds a password."""
    extra = "authorization { user: millpond, password: correct }"

    async def scene(server: NatsServer) -> None:
        url = f"nats://millpond:secret@{server.host}/changes"
        wrong = make_sink(url, None)
        with pytest.raises(SinkError, match="user and password in the URL") as caught:
            await wrong.open()

        assert not isinstance(caught.value, SinkUnavailableError)
        assert "secret" not in f"{caught.value} {wrong!r} {wrong.address!r}"
        async with opened(make_sink(url.replace("secret", "correct"), None)) as sink:
            assert (await sink.put(numbered(3))).failed == ()

    with_server(tmp_path, scene, extra, "millpond:correct@")


@needs_server
def test_a_token_stands_where_the_user_does(tmp_path):
    """A user without a password is a token."""

    async def scene(server: NatsServer) -> None:
        url = f"nats://t0ken@{server.host}/changes"
        async with opened(make_sink(url, None)) as sink:
            assert (await sink.put(numbered(3))).failed == ()

    with_server(tmp_path, scene, "authorization { token: t0ken }", "t0ken@")


@needs_server
def test_what_the_user_may_not_publish_is_said_at_once(tmp_path):
    """A missing permission is an error that names the subject, not a long wait."""
    extra = """authorization { users: [
        {user: all, password: all},
        {user: some, password: some, permissions: {publish: ["$JS.API.>"]}}
    ] }"""

    async def scene(server: NatsServer) -> None:
        url = f"nats://some:some@{server.host}/changes"
        async with opened(make_sink(url, None)) as sink:
            started = time.monotonic()
            with pytest.raises(SinkError, match=r"(?i)violation.*changes"):
                await sink.put(numbered(3))

            assert time.monotonic() - started < seconds(10)

    with_server(tmp_path, scene, extra, "all:all@")


@needs_server
def test_a_password_is_not_sent_in_the_open(tmp_path):
    """With tls=true a server that offers no TLS learns nothing."""

    async def scene(server: NatsServer) -> None:
        with pytest.raises(SinkError, match="offers no TLS"):
            await make_sink(
                f"nats://me:secret@{server.host}/changes?tls=true", None
            ).open()

    with_server(tmp_path, scene)


def test_a_server_that_is_not_there_is_worth_another_try():
    """The error names the host and says that it is not reachable."""
    with pytest.raises(SinkUnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        asyncio.run(sink_of("127.0.0.1:1").open())


@needs_server
def test_a_server_that_starts_again_is_found(tmp_path):
    """A put that meets a restart goes on by itself."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            records = numbered(100)
            assert (await sink.put(records[:50])).failed == ()
            server.kill()
            putting = asyncio.create_task(sink.put(records[50:]))
            await asyncio.sleep(0)
            server.start()

            assert (await putting).failed == ()
            assert by_key(records) == by_key(await read_all(server.host))

    with_server(tmp_path, scene)


@needs_server
def test_a_server_that_stalls_is_waited_for(tmp_path):
    """A put in a server that stands still for a while is stored once, in order."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            records = numbered(400, size=20_000)
            server.stall()
            putting = asyncio.create_task(put_all(sink, records, size=400))
            await asyncio.wait({putting}, timeout=6)
            server.go_on()
            await putting

            assert by_key(records) == by_key(await read_all(server.host))

    with_server(tmp_path, scene)


@needs_server
def test_a_put_into_a_server_that_stays_stalled_ends(tmp_path):
    """A put gives up in bounded time, and closing does not hang."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host, patience_s=1)) as sink:
            server.stall()
            started = time.monotonic()
            with pytest.raises(SinkUnavailableError):
                await sink.put(numbered(400, size=20_000))
            await sink.aclose()

            assert time.monotonic() - started < seconds(15)

    with_server(tmp_path, scene)


@needs_server
def test_closing_ends_a_put_in_its_middle(tmp_path):
    """A put whose sink is closed ends with an error, and opens nothing again."""

    async def scene(server: NatsServer) -> None:
        sink = sink_of(server.host)
        await close_under_a_put(sink, server.stall, "closed in the middle")

    with_server(tmp_path, scene)


@needs_server
@pytest.mark.parametrize(
    ("owner", "name", "act"),
    [
        (NatsSink, "connected", lambda sink: sink.put(numbered(3))),
        (Client, "connect", NatsSink.connected),
    ],
)
def test_a_cancel_at_the_last_moment_is_not_lost(
    tmp_path, monkeypatch, owner, name, act
):
    """Who is cancelled just when the connection is there ends as cancelled."""
    connect = getattr(owner, name)

    async def scene(server: NatsServer) -> None:
        async def connect_and_cancel(*args: object, **options: object) -> object:
            result = await connect(*args, **options)
            acting.cancel()
            return result

        sink = sink_of(server.host)
        async with opened(sink):
            connection, _ = await sink.connected()
            await connection.aclose()
            monkeypatch.setattr(owner, name, connect_and_cancel)
            acting = asyncio.create_task(act(sink))
            await asyncio.wait({acting})

            assert acting.cancelled()

    with_server(tmp_path, scene)


@needs_server
def test_a_leader_that_is_killed_loses_nothing(tmp_path):
    """Its followers take over in the middle of puts; all arrive once, in order."""
    records = numbered(6000, keys=40, size=500)

    async def scene() -> None:
        async with running_cluster(tmp_path) as cluster:
            await create_stream(cluster.urls, "changes", num_replicas=3)
            leader = await cluster.leader_of("changes")
            # One host is enough: the sink learns of the others.
            async with opened(sink_of(leader.host)) as sink:
                await put_all(sink, records[:1000], size=200)
                putting = asyncio.create_task(put_all(sink, records[1000:], size=200))
                await _stored_more_than(leader, 1500)
                leader.kill()
                await putting
            alive = ",".join(s.host for s in cluster.servers if s is not leader)

            assert by_key(records) == by_key(await read_all(alive))

    asyncio.run(scene())


@needs_server
def test_a_cluster_without_a_leader_is_not_a_deleted_stream(tmp_path):
    """While most servers are down the stream is unavailable; then it goes on."""
    records = numbered(100)

    async def scene() -> None:
        async with running_cluster(tmp_path) as cluster:
            await create_stream(cluster.urls, "changes", num_replicas=3)
            async with opened(sink_of(cluster.hosts, patience_s=8)) as sink:
                await put_all(sink, records[:50], size=50)
                down = cluster.servers[:2]
                for each in down:
                    each.kill()
                with pytest.raises(SinkUnavailableError):
                    await sink.put(records[50:])
                # The one that is left may know the stream or not; it is not gone.
                async with contextlib.AsyncExitStack() as stack:
                    with contextlib.suppress(SinkUnavailableError):
                        await stack.enter_async_context(opened(sink_of(cluster.hosts)))
                for each in down:
                    each.start()
                await put_all(sink, records[50:], size=50)

                assert by_key(records) == by_key(await read_all(cluster.hosts))

    asyncio.run(scene())


async def _stored_more_than(server: NatsServer, count: int) -> None:
    async def enough() -> bool:
        return bool((await stream_state([server.url], "changes"))["messages"] > count)

    await until(enough, what=f"{count} records are stored")


@needs_server
def test_a_reader_from_the_end_sees_what_comes(tmp_path):
    """It passes over what was there, waits, and goes on after a restart."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await sink.put([StreamRecord("a", b"before")])
            reader = make_reader(f"nats://{server.host}/changes", from_end=True)
            await reader.open()
            try:
                assert list(await reader.read(wait_s=0.1)) == []
                reading = asyncio.create_task(reader.read(wait_s=seconds(10)))
                await sink.put([StreamRecord("a", b"1")])
                assert await reading == [StreamRecord("a", b"1")]
                server.kill()
                server.start()
                await sink.put([StreamRecord("a", b"2")])

                assert await reader.read(wait_s=seconds(10)) == [
                    StreamRecord("a", b"2")
                ]
            finally:
                await reader.aclose()
                await reader.aclose()

    with_server(tmp_path, scene)


@needs_server
def test_a_reader_goes_on_in_no_other_stream(tmp_path):
    """One that was made anew has sequences of its own: nothing of it is passed over."""

    async def scene(server: NatsServer) -> None:
        reader = make_reader(f"nats://{server.host}/changes", from_end=False)
        async with opened(sink_of(server.host)) as sink:
            await sink.put(numbered(3))
        async with connected([server.url]) as client:
            stream = client.jetstream()
            assert len(await reader.read(wait_s=seconds(5))) == 3
            await stream.delete_stream("changes")
            await stream.add_stream(name="changes", subjects=["changes"])
            for _ in range(5):
                await stream.publish("changes", b"new")
        try:
            with pytest.raises(StreamGoneError, match="created again"):
                await reader.read(wait_s=seconds(20))
        finally:
            await reader.aclose()

    with_server(tmp_path, scene)


@needs_server
def test_a_reader_of_a_stream_that_is_not_there_says_so(tmp_path):
    """A missing stream and a missing server are told apart."""

    async def scene(server: NatsServer) -> None:
        url = f"nats://{server.host}/nothing"
        with pytest.raises(StreamGoneError, match="'nothing'"):
            await make_reader(url, from_end=False).open()
        server.kill()
        with pytest.raises(SinkUnavailableError):
            await make_reader(url, from_end=False).open()

    with_server(tmp_path, scene)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nats:///changes", "names a host"),
        ("nats://secret@host", "ends in its name"),
        ("nats://secret@host/a.b", "ends in its name"),
        ("nats://secret@host/a b", "ends in its name"),
        ("nats://secret@host:port/changes", "not name a host and a port"),
        ("nats://me:secret#x@host/changes", "write # as %23"),
        ("nats://me:secret/x@host/changes", "write # as %23"),
        ("nats://me:secret?x@host/changes", "write # as %23"),
        ("nats://secret@host:0/changes", "not name a host and a port"),
        ("nats://secret@host/changes?subject=a.*", "without wildcards"),
        ("nats://secret@host/changes?subject=", "without wildcards"),
        ("nats://secret@host/changes?subject=a%20b", "without wildcards"),
        ("nats://secret@host/changes?tls=yes", "'true' or 'false'"),
        ("nats://secret@host/changes?ca=file", "with tls=true"),
        ("nats://secret@host/changes?color=blue", "no option 'color'"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, complaint):
    """The message says what is wrong and repeats no password."""
    with pytest.raises(SettingsError, match=complaint) as caught:
        make_sink(url, None)

    assert "secret" not in str(caught.value)


def test_a_ca_file_that_is_not_there_is_named():
    """A wrong file is said when the sink is opened."""
    sink = make_sink("nats://127.0.0.1:1/changes?tls=true&ca=/no/such.pem", None)
    with pytest.raises(SinkError, match=r"/no/such\.pem"):
        asyncio.run(sink.open())


def test_the_repr_tells_address_and_state():
    """Sink and reader show which stream they are, without the password."""
    url = "nats://me:secret@one:4222,two/changes"

    assert (
        repr(make_sink(url, None)) == "<NatsSink nats://one:4222,two/changes, closed>"
    )
    assert (
        repr(make_reader(url, from_end=True))
        == "<NatsReader nats://one:4222,two/changes, closed>"
    )
    with pytest.raises(SinkUnavailableError, match="not open"):
        asyncio.run(make_sink(url, None).put([]))


# --- What kind of stream it is -------------------------------------------------------


async def change(server: NatsServer, **config: object) -> None:
    await change_stream([server.url], "changes", **config)


async def add_consumer(server: NatsServer, name: str, **config: object) -> None:
    """Add a consumer that keeps its place while nobody reads."""
    settings = {"durable_name": name, "ack_policy": "explicit", **config}
    async with connected([server.url]) as client:
        answer = await client.request(
            f"$JS.API.CONSUMER.DURABLE.CREATE.changes.{name}",
            json.dumps({"stream_name": "changes", "config": settings}).encode(),
            timeout=seconds(20),
        )
    assert "error" not in json.loads(answer.data), answer.data


@needs_server
@pytest.mark.parametrize(
    ("config", "cause", "change"),
    [
        ({"retention": "interest"}, "no durable consumer", "nats consumer add"),
        ({"no_ack": True}, "no_ack=true", "--ack"),
        ({"storage": "memory"}, "storage=memory", "volatile=true"),
        ({"persist_mode": "async"}, "persist_mode=async", "volatile=true"),
        ({"max_age": 5 * 10**9}, "max_age=5s", "--max-age"),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject=1", "--max-msgs-per"),
        ({"allow_msg_counter": True}, "allow_msg_counter", "another stream"),
        (
            {"subjects": ["changes", "more.>"], "max_msgs_per_subject": 5},
            "max_msgs_per_subject=5",
            "--max-msgs-per-subject",
        ),
        ({"subjects": ["other"]}, "'changes' is none of its subjects", "?subject="),
        ({"retention": "workqueue", "max_msgs": 9}, "max_msgs=9", "--discard new"),
        ({"retention": "workqueue", "max_bytes": 9000}, "max_bytes=9000", "--discard"),
    ],
)
def test_a_stream_that_keeps_less_than_it_acknowledges_is_refused(
    tmp_path, config, cause, change
):
    """It is refused at once, before a record, with the setting and what to change."""

    async def scene(server: NatsServer) -> None:
        url = f"nats://{server.host}/changes?subject=changes"
        with pytest.raises(StreamUnfitError) as caught:
            await make_sink(url, None).open()

        assert "NATS stream 'changes'" in str(caught.value)
        assert cause in str(caught.value)
        assert change in str(caught.value)
        assert not caught.value.retryable
        assert (await stream_state([server.url], "changes"))["messages"] == 0

    with_server(tmp_path, scene, **config)


@needs_server
@pytest.mark.parametrize(
    "config",
    [
        {"retention": "workqueue"},
        {"retention": "workqueue", "max_msgs": 9, "discard": "new"},
        {"max_msgs": 100},  # whether it drops too early is seen in the end
        {"max_bytes": 10_000_000},
        {"max_msgs_per_subject": 100},
        {
            "max_msgs_per_subject": 100,
            "discard": "new",
            "discard_new_per_subject": True,
        },
        {"max_age": 60 * 10**9, "duplicate_window": 60 * 10**9},
        {"allow_rollup_hdrs": True},
        {"allow_msg_ttl": True, "subject_delete_marker_ttl": 2 * 10**9},
        {"deny_delete": True, "deny_purge": True},
        {"compression": "s2"},
        {"allow_direct": True},
        {"allow_atomic": True},
        {"subjects": ["changes", "more.>"]},
        {"republish": {"src": "changes", "dest": "again"}},
        {"subject_transform": {"src": "changes", "dest": "moved.changes"}},
        {"subject_transform": {"src": ">", "dest": "moved.>"}},
    ],
)
def test_other_settings_are_no_reason_to_refuse(tmp_path, config):
    """What changes nothing about what is kept is taken as it is, and read back."""

    async def scene(server: NatsServer) -> None:
        url = f"nats://{server.host}/changes?subject=changes"
        async with opened(make_sink(url, None)) as sink:
            mark = targets.mark(await sink.look())
            assert (await sink.put(numbered(5))).failed == ()
            target = await sink.look()

            assert targets.loss(mark, target, elapsed_ms=1000) is None
        if config.get("retention") != "workqueue":
            assert numbered(5) == await read_all(server.host)

    with_server(tmp_path, scene, **config)


@needs_server
def test_memory_is_accepted_when_the_url_says_so(tmp_path):
    """Who knows that a restart empties the stream may have it."""

    async def scene(server: NatsServer) -> None:
        url = f"nats://{server.host}/changes?volatile=true"
        async with opened(make_sink(url, None)) as sink:
            assert (await sink.put(numbered(3))).failed == ()

    with_server(tmp_path, scene, storage="memory")


@needs_server
def test_a_mirror_is_refused_with_advice_that_helps(tmp_path):
    """A mirror takes from its origin alone; that is what the URL should name."""

    async def scene(server: NatsServer) -> None:
        await create_stream(
            [server.url], "copy", subjects=None, mirror={"name": "changes"}
        )
        with pytest.raises(StreamUnfitError, match="mirror of 'changes'") as caught:
            await make_sink(f"nats://{server.host}/copy", None).open()

        assert "nats://HOST/changes" in str(caught.value)
        async with opened(sink_of(server.host)) as sink:
            await sink.put(numbered(5))

        async def copied() -> bool:
            return (await stream_state([server.url], "copy"))["messages"] == 5

        await until(copied, what="the mirror has it all")
        assert await read_all(server.host, "copy") == numbered(5)

    with_server(tmp_path, scene)


@needs_server
def test_a_stream_of_sources_alone_takes_nothing(tmp_path):
    """It has no subject of its own that could be published to."""

    async def scene(server: NatsServer) -> None:
        await create_stream(
            [server.url], "all", subjects=None, sources=[{"name": "changes"}]
        )
        with pytest.raises(StreamUnfitError, match="no subjects of its own"):
            await make_sink(f"nats://{server.host}/all", None).open()

    with_server(tmp_path, scene)


@needs_server
@pytest.mark.parametrize(
    ("config", "waits"),
    [
        ({}, True),
        ({"filter_subject": "changes"}, True),
        ({"filter_subjects": ["other", "changes"]}, True),
        ({"filter_subject": "other"}, False),
    ],
)
def test_interest_is_that_of_a_consumer_of_our_subject(tmp_path, config, waits):
    """A stream of interest is good while a durable consumer waits for our records."""

    async def scene(server: NatsServer) -> None:
        await add_consumer(server, "warehouse", **config)
        sink = make_sink(f"nats://{server.host}/changes?subject=changes", None)
        if not waits:
            with pytest.raises(StreamUnfitError, match="retention=interest"):
                await sink.open()
            return
        async with opened(sink):
            mark = targets.mark(await sink.look())
            await sink.put(numbered(5))

            assert targets.loss(mark, await sink.look(), elapsed_ms=0) is None
            assert (await stream_state([server.url], "changes"))["messages"] == 5
            # It goes and comes back; what arrived in between would be lost.
            async with connected([server.url]) as client:
                await client.jsm().delete_consumer("changes", "warehouse")
            await add_consumer(server, "warehouse", **config)
            fault = targets.loss(mark, await sink.look(), elapsed_ms=0)
            assert fault is not None
            assert "waited when the run began is gone" in fault.cause

    with_server(tmp_path, scene, retention="interest", subjects=["changes", "other"])


@needs_server
def test_a_consumer_that_goes_with_its_client_is_no_reader(tmp_path):
    """What is kept for an ephemeral consumer is dropped a moment after it left."""

    async def scene(server: NatsServer) -> None:
        async with connected([server.url]) as client:
            await client.jetstream().pull_subscribe("changes", stream="changes")
            with pytest.raises(StreamUnfitError, match="no durable consumer"):
                await sink_of(server.host).open()

    with_server(tmp_path, scene, retention="interest")


@needs_server
def test_a_work_queue_says_that_it_cannot_be_read_back(tmp_path):
    """A reader that only looks is told so; it takes no record from a consumer."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await sink.put(numbered(5))
        with pytest.raises(SinkError, match="is a work queue") as caught:
            await make_reader(f"nats://{server.host}/changes", from_end=False).open()

        assert not caught.value.retryable
        assert (await stream_state([server.url], "changes"))["messages"] == 5

    with_server(tmp_path, scene, retention="workqueue")


@needs_server
@pytest.mark.parametrize(
    "config",
    [{"max_msgs": 3}, {"max_bytes": 400}, {"max_msgs_per_subject": 3}],
)
def test_what_a_full_stream_drops_is_seen(tmp_path, config):
    """A stream that acknowledges and drops its oldest has lost part of the run."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await sink.put(numbered(2))
            mark = targets.mark(await sink.look())
            await sink.put([StreamRecord("a", b"3", "3")])
            assert targets.loss(mark, await sink.look(), elapsed_ms=0) is None
            more = [StreamRecord("b", b"%d" % n, f"m{n}") for n in range(9)]
            assert (await sink.put(more)).failed == ()
            fault = targets.loss(mark, await sink.look(), elapsed_ms=0)

            assert fault is not None
            assert "what is left begins at" in fault.cause
            assert "discard=old" in fault.cause

    with_server(tmp_path, scene, **config)


@needs_server
def test_a_purged_stream_has_lost_the_run(tmp_path):
    """Somebody empties it in the middle."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            mark = targets.mark(await sink.look())
            await sink.put(numbered(5))
            async with connected([server.url]) as client:
                await client.jetstream().purge_stream("changes")

            assert targets.loss(mark, await sink.look(), elapsed_ms=0) is not None

    with_server(tmp_path, scene)


@needs_server
@pytest.mark.parametrize("keep", [0, 2])
def test_a_duplicate_of_a_purged_message_is_stored(tmp_path, keep):
    """A server remembers ids longer than messages; a put again fills the hole."""
    records = [StreamRecord("a", b"%d" % n, f"id-{n}") for n in range(5)]
    others = [StreamRecord("b", b"%d" % n, f"b-{n}") for n in range(2)]

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await sink.put([*records, *others])
            async with connected([server.url]) as client:
                await client.jetstream().purge_stream("changes", keep=keep)
            # As a resumed run does, which had not saved its checkpoint.
            assert (await sink.put([*records, *others])).failed == ()
        seen = by_key(await read_all(server.host))

        # The last occurrence of each is in the order of the key, and none is missing.
        assert seen["a"][-5:] == [each.data for each in records]
        assert seen["b"][-2:] == [each.data for each in others]

    with_server(tmp_path, scene)


@needs_server
def test_a_duplicate_of_a_message_deleted_between_others_is_stored(tmp_path):
    """A hole in the middle is filled, too, and what stood behind it comes again."""
    records = [StreamRecord("a", b"%d" % n, f"id-{n}") for n in range(4)]

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await sink.put(records)
            async with connected([server.url]) as client:
                await client.jetstream().delete_msg("changes", 2)
            assert (await sink.put(records)).failed == ()
        seen = by_key(await read_all(server.host))

        assert seen["a"][-4:] == [each.data for each in records]

    with_server(tmp_path, scene)


@needs_server
def test_a_duplicate_of_what_nobody_waited_for_is_stored(tmp_path):
    """Ids of messages that a stream of interest had dropped are remembered as well."""

    async def scene(server: NatsServer) -> None:
        async with opened(sink_of(server.host)) as sink:
            await change(server, retention="interest")
            await sink.put(numbered(3))
            assert (await stream_state([server.url], "changes"))["messages"] == 0
            await add_consumer(server, "warehouse")
            assert (await sink.put(numbered(3))).failed == ()

            assert (await stream_state([server.url], "changes"))["messages"] == 3

    with_server(tmp_path, scene)


@needs_server
def test_the_identity_of_a_stream_outlives_its_leader(tmp_path):
    """Another server of the cluster tells the same stream of the same moment."""

    async def play() -> None:
        async with running_cluster(tmp_path) as cluster:
            await create_stream(cluster.urls, "changes", num_replicas=3)
            async with opened(sink_of(cluster.hosts)) as sink:
                mark = targets.mark(await sink.look())
                await sink.put(numbered(5))
                (await cluster.leader_of("changes")).kill()
                await put_all(sink, numbered(10)[5:])

                async def look() -> Target | None:
                    with contextlib.suppress(SinkUnavailableError):
                        return await sink.look()
                    return None

                target = await until(look, what="another server tells of the stream")

                assert mark.identity
                assert targets.loss(mark, target, elapsed_ms=0) is None

    asyncio.run(play())
