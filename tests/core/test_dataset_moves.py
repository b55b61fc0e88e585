"""Where the datasets of a merged identity go, under which name, and at which count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from millpond.core.dataset_moves import (
    COPIES_MAX,
    DatasetMove,
    move_events,
    plan_moves,
)
from millpond.core.sync import DatasetId, DatasetState, StoredRecord, SyncLimits
from millpond.errors import LimitExceededException

NOW_MS = 1_750_000_000_000
POOL = "us-east-1:pool"
WINNER = "us-east-1:winner"
LOSER = "us-east-1:loser"
OTHER = "us-east-1:other"
NAME_CHARS_MAX = 128  # AWS: model, DatasetName

Datasets = Mapping[str, DatasetState]


def live(
    sync_count: int = 1,
    *,
    horizon: int = 0,
    root: str | None = None,
    num_records: int = 1,
    data_storage: int = 10,
) -> DatasetState:
    return DatasetState(
        sync_count=sync_count,
        exists=True,
        horizon=horizon,
        creation_date_ms=1,
        last_modified_date_ms=2,
        last_modified_by="device",
        num_records=num_records,
        data_storage=data_storage,
        root_dataset_name=root,
    )


def dead(sync_count: int) -> DatasetState:
    return DatasetState(
        sync_count=sync_count,
        exists=False,
        horizon=sync_count,
        creation_date_ms=1,
        last_modified_date_ms=2,
        last_modified_by="device",
        num_records=0,
        data_storage=0,
    )


def plan(
    winner: Datasets,
    loser: Datasets,
    other: Datasets | None = None,
    *,
    losers: Sequence[str] = (LOSER,),
    merged_before: Sequence[str] = (),
    datasets_max: int = 20,
) -> list[DatasetMove]:
    return plan_moves(
        POOL,
        WINNER,
        losers,
        {WINNER: winner, LOSER: loser, OTHER: other or {}},
        merged_before=merged_before,
        now_ms=NOW_MS,
        limits=SyncLimits(datasets_per_identity=datasets_max),
    )


def names(moves: Sequence[DatasetMove]) -> list[tuple[str, str]]:
    """Give the old and the new name of each dataset that moves."""
    return [(each.old.dataset_name, each.new.dataset_name) for each in moves]


# --- Names ----------------------------------------------------------------------------


def test_a_dataset_keeps_its_name_where_that_is_free() -> None:
    """What the survivor does not have comes over as it is, with all its figures."""
    state = live(7, horizon=3, num_records=5, data_storage=99)
    (move,) = plan({"other": live()}, {"prefs": state})

    assert move.old == DatasetId(POOL, LOSER, "prefs")
    assert move.new == DatasetId(POOL, WINNER, "prefs")
    assert move.moved == state


def test_a_dataset_whose_name_is_taken_comes_beside_the_other() -> None:
    """It is called after the identity that it came from; clients look for that."""
    (move,) = plan({"prefs": live(9)}, {"prefs": live(4)})

    assert move.new == DatasetId(POOL, WINNER, "prefs.us-east-1:loser")
    assert move.moved.sync_count == 4


def test_a_dataset_that_stands_beside_another_names_its_root() -> None:
    """The dataset of the shorter name is to report it; one alone has no root."""
    moves = plan({"prefs": live()}, {"prefs": live(), "saves": live()})

    roots = {each.new.dataset_name: each.moved.root_dataset_name for each in moves}
    assert roots == {"prefs.us-east-1:loser": "prefs", "saves": None}


def test_the_name_of_a_deleted_dataset_is_free() -> None:
    """What the survivor has deleted does not stand in the way."""
    (move,) = plan({"prefs": dead(3)}, {"prefs": live()})

    assert move.new.dataset_name == "prefs"
    assert move.moved.root_dataset_name is None


def test_what_stood_beside_another_dataset_stays_beside_it() -> None:
    """A copy of an earlier merge keeps its name and its root in the next one."""
    copy = f"prefs.{OTHER}"
    loser = {"prefs": live(), copy: live(root="prefs")}
    moves = plan({"prefs": live()}, loser)

    assert names(moves) == [("prefs", f"prefs.{LOSER}"), (copy, copy)]
    assert moves[1].moved.root_dataset_name == "prefs"


def test_several_losers_do_not_take_each_others_names() -> None:
    """The first one that comes takes the name; the next one stands beside it."""
    prefs = {"prefs": live()}
    moves = plan({}, prefs, prefs, losers=[OTHER, LOSER])

    assert [(each.old.identity_id, each.new.dataset_name) for each in moves] == [
        (OTHER, "prefs"),
        (LOSER, f"prefs.{LOSER}"),
    ]


def test_deleted_datasets_do_not_move() -> None:
    """What is gone stays behind, and its counter with it."""
    assert plan({"prefs": live()}, {"prefs": dead(5), "saves": dead(2)}) == []


def test_nothing_moves_without_a_loser() -> None:
    """The survivor's own datasets stay where they are."""
    assert plan({"prefs": live()}, {"prefs": live()}, losers=()) == []


@pytest.mark.parametrize("merged_before", [[], [LOSER]])
def test_a_second_leftover_gets_a_number(merged_before: list[str]) -> None:
    """While copies of earlier merges are there, the next one stands beside them."""
    losers = () if merged_before else (LOSER,)
    winner = {"prefs": live(), f"prefs.{LOSER}": live(root="prefs")}
    for number in range(2, COPIES_MAX + 1):
        (move,) = plan(
            winner, {"prefs": live()}, losers=losers, merged_before=merged_before
        )

        assert move.new.dataset_name == f"prefs.{LOSER}.{number}"
        assert move.moved.root_dataset_name == "prefs"
        winner[move.new.dataset_name] = move.moved


def test_a_leftover_waits_when_nobody_deals_with_the_copies() -> None:
    """There is an end to them; it comes over once one of them is deleted."""
    copies = [
        f"prefs.{LOSER}",
        *(f"prefs.{LOSER}.{n}" for n in range(2, COPIES_MAX + 1)),
    ]
    winner = {"prefs": live(), **{name: live(root="prefs") for name in copies}}

    assert plan(winner, {"prefs": live()}, losers=(), merged_before=[LOSER]) == []
    winner[copies[7]] = dead(3)
    (move,) = plan(winner, {"prefs": live()}, losers=(), merged_before=[LOSER])
    assert move.new.dataset_name == copies[7]


def test_a_leftover_comes_over_once_the_copy_is_deleted() -> None:
    """Its place is free then, and its counter goes on there."""
    winner = {"prefs": live(), f"prefs.{LOSER}": dead(9)}
    (move,) = plan(
        winner, {"prefs": live(7, horizon=6)}, losers=(), merged_before=[LOSER]
    )

    assert move.new.dataset_name == f"prefs.{LOSER}"
    assert (move.moved.sync_count, move.moved.horizon) == (10, 9)
    assert move.moved.root_dataset_name == "prefs"


# --- Counters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "arriving", "count", "horizon"),
    [
        (dead(9), live(4, horizon=2), 10, 9),
        (dead(3), live(8, horizon=0), 9, 3),
        (dead(3), live(8, horizon=5), 9, 5),
        (dead(4), live(4, horizon=0), 5, 4),
    ],
)
def test_no_counter_falls_at_the_new_place(
    here: DatasetState, arriving: DatasetState, count: int, horizon: int
) -> None:
    """A device that knew the deleted dataset must still learn of its deletion."""
    (move,) = plan({"prefs": here}, {"prefs": arriving})

    assert (move.moved.sync_count, move.moved.horizon) == (count, horizon)
    assert move.record_sync_count == count > here.sync_count


def test_the_old_place_is_left_as_by_a_deletion() -> None:
    """A device that comes back to it is told that the dataset was deleted."""
    (move,) = plan({}, {"prefs": live(7, horizon=3)})

    assert move.left == DatasetState(
        sync_count=8,
        exists=False,
        horizon=8,
        creation_date_ms=1,
        last_modified_date_ms=NOW_MS,
        last_modified_by="device",
        num_records=0,
        data_storage=0,
    )


def test_a_copy_leaves_nothing_of_its_root_behind() -> None:
    """Who creates a dataset at the old place again creates an ordinary one."""
    (move,) = plan({}, {f"prefs.{OTHER}": live(root="prefs")})

    assert move.left.root_dataset_name is None
    assert move.moved.root_dataset_name == "prefs"


# --- Limits ---------------------------------------------------------------------------


def test_a_name_may_be_as_long_as_the_api_allows() -> None:
    """With the identity appended, 128 characters fit."""
    name = "n" * (NAME_CHARS_MAX - len(f".{LOSER}"))
    (move,) = plan({name: live()}, {name: live()})

    assert len(move.new.dataset_name) == NAME_CHARS_MAX


def test_a_name_that_would_be_too_long_is_refused() -> None:
    """No client could name the dataset; the message has both numbers."""
    name = "n" * (NAME_CHARS_MAX - len(LOSER))
    with pytest.raises(LimitExceededException) as caught:
        plan({name: live()}, {name: live()})

    assert f"{name}.{LOSER}" in caught.value.message
    assert "129 characters; the limit is 128." in caught.value.message


def test_a_long_name_moves_where_it_is_free() -> None:
    """The longest name is none too long as long as nothing is appended."""
    name = "n" * NAME_CHARS_MAX

    assert names(plan({}, {name: live()})) == [(name, name)]


def test_the_survivor_holds_no_more_datasets_than_any_identity() -> None:
    """Up to the limit they come over; beyond it the merge is refused."""
    winner = {"a": live(), "b": live()}
    assert len(plan(winner, {"c": live()}, datasets_max=3)) == 1
    with pytest.raises(LimitExceededException) as caught:
        plan(winner, {"c": live(), "d": live()}, datasets_max=3)

    assert "would hold 4 datasets; the limit is 3." in caught.value.message


def test_only_living_ordinary_datasets_count() -> None:
    """Deleted ones do not, and neither does what stands beside another (ruling 9)."""
    winner = {
        "a": live(),
        "gone": dead(3),
        f"a.{OTHER}": live(root="a"),
        f"b.{OTHER}": live(root="b"),
    }

    assert len(plan(winner, {"a": live(), "c": live()}, datasets_max=2)) == 2


def test_who_is_over_the_limit_may_still_get_copies() -> None:
    """A limit that was lowered since does not keep a merge from being made."""
    winner = {"a": live(), "b": live()}

    assert len(plan(winner, {"a": live(), "b": live()}, datasets_max=1)) == 2


def test_what_was_merged_before_is_not_refused() -> None:
    """What does not fit of it waits, and what fits comes over; long names are cut."""
    long = "n" * NAME_CHARS_MAX
    winner = {"a": live(), long: live()}
    left = {"a": live(), "b": live(), "c": live(), long: live()}
    moves = plan(winner, left, losers=(), merged_before=[LOSER], datasets_max=3)

    short = f"{'n' * (NAME_CHARS_MAX - len(LOSER) - 1)}.{LOSER}"
    assert names(moves) == [("a", f"a.{LOSER}"), ("b", "b"), (long, short)]
    assert moves[2].moved.root_dataset_name == long


def test_who_loses_now_comes_before_who_was_merged_before() -> None:
    """What was left behind does not take the last place from a merge."""
    moves = plan(
        {"a": live()},
        {"c": live()},
        {"b": live()},
        merged_before=[OTHER],
        datasets_max=2,
    )

    assert names(moves) == [("c", "c")]


# --- Events ---------------------------------------------------------------------------


def told(records: Sequence[StoredRecord]) -> list[tuple[str, dict[str, Any]]]:
    """Give the events of a move to the side, decoded, with whom they are about."""
    (move,) = plan({"prefs": live(9)}, {"prefs": live(4, num_records=2)})
    return [
        (who, msgspec.json.decode(data)) for who, data in move_events(move, records)
    ]


def test_a_consumer_is_told_of_the_deletion_first() -> None:
    """The old dataset goes, at the count that its place has now; then the new comes."""
    (loser, deletion), (winner, _) = told([])

    assert (loser, winner) == (LOSER, WINNER)
    assert deletion["identityPoolId"] == POOL
    assert (deletion["identityId"], deletion["dataSetName"]) == (LOSER, "prefs")
    assert (deletion["operation"], deletion["syncCount"]) == ("remove", 5)
    assert deletion["kinesisSyncRecords"] is None
    assert deletion["lastModifiedDate"] == NOW_MS


def test_a_consumer_is_told_of_the_new_dataset() -> None:
    """It gets every live record with its own count; tombstones are nothing new."""
    records = [
        StoredRecord("a", "1", 2, 11, "device", 10),
        StoredRecord("b", None, 3, 12, "device", None),
        StoredRecord("c", "", 4, 13, "device", None),
    ]
    _, (_, update) = told(records)

    assert (update["identityId"], update["dataSetName"]) == (WINNER, f"prefs.{LOSER}")
    assert (update["operation"], update["syncCount"]) == ("replace", 4)
    assert update["lastModifiedDate"] == NOW_MS
    assert [
        (each["key"], each["value"], each["syncCount"], each["op"])
        for each in update["kinesisSyncRecords"]
    ] == [("a", "1", 2, "replace"), ("c", "", 4, "replace")]


def test_a_dataset_of_tombstones_is_told_of_too() -> None:
    """An empty dataset is a dataset."""
    _, (_, update) = told([StoredRecord("b", None, 3, 12, "device", None)])

    assert update["kinesisSyncRecords"] == []
    assert update["operation"] == "replace"
