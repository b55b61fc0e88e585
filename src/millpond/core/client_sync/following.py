"""
What a guest wrote follows into the account, when the identities become one.

Theory of operation
-------------------
The server has what the guest had pushed: under the dataset's own name where the
account had none of it, else as a merged dataset beside it, `<name>.<guest's id>`. The
device has what was not pushed yet, and cannot know which of the two it will find. So
what followed is compared with everything that the account has: the count is 0, the next
listing tells the whole, and whatever was pushed goes out anew after that.

1. A value that the guest had not pushed keeps the base it was written on, with a count
   of nobody (`ELSEWHERE`): where the listing has that base, it is the guest's own.
2. A value that was pushed counts as written here; it is there all the time, until the
   listing shows the same or the merged dataset brings it.
3. A removal holds against the value that it removed, and against no other.
4. What both have is merged as what a merged dataset brings: last written wins, or the
   app's own merge decides.
5. The merged dataset is known up to where the guest had pulled it, so what it removed
   does not come back.

A deletion of the whole dataset that the guest never sent does not follow: what it was
about may be the account's by now.
"""

from __future__ import annotations

import msgspec

from millpond.core.client_sync.copies import (
    ELSEWHERE,
    Aside,
    Copy,
    LocalRecord,
    Merge,
    RemoteRecord,
)

replace = msgspec.structs.replace


def follow(account: Copy, guest: Copy, merged_name: str, merge: Merge) -> Copy:
    """
    Take a guest's copy of a dataset into the account's.

    Args:
        merged_name: what the guest's dataset is called beside one of the account's.
    Returns:
        What the account has now. The guest's copy is to be dropped in the same step.
    """
    records = dict(account.records)
    for key, theirs in guest.records.items():
        after = _join(key, records.get(key), theirs, merge)
        if after is not None:
            records[key] = after
    absorbed = dict(account.absorbed)
    if guest.sync_count:
        absorbed[merged_name] = guest.sync_count
    return replace(
        account,
        records=records,
        sync_count=0,
        sent=None,
        absorbed=absorbed,
        token=None,
    )


def _join(
    key: str, mine: LocalRecord | None, theirs: LocalRecord, merge: Merge
) -> LocalRecord | None:
    """Bring a guest's record together with the account's; `None`: that one stays."""
    if theirs.value is None:
        return _remove(mine, theirs)
    if mine is None or (mine.value is None and not mine.dirty):
        if theirs.dirty and theirs.base is not None:
            return replace(theirs, base_count=ELSEWHERE, refused=None)
        return LocalRecord(
            theirs.value,
            dirty=True,
            edit=theirs.edit + 1,
            modified_ms=theirs.modified_ms,
        )
    if mine.value == theirs.value:
        return None
    other = RemoteRecord(key, theirs.value, 0, theirs.modified_ms)
    value = merge(key, None, mine, other)
    if isinstance(value, Aside):
        if mine.dirty:
            return None
        # The account's is at the server; what the guest wrote is nowhere else.
        return LocalRecord(
            theirs.value,
            dirty=True,
            edit=theirs.edit + 1,
            modified_ms=theirs.modified_ms,
            refused=value.code,
        )
    if value is None or value == mine.value:
        return None
    return replace(
        mine,
        value=value,
        dirty=True,
        edit=mine.edit + 1,
        modified_ms=max(mine.modified_ms, theirs.modified_ms),
        refused=None,
    )


def _remove(mine: LocalRecord | None, theirs: LocalRecord) -> LocalRecord | None:
    if not theirs.dirty or theirs.base is None:
        return None
    if mine is None:
        return replace(theirs, base_count=ELSEWHERE, refused=None)
    if mine.dirty or mine.value != theirs.base:
        return None
    return replace(
        mine,
        value=None,
        dirty=True,
        edit=mine.edit + 1,
        modified_ms=theirs.modified_ms,
    )
