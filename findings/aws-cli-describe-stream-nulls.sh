#!/usr/bin/env bash
# `aws kinesis describe-stream` shows members that the server never sent, as null.
#
# Versions   awscli 1.46.3 of PyPI.
# One would guess that the CLI prints the answer, and that a member which is not in it is
#            not printed, as with every other command.
# Seen       DescribeStream is paged, and what is no shard is looked up by eight names and
#            put back whether it is there or not: "KeyId": null and "EncryptionType": null
#            of a stream without a key, and the answer's own HasMoreShards is gone. With
#            --no-paginate the answer is printed as it came.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install awscli==1.46.3
cat >"$folder/server.py" <<'PYTHON'
import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

ANSWER = {
    "StreamDescription": {
        "StreamName": "s",
        "StreamStatus": "ACTIVE",
        "Shards": [{"ShardId": "shardId-000000000000"}],
        "HasMoreShards": False,
    }
}


class Streams(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Streams)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
PYTHON
python3 "$folder/server.py" "$folder/port" &
server=$!
for _ in $(seq 100); do [[ -s $folder/port ]] && break; sleep 0.1; done
names() {
  env -i HOME="$folder" PATH="$PATH" AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b \
    AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/aws" kinesis describe-stream \
    --stream-name s --query 'keys(StreamDescription) | sort(@)' --output text "$@" \
    --endpoint-url "http://127.0.0.1:$(<"$folder/port")" | tr '\t' ' '
}
paged=$(names)
plain=$(names --no-paginate)
echo "paged:         $paged"
echo "--no-paginate: $plain"
[[ $plain == "HasMoreShards Shards StreamName StreamStatus" ]]
[[ $paged == "EncryptionType EnhancedMonitoring KeyId RetentionPeriodHours Shards"* ]]
[[ $paged != *HasMoreShards* ]]
