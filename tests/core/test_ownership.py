"""Whose a dataset is while a pool moves in, case by case."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core.ownership import (
    Decision,
    Standing,
    Taken,
    Verdict,
    decide,
    is_gapless,
)
from millpond.core.sync import DatasetState, SyncLimits, listing

MADE_MS: Final = 1000


def state(count: int, **changes: Any) -> DatasetState:
    """Describe a dataset; it was modified at a date that goes with its count."""
    members = {
        "sync_count": count,
        "exists": True,
        "creation_date_ms": MADE_MS,
        "last_modified_date_ms": MADE_MS + count,
        "last_modified_by": "me",
        "num_records": 1,
        "data_storage": 2,
    }
    return DatasetState(**{**members, **changes})


def deleted(count: int, **changes: Any) -> DatasetState:
    """Describe what a deleted dataset leaves behind."""
    gone = {"exists": False, "horizon": count, "num_records": 0, "data_storage": 0}
    return state(count, **{**gone, **changes})


ABSENT: Final = None
REMADE: Final[dict[str, Any]] = {
    "creation_date_ms": MADE_MS + 500,
    "last_modified_date_ms": 2000,
}


def taken(count: int, **changes: Any) -> Taken:
    """Describe that a dataset was taken whole at a count, as it was."""
    members = {
        "sync_count": count,
        "live": True,
        "there_count": count,
        "there_live": True,
        "whole_to": count,
        "created_ms": MADE_MS,
        "modified_ms": MADE_MS + count,
    }
    return Taken(**{**members, **changes})


GONE_AT_41: Final = taken(41, live=False, there_live=False, floor=41)


class Case(NamedTuple):
    """What is known, and what is to come of it: verdict, count here, lift, horizon."""

    name: str
    standing: Standing
    verdict: Verdict
    count_here: int | None = None
    lift: int = 0
    horizon: int = 0


def case(
    name: str,
    here: DatasetState | None,
    known: Taken | None,
    there: DatasetState | None,
    verdict: str,
    *result: int,
    **more: Any,
) -> Case:
    return Case(
        name,
        Standing(here=here, taken=known, there=there, **more),
        Verdict[verdict],
        *result,
    )


LIFTED: Final = taken(
    44,
    there_count=3,
    whole_to=3,
    created_ms=1500,
    modified_ms=MADE_MS + 3,
    lift=41,
    floor=41,
)
EVENT: Final[dict[str, Any]] = {"whole": False, "lowest": 1}
CASES: Final = [
    # Nothing here yet.
    case("first arrival", None, None, state(40), "TAKE", 40),
    case("first, with horizon", None, None, state(40, horizon=9), "TAKE", 40, 0, 9),
    case("first, deleted", None, None, deleted(41), "TAKE", 41, 0, 41),
    case("nothing anywhere", None, None, ABSENT, "SAME"),
    # The source's: nobody wrote here.
    case("the same again", state(40), taken(40), state(40), "SAME"),
    case("changed there", state(40), taken(40), state(43), "TAKE", 43),
    case("an older look", state(40), taken(40), state(39), "SAME"),
    case("deleted there", state(40), taken(40), deleted(41), "TAKE", 41, 0, 41),
    case("absent there", state(40), taken(40), ABSENT, "TAKE", 41, 0, 41),
    case("absent again", deleted(41), GONE_AT_41, ABSENT, "SAME"),
    case(
        "absent before it was made",
        *(state(40), taken(40), ABSENT, "SAME"),
        as_of_ms=MADE_MS,
    ),
    case(
        "absent, asked later",
        *(state(40), taken(40), ABSENT, "TAKE", 41, 0, 41),
        as_of_ms=MADE_MS + 41,
    ),
    case("the deletion again", deleted(41), GONE_AT_41, deleted(41), "SAME"),
    case("a look from before it", deleted(41), GONE_AT_41, state(40), "SAME"),
    # Deleted there and made again.
    case(
        "goes on counting",
        *(deleted(41), GONE_AT_41, state(43, **REMADE), "TAKE", 43, 0, 42),
        lowest=42,
    ),
    case(
        "goes on counting, deletion not seen",
        *(state(40), taken(40), state(49, **REMADE), "TAKE", 49, 0, 47),
        lowest=47,
    ),
    case(
        "counts anew",
        *(deleted(41), GONE_AT_41, state(3, **REMADE), "TAKE", 44, 41, 42),
        lowest=1,
    ),
    case(
        "counts anew, deletion not seen",
        *(state(40), taken(40), state(3, **REMADE), "TAKE", 44, 41, 42),
        lowest=1,
    ),
    case(
        "counts anew, and beyond the old one",
        *(state(40), taken(40), state(60, **REMADE), "TAKE", 101, 41, 42),
        lowest=1,
    ),
    case(
        "the lift stays",
        state(44, creation_date_ms=1500, horizon=42),
        LIFTED,
        state(5, creation_date_ms=1500),
        "TAKE",
        *(46, 41, 42),
    ),
    case(
        "deleted once more, with a lift",
        state(44, creation_date_ms=1500, horizon=42),
        LIFTED,
        deleted(4),
        "TAKE",
        *(45, 41, 45),
    ),
    # Updates, which do not bring all records.
    case("the next update", state(40), taken(40), state(41), "TAKE", 41, **EVENT),
    case("an update again", state(40), taken(40), state(40), "SAME", **EVENT),
    case("an older update", state(40), taken(40), state(12), "SAME", **EVENT),
    case("behind a gap", state(40), taken(40), state(44), "TAKE", 44, **EVENT),
    case(
        "one that was missing",
        *(state(44), taken(44, whole_to=40), state(42), "TAKE", 44),
        **EVENT,
    ),
    case(
        "all, after a gap",
        *(state(44), taken(44, whole_to=40), state(44), "TAKE", 44),
    ),
    case("of nothing known", None, None, state(7), "TAKE", 7, **EVENT),
    case("a removal", state(40), taken(40), deleted(41), "TAKE", 41, 0, 41, **EVENT),
    case("from before it", deleted(41), GONE_AT_41, state(40), "SAME", **EVENT),
    case(
        "made again",
        *(deleted(41), GONE_AT_41, state(42), "TAKE", 42, 0, 41),
        whole=False,
        lowest=42,
    ),
    case(
        "made again, counts anew",
        *(deleted(41), GONE_AT_41, state(1, **REMADE), "TAKE", 42, 41, 41),
        **EVENT,
    ),
    # Millpond's: it was written to here.
    case("both changed", state(41), taken(40), state(42), "ASIDE"),
    case("both changed, in step", state(41), taken(40), state(41), "ASIDE"),
    case("changed here alone", state(41), taken(40), state(40), "SAME"),
    case("deleted there, changed here", state(41), taken(40), deleted(41), "ASIDE"),
    case("absent there, changed here", state(41), taken(40), ABSENT, "ASIDE"),
    case("deleted here, changed there", deleted(41), taken(40), state(42), "ASIDE"),
    case("deleted here alone", deleted(41), taken(40), state(40), "SAME"),
    case("made again there", state(41), taken(40), state(3, **REMADE), "ASIDE"),
    case("made again here", state(43), GONE_AT_41, state(44, **REMADE), "ASIDE"),
    case("created on both sides", state(2), None, state(40), "ASIDE"),
    case("created here, absent there", state(2), None, ABSENT, "SAME"),
    case("an update of ours", state(41), taken(40), state(41), "ASIDE", **EVENT),
    case(
        "one that was missing, of ours",
        state(45),
        taken(44, whole_to=40),
        state(42),
        "SAME",
        **EVENT,
    ),
    case("not here any more", None, taken(40), state(41), "ASIDE"),
    case(
        "identity deleted here",
        None,
        taken(40),
        state(41),
        "ASIDE",
        identity_deleted=True,
    ),
    case(
        "new in an identity deleted here",
        None,
        None,
        state(1),
        "ASIDE",
        identity_deleted=True,
    ),
]


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
def test_case(each: Case) -> None:
    """Each case has one outcome, and counts and horizons that devices survive."""
    decision = decide(each.standing)
    assert decision.verdict is each.verdict
    if each.verdict is not Verdict.TAKE:
        assert decision.state is None
        assert bool(decision.reason) == (each.verdict is Verdict.ASIDE)
        return
    assert decision.state is not None
    assert decision.taken is not None
    there = each.standing.there
    assert decision.state.exists == (there is not None and there.exists)
    found = (decision.state.sync_count, decision.lift, decision.state.horizon)
    assert found == (each.count_here, each.lift, each.horizon)
    assert decision.taken.sync_count == each.count_here


def test_set_aside_once() -> None:
    """What was put aside is not news when it comes again; what follows is."""
    standing = Standing(here=state(41), taken=taken(40), there=state(42))
    heard = decide(standing).taken
    assert heard is not None
    again = msgspec.structs.replace(standing, taken=heard)
    assert decide(again).verdict is Verdict.SAME
    later = msgspec.structs.replace(again, there=state(43))
    assert decide(later).verdict is Verdict.ASIDE


@pytest.mark.parametrize(
    ("there", "others", "name"),
    [
        (state(4, num_records=11), 0, "records_per_dataset_max"),
        (state(4, data_storage=101), 0, "dataset_bytes_max"),
        (state(4), 3, "datasets_per_identity_max"),
    ],
)
def test_limits(there: DatasetState, others: int, name: str) -> None:
    """What exceeds a limit is put aside by its name, and taken once it is raised."""
    limits = SyncLimits(
        datasets_per_identity=3, records_per_dataset=10, dataset_bytes=100
    )
    standing = Standing(here=None, taken=None, there=there, others=others)
    decision = decide(standing, limits=limits)
    assert decision.verdict is Verdict.ASIDE
    assert name in decision.reason
    assert decision.taken is None
    assert decide(standing, limits=SyncLimits()).verdict is Verdict.TAKE


def test_gaps() -> None:
    """An update is enough by itself when nothing before it is missing."""
    assert is_gapless(None, state(1))
    assert not is_gapless(None, state(2))
    assert is_gapless(taken(40), state(41))
    assert not is_gapless(taken(40), state(42))
    assert not is_gapless(taken(44, whole_to=40), state(42))


class Source:
    """A dataset that counts on behind its deletion, or anew."""

    def __init__(self, *, counts_anew: bool) -> None:
        self.counts_anew = counts_anew
        self.clock = 1
        self.state: DatasetState | None = None
        self.records: dict[str, int] = {}

    def act(self, key: str | None) -> None:
        """Update a key; None deletes the dataset."""
        self.clock += 1
        before = self.state
        count = (before.sync_count if before else 0) + 1
        if key is None:
            if before is not None and before.exists:
                self.records = {}
                self.state = deleted(count, last_modified_date_ms=self.clock)
            return
        alive = before is not None and before.exists
        if before is not None and not alive and self.counts_anew:
            count = 1
        made = before.creation_date_ms if before and alive else self.clock
        self.state = state(
            count, creation_date_ms=made, last_modified_date_ms=self.clock
        )
        self.records[key] = count


class Target:
    """A store of one dataset."""

    def __init__(self) -> None:
        self.state: DatasetState | None = None
        self.taken: Taken | None = None
        self.records: dict[str, int] = {}

    def arrive(
        self, there: DatasetState, records: dict[str, int], *, whole: bool
    ) -> Decision:
        decision = decide(
            Standing(
                here=self.state,
                taken=self.taken,
                there=there,
                whole=whole,
                lowest=min(records.values(), default=0),
            )
        )
        if decision.verdict is Verdict.TAKE:
            assert decision.state is not None
            assert decision.state.sync_count >= (
                self.state.sync_count if self.state else 0
            ), "a counter fell"
            if decision.clear:
                self.records = {}
            for key, count in records.items():
                lifted = count + decision.lift
                if lifted > max(decision.floor, self.records.get(key, 0)):
                    self.records[key] = lifted
            self.state = decision.state
        self.taken = decision.taken or self.taken
        return decision


_steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.sampled_from(["unseen", "whole", "update"]),
        st.booleans(),  # what was seen earlier comes once more
    ),
    max_size=25,
)


@given(_steps, st.booleans())
def test_arrives_at_the_source(
    steps: list[tuple[str | None, str, bool]], counts_anew: bool
) -> None:
    """
    Whatever is seen of a source, and how often, in the end all of it is here, and what
    a device knew is either current or told to be dropped.
    """
    source, target = Source(counts_anew=counts_anew), Target()
    seen: list[tuple[DatasetState, dict[str, int], bool]] = []
    known: list[tuple[int, dict[str, int]]] = []  # what devices have
    for key, look, again in steps:
        source.act(key)
        there = source.state
        if there is not None and look != "unseen":
            records = {} if not there.exists else dict(source.records)
            if look == "update" and there.exists and key is not None:
                records = {key: records[key]}
            seen.append((there, records, look == "whole"))
            target.arrive(there, records, whole=look == "whole")
        if again and seen:
            there, records, whole = seen[len(seen) // 2]
            target.arrive(there, records, whole=whole)
        if look == "whole" and target.state is not None and target.state.exists:
            known.append((target.state.sync_count, dict(target.records)))
    if source.state is None:
        return
    target.arrive(source.state, dict(source.records), whole=True)
    assert target.state is not None
    assert target.state.exists == source.state.exists
    assert target.taken is not None
    lifted = {key: count + target.taken.lift for key, count in source.records.items()}
    assert target.records == lifted
    for count, records in known:
        shown = listing(target.state, count)  # never refuses a count that was given out
        if shown.exists and not shown.deleted:
            news = {k: c for k, c in target.records.items() if c > shown.after}
            assert {**records, **news} == target.records
