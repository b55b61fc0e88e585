"""
Settings that follow a user from device to device, online or not.

    python settings.py laptop.db set theme dark
    python settings.py laptop.db font size 14
    python settings.py laptop.db show
    python settings.py laptop.db sync        # MILLPOND_ENDPOINT, MILLPOND_POOL
    python settings.py laptop.db follow      # until Ctrl-C

A file is a device. Two files of one user meet at the server: sign in on both, with the
token that your app's login gave (MILLPOND_LOGIN names the provider, MILLPOND_TOKEN is a
file with the token). Without that each device is a guest of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

try:
    from millpond.client import AsyncSync, SQLite, SyncError, guest, open_sync, openid
    from millpond.client import json as json_codec
except ImportError as error:
    sys.exit(f"It needs Millpond: pip install millpond ({error}).")

# Each command, and how many words follow it.
COMMANDS = {"set": 2, "font": 2, "show": 0, "sync": 0, "follow": 0}


def take_both(key: str, base: Any, mine: Any, theirs: Any) -> Any:
    """Merge members of settings that both devices changed; else the server's counts."""
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return theirs
    before = base if isinstance(base, dict) else {}
    changed_here = {k: v for k, v in mine.items() if before.get(k) != v}
    return {**theirs, **changed_here}


def open_device(path: str) -> AsyncSync:
    """Open a device's data; nobody is asked for it, so it works on a plane."""
    pool = os.environ.get("MILLPOND_POOL")
    if not pool:
        sys.exit("MILLPOND_POOL is the id of an identity pool: millpond pool list")
    login = os.environ.get("MILLPOND_LOGIN")
    token = Path(os.environ.get("MILLPOND_TOKEN", "token"))
    return open_sync(
        os.environ.get("MILLPOND_ENDPOINT", "http://127.0.0.1:8014"),
        pool,
        storage=SQLite(path),
        credentials=openid(login, lambda: token.read_text().strip())
        if login
        else guest(),
    )


async def main(path: str, command: str, *words: str) -> int:
    async with open_device(path) as sync:
        settings = sync.dataset("settings", merge=take_both, codec=json_codec())
        if command == "set":
            name, value = words
            settings[name] = value  # on disk now
        elif command == "font":
            settings["font"] = {**settings.get("font", {}), words[0]: words[1]}
        elif command == "show":
            print(f"theme: {settings.get('theme', 'light')}")
            font = {"name": "serif", "size": "12", **settings.get("font", {})}
            print(f"font: {font['size']} points {font['name']}")
        elif command == "sync":
            try:
                report = await settings.sync()
            except SyncError as error:
                print(f"Not now: {error}. What you changed is safe.", file=sys.stderr)
                return 1
            print(f"{len(report.pulled)} came, {len(report.pushed)} went")
        elif command == "follow":
            async for seen in settings.watch():
                for name in seen.report.pulled if seen.report else ():
                    print(f"{name} is now {settings.get(name)}", flush=True)
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) < 2 or COMMANDS.get(arguments[1]) != len(arguments) - 2:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    try:
        raise SystemExit(asyncio.run(main(*arguments)))
    except (SyncError, ValueError) as error:  # a file, an endpoint or a value is none
        sys.exit(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
