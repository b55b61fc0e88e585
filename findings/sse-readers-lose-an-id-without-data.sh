#!/usr/bin/env bash
# Readers of server-sent events, of PyPI and of npm, lose an id that comes without data.
#
# Versions   sseclient-py 1.8.0, sseclient 0.0.27, requests-sse 0.5.1 of PyPI, Python 3; eventsource
#            4.1.1, eventsource-client 1.2.0, event-source-polyfill 1.0.31, launchdarkly-eventsource 2.2.0
#            of npm, Node.js 20 or newer.
# One would guess that readers of server-sent events do with a message that has an id and no data
#            what HTML's rules say (9.2.6): remember the id, and dispatch nothing; above all those that
#            are there to be EventSource outside a browser. Streams rely on it to say where a reader
#            begins before anything has happened.
# Seen       sseclient-py and all four of npm drop the message with its id: whoever comes back before
#            the next one has no id to send, and misses what happened meanwhile. sseclient gives an
#            event whose data is empty, for a comment too, and whoever reads its data as JSON fails
#            at once. requests-sse does as the rules say.
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
cat >"$folder/try.mjs" <<'JS'
import http from 'node:http'
import polyfill from 'event-source-polyfill'
import { EventSource } from 'eventsource'
import { createEventSource } from 'eventsource-client'
import launchdarkly from 'launchdarkly-eventsource'

const FIRST = ': connected\nretry: 50\nid: start\n\n'
const LATER = ': still here\n\nid: 1\ndata: {}\n\n'
const standard = (Source) => (url, hear) => {
  const events = new Source(url)
  events.onmessage = ({ lastEventId, data }) => hear(lastEventId, data)
  events.onerror = () => {}
  return events
}
const readers = {
  eventsource: standard(EventSource),
  'event-source-polyfill': standard(polyfill.EventSourcePolyfill),
  'launchdarkly-eventsource': standard(launchdarkly.EventSource),
  'eventsource-client': (url, hear) =>
    createEventSource({ url, onMessage: ({ id, data }) => hear(id, data) }),
}
let same = true
for (const [name, read] of Object.entries(readers)) {
  const asked = []
  const server = http.createServer((request, response) => {
    // The polyfill has the id in its URL.
    const { searchParams } = new URL(request.url, 'http://localhost')
    asked.push(request.headers['last-event-id'] ?? searchParams.get('lastEventId'))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(asked.length === 1 ? FIRST : LATER)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/`
  let events
  const event = await new Promise((resolve) => {
    events = read(url, (...seen) => resolve(seen))
  })
  events.close()
  const seen = JSON.stringify([event, asked.slice(0, 2)])
  console.log(name, seen)
  same &&= seen === '[["1","{}"],[null,null]]'
}
process.exit(same ? 0 : 1)
JS
(
  cd "$folder"
  npm init --yes >/dev/null
  npm install --silent --no-audit --no-fund eventsource@4.1.1 eventsource-client@1.2.0 \
    event-source-polyfill@1.0.31 launchdarkly-eventsource@2.2.0
  timeout 60 node try.mjs
)
for pinned in sseclient-py==1.8.0 sseclient==0.0.27 requests-sse==0.5.1; do
  name=${pinned%%==*}
  python3 -m venv "$folder/$name"
  "$folder/$name/bin/pip" install --quiet "$pinned" requests 2>"$folder/pip.log" ||
    { cat "$folder/pip.log" >&2; exit 2; }
  "$folder/$name/bin/python" "$folder/try.py" "$name"
done
