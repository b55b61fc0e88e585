"""
The way of a request: an ASGI application with nothing between the socket and the rules.

    route -> read the body, bounded -> verify the signature -> decode and validate
          -> may they -> service function -> encode

Every error leaves through one door (`wire.errors`), with a request id.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from millpond.errors import (
    InvalidSignatureException,
    RequestEntityTooLargeException,
    RequestTimeoutException,
    SerializationException,
    UnknownOperationException,
)
from millpond.metrics import RequestMetrics
from millpond.server.bindings import APIS, ServiceFunction, bind
from millpond.service.context import Caller, Context
from millpond.wire.errors import as_service_exception, encode_error
from millpond.wire.routing import Route, Router
from millpond.wire.sigv4 import SignedRequest, Verifier, normal_path

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger()

_JSON: Final = (b"content-type", b"application/json")
_JSON_1_1: Final = (b"content-type", b"application/x-amz-json-1.1")
BODY_S_MAX: Final = 60.0  # a phone on a bad network is slow; an attacker has no end
_UNKNOWN: Final = "Unknown"  # the operation in metrics, where none was found


class _Request:
    """What the socket gave us, looked at once."""

    __slots__ = ("headers", "id", "method", "raw_headers", "raw_path", "raw_query")

    def __init__(self, scope: Scope) -> None:
        self.id = _new_request_id()
        self.raw_path: bytes = scope["raw_path"]
        self.raw_query: bytes = scope["query_string"]
        self.raw_headers: Headers = scope["headers"]
        self.headers = dict(self.raw_headers)
        self.method: str = scope["method"]
        if self.method == "POST" and b"x-http-method-override" in self.headers:
            # Unity sends a POST and signs the method that it means.
            override = self.headers[b"x-http-method-override"]
            self.method = override.decode("latin-1")


_process_id: Final = random.SystemRandom().randbytes(10).hex()
_request_numbers: Final = itertools.count(1)


def _new_request_id() -> str:
    """Make an id in the form of a UUID; it need not be hard to guess."""
    number = next(_request_numbers) & 0xFFFF_FFFF_FFFF
    p = _process_id
    return f"{p[:8]}-{p[8:12]}-{p[12:16]}-{p[16:20]}-{number:012x}"


class _Found(NamedTuple):
    """A request whose operation is known."""

    route: Route
    labels: dict[str, str] | None


class Gateway:
    """Serves the published APIs; other paths go to `beside`."""

    def __init__(
        self,
        context: Context,
        verifier: Verifier,
        metrics: RequestMetrics,
        *,
        beside: AsgiApp,
        beside_paths: Iterable[str],
    ) -> None:
        self._context = context
        self._verifier = verifier
        self._metrics = metrics
        self._beside = beside
        self._beside_paths = tuple(beside_paths)
        self._router = Router([api for api, _ in APIS])
        self._functions: dict[int, ServiceFunction] = {
            id(operation): bind(operation, modules)
            for api, modules in APIS
            for operation in api.operations
        }
        self._body_bytes_max = context.settings.request_body_bytes_max
        self._log_requests = context.settings.log_requests
        self._account_id = context.settings.account_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"].startswith(self._beside_paths):
            await self._beside(scope, receive, send)
            return
        started = time.perf_counter()
        request = _Request(scope)
        found: _Found | None = None
        try:
            found = self._find(request)
            status, headers, body = await self._answer(found, request, receive)
        except Exception as error:
            if found is None:
                # What was sent to nowhere is still in the way of the next request.
                with contextlib.suppress(Exception):
                    await _read_body(request, receive, self._body_bytes_max)
            status, headers, body = self._refuse(error, found, request)
        headers.append((b"x-amzn-requestid", request.id.encode()))
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})
        seconds = time.perf_counter() - started
        operation = found.route.operation.name if found else _UNKNOWN
        self._metrics.observe(operation, status, seconds)
        if self._log_requests:
            _log.info(
                "request.answered",
                request_id=request.id,
                operation=operation,
                status=status,
                duration_ms=round(seconds * 1000, 3),
            )

    def _find(self, request: _Request) -> _Found:
        method, raw_path = request.method, request.raw_path
        if raw_path == b"/":
            target = request.headers.get(b"x-amz-target")
            if target is None or method != "POST":
                raise UnknownOperationException
            route = self._router.by_target(target.decode("latin-1"))
            if route is None:
                raise UnknownOperationException
            return _Found(route, None)
        found = self._router.by_path(method, raw_path)
        if found is None:
            raise UnknownOperationException
        if b"/." in raw_path or b"//" in raw_path:
            self._refuse_ambiguous(method, raw_path)
        return _Found(*found)

    def _refuse_ambiguous(self, method: str, raw_path: bytes) -> None:
        """
        Refuse a path whose normal form leads to another operation.

        Clients sign the normal form, so a signature for `datasets/records` also fits
        `datasets/./records`. A dataset may be called '.', but not at that price.
        """
        normal = normal_path(raw_path)
        if normal != raw_path and self._router.by_path(method, normal) is not None:
            raise InvalidSignatureException(
                "The path has segments '.' or '..' that make its signature ambiguous."
            )

    async def _answer(
        self, found: _Found, request: _Request, receive: Receive
    ) -> tuple[int, Headers, bytes]:
        route = found.route
        body_bytes_max = max(self._body_bytes_max, route.api.request_bytes_max)
        body = await _read_body(request, receive, body_bytes_max)
        verified = self._verifier.verify(
            SignedRequest(
                request.method,
                request.raw_path,
                request.raw_query,
                request.raw_headers,
                body,
            ),
            service=route.api.name,
            now_s=self._context.now_ms() / 1000,
        )
        caller = Caller(verified.access_key_id, self._account_id)
        decoded = route.decoder.decode(
            body, found.labels, request.raw_query, request.headers
        )
        response = await self._functions[id(route.operation)](
            self._context, caller, decoded
        )
        rest = route.api.protocol == "rest-json"
        if response is None:
            return 200, [_JSON if rest else _JSON_1_1], b"{}" if rest else b""
        return 200, [_JSON if rest else _JSON_1_1], _encode(response)

    def _refuse(
        self, error: Exception, found: _Found | None, request: _Request
    ) -> tuple[int, Headers, bytes]:
        exception = as_service_exception(error)
        if exception is not error:
            _log.error(
                "request.failed",
                request_id=request.id,
                operation=found.route.operation.name if found else _UNKNOWN,
                error=str(error),
                exc_info=error if exception.http_status == 500 else None,
            )
        json = found is not None and found.route.api.protocol == "json"
        status, headers, body = encode_error(exception, uniform_status=json)
        headers.append(_JSON_1_1 if json else _JSON)
        unread = RequestEntityTooLargeException | RequestTimeoutException
        if isinstance(exception, unread):
            headers.append((b"connection", b"close"))  # the rest is never read
        return status, headers, body


async def _read_body(request: _Request, receive: Receive, bytes_max: int) -> bytes:
    """
    Read the body, but not more of it than `bytes_max`.

    Raises:
        RequestEntityTooLargeException: there is more.
        RequestTimeoutException: it does not come.
        SerializationException: the client went away in the middle.
    """
    length = request.headers.get(b"content-length")
    if length is None and b"transfer-encoding" not in request.headers:
        return b""
    if length is not None and length.isdigit():
        if length == b"0":
            return b""
        # Not even begun, when its sender says that it is too large.
        _check_size(int(length[:20]), bytes_max)
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await _read_parts(receive, bytes_max)
    except TimeoutError as error:
        raise RequestTimeoutException from error


async def _read_parts(receive: Receive, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise SerializationException("The request was cut off.")
        part = message.get("body", b"")
        size += len(part)
        _check_size(size, bytes_max)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_size(size: int, bytes_max: int) -> None:
    if size > bytes_max:
        raise RequestEntityTooLargeException(
            f"The request body is larger than {bytes_max} bytes."
        )
