#!/usr/bin/env bash
# Node.js' HTTP/2 client loses an answer that comes before it has sent its body.
#
# Versions   Node.js 20 (20.20.2) on both sides; nothing is installed.
# One would guess that a server may refuse an upload that is too large before it was sent: answer
#            413, end, and reset the stream with NO_ERROR, as RFC 9113 (8.1) describes it, which
#            also says that clients must not discard such an answer.
# Seen       While the client still sends, neither 'response' nor 'error' is emitted, only 'end'
#            or 'close': whoever waits for either waits for ever. So does a promise of the AWS SDK
#            for JavaScript v3, whose KinesisClient speaks HTTP/2; a script then exits in the middle.
#            A server that takes the body first and answers then is heard.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >try.js <<'JAVASCRIPT'
"use strict";
const assert = require("node:assert");
const http2 = require("node:http2");

function post(port) {
  return new Promise((resolve) => {
    const seen = [];
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.on("response", (headers) => seen.push(`response ${headers[":status"]}`));
    stream.on("error", () => seen.push("error"));
    stream.on("end", () => seen.push("end"));
    stream.resume();
    const done = () => { session.destroy(); resolve(seen); };
    stream.on("close", done);
    setTimeout(done, 5000).unref();
    stream.end(Buffer.alloc(12_000_000));
  });
}

const server = http2.createServer();
let early = true;
server.on("session", (session) => session.on("error", () => {}));
server.on("stream", (stream) => {
  stream.on("error", () => {});
  const answer = () => {
    stream.respond({ ":status": 413 });
    stream.end("too large", () => early && stream.close(http2.constants.NGHTTP2_NO_ERROR));
  };
  if (early) return answer();
  stream.resume();
  stream.on("end", answer);
});
server.listen(0, "127.0.0.1", async () => {
  const { port } = server.address();
  const first = await post(port);
  early = false;
  const second = await post(port);
  console.log("early:", first.join(", "), " late:", second.join(", "));
  server.close();
  assert(!first.some((each) => each.startsWith("response") || each === "error"));
  assert(second.includes("response 413"));
  process.exit(0);
});
JAVASCRIPT
node try.js
