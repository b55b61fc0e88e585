"""
Spans, with names by OpenTelemetry's semantic conventions.

What is in a span is a name of ours, or of whoever runs the server: never a key, a
value, a dataset or an identity, nor a path, a query or a message that could hold one.
So an error is told by its class alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span as Span
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
Attributes = Mapping[str, str | int]

CLIENT: Final = SpanKind.CLIENT
INTERNAL: Final = SpanKind.INTERNAL
SERVER: Final = SpanKind.SERVER
NOWHERE: Final = Context()
"""The context of what begins by itself."""

# HTTP: stable.
METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"
PROTOCOL_VERSION: Final = "network.protocol.version"
PATH: Final = "url.path"
SCHEME: Final = "url.scheme"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
# Databases: stable.
DB_SYSTEM: Final = "db.system.name"
DB_NAMESPACE: Final = "db.namespace"
DB_OPERATION: Final = "db.operation.name"
# Calls of AWS, messages and functions: in development.
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"
REQUEST_ID: Final = "aws.request_id"
REGION: Final = "cloud.region"
FUNCTION: Final = "faas.invoked_name"
FUNCTION_PROVIDER: Final = "faas.invoked_provider"
FUNCTION_REGION: Final = "faas.invoked_region"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_OPERATION: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_COUNT: Final = "messaging.batch.message_count"
# Ours: there is no name for it.
SLICE: Final = "millpond.bulk_publish.slice"

AWS_API: Final = "aws-api"


current: Final = trace.get_current_span
"""Gives the span that is under way, or one that takes no notice."""


def part_of(span: Span) -> Context:
    """Give the context of what is a part of a span."""
    return trace.set_span_in_context(span, NOWHERE)


@contextlib.contextmanager
def call(
    tracer: Tracer,
    name: str,
    attributes: Attributes,
    *,
    kind: SpanKind = CLIENT,
    parent: Context | None = None,
    harmless: tuple[type[Exception], ...] = (),
) -> Iterator[Span]:
    """
    Make a span around something.

    Args:
        parent: None: of what is under way.
        harmless: exceptions that are an answer, and no error of what was called.
    """
    # The SDK's own way records exceptions, whose messages could hold anything.
    span = tracer.start_span(name, parent, kind=kind, attributes=attributes)
    token = contexts.attach(trace.set_span_in_context(span, parent))
    try:
        yield span
    except harmless:
        raise
    except Exception as error:
        fail(span, type(error).__name__)
        raise
    finally:
        contexts.detach(token)
        span.end()


def by_itself(
    tracer: Tracer, name: str, attributes: Attributes
) -> contextlib.AbstractContextManager[Span]:
    """Make a span around what a server does unasked: it begins a trace of its own."""
    return call(tracer, name, attributes, kind=INTERNAL, parent=NOWHERE)


@contextlib.contextmanager
def within(parent: Context) -> Iterator[None]:
    """Have what is called be a part of something, or of nothing."""
    token = contexts.attach(parent)
    try:
        yield
    finally:
        contexts.detach(token)


def fail(span: Span, error_type: str) -> None:
    """Say that a span ends with an error."""
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))


def of_aws(service: str, operation: str, region: str = "") -> tuple[str, Attributes]:
    """Give the name and the attributes of a call of an AWS API."""
    name = f"{service}.{operation}"
    attributes = {RPC_SYSTEM: AWS_API, RPC_METHOD: name}
    return name, {**attributes, REGION: region} if region else attributes
