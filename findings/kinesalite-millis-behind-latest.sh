#!/usr/bin/env bash
# kinesalite says that a reader is 0 ms behind while records wait, and more than 0 at the end.
#
# Versions   kinesalite 3.3.3 and @aws-sdk/client-kinesis as pinned below, Node.js 20 or newer.
# One would guess that MillisBehindLatest tells how far a reader has to go, as the API's
#            reference says: more than 0 while records wait, and 0 once all were read.
# Seen       An open shard answers 0 from the first record on, with four more behind it; a shard
#            that was closed by a split answers with more than 0 at its end, when nothing is left
#            and NextShardIterator is gone. A consumer that reads "until it has caught up" by
#            this number takes one page and stops, and waits at closed shards for ever, if that
#            is all that it looks at. moto 5.2.5 counts down to 0, as the reference says.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund kinesalite@3.3.3 @aws-sdk/client-kinesis@3.1143.0 \
  @smithy/node-http-handler@4.14.2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
node node_modules/kinesalite/cli.js --port "$port" --createStreamMs 1 --updateStreamMs 1 &
server=$!
cat >try.mjs <<'JS'
import {
  CreateStreamCommand, DescribeStreamSummaryCommand, GetRecordsCommand,
  GetShardIteratorCommand, KinesisClient, PutRecordCommand, SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'

const client = new KinesisClient({
  region: 'us-east-1',
  endpoint: `http://127.0.0.1:${process.argv[2]}`,
  credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  requestHandler: new NodeHttpHandler(),
  maxAttempts: 10,
})
const StreamName = 's'
const ShardId = 'shardId-000000000000'
const active = async () => {
  for (;;) {
    const answer = await client.send(new DescribeStreamSummaryCommand({ StreamName }))
    if (answer.StreamDescriptionSummary.StreamStatus === 'ACTIVE') return
  }
}
const first = async () =>
  (await client.send(new GetShardIteratorCommand(
    { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }))).ShardIterator
const read = async (ShardIterator, Limit) => {
  const { Records, MillisBehindLatest, NextShardIterator } =
    await client.send(new GetRecordsCommand({ ShardIterator, Limit }))
  return { records: Records.length, behind: MillisBehindLatest, next: NextShardIterator }
}

await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
await active()
for (const each of 'abcde')
  await client.send(new PutRecordCommand(
    { StreamName, Data: Buffer.from(each), PartitionKey: 'p' }))
const open = await read(await first(), 1)
console.log(`open shard: ${open.records} of 5 records read, ${open.behind} ms behind`)

await client.send(new SplitShardCommand(
  { StreamName, ShardToSplit: ShardId, NewStartingHashKey: String(2n ** 127n) }))
await active()
let end = await read(await first(), 5)
const left = end.records
if (end.next) end = await read(end.next, 5)
console.log(`closed shard: ${left} records read, then ${end.records}, ${end.behind} ms behind,` +
  ` next ${end.next}`)
process.exit(open.records === 1 && open.behind === 0 && left === 5 && end.records === 0 &&
  end.behind > 0 && !end.next ? 0 : 1)
JS
node try.mjs "$port"
