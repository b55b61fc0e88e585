"""
Parked changes: trying them again, giving them up, taking them away.

A few are read at a time, however many there are: together they may be large.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec

from millpond.service.looking.outbox import check_parked, find_pool
from millpond.service.times import iso_date
from millpond.stores.base import ParkedEntry, Store

ENTRIES_AT_ONCE: Final = 500  # of which only the ids are needed
WHOLE_AT_ONCE: Final = 8  # each may have a MiB and more

_encode = msgspec.json.Encoder().encode
_Change = Callable[[str, Sequence[int]], Coroutine[Any, Any, int]]


async def retry_parked(
    store: Store, identity_pool_id: str, outbox_ids: Sequence[int] | None
) -> int:
    """
    Let parked changes wait for their stream again; return how many.

    Args:
        outbox_ids: None: all that are parked.
    Raises:
        NotFoundError: there is no such pool, or one of them is not parked; then
            nothing was done.
    """
    change = store.return_parked_outbox
    return await _change(store, identity_pool_id, outbox_ids, change)


async def discard_parked(
    store: Store, identity_pool_id: str, outbox_ids: Sequence[int] | None
) -> int:
    """Give parked changes up; arguments and errors as of `retry_parked`."""
    change = store.delete_parked_outbox
    return await _change(store, identity_pool_id, outbox_ids, change)


async def download_parked(store: Store, identity_pool_id: str) -> AsyncIterator[bytes]:
    """
    Give all parked changes as lines of JSON, the oldest first, line feeds included.

    A line has OutboxId, IdentityPoolId, IdentityId, CreatedDate, ParkedDate, Reason and
    the change as the stream would have got it: `Event`, or, when that is no JSON,
    `Data` in base64.

    Raises:
        NotFoundError: there is no such pool.
    """
    await find_pool(store, identity_pool_id)
    after = 0
    while page := await store.list_parked_outbox(
        identity_pool_id, after=after, limit=WHOLE_AT_ONCE
    ):
        for each in page:
            yield _line(identity_pool_id, each)
        after = page[-1].entry.outbox_id


def _line(identity_pool_id: str, parked: ParkedEntry) -> bytes:
    entry = parked.entry
    return b"%b\n" % _encode(
        {
            "OutboxId": entry.outbox_id,
            "IdentityPoolId": identity_pool_id,
            "IdentityId": entry.identity_id,
            "CreatedDate": iso_date(entry.created_ms or None),
            "ParkedDate": iso_date(parked.parked_ms),
            "Reason": parked.reason,
            **_content(entry.data),
        }
    )


def _content(data: bytes) -> dict[str, Any]:
    try:
        return {"Event": msgspec.json.decode(data)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"Data": base64.b64encode(data).decode()}


async def _change(
    store: Store,
    identity_pool_id: str,
    outbox_ids: Sequence[int] | None,
    change: _Change,
) -> int:
    await find_pool(store, identity_pool_id)
    if outbox_ids is not None:
        chosen = sorted({*outbox_ids})
        for outbox_id in chosen:
            await check_parked(store, identity_pool_id, outbox_id)
        return await change(identity_pool_id, chosen)
    done, after = 0, 0
    while notes := await store.list_outbox_notes(
        identity_pool_id, parked=True, after=after, limit=ENTRIES_AT_ONCE
    ):
        # One that is refused anew meanwhile is behind us, and is not tried twice.
        ids = [each.outbox_id for each in notes]
        done += await change(identity_pool_id, ids)
        after = ids[-1]
    return done
