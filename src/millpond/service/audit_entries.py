"""Who changed what, for scripts."""

from __future__ import annotations

from millpond.contract import audit as contract
from millpond.errors import InvalidParameterException, NotAuthorizedException
from millpond.service.access import OF_ONE_POOL
from millpond.service.context import Caller, Context
from millpond.service.looking.audit import list_audit
from millpond.stores.base import AuditEntry, AuditFilter

PAGE_DEFAULT = 50
_NAME = "ListAuditEntries"


async def list_audit_entries(
    context: Context, caller: Caller, request: contract.ListAuditEntriesRequest
) -> contract.ListAuditEntriesResponse:
    """List a page of the audit; to a key of one pool, that of its pool."""
    own = caller.scope.identity_pool_id
    pool = request.pool_id or own
    if own is not None and pool != own:
        raise NotAuthorizedException(OF_ONE_POOL)
    limit = PAGE_DEFAULT if request.max_results is None else request.max_results
    if not 1 <= limit <= contract.PAGE_MAX:
        raise InvalidParameterException(
            f"MaxResults is {limit}; it must be from 1 to {contract.PAGE_MAX}."
        )
    before = None
    if request.next_token is not None:
        before = context.pages.read(request.next_token, str, _NAME)
    wanted = AuditFilter(
        identity_pool_id=pool,
        identity_id=request.entry_identity_id,
        access_key_id=request.access_key_id,
        operation=request.operation_name,
        since_ms=_ms(request.start_date),
        until_ms=_ms(request.end_date),
    )
    await context.audit.flush()  # what this server has counted until now
    page = await list_audit(context.store, wanted, before=before, limit=limit)
    token = page.next_position
    return contract.ListAuditEntriesResponse(
        entries=[_shown(each) for each in page.items],
        next_token=None if token is None else context.pages.seal(token, _NAME),
    )


def _ms(epoch_s: float | None) -> int | None:
    return None if epoch_s is None else round(epoch_s * 1000)


def _shown(entry: AuditEntry) -> contract.AuditEntry:
    return contract.AuditEntry(
        entry_id=entry.entry_id,
        date=entry.time_ms / 1000,
        last_date=entry.last_ms / 1000,
        change_count=entry.changes,
        origin=entry.origin,
        access_key_id=entry.access_key_id or None,
        caller_name=entry.caller_name or None,
        operation_name=entry.operation,
        identity_pool_id=entry.identity_pool_id or None,
        identity_id=entry.identity_id or None,
        dataset_name=entry.dataset_name or None,
        target=entry.target or None,
        address=entry.address or None,
        user_agent=entry.user_agent or None,
        request_id=entry.request_id or None,
        result=entry.result,
    )
