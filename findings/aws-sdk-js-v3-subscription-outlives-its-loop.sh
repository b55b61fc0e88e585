#!/usr/bin/env bash
# In the AWS SDK for JavaScript v3 a subscription outlives the loop that reads it.
#
# Versions   @aws-sdk/client-kinesis as pinned below, Node.js 20 or newer, npm.
# One would guess that leaving `for await (const event of answer.EventStream)` ends the
#            subscription, as leaving such a loop ends a Node.js stream, and that at the latest
#            client.destroy() does.
# Seen       After both, the HTTP/2 stream of SubscribeToShard is still open at the server, and
#            it keeps the process alive until the server ends it: five minutes in Kinesis. Only
#            an abortSignal given to client.send() ends it at once. A consumer that reads "to
#            the end of the shard" and breaks hangs at its exit, and holds its place.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @aws-sdk/client-kinesis@3.1124.0
cat >try.js <<'JAVASCRIPT'
"use strict";
const http2 = require("node:http2");
const zlib = require("node:zlib");
const { KinesisClient, SubscribeToShardCommand } = require("@aws-sdk/client-kinesis");

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function frame(kind, payload) {
  const headers = Buffer.concat(
    [[":message-type", "event"], [":event-type", kind], [":content-type", "application/json"]].map(
      ([name, value]) => {
        const length = Buffer.from([7, value.length >> 8, value.length & 255]);
        return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), length, Buffer.from(value)]);
      },
    ),
  );
  const start = Buffer.alloc(12);
  start.writeUInt32BE(16 + headers.length + payload.length, 0);
  start.writeUInt32BE(headers.length, 4);
  start.writeUInt32BE(crc32(start.subarray(0, 8)), 8);
  const whole = Buffer.concat([start, headers, Buffer.from(payload)]);
  const end = Buffer.alloc(4);
  end.writeUInt32BE(crc32(whole), 0);
  return Buffer.concat([whole, end]);
}

const closed = {};
const server = http2.createServer();
server.on("stream", (stream, headers) => {
  let body = "";
  stream.on("data", (part) => (body += part));
  stream.on("end", () => {
    const name = JSON.parse(body).ShardId;
    closed[name] = false;
    stream.respond({ ":status": 200, "content-type": "application/vnd.amazon.eventstream" });
    stream.write(frame("initial-response", "{}"));
    const event = JSON.stringify({ Records: [], ContinuationSequenceNumber: "0", MillisBehindLatest: 0 });
    const timer = setInterval(() => stream.write(frame("SubscribeToShardEvent", event)), 50);
    stream.on("error", () => {});
    stream.on("close", () => { clearInterval(timer); closed[name] = true; });
  });
});
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

server.listen(0, "127.0.0.1", async () => {
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${server.address().port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
  });
  const subscribe = (ShardId, options) =>
    client.send(
      new SubscribeToShardCommand({
        ConsumerARN: "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1",
        ShardId,
        StartingPosition: { Type: "LATEST" },
      }), options);
  const read = async (answer) => { for await (const event of answer.EventStream) break; };
  await read(await subscribe("left"));
  const control = new AbortController();
  const aborted = await subscribe("aborted", { abortSignal: control.signal });
  await read(aborted);
  control.abort();
  await wait(2000);
  const before = { ...closed };
  client.destroy();
  await wait(2000);
  const seen = JSON.stringify({ before, after: closed });
  console.log(seen);
  const wanted = { left: false, aborted: true };
  process.exit(seen === JSON.stringify({ before: wanted, after: wanted }) ? 0 : 1);
});
JAVASCRIPT
node try.js 2>/dev/null
