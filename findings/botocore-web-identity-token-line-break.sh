#!/usr/bin/env bash
# boto3 sends the line break at the end of a web identity token file to STS.
#
# Versions   boto3 and botocore as pinned below, Python 3.
# One would guess that the token of AWS_WEB_IDENTITY_TOKEN_FILE is stripped before it is
#            sent, as editors and mounted secrets end files in a line break, and a JSON Web
#            Token has none.
# Seen       The request holds the file as text: WebIdentityToken=TOKEN%0A, also for CR LF,
#            and spaces stay. A server that takes tokens apart strictly refuses every client
#            whose file was written with echo.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install boto3==1.44.8 botocore==1.44.8
cat >"$folder/try.py" <<'PYTHON'
import os
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import boto3

seen = []
ANSWER = b"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


class Sts(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        seen.append(parse_qs(body)["WebIdentityToken"][0])
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Sts)
threading.Thread(target=server.serve_forever, daemon=True).start()
folder = pathlib.Path(sys.argv[1])
os.environ.update(
    AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ROLE_ARN="arn:aws:iam::000000000000:role/app",
    AWS_WEB_IDENTITY_TOKEN_FILE=str(folder / "token"),
    AWS_CONFIG_FILE=str(folder / "none"),
    AWS_SHARED_CREDENTIALS_FILE=str(folder / "none"),
)
for end in ("", "\n", "\r\n", " \n"):
    (folder / "token").write_bytes(f"e30.e30.e30{end}".encode())
    boto3.Session().get_credentials().get_frozen_credentials()
print(f"boto3 {boto3.__version__} sent {seen}")
sys.exit(seen != ["e30.e30.e30" + end for end in ("", "\n", "\n", " \n")])
PYTHON
env -u AWS_PROFILE -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY \
  "$folder/venv/bin/python" "$folder/try.py" "$folder"
