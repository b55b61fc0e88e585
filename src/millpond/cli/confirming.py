"""Asking before something is done that cannot be undone."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys

from millpond.errors import MillpondError


class NotConfirmedError(MillpondError):
    """Nobody has said that it is to be done."""


def add_yes_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that answers the question beforehand."""
    parser.add_argument("--yes", action="store_true", help="do it without asking")


def ask_for(word: str, *, what: str, yes: bool) -> None:
    """
    Let a person type a word before something is done.

    Args:
        what: is done, as in "delete it".
        yes: it was said on the command line already.
    Raises:
        NotConfirmedError: another word was typed, or there is nobody to ask.
    """
    if yes:
        return
    if not can_be_asked():
        raise NotConfirmedError(f"nobody can be asked here; --yes says to {what}.")
    sys.stdout.flush()
    if ask(f"To {what}, type {word}\n> ").strip().lower() != word.lower():
        raise NotConfirmedError("that is something else; nothing was done.")


def can_be_asked() -> bool:
    """Say whether somebody would see a question, and could answer it."""
    return all(each and each.isatty() for each in (sys.stdin, sys.stderr))


def ask(question: str) -> str:
    """Put a question, and give back the line that was answered; empty: none was."""
    # asyncio would keep Ctrl-C until the line was read; who sees the question may press
    # it at once.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        _wait_for_a_line()
        return sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_for_a_line() -> None:
    """
    Wait until there is something to read, or a signal.

    A signal that comes just before a read begins would not end it.
    """
    try:
        terminal = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # a program stands for somebody
        return
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.set_wakeup_fd(wake)
    try:
        select.select([terminal, woken], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wake)
