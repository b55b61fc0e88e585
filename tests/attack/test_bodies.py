"""Bodies: who may send one at all, how much of them is held, and for how long."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import socket
from dataclasses import replace

import pytest
from botocore.config import Config

from acceptance.raw_http import Request
from acceptance.raw_http2 import Http2Connection, StreamResetError
from acceptance.sync_client import Dataset, new_identity
from attack.kit import MIB, answer_of, for_kinesis, pool_of
from millpond import limits
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until

LARGE = 5 * MIB
PATH = b"/identitypools/us-east-1:a/identities/us-east-1:b/datasets/d"
UPDATE = Request(method="POST", target=PATH)
PUT = Request(method="POST", headers=(("x-amz-target", "Kinesis_20131202.PutRecords"),))


class TestRefusedByTheHead:
    """What no body can make good is refused without one."""

    @pytest.fixture
    def target(self, attack):
        return attack()

    def test_heads(self, target):
        """Each mistake has the error of a small request; no byte of a body follows."""
        scope = target.raw.scope
        old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        wrong_hash = UPDATE.but(headers=(("x-amz-content-sha256", "0" * 64),))
        bad = replace(scope, secret="wrong")
        heads = {
            "MissingAuthenticationTokenException": [
                target.unsigned_head(UPDATE, length=LARGE),
                target.unsigned_head(UPDATE, length=None),
                target.unsigned_head(PUT, length=LARGE),
            ],
            "UnrecognizedClientException": [
                target.head(
                    UPDATE,
                    length=LARGE,
                    scope=replace(scope, access_key_id="AKIANOBODY"),
                ),
            ],
            "InvalidSignatureException": [
                target.head(UPDATE, length=LARGE, at=old),
                target.head(UPDATE, length=LARGE, scope=for_kinesis(scope)),
                target.head(
                    UPDATE, length=LARGE, scope=replace(scope, region="eu-west-9")
                ),
                # The hash of the body is said, so the signature must be good by itself.
                target.head(wrong_hash, length=LARGE, scope=bad),
            ],
            "IncompleteSignatureException": [
                target.unsigned_head(
                    UPDATE.but(headers=(("authorization", "AWS4-HMAC-SHA256 x=y"),)),
                    length=LARGE,
                ),
            ],
        }
        for error, spelled in heads.items():
            for head in spelled:
                with target.connect() as (connection,):
                    connection.sendall(head)
                    assert answer_of(connection).error == error, head

    def test_small_bodies_keep_their_connection(self, target):
        """Who is refused with a small body goes on, as ever."""
        host, port = target.raw.address
        connection = http.client.HTTPConnection(host, port, timeout=seconds(20))
        statuses = []
        for _ in range(3):
            connection.request("POST", PATH.decode(), b"{}" * 500)
            response = connection.getresponse()
            response.read()
            statuses.append((response.status, response.getheader("connection")))
        connection.close()

        assert statuses == [(403, None)] * 3

    def test_unsigned_operations(self, target):
        """An operation that needs no signature takes a small body."""
        request = Request(
            method="POST",
            headers=(
                ("x-amz-target", "AWSCognitoIdentityService.GetId"),
                ("content-type", "application/x-amz-json-1.1"),
            ),
        )
        size = limits.UNSIGNED_BODY_BYTES_MAX + 1
        with target.connect() as (connection,):
            connection.sendall(target.unsigned_head(request, length=size))

            assert answer_of(connection).status == 413


class TestTooLarge:
    """A body over the limit is refused so that its sender can read why."""

    @pytest.mark.parametrize("chunked", [False, True])
    def test_plain_clients(self, attack, chunked):
        """All of those who send all before they read anything read the answer."""
        target = attack()
        size = limits.REQUEST_BODY_BYTES_MAX + 3 * MIB
        body = bytes(size)
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body) if chunked else body
        before = target.resident_bytes

        for _ in range(10):
            with target.connect() as (connection,):
                head = target.head(UPDATE, length=None if chunked else size)
                connection.sendall(head + sent)
                answer = answer_of(connection)
                assert answer.status == 413
                assert answer.error == "RequestEntityTooLargeException"

        assert target.resident_bytes - before < 32 * MIB

    @pytest.mark.parametrize("path", [b"/healthz", b"/metrics", b"/nowhere"])
    def test_where_no_body_is_taken(self, attack, path):
        """What is not of the APIs is answered so that its sender can read it, too."""
        target = attack()
        request = Request(method="POST", target=path)
        for _ in range(3):
            with target.connect() as (connection,):
                head = target.unsigned_head(request, length=9 * MIB)
                connection.sendall(head + bytes(9 * MIB))

                assert answer_of(connection).status in (404, 405)

    def test_who_asks_before(self, attack):
        """`Expect: 100-continue` is answered with the refusal, and nothing is sent."""
        target = attack()
        asks = UPDATE.but(headers=(("expect", "100-continue"),))
        with target.connect() as (connection,):
            connection.sendall(target.head(asks, length=100 * MIB))

            assert answer_of(connection).status == 413


class TestCrumbs:
    """A piece costs what it costs, however small: there may not be any number."""

    @pytest.mark.parametrize("http2", [False, True], ids=["chunks", "frames"])
    def test_a_body_in_very_small_pieces(self, attack, http2):
        """It is refused before it has cost much; one in somewhat small ones is not."""
        target = attack()
        request = Request(
            method="POST",
            headers=(("x-amz-target", "AWSCognitoIdentityService.GetId"),),
        )
        before = target.cpu_s
        with contextlib.suppress(OSError, StreamResetError):
            if http2:
                with Http2Connection(target.server) as connection:
                    stream = connection.begin(request, whole=False)
                    for _ in range(40_000):
                        connection.send(stream, b" ", whole=False)
            else:
                with target.connect() as (plain,):
                    plain.sendall(target.unsigned_head(request, length=None))
                    for _ in range(40):
                        plain.sendall(b"1\r\n \r\n" * 1000)

        assert target.cpu_s - before < 3
        pieces = b"100\r\n%s\r\n" % (b" " * 256) * 2000 + b"2\r\n{}\r\n0\r\n\r\n"
        with target.connect() as (plain,):
            plain.sendall(target.unsigned_head(request, length=None) + pieces)
            assert answer_of(plain).error == "ValidationException"


def send_some(left: dict[socket.socket, int]) -> bool:
    """Send on each connection as much as it takes now of what is left for it."""
    for connection in left:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # it takes no more
            while left[connection]:
                part = bytes(min(left[connection], 65_536))
                left[connection] -= connection.send(part)
    return True


class TestHeld:
    """Bodies that stay one byte short, behind heads that are good."""

    def test_a_good_client_gets_through(self, attack):
        """They hold what the budget says and no more, and give way to who moves."""
        target = attack(
            request_bodies_bytes_max=16 * MIB,
            request_bodies_bytes_per_peer_max=12 * MIB,
        )
        # Clients repeat a 429; on a busy machine who is stuck is found out late.
        repeats = Config(retries={"mode": "standard"})
        client = target.server.client("cognito-sync", config=repeats)
        dataset = Dataset(client, pool_of(target), new_identity())
        before = target.resident_bytes
        with target.connect(30) as connections:
            for each in connections:
                each.sendall(target.head(UPDATE, length=3 * MIB))
            held = lambda: target.metric("millpond_request_bodies_bytes")  # noqa: E731
            left = dict.fromkeys(connections, 3 * MIB - 1)
            wait_until(lambda: send_some(left) and held() > 11 * MIB)

            dataset.put(a="x" * 900_000)
            grown = target.resident_bytes - before

            assert dataset.list()["DatasetSyncCount"] == 1
            assert grown < 80 * MIB
