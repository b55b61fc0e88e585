"""
What a server does, with spans: its requests, and what its workers do by themselves.

Each class does what the one that it is made of does, and leaves a span around it. They
take the place of those only where traces are asked for, so that nobody else pays.

An API call is named as AWS names it, `CognitoSync.UpdateRecords`; its HTTP request is
in the attributes, with the template of its path. A request of which no operation is
known is named by its method. Health, metrics and the pages for people leave none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from millpond.console.base import ROOT as CONSOLE
from millpond.contract.botocore_model import service_id
from millpond.core.bulk_publish import Counts, LeasedSlice, Position
from millpond.core.push import Device, Push
from millpond.core.streaming import StreamRecord
from millpond.server.bindings import Streamed
from millpond.server.finding import Found
from millpond.server.gateway import Elsewhere, Gateway, Send
from millpond.server.pages import PATHS
from millpond.server.requests import TRACE, Headers, Receive, Request, Scope
from millpond.settings import Settings
from millpond.sinks import Destination
from millpond.sinks.base import FailedRecord
from millpond.stores.base import OutboxEntry
from millpond.tracing import spans
from millpond.tracing.ports import address_of
from millpond.tracing.sdk import Tracing
from millpond.tracing.spans import Span
from millpond.workers.bulk_publish_pages import Page
from millpond.workers.bulk_publish_runner import BulkPublishRunner
from millpond.workers.outbox_relay import OutboxRelay
from millpond.workers.push_sender import PushSender

_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
_OTHER: Final = "_OTHER"
_PLAIN_PATH: Final = "/"


class TracedGateway(Gateway):
    """A gateway whose requests leave spans."""

    def __init__(self, tracing: Tracing, settings: Settings, *args: Any, **kw: Any):
        elsewhere = kw.pop("elsewhere", None)
        if elsewhere is not None:
            elsewhere = _TracedElsewhere(tracing, elsewhere)
        super().__init__(*args, elsewhere=elsewhere, **kw)
        self._tracing = tracing
        self._common = _common(settings)
        # A reader passes some of these on.
        self._untraced = (*self._beside_paths, *PATHS, CONSOLE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._untraced):
            await super().__call__(scope, receive, send)
            return
        passed_on: dict[str, str] | None = scope.get(TRACE)
        if passed_on is None:
            parent = self._tracing.read_context(scope["headers"])
        else:
            parent = self._tracing.take_over(passed_on)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        span = self._tracing.tracer.start_span(
            "HTTP" if method == _OTHER else method,
            parent,
            # Of the two processes that answer it, the first has served it.
            kind=spans.SERVER if passed_on is None else spans.INTERNAL,
            attributes={
                **self._common,
                spans.METHOD: method,
                spans.PROTOCOL_VERSION: scope["http_version"],
            },
        )
        sender = _watching(span, send) if span.is_recording() else send
        try:
            with spans.within(spans.part_of(span)):
                await super().__call__(scope, receive, sender)
        finally:
            if span.is_recording():  # a stream ended it when it began
                span.end()

    def _note(
        self, found: Found | None, request: Request, status: int, started: float
    ) -> None:
        span = spans.current()
        if span.is_recording():
            span.set_attribute(spans.REQUEST_ID, request.id)
            if found is not None:
                _name(span, found)
            if request.error:
                span.set_attribute(spans.RPC_STATUS, request.error)
                if status >= 500:
                    spans.fail(span, request.error)
        super()._note(found, request, status, started)

    async def _stream(
        self,
        found: Found,
        request: Request,
        headers: Headers,
        body: Streamed,
        receive: Receive,
        send: Send,
    ) -> None:
        # For as long as both sides want, which would be no measure of anything.
        span = spans.current()
        if span.is_recording():
            span.set_attribute(spans.STATUS, 200)
            span.end()
        with spans.within(spans.NOWHERE):
            await super()._stream(found, request, headers, body, receive, send)


class _TracedElsewhere:
    """Passes requests on together with the trace that they belong to."""

    def __init__(self, tracing: Tracing, elsewhere: Elsewhere) -> None:
        self._tracing = tracing
        self._elsewhere = elsewhere

    def is_elsewhere(self, found: Found) -> bool:
        span = spans.current()
        if span.is_recording():
            _name(span, found)
        return self._elsewhere.is_elsewhere(found)

    def is_surely_elsewhere(self, method: str, raw_path: bytes) -> bool:
        if spans.current().is_recording():
            return False  # a span has the name of its operation
        return self._elsewhere.is_surely_elsewhere(method, raw_path)

    async def pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        request.scope[TRACE] = self._tracing.hand_over()
        await self._elsewhere.pass_on(request, receive, send)


def _watching(span: Span, send: Send) -> Send:
    """Make a way to send that tells a span what the answer was."""

    async def watch(message: Any) -> None:
        if message["type"] == "http.response.start":
            status: int = message["status"]
            span.set_attribute(spans.STATUS, status)
            if status >= 500:  # others are the client's
                spans.fail(span, str(status))
        await send(message)

    return watch


_names: Final[dict[int, tuple[str, spans.Attributes]]] = {}  # by operation, for good


def _name(span: Span, found: Found) -> None:
    """Name a span by its operation."""
    operation = found.route.operation
    known = _names.get(id(operation))
    if known is None:
        api = found.route.api
        service = service_id(api).replace(" ", "")
        name, attributes = spans.of_aws(service, operation.name)
        route = operation.uri if api.protocol == "rest-json" else _PLAIN_PATH
        # The path itself has the id of an identity in it.
        known = name, {**attributes, spans.ROUTE: route, spans.PATH: route}
        _names[id(operation)] = known
    span.update_name(known[0])
    span.set_attributes(known[1])


def _common(settings: Settings) -> dict[str, str | int]:
    """Give what all requests have: by what we know, not by what they say."""
    scheme = urlsplit(settings.public_url).scheme or "http"
    return {spans.SCHEME: scheme, **address_of(settings.public_url)}


class TracedOutboxRelay(OutboxRelay):
    """A relay whose puts are traces of their own."""

    def __init__(self, tracing: Tracing, *args: Any) -> None:
        super().__init__(*args)
        self._tracer = tracing.tracer

    async def _put(
        self, pool_id: str, destination: Destination, entries: Sequence[OutboxEntry]
    ) -> FailedRecord | None:
        attributes: spans.Attributes = {
            spans.MESSAGING_DESTINATION: destination.stream_name,
            spans.MESSAGING_COUNT: len(entries),
        }
        with spans.by_itself(self._tracer, "outbox relay", attributes):
            return await super()._put(pool_id, destination, entries)


class TracedPushSender(PushSender):
    """A sender for which each device is a trace of its own."""

    def __init__(self, tracing: Tracing, *args: Any) -> None:
        super().__init__(*args)
        self._tracer = tracing.tracer

    async def _send(self, device: Device, waiting: list[Push]) -> None:
        attributes: spans.Attributes = {spans.MESSAGING_COUNT: len(waiting)}
        with spans.by_itself(self._tracer, "push send", attributes):
            await super()._send(device, waiting)


class TracedBulkPublishRunner(BulkPublishRunner):
    """
    A runner for which each slice is a trace of its own.

    Its pages are parts of it. What it does while it only waits is not: it looks many
    times a second.
    """

    def __init__(self, tracing: Tracing, *args: Any, worker: str) -> None:
        super().__init__(*args, worker=worker)
        self._tracer = tracing.tracer
        self._slice = spans.NOWHERE

    async def _publish(self, leased: LeasedSlice) -> None:
        attributes: spans.Attributes = {
            spans.MESSAGING_DESTINATION: leased.stream_name,
            spans.SLICE: leased.slice.number,
        }
        with spans.by_itself(self._tracer, "bulk_publish slice", attributes) as span:
            self._slice = spans.part_of(span)
            with spans.within(spans.NOWHERE):
                await super()._publish(leased)

    async def _read(
        self, leased: LeasedSlice, destination: Destination, position: Position | None
    ) -> Page | None:
        with spans.within(self._slice):
            return await super()._read(leased, destination, position)

    async def _put(
        self,
        leased: LeasedSlice,
        destination: Destination,
        records: Sequence[StreamRecord],
        position: Position | None,
        counts: Counts,
    ) -> None:
        with spans.within(self._slice):
            await super()._put(leased, destination, records, position, counts)
