"""What a listing shows of a dataset, for every count a client may come with."""

from __future__ import annotations

import pytest

from millpond.core import sync
from millpond.core.sync import DatasetState, Listing
from millpond.errors import InvalidParameterException


def dataset(sync_count: int, *, exists: bool = True, horizon: int = 0) -> DatasetState:
    return DatasetState(
        sync_count=sync_count,
        exists=exists,
        horizon=horizon,
        creation_date_ms=1,
        last_modified_date_ms=2,
        last_modified_by="me",
        num_records=0,
        data_storage=0,
    )


@pytest.mark.parametrize("known", [0, 1, 37, 2**62])
def test_a_dataset_that_never_was(known: int) -> None:
    """It does not exist, was not deleted, and is at 0, whatever the client knows."""
    assert sync.listing(None, known) == Listing(False, False, 0, 0, 0)


@pytest.mark.parametrize(("known", "deleted"), [(0, False), (1, True), (99, True)])
def test_a_dataset_that_is_gone(known: int, deleted: bool) -> None:
    """
    It is deleted for whoever knew it; Android needs false at 0. The counter it left is
    told, so that a client that creates it again goes on from there.
    """
    gone = dataset(6, exists=False, horizon=6)

    assert sync.listing(gone, known) == Listing(False, deleted, 6, 0, 0)


@pytest.mark.parametrize("known", [0, 1, 4, 5])
def test_a_living_dataset(known: int) -> None:
    """What changed after the known count is shown, up to the dataset's."""
    assert sync.listing(dataset(5), known) == Listing(True, False, 5, known, 5)


@pytest.mark.parametrize(
    ("known", "deleted", "after"),
    [(0, False, 0), (1, True, 0), (5, True, 0), (6, False, 6), (7, False, 7)],
)
def test_a_dataset_that_came_back(known: int, deleted: bool, after: int) -> None:
    """Who knew the dead incarnation is told so and sent all of the new one."""
    # Deleted with count 6, at 8 by now.
    again = dataset(8, horizon=6)

    assert sync.listing(again, known) == Listing(True, deleted, 8, after, 8)


@pytest.mark.parametrize("known", [6, 37, 2**62])
def test_a_count_above_the_dataset_is_refused(known: int) -> None:
    """The text is the one that the iOS client matches."""
    with pytest.raises(InvalidParameterException) as caught:
        sync.listing(dataset(5), known)

    wanted = f"No such SyncCount: {known} exists for this Dataset"
    assert caught.value.message == wanted


@pytest.mark.parametrize("horizon", [0, 3])
def test_self_healing_answers_as_if_it_were_zero(horizon: int) -> None:
    """With the setting, a count above the dataset's lists everything."""
    state = dataset(5, horizon=horizon)
    healed = sync.listing(state, 6, self_heal=True)

    assert healed == sync.listing(state, 0)
    assert sync.listing(state, 5, self_heal=True) == sync.listing(state, 5)


@pytest.mark.parametrize("state", [None, dataset(5), dataset(5, exists=False)])
def test_a_negative_count_is_refused(state: DatasetState | None) -> None:
    """The .NET client sends -1 after a deletion: a clean refusal, not a crash."""
    for self_heal in (False, True):
        with pytest.raises(InvalidParameterException, match="-1"):
            sync.listing(state, -1, self_heal=self_heal)


@pytest.mark.parametrize(
    ("after", "before", "now", "up_to", "good"),
    [
        (3, 0, 0, 8, True),  # nothing expired
        (3, 2, 5, 8, False),  # a later page had it
        (3, 2, 8, 8, False),
        (3, 2, 3, 8, True),  # the caller has seen it
        (5, 4, 5, 8, True),
        (3, 2, 9, 8, True),  # the next listing, from 8, tells to start over
        (0, 2, 5, 8, True),  # the caller starts anyway
        (3, 5, 5, 8, True),  # as it was at the first page
    ],
)
def test_a_page_is_refused_that_could_not_be_right(
    after: int, before: int, now: int, up_to: int, good: bool
) -> None:
    """When tombstones expire between two pages, nobody is left without them."""
    first = Listing(True, False, up_to, after, up_to)
    state = dataset(9, horizon=now)

    if good:
        sync.check_page(first, before, state)
    else:
        with pytest.raises(InvalidParameterException, match="List again without it"):
            sync.check_page(first, before, state)


@pytest.mark.parametrize(("known", "deleted"), [(0, True), (5, True), (6, False)])
def test_who_is_known_to_know_enough_is_not_told(known: int, deleted: bool) -> None:
    """A client that asks from a lower count after a conflict keeps what it has."""
    answer = sync.listing(dataset(8, horizon=6), 2, known=known)

    assert (answer.deleted, answer.after) == (deleted, 0 if deleted else 2)
