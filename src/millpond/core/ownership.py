"""
Whose a dataset is while a pool moves in, and what news from its source does here.

Theory of operation
-------------------
A dataset is its source's until it is written to here for the first time. Until then
whatever the source says is taken; from then on it is Millpond's, and what the source
says later is put aside and reported, never applied.

Nobody marks the first write. A counter never falls, and every write, deletion and
merge here raises it, so the store keeps what the last arrival left behind (`Taken`): as
long as the counter here is that one, nobody wrote here. What was taken and is not here
at all any more was deleted here, with its identity.

What arrives does so at least once, from several readers, in any order: the counter at
the source says what is newer. A dataset that was deleted there and made again may begin
to count anew; then it is known by its date of creation, or, in a stream, by a date
behind that of the deletion.

Counts here must not fall either, because devices remember them: one that knows 40 and
is told 3 does not survive it. So what begins anew is *lifted*: its counts are set above
those of the dead incarnation, by the same number for good, and devices that knew that
one are told of the deletion. As a rule the lift is 0, and counts are the source's.

Rules of this module: they decide on what they are given and return what is to be
written; they may run twice, and they do no I/O.

Source: decisions 5, 23; the consumers' rule of `core.stream_consumer`.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from millpond.core.sync import DatasetState, SyncLimits, gone


class Verdict(enum.StrEnum):
    """What is to be done with news from the source."""

    TAKE = "take"
    SAME = "same"  # it was taken before, or something newer was
    ASIDE = "aside"  # it is not applied; it is kept and reported


class Taken(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """
    What was taken of a dataset last, and what it was like at the source then.

    Args:
        sync_count, live: as it stands here since; 0: nothing of it was taken.
        seen_date_ms, seen_records, seen_bytes: as the source listed it; a date of 0
            says that it may have changed since without another date.
        aside: why what the source had then was not taken; empty: it was.
        aside_count: the sync count that it had then.
        there_count, there_live: what was heard last of the one at the source.
        whole_to: up to this count of it everything was heard; updates between that and
            `there_count` are missing, and may still come.
        created_ms, modified_ms: its dates; 0: not known, because only updates came.
        lift: what is added to its counts.
        floor: the count here at which the incarnation before it died; 0: none did.
    """

    sync_count: int = 0
    live: bool = False
    seen_date_ms: int = 0
    seen_records: int = 0
    seen_bytes: int = 0
    aside: str = ""
    aside_count: int = 0
    there_count: int = 0
    there_live: bool = False
    whole_to: int = 0
    created_ms: int = 0
    modified_ms: int = 0
    lift: int = 0
    floor: int = 0


class Standing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    What is known when something arrives.

    Args:
        here: the dataset as it is in the store.
        there: as it is at the source. None: there is no such dataset, and the source
            does not tell whether there was.
        whole: all of its records arrive, not only those that an update touched.
        lowest: the lowest count of a record that arrives, 0 without any.
        as_of_ms: when the source was asked; 0: not known. What is known from later is
            not undone.
        identity_deleted: the identity was here, and was deleted here.
        others: live datasets of the identity here, without this one and without what
            merges put beside others.
    """

    here: DatasetState | None
    taken: Taken | None
    there: DatasetState | None
    whole: bool = True
    lowest: int = 0
    as_of_ms: int = 0
    identity_deleted: bool = False
    others: int = 0


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    What to do, and what to write.

    Args:
        reason: why it is put aside, for people.
        state: the row to write. Where not all records arrive, `num_records` and
            `data_storage` are the source's, and whoever writes counts them anew.
        clear: drop the records that are here first.
        lift: to be added to the counts of the records that arrive.
        floor: records whose count, lifted, is not above it are of a dead incarnation.
        taken: what to remember; None: as before.
    """

    verdict: Verdict
    reason: str = ""
    state: DatasetState | None = None
    clear: bool = False
    lift: int = 0
    floor: int = 0
    taken: Taken | None = None


_SAME: Final = Decision(verdict=Verdict.SAME)
_NOTHING: Final = Taken()
_ABSENT: Final = DatasetState(
    sync_count=0,
    exists=False,
    creation_date_ms=0,
    last_modified_date_ms=0,
    last_modified_by="",
    num_records=0,
    data_storage=0,
)


def is_ours(here: DatasetState | None, taken: Taken | None) -> bool:
    """Say whether a dataset has been written to here."""
    count_here = 0 if taken is None else taken.sync_count
    return count_here != (0 if here is None else here.sync_count)


def decide(standing: Standing, *, limits: SyncLimits | None = None) -> Decision:
    """
    Say what news of a dataset does here.

    Args:
        limits: those of the server; what exceeds them is put aside, and taken when it
            comes again after they were raised. None: nothing exceeds them.
    """
    taken = standing.taken
    if not _is_news(standing):
        return _late(standing)
    heard = _heard(standing)
    there = standing.there or _ABSENT
    if standing.identity_deleted:
        reason = "the identity was deleted here"
        return Decision(verdict=Verdict.ASIDE, reason=reason, taken=heard)
    if is_ours(standing.here, taken):
        return Decision(
            verdict=Verdict.ASIDE, reason=_reason(standing.here, taken), taken=heard
        )
    excess = None if limits is None else _excess(standing, there, limits)
    if excess is not None:  # what was heard stays as it was, so that it is news again
        return Decision(verdict=Verdict.ASIDE, reason=excess)
    return _take(standing, there, heard)


def is_gapless(taken: Taken | None, there: DatasetState) -> bool:
    """
    Say whether an update that does not bring all records is all that is missing.

    Otherwise updates before it were lost or are still to come; whoever can ask the
    source for the whole dataset had better do so.
    """
    return there.sync_count <= (0 if taken is None else taken.whole_to) + 1


def _heard(standing: Standing) -> Taken:
    """Give what is to be remembered of news, as long as nothing of it is written."""
    before, there = standing.taken or _NOTHING, standing.there or _ABSENT
    if not there.exists:
        count = there.sync_count or before.there_count + 1
        date_ms = max(there.last_modified_date_ms, before.modified_ms)
        return msgspec.structs.replace(
            before,
            there_count=count,
            there_live=False,
            whole_to=count,
            modified_ms=date_ms,
        )
    whole_to = there.sync_count
    if not standing.whole:
        anew = there.sync_count <= before.there_count
        known = 0 if anew else before.whole_to
        whole_to = there.sync_count if there.sync_count <= known + 1 else known
    return msgspec.structs.replace(
        before,
        there_count=there.sync_count,
        there_live=True,
        whole_to=whole_to,
        created_ms=there.creation_date_ms if standing.whole else 0,
        modified_ms=there.last_modified_date_ms,
    )


def _is_news(standing: Standing) -> bool:
    """Say whether the source tells something that was not heard before."""
    taken, there = standing.taken or _NOTHING, standing.there
    if there is None:
        later = standing.as_of_ms == 0 or standing.as_of_ms > taken.modified_ms
        return taken.there_live and later
    if standing.taken is None:
        return True
    later = there.last_modified_date_ms > taken.modified_ms
    is_higher = there.sync_count > taken.there_count
    if not there.exists:
        is_of_before = _is_of_before(taken, there)
        return taken.there_live and not is_of_before and (is_higher or later)
    if not standing.whole:
        begins_anew = not taken.there_live and later
        return not _is_of_before(taken, there) and (is_higher or begins_anew)
    if not taken.there_live:
        return is_higher or (there.creation_date_ms > taken.created_ms and later)
    if there.creation_date_ms > _made_before(taken):
        return True
    if there.creation_date_ms < taken.created_ms:
        return False
    return there.sync_count >= max(taken.there_count, taken.whole_to + 1)


def _is_of_before(taken: Taken, there: DatasetState) -> bool:
    """
    Say whether an update or a deletion is of an incarnation before one that counts
    anew. Otherwise counts say what is newer, whatever the clocks of the source say.
    """
    return taken.lift > 0 and there.last_modified_date_ms < taken.modified_ms


def _late(standing: Standing) -> Decision:
    """
    Take an update that others have overtaken, if it is one of those that are missing.

    Its records count where they are newer than those that are here.
    """
    here, taken, there = standing.here, standing.taken, standing.there
    if (
        taken is None
        or here is None
        or there is None
        or standing.whole
        or not (there.exists and taken.there_live and here.exists)
        or there.sync_count <= taken.whole_to
        or standing.identity_deleted
        or is_ours(here, taken)
        or _is_of_before(taken, there)
    ):
        return _SAME
    if is_gapless(taken, there):
        taken = msgspec.structs.replace(taken, whole_to=there.sync_count)
    return Decision(
        verdict=Verdict.TAKE,
        state=here,
        lift=taken.lift,
        floor=taken.floor,
        taken=taken,
    )


def _reason(here: DatasetState | None, taken: Taken | None) -> str:
    if here is None:
        return "it was deleted here"
    if not here.exists:
        return "it was deleted or merged into another one here"
    if taken is None or taken.sync_count == 0:
        return "it was created here"
    return "it was written to here"


def _take(standing: Standing, there: DatasetState, heard: Taken) -> Decision:
    here, taken, whole = standing.here, standing.taken or _NOTHING, standing.whole
    if here is None:
        return _decision(there, heard)
    dead = here if not here.exists else gone(here, now_ms=heard.modified_ms)
    lift = taken.lift
    if not there.exists:
        count = max(dead.sync_count, there.sync_count + lift)
        state = msgspec.structs.replace(
            dead,
            sync_count=count,
            horizon=count,
            last_modified_date_ms=heard.modified_ms,
        )
        return _decision(state, heard, lift=lift, floor=count, clear=True)
    state = msgspec.structs.replace(there, sync_count=there.sync_count + lift)
    if not _is_another(standing, there):
        horizon = max(here.horizon, there.horizon + lift if there.horizon else 0)
        state = msgspec.structs.replace(
            state, horizon=horizon, forgotten=here.forgotten
        )
        if not whole:  # an update does not say when it all began
            state = msgspec.structs.replace(
                state,
                creation_date_ms=here.creation_date_ms,
                root_dataset_name=here.root_dataset_name,
            )
            heard = msgspec.structs.replace(heard, created_ms=taken.created_ms)
        return _decision(state, heard, lift=lift, floor=taken.floor, clear=whole)
    # Another incarnation: above the dead one, of which devices are told.
    floor = dead.sync_count
    lowest = standing.lowest or there.sync_count
    if lowest + lift <= floor:
        lift = floor
    horizon = max(floor, there.horizon + lift if there.horizon else 0)
    if whole:  # the dead one may have gone on counting unseen
        horizon = max(horizon, lowest + lift)
    state = msgspec.structs.replace(
        there, sync_count=there.sync_count + lift, horizon=horizon
    )
    return _decision(state, heard, lift=lift, floor=floor, clear=True)


def _is_another(standing: Standing, there: DatasetState) -> bool:
    """Say whether a live dataset at the source is not the one that is here."""
    here, taken = standing.here, standing.taken or _NOTHING
    if here is not None and not here.exists:
        return True
    if not standing.whole:
        return False
    if there.creation_date_ms > _made_before(taken):
        return True
    # It was taken for one that goes on counting, but it had begun anew.
    return 0 < standing.lowest <= taken.floor - taken.lift


def _made_before(taken: Taken) -> int:
    """Give a date after which the dataset that was taken was certainly not made."""
    return taken.created_ms or taken.modified_ms


def _decision(
    state: DatasetState,
    heard: Taken,
    *,
    lift: int = 0,
    floor: int = 0,
    clear: bool = False,
) -> Decision:
    taken = msgspec.structs.replace(
        heard,
        sync_count=state.sync_count,
        live=state.exists,
        lift=lift,
        floor=floor,
        aside="",
        aside_count=0,
    )
    return Decision(
        verdict=Verdict.TAKE,
        state=state,
        clear=clear,
        lift=lift,
        floor=floor,
        taken=taken,
    )


def _excess(standing: Standing, there: DatasetState, limits: SyncLimits) -> str | None:
    """Say which limit a dataset exceeds that arrives, and what to do about it."""
    if not there.exists:
        return None
    is_new = standing.here is None or not standing.here.exists
    datasets = standing.others + 1 if is_new and there.root_dataset_name is None else 0
    for name, number, most in (
        ("datasets_per_identity_max", datasets, limits.datasets_per_identity),
        ("records_per_dataset_max", there.num_records, limits.records_per_dataset),
        ("dataset_bytes_max", there.data_storage, limits.dataset_bytes),
    ):
        if number > most:
            return f"it needs setting {name} to be {number} at least; it is {most}"
    return None
