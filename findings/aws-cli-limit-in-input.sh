#!/usr/bin/env bash
# A limit in --cli-input-json means all pages to AWS CLI 1, and the first page to AWS CLI 2.
#
# Versions   awscli 1.46.3 of PyPI, and Debian 12's awscli 2.9.19 (apt-get install awscli).
# One would guess that a member means the same as the option it stands for: with --limit 1
#            both make one call, so Limit in --cli-input-json does, too.
# Seen       Version 2 makes one call. Version 1 looks at the options alone: it takes the
#            limit as the size of a page and goes on to the last. A script that lists "the
#            first" from a file gets everything, or a script that lists everything gets one,
#            without a word.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install awscli==1.46.3
two=/usr/bin/aws
[[ $("$two" --version) == "aws-cli/2.9.19 "* ]] ||
  { echo "needs Debian 12's awscli: apt-get install awscli" >&2; exit 1; }
cat >"$folder/server.py" <<'PYTHON'
import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

PAGES = {None: ("a", "t1"), "t1": ("b", "t2"), "t2": ("c", None)}


class Streams(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, token = PAGES[asked.get("NextToken")]
        page = {"StreamNames": [name], "HasMoreStreams": token is not None}
        body = json.dumps({**page, **({"NextToken": token} if token else {})}).encode()
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
list() {
  env -i HOME="$folder" PATH="$PATH" AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b \
    AWS_DEFAULT_REGION=us-east-1 "$1" kinesis list-streams "${@:2}" --query StreamNames \
    --output json --endpoint-url "http://127.0.0.1:$(<"$folder/port")" | tr -d ' \n'
}
seen="$(list "$folder/venv/bin/aws" --limit 1) $(list "$two" --limit 1)"
seen+=" $(list "$folder/venv/bin/aws" --cli-input-json '{"Limit": 1}')"
seen+=" $(list "$two" --cli-input-json '{"Limit": 1}')"
echo "--limit 1, then --cli-input-json, each of 1.46.3 and 2.9.19: $seen"
[[ $seen == '["a"] ["a"] ["a","b","c"] ["a"]' ]]
