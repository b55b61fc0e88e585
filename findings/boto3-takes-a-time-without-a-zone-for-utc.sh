#!/usr/bin/env bash
# boto3 takes a time without a zone for UTC, and answers with times in the zone of the machine.
#
# Versions   boto3 and botocore 1.44.8, awscli 1.46.3 of PyPI, Python 3.
# One would guess that a datetime without a zone is local time, as it is to its own timestamp(), and as
#            the times that boto3 answers with are in the local zone; so that datetime.now() is now.
# Seen       Where it is summer in Berlin, datetime.now() goes out as two hours from now. As
#            DeviceLastModifiedDate it makes a record newer than what other devices write for two
#            hours, to whoever lets the newest win; as the AT_TIMESTAMP of Kinesis it is a time to
#            come. In New York both are four hours old. A time that came from the service and was
#            stripped of its zone is another one when it is sent back. A text without a zone is UTC
#            as well, to the CLI, too.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for pinned in "boto3==1.44.8 botocore==1.44.8" awscli==1.46.3; do
  python3 -m venv "${pinned%%=*}"
  # shellcheck disable=SC2086  # two packages
  "${pinned%%=*}/bin/pip" install --quiet --disable-pip-version-check $pinned
done
cat >try.py <<'PYTHON'
import http.server
import json
import os
import subprocess
import sys
import threading
from datetime import datetime, timezone

import boto3

asked = []
MOMENT = datetime(2026, 7, 1, 12, 0, tzinfo=timezone.utc)


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        record = {"Key": "k", "LastModifiedDate": MOMENT.timestamp()}
        body = json.dumps({"ShardIterator": "i", "Records": [record]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
usual = {"endpoint_url": url, "region_name": "us-east-1"}
sync, kinesis = boto3.client("cognito-sync", **usual), boto3.client("kinesis", **usual)


def hours(seconds):
    return (seconds - MOMENT.timestamp()) / 3600


def update(when):
    patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0, "DeviceLastModifiedDate": when}
    ids = {"IdentityPoolId": "us-east-1:p", "IdentityId": "us-east-1:i", "DatasetName": "d"}
    answer = sync.update_records(**ids, SyncSessionToken="t", RecordPatches=[patch])
    sent = asked[-1]["RecordPatches"][0]["DeviceLastModifiedDate"]
    return hours(sent), answer["Records"][0]["LastModifiedDate"]


def read(when):
    where = {"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP"}
    kinesis.get_shard_iterator(**where, Timestamp=when)
    return hours(asked[-1]["Timestamp"])


local = MOMENT.astimezone().replace(tzinfo=None)  # what datetime.now() would be then
assert local.timestamp() == MOMENT.timestamp()
sent, answered = update(local)
words = ["awscli/bin/aws", "--endpoint-url", url, "--region", "us-east-1", "kinesis", "get-shard-iterator"]
words += ["--stream-name", "s", "--shard-id", "0", "--shard-iterator-type", "AT_TIMESTAMP"]
subprocess.run([*words, "--timestamp", local.isoformat()], check=True, capture_output=True)
by_cli = hours(asked[-1]["Timestamp"])
again = update(answered.replace(tzinfo=None))[0]
seen = [sent, read(local), read(local.isoformat()), by_cli, again, update(answered)[0]]
print(os.environ["TZ"], "hours from the time that was meant:", seen)
off = float(sys.argv[1])
sys.exit(seen != [off] * 5 + [0] or answered.utcoffset().total_seconds() != off * 3600)
PYTHON
TZ=Europe/Berlin boto3/bin/python try.py 2
TZ=America/New_York boto3/bin/python try.py -4
