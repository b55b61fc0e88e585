"""A collector of traces on the loopback: OTLP over HTTP, as the protocol has it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from millpond.testing.server import wait_until

KINDS = ProtoSpan.SpanKind
ERROR = Status.StatusCode.STATUS_CODE_ERROR


@dataclass(frozen=True)
class Span:
    """One span, as it came."""

    name: str
    kind: str  # SERVER, CLIENT, INTERNAL
    trace_id: str
    span_id: str
    parent_id: str  # empty: it is a root
    is_error: bool
    message: str  # of its status
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: int


class Collector:
    """Takes what is exported, and keeps it."""

    def __init__(self) -> None:
        self.status = 200  # that it answers
        self.bodies: list[bytes] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def variables(self, **others: str) -> list[str]:
        """Give the command prefix of a server that sends its traces here at once."""
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            **others,
        }
        return ["env", *(f"{name}={value}" for name, value in variables.items())]

    @property
    def spans(self) -> list[Span]:
        """What has come by now."""
        return [each for body in [*self.bodies] for each in _read(body)]

    def wait_for(self, wanted: Callable[[Span], bool]) -> Span:
        """Wait for a span, and give the newest such."""
        found: list[Span] = wait_until(lambda: [*filter(wanted, self.spans)])
        return found[-1]

    def named(self, name: str, **attributes: Any) -> Span:
        """Wait for a span of a name and of attributes, dots written as `__`."""
        expected = {k.replace("__", "."): v for k, v in attributes.items()}
        return self.wait_for(
            lambda span: (
                span.name == name and expected.items() <= span.attributes.items()
            )
        )

    def children(self, parent: Span) -> list[Span]:
        """Give those parts of a span that have come by now."""
        return [e for e in self.spans if e.parent_id == parent.span_id]


def _read(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Span(
            each.name,
            KINDS.Name(each.kind).removeprefix("SPAN_KIND_"),
            each.trace_id.hex(),
            each.span_id.hex(),
            each.parent_span_id.hex(),
            each.status.code == ERROR,
            each.status.message,
            _attributes(each.attributes),
            _attributes(of_resource.resource.attributes),
            len(each.events),
        )
        for of_resource in request.resource_spans
        for scope in of_resource.scope_spans
        for each in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in pairs
    }


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if collector.status == 200:
                assert self.path == "/v1/traces"
                collector.bodies.append(body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
