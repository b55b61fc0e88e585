"""
One synchronization of a dataset: effects out, events in, until it is done.

    start ---> List ---> (deleted here: Delete) ---> List of each merged dataset
                 ^                                              |
                 |                                              v
                 `---- 409, more to push, ------ Push <---- something is dirty
                       or others wrote
                                                   |
                                                   v
                              Delete of each merged dataset ---> Done

An update whose answer was lost is sent again before anything else; so is one in a
session that the answer to the update before began, which saves the listing. No number
of retries ends it: each round has pulled or pushed something, or has asked for the
whole (`since` 0), or has halved what is pushed, or has set a record aside; a round that
did none of these is the last. What is not answered ends it at once, and whoever drives
it tries again later: waiting is no rule of the protocol.

The copy of each step is to be stored before its effect is carried out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.core.client_sync import copies
from millpond.core.client_sync.copies import (
    UNREADABLE,
    Copy,
    Merge,
    RemoteRecord,
    Sent,
)

PATCHES_MAX: Final = 1024  # in one update; what is more goes into the next
replace = msgspec.structs.replace

CONFLICT: Final = "ResourceConflictException"
NOT_FOUND: Final = "ResourceNotFoundException"
INVALID: Final = "InvalidParameterException"
_STUCK_MAX: Final = 2
# What is wrong with a body may be one record (a character that no JSON can have) or all
# of them together (a body that is too large): halving finds out.
_OF_RECORDS: Final = frozenset(
    {
        *(INVALID, "LimitExceededException", "RequestEntityTooLargeException"),
        *("SerializationException", "ValidationException"),
    }
)


class List(msgspec.Struct, frozen=True, tag="list", tag_field="do"):
    """List the records of a dataset above a count, all pages."""

    dataset_name: str
    since: int


class Push(msgspec.Struct, frozen=True, tag="push", tag_field="do"):
    """Update the dataset with what the copy has as `sent`."""

    sent: Sent


class Delete(msgspec.Struct, frozen=True, tag="delete", tag_field="do"):
    """Delete a dataset."""

    dataset_name: str


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="do", omit_defaults=True):
    """
    It is over.

    Args:
        failed: why the rest was not done, an error code or "Unanswered".
        set_aside: the error code by key, of what the server refuses.
    """

    pulled: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    set_aside: dict[str, str] = {}
    failed: str | None = None


Effect = List | Push | Delete | Done


class Listed(
    msgspec.Struct, frozen=True, tag="listed", tag_field="is", omit_defaults=True
):
    """All pages of a listing; count, token and flags are those of the last page."""

    token: str
    sync_count: int = 0
    exists: bool = True
    deleted: bool = False
    records: tuple[RemoteRecord, ...] = ()
    merged_names: tuple[str, ...] = ()


class Pushed(msgspec.Struct, frozen=True, tag="pushed", tag_field="is"):
    """The update was made: the records that it stamped, and the next session."""

    records: tuple[RemoteRecord, ...]
    token: str | None = None


class Deleted(msgspec.Struct, frozen=True, tag="deleted", tag_field="is"):
    """The dataset was deleted."""


class Refused(msgspec.Struct, frozen=True, tag="refused", tag_field="is"):
    """The server says no."""

    code: str


class Lost(msgspec.Struct, frozen=True, tag="lost", tag_field="is"):
    """There is no answer: the call was made, or was not."""


Event = Listed | Pushed | Deleted | Refused | Lost


class Session(msgspec.Struct, frozen=True):
    """
    Where a synchronization stands.

    Args:
        copy: to be stored before `effect` is carried out.
        to_absorb: merged datasets that are still to be listed; each time anew, so
            that nothing is deleted that was not seen.
        whole: the next listing is asked for from 0, to find what is wrong here.
        rewound: the server is behind what it told once.
        most: how many patches a push may have.
        stuck: conflicts in a row between which no listing had anything new.
        ahead: it pushes before it has listed, in a session that it was given.
    """

    name: str
    copy: Copy
    effect: Effect
    report: Done = Done()
    token: str = ""
    to_absorb: tuple[str, ...] = ()
    whole: bool = False
    rewound: bool = False
    most: int = PATCHES_MAX
    stuck: int = 0
    ahead: bool = False


def start(name: str, copy: Copy) -> Session:
    """Begin to synchronize a dataset, or go on after an answer that was lost."""
    if copy.sent is not None:
        return Session(name, copy, Push(copy.sent))
    # What could not be read may be readable by now; a whole listing has it once more.
    waits = any(each.refused == UNREADABLE for each in copy.records.values())
    if copy.token is not None and not copy.absorbed and not waits:
        # Nobody had written when the session began; the answer tells if that holds.
        found = copies.patches(copy, PATCHES_MAX)
        if found:
            sent = Sent(copy.token, found)
            copy = replace(copy, sent=sent, token=None)
            return Session(name, copy, Push(sent), ahead=True)
    return Session(name, copy, List(name, 0 if waits else copy.sync_count))


def advance(session: Session, event: Event, merge: Merge = copies.newest) -> Session:
    """
    Say what comes next.

    Args:
        event: the outcome of the effect of the session.
    """
    effect = session.effect
    assert not isinstance(effect, Done)
    if isinstance(event, Lost):
        return _finish(session, "Unanswered")
    if isinstance(event, Refused):
        return _refused(session, event.code)
    if isinstance(effect, Push):
        assert isinstance(event, Pushed)
        copy = copies.acknowledge(session.copy, event.records, event.token)
        pushed = tuple(
            each.key
            for each in effect.sent.patches
            if each.key not in copy.records or not copy.records[each.key].refused
        )
        report = replace(session.report, pushed=_more(session.report.pushed, pushed))
        after = replace(session, copy=copy, report=report, most=PATCHES_MAX, stuck=0)
        alone = copy.sync_count > session.copy.sync_count  # nobody else wrote
        more = copy.absorbed or copies.patches(copy, 1)
        if (session.token or session.ahead) and alone and not more:
            return _finish(after, None)
        return _list(after)
    if isinstance(effect, Delete):
        return _deleted(session, effect.dataset_name)
    assert isinstance(event, Listed)
    if effect.dataset_name == session.name:
        return _listed(session, effect, event, merge)
    copy = copies.absorb(
        session.copy, effect.dataset_name, event.records, event.sync_count, merge
    )
    return _go_on(replace(session, copy=copy, to_absorb=session.to_absorb[1:]))


def _list(session: Session) -> Session:
    since = 0 if session.whole else session.copy.sync_count
    return replace(session, effect=List(session.name, since), ahead=False)


def _listed(session: Session, effect: List, event: Listed, merge: Merge) -> Session:
    copy = session.copy
    gone = event.deleted or (effect.since > 0 and not event.exists)
    if copy.deleting:
        if event.exists and not gone:
            # Should the answer be lost, a listing above this count tells of it.
            copy = replace(copy, sync_count=event.sync_count)
            return replace(session, copy=copy, effect=Delete(session.name))
        copy = replace(copy, deleting=False)
    pulled = copies.pull(
        copy,
        event.records,
        event.sync_count,
        merge,
        whole=gone or effect.since == 0,
        rewound=session.rewound,
    )
    copy = pulled.copy
    # Deleted there by now, by whoever did it: no need to delete it again.
    absorbed = {k: v for k, v in copy.absorbed.items() if k in event.merged_names}
    report = replace(
        session.report,
        pulled=_more(session.report.pulled, pulled.changed),
        merged=_more(session.report.merged, pulled.merged),
    )
    return _go_on(
        replace(
            session,
            copy=replace(copy, absorbed=absorbed),
            report=report,
            token=event.token,
            to_absorb=event.merged_names,
            whole=False,
            rewound=False,
            stuck=session.stuck if copy.records == session.copy.records else 0,
        )
    )


def _go_on(session: Session) -> Session:
    """After the listings: absorb, push, delete what was absorbed, be done."""
    if session.to_absorb:
        name = session.to_absorb[0]
        since = session.copy.absorbed.get(name, 0)
        return replace(session, effect=List(name, since))
    if found := copies.patches(session.copy, session.most):
        sent = Sent(session.token, found)
        return replace(
            session, copy=replace(session.copy, sent=sent), effect=Push(sent)
        )
    if session.copy.absorbed:
        return replace(session, effect=Delete(next(iter(session.copy.absorbed))))
    return _finish(session, None)


def _deleted(session: Session, name: str) -> Session:
    if name == session.name:
        return _list(replace(session, copy=replace(session.copy, deleting=False)))
    return _go_on(replace(session, copy=_without(session.copy, name)))


def _without(copy: Copy, name: str) -> Copy:
    absorbed = {k: v for k, v in copy.absorbed.items() if k != name}
    return replace(copy, absorbed=absorbed)


def _refused(session: Session, code: str) -> Session:
    effect = session.effect
    if isinstance(effect, Delete) and code == NOT_FOUND:
        return _deleted(session, effect.dataset_name)
    if isinstance(effect, List):
        if code == INVALID and effect.since:
            # "No such SyncCount": the server was put back to an older day.
            if effect.dataset_name == session.name:
                return _list(replace(session, whole=True, rewound=True))
            copy = _without(session.copy, effect.dataset_name)
            return _go_on(replace(session, copy=copy))
        return _finish(session, code)
    if not isinstance(effect, Push):
        return _finish(session, code)
    if code != CONFLICT and code not in _OF_RECORDS:
        return _finish(session, code)  # it goes out again as it is
    copy = replace(session.copy, sent=None)
    if not session.token:
        # It was sent again, or ahead, and its session is over, or somebody wrote. What
        # became of it, a listing shows.
        return _list(replace(session, copy=copy))
    if code == CONFLICT:
        return _conflict(replace(session, copy=copy, stuck=session.stuck + 1))
    # A refused update leaves its sync session as it was, so no listing is needed.
    count = len(effect.sent.patches)
    if count > 1:
        return _go_on(replace(session, copy=copy, most=count // 2))
    # What was written anew since is another value, which may be taken.
    keys = [
        each.key
        for each in effect.sent.patches
        if each.key in copy.records and copy.records[each.key].edit == each.edit
    ]
    aside = copies.set_aside(copy, keys, code)
    return _go_on(replace(session, copy=aside, most=PATCHES_MAX))


def _conflict(session: Session) -> Session:
    """Pull what is new; where that was nothing, all; where that was nothing, stop."""
    if session.stuck > _STUCK_MAX:
        return _finish(session, CONFLICT)
    return _list(replace(session, whole=session.stuck == _STUCK_MAX))


def _finish(session: Session, failed: str | None) -> Session:
    aside = {k: r.refused for k, r in session.copy.records.items() if r.refused}
    report = replace(session.report, set_aside=aside, failed=failed)
    return replace(session, effect=report, report=report)


def _more(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *more)))
