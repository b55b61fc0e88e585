"""How looks are taken: at the same time, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Final, NamedTuple

import structlog

from millpond.contract.examination import Finding
from millpond.service.patience import leave

LOOKS_S_MAX: Final = 7.0  # below the 10 s that `millpond doctor` waits
_LOG: Final = "Look into the log of the server."
_log = structlog.get_logger()


class Look(NamedTuple):
    """
    A look that is being taken.

    Args:
        mend: what to do when it does not come to an end in time.
    """

    name: str
    finding: Awaitable[Finding]
    mend: str = _LOG


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding(name=name, status="OK", text=text)


def warn(name: str, text: str, mend: str) -> Finding:
    """It works, and yet."""
    return Finding(name=name, status="WARN", text=text, mend=mend or _LOG)


def fail(name: str, text: str, mend: str) -> Finding:
    """Calls cannot succeed like this."""
    return Finding(name=name, status="FAIL", text=text, mend=mend or _LOG)


async def take(
    looks: Iterable[Look], *, seconds_max: float = LOOKS_S_MAX
) -> list[Finding]:
    """Take looks at the same time; give the findings in the order of the looks."""
    tasks = [(each, asyncio.ensure_future(each.finding)) for each in looks]
    if not tasks:
        return []
    # A look may be on a thread that nothing ends; it is left to itself then.
    await asyncio.wait([task for _, task in tasks], timeout=seconds_max)
    return [_result(look, task, seconds_max) for look, task in tasks]


def _result(look: Look, task: asyncio.Future[Finding], seconds_max: float) -> Finding:
    if not task.done():
        leave(task)
        return fail(look.name, f"No answer within {seconds_max:g} s.", look.mend)
    error = task.exception()
    if error is None:
        return task.result()
    _log.error("look.failed", name=look.name, error=str(error), exc_info=error)
    return fail(look.name, f"The look itself failed: {type(error).__name__}.", _LOG)
