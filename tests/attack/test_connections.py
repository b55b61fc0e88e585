"""Connections that say nothing, or nothing whole, and requests without end on one."""

from __future__ import annotations

import contextlib
import socket

import pytest

from acceptance.raw_http import Request
from acceptance.raw_http2 import Http2Connection
from attack.kit import MIB, is_ended
from certificates import make_certificate
from millpond.testing.server import wait_until

FAMILIES = (socket.AF_INET, socket.AF_INET6)
PUT = Request(method="POST", headers=(("x-amz-target", "Kinesis_20131202.PutRecords"),))


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nAction=",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"X-Amz-Target: AWSCognitoIdentityService.GetOpenIdToken\r\n\r\n1\r\n{\r\n",
    ],
    ids=[
        "nothing",
        "part of a head",
        "an empty HTTP/2",
        "part of a form",
        "part of a body",
    ],
)
def test_a_server_that_is_full(attack, beginning):
    """Twice as many as there may be: somebody with a request is served all the same."""
    target = attack(connections_max=100, connection_head_s=3600)
    before = target.cpu_s, target.resident_bytes
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(target.raw.connect())
            with contextlib.suppress(OSError):  # it may have given way by now
                connection.sendall(beginning)

        for _ in range(3):
            assert target.raw.send(Request(target=b"/healthz")).status == 200

        assert target.connections < 130
    assert target.resident_bytes - before[1] < 32 * MIB
    assert target.cpu_s - before[0] < 5


def test_tls_that_is_never_whole(attack, tmp_path):
    """A handshake that is not completed is ended, though a byte comes now and then."""
    certificate, key = make_certificate(tmp_path)
    target = attack(tls_certificate=certificate, tls_key=key, connection_head_s=1)
    with target.connect(20) as connections:

        def all_ended() -> bool:
            for each in connections:
                with contextlib.suppress(OSError):
                    each.send(b"\x16")
            return all(is_ended(each) for each in connections)

        wait_until(all_ended)


def test_one_peer_with_too_many(attack):
    """Those that are too many give way, though the server is far from full."""
    target = attack(connections_per_peer_max=20)
    with target.connect(50) as connections:
        alive = lambda: sum(not is_ended(each) for each in connections)  # noqa: E731

        wait_until(lambda: alive() <= 20)
        assert target.raw.send(Request(target=b"/healthz")).status == 200

        assert alive() >= 15


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_proxy_may_have_all_requests_over_http_2(attack, host):
    """Of a trusted one that tells of nobody, they are not counted as of one address."""
    try:
        socket.create_server((host, 0), family=FAMILIES[":" in host]).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    target = attack(
        multiplexed_requests_max=40, host=host, trusted_proxies=f'["{host}"]'
    )
    with Http2Connection(target.server) as connection:
        held = connection.sign(PUT)
        for _ in range(30):
            connection.begin(held, whole=False)

        assert connection.call(Request(target=b"/nowhere")).status == 404


def test_requests_over_http_2(attack):
    """They are bounded over all connections, and it is said when to come again."""
    target = attack(multiplexed_requests_max=40)
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(Http2Connection(target.server)) for _ in range(2)
        )
        held = first.sign(PUT)
        for n in range(20):  # as many as one peer may have
            (first if n % 2 else second).begin(held, whole=False)

        def refused() -> bool:
            answer = second.call(Request(target=b"/nowhere"))
            if answer.status != 503:
                # It may itself have taken the place of one of those that are held.
                first.begin(held, whole=False)
                return False
            return int(answer.headers["retry-after"]) > 0

        wait_until(refused)
        assert target.raw.send(Request(target=b"/healthz")).status == 200
        assert target.metric("millpond_refused_total", reason="requests") > 0
