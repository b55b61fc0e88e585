"""
What a merge does with datasets: those of the losing identity come to the survivor.

A dataset keeps its name where the survivor has no live dataset of that name. Otherwise
it is put beside it, as `<name>.<losing identity id>`; the dataset of that name, its
*root*, reports it in `MergedDatasetNames` until the client has dealt with it and
deletes it. Either way its records keep their counts, and so does the dataset.

Credentials of the losing identity are good for a while after the merge, and what they
write comes over the next time the user signs in. The first copy may still be there by
then. It may be in use, so nothing is written into it: the next one gets a number,
`<name>.<losing identity id>.2`, and is reported beside it.

Where a dataset of that name was deleted it is different: devices and consumers of the
stream know the count of that deletion, and pass over what is not above it. There the
counter goes on above both, and all records are stamped with its new count.

At the old place a deleted dataset stays behind: a client that comes there with the
count it knew is told that the dataset was deleted, as it would be by any deletion.

Source: developer guide, handling-callbacks; clients' `onDatasetsMerged`;
aws-sdk-net#414; ruling 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from millpond import limits as api_limits
from millpond.core import streaming
from millpond.core.sync import (
    DatasetId,
    DatasetState,
    StoredRecord,
    SyncLimits,
    gone,
)
from millpond.errors import LimitExceededException

COPIES_MAX: Final = 20  # of one dataset, from one identity, that nobody deals with


class DatasetMove(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A dataset that changes hands, with all its records."""

    old: DatasetId
    new: DatasetId
    left: DatasetState  # what stays at the old place
    moved: DatasetState  # what stands at the new place
    record_sync_count: int | None = None  # what all records get; None: they keep theirs


def move_events(
    move: DatasetMove, records: Iterable[StoredRecord]
) -> list[tuple[str, bytes]]:
    """
    Tell a consumer of the pool's stream of a move: a deletion and a new dataset.

    Args:
        records: those of the dataset, as they are at the new place.
    Returns:
        Identity id and encoded event, in the order to send.
    """
    modified_ms = move.left.last_modified_date_ms
    return [
        (
            move.old.identity_id,
            streaming.deletion_event(
                move.old,
                sync_count=move.left.sync_count,
                last_modified_date_ms=modified_ms,
            ),
        ),
        (
            move.new.identity_id,
            streaming.update_event(
                move.new,
                [record for record in records if record.value is not None],
                sync_count=move.moved.sync_count,
                last_modified_date_ms=modified_ms,
            ),
        ),
    ]


def plan_moves(
    identity_pool_id: str,
    survivor: str,
    losers: Sequence[str],
    datasets: Mapping[str, Mapping[str, DatasetState]],
    *,
    merged_before: Sequence[str] = (),
    now_ms: int,
    limits: SyncLimits,
) -> list[DatasetMove]:
    """
    Say where each live dataset of the losing identities goes.

    Args:
        survivor, losers: identity ids.
        datasets: by identity id and name; gone ones too, whose counters go on.
        merged_before: ids of identities whose datasets came over in an earlier merge,
            and that have been written to since. What does not fit stays with them: a
            user who cannot reach them any more must not be locked out by it.
    Raises:
        LimitExceededException: the survivor would have too many datasets, or one with
            too long a name.
    """
    there = dict(datasets.get(survivor, {}))

    def candidates(identity_ids: Sequence[str]) -> Iterator[DatasetMove]:
        """Yield one move at a time: each has to see what came before it."""
        for identity_id in identity_ids:
            for name, state in sorted(datasets.get(identity_id, {}).items()):
                new_name = _new_name(
                    name, identity_id, there, shorten=identity_id in merged_before
                )
                if state.exists and new_name is not None:
                    before = there.get(new_name)
                    moved = _moved(name, new_name, state, before)
                    yield DatasetMove(
                        old=DatasetId(identity_pool_id, identity_id, name),
                        new=DatasetId(identity_pool_id, survivor, new_name),
                        left=gone(state, now_ms=now_ms),
                        moved=moved,
                        record_sync_count=moved.sync_count if before else None,
                    )

    moves: list[DatasetMove] = []
    for move in candidates(losers):
        there[move.new.dataset_name] = move.moved
        moves.append(move)
    if refusal := _misfit(there, moves, limits):
        raise LimitExceededException(refusal)
    for move in candidates(merged_before):
        arrived = {move.new.dataset_name: move.moved}
        if not _misfit({**there, **arrived}, [move], limits):
            there.update(arrived)
            moves.append(move)
    return moves


def _new_name(
    name: str, loser: str, there: Mapping[str, DatasetState], *, shorten: bool
) -> str | None:
    """
    Choose a name that is free; None when there is none, and the dataset stays.

    Args:
        shorten: a name may be cut so that the copy's is not too long. In a merge that
            is refused instead, so that the app can do something about it.
    """
    copies = range(2, COPIES_MAX + 1)
    for suffix in ("", f".{loser}", *(f".{loser}.{number}" for number in copies)):
        room = api_limits.DATASET_NAME_CHARS_MAX - len(suffix)
        candidate = f"{name[:room] if shorten else name}{suffix}"
        taken = there.get(candidate)
        if taken is None or not taken.exists:
            return candidate
    # Nothing is overwritten. It comes over at the sign-in after the client has dealt
    # with one of the copies.
    return None


def _moved(
    name: str, new_name: str, state: DatasetState, before: DatasetState | None
) -> DatasetState:
    """Give the dataset at its new place; a counter that was there goes on."""
    root = state.root_dataset_name if name == new_name else name
    if before is None:
        return msgspec.structs.replace(state, root_dataset_name=root)
    return msgspec.structs.replace(
        state,
        sync_count=max(state.sync_count, before.sync_count) + 1,
        horizon=max(state.horizon, before.horizon),
        root_dataset_name=root,
    )


def _misfit(
    there: Mapping[str, DatasetState], moves: Sequence[DatasetMove], limits: SyncLimits
) -> str | None:
    """Say what is wrong with datasets that have come to where the others are."""
    chars_max = api_limits.DATASET_NAME_CHARS_MAX
    for move in moves:
        name = move.new.dataset_name
        if len(name) > chars_max:
            return (
                f"The merged dataset '{name}' would have a name of {len(name)} "
                f"characters; the limit is {chars_max}."
            )
    own = [e for e in there.values() if e.exists and e.root_dataset_name is None]
    arriving = [move for move in moves if move.moved.root_dataset_name is None]
    if arriving and len(own) > limits.datasets_per_identity:
        return (
            f"The merged identity would hold {len(own)} datasets; the limit is "
            f"{limits.datasets_per_identity}."
        )
    return None
