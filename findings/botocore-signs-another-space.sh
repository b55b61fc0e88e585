#!/usr/bin/env bash
# boto3 sends a no-break space in a header as it is, and signs an ordinary one in its place.
#
# Versions   boto3 and botocore as pinned below, Python 3.
# One would guess that a signature covers the header that is sent. AWS's signing process folds
#            runs of spaces; a no-break space (U+00A0) or an ideographic one (U+3000) is none.
# Seen       UpdateRecords with ClientContext "a<U+00A0>b" puts the no-break space on the wire, in
#            UTF-8, and signs "a b": botocore folds with Python's str.split(), which parts at
#            every blank that Unicode has. A server that takes the header as it came works out
#            another signature; one that folds as Python does works out the same.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install boto3==1.44.8 botocore==1.44.8
cat >"$folder/try.py" <<'PYTHON'
import hashlib
import hmac
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

seen = []


def signature(handler, body, context):
    said = handler.headers["Authorization"]
    scope = re.search(r"Credential=[^/]+/([^,]+),", said)[1]
    names = re.search(r"SignedHeaders=([^,]+),", said)[1].split(";")
    values = {n: handler.headers[n].encode("latin-1") for n in names}
    values["x-amz-client-context"] = context
    lines = [b"POST", handler.path.replace("%", "%25").encode(), b""]
    lines += [n.encode() + b":" + values[n] for n in names]
    lines += [b"", ";".join(names).encode(), hashlib.sha256(body).hexdigest().encode()]
    hashed = hashlib.sha256(b"\n".join(lines)).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{handler.headers['X-Amz-Date']}\n{scope}\n{hashed}"
    key = b"AWS4secret"
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return said.endswith(f"Signature={key.hex()}")


class Sync(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent = self.headers["x-amz-Client-Context"].encode("latin-1")
        seen.append((sent, signature(self, body, sent), signature(self, body, b"a b")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Sync)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "cognito-sync",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    region_name="us-east-1",
    aws_access_key_id="AKIDEXAMPLE",
    aws_secret_access_key="secret",
)
for context in ("a b", "a\u00a0b"):
    client.update_records(
        IdentityPoolId="us-east-1:00000000-0000-4000-8000-000000000000",
        IdentityId="us-east-1:00000000-0000-4000-8000-000000000001",
        DatasetName="d",
        SyncSessionToken="t",
        ClientContext=context,
    )
print(seen)
wanted = [(b"a b", True, True), ("a\u00a0b".encode(), False, True)]
sys.exit(seen != wanted)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
