"""
A POST to somebody else's server, warily: in time, of a size, and not led elsewhere.

Connections are kept and used again, because a hook is called for every update. One that
its server has closed meanwhile is noticed only by the next request on it, which is then
sent once more.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import aiohttp
from yarl import URL

from millpond import __version__
from millpond.errors import HookError, HookTimeoutError, HookUnreachableError

CONNECTIONS_PER_HOST_MAX: Final = 256
_CHUNK_BYTES: Final = 64 * 1024
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # nothing that grows while it is unpacked
    "Content-Type": "application/json",
    "User-Agent": f"millpond/{__version__}",
}


ALLOW_PRIVATE: Final = (
    "Give it a public address, or let hooks be at private ones: the setting "
    "hook_private_networks (MILLPOND_HOOK_PRIVATE_NETWORKS=true)."
)
NOT_REACHED: Final = (
    "Start it, or set another target (`millpond cognito-sync set-cognito-events help`)."
)
TOO_SLOW: Final = "Look at what keeps it: users wait as long as it does."
NO_TLS: Final = "Give it TLS, or name it with http: in front."
NOT_TRUSTED: Final = (
    "Give it a certificate of an authority that this machine knows, or let the server "
    "know its own: SSL_CERT_FILE=BUNDLE millpond serve."
)


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]  # looked up without regard to case
    body: bytes


class _TooLarge(Exception):
    """An answer is over its bound."""


class _RefusedAddressError(PermissionError):
    """An address is not to be connected to."""


class Poster:
    """Sends POST requests and keeps the connections."""

    def __init__(
        self,
        *,
        timeout_s: float,
        answer_bytes_max: int,
        refuse: Callable[[str], bool] | None = None,
    ) -> None:
        """
        Args:
            timeout_s: for everything, from the look-up of the name to the last byte.
            refuse: says whether an address, that the name was resolved to, is not to be
                connected to.
        """
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max
        self._refuse = refuse
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """
        Send a request, and read the answer whatever its status; redirects are not
        followed.

        Raises:
            HookTimeoutError: it took too long.
            HookError: there is no answer, or it is too large.
        """
        target = URL(url, encoded=True)  # as it is: it may be signed
        host = f"'{target.host}'"  # the rest of it may be a secret
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    return await self._send(target, body, headers)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    return await self._send(target, body, headers)
        except TimeoutError as error:
            raise HookTimeoutError(
                f"{host} does not answer within {self._timeout_s:g} s.", hint=TOO_SLOW
            ) from error
        except _TooLarge as error:
            raise HookError(
                f"{host} answers more than {self._answer_bytes_max} bytes."
            ) from error
        except aiohttp.ClientConnectorError as error:
            reason, hint = _why_no_connection(error)
            raise HookUnreachableError(
                f"{host} cannot be reached: {reason}.", hint=hint
            ) from error
        except aiohttp.InvalidURL as error:
            raise HookUnreachableError(f"{host} is no host.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = type(error).__name__
            raise HookUnreachableError(
                f"{host} does not speak HTTP: {kind}.", hint=NOT_REACHED
            ) from error

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        async with self._open().post(
            url,
            data=body,
            headers={**_HEADERS, **headers},
            allow_redirects=False,
        ) as response:
            return Answer(response.status, response.headers, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(part)
            if size > self._answer_bytes_max:
                raise _TooLarge
            parts.append(part)
        return b"".join(parts)

    def _open(self) -> aiohttp.ClientSession:
        """Give the session, which can be made on an event loop alone."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # a host that hangs must not keep the others waiting
                    limit_per_host=CONNECTIONS_PER_HOST_MAX,
                    socket_factory=self._make_socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )
        return self._session

    def _make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        """
        Make a socket for the address that is connected to.

        This is the place to refuse one: a name may resolve to another address each time
        it is looked up.
        """
        family, kind, protocol, _, (host, *_) = address
        if self._refuse is not None and self._refuse(host):
            raise _RefusedAddressError(
                f"{host} is a private address (setting hook_private_networks)"
            )
        return socket.socket(family=family, type=kind, proto=protocol)


def _why_no_connection(error: aiohttp.ClientConnectorError) -> tuple[str, str]:
    """Say why there is no connection, and what to do about it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        found = error.certificate_error
        said = getattr(found, "verify_message", "") or found
        return f"its certificate is not trusted: {said}", NOT_TRUSTED
    cause = error.os_error
    if isinstance(cause, _RefusedAddressError):
        return str(cause), ALLOW_PRIVATE
    if isinstance(cause, ssl.SSLError):
        return f"it does not speak TLS ({cause.reason or 'no handshake'})", NO_TLS
    if not isinstance(cause, socket.gaierror) and cause.errno:
        return os.strerror(cause.errno), NOT_REACHED  # not as the event loop puts it
    return str(cause.strerror or cause), NOT_REACHED
