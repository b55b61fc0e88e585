"""
The sync trigger in UpdateRecords: rehearse, ask the hook, and write if it still holds.

Theory of operation. A hook takes its time, and nothing may wait for it inside a
transaction. So the dataset is read, the patches are tried on it, and the hook is asked
what it makes of them. Its verdict is about the dataset as it was read. The transaction
applies it when the dataset is still that one, and the hook still that of the pool;
otherwise all of it is done again, at most three times.

Whether a pool has a trigger, the transaction tells: it reads the pool anyway. A pool
without one costs nothing more, and a trigger works from the moment that it is set, on
any node. Pools that turned out to have one are remembered, so that their hook is asked
first; a wrong memory costs one more look and changes no outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from millpond import limits
from millpond.contract.cognito_sync import RecordPatch
from millpond.core import sync, sync_trigger
from millpond.core.sync import Changes, DatasetId, DatasetState, StoredDataset
from millpond.core.sync_trigger import TriggerEvent, TriggerRecord, Verdict
from millpond.errors import (
    HookError,
    HookThrottledError,
    HookTimeoutError,
    HookUnreachableError,
    InvalidLambdaFunctionOutputException,
    LambdaSocketTimeoutException,
    LambdaThrottledException,
    LimitExceededException,
    ResourceConflictException,
    ServiceException,
)
from millpond.service.context import Context
from millpond.stores.base import RecordPage, RecordRange

_log = structlog.get_logger()

ATTEMPTS_MAX: Final = 3
_ALL_RECORDS: Final = RecordRange(after=0, up_to=limits.LONG_MAX)


class VerdictMissingError(Exception):
    """The pool has a trigger, and what it said is not there or out of date."""


class Update(msgspec.Struct, frozen=True, gc=False):
    """An update as its caller sent it."""

    dataset_id: DatasetId
    patches: Sequence[RecordPatch]
    session_id: bytes
    request_sha256: bytes
    device_id: str | None
    modified_by: str
    known: int  # the sync count that its sender has listed
    by_trigger: bool  # whether it has to go through the trigger of the pool

    @property
    def keys(self) -> list[str]:
        """The keys of the records that it names."""
        return [patch.key for patch in self.patches]

    def keys_with(self, verdict: Verdict) -> list[str]:
        """The same, and those that the hook wrote besides."""
        return [*{*self.keys, *(patch.key for patch in verdict.patches)}]


async def ask(context: Context, update: Update) -> Verdict | None:
    """
    Ask the hook of the pool what it makes of an update.

    Returns:
        None when there is nothing to ask: no pool, no trigger, or the update was made
        before and only its answer was lost.
    Raises:
        ResourceConflictException, LimitExceededException: the patches cannot be applied
            in the first place.
        LambdaSocketTimeoutException, LambdaThrottledException: of the hook.
        InvalidLambdaFunctionOutputException: it failed, or answered badly.
    """
    pool_id = update.dataset_id.identity_pool_id
    pool = await context.store.find_identity_pool(pool_id)
    if pool is None or pool.sync_trigger is None:
        context.triggered_pools.discard(pool_id)
        return None
    context.triggered_pools.add(pool_id)
    spent = await context.store.find_spent_session(update.dataset_id, update.session_id)
    if spent is not None:
        return None
    page = await context.store.read_records(
        update.dataset_id, _everything, expected=_ALL_RECORDS
    )
    if page is None:
        return None
    await _rehearse(context, update, page)
    records = {record.key: record for record in page.records}
    event = sync_trigger.make_event(update.dataset_id, records, update.patches)
    answered = await _call(context, pool_id, pool.sync_trigger, event)
    patches = sync_trigger.amend(update.patches, records, answered)
    return Verdict(pool.sync_trigger, page.dataset, patches)


def too_many_changes(dataset_id: DatasetId) -> ResourceConflictException:
    """Word the refusal of an update that others were always faster than."""
    return ResourceConflictException(
        f"Dataset '{dataset_id.dataset_name}' changed {ATTEMPTS_MAX} times while the "
        "sync trigger was asked."
    )


def apply(
    context: Context,
    update: Update,
    verdict: Verdict | None,
    stored: StoredDataset,
    now_ms: int,
) -> Changes:
    """
    Apply what the hook made of an update; called inside the transaction.

    Raises:
        VerdictMissingError: the hook has to be asked first.
    """
    if verdict is None or not verdict.is_about(stored):
        raise VerdictMissingError
    return sync_trigger.apply(
        stored,
        update.patches,
        verdict,
        dataset_name=update.dataset_id.dataset_name,
        now_ms=now_ms,
        modified_by=update.modified_by,
        limits=context.limits,
        known=update.known,
    )


def _everything(dataset: DatasetState | None) -> RecordRange | None:
    if dataset is None or not dataset.exists:
        return None
    return _ALL_RECORDS


async def _rehearse(context: Context, update: Update, page: RecordPage) -> None:
    """Refuse what would be refused anyway before the hook hears of it."""
    live_datasets = 0
    if page.dataset is None or not page.dataset.exists:
        found = await context.store.list_datasets(
            update.dataset_id.identity_pool_id,
            update.dataset_id.identity_id,
            after=None,
            limit=None,
        )
        live_datasets = sum(
            each.state.root_dataset_name is None for each in found or ()
        )
    sync.apply_patches(
        StoredDataset(
            page.dataset,
            {record.key: record for record in page.records},
            live_datasets,
            spent=None,
            streaming=False,
        ),
        update.patches,
        dataset_name=update.dataset_id.dataset_name,
        now_ms=context.now_ms(),
        modified_by=update.modified_by,
        limits=context.limits,
        known=update.known,
    )


async def _call(
    context: Context, pool_id: str, target: str, event: TriggerEvent
) -> dict[str, TriggerRecord]:
    try:
        answer = await context.hooks.call(target, sync_trigger.encode_event(event))
        records = sync_trigger.read_answer(answer, event, limits=context.limits)
    except (InvalidLambdaFunctionOutputException, LimitExceededException) as error:
        _note_failure(context, pool_id, target, error, "invalid", hint="")
        raise
    except HookError as error:
        # What went wrong is for the developer; a user has no business with it.
        outcome, exception = _outcome(error)
        _note_failure(context, pool_id, target, error, outcome, hint=error.hint)
        raise exception from error
    context.trigger_notes.answered(pool_id, target, now_ms=context.now_ms())
    context.metrics.sync_triggers.labels("answered").inc()
    return records


def _note_failure(
    context: Context,
    pool_id: str,
    target: str,
    error: Exception,
    outcome: str,
    *,
    hint: str,
) -> None:
    """Tell whoever looks: by the log, by a metric, and by the details of the pool."""
    _log.warning(
        "sync_trigger.failed",
        identity_pool_id=pool_id,
        error=error.logged if isinstance(error, ServiceException) else str(error),
        hint=hint
        or f"millpond doctor --identity-pool-id {pool_id} calls it with a test event.",
    )
    context.metrics.sync_triggers.labels(outcome).inc()
    now_ms = context.now_ms()
    context.trigger_notes.failed(pool_id, target, str(error), hint, now_ms=now_ms)


def _outcome(error: HookError) -> tuple[str, ServiceException]:
    """Name a failure as the metric does, and as the caller sees it."""
    match error:
        case HookTimeoutError():
            return "timeout", LambdaSocketTimeoutException()
        case HookThrottledError():
            return "throttled", LambdaThrottledException()
        case HookUnreachableError():
            return "unreachable", InvalidLambdaFunctionOutputException()
        case _:
            return "refused", InvalidLambdaFunctionOutputException()
