"""Hooks behind a URL: what is sent, what is taken, and what is not put up with."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import make_certificate
from hooks.hook_server import Answer, HookServer, Received
from login_providers.provider import Provider
from millpond.errors import HookError, HookThrottledError, HookTimeoutError
from millpond.hooks.http import HttpHook, is_private

SECRET = b"a secret of the tests"
EVENT = b'{"version":2}'
BYTES_MAX = 1000


def calling(
    *urls: str,
    event: bytes = EVENT,
    timeout_s: float = 10.0,
    private_networks: bool = True,
    at_once: bool = False,
) -> list[bytes]:
    """Call hooks one after the other, or all at once, with one client."""

    async def run() -> list[bytes]:
        hook = HttpHook(
            SECRET,
            private_networks=private_networks,
            now_s=lambda: 1_750_000_000.9,
            timeout_s=timeout_s,
            answer_bytes_max=BYTES_MAX,
        )
        try:
            if at_once:
                return await asyncio.gather(*(hook.call(url, event) for url in urls))
            return [await hook.call(url, event) for url in urls]
        finally:
            await hook.aclose()

    return asyncio.run(run())


def refused(url: str, **options: Any) -> str:
    """Call a hook that fails; return what the error says."""
    with pytest.raises(HookError) as caught:
        calling(url, **options)
    assert not isinstance(caught.value, HookTimeoutError | HookThrottledError)
    return str(caught.value)


# --- What is sent ---------------------------------------------------------------------


def test_the_event_is_posted_as_json(hook_server: HookServer) -> None:
    """The hook gets the bytes of the event at its own path and query."""
    (answer,) = calling(f"{hook_server.url}/a%2Fb/c?d=e%20f")

    (request,) = hook_server.requests
    assert (request.method, request.path) == ("POST", "/a%2Fb/c?d=e%20f")
    assert (request.body, answer) == (EVENT, EVENT)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{hook_server.port}"


def is_genuine(request: Received, secret: bytes) -> bool:
    """Check a signature by the documentation, with nothing of Millpond."""
    timestamp = request.headers["x-millpond-timestamp"]
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    mac.update(timestamp.encode("ascii"))
    mac.update(b".")
    mac.update(request.body)
    return request.headers["x-millpond-signature"] == "v1=" + mac.hexdigest()


def test_the_request_is_signed(hook_server: HookServer) -> None:
    """A hook that knows the secret can tell the request from a stranger's."""
    calling(hook_server.url, event='{"k":"\u00e9"}'.encode())

    (request,) = hook_server.requests
    assert request.headers["x-millpond-timestamp"] == "1750000000"
    assert is_genuine(request, SECRET)
    assert not is_genuine(request, b"another secret")
    assert not is_genuine(request._replace(body=EVENT + b" "), SECRET)
    later = {**request.headers, "x-millpond-timestamp": "1750000001"}
    assert not is_genuine(request._replace(headers=later), SECRET)


def test_a_connection_is_used_again(hook_server: HookServer) -> None:
    """Calls one after the other go over one connection."""
    calling(*[hook_server.url] * 5)

    assert len(hook_server.requests) == 5
    assert len({request.port for request in hook_server.requests}) == 1


def test_calls_do_not_wait_for_each_other(hook_server: HookServer) -> None:
    """Answers come when all the calls are there."""
    everybody = itertools.count(1)
    there = threading.Event()

    def answer(request: Received) -> Answer:
        if next(everybody) == 20:
            there.set()
        return Answer(b"done", until=there)

    hook_server.answer = answer

    assert calling(*[hook_server.url] * 20, at_once=True) == [b"done"] * 20


def test_cookies_are_not_kept(hook_server: HookServer) -> None:
    """What one call was answered does not show in the next."""
    hook_server.answer = lambda request: Answer(headers={"Set-Cookie": "a=b"})

    calling(hook_server.url, hook_server.url)

    assert "cookie" not in hook_server.requests[1].headers


# --- What is taken --------------------------------------------------------------------


def test_the_answer_comes_as_it_is(hook_server: HookServer) -> None:
    """Nothing is unpacked or decoded on the way."""
    packed = b"\x1f\x8b\x00 not really packed"
    hook_server.answer = lambda request: Answer(
        packed, headers={"Content-Encoding": "gzip", "Content-Type": "text/html"}
    )

    assert calling(hook_server.url) == [packed]


def test_an_answer_may_have_as_many_bytes_as_the_limit(hook_server: HookServer) -> None:
    """The limit itself is allowed; one more is not."""
    hook_server.answer = lambda request: Answer(b"x" * BYTES_MAX)
    assert calling(hook_server.url) == [b"x" * BYTES_MAX]

    hook_server.answer = lambda request: Answer(b"x" * (BYTES_MAX + 1))
    assert str(BYTES_MAX) in refused(hook_server.url)


def test_an_endless_answer_is_cut_off(hook_server: HookServer) -> None:
    """An answer without a length is read no further than the limit."""
    hook_server.answer = lambda request: Answer(
        pieces=lambda: itertools.repeat(b"x" * 100)
    )

    assert str(BYTES_MAX) in refused(hook_server.url)


@pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 404, 500, 503])
def test_any_status_but_200_is_a_failure(hook_server: HookServer, status: int) -> None:
    """The body of such an answer does not count, whatever it is."""
    hook_server.answer = lambda request: Answer(status=status)

    assert str(status) in refused(hook_server.url)


def test_429_says_that_the_hook_is_over_its_rate(hook_server: HookServer) -> None:
    """The caller may try again later."""
    hook_server.answer = lambda request: Answer(status=429)

    with pytest.raises(HookThrottledError):
        calling(hook_server.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(hook_server: HookServer, status: int) -> None:
    """The event goes where the developer said, and nowhere else."""
    with HookServer() as other:
        hook_server.answer = lambda request: Answer(
            status=status, headers={"Location": other.url}
        )

        assert str(status) in refused(hook_server.url)
        assert other.requests == []


# --- What goes wrong ------------------------------------------------------------------


def test_a_hook_that_does_not_answer(hook_server: HookServer) -> None:
    """It is given up after the time it has."""
    hook_server.answer = lambda request: Answer(until=threading.Event())

    with pytest.raises(HookTimeoutError, match=r"0\.2 s"):
        calling(hook_server.url, timeout_s=0.2)


def test_a_hook_that_trickles(hook_server: HookServer) -> None:
    """Each byte in time does not make the answer be in time."""
    stopped = threading.Event()

    def trickle() -> Iterator[bytes]:
        while not stopped.wait(0.02):
            yield b" "

    hook_server.answer = lambda request: Answer(pieces=trickle)
    try:
        with pytest.raises(HookTimeoutError):
            calling(hook_server.url, timeout_s=0.3)
    finally:
        stopped.set()


def test_a_hook_that_is_down() -> None:
    """Nobody listens at its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        assert "reached" in refused(f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_a_name_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that cannot be found is a failure of the hook."""

    def fail(*words: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert "hook.example" in refused("http://hook.example/")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_a_hook_that_does_not_speak_http(hook_server: HookServer, raw: bytes) -> None:
    """Whatever it says, it is a failure and nothing worse."""
    hook_server.answer = lambda request: Answer(raw=raw)

    assert "HTTP" in refused(hook_server.url)


def test_a_hook_that_always_hangs_up(hook_server: HookServer) -> None:
    """It is called once more, because a kept connection may have ended, then not."""
    hook_server.answer = lambda request: Answer(raw=b"")

    refused(hook_server.url)

    assert len(hook_server.requests) == 2


def test_a_kept_connection_that_has_ended(hook_server: HookServer) -> None:
    """A hook that closes a connection just as it is used again is called once more."""
    answers = iter([Answer(b"1"), Answer(raw=b""), Answer(b"2")])
    hook_server.answer = lambda request: next(answers)

    assert calling(hook_server.url, hook_server.url) == [b"1", b"2"]
    ports = [request.port for request in hook_server.requests]
    assert ports[0] == ports[1] != ports[2]


def test_an_error_does_not_tell_the_whole_url(hook_server: HookServer) -> None:
    """A path or a query may be a secret, and errors go into the log."""
    url = f"{hook_server.url}/hidden?key=hidden"
    failures: list[Callable[[Received], Answer]] = [
        lambda request: Answer(status=500),
        lambda request: Answer(raw=b"no"),
        lambda request: Answer(b"x" * (BYTES_MAX + 1)),
        lambda request: Answer(raw=b""),
    ]

    for hook_server.answer in failures:
        assert "hidden" not in refused(url)
    hook_server.answer = lambda request: Answer(until=threading.Event())
    with pytest.raises(HookTimeoutError) as caught:
        calling(url, timeout_s=0.1)
    assert "hidden" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    """TLS with an unknown certificate is not spoken."""
    provider = Provider(make_certificate(tmp_path))
    try:
        with pytest.raises(HookError, match=r"'localhost'.* is not trusted") as caught:
            calling(f"{provider.url}/")
        assert "SSL_CERT_FILE" in caught.value.hint
        assert not provider.requests
    finally:
        provider.close()


def test_what_to_do_is_told_of_each_failure(hook_server: HookServer) -> None:
    """In our words: no TLS there, nobody there, a redirect, too slow."""
    place = f"127.0.0.1:{hook_server.port}"
    hook_server.answer = lambda request: Answer(
        status=302, headers={"Location": "/elsewhere"}
    )

    for url, said, hint in (
        (f"https://{place}/", "does not speak TLS", "http:"),
        ("http://127.0.0.1:1/", "reached: Connection refused.", "set-cognito-events"),
        (f"http://{place}/", "answers 302", "not followed"),
    ):
        with pytest.raises(HookError) as caught:
            calling(url)
        assert said in str(caught.value)
        assert hint in caught.value.hint
    hook_server.answer = lambda request: Answer(until=threading.Event())
    with pytest.raises(HookTimeoutError) as late:
        calling(f"http://{place}/", timeout_s=0.1)
    assert late.value.hint


# --- Private networks -----------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::1]"]
)
def test_the_own_machine_is_not_called(hook_server: HookServer, host: str) -> None:
    """However it is spelled, unless the setting allows it."""
    url = f"http://{host}:{hook_server.port}/"

    assert "HTTP" not in refused(url, private_networks=False)

    assert hook_server.requests == []


def test_a_name_is_judged_by_the_addresses_that_it_leads_to(
    hook_server: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked up once for a connection, and no private address is tried."""
    looked_up: list[str] = []

    def resolve(host: str, port: int, *words: object, **options: object) -> list[Any]:
        looked_up.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("10.255.255.1", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    refused(f"http://hook.example:{hook_server.port}/", private_networks=False)

    assert looked_up == ["hook.example"]
    assert hook_server.requests == []


def check(url: str, *, private_networks: bool = False) -> HookError | None:
    """Check a hook without calling it; return the error."""

    async def run() -> HookError | None:
        hook = HttpHook(SECRET, private_networks=private_networks)
        try:
            await hook.check(url)
        except HookError as error:
            return error
        finally:
            await hook.aclose()
        return None

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("addresses", "can_work"),
    [
        (["10.0.0.1"], False),
        (["fd00::1", "192.168.1.1"], False),
        (["10.0.0.1", "8.8.8.8"], True),  # the second one is tried, too
        (["8.8.8.8"], True),
        ([], True),  # nobody knows the name for now
    ],
)
def test_a_name_can_never_work_when_all_its_addresses_are_private(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], can_work: bool
) -> None:
    """That is told without a call, with the addresses and the setting."""

    def resolve(host: str, port: int, *words: object, **options: object) -> list[Any]:
        assert host == "hook.example"
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    error = check("https://hook.example/sync?key=secret")

    assert (error is None) is can_work
    if error is not None:
        assert all(each in str(error) for each in ("hook.example", *addresses))
        assert "secret" not in str(error)
        assert "hook_private_networks" in error.hint
    assert check("https://hook.example/", private_networks=True) is None


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "10.1", "0"),
        *("[::1]", "[::ffff:7f00:1]", "[fe80::1%25eth0]", "[64:ff9b::a00:1]"),
        *("localhost", "LOCALHOST.", "hook.localhost", "localhost.localdomain"),
        "ip6-localhost",
    ],
)
def test_a_private_address_in_any_writing_can_never_work(host: str) -> None:
    """As digits of any base and number, with a dot behind it, as a name."""
    error = check(f"http://{host}:8080/sync")

    assert error is not None
    assert "private address" in str(error)
    assert "hook_private_networks" in error.hint


@pytest.mark.parametrize("url", ["http://127%2e0.0.1/", "http://%6cocalhost/"])
def test_a_name_that_is_spelled_is_none(url: str) -> None:
    """Nobody decodes it on the way to an address, so nobody may on a later day."""
    assert "names no host" in str(check(url))
    assert "names no host" in str(check(url, private_networks=True))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "ff02::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
        "192.0.0.8",
    ],
)
def test_private_addresses(address: str) -> None:
    """Private, loopback, link-local, shared, multicast, and IPv4 in disguise."""
    assert is_private(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"],
)
def test_public_addresses(address: str) -> None:
    """What the Internet routes to a host is called."""
    assert not is_private(address)


def test_closing_twice_is_closing_once() -> None:
    """A client that was never used can be closed, and a closed one again."""

    async def run() -> None:
        hook = HttpHook(SECRET, private_networks=True)
        await hook.aclose()
        await hook.aclose()

    asyncio.run(run())
