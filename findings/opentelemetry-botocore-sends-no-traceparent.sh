#!/usr/bin/env bash
# A boto3 that OpenTelemetry traces sends the trace header of AWS X-Ray, and never traceparent.
#
# Versions   opentelemetry-instrumentation-botocore and -urllib3 0.66b1, opentelemetry-sdk 1.45.1,
#            botocore 1.44.8 of PyPI, Python 3.
# One would guess that a traced client sends the W3C trace context, as the propagators that
#            OpenTelemetry begins with have it, or what OTEL_PROPAGATORS names; and if the
#            instrumentation of botocore does not, then that of urllib3, through which botocore
#            sends.
# Seen       X-Amzn-Trace-Id alone, whatever OTEL_PROPAGATORS says, and with the one
#            instrumentation as with both: within a call of botocore the one of urllib3 keeps
#            still. A server with an endpoint of its own that reads traceparent alone begins a
#            new trace with each call.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install botocore==1.44.8 opentelemetry-sdk==1.45.1 \
    opentelemetry-instrumentation-botocore==0.66b1 opentelemetry-instrumentation-urllib3==0.66b1
cat >"$folder/try.py" <<'PYTHON'
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import botocore.session
from opentelemetry import trace
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider

ID = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
came = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        came.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
trace.set_tracer_provider(TracerProvider())
BotocoreInstrumentor().instrument()
if "both" in sys.argv:
    URLLib3Instrumentor().instrument()
client = botocore.session.get_session().create_client(
    "cognito-sync",
    region_name="us-east-1",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    aws_access_key_id="a",
    aws_secret_access_key="b",
)
with trace.get_tracer("app").start_as_current_span("app") as span:
    trace_id = f"{span.get_span_context().trace_id:032x}"
    client.list_records(IdentityPoolId=ID, IdentityId=ID, DatasetName="d")
(headers,) = came
root = f"Root=1-{trace_id[:8]}-{trace_id[8:]};"
print({name: headers.get(name) for name in ("traceparent", "x-amzn-trace-id")})
sys.exit("traceparent" in headers or not headers["x-amzn-trace-id"].startswith(root))
PYTHON
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
for propagators in tracecontext,baggage tracecontext; do
    for with in one both; do
        OTEL_PROPAGATORS=$propagators "$folder/venv/bin/python" "$folder/try.py" "$with"
    done
done
