"""
Traces, for whoever asks for them by the variables of OpenTelemetry.

    variables  whether somebody does
    sdk        the SDK, put together as the variables say, and where its spans go
    spans      spans, as the rest makes them
    ports      the ports (store, sinks, hooks, push) with a span around each call

There is no setting of ours: `OTEL_*` says everything, as to any program. What makes the
traces is an extra, and is not even loaded where there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from millpond.errors import SettingsError
from millpond.tracing.variables import asked_by, exporters

if TYPE_CHECKING:
    from millpond.tracing.sdk import Tracing


def load(environment: Mapping[str, str]) -> Tracing | None:
    """
    Load what makes the traces that are asked for; None: none are.

    Nothing runs before its `start`, so that a process can be forked in between.

    Raises:
        SettingsError: they cannot be made; a server should run without them.
    """
    names = exporters(environment)
    if not names:
        return None
    try:
        from millpond.tracing import sdk
    except ImportError as error:
        raise SettingsError(
            f"{asked_by(environment)} asks for traces, and the package {error.name} "
            "that makes them is not installed: pip install 'millpond[otel]'."
        ) from error
    return sdk.load(names, environment)
