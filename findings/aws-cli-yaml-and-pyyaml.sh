#!/usr/bin/env bash
# What AWS CLI 2 writes with --output yaml, PyYAML reads as other values.
#
# Versions   Debian 12's awscli 2.9.19 (apt-get install awscli), PyYAML 6.0.2 of PyPI.
# One would guess that `--output yaml` can be read by the YAML library that nearly every
#            Python script has, and that strings stay strings.
# Seen       Version 2 writes YAML 1.2, in which yes, no, on and off are text, and does not
#            quote them; PyYAML reads YAML 1.1, where they are booleans. A synced preference
#            "on" comes back as True, without a word. Values such as true, 1e3, 1_000 and
#            dates are quoted, so that a test with those notices nothing.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install PyYAML==6.0.2
two=/usr/bin/aws
[[ $("$two" --version) == "aws-cli/2.9.19 "* ]] ||
  { echo "needs Debian 12's awscli: apt-get install awscli" >&2; exit 1; }
cat >"$folder/server.py" <<'PYTHON'
import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

VALUES = ("on", "no", "1_000", "true", "1e3", "2014-11-05")


class Sync(BaseHTTPRequestHandler):
    def do_GET(self):
        records = [{"Key": each, "Value": each} for each in VALUES]
        body = json.dumps({"Records": records}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Sync)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
PYTHON
python3 "$folder/server.py" "$folder/port" &
server=$!
for _ in $(seq 100); do [[ -s $folder/port ]] && break; sleep 0.1; done
env -i HOME="$folder" PATH="$PATH" AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b \
  AWS_DEFAULT_REGION=us-east-1 "$two" cognito-sync list-records --identity-pool-id p \
  --identity-id i --dataset-name d --output yaml --query 'Records[].Value' \
  --endpoint-url "http://127.0.0.1:$(<"$folder/port")" >"$folder/values.yaml"
cat "$folder/values.yaml"
seen=$("$folder/venv/bin/python" -c \
  'import sys, yaml; print(yaml.safe_load(open(sys.argv[1])))' "$folder/values.yaml")
echo "PyYAML reads: $seen"
[[ $seen == "[True, False, '1_000', 'true', '1e3', '2014-11-05']" ]]
