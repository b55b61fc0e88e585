#!/usr/bin/env bash
# boto3 lets errors of urllib3 through when an event stream is cut off or falls silent.
#
# Versions   boto3, botocore and urllib3 as pinned below, Python 3.
# One would guess that reading the events of SubscribeToShard fails with errors of botocore, as
#            every call does: ConnectionClosedError and ReadTimeoutError, both BotoCoreError,
#            which consumers catch to subscribe again.
# Seen       A connection that ends in the middle raises urllib3.exceptions.ProtocolError, a
#            silence longer than read_timeout (60 s unless set) urllib3.exceptions.
#            ReadTimeoutError. Neither is a BotoCoreError, no retry is made, and a loop that
#            catches botocore's errors alone ends for good at the first restart of a server.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install boto3==1.44.8 botocore==1.44.8 urllib3==2.6.3
cat >"$folder/try.py" <<'PYTHON'
import struct
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError


def frame(kind, payload):
    headers = b""
    for name, value in ((":message-type", "event"), (":event-type", kind)):
        headers += bytes([len(name)]) + name.encode()
        headers += b"\x07" + struct.pack(">H", len(value)) + value.encode()
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    start += struct.pack(">I", zlib.crc32(start))
    whole = start + headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


class Kinesis(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    silent = False

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        event = (
            b'{"Records":[],"ContinuationSequenceNumber":"0","MillisBehindLatest":0}'
        )
        for part in (frame("initial-response", b"{}"), frame("SubscribeToShardEvent", event)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        if self.silent:
            time.sleep(4)
        self.close_connection = True

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Kinesis)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "kinesis",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    region_name="us-east-1",
    aws_access_key_id="AKIDEXAMPLE",
    aws_secret_access_key="secret",
    config=Config(read_timeout=1),
)
consumer = "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1"
seen = []
for Kinesis.silent in (False, True):
    answer = client.subscribe_to_shard(
        ConsumerARN=consumer,
        ShardId="shardId-000000000000",
        StartingPosition={"Type": "LATEST"},
    )
    events = 0
    try:
        for _ in answer["EventStream"]:
            events += 1
    except Exception as error:
        seen.append((events, type(error), isinstance(error, BotoCoreError)))
    answer["EventStream"].close()
print(seen)
wanted = [
    (1, urllib3.exceptions.ProtocolError, False),
    (1, urllib3.exceptions.ReadTimeoutError, False),
]
sys.exit(seen != wanted)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
