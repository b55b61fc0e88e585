"""
One device of an app on `millpond.client`: a command a line in, an answer a line out.

Its data is in a file, which outlives it. The words are those of `device.js`.
"""

from __future__ import annotations

import contextlib
import json as standard_json
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any

_real, _real_ns = time.time, time.time_ns
_offset_ms = 0
time.time = lambda: _real() + _offset_ms / 1000
time.time_ns = lambda: _real_ns() + _offset_ms * 1_000_000

from millpond.client import (  # noqa: E402 -- they shall see that clock
    SQLite,
    SyncError,
    developer_token,
    encrypted,
    json,
    mine,
    newest,
    open_sync_blocking,
    theirs,
)

KEY = bytes(range(32))


def words(value: Any) -> list[str]:
    """Give the words of a value."""
    return value if isinstance(value, list) else (value or "").split()


class Device:
    """The commands."""

    def __init__(self) -> None:
        self.sync: Any = None
        self.who: tuple[str, str] | None = None  # the user who signed in, if one has
        self.prefs: Any = None
        self.lists = False

    def open(self, told: dict[str, Any]) -> None:
        if self.sync is not None:
            self.sync.close()
        self.lists = told["sealed"]
        self.who = (told["identity_id"], told["token"]) if told["token"] else None
        self.sync = open_sync_blocking(
            told["endpoint"],
            told["pool"],
            region=told["region"],
            storage=SQLite(told["file"]),
            credentials=developer_token(lambda _: self.who),
            retry_s=(3600.0, 3600.0),
        )
        merges = {"union": self.union, "newest": newest, "mine": mine, "theirs": theirs}
        self.prefs = self.sync.dataset(
            "prefs",
            merge=merges[told["merge"]],
            codec=encrypted(json(version=1), KEY) if self.lists else None,
        )

    def joined(self, found: list[str]) -> Any:
        return sorted(set(found)) if self.lists else " ".join(sorted(set(found)))

    def union(self, key: str, base: Any, one: Any, other: Any) -> Any:
        found = [*words(one), *words(other)]
        return self.joined(found) if found else None

    def add(self, told: dict[str, Any]) -> None:
        found = words(self.prefs.get(told["key"]))
        self.prefs[told["key"]] = self.joined([*found, told["word"]])

    def set(self, told: dict[str, Any]) -> None:
        self.prefs[told["key"]] = told["value"]

    def get(self, told: dict[str, Any]) -> Any:
        return self.prefs.get(told["key"])

    def remove(self, told: dict[str, Any]) -> None:
        self.prefs.pop(told["key"], None)

    def delete(self, told: dict[str, Any]) -> None:
        self.prefs.delete()

    def values(self, told: dict[str, Any]) -> dict[str, str]:
        return {key: " ".join(sorted(words(v))) for key, v in self.prefs.items()}

    def sync_(self, told: dict[str, Any]) -> dict[str, Any]:
        try:
            report = self.prefs.sync()
        except SyncError as error:
            return {"failed": f"{type(error).__name__}: {error}"}
        return {
            "pulled": report.pulled,
            "pushed": report.pushed,
            "merged": report.merged,
            "set_aside": dict(report.set_aside),
            "failed": None,
        }

    def unsent(self, told: dict[str, Any]) -> list[str]:
        return list(self.prefs.status.unsent)

    def identity(self, told: dict[str, Any]) -> Any:
        return self.sync.identity_id

    def sign_in(self, told: dict[str, Any]) -> None:
        self.who = (told["identity_id"], told["token"])
        with contextlib.suppress(SyncError):  # it is tried again
            self.sync.sign_in()

    def clock(self, told: dict[str, Any]) -> None:
        global _offset_ms
        _offset_ms = told["offset_ms"]

    def die_at(self, told: dict[str, Any]) -> None:
        # Writes of a database are nobody's business, so it is so many milliseconds.
        def die() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        threading.Timer(told["write"] / 1000, die).start()


def main() -> None:
    """Answer commands until there are none."""
    device = Device()
    printing = threading.Lock()

    def perform(told: dict[str, Any]) -> None:
        do = getattr(device, {"sync": "sync_"}.get(told["do"], told["do"]))
        try:
            answer = {"result": do(told)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        with printing:
            print(standard_json.dumps({"id": told["id"], **answer}), flush=True)

    for line in sys.stdin:
        told = standard_json.loads(line)
        if told["do"] == "sync":  # an app writes while it synchronizes
            threading.Thread(target=perform, args=(told,), daemon=True).start()
        else:
            perform(told)


if __name__ == "__main__":
    main()
