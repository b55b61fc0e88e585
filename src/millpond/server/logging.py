"""
Logs: structured, with constant event names; no secret, value or token is ever in one.

Events: server.started, server.stopping, server.stopped, server.reloaded,
server.reload_failed, request.answered,
request.failed, outbox.failed, outbox.stream_disabled, bulk_publish.retry,
bulk_publish.complete, bulk_publish.failed, bulk_publish.error, bulk_publish.lease_lost,
worker.failed, process.started, process.ended, process.failed, reader.started,
reader.joined, reader.left, writer.started, secret_key.mended, keys.unreadable,
token_keys.unreadable, login_provider.unreadable, sync_trigger.failed, tracing.off,
tracing.warning, tracing.export_failed, tracing.export_resumed.

Keys: request_id, operation, status, duration_ms, method, path, client_address,
access_key_id, identity_pool_id, identity_id, stream_name, slice, failures, worker,
process (which of several of this server), started, ended, pid, reader, readers,
endpoint, version, drain_s, provider_name, error, hint, lost, trace_id, span_id,
trace_flags.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(
    *,
    level: str,
    form: str,
    colors: bool = False,
    process: str = "",
    name_trace: structlog.types.Processor | None = None,
) -> None:
    """
    Set up logging to stderr.

    Args:
        form: json, console, or auto: console on a terminal, json elsewhere.
        colors: whether the console form may have some.
        process: which of the processes of this server it is, if there are several.
        name_trace: adds to a line which trace it belongs to; None: there are none.
    """
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=colors)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *([_namer(process)] if process else []),
            *([name_trace] if name_trace else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # A line is one write, so that those of several processes stay whole.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def _namer(process: str) -> structlog.types.Processor:
    def name(
        logger: object, method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        return {**event, "process": process}

    return name
