"""Looking at who changed what."""

from __future__ import annotations

from millpond.service.looking.pages import Page, cut
from millpond.stores.base import AuditEntry, AuditFilter, AuditStore


async def list_audit(
    store: AuditStore, wanted: AuditFilter, *, before: str | None, limit: int
) -> Page[AuditEntry, str]:
    """List a page of the audit, the newest first."""
    found = await store.list_audit_entries(wanted, before=before, limit=limit + 1)
    return cut(found, limit, lambda each: each.entry_id)
