"""
One request over one connection: sockets, TLS and proxies.

`http.client` rather than a larger library: one request needs no pool, and loading is
what a command spends its time on. Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import sys
import zlib
from urllib.parse import unquote, urlsplit

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final
    from urllib.parse import SplitResult

    from millpond.client.api.idle import Idle

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UNHANDLED: Final = "An HTTP Client raised an unhandled exception"
_BODY_BYTES_MAX: Final = 256 * 1024 * 1024
_LINE_BYTES_MAX: Final = 1024 * 1024


class ConnectionFault(Fault):
    """The server could not be reached, or did not answer as a server does."""

    can_be_examined = True


class Request:
    """What is to be sent."""

    def __init__(
        self, method: str, url: str, headers: dict[str, str], body: bytes = b""
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    @property
    def host(self) -> str:
        """The Host header: with the port, unless it is the scheme's own."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        if parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme):
            return host
        return f"{host}:{parts.port}"


class Response:
    """What came back; names of headers are in lower case."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Settings:
    """
    How to connect; `None` as a timeout waits for ever.

    Args:
        idle: connections to use again; `None`: each request has one of its own.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float | None,
        read_timeout_s: float | None,
        verify: bool = True,
        ca_bundle: str | None = None,
        idle: Idle | None = None,
    ) -> None:
        self.idle = idle
        self.connect_timeout_s = connect_timeout_s
        self.read_timeout_s = read_timeout_s
        self.verify = verify
        self.ca_bundle = ca_bundle


class Lines:
    """An answer that goes on: its lines, as they come."""

    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self.content_type = answer.getheader("content-type", "")
        self._connection = connection
        self._answer = answer
        self._socket = connection.sock  # None where it ends with the answer

    def __iter__(self) -> Iterator[bytes]:
        """Give each line without its end, until the server or the connection ends."""
        try:
            while line := self._answer.readline(_LINE_BYTES_MAX):
                yield line.rstrip(b"\r\n")
        except (OSError, http.client.HTTPException, ValueError):
            return  # whoever reads asks again, and is told what is the matter

    def interrupt(self) -> None:
        """End it from another thread: who reads it is told of no more lines."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        self._answer.close()  # which has it alone where it ends with the answer
        self._connection.close()


def send(request: Request, settings: Settings) -> Response:
    """
    Send a request and read the whole answer.

    Raises:
        ConnectionFault: which step failed, in the words of the AWS CLI.
        Fault: the URL is none that can be called.
    """
    connection, answer = _ask(request, settings)
    try:
        response = _read(request, answer)
    except BaseException:
        connection.close()
        raise
    if settings.idle is None:
        connection.close()
    else:
        settings.idle.give(_place(request), connection)
    return response


def _place(request: Request) -> tuple[str | int | None, ...]:
    """Say where a connection leads; proxies are those of the process."""
    parts = urlsplit(request.url)
    return parts.scheme, parts.hostname, parts.port


def listen(request: Request, settings: Settings) -> Lines | Response:
    """
    Send a request whose answer goes on; one that says no is read as a whole.

    Raises:
        ConnectionFault, Fault: as `send` does.
    """
    connection, answer = _ask(request, settings)
    if answer.status == http.client.OK:
        return Lines(connection, answer)
    try:
        return _read(request, answer)
    finally:
        connection.close()


def _ask(
    request: Request, settings: Settings
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Send a request and read the head of the answer."""
    parts = _parse_url(request.url)
    proxy = _proxy_for(parts)
    connection, target = _prepare(parts, proxy, settings)
    headers = {"Host": request.host, "Accept-Encoding": "identity", **request.headers}
    if proxy is not None and parts.scheme == "http":
        headers.update(_proxy_headers(urlsplit(proxy)))
    reused = _ask_again(request, target, headers, settings)
    if reused is not None:
        return reused
    try:
        _connect(connection, request.url, proxy)
        return connection, _exchange(connection, request, target, headers, settings)
    except BaseException:
        connection.close()
        raise


def _ask_again(
    request: Request, target: str, headers: dict[str, str], settings: Settings
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse] | None:
    """Send a request over a connection that is open; `None` when there is none."""
    idle = settings.idle
    while idle is not None and (connection := idle.take(_place(request))) is not None:
        try:
            with _faults_named(request.url):
                try:
                    answer = _speak(connection, request, target, headers, settings)
                except ConnectionError:  # it was closed at this moment
                    connection.close()
                    continue
        except BaseException:
            connection.close()
            raise
        return connection, answer
    return None


def _parse_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:  # such as a bracket that is not closed
        raise Fault(f"{_UNHANDLED}: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise Fault(f"{_UNHANDLED}: Not supported URL scheme {parts.scheme}")
    if not parts.hostname:
        raise Fault(f"{_UNHANDLED}: No host specified.")
    return parts


def _prepare(
    parts: SplitResult, proxy: str | None, settings: Settings
) -> tuple[http.client.HTTPConnection, str]:
    """Make a connection that is not open yet, and the target to ask it for."""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    host = parts.hostname or ""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    timeout_s = settings.connect_timeout_s
    if parts.scheme == "http" and proxy is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s), target
    if parts.scheme == "http":
        assert proxy is not None
        through = urlsplit(proxy)
        address = parts.netloc.rpartition("@")[2]
        return (
            http.client.HTTPConnection(
                through.hostname or "", through.port or 80, timeout=timeout_s
            ),
            f"http://{address}{target}",
        )
    if settings.idle is None:
        context = _tls_context(parts.geturl(), settings)
    else:
        context = settings.idle.context(lambda: _tls_context(parts.geturl(), settings))
    if proxy is None:
        return (
            http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context),
            target,
        )
    through = urlsplit(proxy)
    tunnelled = http.client.HTTPSConnection(
        through.hostname or "", through.port or 80, timeout=timeout_s, context=context
    )
    tunnelled.set_tunnel(host, port, headers=_proxy_headers(through))
    return tunnelled, target


def _connect(
    connection: http.client.HTTPConnection, url: str, proxy: str | None
) -> None:
    try:
        connection.connect()
    except ssl.SSLError as error:
        raise ConnectionFault(f"SSL validation failed for {url} {error}") from None
    except OSError as error:
        if proxy is not None:
            raise _proxy_fault(proxy) from None
        if isinstance(error, TimeoutError):
            raise ConnectionFault(f'Connect timeout on endpoint URL: "{url}"') from None
        raise ConnectionFault(
            f'Could not connect to the endpoint URL: "{url}"'
        ) from None
    except http.client.HTTPException:
        raise _proxy_fault(proxy or "") from None


def _proxy_fault(proxy: str) -> ConnectionFault:
    """Say which proxy it is."""
    shown = _without_password(proxy)
    return ConnectionFault(f'Failed to connect to proxy URL: "{shown}"')


def _without_password(proxy: str) -> str:
    """Show a proxy, but not how one gets in."""
    parts = urlsplit(proxy)
    _, at, address = parts.netloc.rpartition("@")
    return (parts._replace(netloc=f"***:***@{address}") if at else parts).geturl()


def _exchange(
    connection: http.client.HTTPConnection,
    request: Request,
    target: str,
    headers: dict[str, str],
    settings: Settings,
) -> http.client.HTTPResponse:
    with _faults_named(request.url):
        return _speak(connection, request, target, headers, settings)


def _speak(
    connection: http.client.HTTPConnection,
    request: Request,
    target: str,
    headers: dict[str, str],
    settings: Settings,
) -> http.client.HTTPResponse:
    assert isinstance(connection.sock, socket.socket)
    connection.sock.settimeout(settings.read_timeout_s)
    encoded = {name: value.encode("utf-8") for name, value in headers.items()}
    connection.request(request.method, target, request.body or None, encoded)
    return connection.getresponse()


@contextlib.contextmanager
def _faults_named(url: str) -> Iterator[None]:
    """Say of what goes wrong on a connection what the AWS CLI says of it."""
    try:
        yield
    except ValueError as error:
        raise Fault(f"An HTTP Client raised an unhandled exception: {error}") from None
    except TimeoutError:
        raise ConnectionFault(f'Read timeout on endpoint URL: "{url}"') from None
    except (OSError, http.client.HTTPException):
        raise ConnectionFault(
            "Connection was closed before we received a valid response from endpoint "
            f'URL: "{url}".'
        ) from None


def _read(request: Request, answer: http.client.HTTPResponse) -> Response:
    """Read the rest of an answer."""
    with _faults_named(request.url):
        body = answer.read(_BODY_BYTES_MAX)
        if answer.read(1):
            raise Fault(f"The answer is longer than {_BODY_BYTES_MAX} bytes.")
    received = {name.lower(): value for name, value in answer.getheaders()}
    if answer.length:
        raise ConnectionFault(
            "Connection was closed before we received a valid response from endpoint "
            f'URL: "{request.url}".'
        )
    return Response(answer.status, received, _decode(received, body))


def _decode(headers: dict[str, str], body: bytes) -> bytes:
    """Undo a compression that we did not ask for, as some proxies need."""
    encoding = headers.get("content-encoding", "").lower()
    if encoding not in ("gzip", "x-gzip", "deflate") or not body:
        return body
    try:
        if encoding == "deflate" and body[0] & 0x0F != zlib.DEFLATED:
            return zlib.decompress(body, -zlib.MAX_WBITS)
        return zlib.decompress(body, zlib.MAX_WBITS | 32)
    except zlib.error as error:
        raise Fault(f"The answer cannot be decompressed: {error}") from None


def _tls_context(url: str, settings: Settings) -> ssl.SSLContext:
    """
    Ours: the certificates of the system are trusted unless a bundle is named, so that a
    company's own authority works here as it does elsewhere on the machine.
    """
    bundle = settings.ca_bundle if settings.verify else None
    try:
        context = ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise Fault(f"SSL validation failed for {url} {error}") from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def find_proxy(url: str) -> str | None:
    """Find the proxy of a URL, as it may be shown; None: there is none."""
    proxy = _proxy_for(_parse_url(url))
    return None if proxy is None else _without_password(proxy)


def _proxy_for(parts: SplitResult) -> str | None:
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    if not named and sys.platform not in ("darwin", "win32"):
        return None
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = getproxies().get(parts.scheme)
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy:
        _check_proxy(proxy)
    return proxy or None


def _check_proxy(proxy: str) -> None:
    try:
        _ = urlsplit(proxy).port
    except ValueError:
        # Without the password that may be there, which the error may repeat.
        shown = proxy.rpartition("@")[2]
        raise Fault(f"{_UNHANDLED}: the proxy '{shown}' is no URL.") from None


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    from base64 import b64encode

    secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(secret.encode()).decode()}"}
