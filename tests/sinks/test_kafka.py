"""The Kafka sink keeps the sink contract; it gives up in order, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from millpond.core import targets
from millpond.core.streaming import StreamRecord
from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
    StreamUnfitError,
)
from millpond.sinks import kafka, kafka_connection
from millpond.sinks.base import FailedRecord
from millpond.sinks.kafka import KafkaSink, make_reader, make_sink
from millpond.sinks.kafka_connection import (
    Troubles,
    driver_settings,
    find_topic,
    read_address,
    reason_of,
)
from millpond.sinks.kafka_topic import TopicInfo, topic_target
from millpond.testing.deadlines import seconds
from millpond.testing.sink_contract import SinkBench, SinkContract, by_key, put_all
from sinks.kafka_broker import WHY_NOT as NO_BROKER
from sinks.kafka_broker import running_broker
from sinks.kafka_mock import (
    MESSAGE_TOO_LARGE,
    PRODUCE,
    TOPIC_AUTHORIZATION_FAILED,
    WHY_NOT,
    MockCluster,
)
from sinks.scenes import close_under_a_put, numbered, opened

UNCLEAN = {"unclean.leader.election.enable": "true"}
needs_broker = pytest.mark.skipif(bool(NO_BROKER), reason=NO_BROKER)
needs_mock = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def sink_of(hosts: str, *, patience_s: float = 20.0) -> KafkaSink:
    return KafkaSink(
        read_address(f"kafka://{hosts}/changes"), patience_s=seconds(patience_s)
    )


async def read_all(hosts: str, topic: str = "changes") -> list[StreamRecord]:
    """Read a topic to its end."""
    reader = make_reader(f"kafka://{hosts}/{topic}", from_end=False)
    found: list[StreamRecord] = []
    try:
        await reader.open()
        while batch := await reader.read(wait_s=seconds(1)):
            found += batch
    finally:
        await reader.aclose()
    return found


def with_cluster(
    scene: Callable[[MockCluster], Awaitable[None]], partitions: int = 4
) -> None:
    """Play a scene on a cluster with a topic `changes`."""
    cluster = MockCluster()
    try:
        cluster.create_topic("changes", partitions)
        asyncio.run(scene(cluster))  # type: ignore[arg-type]
    finally:
        cluster.close()


@needs_mock
class TestKafkaSinkOnMock(SinkContract):
    """The Kafka sink keeps the sink contract, with the brokers that librdkafka has."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        cluster = MockCluster()
        try:
            # A partition of it keeps no more than 5 MB.
            cluster.create_topic("changes", partitions=16)

            async def delivered() -> list[StreamRecord]:
                return await read_all(cluster.hosts)

            async def remove_stream() -> None:
                cluster.remove_topic("changes")

            async def disconnect() -> None:
                cluster.stop()

            yield SinkBench(
                sink=sink_of(cluster.hosts, patience_s=4.0),
                delivered=delivered,
                remove_stream=remove_stream,
                disconnect=disconnect,
            )
        finally:
            cluster.close()


@needs_broker
class TestKafkaSink(SinkContract):
    """The Kafka sink keeps the sink contract, with a broker."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        topic = f"millpond-test-{uuid.uuid4()}"
        async with running_broker(tmp_path) as broker:
            await broker.create_topic(topic)

            async def delivered() -> list[StreamRecord]:
                return await read_all(broker.host, topic)

            async def disconnect() -> None:
                broker.kill()

            async def spoil() -> None:
                await broker.configure_topic(topic, "cleanup.policy", "compact")

            async def recreate() -> None:
                await broker.remove_topic(topic)
                await broker.create_topic(topic)

            try:
                yield SinkBench(
                    sink=KafkaSink(
                        read_address(f"kafka://{broker.host}/{topic}"),
                        patience_s=seconds(10.0),
                    ),
                    delivered=delivered,
                    remove_stream=lambda: broker.remove_topic(topic),
                    disconnect=disconnect if broker.can_be_killed else None,
                    spoil=spoil,
                    recreate=recreate,
                )
            finally:
                if not broker.can_be_killed:
                    with contextlib.suppress(Exception):
                        await broker.remove_topic(topic)

    def test_a_stream_that_goes_while_it_is_open_is_noticed(
        self, tmp_path: Path
    ) -> None:
        """Where a broker goes on acknowledging, a look notices it all the same."""

        async def scene(bench: SinkBench) -> None:
            assert bench.remove_stream is not None
            await bench.sink.open()
            await bench.sink.put([StreamRecord("a", b"1")])
            await bench.remove_stream()
            # Tansu takes what a producer sends that knew the topic.
            with contextlib.suppress(StreamGoneError):
                await bench.sink.put([StreamRecord("a", b"2")])
            with pytest.raises(StreamGoneError):
                await bench.sink.look()

        self.play(tmp_path, scene)


@needs_mock
def test_a_consumer_sees_key_and_message_id():
    """Keys, bytes and message ids come back as they were put."""
    records = [
        StreamRecord("us-east-1:7c4f", b"1", "a/1"),
        StreamRecord("k\u00e4se", b"\x00\xff", "100% \u2603"),
    ]

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts)) as sink:
            assert (await sink.put(records)).failed == ()

        assert await read_all(cluster.hosts) == records

    with_cluster(scene, partitions=1)


@needs_mock
def test_many_callers_put_at_once():
    """Puts that run at the same time get their own answers."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts)) as sink:
            batches = [
                [StreamRecord(f"{batch}-{n % 5}", b"%d" % n) for n in range(100)]
                for batch in range(8)
            ]
            results = await asyncio.gather(*(sink.put(each) for each in batches))

            assert all(each.failed == () for each in results)
            assert by_key([*itertools.chain(*batches)]) == by_key(
                await read_all(cluster.hosts)
            )

    with_cluster(scene)


@needs_mock
def test_a_sink_creates_no_topic():
    """A topic that is not there is gone, and stays so."""

    async def scene(cluster: MockCluster) -> None:
        url = f"kafka://{cluster.hosts}/nothing"
        for _ in range(2):
            with pytest.raises(StreamGoneError, match="'nothing'"):
                await make_sink(url, None).open()
        with pytest.raises(StreamGoneError, match="'nothing'"):
            await make_reader(url, from_end=False).open()

    with_cluster(scene)


@needs_mock
def test_brokers_that_come_back_in_time_are_waited_for():
    """A put that meets an outage goes on by itself, in order."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts)) as sink:
            records = numbered(100)
            assert (await sink.put(records[:50])).failed == ()
            cluster.stop()
            putting = asyncio.create_task(sink.put(records[50:]))
            await asyncio.wait({putting}, timeout=2)
            assert not putting.done()
            cluster.go_on()

            assert (await putting).failed == ()
            assert by_key(records) == by_key(await read_all(cluster.hosts))

    with_cluster(scene)


@needs_mock
def test_nothing_is_delivered_after_the_put_gave_up():
    """What failed is thrown away, so that the next put stands in front of nothing."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts, patience_s=2)) as sink:
            records = numbered(100)
            assert (await sink.put(records[:50])).failed == ()
            cluster.stop()
            with pytest.raises(SinkUnavailableError, match="cannot be reached"):
                await sink.put([StreamRecord("key-0", b"given up")])
            cluster.go_on()
            await put_all(sink, records[50:])

            assert by_key(records) == by_key(await read_all(cluster.hosts))

    with_cluster(scene)


@needs_mock
def test_closing_ends_a_put_in_its_middle():
    """A put whose sink is closed ends with an error, and leaves no producer behind."""

    async def scene(cluster: MockCluster) -> None:
        await close_under_a_put(sink_of(cluster.hosts), cluster.stop, "not open")
        cluster.go_on()

        assert "millpond-kafka" not in [each.name for each in threading.enumerate()]

    with_cluster(scene)


def test_a_broker_that_does_not_tell_how_a_topic_is_set_up_in_time(monkeypatch):
    """What is not told is not known, as where we may not ask."""

    class Silent:
        def __init__(self, settings: dict[str, Any]) -> None:
            pass

        def describe_configs(self, resources: list[Any], **options: Any) -> Any:
            return {each: Future() for each in resources}

    partitions = {0: SimpleNamespace(replicas=[1, 2])}
    metadata = SimpleNamespace(
        topics={"changes": SimpleNamespace(partitions=partitions)},
        controller_id=1,
        brokers={1: None},
    )
    monkeypatch.setattr(kafka_connection, "AdminClient", Silent)
    address = read_address("kafka://127.0.0.1:1/changes")

    found = asyncio.run(kafka_connection._read_topic(address, metadata, 0.01))

    assert (found.partitions, found.replicas, found.configuration) == ((0,), 2, {})


@needs_mock
def test_closing_while_the_topic_is_looked_up_leaves_no_producer(monkeypatch):
    """What opens the sink meanwhile is told; the next opening goes well."""

    async def scene(cluster: MockCluster) -> None:
        sink = sink_of(cluster.hosts)

        async def find_and_close(*args: Any, **options: Any) -> TopicInfo:
            found = await find_topic(*args, **options)
            await sink.aclose()
            return found

        with monkeypatch.context() as patch:
            patch.setattr(kafka, "find_topic", find_and_close)
            with pytest.raises(SinkUnavailableError, match="not open"):
                await sink.open()
        assert "millpond-kafka" not in [each.name for each in threading.enumerate()]
        async with opened(sink):
            assert (await sink.put(numbered(3))).failed == ()

    with_cluster(scene)


@needs_mock
def test_a_cancel_at_the_last_moment_is_not_lost(monkeypatch):
    """A put that is cancelled just when all is answered ends as cancelled."""
    wait = asyncio.Event.wait

    async def scene(cluster: MockCluster) -> None:
        async def wait_and_cancel(event: asyncio.Event) -> bool:
            await wait(event)
            return putting.cancel()

        async with opened(sink_of(cluster.hosts)) as sink:
            monkeypatch.setattr(asyncio.Event, "wait", wait_and_cancel)
            putting = asyncio.create_task(sink.put(numbered(3)))
            await asyncio.wait({putting})
            monkeypatch.undo()

            assert putting.cancelled()

    with_cluster(scene)


@needs_mock
def test_a_record_that_the_broker_finds_too_large_is_found_out():
    """A refused batch says little; sent alone, the record is refused for good."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts, patience_s=5)) as sink:
            cluster.fail(PRODUCE, MESSAGE_TOO_LARGE)
            with pytest.raises(SinkUnavailableError, match="too large"):
                await sink.put(numbered(3, keys=1))
            cluster.fail(PRODUCE, MESSAGE_TOO_LARGE)
            first, *rest = (await sink.put(numbered(3, keys=1))).failed

            assert (first.index, first.retryable) == (0, False)
            assert [(each.index, each.retryable) for each in rest] == [
                (1, True),
                (2, True),
            ]
            assert (await sink.put(numbered(3, keys=1)[1:])).failed == ()

    with_cluster(scene, partitions=1)


@needs_mock
def test_a_topic_that_may_not_be_written_is_said():
    """A missing permission is an error for people, not one for another try."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts)) as sink:
            cluster.fail(PRODUCE, TOPIC_AUTHORIZATION_FAILED, times=10)
            with pytest.raises(SinkError, match="refuses us") as caught:
                await sink.put(numbered(3))

            assert not caught.value.retryable

    with_cluster(scene)


def test_what_the_driver_puts_away_is_no_reason():
    """It ends the handle it began with once it knows the brokers, and says so."""
    troubles = Troubles(read_address("kafka://127.0.0.1/changes"))
    troubles.note(KafkaError(KafkaError._TRANSPORT))
    troubles.note(KafkaError(KafkaError._DESTROY))
    troubles.note(KafkaError(KafkaError._ALL_BROKERS_DOWN))

    assert troubles.last is not None
    assert troubles.last.code() == KafkaError._TRANSPORT


def test_a_cluster_that_is_not_there_is_worth_another_try(capfd):
    """The error says why; the driver writes nothing to stderr."""
    with pytest.raises(SinkUnavailableError, match="Connection refused"):
        asyncio.run(sink_of("127.0.0.1:1", patience_s=1).open())
    with pytest.raises(SinkUnavailableError):
        asyncio.run(make_reader("kafka://127.0.0.1:1/changes", from_end=True).open())

    assert capfd.readouterr().err == ""


@needs_mock
def test_a_reader_from_the_end_sees_what_comes():
    """It passes over what was there, and waits for what comes."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts)) as sink:
            await sink.put([StreamRecord("a", b"before")])
            reader = make_reader(f"kafka://{cluster.hosts}/changes", from_end=True)
            await reader.open()
            try:
                assert list(await reader.read(wait_s=0.1)) == []
                reading = asyncio.create_task(reader.read(wait_s=seconds(10)))
                await sink.put([StreamRecord("a", b"1")])
                assert await reading == [StreamRecord("a", b"1")]
                cluster.stop()
                with pytest.raises(SinkUnavailableError):
                    await reader.read(wait_s=seconds(3))
            finally:
                await reader.aclose()
                await reader.aclose()

    with_cluster(scene)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("kafka:///changes", "names a host"),
        ("kafka://me:secret@host", "ends in its name"),
        ("kafka://me:secret@host/a b", "ends in its name"),
        ("kafka://me:secret@host:port/changes", "not name a host and a port"),
        ("kafka://me:secret#x@host/changes", "write # as %23"),
        ("kafka://me:secret/x@host/changes", "write # as %23"),
        ("kafka://me:secret?x@host/changes", "write # as %23"),
        ("kafka://me:secret@host/changes?tls=yes", "'true' or 'false'"),
        ("kafka://me:secret@host/changes?ca=file", "with tls=true"),
        ("kafka://me:secret@host/changes?sasl=GSSAPI", "'sasl' is PLAIN"),
        ("kafka://me@host/changes", "needs a user and a password"),
        ("kafka://host/changes?sasl=PLAIN", "needs a user and a password"),
        ("kafka://host/changes?compression=best", "'compression' is none, lz4"),
        ("kafka://me:secret@host/changes?color=blue", "no option 'color'"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, complaint):
    """The message says what is wrong and repeats no password."""
    with pytest.raises(SettingsError, match=complaint) as caught:
        make_sink(url, None)

    assert "secret" not in str(caught.value)


def test_the_options_reach_the_driver(tmp_path):
    """TLS, SASL and the default port are what the URL says."""
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    address = read_address(
        f"kafka://me:s%40crit@one,two:9094/changes?tls=true&ca={ca_file}"
        "&sasl=SCRAM-SHA-512&compression=zstd"
    )
    settings = driver_settings(address, Troubles(address))

    assert settings["bootstrap.servers"] == "one:9092,two:9094"
    assert settings["security.protocol"] == "SASL_SSL"
    assert settings["sasl.mechanism"] == "SCRAM-SHA-512"
    assert settings["sasl.password"] == "s@crit"
    assert settings["ssl.ca.location"] == str(ca_file)
    assert address.compression == "zstd"
    assert "s@crit" not in repr(address)


def test_a_ca_file_that_is_not_there_is_named():
    """A wrong file is said when the sink is opened."""
    sink = make_sink("kafka://127.0.0.1:1/changes?tls=true&ca=/no/such.pem", None)
    with pytest.raises(SinkError, match=r"/no/such\.pem"):
        asyncio.run(sink.open())


def test_the_repr_tells_address_and_state():
    """Sink and reader show which topic they are, without the password."""
    url = "kafka://me:secret@one:9092,two/changes"

    assert (
        repr(make_sink(url, None)) == "<KafkaSink kafka://one:9092,two:9092/changes, "
        "closed>"
    )
    assert "secret" not in repr(make_reader(url, from_end=True))
    with pytest.raises(SinkUnavailableError, match="not open"):
        asyncio.run(make_sink(url, None).put([]))


@needs_mock
def test_a_record_behind_one_that_is_too_large_is_not_sent():
    """The follower is reported as one that stands behind it."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts)) as sink:
            large = StreamRecord("a", b"x" * sink.record_bytes_max)
            result = await sink.put([large, StreamRecord("a", b"")])

            assert result.failed[1] == FailedRecord(
                1, "It stands behind record 0.", retryable=True
            )

    with_cluster(scene)


# --- What kind of topic it is --------------------------------------------------------


@needs_broker
@pytest.mark.parametrize(
    ("configuration", "cause"),
    [
        ({"cleanup.policy": "compact"}, "keeps the last record of a key"),
        ({"cleanup.policy": "compact,delete"}, "keeps the last record of a key"),
        ({"retention.ms": "1000"}, "keeps a record for 1 s (retention.ms=1000)"),
    ],
)
def test_a_topic_that_keeps_less_than_it_acknowledges_is_refused(
    tmp_path, configuration, cause
):
    """A broker tells how its topic is set up; the message says what to change."""
    topic = f"millpond-test-{uuid.uuid4()}"

    async def play() -> None:
        async with running_broker(tmp_path) as broker:
            await broker.create_topic(topic, configuration=configuration)
            with pytest.raises(StreamUnfitError) as caught:
                await make_sink(f"kafka://{broker.host}/{topic}", None).open()

            assert cause in str(caught.value)
            assert f"kafka-configs.sh --alter --topic {topic}" in str(caught.value)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("replicas", "configuration", "refused"),
    [
        (3, {"min.insync.replicas": "1", **UNCLEAN}, True),
        (3, {"min.insync.replicas": "2", **UNCLEAN}, False),
        (3, {"min.insync.replicas": "1"}, False),
        (1, {"min.insync.replicas": "1", **UNCLEAN}, False),  # nobody else can lead
        (3, UNCLEAN, False),  # the broker does not tell the rest
    ],
)
def test_a_leader_that_may_not_know_is_refused(replicas, configuration, refused):
    """One acknowledgement is not enough where the next leader need not have it."""
    target = topic_target("changes", TopicInfo((0,), 1000, replicas, configuration))

    assert (targets.flaw(target) is not None) is refused


@pytest.mark.parametrize(
    ("configuration", "keeps_ms"),
    [
        ({}, None),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, None),
        ({"cleanup.policy": "delete", "retention.ms": "604800000"}, 604_800_000),
        ({"retention.ms": "604800000"}, 604_800_000),  # told without the policy
        ({"cleanup.policy": "delete", "retention.ms": "soon"}, None),
    ],
)
def test_the_retention_of_a_topic_is_read(configuration, keeps_ms):
    """What a broker leaves out or says in a way of its own is no limit."""
    assert topic_target("t", TopicInfo((0,), 1, 3, configuration)).keeps_ms == keeps_ms


@needs_mock
def test_a_topic_that_dropped_records_is_seen_by_its_offsets():
    """Places are told by partition, and a put moves one of them on."""

    async def scene(cluster: MockCluster) -> None:
        async with opened(sink_of(cluster.hosts, patience_s=2)) as sink:
            before = await sink.look()
            await sink.put(numbered(20))
            after = await sink.look()

            assert set(before.following.values()) == {0}
            assert sum(after.following.values()) == 20
            assert targets.loss(targets.mark(before), after, elapsed_ms=0) is None

    with_cluster(scene)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "host:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused "
            "(after 0ms in state CONNECT, 1 identical error(s) suppressed)",
            "host:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused",
        ),
        (
            "[thrd:host:1/2]: host:1/2: Disconnected (after 12ms in state UP)",
            "host:1/2: Disconnected",
        ),
        ("Broker: Not leader (_NOT_LEADER).", "Broker: Not leader"),
    ],
)
def test_a_reason_is_what_people_need_of_it(told, said):
    """What the driver adds for itself is left out, whole."""
    assert reason_of(KafkaError(KafkaError._TRANSPORT, told)) == said


def test_a_sink_that_is_not_open_is_named_in_words():
    """The message names the topic, as all others do."""
    with pytest.raises(SinkUnavailableError, match=r"^Kafka topic 'changes' is not"):
        asyncio.run(make_sink("kafka://one/changes", None).put([]))
