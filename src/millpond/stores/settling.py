"""
What is written of an arrival: the part of `arrive` that all stores have in common.

A store loads what is here of an identity, calls `settle`, and writes what it says.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from millpond.core import claims
from millpond.core.identities import Identity
from millpond.core.ownership import Decision, Standing, Taken, Verdict
from millpond.core.sync import DatasetState, utf8_bytes
from millpond.stores.copying import DatasetRow, IdentityRow
from millpond.stores.importing import (
    Arrival,
    ArrivingDataset,
    Aside,
    Decide,
    ImportedIdentity,
)

_replace = msgspec.structs.replace


class Stored(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    What is here of an identity.

    Args:
        merged_into: the identity in whose datasets it was seen.
    """

    mark: ImportedIdentity | None
    identity: Identity | None
    datasets: Mapping[str, DatasetState]  # gone ones too
    merged_into: str | None = None


class Settlement(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is to be written; identity and datasets take the place of what is here."""

    mark: ImportedIdentity
    identity: IdentityRow | None
    datasets: list[ArrivingDataset]
    asides: list[Aside]
    unclaimed: bool = False  # nobody here knows through whom its user signs in


def settle(
    arrival: Arrival, stored: Stored, decide: Decide, *, pass_number: int, now_ms: int
) -> Settlement:
    """Say what is written of an arrival; pure if `decide` is."""
    mark = stored.mark or ImportedIdentity()
    here = stored.identity
    if here is not None and here.identity_pool_id != arrival.identity_pool_id:
        reason = f"the id belongs to the identity pool '{here.identity_pool_id}' here"
        return Settlement(
            mark=mark,
            identity=None,
            datasets=[],
            asides=[Aside(arrival.identity_id, "", reason)],
        )
    if arrival.disabled is not None:
        mark = _replace(mark, disabled=arrival.disabled)
    asides: list[Aside] = []
    identity = _settle_identity(arrival, stored, mark, asides)
    if arrival.identity is not None:
        date_ms = arrival.identity.last_modified_date_ms
        mark = _replace(mark, identity_date_ms=date_ms)
    taken = dict(mark.datasets)
    written = _settle_datasets(arrival, stored, taken, decide, asides)
    if arrival.names is not None:
        mark = _replace(mark, pass_number=max(pass_number, mark.pass_number))
    return Settlement(
        mark=_replace(mark, datasets=taken),
        identity=identity,
        datasets=written,
        asides=asides,
        unclaimed=_is_unclaimed(arrival, here if identity is None else identity),
    )


def _is_unclaimed(arrival: Arrival, after: Identity | IdentityRow | None) -> bool:
    """Say whether an identity that is done has logins that nobody here knows."""
    if arrival.names is None or after is None or after.origin is None:
        return False
    return bool(after.origin.unclaimed)


def _settle_identity(
    arrival: Arrival, stored: Stored, mark: ImportedIdentity, asides: list[Aside]
) -> IdentityRow | None:
    there, here = arrival.identity, stored.identity
    if there is None:
        return None
    merged_into = (stored.merged_into or "") if mark.disabled else None
    there = _replace(there, merged_into=merged_into)
    if here is None:
        if mark.identity_date_ms is None:
            return there
        if there.last_modified_date_ms != mark.identity_date_ms:
            asides.append(
                Aside(arrival.identity_id, "", "the identity was deleted here")
            )
        return None
    before = identity_row(here)
    if here.last_modified_date_ms != mark.identity_date_ms:
        # Somebody has signed in here: what it has here stays, and what it has there
        # is added.
        there = _replace(
            before,
            creation_date_ms=min(before.creation_date_ms, there.creation_date_ms),
            guest=before.guest and there.guest,
            logins=tuple(sorted({*before.logins, *there.logins})),
            origin=claims.renew(
                here.origin, there.origin, {e.provider_name for e in here.logins}
            ),
        )
    return None if there == before else there


def _settle_datasets(
    arrival: Arrival,
    stored: Stored,
    taken: dict[str, Taken],
    decide: Decide,
    asides: list[Aside],
) -> list[ArrivingDataset]:
    written = []
    states = dict(stored.datasets)
    came = stored.mark is not None and stored.mark.identity_date_ms is not None
    deleted = came and stored.identity is None

    def decide_on(name: str, each: ArrivingDataset | None) -> Decision:
        records = () if each is None else each.records
        return decide(
            Standing(
                here=states.get(name),
                taken=taken.get(name),
                there=None if each is None else state_of(each.row),
                whole=each is None or each.whole,
                lowest=min((record.sync_count for record in records), default=0),
                as_of_ms=arrival.as_of_ms,
                identity_deleted=deleted,
                others=_count_own(states, without=name),
            )
        )

    for each in arrival.datasets:
        row = each.row
        name = row.dataset_name
        decision = decide_on(name, each)
        if decision.state is not None:
            written.append(_lifted(each, decision.state, decision))
            states[name] = decision.state
        elif decision.verdict is Verdict.ASIDE:
            asides.append(_aside(arrival, name, decision, row.sync_count))
        # What is put aside and not remembered is to be looked at again, and so is what
        # lacks something.
        mark = _remembered(taken.get(name), decision, row.sync_count)
        again = decision.verdict is Verdict.ASIDE and decision.taken is None
        settled = each.settled and not again and mark.whole_to == mark.there_count
        taken[name] = _replace(
            mark,
            seen_date_ms=row.last_modified_date_ms if settled else 0,
            seen_records=row.num_records,
            seen_bytes=row.data_storage,
        )
    for name, reason in arrival.asides.items():
        asides.append(Aside(arrival.identity_id, name, reason))
        taken[name] = _replace(taken.get(name, Taken()), seen_date_ms=0, aside=reason)
    if arrival.names is None:
        return written
    known = {*arrival.names, *arrival.asides}
    known.update(each.row.dataset_name for each in arrival.datasets)
    for name in sorted(taken.keys() - known):
        before = taken[name]
        if before.sync_count == 0:
            del taken[name]  # it never came, and never will
            continue
        decision = decide_on(name, None)
        if decision.state is not None:
            row = row_of(
                arrival.identity_pool_id, arrival.identity_id, name, decision.state
            )
            written.append(ArrivingDataset(row=row))
        elif decision.verdict is Verdict.ASIDE:
            asides.append(_aside(arrival, name, decision, 0))
        taken[name] = _remembered(before, decision, 0)
    return written


def _count_own(states: Mapping[str, DatasetState], *, without: str) -> int:
    """Count live datasets, without those that merges put beside others."""
    return sum(
        state.exists and state.root_dataset_name is None and name != without
        for name, state in states.items()
    )


def _lifted(
    dataset: ArrivingDataset, state: DatasetState, decision: Decision
) -> ArrivingDataset:
    """Give a dataset as it is written."""
    records = [
        _replace(each, sync_count=each.sync_count + decision.lift)
        if decision.lift
        else each
        for each in dataset.records
        if each.sync_count + decision.lift > decision.floor
    ]
    whole = dataset.whole or decision.clear
    if whole and not dataset.whole:
        live = [each for each in records if each.value is not None]
        size = sum(utf8_bytes(e.record_key) + utf8_bytes(e.value or "") for e in live)
        state = _replace(state, num_records=len(live), data_storage=size)
    row = dataset.row
    return ArrivingDataset(
        row=row_of(row.identity_pool_id, row.identity_id, row.dataset_name, state),
        records=records,
        whole=whole,
    )


def _remembered(before: Taken | None, decision: Decision, count: int) -> Taken:
    """Give the mark of a dataset after a decision; `count` is the one at the source."""
    mark = decision.taken or before or Taken()
    if decision.verdict is Verdict.ASIDE:
        return _replace(mark, aside=decision.reason, aside_count=count)
    return mark


def _aside(arrival: Arrival, name: str, decision: Decision, count: int) -> Aside:
    return Aside(arrival.identity_id, name, decision.reason, count)


def state_of(row: DatasetRow) -> DatasetState:
    """Make the state of a dataset from its row."""
    return DatasetState(
        sync_count=row.sync_count,
        exists=row.live,
        horizon=row.horizon,
        creation_date_ms=row.creation_date_ms,
        last_modified_date_ms=row.last_modified_date_ms,
        last_modified_by=row.last_modified_by,
        num_records=row.num_records,
        data_storage=row.data_storage,
        root_dataset_name=row.root_dataset_name,
        forgotten=row.forgotten,
    )


def row_of(
    identity_pool_id: str, identity_id: str, dataset_name: str, state: DatasetState
) -> DatasetRow:
    """Make the row of a dataset from its state."""
    return DatasetRow(
        identity_id=identity_id,
        identity_pool_id=identity_pool_id,
        dataset_name=dataset_name,
        sync_count=state.sync_count,
        live=state.exists,
        horizon=state.horizon,
        creation_date_ms=state.creation_date_ms,
        last_modified_date_ms=state.last_modified_date_ms,
        last_modified_by=state.last_modified_by,
        num_records=state.num_records,
        data_storage=state.data_storage,
        root_dataset_name=state.root_dataset_name,
        forgotten=state.forgotten,
    )


def identity_row(identity: Identity) -> IdentityRow:
    return IdentityRow(
        identity_id=identity.identity_id,
        identity_pool_id=identity.identity_pool_id,
        creation_date_ms=identity.creation_date_ms,
        last_modified_date_ms=identity.last_modified_date_ms,
        guest=identity.guest,
        merged_into=identity.merged_into,
        logins=tuple((e.provider_name, e.subject) for e in identity.logins),
        origin=identity.origin,
    )
