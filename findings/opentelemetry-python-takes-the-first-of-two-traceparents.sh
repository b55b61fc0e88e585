#!/usr/bin/env bash
# OpenTelemetry for Python believes the first of two traceparent headers.
#
# Versions   opentelemetry-api 1.45.2 of PyPI, Python 3.
# One would guess that a request with two of them has none: there may be one, joined by a comma
#            as HTTP joins headers they are no traceparent, and whoever cannot parse it begins
#            a new trace. Two come where something on the way adds its own to the client's.
# Seen       A getter that gives both, as the interface for HTTP headers asks it to, has the first
#            taken and the other passed over in silence; with the same two in another order the
#            request is a part of another trace. Joined by a comma neither is taken. Two
#            tracestate headers, which are allowed, are put together.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install opentelemetry-api==1.45.2
cat >"$folder/try.py" <<'PYTHON'
import sys

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ONE, TWO = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


def read(*given, **others):
    # The getter of the library gives a list as it is.
    context = TraceContextTextMapPropagator().extract({"traceparent": [*given], **others})
    found = trace.get_current_span(context).get_span_context()
    return f"{found.trace_id:032x}"[:2] if found.is_valid else None, found.trace_state.to_header()


seen = {
    "one, two": read(ONE, TWO),
    "two, one": read(TWO, ONE),
    "joined": read(f"{ONE},{TWO}"),
    "states": read(ONE, tracestate=["a=1", "b=2"]),
}
print(seen)
expected = {"one, two": ("11", ""), "two, one": ("22", ""), "joined": (None, "")}
sys.exit(seen != {**expected, "states": ("11", "a=1,b=2")})
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
