#!/usr/bin/env bash
# sseclient-py 1.8.0 and sseclient 0.0.27: an id that comes without data is lost, or is an empty event.
#
# Versions   sseclient-py 1.8.0, sseclient 0.0.27, requests-sse 0.5.1 of PyPI, Python 3.
# One would guess that readers of server-sent events do with a message that has an id and no data
#            what HTML's rules say (9.2.6): remember the id, and dispatch nothing. Streams rely on
#            it to say where a reader begins before anything has happened.
# Seen       sseclient-py drops the message with its id: the events that it gives begin with the
#            second one, so whoever comes back before has no id to send, and misses what happened
#            meanwhile. sseclient gives an event whose data is empty, for a comment too, and whoever
#            reads its data as JSON fails at once. requests-sse does as the rules say.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PYTHON'
import http.server
import sys
import threading
from datetime import timedelta
from itertools import islice

FIRST = b": connected\nretry: 50\nid: start\n\n"
LATER = b": still here\n\nid: 1\ndata: {}\n\n"
asked = []


class Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.headers.get("Last-Event-ID"))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(FIRST if len(asked) == 1 else LATER)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/"
if sys.argv[1] == "sseclient-py":
    import requests
    import sseclient

    seen = [
        (event.id, event.data)
        for _ in range(2)
        for event in sseclient.SSEClient(requests.get(url, stream=True)).events()
    ]
    expected = [("1", "{}")]
elif sys.argv[1] == "sseclient":
    import sseclient

    events = sseclient.SSEClient(url, retry=50)
    seen = [(event.id, event.data) for event in islice(events, 3)]
    expected = [("start", ""), (None, ""), ("1", "{}")]
else:
    from requests_sse import EventSource

    pause = timedelta(milliseconds=50)
    with EventSource(url, reconnection_time=pause) as events:
        event = next(iter(events))
    seen = [(event.last_event_id, event.data), *asked]
    expected = [("1", "{}"), None, "start"]
print(sys.argv[1], seen)
sys.exit(seen != expected)
PYTHON
for pinned in sseclient-py==1.8.0 sseclient==0.0.27 requests-sse==0.5.1; do
  name=${pinned%%==*}
  python3 -m venv "$folder/$name"
  "$folder/$name/bin/pip" install --quiet "$pinned" requests 2>"$folder/pip.log" ||
    { cat "$folder/pip.log" >&2; exit 2; }
  "$folder/$name/bin/python" "$folder/try.py" "$name"
done
