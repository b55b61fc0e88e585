"""Ports for servers of tests that cannot find one themselves."""

from __future__ import annotations

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """
    Find ports of 127.0.0.1 that nobody listens on just now.

    Nobody keeps them: another program may take one first. What can listen on port 0
    should, and say where it is.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def free_port() -> int:
    """Find one; as `free_ports`."""
    return free_ports(1)[0]
