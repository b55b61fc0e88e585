"""Calls of a library: again and again over connections that stay open."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from certificates import make_certificate
from cli.relay import Relay
from millpond.client.api.credentials import Credentials
from millpond.client.calls import Calls
from millpond.client.failures import Unanswered
from millpond.testing.server import RunningServer


class Place:
    """A server that keeps connections open, unless a test has it do otherwise."""

    def __init__(self, answers_before_close: int = 1_000_000) -> None:
        place = self
        self.connections = 0
        self.asked = 0
        self.left = answers_before_close

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                place.connections += 1
                self.first = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                place.asked += 1
                if not self.first and place.left <= 0:
                    self.close_connection = True  # at the very moment
                    return
                self.first = False
                place.left -= 1
                self.send_response_only(200)
                self.send_header("content-length", "27")
                self.end_headers()
                self.wfile.write(b'{"IdentityId": "us-east-1"}')

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def place() -> Iterator[Callable[..., Place]]:
    """Start such servers."""
    started: list[Place] = []

    def start(**options: int) -> Place:
        started.append(Place(**options))
        return started[-1]

    yield start
    for each in started:
        each.close()


def ask(calls: Calls) -> object:
    return calls.call("cognito-identity", "GetId", {"IdentityPoolId": "us-east-1:x"})


def test_calls_share_a_connection(place):
    """One after the other; each thread at a time has its own."""
    server = place()
    calls = Calls(server.url, "us-east-1")
    for _ in range(5):
        ask(calls)
    assert (server.connections, server.asked) == (1, 5)
    threads = [threading.Thread(target=ask, args=(calls,)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert server.asked == 9
    assert server.connections <= 4
    calls.close()
    with pytest.raises(Unanswered):
        ask(calls)


def test_a_connection_that_closes_as_it_is_used_again_is_no_failure(place):
    """Servers close idle connections whenever they like."""
    server = place(answers_before_close=2)
    calls = Calls(server.url, "us-east-1")
    for _ in range(4):
        ask(calls)

    assert server.connections >= 2
    calls.close()


def test_a_line_that_was_cut_while_idle_is_no_failure(server):
    """After a night's sleep of a laptop, the first call is answered."""
    with Relay(server.endpoint) as line:
        calls = Calls(line.url, "us-east-1")
        key = Credentials(server.access_key_id, server.secret_access_key, None)
        asked = ("cognito-identity", "ListIdentityPools", {"MaxResults": 1}, key)
        calls.call(*asked)
        line.hang_up()

        assert calls.call(*asked)["IdentityPools"] is not None
        calls.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_leaves_the_connections_of_its_parent_alone(place):
    """Both go on, and neither reads the other's answer."""
    server = place()
    calls = Calls(server.url, "us-east-1")
    ask(calls)
    child = os.fork()
    if not child:
        try:
            ask(calls)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    ask(calls)

    assert status == 0
    assert server.connections == 2
    calls.close()


def test_over_tls_the_server_is_one_that_is_trusted(tmp_path):
    """By the bundle that is named; one that nobody vouches for is not spoken to."""
    chain, key = make_certificate(tmp_path)
    settings = {"tls_certificate": str(chain), "tls_key": str(key)}
    with RunningServer(tmp_path / "data", settings=settings) as server:
        trusting = Calls(server.endpoint, "us-east-1", ca_bundle=str(chain))
        credentials = Credentials(server.access_key_id, server.secret_access_key, None)
        asked = ("cognito-identity", "ListIdentityPools", {"MaxResults": 1})
        for _ in range(3):
            trusting.call(*asked, credentials)
        trusting.close()
        doubting = Calls(server.endpoint, "us-east-1")
        with pytest.raises(Unanswered, match="SSL validation failed"):
            doubting.call(*asked, credentials)
        doubting.close()
