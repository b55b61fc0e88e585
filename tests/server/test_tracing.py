"""What the variables of OpenTelemetry make of a server, and what is wrong with some."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from millpond import tracing
from millpond.core.streaming import StreamRecord
from millpond.errors import SettingsError, StoreUnavailableError
from millpond.sinks.base import FailedRecord, PutResult
from millpond.stores.base import Store
from millpond.stores.postgres import PostgresStore
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.tracing import ports, spans
from millpond.tracing.variables import asked_by, exporters

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OF_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
EXPORTER = "OTEL_TRACES_EXPORTER"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "pond", "OTEL_TRACES_SAMPLER": "always_on"}, []),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://metrics:4318"}, []),
        ({ENDPOINT: "http://collector:4318"}, ["otlp"]),
        ({OF_TRACES: "http://collector:4318/v1/traces"}, ["otlp"]),
        ({EXPORTER: "otlp"}, ["otlp"]),
        ({EXPORTER: " console , otlp,console"}, ["console", "otlp"]),
        ({EXPORTER: "none", ENDPOINT: "http://collector:4318"}, []),
        ({EXPORTER: "", ENDPOINT: " "}, []),
        ({EXPORTER: "otlp", "OTEL_SDK_DISABLED": "TRUE"}, []),
        ({EXPORTER: "otlp", "OTEL_SDK_DISABLED": "no"}, ["otlp"]),
    ],
    ids=str,
)
def test_traces_are_made_for_who_says_where_they_go(
    environment: dict[str, str], expected: list[str]
) -> None:
    """A place or an exporter; an empty variable is none, and nothing is guessed."""
    assert exporters(environment) == expected
    assert bool(asked_by(environment)) == bool(expected)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({EXPORTER: "jager"}, "OTEL_TRACES_EXPORTER is none, or some of console, otlp"),
        (
            {EXPORTER: "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "needs the package opentelemetry-exporter-otlp-proto-grpc",
        ),
        (
            {EXPORTER: "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is one of http/protobuf, grpc",
        ),
        ({EXPORTER: "console", "OTEL_PROPAGATORS": "b4"}, "OTEL_PROPAGATORS cannot be"),
    ],
    ids=lambda each: str(each),
)
def test_what_cannot_be_used_is_told_by_its_variable(
    variables: dict[str, str], says: str, tmp_path: Path
) -> None:
    """`millpond settings check` says which it is, and ends as for any other fault."""
    done = subprocess.run(
        [*(sys.executable, "-m", "millpond", "settings", "check"), "--data", tmp_path],
        capture_output=True,
        text=True,
        timeout=seconds(60),
        env=variables,
        check=False,
    )
    assert says in " ".join(done.stdout.split())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_queue_that_is_smaller_than_a_batch_is_filled_by_smaller_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The SDK by itself would refuse the one, though nobody has set the other."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    for number in ("-1", "many"):
        variables = {
            EXPORTER: "console",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10",
            "OTEL_BSP_SCHEDULE_DELAY": number,
        }
        made = tracing.load(variables)
        assert made is not None
        made.start()  # else it raises
        made.close(1)


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_SAMPLER": "sometimes"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10"},
        {"OTEL_BSP_SCHEDULE_DELAY": "soon"},
    ],
    ids=str,
)
def test_a_default_in_the_place_of_a_value_is_told_of(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In our log, once there is one, and not in words of its own beside that."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = tracing.load({EXPORTER: "console", **variables})

    assert made is not None
    assert len(made.warnings) == 1
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def traced() -> Any:
    """What makes spans, with those that ended under `finished`."""
    made = tracing.load({EXPORTER: "console"})
    assert made is not None
    memory = InMemorySpanExporter()
    made._provider.add_span_processor(SimpleSpanProcessor(memory))
    made.finished = memory.get_finished_spans  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("kind", [SqliteStore, PostgresStore])
def test_every_method_of_the_port_of_stores_is_traced(traced: Any, kind: Any) -> None:
    """But those by which a server opens, closes and looks after it."""
    made = ports.store_kind(traced, kind, "")

    wanted = {
        name
        for part in Store.__mro__
        for name, member in vars(part).items()
        if not name.startswith("_") and hasattr(member, "__code__")
    } - {"open", "aclose", "ping", "taking_along"}
    assert len(wanted) > 80
    for name in wanted:
        assert getattr(made, name) is not getattr(kind, name), name


def test_a_database_that_is_away_is_an_error_by_its_class(traced: Any) -> None:
    """What it said stays in the log: it may name what was asked for."""

    class Away:
        async def find_identity(self, identity_id: str) -> None:
            raise StoreUnavailableError(f"no answer for {identity_id}")

        def __getattr__(self, name: str) -> None: ...

    for each in dir(Store):
        if not hasattr(Away, each):
            setattr(Away, each, Away.find_identity)
    url = "postgresql://user:secret@db.example:6432/pond?sslmode=require"
    store = ports.store_kind(traced, Away, url)()

    async def ask() -> None:
        with pytest.raises(StoreUnavailableError):
            await store.find_identity("somebody")

    asyncio.run(ask())  # for nobody in particular: it leaves no span
    with spans.call(traced.tracer, "request", {}):
        asyncio.run(ask())

    found, _ = traced.finished()
    assert found.name == "find_identity pond"
    assert found.status.description is None
    assert found.events == ()
    assert dict(found.attributes) == {
        "db.system.name": "postgresql",
        "db.namespace": "pond",
        "db.operation.name": "find_identity",
        "server.address": "db.example",
        "server.port": 6432,
        "error.type": "StoreUnavailableError",
    }


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:p@ss:w/rd@db.example/pond",
        "postgresql://user:secret@one:5432,two:5432/pond",
        "postgresql:///pond?host=/run&password=secret",
        "postgresql://db.example:secret/pond",
    ],
)
def test_nothing_but_the_place_of_a_database_is_told(traced: Any, url: str) -> None:
    """However its URL is written, user and password are in no attribute."""
    told = str(ports._database(url))

    for word in ("user", "secret", "p@ss", "rd@"):
        assert word not in told


@pytest.mark.parametrize(
    ("url", "system", "destination"),
    [
        ("embedded:any: name/?", "millpond", "any: name/?"),
        ("kinesis://updates?region=us-east-1", "aws_kinesis", "updates"),
        ("nats://user:secret@nats.example:4222/updates", "nats", "updates"),
        ("kafka://k1:9092,k2:9092/updates?sasl_password=secret", "kafka", "updates"),
        ("file:///var/spool/updates", "file", "/var/spool/updates"),
    ],
)
def test_a_put_names_its_stream(
    traced: Any, url: str, system: str, destination: str
) -> None:
    """As the engine calls it, and never how it is reached; a part that failed fails."""

    class Half:
        async def put(self, records: Any) -> PutResult:
            return PutResult((FailedRecord(0, "key a is no good", retryable=False),))

    kinds: Any = {"it": lambda *_: Half()}
    factories = ports.sink_factories(traced, kinds)
    sink = factories["it"](url, None)
    asyncio.run(sink.put([StreamRecord("a", b"1"), StreamRecord("b", b"2")]))

    (found,) = traced.finished()
    assert found.name == f"send {destination}"
    assert found.attributes["messaging.system"] == system
    assert found.attributes["messaging.destination.name"] == destination
    assert found.attributes["messaging.batch.message_count"] == 2
    assert found.attributes["error.type"] == "partial_failure"
    assert "key a" not in found.to_json()
    assert "secret" not in found.to_json()


def test_a_line_of_the_log_has_no_trace_that_is_over(traced: Any) -> None:
    """A task that a request has begun, and that goes on, is no part of it any more."""
    with spans.call(traced.tracer, "request", {}):
        during = traced.name_line(None, "info", {})
        task = contextvars.copy_context()
    after = task.run(traced.name_line, None, "info", {})

    assert during.keys() == {"trace_id", "span_id", "trace_flags"}
    assert after == {}


def test_what_is_wrong_raises_one_kind_of_error() -> None:
    """So that a server can start without."""
    with pytest.raises(SettingsError):
        tracing.load({EXPORTER: "nothing of the kind"})
