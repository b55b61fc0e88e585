#!/usr/bin/env bash
# ApplicationArns= takes no application away: it names one that is called "".
#
# Versions   awscli 1.46.3 of PyPI, and Debian 12's awscli 2.9.19 (apt-get install awscli).
# One would guess that in --push-sync, whose applications are named by shorthand
#            (ApplicationArns=ARN,ARN), nothing behind the sign means none: the member is a
#            list, as the command's own model says, and SyncTrigger= takes a trigger away.
# Seen       Both versions send a list of one empty string, which Cognito Sync refuses by its
#            pattern. ApplicationArns=[] sends the empty list.
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


class Pools(BaseHTTPRequestHandler):
    """Answers a configuration with what it was asked to set."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Pools)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
PYTHON
python3 "$folder/server.py" "$folder/port" &
server=$!
for _ in $(seq 100); do [[ -s $folder/port ]] && break; sleep 0.1; done
sent() {
  env -i HOME="$folder" PATH="$PATH" AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b \
    AWS_DEFAULT_REGION=us-east-1 "$1" cognito-sync set-identity-pool-configuration \
    --identity-pool-id us-east-1:00000000-0000-0000-0000-000000000000 --push-sync "$2" \
    --query PushSync.ApplicationArns --output json \
    --endpoint-url "http://127.0.0.1:$(<"$folder/port")" | tr -d ' \n'
}
for aws in "$folder/venv/bin/aws" "$two"; do
  seen="$(sent "$aws" ApplicationArns=) $(sent "$aws" 'ApplicationArns=[]')"
  echo "ApplicationArns= and ApplicationArns=[], by $("$aws" --version 2>&1 | cut -d' ' -f1): $seen"
  [[ $seen == '[""] []' ]]
done
