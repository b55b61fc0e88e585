"""
The SDK of OpenTelemetry, put together as its variables say.

It reads most of them by itself. Here are those that it leaves to whoever uses it (the
exporters, the propagators) and those that it stumbles over.

Spans are queued and exported by a thread of the SDK, so that nobody waits for it. A
collector that is away is told of once, and once more when it is back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Tracer, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from millpond import __version__
from millpond.errors import SettingsError
from millpond.tracing.spans import SCHEMA_URL
from millpond.tracing.variables import EXPORTER, OTLP

_log = structlog.get_logger()

SERVICE: Final = "millpond"
_UNKNOWN_SERVICE: Final = "unknown_service"
_PROTOCOLS: Final = (
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
)
_PACKAGES: Final = {
    "http/protobuf": ("otlp_proto_http", "opentelemetry-exporter-otlp-proto-http"),
    "grpc": ("otlp_proto_grpc", "opentelemetry-exporter-otlp-proto-grpc"),
    "http/json": ("otlp_json_http", "opentelemetry-exporter-otlp-json-http"),
}
"""What exports by a protocol: the entry point, and the package that has it."""
_EXPORTERS: Final = "opentelemetry_traces_exporter"
_PROPAGATORS: Final = "OTEL_PROPAGATORS"
_QUEUE: Final = ("OTEL_BSP_MAX_QUEUE_SIZE", 2048)
_BATCH: Final = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)
_DELAY_MS: Final = ("OTEL_BSP_SCHEDULE_DELAY", 5000)
CLOSE_S_MAX: Final = 3.0
_WORDS_MAX: Final = 300
# It tells of every header of a stranger that it cannot read, with what is in it.
_OF_STRANGERS: Final = ("opentelemetry.trace", "opentelemetry.propagators")
_TRACEPARENT: Final = b"traceparent"
_OF_W3C: Final = TraceContextTextMapPropagator()

Headers = list[tuple[bytes, bytes]]


class Tracing:
    """What spans are made and exported by."""

    def __init__(
        self,
        exporters: Sequence[SpanExporter],
        propagators: tuple[TextMapPropagator, TextMapPropagator],
        batches: tuple[int, int, int],
        warnings: Sequence[str],
    ) -> None:
        """
        Args:
            propagators: what reads the context of a request, and what writes it.
            batches: how many spans are queued, after how many ms, and how many are
                exported at once.
            warnings: what was found wrong with the variables, and left alone.
        """
        self._exporters = exporters
        self._reader, self._writer = propagators
        self._batches = batches
        self._words = _Words()
        self._words.begin()
        self._words.listen()
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self.tracer: Tracer = self._provider.get_tracer(
            SERVICE, __version__, schema_url=SCHEMA_URL
        )
        self.warnings = [*warnings, *self._words.heard()]
        """What is wrong with the variables, so that a default is used."""

    def start(self) -> None:
        """Begin to export, with a thread of this process."""
        for text in self.warnings:
            _log.warning("tracing.warning", error=text)
        for exporter in self._exporters:
            self._provider.add_span_processor(
                BatchSpanProcessor(_Told(exporter, self._words), *self._batches)
            )

    def close(self, timeout_s: float) -> None:
        """Export what is left, and end; what is not taken in time is lost."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(min(timeout_s, CLOSE_S_MAX))

    def read_context(self, headers: Headers) -> Context:
        """Read which trace a request belongs to; what cannot be read is not there."""
        try:
            return self._reader.extract(headers, Context(), _HEADERS)
        except Exception:  # of a propagator that somebody has chosen
            return Context()

    def write_context(self) -> dict[str, str]:
        """Write which trace this belongs to, as headers of what is called."""
        carrier: dict[str, str] = {}
        self._writer.inject(carrier)
        return carrier

    def hand_over(self) -> dict[str, str]:
        """Write which trace this belongs to, for another process of this server."""
        carrier: dict[str, str] = {}
        _OF_W3C.inject(carrier)
        return carrier

    def take_over(self, carrier: Mapping[str, str]) -> Context:
        """Read what another process of this server has handed over."""
        return _OF_W3C.extract(carrier, Context())

    @staticmethod
    def name_line(
        logger: object, method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        """Add to a line of the log which trace it belongs to, if to any."""
        span = trace.get_current_span()
        found = span.get_span_context()
        # What a request has set going may outlive it, and is no part of it then.
        is_over = isinstance(span, ReadableSpan) and span.end_time is not None
        if found.is_valid and not is_over:
            event["trace_id"] = format_trace_id(found.trace_id)
            event["span_id"] = format_span_id(found.span_id)
            event["trace_flags"] = f"{found.trace_flags:02x}"
        return event


def load(names: Sequence[str], environment: Mapping[str, str]) -> Tracing:
    """
    Put together what the variables say; nothing runs yet.

    Args:
        names: of the exporters.
    Raises:
        SettingsError: it cannot be.
    """
    warnings: list[str] = []
    queue, batch, delay_ms = (
        _read_number(environment, name, default, warnings)
        for name, default in (_QUEUE, _BATCH, _DELAY_MS)
    )
    # The SDK refuses a queue that is smaller than the batches, which nobody has set.
    batches = queue, delay_ms, min(batch, queue)
    return Tracing(
        [_make_exporter(each, environment) for each in names],
        _make_propagators(environment),
        batches,
        warnings,
    )


def _read_number(
    environment: Mapping[str, str], name: str, default: int, warnings: list[str]
) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number >= 1:
        return number
    warnings.append(f"{name} is a number from 1 on; {default} is used.")
    return default


def _make_exporter(name: str, environment: Mapping[str, str]) -> SpanExporter:
    variable, entry, package = EXPORTER, name, ""
    if name == OTLP:
        given = {each: environment.get(each, "").strip() for each in _PROTOCOLS}
        variable = next((each for each in _PROTOCOLS if given[each]), _PROTOCOLS[-1])
        protocol = given[variable] or "http/protobuf"
        if protocol not in _PACKAGES:
            known = ", ".join(_PACKAGES)
            raise SettingsError(f"{variable} is one of {known}, not '{protocol}'.")
        entry, package = _PACKAGES[protocol]
    found = [*entry_points(group=_EXPORTERS, name=entry)]
    if not found:
        known = ", ".join(sorted({OTLP, *entry_points(group=_EXPORTERS).names}))
        raise SettingsError(
            f"{variable} needs the package {package}, which is not installed."
            if package
            else f"{variable} is none, or some of {known}, not '{name}'."
        )
    try:
        exporter: SpanExporter = found[0].load()()
    except Exception as error:  # of libraries that are not ours, about their variables
        raise SettingsError(f"Spans cannot be exported by '{name}': {error}") from error
    return exporter


def _make_propagators(
    environment: Mapping[str, str],
) -> tuple[TextMapPropagator, TextMapPropagator]:
    """
    Make what reads the context of a trace, and what writes it.

    Unless told otherwise it is that of W3C; where a request has none, that of AWS is
    read, which is all that a traced boto3 sends. The SDK would pass on baggage, too.
    Who calls is a stranger's device, and whom a server calls should not be sent what a
    stranger wrote.
    """
    if not environment.get(_PROPAGATORS, "").strip():
        # The last one that finds something is believed.
        return CompositePropagator([AwsXRayPropagator(), _OF_W3C]), _OF_W3C
    try:
        # It reads the variable when it is imported.
        from opentelemetry.propagate import get_global_textmap
    except Exception as error:
        raise SettingsError(f"{_PROPAGATORS} cannot be used: {error}") from error
    propagator = get_global_textmap()
    return propagator, propagator


def _resource() -> Resource:
    """Say who we are, where the variables do not."""
    found = Resource.create()
    name = str(found.attributes.get(SERVICE_NAME, _UNKNOWN_SERVICE))
    ours = {} if SERVICE_VERSION in found.attributes else {SERVICE_VERSION: __version__}
    if name.partition(":")[0] == _UNKNOWN_SERVICE:
        ours[SERVICE_NAME] = SERVICE
    return found.merge(Resource(ours))


class _HeaderGetter(Getter[Headers]):
    """Reads headers; one that came twice, where there may be one, was not there."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        name = key.lower().encode()
        found = [value.decode("latin-1") for each, value in carrier if each == name]
        if not found or (len(found) > 1 and name == _TRACEPARENT):
            return None
        return found

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS: Final = _HeaderGetter()


class _Words(logging.Handler):
    """What the SDK says, in our log: once each, and nothing that strangers say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._listening = threading.local()
        self._said: set[tuple[str, object]] = set()

    def begin(self) -> None:
        """Take what it says from now on, in the place of who did before."""
        logger = logging.getLogger("opentelemetry")
        for each in [*logger.handlers]:
            if isinstance(each, _Words):
                logger.removeHandler(each)
        logger.addHandler(self)
        logger.propagate = False

    def listen(self) -> None:
        """Keep what this thread says till `heard`, rather than log it."""
        self._listening.words = []

    def heard(self) -> list[str]:
        """Give what this thread has said."""
        words: list[str] = self._listening.words
        del self._listening.words
        return words

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_OF_STRANGERS):
            return
        text = record.getMessage()[:_WORDS_MAX]
        if hasattr(self._listening, "words"):
            self._listening.words.append(text)
        elif (key := (record.name, record.msg)) not in self._said:
            self._said.add(key)
            _log.warning("tracing.warning", error=text)


class _Told(SpanExporter):
    """An exporter whose failures are told of once, until it works again."""

    def __init__(self, exporter: SpanExporter, words: _Words) -> None:
        self._exporter = exporter
        self._words = words
        self._lost = 0  # spans since it failed; 0: it works

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._words.listen()
        try:
            result, reason = self._exporter.export(spans), ""
        except Exception as error:
            result, reason = SpanExportResult.FAILURE, repr(error)
        heard = self._words.heard()
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info("tracing.export_resumed", lost=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                said = reason or "; ".join(heard) or "no reason was given"
                _log.warning("tracing.export_failed", error=said[:_WORDS_MAX])
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
