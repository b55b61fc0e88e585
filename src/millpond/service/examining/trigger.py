"""A look at a sync trigger: it is called with an event that says it is a test."""

from __future__ import annotations

import time
from typing import Final

from millpond.contract.examination import Finding
from millpond.core import sync_trigger
from millpond.core.sync import DatasetId
from millpond.core.sync_trigger import AmendedPatch
from millpond.errors import (
    HookError,
    InvalidLambdaFunctionOutputException,
    LimitExceededException,
)
from millpond.limits import SYNC_TRIGGER_S_MAX
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok, warn
from millpond.service.times import ago

TEST_NAME: Final = "millpond-test-event"  # of the dataset, and of its only record
TEST_VALUE: Final = "This is a test event; nothing of it is written."
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
SLOW_S: Final = 2.0
_NAME: Final = "sync trigger"
_LOOK: Final = "Look at what its own log says, and mend it."
_SLOW: Final = f"Make it faster: each update waits, {SYNC_TRIGGER_S_MAX:g} s at most."


def look(context: Context, pool_id: str, target: str) -> Look:
    """Look at the sync trigger of a pool."""
    return Look(_NAME, _call(context, pool_id, target), f"{_SLOW} {_others(pool_id)}")


async def _call(context: Context, pool_id: str, target: str) -> Finding:
    region = pool_id.partition(":")[0]
    patch = AmendedPatch("replace", TEST_NAME, TEST_VALUE, 0, None)
    event = sync_trigger.make_event(
        DatasetId(pool_id, f"{region}:{NOBODY}", TEST_NAME), {}, [patch]
    )
    try:
        await context.hooks.check(target)  # loads what calls it, which is no update's
        started = time.monotonic()
        answer = await context.hooks.call(target, sync_trigger.encode_event(event))
        sync_trigger.read_answer(answer, event, limits=context.limits)
    except HookError as error:
        mend = f"{error.hint or _LOOK} {_others(pool_id)}"
        return fail(_NAME, f"{error.args[0]} Updates of users fail.", mend)
    except (InvalidLambdaFunctionOutputException, LimitExceededException) as error:
        return fail(
            _NAME,
            f"{error} Updates of users fail.",
            "It must answer the event, with changes in datasetRecords alone. "
            f"{_others(pool_id)}",
        )
    return _praise(context, pool_id, target, time.monotonic() - started)


def _praise(context: Context, pool_id: str, target: str, seconds: float) -> Finding:
    text = f"It answers a test event in {round(seconds * 1000)} ms."
    note = context.trigger_notes.find(pool_id, target)
    if seconds > SLOW_S:
        return warn(_NAME, text, f"{_SLOW} {_others(pool_id)}")
    if note.failures and note.failed_ms is not None:
        when = ago(context.now_ms() - note.failed_ms)
        return warn(
            _NAME,
            f"{text} Calls that failed in a row before: {note.failures}, the last one "
            f"{when}: {note.failure}",
            note.hint or _LOOK,
        )
    return ok(_NAME, text)


def _others(pool_id: str) -> str:
    """Say how to set another one, or none, so that updates get through meanwhile."""
    return (
        f"To do without one: `millpond cognito-sync set-cognito-events "
        f"--identity-pool-id {pool_id} --events SyncTrigger=`; another one is set by "
        "its URL or ARN in the same place."
    )
