"""
A program that uses one file with others, and is killed between any two of its steps.

    crashing.py FILE ENDPOINT POOL IDENTITY KEY SECRET ACKNOWLEDGED NAME crash|work

Each record that it wrote, and that is on disk as far as it was told, becomes a line of
the file ACKNOWLEDGED: key, and value or nothing. `crash`: a child is forked that works
and is killed at its first step, another one that is killed at its second, and so on,
until one comes to its end. `work`: it works until it is told to stop.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

# Loaded before the first fork, so that a child is quick.
import millpond.client.calls
import millpond.client.synchronizing  # noqa: F401
from millpond.client import SQLite, SyncError, fixed, open_sync_blocking
from millpond.client.remote import Remote
from millpond.client.sqlite_storage import Storage

PATH, ENDPOINT, POOL, IDENTITY, KEY, SECRET, ACKNOWLEDGED, NAME, MODE = sys.argv[1:]
CRASHES_MAX = 200


class Steps:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self) -> None:
        self.left = -1

    def step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


STEPS = Steps()


def stepwise(owner: type, name: str) -> None:
    """Make what comes before a function, and what comes after it, steps."""
    function: Callable[..., Any] = getattr(owner, name)

    def call(*args: Any, **options: Any) -> Any:
        STEPS.step()
        result = function(*args, **options)
        STEPS.step()
        return result

    setattr(owner, name, call)


stepwise(Storage, "change")
stepwise(Storage, "_change")  # within the transaction
stepwise(Remote, "perform")


def acknowledge(log: int, key: str, value: str | None) -> None:
    """Write down what the library has promised to keep."""
    os.write(log, f"{key} {value or ''}\n".encode())


def work(number: int) -> None:
    """Write, synchronize, remove and write again; a few times more than are kept."""
    log = os.open(ACKNOWLEDGED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    key = fixed(IDENTITY, KEY, SECRET)
    with open_sync_blocking(
        ENDPOINT, POOL, storage=SQLite(PATH), credentials=key
    ) as sync:
        prefs = sync.dataset("prefs")
        mine, other = f"{NAME}-{number % 3}", f"{NAME}-other"
        prefs[mine] = str(number)
        acknowledge(log, mine, str(number))
        prefs.sync()
        prefs.remove(other)
        acknowledge(log, other, None)
        if number % 2:
            prefs[other] = str(number)
            acknowledge(log, other, str(number))
        prefs.sync()


def crash() -> int:
    """Be killed at each step, until there is none left; say how many there were."""
    for number in range(CRASHES_MAX):
        child = os.fork()
        if not child:
            STEPS.left = number
            try:
                work(number)
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status):
            print(f"{number} steps" if status == 0 else "failed", flush=True)
            return status
    return 1


def go_on() -> int:
    """Work until standard input ends."""
    os.set_blocking(0, False)
    number = 0
    while True:
        try:
            work(number)
        except SyncError as error:
            print(repr(error), flush=True)
            return 1
        number += 1
        print(f"{number} rounds", flush=True)
        try:
            if not os.read(0, 1):
                return 0
        except BlockingIOError:
            continue


sys.exit(crash() if MODE == "crash" else go_on())
