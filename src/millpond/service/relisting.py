"""
Marks of clients that were refused: `core.relisting` says what they are for.

Neither of these costs anything unless an update was refused, or a caller would be told
to start over.
"""

from __future__ import annotations

from millpond.core import relisting
from millpond.core.sync import Changes, DatasetId, Outcome, SpentSession, StoredDataset
from millpond.service.context import Context
from millpond.service.sync_triggers import Update


async def find_known(
    context: Context, dataset_id: DatasetId, last_sync_count: int
) -> int:
    """Find up to which count a caller has listed that asks from another one; or 0."""
    known = 0
    marks = relisting.mark_ids(dataset_id, last_sync_count, now_ms=context.now_ms())
    for mark in marks:
        found = await context.store.find_spent_session(dataset_id, mark)
        if found is not None:
            known = max(known, found.outcome.sync_count)
    return known


async def remember(context: Context, update: Update) -> None:
    """Leave a mark for the sender of an update that was refused, if it needs one."""
    newest = max((patch.sync_count for patch in update.patches), default=0)
    if newest <= 0:
        return
    dataset_id, known, now_ms = update.dataset_id, update.known, context.now_ms()
    page = await context.store.read_records(dataset_id, lambda dataset: None)
    if page is None or page.dataset is None or not page.dataset.exists:
        return
    if not relisting.needs_mark(newest, known=known, horizon=page.dataset.horizon):
        return
    mark, _ = relisting.mark_ids(dataset_id, newest, now_ms=now_ms)

    def decide(stored: StoredDataset) -> Changes:
        if stored.spent is not None:
            return Changes()
        outcome = Outcome(known, now_ms, update.modified_by)
        return Changes(spent=SpentSession(mark, b"", outcome))

    await context.store.update_dataset(
        dataset_id, keys=(), session_id=mark, decide=decide
    )
