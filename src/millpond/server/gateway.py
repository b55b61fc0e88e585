"""
The way of a request: an ASGI application with nothing between the socket and the rules.

    route -> limit of the peer -> check the head -> read the body, bounded
          -> verify the signature -> limit of the caller -> decode and validate
          -> may they -> service function -> encode

An answer is encoded whole and sent by `server.answers`; only live updates
(`server.live`) and subscriptions to shards (`server.subscriptions`) are streams.
The form of a request says which protocol it speaks: a path, an X-Amz-Target, or, for
AWS Query, a form whose Action stands in the body and is read before the route is known.
Every error leaves through one door (`wire.errors`), with a request id.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol

import structlog

from millpond.console.base import DOOR
from millpond.console.base import ROOT as CONSOLE
from millpond.contract.shapes import Callers
from millpond.errors import (
    InternalErrorException,
    ServiceException,
    ServiceUnavailableException,
    UnrecognizedClientException,
)
from millpond.limits import UNSIGNED_BODY_BYTES_MAX
from millpond.metrics import Metrics
from millpond.server import bodies, http2
from millpond.server.answer_streams import AnswerStreams
from millpond.server.answers import WHOLE_BYTES_MAX_HTTP2, Answers
from millpond.server.beside import BesideDoor
from millpond.server.bindings import APIS, ServiceFunction, Streamed, bind
from millpond.server.bodies import NO_BODY
from millpond.server.cors import Cors
from millpond.server.finding import Finder, Found
from millpond.server.live import HEADERS as EVENT_STREAM
from millpond.server.live import LiveStreams
from millpond.server.peers import TrustedProxies, name, peer_of
from millpond.server.rates import RateLimits
from millpond.server.request_log import RequestLog
from millpond.server.requests import Headers, Receive, Request, Scope
from millpond.server.subscriptions import HEADERS as SUBSCRIPTION
from millpond.server.subscriptions import SubscriptionStreams
from millpond.server.under_way import Client, UnderWay, take_one
from millpond.service import heavy
from millpond.service.context import ANYONE, Context
from millpond.service.credentials import Credentials
from millpond.service.damage import is_damage
from millpond.service.kinesis.subscriptions import Subscription
from millpond.service.live import LiveUpdates
from millpond.service.recent_errors import RecentError
from millpond.wire import codecs, query
from millpond.wire.errors import as_service_exception, encode_error
from millpond.wire.query import (
    CONTENT_TYPE,
    FORM_BYTES_MAX,
    QueryRoute,
    encode_response,
)
from millpond.wire.routing import Route
from millpond.wire.sigv4.canonical import body_sha256
from millpond.wire.sigv4.verifier import SignedRequest, Verifier

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = structlog.get_logger()

DAMAGED: Final = (
    "What is stored for this request is damaged and cannot be read; nothing was "
    "changed. The log of the server says more."
)
FORM_BYTES_PLAIN: Final = 16_384  # that are read in about 2 ms, however they are spelt
_UNKNOWN: Final = "Unknown"  # the operation in metrics, where none was found


class Elsewhere(Protocol):
    """Another process, which answers what this one does not."""

    def is_elsewhere(self, found: Found) -> bool:
        """Say whether an operation is answered there."""
        ...

    def is_surely_elsewhere(self, method: str, raw_path: bytes) -> bool:
        """Say whether all are that a path may mean, without a look at what it does."""
        ...

    async def pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        """
        Have a request answered there.

        Raises:
            ServiceException: it cannot be; the client was sent nothing.
        """
        ...


class Gateway:
    """Serves the published APIs; other paths go to `beside`."""

    def __init__(
        self,
        context: Context,
        verifier: Verifier[Credentials],
        metrics: Metrics,
        live: LiveStreams,
        subscriptions: SubscriptionStreams,
        answers: Answers,
        under_way: UnderWay,
        trusted: TrustedProxies,
        rates: RateLimits,
        *,
        look_for_keys: Callable[[], Awaitable[None]],
        note_key_use: Callable[[str], None],
        beside: AsgiApp,
        beside_paths: Iterable[str],
        console: AsgiApp | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """
        Args:
            elsewhere: answers what this process does not; None: this one answers all.
            console: serves what is below `console.base.ROOT`; it takes forms.
            look_for_keys: learns of developer keys that were made before the call.
            note_key_use: is told the id of each that signed rightly.
        """
        self._context = context
        self._verifier = verifier
        self._look_for_keys = look_for_keys
        self._note_key_use = note_key_use
        self._metrics = metrics.requests
        self._refused = metrics.refused
        self._live = live
        self._subscriptions = subscriptions
        self._answers = answers
        self._under_way = under_way
        self._trusted = trusted
        self._rates = rates
        self._beside = beside
        self._console = console
        self._elsewhere = elsewhere
        self._beside_paths = (*beside_paths, *([CONSOLE] if console else []))
        self._console_streams = AnswerStreams(under_way, answers.connections, answers)
        self._finder = Finder(api for api, _ in APIS)
        self._cors = Cors(context.settings.cors_origins)
        self._functions: dict[int, ServiceFunction] = {
            id(operation): bind(api, operation, modules)
            for api, modules in APIS
            for operation in api.operations
        }
        self._body_bytes_max = context.settings.request_body_bytes_max
        self._bodies = bodies.make_budget(context.settings, metrics)
        self._multiplexed_requests_max = context.settings.multiplexed_requests_max
        self._request_log = RequestLog.of(context.settings)
        self._calls = context.calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        client: Client = scope["client"]
        # In place, for it is on the way of every request.
        requests = self._under_way.requests
        requests[client] = requests.get(client, 0) + 1
        try:
            if scope["http_version"] == http2.VERSION:
                await self._serve_http2(scope, receive, send)
            else:
                await self._serve(scope, receive, send)
        finally:
            if requests[client] == 1:
                requests.pop(client)  # `del` of a Counter is Python
            else:
                requests[client] -= 1
            self._under_way.last_s[client] = time.monotonic()

    async def _serve_http2(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of which there may be very many on a connection."""
        peer = peer_of(scope, self._trusted)
        under_way = self._under_way
        is_one_too_many = under_way.http2_total >= self._multiplexed_requests_max or (
            under_way.http2[peer] >= self._multiplexed_requests_max // 2
            and not self._is_proxy(scope["client"][0], peer)
        )
        under_way.http2_total += 1
        under_way.http2[peer] += 1
        try:
            if scope["method"] == "HEAD":
                send = http2.without_body(send)
            await self._serve(scope, receive, send, is_one_too_many=is_one_too_many)
        finally:
            under_way.http2_total -= 1
            take_one(under_way.http2, peer)

    def _is_proxy(self, host: str, peer: str) -> bool:
        """Say whether a proxy of ours is the sender, for all that it tells."""
        return peer == name(host) and self._trusted.trusts(host)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        is_one_too_many: bool = False,
    ) -> None:
        request = Request(scope, receive, self._trusted)
        if scope["path"].startswith(self._beside_paths):
            await self._serve_beside(request, receive, send)
            return
        started = time.perf_counter()
        found: Found | None = None
        body: bytes | Streamed
        goes_on = True  # what its connection carries
        try:
            if request.method == "OPTIONS" and (
                (allowed := self._cors.preflight(request.headers)) is not None
            ):
                await _send(send, 204, allowed, b"")
                return
            if is_one_too_many:
                self._refused.labels("requests").inc()
                raise ServiceUnavailableException(
                    "Too many requests are under way. Try again.", retry_after_s=1
                )
            if self._elsewhere is not None:
                found = self._find_here(request, self._elsewhere)
                if found is None:
                    await self._elsewhere.pass_on(request, receive, send)
                    return
            elif request.raw_path == b"/" and request.is_form:
                form = await self._read(request, FORM_BYTES_MAX)
                find = self._finder.find_by_form
                if len(form) > FORM_BYTES_PLAIN:
                    found = await heavy.run(find, request, form)
                else:
                    found = find(request, form)
            else:
                found = self._finder.find(request)
            status, headers, body = await self._answer(found, request, started)
        except Exception as error:
            if request.is_of_people:
                await self._serve_beside(request, receive, send)
                return
            if not is_one_too_many:
                # What was sent to nowhere is still in the way of the next request.
                goes_on = await self._make_way(request)
            status, headers, body = self._refuse(error, found, request)
        finally:
            if request.body is not NO_BODY:
                request.body.close()
        headers.append((b"x-amzn-requestid", request.id.encode()))
        if not goes_on or b"origin" in request.headers:
            self._complete(headers, request, goes_on=goes_on)
        if isinstance(body, bytes):
            try:
                if len(body) <= WHOLE_BYTES_MAX_HTTP2:
                    await send(
                        {
                            "type": "http.response.start",
                            "status": status,
                            "headers": headers,
                        }
                    )
                    await send({"type": "http.response.body", "body": body})
                else:
                    await self._answers.send(status, headers, body, request, send)
            except ServiceException as error:  # there is no room for it
                status, headers, body = self._refuse(error, found, request)
                headers.append((b"x-amzn-requestid", request.id.encode()))
                self._complete(headers, request, goes_on=goes_on)
                await _send(send, status, headers, body)
            self._note(found, request, status, started)
            if not goes_on:
                await self._drain(request)
        else:
            self._note(found, request, status, started)
            assert found is not None
            await self._stream(found, request, headers, body, receive, send)

    def _find_here(self, request: Request, elsewhere: Elsewhere) -> Found | None:
        """Find the operation of a request; None: it is not to be answered here."""
        if elsewhere.is_surely_elsewhere(request.method, request.raw_path):
            return None
        if request.is_form:  # what it means stands in its body
            return None
        try:
            found = self._finder.find(request)
        except ServiceException:
            return None
        return None if elsewhere.is_elsewhere(found) else found

    async def _serve_beside(
        self, request: Request, receive: Receive, send: Send
    ) -> None:
        """Serve what is not of the APIs."""
        if self._console and request.scope["path"].startswith(CONSOLE):
            await self._serve_console(self._console, request, receive, send)
            return
        await self._make_way(request)  # none of it takes a body
        try:
            sender = self._answers.bounded(request, send)
            await self._beside(request.scope, receive, sender)
        except ServiceException:
            await _send(send, 503, [], b"")
        await self._drain(request)

    async def _serve_console(
        self, console: AsgiApp, request: Request, receive: Receive, send: Send
    ) -> None:
        """Serve a page for people; it reads a form itself, once it may be sent."""

        async def send_after(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and not (
                await self._make_way(request)
            ):
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        bounded = self._answers.bounded(request, send_after)
        request.scope[DOOR] = BesideDoor(
            request,
            receive,
            send_after,
            read=self._read,
            streams=self._console_streams,
            public_url=self._context.settings.public_url,
        )
        try:
            await console(request.scope, receive, bounded)
        except ServiceException:  # there is no room for the answer
            await _send(send_after, 503, [], b"")
        finally:
            if request.body is not NO_BODY:
                request.body.close()
        await self._drain(request)

    async def _stream(
        self,
        found: Found,
        request: Request,
        headers: Headers,
        body: Streamed,
        receive: Receive,
        send: Send,
    ) -> None:
        client, peer = request.client, request.peer()
        if isinstance(body, LiveUpdates):
            await self._live.stream(body, headers, client, peer, receive, send)
        else:
            codec = codecs.choose(request.headers, found.route.api)
            await self._subscriptions.stream(
                body, codec, headers, client, peer, receive, send
            )

    def _complete(self, headers: Headers, request: Request, *, goes_on: bool) -> None:
        """Add the headers that few answers have."""
        if b"origin" in request.headers:
            headers += self._cors.headers(request.headers[b"origin"])
        if not goes_on:
            headers.append((b"connection", b"close"))

    def _note(
        self,
        found: Found | None,
        request: Request,
        status: int,
        started: float,
    ) -> None:
        """Count an answer, and log it if that is wanted."""
        seconds = time.perf_counter() - started
        operation = found.route.operation.name if found else _UNKNOWN
        self._metrics.observe(operation, status, seconds)
        if self._request_log is not None:
            self._request_log.note(
                request_id=request.id,
                operation=operation,
                status=status,
                seconds=seconds,
                method=request.method,
                raw_path=request.raw_path,
                client=request.client,
                caller=request.caller,
                decoded=request.decoded,
            )

        if self._calls is not None:
            self._calls.note(
                operation=operation,
                status=status,
                error=request.error,
                time_ms=self._context.now_ms(),
                caller=request.caller,
                user_agent=request.user_agent,
                decoded=request.decoded,
                body_bytes=int(request.headers.get(b"content-length", 0)),
            )

    async def _answer(
        self, found: Found, request: Request, now_s: float
    ) -> tuple[int, Headers, bytes | Streamed]:
        route = found.route
        api, operation = route.api, route.operation
        body = found.body
        # Some SDKs sign what need not be signed; such a signature is not looked at.
        if operation.callers is Callers.ANYONE:
            # Whoever is over his limit is told so before more is read.
            self._rates.check_peer(operation, request.peer(), now_s)
            if body is None:
                body = await self._read(request, UNSIGNED_BODY_BYTES_MAX)
            is_large = len(body) > heavy.BYTES_MAX
        else:
            signed = SignedRequest(
                request.method,
                request.raw_path,
                request.raw_query,
                request.raw_headers,
                by_name=request.headers,
                canonical_path=found.canonical_path,
            )
            if body is None and not request.body.is_over:
                is_small = request.body.is_small
                # What is small is hardly wrong, and hardly worth it.
                if not (is_small and self._verifier.knows(request.headers)):
                    await self._check_head(signed, api.name, is_small=is_small)
                body_bytes_max = max(self._body_bytes_max, api.request_bytes_max)
                body = await self._read(request, body_bytes_max)
            signed.body = body = body or b""
            is_large = len(body) > heavy.BYTES_MAX
            if is_large:
                signed.body_sha256 = await heavy.run(body_sha256, body)
            now_ms = self._context.signing_now_ms()
            try:
                verified = self._verifier.verify(
                    signed, service=api.name, now_s=now_ms / 1000
                )
            except UnrecognizedClientException as refusal:
                await self._look_for_key(refusal)
                verified = self._verifier.verify(
                    signed, service=api.name, now_s=now_ms / 1000
                )
            caller = request.caller = verified.credentials.caller
            found.canonical_path = signed.canonical_path
            if caller.session is None:
                self._note_key_use(caller.access_key_id)
                if operation.changes:
                    request.caller = caller.coming_from(request)
            self._under_way.known.add(request.client)
            self._rates.check_caller(operation, request.caller, now_s)
        codec = codecs.choose(request.headers, api)
        if isinstance(route, QueryRoute):
            assert found.form is not None
            decoded = route.decoder.decode(found.form)
        elif found.decoded is not None and not body:
            decoded = found.decoded
        else:
            decode, binary = route.decoder.decode, codec is codecs.CBOR
            asked = body, found.labels, request.raw_query, request.headers
            if is_large:
                decoded = await heavy.run(decode, *asked, binary=binary)
            else:
                decoded = decode(*asked, binary=binary)
            if not found.is_remembered and request.caller is not ANYONE:
                self._finder.remember(route, found, request, decoded)
        request.decoded = decoded
        function = self._functions[id(operation)]
        response = await function(self._context, request.caller, decoded)
        if isinstance(response, LiveUpdates):
            return 200, [*EVENT_STREAM], response
        if isinstance(response, Subscription):
            return 200, [*SUBSCRIPTION], response
        if isinstance(route, QueryRoute):
            encoded = encode_response(api, operation, response, request.id)
            return 200, [CONTENT_TYPE], encoded
        if response is not None and heavy.is_heavy(response):
            return 200, [codec.content_type], await heavy.run(codec.encode, response)
        encoded = codec.empty if response is None else codec.encode(response)
        return 200, [codec.content_type], encoded

    async def _read(self, request: Request, bytes_max: int) -> bytes:
        """Read a body; raises as `Body.read`."""
        body = request.body
        if body.is_over:
            return b""
        at_client, client = self._under_way.at_client, request.client
        at_client[client] = at_client.get(client, 0) + 1
        try:
            return await body.read(bytes_max, self._bodies, request.peer)
        finally:
            take_one(at_client, client)

    async def _make_way(self, request: Request) -> bool:
        """Take a body out of the way that is refused; as `Body.make_way`."""
        if request.body.is_over:
            return True
        with self._under_way.waiting_for(request.client):
            return await request.body.make_way()

    async def _drain(self, request: Request) -> None:
        """Take a body that was not read after its answer; as `Body.drain`."""
        if not request.body.is_over:
            with self._under_way.waiting_for(request.client):
                await request.body.drain()

    async def _check_head(
        self, signed: SignedRequest, service: str, *, is_small: bool
    ) -> None:
        """Refuse what no body could make good, before anybody waits for that."""
        now_s = self._context.signing_now_ms() / 1000
        check = self._verifier.check_head
        try:
            head = check(signed, service=service, now_s=now_s)
        except UnrecognizedClientException as refusal:
            await self._look_for_key(refusal)
            head = check(signed, service=service, now_s=now_s)
        if not is_small:
            self._verifier.check_claimed_hash(head)

    async def _look_for_key(self, refusal: UnrecognizedClientException) -> None:
        """Look whether a key is there after all; it may have been made a moment ago."""
        if refusal.access_key_id is None:
            raise refusal
        await self._look_for_keys()

    def _refuse(
        self, error: Exception, found: Found | None, request: Request
    ) -> tuple[int, Headers, bytes]:
        if is_damage(error):
            self._context.damage.note()
            exception: ServiceException = InternalErrorException(DAMAGED)
        else:
            exception = as_service_exception(error)
        if exception is not error:
            _log.error(
                "request.failed",
                request_id=request.id,
                operation=found.route.operation.name if found else _UNKNOWN,
                error=str(error),
                exc_info=error if exception.http_status == 500 else None,
            )
        request.error = exception.code
        self._context.recent_errors.note(
            RecentError(
                self._context.now_ms(),
                request.id,
                found.route.operation.name if found else _UNKNOWN,
                exception.http_status,
                exception.code,
                exception.message,
            )
        )
        if request.is_form:
            route = found.route if found else None
            assert not isinstance(route, Route)
            status, headers, body = query.encode_error(exception, request.id, route)
        else:
            api = found.route.api if found else None
            codec = codecs.choose(request.headers, api)
            status, headers, body = encode_error(exception, codec)
            headers.append(codec.content_type)
        if exception.retry_after_s is not None:
            headers.append((b"retry-after", str(exception.retry_after_s).encode()))
        return status, headers, body


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
