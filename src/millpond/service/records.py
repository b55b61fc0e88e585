"""Records: ListRecords and UpdateRecords, the two halves of a sync."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import cast

import msgspec

from millpond import limits
from millpond.contract.cognito_sync import (
    NEXT_SESSION,
    ListRecordsRequest,
    ListRecordsResponse,
    Record,
    RecordPatch,
    UpdateRecordsRequest,
    UpdateRecordsResponse,
    UpdateRecordsResponseWithSession,
)
from millpond.core import streaming, sync
from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    Listing,
    Notice,
    Outcome,
    SpentSession,
    StoredDataset,
    StoredRecord,
    SyncLimits,
)
from millpond.core.sync_trigger import Verdict
from millpond.core.tokens import SyncSession
from millpond.errors import InvalidParameterException, ResourceConflictException
from millpond.service import heavy, relisting, sync_triggers, tombstones
from millpond.service.context import Caller, Context
from millpond.service.paging import page_size
from millpond.service.refusals import pool_not_found
from millpond.service.sync_triggers import Update, VerdictMissingError
from millpond.stores.base import RecordPage, RecordRange
from millpond.stores.importing import ImportStore

_encode = msgspec.json.Encoder().encode


class _Place(msgspec.Struct, array_like=True, gc=False):
    """What a page token holds: the snapshot of the first page, and where it stopped."""

    listing: Listing
    sync_count: int
    key: str
    session_token: str
    horizon: int = 0


async def list_records(
    context: Context, caller: Caller, request: ListRecordsRequest
) -> ListRecordsResponse:
    """
    List what changed in a dataset after a sync count.

    Without MaxResults everything is in one answer, because the iOS client cannot page.
    With it, all pages show the dataset as of the first (ruling 4).
    """
    dataset_id = DatasetId(
        request.identity_pool_id, request.identity_id, request.dataset_name
    )
    now_ms = context.now_ms()
    place: _Place | None = None
    session: SyncSession | None = None
    if request.next_token is not None:
        place = context.pages.read(request.next_token, _Place, *_names(dataset_id))
        session = context.sessions.read(place.session_token, dataset_id, now_ms=now_ms)
    elif request.sync_session_token is not None:
        session = await _resume_session(
            context, request.sync_session_token, dataset_id, now_ms
        )
    limit = page_size(request.max_results, most=limits.PAGE_RECORDS_MAX)
    # One more than asked for tells whether there is another page.
    fetched = None if limit is None else limit + 1
    listings: list[Listing] = []

    known, after = 0, request.last_sync_count or 0
    self_heal = context.settings.self_heal_sync_counts

    def select(dataset: DatasetState | None) -> RecordRange | None:
        if place:
            listing = place.listing
            sync.check_page(listing, place.horizon, dataset)
        else:
            listing = sync.listing(dataset, after, self_heal=self_heal, known=known)
        listings.append(listing)
        if not listing.exists:
            return None
        return RecordRange(
            after=listing.after,
            up_to=listing.up_to,
            position=(place.sync_count, place.key) if place else None,
            limit=fetched,
        )

    expected = RecordRange(
        after=place.listing.after if place else after,
        up_to=place.listing.up_to if place else limits.LONG_MAX,
        position=(place.sync_count, place.key) if place else None,
        limit=fetched,
    )
    page = await context.store.read_records(dataset_id, select, expected=expected)
    if (
        page is not None
        and place is None
        and listings[-1].deleted
        and listings[-1].exists
    ):
        known = await relisting.find_known(context, dataset_id, after)
        if known:
            page = await context.store.read_records(dataset_id, select)
    if page is None:
        raise pool_not_found(request.identity_pool_id)
    if session is None:
        known = listings[-1].dataset_sync_count
        session = context.sessions.issue(dataset_id, now_ms=now_ms, known=known)
    if page.dataset is None and after > 0:
        listings.append(await _listing_of_elsewhere(context, request, listings[-1]))
    if request.next_token is None and request.sync_session_token is None:
        context.sync_sessions.add(request.identity_pool_id)
    next_token = None
    if limit is not None and len(page.records) > limit:
        del page.records[limit:]
        last = page.records[-1]
        horizon = 0
        if place is not None:
            horizon = place.horizon
        elif page.dataset is not None:
            horizon = page.dataset.horizon
        next_token = context.pages.seal(
            _Place(listings[-1], last.sync_count, last.key, session.token, horizon),
            *_names(dataset_id),
        )
    if len(page.records) <= heavy.ITEMS_MAX:
        return _list_response(page, listings[-1], session, next_token)
    return await heavy.run(_list_response, page, listings[-1], session, next_token)


def _names(dataset_id: DatasetId) -> tuple[str, ...]:
    """Name what a page token is a position in."""
    return (*msgspec.structs.astuple(dataset_id), "ListRecords")


async def _listing_of_elsewhere(
    context: Context, request: ListRecordsRequest, listing: Listing
) -> Listing:
    """
    Say what a caller is shown who knows a dataset that was never here.

    In a pool that moved in, it knows it from there, where it was deleted before the
    move; nothing else tells the JavaScript client, which otherwise goes on sending
    what nobody can take.
    """
    store = cast("ImportStore", context.store)
    if await store.find_import(request.identity_pool_id) is None:
        return listing
    return msgspec.structs.replace(listing, deleted=True)


async def _resume_session(
    context: Context, token: str, dataset_id: DatasetId, now_ms: int
) -> SyncSession:
    """
    Go on with a session, as the iOS client does when it lists again.

    Raises:
        InvalidParameterException: the token is not valid, or an update has used it.
    """
    session = context.sessions.read(token, dataset_id, now_ms=now_ms)
    spent = await context.store.find_spent_session(dataset_id, session.session_id)
    if spent is not None:
        raise InvalidParameterException("SyncSessionToken not valid for these inputs")
    return session


def _list_response(
    page: RecordPage, listing: Listing, session: SyncSession, next_token: str | None
) -> ListRecordsResponse:
    records = [_record(each) for each in page.records]
    return ListRecordsResponse(
        records=records,
        next_token=next_token,
        count=len(records),
        dataset_sync_count=listing.dataset_sync_count,
        last_modified_by=(
            page.dataset.last_modified_by if page.dataset and listing.exists else None
        ),
        merged_dataset_names=list(page.merged_dataset_names) or None,
        dataset_exists=listing.exists,
        dataset_deleted_after_requested_sync_count=listing.deleted,
        sync_session_token=session.token,
    )


async def update_records(
    context: Context, caller: Caller, request: UpdateRecordsRequest
) -> UpdateRecordsResponse:
    """Change records of a dataset, all of them or none."""
    dataset_id = DatasetId(
        request.identity_pool_id, request.identity_id, request.dataset_name
    )
    session = context.sessions.read(
        request.sync_session_token, dataset_id, now_ms=context.now_ms()
    )
    patches = request.record_patches or []
    is_large = len(patches) > heavy.ITEMS_MAX
    if is_large:
        request_sha256 = await heavy.run(_check_and_hash, request, context.limits)
    else:
        request_sha256 = _check_and_hash(request, context.limits)
    update = Update(
        dataset_id=dataset_id,
        patches=patches,
        session_id=session.session_id,
        known=session.known,
        request_sha256=request_sha256,
        device_id=request.device_id,
        modified_by=request.device_id or caller.name,
        # AWS: not for developer credentials (developer guide, Cognito Events).
        by_trigger=caller.session is not None and bool(patches),
    )
    try:
        changes = await _update(context, update)
    except ResourceConflictException:
        await relisting.remember(context, update)
        raise
    if changes is None:
        raise pool_not_found(request.identity_pool_id)
    if changes.event is not None:
        context.outbox_changed.send()
    if changes.notice is not None:
        context.pushes_changed.send()
    context.changes.publish(dataset_id, changes.dataset)
    if changes.too_many_tombstones:  # it may fail; the update is told of by now
        await tombstones.drop_oldest(context, dataset_id)
    assert changes.outcome is not None
    if is_large:
        records = await heavy.run(_updated_records, patches, changes.outcome)
    else:
        records = _updated_records(patches, changes.outcome)
    if request.client_context != NEXT_SESSION:
        return UpdateRecordsResponse(records=records)
    # Ours: who knows all that there is by this answer need not list to go on.
    count = changes.outcome.sync_count
    following = count == session.known + 1
    return UpdateRecordsResponseWithSession(
        records=records,
        sync_session_token=(
            context.sessions.issue(
                dataset_id, now_ms=context.now_ms(), known=count
            ).token
            if following
            else None
        ),
    )


def _check_and_hash(request: UpdateRecordsRequest, limits: SyncLimits) -> bytes:
    """
    Refuse patches that are wrong in themselves; give a hash of what is asked for.

    Ruling 12: it tells a repeated request, whose answer was lost, from another one that
    comes with the same session.
    """
    patches = request.record_patches or []
    sync.check_patches(patches, limits=limits)
    return hashlib.sha256(_encode((request.device_id, patches))).digest()


async def _update(context: Context, update: Update) -> Changes | None:
    """Write an update, through the sync trigger where there is one for it."""
    if update.dataset_id.identity_pool_id not in context.triggered_pools:
        try:
            return await _write(context, update)
        except VerdictMissingError:
            pass
    elif not update.by_trigger:
        return await _write(context, update)
    for _ in range(sync_triggers.ATTEMPTS_MAX):
        verdict = await sync_triggers.ask(context, update)
        with contextlib.suppress(VerdictMissingError):
            return await _write(context, update, verdict)
    raise sync_triggers.too_many_changes(update.dataset_id)


async def _write(
    context: Context, update: Update, verdict: Verdict | None = None
) -> Changes | None:
    """
    Write an update as its session, its patches and the verdict on them have it.

    Raises:
        VerdictMissingError: a sync trigger has to be asked first.
    """
    now_ms = context.now_ms()

    def decide(stored: StoredDataset) -> Changes:
        known = sync.spend_session(stored, update.session_id, update.request_sha256)
        if known is not None:
            return Changes(outcome=known)
        changes = _apply(context, update, verdict, stored, now_ms)
        assert changes.outcome is not None
        if stored.streaming and changes.records:
            changes.event = streaming.update_event(
                update.dataset_id,
                changes.records,
                sync_count=changes.outcome.sync_count,
                last_modified_date_ms=now_ms,
            )
        if stored.subscribed and changes.records:
            changes.notice = Notice(writer=update.device_id)
        changes.spent = SpentSession(
            update.session_id, update.request_sha256, changes.outcome
        )
        return changes

    return await context.store.update_dataset(
        update.dataset_id,
        keys=update.keys if verdict is None else update.keys_with(verdict),
        session_id=update.session_id,
        decide=decide,
        count_tombstones=_removes(update, verdict),
    )


def _removes(update: Update, verdict: Verdict | None) -> bool:
    """Whether there may be more tombstones afterwards."""
    patches = update.patches if verdict is None else verdict.patches
    return "remove" in [patch.op for patch in patches]


def _apply(
    context: Context,
    update: Update,
    verdict: Verdict | None,
    stored: StoredDataset,
    now_ms: int,
) -> Changes:
    if update.by_trigger and stored.sync_trigger is not None:
        return sync_triggers.apply(context, update, verdict, stored, now_ms)
    if not update.patches:  # ruling 1: no patches, no new count
        return Changes(outcome=Outcome(0, now_ms, update.modified_by))
    return sync.apply_patches(
        stored,
        update.patches,
        dataset_name=update.dataset_id.dataset_name,
        now_ms=now_ms,
        modified_by=update.modified_by,
        limits=context.limits,
        known=update.known,
    )


def _record(stored: StoredRecord) -> Record:
    device_date_ms = stored.device_last_modified_date_ms
    return Record(
        key=stored.key,
        value=stored.value,
        sync_count=stored.sync_count,
        last_modified_date=stored.last_modified_date_ms / 1000,
        last_modified_by=stored.last_modified_by,
        device_last_modified_date=(
            None if device_date_ms is None else device_date_ms / 1000
        ),
    )


def _updated_records(patches: Sequence[RecordPatch], outcome: Outcome) -> list[Record]:
    """Answer a record for each patch, then those that a sync trigger wrote besides."""
    date = outcome.last_modified_date_ms / 1000
    if not outcome.amended:
        return [_patched_record(patch, outcome, date) for patch in patches]
    amended = {record.key: record for record in outcome.amended}
    records = []
    for patch in patches:
        record = amended.pop(patch.key, None)
        records.append(
            _record(record) if record else _patched_record(patch, outcome, date)
        )
    return [*records, *map(_record, amended.values())]


def _patched_record(patch: RecordPatch, outcome: Outcome, date: float) -> Record:
    """
    Echo a patch with what the update stamped on it; removes are echoed too.

    Args:
        date: of the update, epoch seconds.
    """
    device_date = patch.device_last_modified_date
    return Record(
        key=patch.key,
        value=patch.value if patch.op == "replace" else None,
        sync_count=outcome.sync_count,
        last_modified_date=date,
        last_modified_by=outcome.last_modified_by,
        device_last_modified_date=(
            None if device_date is None else sync.round_s(device_date)
        ),
    )
