"""The NATS sink keeps the sink contract, with real servers that fail in real ways."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client

from millpond.core.streaming import StreamRecord
from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
)
from millpond.sinks.base import FailedRecord
from millpond.sinks.nats import NatsSink, make_reader, make_sink
from millpond.sinks.nats_connection import read_address
from millpond.testing.deadlines import seconds
from millpond.testing.sink_contract import SinkBench, SinkContract, by_key, put_all
from sinks.nats_servers import (
    WHY_NOT,
    NatsServer,
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

            yield SinkBench(
                sink=sink_of(server.host, patience_s=2.0),
                delivered=delivered,
                remove_stream=lambda: remove_stream([server.url], "changes"),
                disconnect=disconnect,
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
            assert await reader.read(wait_s=seconds(5)) == [StreamRecord("a", b"1")]
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
