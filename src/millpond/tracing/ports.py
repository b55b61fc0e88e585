"""
The ports, with a span around each call.

What is called by nobody in particular, such as a look of a worker whether there is
anything to do, leaves no span of the store: it would be most of all spans, and say
nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Tracer

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import ServiceException
from millpond.hooks.base import Hook
from millpond.push.base import PushService
from millpond.sinks.base import EMBEDDED, PutResult, Sink, without_secrets
from millpond.stores.base import Store
from millpond.tracing import spans
from millpond.tracing.sdk import Tracing


class Answer(Protocol):
    """What comes back from a post."""

    @property
    def status(self) -> int: ...


S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A", bound=Answer)
Factory = Callable[[str, str | None], Sink]
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[A]]

_NOT_TRACED: Final = {"open", "aclose", "ping"}
_SYSTEMS: Final = {EMBEDDED: "millpond", "kinesis": "aws_kinesis"}
"""What an engine is called, where it is not by the scheme of its URLs."""
_FILE: Final = "file"
PARTIAL: Final = "partial_failure"


def store_kind(tracing: Tracing, kind: type[S], url: str) -> type[S]:
    """
    Make a kind of store whose methods of the port leave spans.

    Args:
        url: of its database; empty: it is embedded.
    """
    attributes = _database(url)
    namespace = attributes.get(spans.DB_NAMESPACE)
    span_kind = spans.CLIENT if url else spans.INTERNAL
    made: dict[str, Any] = {}
    for name, member in inspect.getmembers(Store, inspect.iscoroutinefunction):
        if name in _NOT_TRACED or name.startswith("_") or member is None:
            continue
        made[name] = _traced(
            getattr(kind, name),
            tracing.tracer,
            f"{name} {namespace}" if namespace else name,
            {**attributes, spans.DB_OPERATION: name},
            span_kind,
        )
    return type(f"Traced{kind.__name__}", (kind,), made)


def _traced(
    method: Callable[..., Awaitable[T]],
    tracer: Tracer,
    name: str,
    attributes: spans.Attributes,
    kind: Any,
) -> Callable[..., Awaitable[T]]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> T:
        if not spans.current().is_recording():
            return await method(*args, **kwargs)
        # What a rule refuses in a transaction is no error of the database.
        harmless = (ServiceException,)
        with spans.call(tracer, name, attributes, kind=kind, harmless=harmless):
            return await method(*args, **kwargs)

    return call


def _database(url: str) -> dict[str, str | int]:
    """Say which database it is: never who asks it."""
    if not url:
        return {spans.DB_SYSTEM: "sqlite"}
    found: dict[str, str | int] = {spans.DB_SYSTEM: "postgresql"}
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # several hosts, or a password of characters of its own
        return found
    if host and parts.netloc.count("@") <= 1:
        found[spans.ADDRESS] = unquote(host)
        found[spans.PORT] = port or 5432
        if parts.path.strip("/"):
            found[spans.DB_NAMESPACE] = unquote(parts.path.strip("/"))
    return found


def sink_factories(
    tracing: Tracing, factories: Mapping[str, Factory]
) -> dict[str, Factory]:
    """Make sinks whose puts leave spans."""

    def around(factory: Factory) -> Factory:
        return lambda url, role_arn: TracedSink(tracing, factory(url, role_arn), url)

    return {scheme: around(factory) for scheme, factory in factories.items()}


class TracedSink:
    """A sink whose puts leave spans; it is a `Sink`."""

    def __init__(self, tracing: Tracing, sink: Sink, url: str) -> None:
        self._tracer = tracing.tracer
        self._sink = sink
        destination = _destination(url)
        self._name = f"send {destination}"
        scheme = url.partition(":")[0].lower()
        self._attributes: spans.Attributes = {
            spans.MESSAGING_SYSTEM: _SYSTEMS.get(scheme, scheme),
            spans.MESSAGING_OPERATION: "send",
            spans.MESSAGING_OPERATION_TYPE: "send",
            spans.MESSAGING_DESTINATION: destination,
        }

    def __repr__(self) -> str:
        return repr(self._sink)

    @property
    def records_max(self) -> int:
        return self._sink.records_max

    @property
    def bytes_max(self) -> int:
        return self._sink.bytes_max

    @property
    def record_bytes_max(self) -> int:
        return self._sink.record_bytes_max

    async def open(self) -> None:
        await self._sink.open()

    async def look(self) -> Target:
        return await self._sink.look()

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        attributes = {**self._attributes, spans.MESSAGING_COUNT: len(records)}
        with spans.call(self._tracer, self._name, attributes) as span:
            result = await self._sink.put(records)
            if result.failed:
                spans.fail(span, PARTIAL)
            return result

    async def aclose(self) -> None:
        await self._sink.aclose()


def _destination(url: str) -> str:
    """Name a stream as its engine does."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() == EMBEDDED:
        return rest
    place = urlsplit(without_secrets(url))
    path = place.path if scheme.lower() == _FILE else place.path.strip("/")
    return unquote(path) or place.netloc or place.scheme


class TracedHook:
    """Hooks whose calls of functions leave spans; it is a `Hook`."""

    def __init__(self, tracing: Tracing, hook: Hook) -> None:
        self._tracer = tracing.tracer
        self._hook = hook

    async def call(self, target: str, event: bytes) -> bytes:
        if not target.startswith("arn:"):
            return await self._hook.call(target, event)  # `traced_post` sees more
        parts = (*target.split(":"), *[""] * 6)
        region, function = parts[3], parts[6]
        name, attributes = spans.of_aws("Lambda", "Invoke", region)
        attributes = {
            **attributes,
            spans.FUNCTION: function,
            spans.FUNCTION_PROVIDER: "aws",
            spans.FUNCTION_REGION: region,
        }
        with spans.call(self._tracer, name, attributes):
            return await self._hook.call(target, event)

    async def check(self, target: str) -> None:
        await self._hook.check(target)

    async def aclose(self) -> None:
        await self._hook.aclose()


def traced_post(tracing: Tracing, post: Post[A]) -> Post[A]:
    """
    Make a way to post whose requests leave spans, and carry the context of the trace.

    Of the URL there is the host alone: the rest of it may be a secret.
    """

    async def call(url: str, body: bytes, headers: Mapping[str, str]) -> A:
        attributes = {spans.METHOD: "POST", **address_of(url)}
        with spans.call(tracing.tracer, "POST", attributes) as span:
            answer = await post(url, body, {**tracing.write_context(), **headers})
            span.set_attribute(spans.STATUS, answer.status)
            if answer.status >= 400:
                spans.fail(span, str(answer.status))
            return answer

    return call


def address_of(url: str) -> dict[str, str | int]:
    """Say which server an URL of HTTP leads to; nothing: to none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if not host:
        return {}
    default = 443 if parts.scheme == "https" else 80
    return {spans.ADDRESS: host, spans.PORT: port or default}


class TracedPush:
    """A push service whose calls leave spans; it is a `PushService`."""

    def __init__(self, tracing: Tracing, push: PushService) -> None:
        self._tracer = tracing.tracer
        self._push = push

    async def create_endpoint(
        self, application_arn: str, token: str, *, role_arn: str | None
    ) -> str:
        with self._call("CreatePlatformEndpoint", application_arn):
            return await self._push.create_endpoint(
                application_arn, token, role_arn=role_arn
            )

    async def publish(
        self, endpoint_arn: str, message: str, *, role_arn: str | None
    ) -> None:
        with self._call("Publish", endpoint_arn):
            await self._push.publish(endpoint_arn, message, role_arn=role_arn)

    async def check_application(
        self, application_arn: str, *, role_arn: str | None
    ) -> None:
        with self._call("GetPlatformApplicationAttributes", application_arn):
            await self._push.check_application(application_arn, role_arn=role_arn)

    async def aclose(self) -> None:
        await self._push.aclose()

    def _call(self, operation: str, arn: str) -> Any:
        # The ARN itself stands for the device of a user.
        region = (*arn.split(":"), "", "", "", "")[3]
        name, attributes = spans.of_aws("SNS", operation, region)
        return spans.call(self._tracer, name, attributes)
