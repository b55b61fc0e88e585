"""The Kinesis sink keeps the sink contract, and its promises when things go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from moto.sts.models import STSBackend

from acceptance.streams import read_stream
from millpond import aws
from millpond.core import targets
from millpond.core.streaming import StreamRecord
from millpond.errors import (
    AwsError,
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
)
from millpond.sinks import kinesis as kinesis_module
from millpond.sinks import make_sink as make_any_sink
from millpond.sinks import sink_factories
from millpond.sinks.kinesis import KinesisSink, make_sink
from millpond.sinks.kinesis_api import read_address
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from millpond.testing.sink_contract import SinkBench, SinkContract
from sinks.faulty_kinesis import (
    CREDENTIALS,
    THROTTLED,
    CutAnswer,
    CutBefore,
    FailRecords,
    FaultyKinesis,
    Garbage,
    LoseAnswer,
    Refuse,
    Shuffle,
    Stall,
)
from sinks.moto_server import Moto
from sinks.plain_http import answering, sts_error

ROLE_ARN = "arn:aws:iam::123456789012:role/streams"


@pytest.fixture(autouse=True)
def _quick_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, and pauses that take no time."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kinesis_module, "PAUSE_S_MAX", 0.002)


@pytest.fixture
def kinesis() -> Iterator[FaultyKinesis]:
    """A stream that does as it is told."""
    with FaultyKinesis() as running:
        yield running


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    """The rest of AWS."""
    running = Moto()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Another Millpond, whose embedded streams are somebody's Kinesis."""
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


def sink_url(endpoint: str, stream_name: str, **options: str) -> str:
    given = {"region": "us-east-1", "endpoint": endpoint, **options}
    query = "&".join(f"{name}={quote(value)}" for name, value in given.items())
    return f"kinesis://{stream_name}?{query}"


def delivered_to(client: Any, stream_name: str) -> list[StreamRecord]:
    return [
        StreamRecord(each.partition_key, each.data)
        for each in read_stream(client, stream_name)
    ]


@contextlib.asynccontextmanager
async def bench_on(
    running: Moto | RunningServer, url: str, disconnect: Callable[[], None]
) -> AsyncIterator[SinkBench]:
    """Set up a bench on a new stream of whoever answers at a URL."""
    name = f"stream-{uuid.uuid4()}"
    client = running.client("kinesis")
    client.create_stream(StreamName=name, ShardCount=3)

    async def delivered() -> list[StreamRecord]:
        return delivered_to(client, name)

    async def remove_stream() -> None:
        client.delete_stream(StreamName=name)

    async def recreate() -> None:
        client.delete_stream(StreamName=name)
        client.create_stream(StreamName=name, ShardCount=3)

    async def go_away() -> None:
        disconnect()

    try:
        yield SinkBench(
            sink=make_sink(sink_url(url, name), None),
            delivered=delivered,
            remove_stream=remove_stream,
            disconnect=go_away,
            recreate=recreate,
        )
    finally:
        client.close()


class TestOnMoto(SinkContract):
    """The contract, on the Kinesis that moto plays."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        with contextlib.closing(Moto()) as moto:
            async with bench_on(moto, moto.url, moto.go_down) as bench:
                yield bench


class TestOnMillpond(SinkContract):
    """The contract, on an embedded stream of another server."""

    running: RunningServer

    @pytest.fixture(autouse=True)
    def _developer(
        self,
        monkeypatch: pytest.MonkeyPatch,
        server: RunningServer,
        _quick_and_known: None,
    ) -> None:
        self.running = server
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        server = self.running
        try:
            async with bench_on(server, server.endpoint, server.kill) as bench:
                yield bench
        finally:
            if repr(server).endswith("STOPPED>"):
                server.start()


class TestOnTheFaulty(SinkContract):
    """The contract, on the stream whose script the tests below write."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        with FaultyKinesis(shards=3) as kinesis:

            async def delivered() -> list[StreamRecord]:
                return kinesis.records()

            async def remove_stream() -> None:
                kinesis.exists = False

            async def disconnect() -> None:
                kinesis.go_down()

            yield SinkBench(
                sink=make_sink(kinesis.sink_url, None),
                delivered=delivered,
                remove_stream=remove_stream,
                disconnect=disconnect,
            )


# --- Partial failures, lost answers, throttling --------------------------------------


def play(url: str, scene: Callable[[KinesisSink], Coroutine[Any, Any, None]]) -> None:
    """Run a scene with an open sink."""

    async def main() -> None:
        sink = make_sink(url, None)
        try:
            await sink.open()
            await scene(sink)
        finally:
            await sink.aclose()

    asyncio.run(main())


def batch(keys: str) -> list[StreamRecord]:
    """Make records of these keys, numbered."""
    return [StreamRecord(key, f"{key}{n}".encode()) for n, key in enumerate(keys)]


def settled(records: Sequence[StreamRecord]) -> dict[str, list[bytes]]:
    """
    Read as a consumer does that minds order: by key, each record where it was last.

    What a repeat has put behind later records is followed by their repeats, too, so the
    last occurrences are in order.
    """
    found: defaultdict[str, dict[bytes, None]] = defaultdict(dict)
    for record in records:
        found[record.partition_key].pop(record.data, None)
        found[record.partition_key][record.data] = None
    return {key: list(values) for key, values in found.items()}


@pytest.mark.parametrize(
    "troubles",
    [
        [FailRecords(0)],
        [FailRecords(1, 4), FailRecords(0)],
        [FailRecords(0, 1, 2, 3, 4, 5)],
        [FailRecords(2, code="InternalFailure")],
        [Shuffle()],
        [LoseAnswer()],
        [CutAnswer()],
        [CutBefore()],
        [FailRecords(0), LoseAnswer(), FailRecords(1)],
        [Refuse(THROTTLED)],
        [Refuse("LimitExceededException"), Refuse("KMSThrottlingException")],
        [Refuse("InternalFailure", 500), Refuse("ServiceUnavailable", 503)],
        [Garbage(), Garbage(b"bad gateway", 502)],
    ],
    ids=str,
)
def test_what_goes_wrong_for_a_while_is_mended(kinesis, troubles):
    """Nothing is lost, and repeats leave the records of each key in order."""
    records = batch("abaabbca")
    kinesis.script("PutRecords", *troubles)

    async def scene(sink):
        assert (await sink.put(records)).failed == ()

    play(kinesis.sink_url, scene)

    assert settled(kinesis.records()) == settled(records)
    assert len(kinesis.requests("PutRecords")) == len(troubles) + 1


def test_what_stands_behind_a_failed_record_is_sent_again(kinesis):
    """The failed record and what follows it in its key go out again, nothing else."""
    records = batch("abab")
    kinesis.script("PutRecords", FailRecords(1))

    async def scene(sink):
        await sink.put(records)

    play(kinesis.sink_url, scene)
    again = kinesis.requests("PutRecords")[1]["Records"]

    assert [each["PartitionKey"] for each in again] == ["b", "b"]
    assert [each.data for each in kinesis.records()] == [
        b"a0",
        b"a2",
        b"b3",
        b"b1",
        b"b3",
    ]


def test_records_that_stay_out_are_reported(kinesis):
    """After a bounded number of attempts the failed records are the caller's again."""
    records = batch("abab")
    kinesis.script("PutRecords", *[FailRecords(0)] * 100)

    async def scene(sink):
        first, behind = (await sink.put(records)).failed

        assert (first.index, first.retryable) == (0, True)
        assert THROTTLED in first.reason
        assert (behind.index, behind.retryable) == (2, True)

    play(kinesis.sink_url, scene)

    assert len(kinesis.requests("PutRecords")) == kinesis_module.ATTEMPTS_MAX
    assert settled(kinesis.records())["b"] == [b"b1", b"b3"]


def test_attempts_end_after_a_time(kinesis, monkeypatch):
    """No attempt begins when too much time has gone by."""
    monkeypatch.setattr(kinesis_module, "ATTEMPTS_S", 0.0)
    kinesis.script("PutRecords", FailRecords(0))

    async def scene(sink):
        assert len((await sink.put(batch("a"))).failed) == 1

    play(kinesis.sink_url, scene)

    assert len(kinesis.requests("PutRecords")) == 1


def test_refused_records_are_reported_beside_failed_ones(kinesis):
    """What Kinesis would never take is not sent, and not mixed up with what failed."""
    records = [
        StreamRecord("", b"no key"),
        StreamRecord("a", b"1"),
        StreamRecord("x" * 257, b"long key"),
        StreamRecord("b", b"2"),
    ]
    kinesis.script("PutRecords", *[FailRecords(0)] * 100)

    async def scene(sink):
        failed = (await sink.put(records)).failed

        assert [(each.index, each.retryable) for each in failed] == [
            (0, False),
            (1, True),
            (2, False),
        ]
        assert "is empty" in failed[0].reason
        assert "has 257 characters; the limit is 256" in failed[2].reason

    play(kinesis.sink_url, scene)

    assert kinesis.records() == [records[3]]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Refuse(THROTTLED), SinkUnavailableError),
        (Refuse("InternalFailure", 500), SinkUnavailableError),
        (CutBefore(), SinkUnavailableError),
        (Garbage(), SinkUnavailableError),
    ],
    ids=str,
)
def test_what_does_not_end_is_worth_another_try_later(kinesis, trouble, kind):
    """Bounded attempts, then an error that says that a repeat may help."""
    kinesis.script("PutRecords", *[trouble] * 100)

    async def scene(sink):
        with pytest.raises(kind, match="'changes'"):
            await sink.put(batch("a"))

    play(kinesis.sink_url, scene)

    assert len(kinesis.requests("PutRecords")) == kinesis_module.ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ResourceNotFoundException", StreamGoneError),
        ("AccessDeniedException", SinkUnavailableError),
        ("KMSAccessDeniedException", SinkUnavailableError),
        ("ValidationException", SinkError),
        ("UnrecognizedClientException", SinkError),
    ],
)
def test_refusals_are_told_apart(kinesis, code, kind):
    """A refusal is not repeated at once; its kind says whether it is for good."""
    kinesis.script("PutRecords", Refuse(code))

    async def scene(sink):
        with pytest.raises(SinkError, match=code.removesuffix("Exception")) as caught:
            await sink.put(batch("a"))

        assert type(caught.value) is kind

    play(kinesis.sink_url, scene)

    assert len(kinesis.requests("PutRecords")) == 1


def test_a_stall_ends(kinesis, monkeypatch):
    """A call that nobody answers times out, and the put is repeated."""
    monkeypatch.setattr("millpond.sinks.kinesis_api.READ_TIMEOUT_S", seconds(0.2))
    records = batch("ab")
    kinesis.script("PutRecords", Stall())

    async def scene(sink):
        assert (await sink.put(records)).failed == ()

    play(kinesis.sink_url, scene)

    assert settled(kinesis.records()) == settled(records)
    assert len(kinesis.requests("PutRecords")) == 2


def test_a_put_is_bounded_in_time(kinesis, monkeypatch):
    """Whatever the far side does, a put ends before the lease of a worker does."""
    monkeypatch.setattr(kinesis_module, "PUT_S_MAX", 0.2)
    monkeypatch.setattr(aws, "CLOSE_TIMEOUT_S", 0.1)
    kinesis.script("PutRecords", Stall())

    async def scene(sink):
        # The far side never answers: with no bound of its own, a put would not end.
        async with asyncio.timeout(seconds(30)):
            with pytest.raises(SinkUnavailableError, match=r"in 0\.2 s"):
                await sink.put(batch("a"))
            await sink.aclose()

    # The thread that waits ends with the server.
    async def main() -> None:
        sink = make_sink(kinesis.sink_url, None)
        await sink.open()
        await scene(sink)
        kinesis.close()

    asyncio.run(main())


def test_a_put_beside_a_close_is_worth_another_try(kinesis, monkeypatch):
    """A sink that somebody else lets go of meanwhile takes nothing more."""
    monkeypatch.setattr(kinesis_module, "PAUSE_S_MAX", 60.0)
    monkeypatch.setattr(kinesis_module, "FIRST_PAUSE_S", 0.3)

    async def main() -> None:
        sink = make_sink(kinesis.sink_url, None)
        with pytest.raises(SinkUnavailableError, match="not open"):
            await sink.put(batch("a"))
        await sink.open()
        kinesis.script("PutRecords", *[FailRecords(0)] * 100)
        putting = asyncio.create_task(sink.put(batch("a")))
        await asyncio.to_thread(wait_until, lambda: kinesis.requests("PutRecords"))
        await sink.aclose()
        with pytest.raises(SinkUnavailableError, match="closed meanwhile"):
            await putting

    asyncio.run(main())


# --- Opening --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [("CREATING", SinkUnavailableError), ("DELETING", StreamGoneError)],
)
def test_a_stream_must_be_there_to_be_opened(kinesis, status, kind):
    """One that is being made will come; one that is being deleted is gone."""
    kinesis.status = status
    with pytest.raises(SinkError) as caught:
        asyncio.run(make_sink(kinesis.sink_url, None).open())

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "trouble", [None, Refuse("AccessDeniedException"), Refuse("AccessDenied", 403)]
)
def test_who_may_only_put_can_open(kinesis, trouble):
    """A stream is looked at before use; who may not look finds out by a put."""
    kinesis.status = "UPDATING"
    kinesis.script("DescribeStreamSummary", trouble)

    async def scene(sink):
        assert repr(sink) == "<KinesisSink kinesis://changes, open>"
        assert (await sink.put(batch("a"))).failed == ()

    play(kinesis.sink_url, scene)


@pytest.mark.parametrize("trouble", [Garbage(), CutBefore(), Refuse("Boom", 500)])
def test_a_stream_that_cannot_be_looked_at_is_out_of_reach(kinesis, trouble):
    """Opening may be tried again."""
    kinesis.script("DescribeStreamSummary", trouble)
    with pytest.raises(SinkUnavailableError):
        asyncio.run(make_sink(kinesis.sink_url, None).open())


def test_a_missing_region_is_said(kinesis):
    """Neither the URL nor the environment names one: the message says what to do."""
    url = kinesis.sink_url.replace("region=us-east-1&", "")
    with pytest.raises(SinkError, match="No region is known") as caught:
        asyncio.run(make_sink(url, None).open())

    assert type(caught.value) is SinkError


def test_the_region_may_come_from_the_environment(kinesis, monkeypatch):
    """A URL without a region takes the one of botocore's chain."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    async def scene(sink):
        assert (await sink.put(batch("a"))).failed == ()

    play(kinesis.sink_url.replace("region=us-east-1&", ""), scene)


def test_missing_credentials_are_said(kinesis, monkeypatch, tmp_path):
    """They may come, from the machine's role for instance, so it is tried again."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    with pytest.raises(SinkUnavailableError, match="redentials"):
        asyncio.run(make_sink(kinesis.sink_url, None).open())


def test_an_endpoint_that_is_none_is_refused():
    """What botocore cannot make an address of is not worth another try."""
    url = "kinesis://a?region=us-east-1&endpoint=http://"
    with pytest.raises(SinkError, match="endpoint") as caught:
        asyncio.run(make_sink(url, None).open())

    assert not caught.value.retryable


# --- Roles ----------------------------------------------------------------------------


@pytest.fixture
def sts(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Record what STS is asked for."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.url)
    seen: list[dict[str, Any]] = []
    assume_role = STSBackend.assume_role

    def spy(backend: STSBackend, *positional: Any, **named: Any) -> Any:
        seen.append(named)
        return assume_role(backend, *positional, **named)

    monkeypatch.setattr(STSBackend, "assume_role", spy)
    return seen


def test_a_role_signs_what_is_put(kinesis, sts):
    """The role of the pool is assumed once, and its credentials sign."""

    async def main() -> None:
        sink = make_sink(kinesis.sink_url, ROLE_ARN)
        await sink.open()
        for _ in range(2):
            assert (await sink.put(batch("a"))).failed == ()
        await sink.aclose()

    asyncio.run(main())

    (signed_by,) = {each.access_key_id for each in kinesis.calls}
    assert signed_by.startswith("ASIA")
    assert [each["role_arn"] for each in sts] == [ROLE_ARN]


def test_the_role_of_the_url_wins(kinesis, sts):
    """A role in the URL is the one that is assumed, with its external id."""
    theirs = "arn:aws:iam::123456789012:role/theirs"
    url = f"{kinesis.sink_url}&role_arn={theirs}&external_id=a%20b"

    async def main() -> None:
        sink = make_sink(url, ROLE_ARN)
        await sink.open()
        await sink.aclose()

    asyncio.run(main())

    (asked,) = sts
    assert (asked["role_arn"], asked["external_id"]) == (theirs, "a b")


def test_the_credentials_of_a_role_are_renewed(kinesis, sts, monkeypatch):
    """Before they expire others are fetched."""
    monkeypatch.setattr("millpond.sinks.kinesis_api.ROLE_REFRESH_S", 1e6)

    async def scene(sink):
        await sink.put(batch("a"))

    play(f"{kinesis.sink_url}&role_arn={ROLE_ARN}", scene)

    first, second = (each.access_key_id for each in kinesis.calls)
    assert first != second


def test_credentials_that_expired_are_renewed(kinesis, sts):
    """When the service says that they have expired, a repeat comes with others."""
    kinesis.script("PutRecords", Refuse("ExpiredTokenException"))

    async def scene(sink):
        assert (await sink.put(batch("a"))).failed == ()

    play(f"{kinesis.sink_url}&role_arn={ROLE_ARN}", scene)

    assert len(sts) == 2
    assert kinesis.calls[-2].access_key_id != kinesis.calls[-1].access_key_id


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", StreamGoneError),
        (400, "ValidationError", SinkError),
        (500, "InternalFailure", SinkUnavailableError),
    ],
)
def test_a_role_that_is_refused_ends_the_stream(
    kinesis, monkeypatch, status, code, kind
):
    """A trust that was changed is for good, as in the real service; STS may fail."""

    with answering(status, sts_error(code)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(SinkError, match=f"AssumeRole answers {code}") as caught:
            asyncio.run(make_sink(kinesis.sink_url, ROLE_ARN).open())

    assert type(caught.value) is kind
    assert kinesis.calls == []


def test_an_answer_that_is_not_one_of_sts_is_worth_another_try(kinesis, monkeypatch):
    """Something in between answers in place of STS."""
    with answering(200, "<Other/>") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(SinkUnavailableError, match="cannot be read"):
            asyncio.run(make_sink(kinesis.sink_url, ROLE_ARN).open())


# --- URLs -----------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["kinesis://my.Stream-1", "kinesis:///my.Stream-1"])
def test_a_url_names_a_stream(url):
    """The name may stand where a host stands, or where a path does."""
    assert read_address(url).name == "my.Stream-1"
    assert repr(make_sink(url, None)) == "<KinesisSink kinesis://my.Stream-1, closed>"


def test_options_say_where_and_in_whose_name():
    """Region, endpoint, role and external id come out; what is not given is not set."""
    bare = read_address("kinesis://s")
    full = read_address(
        "kinesis://s?region=eu-west-1&endpoint=http://host:4567"
        f"&role_arn={ROLE_ARN}&external_id=id"
    )

    assert bare.place == aws.Place(None)
    assert bare.endpoint_url is None
    assert full.place == aws.Place("eu-west-1", ROLE_ARN, "id")
    assert full.endpoint_url == "http://host:4567"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("kinesis://", "names one stream"),
        ("kinesis://one/two", "names one stream"),
        ("kinesis://one,two", "names one stream"),
        ("kinesis:///a%20b", "names one stream"),
        (f"kinesis://{'x' * 129}", "at most 128"),
        ("kinesis://secret:secret@a", "no user and no password"),
        ("kinesis://a?region=Frankfurt!", "'region'"),
        ("kinesis://a?endpoint=secret:80", "'endpoint'"),
        ("kinesis://a?role_arn=secret", "'role_arn'"),
        ("kinesis://a?rolearn=secret", "no option 'rolearn'"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused_at_the_start(url, complaint, tmp_path):
    """The message says what is wrong and does not repeat the URL."""
    factories = sink_factories(store=SqliteStore(tmp_path), now_ms=lambda: 0)
    with pytest.raises(SettingsError, match=complaint) as caught:
        make_any_sink(url, factories)

    assert "secret" not in str(caught.value)


def test_an_aws_error_says_who_answered_what():
    """Without an answer there is only what botocore says."""
    assert str(AwsError("No route.")) == "No route."
    assert (
        str(AwsError("No.", op="PutRecords", code="AccessDenied"))
        == "PutRecords answers AccessDenied: No."
    )


def test_the_retention_of_a_stream_is_that_of_its_summary():
    """A run that takes longer than the stream keeps a record has lost its beginning."""

    async def scene(moto: Moto) -> None:
        client = moto.client("kinesis")
        client.create_stream(StreamName="changes", ShardCount=1)
        client.increase_stream_retention_period(
            StreamName="changes", RetentionPeriodHours=48
        )
        client.close()
        sink = make_sink(sink_url(moto.url, "changes"), None)
        await sink.open()
        target = await sink.look()
        await sink.aclose()
        two_days_ms = 48 * 3_600_000
        fault = targets.loss(targets.mark(target), target, elapsed_ms=two_days_ms)

        assert target.keeps_ms == two_days_ms
        assert fault is not None
        assert "RetentionPeriodHours=48" in fault.cause
        assert "increase-stream-retention-period" in fault.change

    with contextlib.closing(Moto()) as moto:
        asyncio.run(scene(moto))
