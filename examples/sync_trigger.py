"""
A sync trigger for Millpond, with nothing but the standard library.

    HOOK_SECRET=$(millpond hook-secret) python sync_trigger.py 9000

It lets a score be a number only, and gives a badge to whoever has reached 100.
"""

import contextlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLOCK_SKEW_S = 300
NEEDED = """\
usage: HOOK_SECRET=$(millpond hook-secret) python sync_trigger.py PORT

HOOK_SECRET is what `millpond hook-secret` prints where the server runs: with its data
folder (--data), or with its setting hook_secret. PORT is a number up to 65535; 0 takes
a free one."""


class Hook(BaseHTTPRequestHandler):
    """Answers an event with the records that Millpond is to write."""

    protocol_version = "HTTP/1.1"  # keeps connections, which spares time
    secret = b""

    def do_POST(self) -> None:
        """Check who is calling, then look at the records."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.is_from_millpond(body):
            self.answer(403, b"")
            return
        event = json.loads(body)
        check(event["datasetRecords"])
        self.answer(200, json.dumps(event).encode())

    def is_from_millpond(self, body: bytes) -> bool:
        """Compare the signature, and refuse what was recorded long ago."""
        timestamp = self.headers.get("X-Millpond-Timestamp", "0")
        mac = hmac.new(self.secret, timestamp.encode() + b"." + body, "sha256")
        given = self.headers.get("X-Millpond-Signature", "")
        return (
            hmac.compare_digest(f"v1={mac.hexdigest()}", given)
            and abs(time.time() - int(timestamp)) < CLOCK_SKEW_S
        )

    def answer(self, status: int, body: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def check(records: dict) -> None:
    """Change the records of an event as they are to be written."""
    score = records.get("score", {})
    if score.get("op") == "replace" and not score["newValue"].isdecimal():
        del records["score"]  # left out: the stored record stays as it is
    elif score.get("op") == "replace" and int(score["newValue"]) >= 100:
        records["badge"] = {"newValue": "gold", "op": "replace"}


def main() -> None:
    """Serve until Ctrl-C."""
    Hook.secret = os.environ.get("HOOK_SECRET", "").strip().encode()
    words = sys.argv[1:]
    if not Hook.secret or len(words) != 1 or not words[0].isdecimal():
        sys.exit(NEEDED)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(words[0])), Hook)
    except (OSError, OverflowError) as error:
        sys.exit(f"Cannot listen on port {words[0]}: {error}.\n\n{NEEDED}")
    with server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
