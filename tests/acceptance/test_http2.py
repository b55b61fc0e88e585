"""
All is served over HTTP/1.1, over HTTP/2 by prior knowledge, and over TLS by ALPN.

One server of each: what a store does is the same, so one kind of store is enough.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from acceptance.kinds import embedded_does
from acceptance.live_reader import live_path, metric
from acceptance.raw_http import RawClient, Request
from acceptance.raw_http2 import Http2Connection, StreamResetError
from acceptance.sync_client import Dataset, new_identity
from certificates import make_certificate
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

pytestmark = embedded_does("how bytes come and go, which no store sees")

DRAIN_S = 20
TARGET = ("x-amz-target", "Kinesis_20131202.ListStreams")
LIST = Request(method="POST", headers=(TARGET,), body=b"{}")
# Each event has an id of this length.
LONG_ID = "1" + "".join(f"-{cell:02x}.{'f' * 24}" for cell in range(256))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Whether a server speaks TLS."""
    kind: str = request.param
    return kind


@pytest.fixture
def start(
    scheme: str, certificate: tuple[Path, Path], tmp_path: Path
) -> Iterator[Callable[..., RunningServer]]:
    """Start a server of one's own, with or without TLS; settings may be named."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> RunningServer:
            spelled = {name: str(value) for name, value in settings.items()}
            server = make_server(scheme, certificate, tmp_path / "data", spelled)
            server.start()
            stack.callback(server.__exit__, None, None, None)
            return server

        yield start


@pytest.fixture(scope="module")
def server(
    scheme: str,
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningServer]:
    """A server that the tests share."""
    data = tmp_path_factory.mktemp("http2") / "data"
    settings = {"cors_origins": '["https://app.example.com"]'}
    with make_server(scheme, certificate, data, settings) as running:
        yield running


def make_server(
    scheme: str, files: tuple[Path, Path], data: Path, settings: dict[str, str]
) -> RunningServer:
    """Make a server, with TLS or without."""
    if scheme == "https":
        tls = {"tls_certificate": str(files[0]), "tls_key": str(files[1])}
        settings = {**settings, **tls}
    return RunningServer(data, settings=settings)


@pytest.fixture
def connect(
    scheme: str, certificate: tuple[Path, Path]
) -> Iterator[Callable[..., Http2Connection]]:
    """Open connections to a server; they are closed in the end."""
    trusted = certificate[0] if scheme == "https" else None
    with contextlib.ExitStack() as stack:
        yield lambda server, **options: stack.enter_context(
            Http2Connection(server, certificate=trusted, **options)
        )


@pytest.fixture
def http2(
    connect: Callable[..., Http2Connection], server: RunningServer
) -> Http2Connection:
    """A connection to the server that the tests share."""
    return connect(server)


def dataset_of(server: RunningServer, certificate: Path) -> Iterator[Dataset]:
    """Give a dataset of a new identity."""
    client = server.client("cognito-sync", verify=str(certificate))
    pools = server.client("cognito-identity", verify=str(certificate))
    pool = pools.create_identity_pool(
        IdentityPoolName="http2", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    yield Dataset(client, pool, new_identity(), "prefs")
    client.close()
    pools.close()


@pytest.fixture
def dataset(server: RunningServer, certificate: tuple[Path, Path]) -> Iterator[Dataset]:
    """A dataset of the server that the tests share."""
    yield from dataset_of(server, certificate[0])


class TestRequests:
    """Requests of every kind."""

    def test_the_authority_is_signed(self, http2):
        """A signature over `:authority` is good, as the SDK for JavaScript makes it."""
        answer = http2.operation("ListStreams")

        assert answer.status == 200
        assert answer.json["HasMoreStreams"] is False
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-amzn-requestid"])

    def test_the_host_is_signed(self, http2):
        """A client may send and sign a host header all the same."""
        request = LIST.but(headers=(("host", http2.authority), TARGET), body=b"{}")

        assert http2.call(http2.sign(request)).status == 200

    @pytest.mark.parametrize("authority", ["other.example.com", "127.0.0.1:1", ""])
    def test_another_authority_is_signed(self, http2, authority):
        """A signature for another server is refused."""
        signed = http2.sign(LIST.but(headers=((":authority", authority), TARGET)))
        sent = signed.but(
            headers=tuple(h for h in signed.headers if h[0] != ":authority")
        )

        answer = http2.call(sent)

        assert (answer.status, answer.error) == (400, "InvalidSignatureException")

    def test_the_authority_without_its_port(self, http2):
        """The host may be signed without its port, as over HTTP/1.1."""
        bare = http2.authority.partition(":")[0]
        signed = http2.sign(LIST.but(headers=((":authority", bare), TARGET)))
        sent = signed.but(
            headers=tuple(h for h in signed.headers if h[0] != ":authority")
        )

        assert http2.call(sent).status == 200

    def test_rest(self, http2, dataset):
        """Paths with escaped ids, queries and bodies, of an API with paths."""
        dataset.put(a="1")
        path = dataset.path.replace(":", "%3A").encode()

        described = http2.call(http2.sign(Request(target=path), "cognito-sync"))
        listed = http2.call(
            http2.sign(
                Request(target=path + b"/records?lastSyncCount=0&maxResults=1"),
                "cognito-sync",
            )
        )
        deleted = http2.call(
            http2.sign(Request(method="DELETE", target=path), "cognito-sync")
        )

        assert described.json["Dataset"]["NumRecords"] == 1
        assert [each["Key"] for each in listed.json["Records"]] == ["a"]
        assert deleted.status == 200
        assert dataset.values() == {}

    def test_a_form(self, http2):
        """AWS Query, whose operation stands in the body."""
        request = Request(
            method="POST",
            headers=(("content-type", "application/x-www-form-urlencoded"),),
            body=b"Action=GetCallerIdentity&Version=2011-06-15",
        )

        answer = http2.call(http2.sign(request, "sts"))

        assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")

    def test_cbor(self, http2):
        """CBOR, as the SDK for Java speaks it."""
        kind = ("content-type", "application/x-amz-cbor-1.1")

        answer = http2.operation("ListStreams", b"\xbf\xff", kind)

        assert (answer.status, answer.headers["content-type"]) == (200, kind[1])

    def test_many_at_once(self, http2):
        """As many requests as are allowed at a time are answered, each its own."""
        count = http2.streams_max
        assert 100 <= count <= 200
        streams = []
        for n in range(count):
            target = ("x-amz-target", f"Kinesis_20131202.No{n}")
            streams.append(http2.begin(Request(method="POST", headers=(target,))))

        messages = [http2.answer(each).message for each in reversed(streams)]

        expected = [
            f"There is no operation 'Kinesis_20131202.No{n}'." for n in range(count)
        ]
        assert messages[::-1] == expected

    @pytest.mark.parametrize("target", [b"/healthz", b"/readyz", b"/metrics"])
    def test_pages(self, http2, target):
        """What is served beside the APIs."""
        answer = http2.call(Request(target=target))

        assert answer.status == 200
        assert answer.body

    @pytest.mark.parametrize("target", [b"/healthz", b"/identitypools", b"/nowhere"])
    def test_head(self, http2, target):
        """An answer to HEAD has no body, and the length of that which it has not."""
        answer = http2.call(Request(method="HEAD", target=target))

        assert answer.body == b""
        assert int(answer.headers["content-length"]) > 0

    def test_cors(self, http2):
        """A page of an allowed origin may ask, and read the answer."""
        origin = ("origin", "https://app.example.com")
        asked = http2.call(
            Request(
                method="OPTIONS",
                headers=(origin, ("access-control-request-method", "POST")),
            )
        )
        answered = http2.operation("ListStreams", b"{}", origin)

        for answer in (asked, answered):
            assert answer.headers["access-control-allow-origin"] == origin[1]

    def test_headers_of_answers(self, http2):
        """Names are in lower case, and none is of the connection (RFC 9113, 8.2)."""
        answers = [
            http2.operation("ListStreams"),
            http2.operation("NoSuchOperation"),
            http2.call(LIST),
            http2.operation("ListStreams", b"x" * 9_000_000),
        ]

        assert [each.status for each in answers] == [200, 400, 400, 413]
        for answer in answers:
            assert all(name == name.lower() for name in answer.headers)
            assert not answer.headers.keys() & {"connection", "transfer-encoding"}


class TestBodies:
    """Bodies come with and without a length, in parts, slowly, and too large."""

    def test_without_a_length(self, http2):
        """A body that does not say how long it is is read to its end."""
        signed = http2.sign(LIST.but(body=b'{"Limit": "one"}'))
        stream = http2.begin(signed.but(body=b""), whole=False)
        for part in (b'{"Lim', b'it": "o', b'ne"}'):
            http2.send(stream, part, whole=part.endswith(b"}"))

        answer = http2.answer(stream)

        assert (answer.status, answer.error) == (400, "SerializationException")

    def test_a_length_that_is_wrong(self, http2):
        """A body that is not as long as it says is refused; the connection lives on."""
        for length in ("1", "100"):
            signed = http2.sign(
                LIST.but(headers=(TARGET, ("content-length", length)), body=b"{}")
            )
            with pytest.raises(StreamResetError):
                http2.call(signed)

        assert http2.operation("ListStreams").status == 200

    @pytest.mark.parametrize("has_length", [True, False])
    @pytest.mark.parametrize("path", [b"/", b"/nowhere"])
    def test_too_large(self, http2, has_length, path):
        """It is refused in words, also to those who read when they have sent it."""
        body = bytes(9_000_000)
        length = (("content-length", str(len(body))),) if has_length else ()
        signed = http2.sign(LIST.but(target=path, headers=(TARGET, *length), body=body))

        answer = http2.call(signed)

        expected = (400, "UnknownOperationException")
        if path == b"/":
            expected = (413, "RequestEntityTooLargeException")
        assert (answer.status, answer.error) == expected
        assert not http2.is_reset(1)
        assert http2.operation("ListStreams").status == 200

    def test_without_an_end(self, http2):
        """A body that says it is huge is not waited for."""
        headers = (TARGET, ("content-length", str(10**12)))
        stream = http2.begin(
            http2.sign(LIST.but(headers=headers, body=b"")), whole=False
        )

        assert http2.head(stream)[":status"] == "413"

    def test_given_up(self, server, connect):
        """A request whose client goes away in the middle harms nobody."""
        http2 = connect(server)
        signed = http2.sign(LIST.but(body=b"{}"))
        for _ in range(20):
            stream = http2.begin(signed.but(body=b"{"), whole=False)
            http2.reset(stream)

        assert http2.operation("ListStreams").status == 200


class TestRefused:
    """What is no HTTP/2 that can be served is refused, and nobody else notices."""

    def test_a_large_head(self, http2):
        """A head of more than 64 KiB is refused."""
        answer = http2.call(Request(headers=(("x-large", "a" * 70_000),)))

        assert answer.status == 431

    @pytest.mark.parametrize(
        "header", [("connection", "close"), ("transfer-encoding", "chunked")]
    )
    def test_headers_of_a_connection(self, http2, header):
        """Headers that HTTP/2 does not have reset the stream."""
        with pytest.raises(StreamResetError):
            http2.call(Request(target=b"/healthz", headers=(header,)))

        assert http2.call(Request(target=b"/healthz")).status == 200

    def test_an_upgrade_is_passed_over(self, scheme, server, certificate):
        """Over HTTP/1.1 an offer to go on in HTTP/2 or WebSocket is not taken."""
        if scheme == "https":
            pytest.skip("only without TLS was there ever such an offer")
        raw = RawClient(server)
        for protocol in ("h2c", "websocket"):
            headers = (
                ("connection", "Upgrade, HTTP2-Settings"),
                ("upgrade", protocol),
                ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-version", "13"),
            )
            answer = raw.send(Request(target=b"/healthz", headers=headers))

            assert (answer.status, answer.body) == (200, b"ok\n")

    def test_http_1_1_goes_on(self, scheme, server, certificate):
        """Clients of HTTP/1.1 are served on the same port."""
        with urlopen(
            f"{server.endpoint}/healthz",
            context=ssl.create_default_context(cafile=str(certificate[0])),
        ) as response:
            assert (response.version, response.read()) == (11, b"ok\n")


def test_the_end_of_the_certificate_is_watched(server, certificate, scheme):
    """A chain of one ends when it does; without TLS nothing ends."""
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with urlopen(f"{server.endpoint}/metrics", context=context) as answer:
        text = answer.read().decode()
    end_s = metric(text, "millpond_tls_certificate_end_timestamp_seconds")
    ends = (time.time(), time.time() + 3600) if scheme == "https" else (0, 0)
    assert ends[0] <= end_s <= ends[1]


class TestLive:
    """Live updates share a connection with whatever else it carries."""

    @pytest.fixture
    def own(self, start, certificate):
        """A server of one's own that stops in good time, and a dataset."""
        server = start(drain_s=DRAIN_S, live_send_timeout_s=1, live_comment_s=1)
        for dataset in dataset_of(server, certificate[0]):
            yield server, dataset

    def listen(self, http2, dataset, **parameters):
        """Begin to listen."""
        target = live_path(dataset.pool, dataset.identity, **parameters)
        return http2.begin(http2.sign(Request(target=target), "cognito-sync"))

    def listeners(self, http2):
        """Say how many there are."""
        shown = http2.call(Request(target=b"/metrics")).body.decode()
        return metric(shown, "millpond_live_listeners")

    def test_events(self, own, connect):
        """Events come while the same connection is used for other requests."""
        server, dataset = own
        http2 = connect(server)
        stream = self.listen(http2, dataset)
        assert http2.head(stream)["content-type"] == "text/event-stream"
        http2.read_until(lambda: http2.parts(stream))

        for n in range(3):
            dataset.put(a=str(n))
            assert http2.operation("ListStreams").status == 200
        told = lambda: b"".join(http2.parts(stream)).count(b"datasetName")  # noqa: E731
        http2.read_until(lambda: told() == 3)

        assert told() == 3

    def test_going_away(self, own, connect):
        """A listener that gives its stream up is not counted any more."""
        server, dataset = own
        http2 = connect(server)
        stream = self.listen(http2, dataset)
        http2.read_until(lambda: http2.parts(stream))
        assert self.listeners(http2) == 1

        http2.reset(stream)

        wait_until(lambda: self.listeners(http2) == 0)

    def test_one_who_never_reads(self, own, connect):
        """A stream that is stuck ends; what else its connection carries goes on."""
        server, dataset = own
        http2, other = connect(server, reads_on=False), connect(server)
        self.listen(http2, dataset, lastEventId=LONG_ID)
        under_way = http2.begin(
            http2.sign(LIST.but(body=b'{"Limit": 1}')).but(body=b'{"Li'), whole=False
        )

        self.write_until_one_is_cut_off(dataset, other)

        http2.send(under_way, b'mit": 1}')
        assert http2.answer(under_way).status == 200

    def test_one_who_never_reads_and_is_alone(self, own, connect):
        """A connection that carries nothing but the stuck stream is cut off."""
        server, dataset = own
        http2, other = connect(server, reads_on=False), connect(server)
        stream = self.listen(http2, dataset, lastEventId=LONG_ID)

        self.write_until_one_is_cut_off(dataset, other)

        with pytest.raises((StreamResetError, OSError)):
            http2.answer(stream)

    def write_until_one_is_cut_off(self, dataset, http2):
        """Give the listener more to read than its window has room for."""

        def is_cut_off() -> bool:
            dataset.put(a=str(uuid.uuid4()))
            shown = http2.call(Request(target=b"/metrics")).body.decode()
            return metric(shown, "millpond_live_cut_offs_total") == 1

        wait_until(is_cut_off, timeout_s=60)

    def test_shutdown(self, own, connect):
        """A server that stops says so, ends listeners, and waits for none."""
        server, dataset = own
        http2 = connect(server)
        stream = self.listen(http2, dataset)
        http2.read_until(lambda: http2.parts(stream))

        began = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        answer = http2.answer(stream)
        assert answer.status == 200
        http2.read_until(lambda: http2.goes_away)
        assert http2.goes_away
        assert server.stop() == 0
        assert time.monotonic() - began < seconds(DRAIN_S / 2)


class TestShutdown:
    """A server that stops answers what it has begun with."""

    def test_under_way(self, start, connect):
        """It says that it goes away, and takes a body that is under way to its end."""
        server = start(drain_s=DRAIN_S)
        http2 = connect(server)
        signed = http2.sign(LIST.but(body=b'{"Limit": 1}'))
        stream = http2.begin(signed.but(body=b'{"Li'), whole=False)
        assert http2.operation("ListStreams").status == 200

        os.kill(server.pid, signal.SIGTERM)
        http2.read_until(lambda: http2.goes_away)
        http2.send(stream, b'mit": 1}')

        assert http2.answer(stream).status == 200
        assert server.stop() == 0

    def test_idle(self, start, connect):
        """A connection without a request under way is not waited for."""
        server = start(drain_s=3600)  # whoever waited for it would not stop in time
        http2 = connect(server)
        assert http2.operation("ListStreams").status == 200

        os.kill(server.pid, signal.SIGTERM)
        http2.read_until(lambda: False)
        assert server.stop() == 0


class TestIdle:
    """Connections that carry nothing are ended after a while."""

    @pytest.mark.parametrize(
        "beginning",
        [
            b"",
            b"P",
            b"PRI * HTTP/2.0\r\n\r\nS",
            b"GET / HTTP/1.1\r\nHost: a",
            b"\x16\x03",
        ],
        ids=["nothing", "P", "part of a preface", "part of a head", "part of TLS"],
    )
    def test_those_who_say_nothing_whole(self, start, beginning):
        """Whatever was said, and whether it was enough to know the protocol by."""
        server = start(connection_idle_s=1, live_comment_s=1)
        raw = RawClient(server)
        with raw.connect() as connection:
            connection.sendall(beginning)

            with contextlib.suppress(ConnectionResetError):
                while connection.recv(1000):
                    pass
