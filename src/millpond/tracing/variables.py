"""
Whether the variables of OpenTelemetry ask for traces.

Unlike the SDK by itself, which then sends to localhost, nothing is sent unless a
variable says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DISABLED: Final = "OTEL_SDK_DISABLED"
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
OTLP: Final = "otlp"
_NONE: Final = "none"


def exporters(environment: Mapping[str, str]) -> list[str]:
    """Name what spans are to be exported by; nothing: nobody asks for traces."""
    if environment.get(DISABLED, "").strip().lower() == "true":
        return []
    named = environment.get(EXPORTER, "").strip()
    if not named:
        has_place = any(environment.get(each, "").strip() for each in ENDPOINTS)
        return [OTLP] if has_place else []
    names = (each.strip() for each in named.split(","))
    return list(dict.fromkeys(each for each in names if each and each != _NONE))


def asked_by(environment: Mapping[str, str]) -> str:
    """Name the variable that asks for traces; empty: none does."""
    if not exporters(environment):
        return ""
    names = (EXPORTER, *ENDPOINTS)
    return next(each for each in names if environment.get(each, "").strip())
