"""What an app waits for when it opens its data."""

from __future__ import annotations

import json
import subprocess
import sys

from processes import SOURCE

PROGRAM = """
import json, sys
from millpond.client import SQLite, guest, open_sync_blocking
sync = open_sync_blocking(
    "http://127.0.0.1:9", "us-east-1:3b1c6a9e-5d3f-4f6e-9b0a-1c2d3e4f5a6b",
    storage=SQLite(sys.argv[1]), credentials=guest(),
)
prefs = sync.dataset("prefs")
prefs.get("colour")
print(json.dumps(sorted(sys.modules)))
prefs["colour"] = "teal"
print(json.dumps(sorted(sys.modules)))
"""
ROOMS = {
    *("server", "service", "stores", "sinks", "sources", "hooks", "push", "workers"),
    *("login_providers", "console", "cli", "settings", "metrics", "contract", "wire"),
}
SLOW = {
    *("asyncio", "apsw", "botocore", "cryptography", "dataclasses", "hashlib"),
    *("http", "inspect", "logging", "msgspec", "ssl", "subprocess", "urllib"),
}
"""What takes longer to load than the whole of an open file."""


def test_an_open_file_loads_little_and_nothing_of_the_server(tmp_path):
    """Rules are loaded with the first write, what calls with the first call."""
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "app.db")],
        env={"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    read, written = map(json.loads, program.stdout.splitlines())

    def roots(names: list[str]) -> set[str]:
        return {name.partition(".")[0] for name in names}

    def rooms(names: list[str]) -> set[str]:
        ours = (name.split(".") for name in names if name.startswith("millpond."))
        return {parts[1] for parts in ours}

    assert not roots(read) & SLOW
    assert not rooms(read) & ROOMS
    assert not rooms(written) & ROOMS
    assert not roots(written) & (SLOW - {"msgspec", "inspect", "dataclasses"})
