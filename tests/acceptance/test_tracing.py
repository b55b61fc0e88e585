"""Traces: a real server and SDK, and a collector that reads what they send."""

from __future__ import annotations

import contextlib
import importlib
import json
import pkgutil
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import apsw
import opentelemetry.semconv._incubating.attributes as in_development
import opentelemetry.semconv.attributes as stable
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from acceptance.kinds import embedded_does
from acceptance.live_reader import LiveReader, live_path
from acceptance.raw_http import RawClient
from acceptance.raw_http import Request as RawRequest
from acceptance.raw_http2 import Http2Connection
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from acceptance.trace_collector import Collector, Span
from acceptance.users import client_of, get_credentials
from hooks.hook_server import Answer, HookServer
from millpond.stores.sqlite import FILE_NAME
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from push.sns import CREDENTIALS, Sns

pytestmark = embedded_does("spans are made in front of whichever store it is")

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
UPDATE = "CognitoSync.UpdateRecords"
DATASET = (
    "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}"
)
SETTINGS = {
    "hook_private_networks": "true",
    "log_requests": "true",
    "bulk_publish_workers": "1",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where the traces of the server go."""
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, sns: Sns
) -> Iterator[RunningServer]:
    """A server whose traces are collected."""
    with RunningServer(
        tmp_path_factory.mktemp("server") / "data",
        settings={**SETTINGS, "sns_endpoint": sns.url},
        command_prefix=collector.variables(**CREDENTIALS),
    ) as running:
        yield running


def tracing_client(server: RunningServer, **headers: str) -> Any:
    """Make a client that says which trace its calls belong to."""
    return tagged(server.client("cognito-sync"), **headers)


def tagged(client: Any, **headers: str) -> Any:
    """Have the calls of a client say which trace they belong to."""

    def add(request: Any, **_: Any) -> None:
        for name, value in headers.items():
            request.headers[name] = value

    client.meta.events.register("before-sign.cognito-sync.*", add)
    return client


def new_dataset(client: Any, server: RunningServer) -> Dataset:
    """Name a dataset of a fresh pool."""
    return Dataset(client, create_pool(server), new_identity())


def stored(found: Iterable[Span]) -> set[str]:
    """Name what was asked of the store, whichever that is, in some spans."""
    names = (each.attributes.get("db.operation.name") for each in found)
    return {str(each) for each in names if each}


def in_log(server: RunningServer, request_id: str) -> dict[str, Any]:
    """Give the line of a request."""
    lines = server.wait_for_events("request.answered")
    found: dict[str, Any] = wait_until(
        lambda: next(
            (
                each
                for each in [*lines, *server.wait_for_events("request.answered")]
                if each["request_id"] == request_id
            ),
            None,
        )
    )
    return found


# --- Requests -------------------------------------------------------------------------


def test_an_update_goes_on_with_the_trace_of_its_client(
    server: RunningServer, collector: Collector
) -> None:
    """Its span is a part of the client's, the store's a part of it; so is the log."""
    with contextlib.closing(tracing_client(server, traceparent=TRACEPARENT)) as client:
        dataset = new_dataset(client, server)
        answer = dataset.update(replace("a", "1", 0))
    request_id = answer["ResponseMetadata"]["RequestId"]

    span = collector.named(UPDATE, aws__request_id=request_id)
    (in_store,) = collector.children(span)
    line = in_log(server, request_id)

    assert (span.trace_id, span.parent_id) == (TRACE_ID, SPAN_ID)
    assert (span.kind, span.is_error) == ("SERVER", False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": DATASET,
        "url.path": DATASET,
        "url.scheme": "http",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": int(server.endpoint.rpartition(":")[2]),
        "rpc.system.name": "aws-api",
        "rpc.method": UPDATE,
        "aws.request_id": request_id,
    }
    assert (in_store.name, in_store.kind) == ("update_dataset", "INTERNAL")
    assert in_store.trace_id == TRACE_ID
    assert in_store.attributes == {
        "db.system.name": "sqlite",
        "db.operation.name": "update_dataset",
    }
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, span.span_id)
    assert span.resource["service.name"] == "millpond"


def test_what_goes_on_at_the_same_time_is_kept_apart(
    server: RunningServer, collector: Collector
) -> None:
    """The store's spans are in the trace of the request that asked for them."""
    pool = create_pool(server)

    def work(number: int) -> str:
        trace_id = f"{number + 1:032x}"
        with contextlib.closing(
            tracing_client(server, traceparent=f"00-{trace_id}-{SPAN_ID}-01")
        ) as client:
            for _ in range(4):
                dataset = Dataset(client, pool, new_identity())
                dataset.put(a="1")
        return trace_id

    with ThreadPoolExecutor(8) as threads:
        trace_ids = [*threads.map(work, range(8))]

    def of(trace_id: str) -> Counter[str]:
        return Counter(e.name for e in collector.spans if e.trace_id == trace_id)

    for trace_id in trace_ids:
        wait_until(lambda t=trace_id: of(t)["update_dataset"] == of(t)[UPDATE] == 4)
    by_id = {each.span_id: each for each in collector.spans}
    for span in by_id.values():
        if span.trace_id in trace_ids and span.kind == "INTERNAL":
            parent = by_id[span.parent_id]
            expected = {"update_dataset": UPDATE}.get(span.name, parent.name)
            assert (parent.name, parent.trace_id) == (expected, span.trace_id)


def test_what_a_client_did_wrong_is_no_error_of_the_server(
    server: RunningServer, collector: Collector
) -> None:
    """A conflict has its status and its code, and the span is no failure."""
    with contextlib.closing(server.client("cognito-sync")) as client:
        dataset = new_dataset(client, server)
        dataset.put(a="1")
        with pytest.raises(ClientError) as refused:
            dataset.update(replace("a", "2", 0))
    request_id = refused.value.response["ResponseMetadata"]["RequestId"]

    span = collector.named(UPDATE, aws__request_id=request_id)

    assert span.attributes["http.response.status_code"] == 409
    assert span.attributes["rpc.response.status_code"] == "ResourceConflictException"
    assert "error.type" not in span.attributes
    assert not span.is_error
    # The rule has refused, not the database.
    errors = {each.name: each.is_error for each in collector.children(span)}
    assert errors["update_dataset"] is False


def test_what_the_server_cannot_do_is_an_error(
    server: RunningServer, collector: Collector
) -> None:
    """By its code; what the exception says stays in the log, with the same trace."""
    pool = create_pool(server)
    with apsw.Connection(str(server.data / FILE_NAME)) as connection:
        connection.set_busy_timeout(5000)
        connection.execute(
            "UPDATE identity_pools SET description = x'7b' WHERE identity_pool_id = ?",
            (pool,),
        ).fetchall()
    with (
        contextlib.closing(server.client("cognito-sync")) as client,
        pytest.raises(ClientError) as failed,
    ):
        client.get_identity_pool_configuration(IdentityPoolId=pool)
    request_id = failed.value.response["ResponseMetadata"]["RequestId"]

    span = collector.named(
        "CognitoSync.GetIdentityPoolConfiguration", aws__request_id=request_id
    )
    lines = server.wait_for_events("request.failed")

    assert span.is_error
    assert span.attributes["http.response.status_code"] == 500
    assert span.attributes["error.type"] == "InternalErrorException"
    assert (span.message, span.events) == ("", 0)
    assert [e["trace_id"] for e in lines if e["request_id"] == request_id] == [
        span.trace_id
    ]


@pytest.mark.parametrize(
    "given",
    [
        [""],
        ["nonsense"],
        [f"00-{'0' * 32}-{SPAN_ID}-01"],
        [f"00-{TRACE_ID}-{'0' * 16}-01"],
        [f"00-{TRACE_ID.upper()}-{SPAN_ID}-01"],
        [f"00-{TRACE_ID}-{SPAN_ID}-01-more"],
        [f"ff-{TRACE_ID}-{SPAN_ID}-01"],
        [TRACEPARENT * 200],
        [TRACEPARENT, f"00-{'1' * 32}-{SPAN_ID}-01"],
        [TRACEPARENT, TRACEPARENT],
    ],
    ids=lambda given: f"{len(given)}x{given[0][:60]}",
)
def test_a_context_that_cannot_be_right_is_not_there(
    server: RunningServer, collector: Collector, given: list[str]
) -> None:
    """The request is answered, and begins a trace of its own; the log says nothing."""
    headers = tuple(("traceparent", each) for each in given)
    lines = len(server.log)
    answer = RawClient(server).send(RawRequest(target=b"/nowhere", headers=headers))
    request_id = answer.headers["x-amzn-requestid"]

    span = collector.wait_for(
        lambda each: each.attributes.get("aws.request_id") == request_id
    )

    assert answer.status == 404
    assert span.parent_id == ""
    assert span.trace_id != TRACE_ID
    assert not any('"tracing.' in line for line in server.log[lines:])


OF_AWS = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1"


@pytest.mark.parametrize(
    ("headers", "parent"),
    [
        # All that boto3 sends where it is traced.
        ([("X-Amzn-Trace-Id", OF_AWS)], SPAN_ID),
        ([("X-Amzn-Trace-Id", OF_AWS.replace("00f067", "11f067"))], "11f067aa0ba902b7"),
        ([("traceparent", TRACEPARENT), ("X-Amzn-Trace-Id", "Root=1-2-3")], SPAN_ID),
        (
            [
                ("X-Amzn-Trace-Id", OF_AWS.replace("00f067", "11f067")),
                ("traceparent", TRACEPARENT),
            ],
            SPAN_ID,
        ),
        # As a load balancer of AWS adds it, which makes no span.
        ([("X-Amzn-Trace-Id", OF_AWS.partition(";")[0])], ""),
        ([("X-Amzn-Trace-Id", f"{OF_AWS};a")], ""),
        ([("X-Amzn-Trace-Id", OF_AWS)] * 2, ""),
    ],
    ids=str,
)
def test_the_context_that_aws_knows_counts_where_there_is_no_other(
    server: RunningServer,
    collector: Collector,
    headers: list[tuple[str, str]],
    parent: str,
) -> None:
    """A traced boto3 sends it alone; that of W3C is believed first."""
    request = RawRequest(target=b"/nowhere", headers=tuple(headers))
    answer = RawClient(server).send(request)

    span = collector.wait_for(
        lambda each: (
            each.attributes.get("aws.request_id") == answer.headers["x-amzn-requestid"]
        )
    )

    assert span.parent_id == parent
    assert (span.trace_id == TRACE_ID) == bool(parent)


def test_a_trace_state_comes_along_if_it_can_be_read(
    server: RunningServer, hook: HookServer
) -> None:
    """A trigger is sent what others keep in it; a damaged one stays behind alone."""
    for given, expected in {"a=1,b@c=2": "a=1,b@c=2", "no state": None}.items():
        update_with_trigger(server, hook, traceparent=TRACEPARENT, tracestate=given)

        assert hook.requests[-1].headers.get("tracestate") == expected
        assert hook.requests[-1].headers["traceparent"][3:35] == TRACE_ID


def test_a_request_over_http2_says_so(
    server: RunningServer, collector: Collector
) -> None:
    """Many of them on one connection: each has its own trace."""
    with Http2Connection(server) as connection:
        target = ("x-amz-target", "Kinesis_20131202.ListStreams")
        request = RawRequest(method="POST", headers=(target,), body=b"{}")
        streams = [connection.begin(connection.sign(request)) for _ in range(2)]
        answers = [connection.answer(each) for each in streams]

    found = [
        collector.named(
            "Kinesis.ListStreams",
            aws__request_id=each.headers["x-amzn-requestid"],
            network__protocol__version="2",
        )
        for each in answers
    ]
    assert found[0].trace_id != found[1].trace_id


def test_names_of_spans_are_few_whatever_is_asked(
    server: RunningServer, collector: Collector
) -> None:
    """A path or a method that nobody knows is in no name and in no attribute."""
    sentinel = uuid.uuid4().hex
    for method in ("GET", "POST", sentinel.upper()):
        with contextlib.suppress(HTTPError):
            urlopen(Request(f"{server.endpoint}/{sentinel}?{sentinel}", method=method))
    path = f"/identitypools/{sentinel}/identities/{sentinel}/datasets/{sentinel}"
    with contextlib.suppress(HTTPError):
        urlopen(f"{server.endpoint}{path}")

    collector.named("HTTP", http__request__method="_OTHER")
    collector.wait_for(
        lambda each: (
            each.name == "CognitoSync.DescribeDataset"
            and each.attributes["http.response.status_code"] >= 400
        )
    )

    names = {each.name for each in collector.spans if "." not in each.name}
    assert {"GET", "POST", "HTTP"} <= names
    assert not any(sentinel.encode() in body.lower() for body in collector.bodies)


def test_health_metrics_and_pages_for_people_leave_no_trace(
    server: RunningServer, collector: Collector
) -> None:
    """Who asks whether the server is well asks often, and says nothing by it."""
    for path in ("/healthz", "/readyz", "/metrics", "/version", "/console/login"):
        with contextlib.suppress(HTTPError):
            urlopen(f"{server.endpoint}{path}?a={uuid.uuid4()}").close()
    with contextlib.closing(server.client("cognito-sync")) as client:
        answer = client.list_identity_pool_usage()
    collector.named(
        "CognitoSync.ListIdentityPoolUsage",
        aws__request_id=answer["ResponseMetadata"]["RequestId"],
    )

    routes = {
        each.attributes.get("http.route")
        for each in collector.spans
        if each.kind == "SERVER" and "." in each.name
    }
    assert None not in routes
    served = [e for e in collector.spans if e.kind == "SERVER" and "." not in e.name]
    assert all(each.attributes["http.response.status_code"] >= 400 for each in served)


def test_a_stream_is_a_span_until_it_begins(
    server: RunningServer, collector: Collector
) -> None:
    """Who listens for hours is seen at once; what is told later is in no trace."""
    pool, identity = create_pool(server), new_identity()
    raw = RawClient(server)
    request = raw.signed(RawRequest(target=live_path(pool, identity)))
    with LiveReader(raw, request) as reader:
        span = collector.wait_for(lambda each: "/live" in str(each.attributes))
        with contextlib.closing(server.client("cognito-sync")) as client:
            Dataset(client, pool, identity).put(a="1")
        assert reader.read() is not None
        listening = len(collector.children(span))

    assert span.attributes["http.response.status_code"] == 200
    assert not span.is_error
    assert len(collector.children(span)) == listening


# --- What is called -------------------------------------------------------------------


def update_with_trigger(
    server: RunningServer, hook: HookServer, path: str = "/", **headers: str
) -> None:
    """Update a dataset of a pool with a sync trigger, as a user of it."""
    pool = create_pool(server)
    with contextlib.closing(server.client("cognito-sync")) as client:
        client.set_cognito_events(
            IdentityPoolId=pool, Events={"SyncTrigger": f"{hook.url}{path}"}
        )
    with a_guest(server, pool) as dataset, contextlib.suppress(ClientError):
        tagged(dataset.client, **headers)
        dataset.update(replace("a", "1", 0))


@contextlib.contextmanager
def a_guest(server: RunningServer, pool: str) -> Iterator[Dataset]:
    """Give a dataset of a guest of a pool, which the guest calls for."""
    unsigned = Config(signature_version=UNSIGNED)
    with contextlib.closing(
        server.client("cognito-identity", config=unsigned)
    ) as device:
        credentials = get_credentials(device, pool)
    with contextlib.closing(client_of(server, credentials)) as client:
        yield Dataset(client, pool, credentials.identity_id)


def test_a_sync_trigger_is_told_of_the_trace(
    server: RunningServer, collector: Collector, hook: HookServer
) -> None:
    """Its call is a part of the update, and what it does can be a part of the call."""
    update_with_trigger(server, hook, traceparent=TRACEPARENT)
    _, trace_id, span_id, flags = hook.requests[0].headers["traceparent"].split("-")

    span = collector.wait_for(lambda each: each.span_id == span_id)
    update = collector.wait_for(lambda each: each.span_id == span.parent_id)

    assert (trace_id, int(flags, 16) & 1) == (TRACE_ID, 1)
    assert (span.name, span.kind, span.is_error) == ("POST", "CLIENT", False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": hook.port,
    }
    assert update.name == UPDATE


def test_a_sync_trigger_that_fails_is_an_error_of_its_call(
    server: RunningServer, collector: Collector, hook: HookServer
) -> None:
    """By its status; the address that it is called at may be a secret."""
    secret = uuid.uuid4().hex
    hook.answer = lambda _: Answer(secret.encode(), 418)
    update_with_trigger(server, hook, f"/{secret}?key={secret}")

    span = collector.named("POST", http__response__status_code=418)

    assert span.is_error
    assert span.attributes["error.type"] == "418"
    assert not any(secret.encode() in body for body in collector.bodies)


def test_a_sync_trigger_that_is_a_function_is_named(
    server: RunningServer, collector: Collector
) -> None:
    """By its name, as AWS is called; that nobody lets us call it is an error."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:check"
    with contextlib.closing(server.client("cognito-sync")) as client:
        pool = create_pool(server)
        client.set_cognito_events(IdentityPoolId=pool, Events={"SyncTrigger": arn})
        # No Lambda answers here, and the doctor says so.
        call = RawRequest(
            method="POST",
            target=f"/identitypools/{pool}/examination".encode(),
            body=b"{}",
        )
        RawClient(server).send(RawClient(server).signed(call))

    span = collector.named("Lambda.Invoke", faas__invoked_name="check")

    assert span.kind == "CLIENT"
    assert span.attributes["faas.invoked_region"] == "us-east-1"
    assert span.is_error


def stream_to(client: Any, server: RunningServer) -> tuple[str, str]:
    """Make a pool whose changes go to a fresh stream."""
    pool, stream = create_pool(server), f"stream-{uuid.uuid4()}"
    with contextlib.closing(server.client("kinesis")) as kinesis:
        kinesis.create_stream(StreamName=stream, ShardCount=1)
    client.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": stream, "StreamingStatus": "ENABLED"},
    )
    return pool, stream


def test_what_goes_to_a_stream_is_a_trace_of_its_own(
    server: RunningServer, collector: Collector
) -> None:
    """The relay, its put into the stream, and what the store does for both."""
    with contextlib.closing(server.client("cognito-sync")) as client:
        pool, stream = stream_to(client, server)
        Dataset(client, pool, new_identity()).put(a="1")

    relay = collector.named("outbox relay", messaging__destination__name=stream)
    put = collector.named(f"send {stream}")
    inside = {each.name for each in collector.children(put)}
    beside = {each.name for each in collector.children(relay)}

    assert (relay.parent_id, relay.kind) == ("", "INTERNAL")
    assert (put.parent_id, put.kind) == (relay.span_id, "CLIENT")
    assert put.attributes == {
        "messaging.system": "millpond",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": stream,
        "messaging.batch.message_count": 1,
    }
    assert "put_stream_records" in inside
    assert {put.name, "delete_outbox"} <= beside


def test_a_bulk_publish_is_a_trace_for_each_slice(
    server: RunningServer, collector: Collector
) -> None:
    """With what it read and put; a slice that has nothing is there as well."""
    with contextlib.closing(server.client("cognito-sync")) as client:
        pool, stream = stream_to(client, server)
        Dataset(client, pool, new_identity()).put(a="1")
        client.bulk_publish(IdentityPoolId=pool)
        wait_until(
            lambda: (
                client.get_bulk_publish_details(IdentityPoolId=pool)[
                    "BulkPublishStatus"
                ]
                == "SUCCEEDED"
            )
        )

    put = collector.wait_for(
        lambda each: (
            each.name == f"send {stream}"
            and any(
                parent.span_id == each.parent_id and parent.name == "bulk_publish slice"
                for parent in collector.spans
            )
        )
    )
    slice_ = next(e for e in collector.spans if e.span_id == put.parent_id)
    names = {each.name for each in collector.children(slice_)}

    assert slice_.parent_id == ""
    assert slice_.attributes["messaging.destination.name"] == stream
    assert "millpond.bulk_publish.slice" in slice_.attributes
    assert names == {put.name, "scan_datasets"}


def test_a_push_is_a_trace_for_each_device(
    server: RunningServer, collector: Collector, sns: Sns
) -> None:
    """With the calls of SNS, and nothing that tells which device it is."""
    token = uuid.uuid4().hex
    with contextlib.closing(server.client("cognito-sync")) as client:
        pool = create_pool(server)
        client.set_identity_pool_configuration(
            IdentityPoolId=pool,
            PushSync={"ApplicationArns": [sns.create_application()]},
        )
        with a_guest(server, pool) as dataset:
            dataset.put(a="1")
            device_id = dataset.client.register_device(
                IdentityPoolId=pool,
                IdentityId=dataset.identity,
                Platform="GCM",
                Token=token,
            )["DeviceId"]
            dataset.client.subscribe_to_dataset(**dataset.ids, DeviceId=device_id)
            dataset.put(a="2")

    publish = collector.named("SNS.Publish")
    sender = collector.named("push send")

    assert publish.parent_id == sender.span_id
    assert publish.kind == "CLIENT"
    assert publish.attributes == {
        "rpc.system.name": "aws-api",
        "rpc.method": "SNS.Publish",
        "cloud.region": "us-east-1",
    }
    for name in (token, device_id):
        assert not any(name.encode() in body for body in collector.bodies)


# --- What is in them ------------------------------------------------------------------


def test_no_name_and_no_value_of_a_user_is_exported(
    server: RunningServer, collector: Collector, hook: HookServer
) -> None:
    """Whether it goes well or not: keys, values, datasets, identities, pools."""
    word = uuid.uuid4().hex
    with contextlib.closing(server.client("cognito-sync")) as client:
        pool, _ = stream_to(client, server)
        client.set_cognito_events(
            IdentityPoolId=pool, Events={"SyncTrigger": f"{hook.url}/"}
        )
        identity = new_identity()
        dataset = Dataset(client, pool, identity, f"dataset-{word}")
        dataset.update(replace(f"key-{word}", f"value-{word}", 0))
        hook.answer = lambda received: Answer(received.body, 500)
        failing: tuple[Callable[[], Any], ...] = (
            lambda: dataset.update(replace(f"key-{word}", "2", 0)),
            lambda: dataset.update(replace(f"key-{word}", "2", 7)),
            lambda: dataset.update(replace(f"key-{word}", "2", 0), token=word),
            lambda: dataset.list(SyncSessionToken=word),
            lambda: client.describe_dataset(**dataset.ids | {"DatasetName": word}),
            lambda: client.list_datasets(IdentityPoolId=pool, IdentityId=word),
        )
        for call in failing:
            with contextlib.suppress(ClientError):
                call()
        client.bulk_publish(IdentityPoolId=pool)
        answer = client.delete_dataset(**dataset.ids)
    collector.named(
        "CognitoSync.DeleteDataset",
        aws__request_id=answer["ResponseMetadata"]["RequestId"],
    )
    wait_until(lambda: any(e.name == "bulk_publish slice" for e in collector.spans))

    secrets = [word, identity, pool]
    secrets += [each.partition(":")[2] for each in (identity, pool)]
    secrets += [quote(each, safe="") for each in (identity, pool)]
    for secret in secrets:
        assert not any(secret.encode() in body for body in collector.bodies), secret


def test_attributes_are_those_of_the_conventions(
    server: RunningServer, collector: Collector
) -> None:
    """Every one that any test here has seen is in their registry, or begins with us."""
    known = {
        value
        for package in (stable, in_development)
        for module in pkgutil.iter_modules(package.__path__)
        for value in vars(
            importlib.import_module(f"{package.__name__}.{module.name}")
        ).values()
        if isinstance(value, str)
    }
    with contextlib.closing(server.client("cognito-sync")) as client:
        new_dataset(client, server).put(a="1")
    collector.named(UPDATE)

    used = {name for span in collector.spans for name in span.attributes}

    assert {e for e in used if not e.startswith("millpond.")} <= known
    assert all(span.message == "" and span.events == 0 for span in collector.spans)


# --- Servers of other kinds -----------------------------------------------------------


def test_a_trace_goes_on_from_a_reader_to_the_writer(
    start_server: Callable[..., RunningServer], collector: Collector
) -> None:
    """What a reader passes on is a part of its span, and arrives as it was sent."""
    server = start_server(
        settings={"readers": "1", "log_requests": "true"},
        command_prefix=collector.variables(OTEL_SERVICE_NAME="read-and-write"),
    )
    with contextlib.closing(tracing_client(server, traceparent=TRACEPARENT)) as client:
        dataset = new_dataset(client, server)
        with urlopen(f"{server.endpoint}/metrics") as metrics:
            assert metrics.status == 200
        read = dataset.list()["ResponseMetadata"]["RequestId"]
        written = dataset.update(replace("a", "1", 0))["ResponseMetadata"]["RequestId"]

    def is_ours(span: Span) -> bool:
        return span.resource["service.name"] == "read-and-write"

    reading = collector.named("CognitoSync.ListRecords", aws__request_id=read)
    writing = collector.named(UPDATE, aws__request_id=written)
    passing = collector.wait_for(lambda each: each.span_id == writing.parent_id)

    assert all(map(is_ours, (reading, writing, passing)))
    assert (reading.kind, reading.parent_id) == ("SERVER", SPAN_ID)
    assert (passing.kind, passing.name, passing.parent_id) == (
        *("SERVER", UPDATE),
        SPAN_ID,
    )
    assert (writing.kind, writing.trace_id) == ("INTERNAL", TRACE_ID)
    assert "update_dataset" in stored(collector.children(writing))
    assert stored(collector.children(reading)) == {"read_records"}
    served = {each.name for each in collector.spans if is_ours(each)}
    assert not served & {"GET", "HTTP"}  # metrics are passed on, and leave none
    line = in_log(server, written)
    assert (line["process"], line["span_id"]) == ("writer", writing.span_id)


def test_what_the_sampler_leaves_out_is_not_exported(
    start_server: Callable[..., RunningServer], collector: Collector
) -> None:
    """The trace goes on all the same: into the log, and to whom we call."""
    server = start_server(
        settings=SETTINGS,
        command_prefix=collector.variables(
            OTEL_TRACES_SAMPLER="always_off", OTEL_SERVICE_NAME="left-out"
        ),
    )
    with HookServer() as hook:
        update_with_trigger(server, hook, traceparent=TRACEPARENT)
        sent = hook.requests[0].headers["traceparent"]
    line = server.wait_for_events("request.answered")[-1]
    server.stop()

    assert sent.startswith(f"00-{TRACE_ID}-")
    assert int(sent[-2:], 16) & 1 == 0
    assert line["trace_id"] == TRACE_ID
    assert not any(e.resource["service.name"] == "left-out" for e in collector.spans)


@pytest.mark.parametrize("how", ["refuses", "is not there"])
def test_a_collector_that_is_away_holds_up_nobody(
    start_server: Callable[..., RunningServer], how: str
) -> None:
    """Requests are answered; the log says so once, and when it is back; it stops."""
    with Collector() as collector:
        variables = {"OTEL_BSP_MAX_QUEUE_SIZE": "64"}
        if how == "is not there":
            variables[ENDPOINT] = "http://127.0.0.1:9"
        collector.status = 400
        server = start_server(command_prefix=collector.variables(**variables))
        with contextlib.closing(server.client("cognito-sync")) as client:
            dataset = new_dataset(client, server)
            for count in range(60):
                dataset.update(replace("a", f"{count}", count))
            if how == "refuses":
                (failure,) = server.wait_for_events("tracing.export_failed")
                assert "400" in failure["error"]
                collector.status = 200
                dataset.update(replace("a", "last", 60))
                server.wait_for_events("tracing.export_resumed")
                assert collector.spans
        began_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began_s < seconds(15)

    log = "".join(server.log)
    assert log.count('"tracing.export_failed"') <= 1
    assert "Traceback" not in log


def test_what_is_left_is_exported_when_a_server_stops(
    start_server: Callable[..., RunningServer], collector: Collector
) -> None:
    """However long spans would wait otherwise."""
    variables = {"OTEL_BSP_SCHEDULE_DELAY": "3600000", "OTEL_SERVICE_NAME": "stopped"}
    server = start_server(command_prefix=collector.variables(**variables))
    with contextlib.closing(server.client("cognito-sync")) as client:
        new_dataset(client, server).put(a="1")
    assert server.stop(signal.SIGTERM) == 0

    left = [e for e in collector.spans if e.resource["service.name"] == "stopped"]
    assert UPDATE in {each.name for each in left}
    assert "update_dataset" in stored(left)


IMPORTED = "opentelemetry.sdk"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("variables", "loads"),
    [
        (["OTEL_TRACES_EXPORTER=none"], False),
        ([f"{ENDPOINT}=http://127.0.0.1:9", "OTEL_SDK_DISABLED=true"], False),
        (["OTEL_TRACES_EXPORTER=console"], True),
    ],
)
def test_nothing_is_loaded_unless_a_variable_asks(
    start_server: Callable[..., RunningServer], variables: list[str], loads: bool
) -> None:
    """A server without traces does not so much as import what makes them."""
    server = start_server(
        command_prefix=["env", "PYTHONPROFILEIMPORTTIME=1", *variables],
    )
    with contextlib.closing(server.client("cognito-sync")) as client:
        new_dataset(client, server).put(a="1")
    server.stop()

    assert any("millpond.server.gateway" in line for line in server.log)
    assert any(IMPORTED in line for line in server.log) == loads
    if not loads:
        assert not any("opentelemetry" in line for line in server.log)


def test_a_server_runs_without_what_makes_traces(
    start_server: Callable[..., RunningServer], tmp_path: Any
) -> None:
    """Where it is not installed, one line says how it is, and all else goes on."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "opentelemetry.py").write_text(
        "raise ModuleNotFoundError('not here', name='opentelemetry')\n"
    )
    server = start_server(
        command_prefix=[
            *("env", f"PYTHONPATH={hidden}"),
            f"{ENDPOINT}=http://127.0.0.1:9",
        ]
    )
    with contextlib.closing(server.client("cognito-sync")) as client:
        new_dataset(client, server).put(a="1")
    (line,) = server.wait_for_events("tracing.off")
    server.stop()

    assert f"{ENDPOINT} asks for traces" in line["error"]
    assert "pip install 'millpond[otel]'" in line["error"]
    assert json.loads(server.log[-1])["event"] == "server.stopped"
