#!/usr/bin/env bash
# The AWS SDKs take LimitExceededException for throttling: an update of a full dataset is sent three times.
#
# Versions   boto3 and botocore, and @aws-sdk/client-cognito-sync of npm, as pinned below; Python 3,
#            Node.js 20 or newer.
# One would guess that the 400 with which Cognito Sync refuses what a dataset has no room for is told
#            to the caller at once, as its 409 for a conflict is; sending the same again cannot help.
# Seen       "LimitExceededException" stands in the SDKs' list of errors of throttling, whatever the
#            service means by it. The retry modes standard and adaptive of boto3 and the SDK for
#            JavaScript send the whole update (up to 1 MB) three times, with pauses; in the mode
#            legacy, which is boto3's default, once. In the mode adaptive the client goes on as if
#            the service was busy: what it calls next, for another dataset, is held back.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check boto3==1.44.8 botocore==1.44.8
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @aws-sdk/client-cognito-sync@3.1124.0
cat >serve.py <<'PYTHON'
import http.server
import json


class Service(http.server.BaseHTTPRequestHandler):
    """Refuses updates by the name of the dataset, and answers anything else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if "/full" in self.path:
            self.tell(400, "LimitExceededException")
        else:
            self.tell(409, "ResourceConflictException")

    def do_GET(self):
        self.tell(200)

    def tell(self, status, error=None):
        body = json.dumps({"message": error} if error else {"Records": []}).encode()
        self.send_response(status)
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
venv/bin/python serve.py >port &
server=$!
until [ -s port ]; do sleep 0.1; done
cat >try.py <<'PYTHON'
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

IDS = {"IdentityPoolId": "us-east-1:p", "IdentityId": "us-east-1:i"}
PATCH = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}


def requests(client, dataset):
    try:
        client.update_records(
            **IDS, DatasetName=dataset, SyncSessionToken="t", RecordPatches=[PATCH]
        )
    except ClientError as error:
        return 1 + error.response["ResponseMetadata"]["RetryAttempts"]


seen = {}
for mode in ("legacy", "standard", "adaptive"):
    client = boto3.client(
        "cognito-sync",
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"mode": mode}),
    )
    client.list_records(**IDS, DatasetName="other")
    seen[mode] = [requests(client, "full"), requests(client, "conflict")]
    begun = time.monotonic()
    for _ in range(3):
        client.list_records(**IDS, DatasetName="other")
    seen[mode].append("held back" if time.monotonic() - begun > 1 else "at once")
print("boto3 (full, conflict, then other calls):", seen)
expected = {"legacy": [1, 1, "at once"], "standard": [3, 1, "at once"]}
sys.exit(seen != {**expected, "adaptive": [3, 1, "held back"]})
PYTHON
cat >try.js <<'JS'
const { CognitoSyncClient, UpdateRecordsCommand } = require('@aws-sdk/client-cognito-sync')
const client = new CognitoSyncClient({
  endpoint: process.argv[2], region: 'us-east-1',
  credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
})
const requests = (DatasetName) => client.send(new UpdateRecordsCommand({
  IdentityPoolId: 'us-east-1:p', IdentityId: 'us-east-1:i', DatasetName, SyncSessionToken: 't',
  RecordPatches: [{ Op: 'replace', Key: 'k', Value: 'v', SyncCount: 0 }],
})).catch((error) => error.$metadata.attempts)
;(async () => {
  const seen = [await requests('full'), await requests('conflict')]
  console.log('JavaScript (full, conflict):', seen)
  process.exit(JSON.stringify(seen) === '[3,1]' ? 0 : 1)
})()
JS
url=http://127.0.0.1:$(cat port)
venv/bin/python try.py "$url"
NODE_NO_WARNINGS=1 node try.js "$url"
