"""
What a device keeps of a dataset, and what may become of it.

Theory of operation
-------------------
A device keeps each record three times over: the value that the app sees, the value that
the server last told (`base`), and the count of that one. The record is *dirty* while
the two differ in intent; a write of the app is never anything but that. So nothing the
app wrote can be overwritten unseen: what comes from the server meets a dirty record in
a three-way merge, and only where both sides changed is anybody asked.

1. Theirs is what mine became as well: settled (the answer to our own push was lost).
2. Theirs has the base's value: mine stays, on the new count.
3. Mine is the base's value again: theirs counts.
4. Both differ: the merge of the app decides; what it makes of them is dirty, unless it
   is theirs.

A dataset that was deleted, or whose tombstones expired, drops what is clean here and
keeps what is dirty, as additions: the app was told that those are saved.

What the app cannot read it cannot merge: a record of theirs from a newer app, or under
another key. Such a conflict waits (`Aside`) until the app can.

A server that was put back to an older day (`rewound`) has lost what it acknowledged.
Whatever this device still knows of it becomes dirty again.

Source: rulings 1 to 12; `core.sync` is the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

import msgspec

replace = msgspec.structs.replace

ELSEWHERE: Final = -1
"""As `base_count`: the base is one that the server told to another identity."""


class LocalRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A record as the device has it; without a value it is removed.

    Args:
        base: the value that the server last told; `None`: it has none.
        base_count: the sync count of that; 0: the server never told of the key;
            `ELSEWHERE` until the next listing, which is whole (`following`).
        edit: raised by each write, so that one made while a push is under way counts.
        modified_ms: when the app wrote it, by the clock of the device.
        refused: the code of the error for which it was set aside.
    """

    value: str | None = None
    base: str | None = None
    base_count: int = 0
    dirty: bool = False
    edit: int = 0
    modified_ms: int = 0
    refused: str | None = None


class RemoteRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record as the server tells it; a tombstone has no value."""

    key: str
    value: str | None = None
    sync_count: int = 0
    modified_ms: int = 0  # by the device that wrote it, or by the server


class RecordPatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for one record."""

    op: Literal["replace", "remove"]
    key: str
    sync_count: int
    value: str | None = None
    modified_ms: int = 0
    edit: int = 0  # not sent; of the write that this patch brings


class Sent(msgspec.Struct, frozen=True):
    """
    An update that was sent, and whose answer is not here yet.

    It is kept, and sent again as it is: the server then gives the answer it gave. With
    new patches in its place a device whose answer was lost would take its own write for
    another's, and the answer of somebody who saw it for a conflict.
    """

    token: str
    patches: tuple[RecordPatch, ...]


class Copy(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A dataset on a device.

    Args:
        sync_count: up to which everything was pulled.
        deleting: the app deleted the dataset, and the server does not know.
        absorbed: merged datasets whose records are in here, to be deleted there; up to
            which sync count.
        token: of a session that the answer to an update began, for the next one.
    """

    sync_count: int = 0
    records: dict[str, LocalRecord] = {}
    sent: Sent | None = None
    deleting: bool = False
    absorbed: dict[str, int] = {}
    token: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """What the app sees."""
        return {k: r.value for k, r in self.records.items() if r.value is not None}

    @property
    def unsent(self) -> list[str]:
        """
        The keys that the server does not have as they are here.

        What was written and removed before it was sent is none of them.
        """
        return [
            key
            for key, record in self.records.items()
            if record.dirty and not (self.sent is None and _is_nothing(record))
        ]


class Aside(msgspec.Struct, frozen=True):
    """
    In place of a merged value: neither may replace the other one.

    As where theirs cannot be read here. Mine stays and is set aside under this code;
    theirs stays at the server, unseen and whole.
    """

    code: str


Merge = Callable[[str, str | None, LocalRecord, RemoteRecord], str | Aside | None]
"""Of a key, its base, mine and theirs: the value that both become. Pure."""

UNREADABLE: Final = "Unreadable"
"""The code of what is set aside because this app cannot read what the server has."""


def newest(
    key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
) -> str | None:
    """Take what was written last; of one moment the greater value, on all devices."""
    ours = (mine.modified_ms, mine.value is not None, mine.value or "")
    other = (theirs.modified_ms, theirs.value is not None, theirs.value or "")
    return mine.value if ours > other else theirs.value


def write(copy: Copy, key: str, value: str | None, *, now_ms: int) -> Copy:
    """
    Set a record, or remove it (`None`). To be stored before the app is answered.

    What was set aside goes out again once it is written anew.
    """
    before = copy.records.get(key, LocalRecord())
    record = replace(
        before,
        value=value,
        dirty=True,
        edit=before.edit + 1,
        modified_ms=now_ms,
        refused=None,
    )
    return replace(copy, records={**copy.records, key: record})


def delete(copy: Copy) -> Copy:
    """Delete the dataset, here now and there with the next synchronization."""
    return replace(copy, records={}, sent=None, absorbed={}, deleting=True, token=None)


class Pulled(msgspec.Struct, frozen=True):
    """What a listing did to a copy: the keys that changed, and those merged."""

    copy: Copy
    changed: tuple[str, ...]
    merged: tuple[str, ...]


def pull(
    copy: Copy,
    listed: Iterable[RemoteRecord],
    sync_count: int,
    merge: Merge,
    *,
    whole: bool = False,
    rewound: bool = False,
) -> Pulled:
    """
    Take in a listing, all pages of it.

    Args:
        sync_count: the dataset's, of the last page.
        whole: it has all that there is, so what it lacks is gone.
        rewound: the server lost what it had acknowledged; implies `whole`.
    """
    known = {each.key: each for each in listed}
    records = dict(copy.records)
    changed: list[str] = []
    merged: list[str] = []
    if whole or rewound:
        for key, record in copy.records.items():
            if key in known and not rewound:
                continue
            kept = _without_base(record, rewound=rewound)
            if kept is None:
                del records[key]
                changed += [key] if record.value is not None else []
            else:
                records[key] = kept
    for key, theirs in known.items():
        mine = records.get(key)
        after, asked = _meet(key, mine, theirs, merge)
        if asked:
            merged.append(key)
        if after.value != (mine.value if mine else None):
            changed.append(key)
        records[key] = after
    settled = {k: r for k, r in records.items() if not _is_nothing(r)}
    return Pulled(
        replace(
            copy,
            records=settled,
            sync_count=sync_count,
            token=None if whole or rewound else copy.token,
        ),
        tuple(changed),
        tuple(merged),
    )


def _without_base(record: LocalRecord, *, rewound: bool) -> LocalRecord | None:
    """Say what is left of a record that the server knows nothing of."""
    if not record.dirty and not (rewound and record.value is not None):
        return None
    if record.value is None:
        return None  # what is to be removed is gone
    return replace(_waiting_no_more(record), base=None, base_count=0, dirty=True)


def _waiting_no_more(record: LocalRecord) -> LocalRecord:
    """What could not be read is gone from the server."""
    return replace(record, refused=None) if record.refused == UNREADABLE else record


def _is_nothing(record: LocalRecord) -> bool:
    """A removal of what the server never had needs no push and no place."""
    return record.value is None and record.base is None and record.base_count == 0


def _meet(
    key: str, mine: LocalRecord | None, theirs: RemoteRecord, merge: Merge
) -> tuple[LocalRecord, bool]:
    """Bring a record together with what the server tells; whether that was merged."""
    clean = LocalRecord(
        theirs.value,
        theirs.value,
        theirs.sync_count,
        edit=mine.edit if mine else 0,
        modified_ms=theirs.modified_ms,
    )
    if mine is None or not mine.dirty or mine.value == theirs.value:
        return clean, False
    if theirs.sync_count == mine.base_count and mine.base_count:
        return mine, False  # nothing new
    on_theirs = replace(
        _waiting_no_more(mine), base=theirs.value, base_count=theirs.sync_count
    )
    if mine.base_count and theirs.value == mine.base:
        return on_theirs, False
    if mine.base_count and mine.value == mine.base:
        return clean, False
    if mine.value is None and mine.base_count == ELSEWHERE:
        return clean, False  # it removed another value, which this one never was
    value = merge(key, mine.base, mine, theirs)
    if isinstance(value, Aside):
        # On its old base, so that they meet anew whenever theirs is listed.
        return replace(mine, refused=value.code), False
    if value == theirs.value:
        return clean, True
    return replace(on_theirs, value=value, edit=mine.edit + 1, refused=None), True


def absorb(
    copy: Copy,
    name: str,
    listed: Iterable[RemoteRecord],
    sync_count: int,
    merge: Merge,
) -> Copy:
    """
    Take the records of a dataset that came with a merged identity into this one.

    They count as written here; whoever wrote last wins unless the app merges. The
    merged dataset is deleted only when this one is pushed, and not as long as something
    in it has no place here.
    """
    records = dict(copy.records)
    left = False
    for theirs in listed:
        mine = records.get(theirs.key)
        if theirs.value is None or (mine and mine.value == theirs.value):
            continue
        value, modified_ms = theirs.value, theirs.modified_ms
        if mine is not None and (mine.value is not None or mine.base_count):
            merged = merge(theirs.key, None, mine, theirs)
            if isinstance(merged, Aside):
                left = True
                continue
            if merged == mine.value or merged is None:
                continue
            value, modified_ms = merged, max(modified_ms, mine.modified_ms)
        before = mine or LocalRecord()
        records[theirs.key] = replace(
            before,
            value=value,
            dirty=True,
            edit=before.edit + 1,
            modified_ms=modified_ms,
            refused=None,
        )
    absorbed = {**copy.absorbed, name: sync_count}
    if left:
        del absorbed[name]
    return replace(copy, records=records, absorbed=absorbed)


def patches(copy: Copy, most: int) -> tuple[RecordPatch, ...]:
    """
    Say what is to be pushed next, at most so many; removals first, as they make room.

    What was set aside is left out until it is written anew.
    """
    found = [
        RecordPatch(
            "remove" if record.value is None else "replace",
            key,
            record.base_count,
            record.value,
            record.modified_ms,
            record.edit,
        )
        for key, record in copy.records.items()
        if record.dirty and record.refused is None and not _is_nothing(record)
    ]
    found.sort(key=lambda each: each.op != "remove")
    return tuple(found[:most])


def acknowledge(
    copy: Copy, answered: Sequence[RemoteRecord], token: str | None = None
) -> Copy:
    """
    Take in the answer to what was sent.

    The answer counts, not what was asked: a sync trigger may have changed a value, have
    added a record, or have left one out, which is then set aside.
    """
    assert copy.sent is not None
    records = dict(copy.records)
    told = {each.key: each for each in answered}
    for patch in copy.sent.patches:
        record = records.get(patch.key)
        if patch.key in told or record is None:
            continue
        if patch.op == "remove" and record.edit == patch.edit:
            del records[patch.key]  # there was nothing to remove
        elif record.edit == patch.edit:
            records[patch.key] = replace(record, refused="LeftOut")
    edits = {each.key: each.edit for each in copy.sent.patches}
    for key, theirs in told.items():
        record = records.get(key, LocalRecord())
        if record.edit == edits.get(key, record.edit) and (
            key in edits or not record.dirty
        ):
            records[key] = LocalRecord(
                theirs.value,
                theirs.value,
                theirs.sync_count,
                edit=record.edit,
                modified_ms=theirs.modified_ms or record.modified_ms,
            )
        elif key in edits:  # written since
            records[key] = replace(
                record, base=theirs.value, base_count=theirs.sync_count
            )
    count = max((each.sync_count for each in answered), default=0)
    # Somebody else wrote in between unless it is the next one; a listing then shows.
    follows = count == copy.sync_count + 1
    return replace(
        copy,
        records=records,
        sent=None,
        sync_count=count if follows else copy.sync_count,
        token=token if follows else None,
    )


def set_aside(copy: Copy, keys: Iterable[str], code: str) -> Copy:
    """Keep records here that the server refuses, so that the others go on."""
    aside = {key: replace(copy.records[key], refused=code) for key in keys}
    return replace(copy, records={**copy.records, **aside})
