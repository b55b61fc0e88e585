#!/usr/bin/env bash
# OTEL_EXPORTER_OTLP_TIMEOUT is milliseconds to Node.js and seconds to Python.
#
# Versions   opentelemetry-exporter-otlp-proto-http 1.45.2 of PyPI, Python 3;
#            @opentelemetry/exporter-trace-otlp-proto 0.301.1 of npm, Node.js 20 or newer.
# One would guess that a variable which the specification shares among languages, in milliseconds,
#            means one time to all programs of a host that are given it.
# Seen       With a value of 100 and a collector that answers after half a second, the exporter for
#            Node.js gives up, and the one for Python waits and is content. The specification's own
#            default, 10000, written out, has a Python program wait for a collector that hangs for
#            nearly three hours; meanwhile its queue of spans overflows.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install opentelemetry-exporter-otlp-proto-http==1.45.2 \
    opentelemetry-sdk==1.45.2
cd "$folder"
npm install --silent --no-fund --no-audit --prefix "$folder" \
    @opentelemetry/exporter-trace-otlp-proto@0.301.1 >/dev/null
cat >collector.py <<'PYTHON'
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.5)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
python3 collector.py >port 2>/dev/null &
server=$!
until [ -s port ]; do sleep 0.1; done
cat >try.py <<'PYTHON'
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

print(OTLPSpanExporter().export([]).name)
PYTHON
cat >try.mjs <<'JS'
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";

new OTLPTraceExporter().export([], (result) => {
  console.log(result.code === 0 ? "SUCCESS" : "FAILURE");
  process.exit(0);
});
JS
export OTEL_EXPORTER_OTLP_TIMEOUT=100 no_proxy=127.0.0.1
OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$(cat port)"
export OTEL_EXPORTER_OTLP_ENDPOINT
python=$("$folder/venv/bin/python" try.py)
node=$(node try.mjs)
echo "Python: $python, Node.js: $node"
[ "$python" = SUCCESS ] && [ "$node" = FAILURE ]
