#!/usr/bin/env bash
# PgBouncer refuses every kind of start with the one SQLSTATE of a broken protocol.
#
# Versions   PgBouncer 1.18.0 of Debian 12 (with its libevent and c-ares), asyncpg as pinned
#            below. Needs apt-get, dpkg-deb and Python 3; no PostgreSQL.
# One would guess that a client behind PgBouncer is told of an unknown database with 3D000, of
#            an unknown user with 28000 or 28P01, and of a start-up parameter that is not
#            supported with something of class 0A or 22, as PostgreSQL does.
# Seen       All three are 08P01, in the class "connection exception". A client that calls
#            class 08 a lost connection, and repeats, never tells what is wrong. Drivers set
#            start-up parameters without being asked to (asyncpg: server_settings), so a
#            program that works with PostgreSQL meets the third one first.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "$(cat "$folder/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get download -qq pgbouncer=1.18.0-1+deb12u1 libevent-2.1-7=2.1.12-stable-8 libc-ares2=1.18.1-3
  for each in *.deb; do dpkg-deb -x "$each" root; done
)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install asyncpg==0.32.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo '"somebody" ""' >"$folder/users.txt"
cat >"$folder/pgbouncer.ini" <<INI
[databases]
known = host=127.0.0.1 port=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $folder/users.txt
pidfile = $folder/pid
logfile = $folder/log
INI
words=()
if [[ $EUID == 0 ]]; then # for whom it refuses to run
  chown -R nobody "$folder"
  words=(-u nobody)
fi
export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libevent-2.1.so.7' | head -1)")
"$folder/root/usr/sbin/pgbouncer" -q -d "${words[@]}" "$folder/pgbouncer.ini"
cat >"$folder/try.py" <<'PYTHON'
import asyncio
import sys

import asyncpg

STARTS = {
    "unknown database": ("somebody", "unknown", {}),
    "unknown user": ("nobody_here", "known", {}),
    "start-up parameter": ("somebody", "known", {"default_transaction_isolation": "x"}),
}


async def start(user, database, settings):
    try:
        await asyncpg.connect(
            user=user,
            database=database,
            host="127.0.0.1",
            port=int(sys.argv[1]),
            ssl=False,
            server_settings=settings,
            timeout=10,
        )
    except asyncpg.PostgresError as error:
        return error.sqlstate, str(error)


seen = {name: asyncio.run(start(*each)) for name, each in STARTS.items()}
for name, said in seen.items():
    print(f"{name}: {said}")
sys.exit({said and said[0] for said in seen.values()} != {"08P01"})
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$port"
