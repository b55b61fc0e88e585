"""The hub of changes: who listens hears the newest of each dataset, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from millpond.core.dataset_moves import DatasetMove
from millpond.core.sync import DatasetId, DatasetState, gone
from millpond.errors import TooManyRequestsException
from millpond.service.changes import PENDING_MAX, Changes, Listener

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
ALICE = "us-east-1:a0000000-0000-4000-8000-000000000000"
BOB = "us-east-1:b0000000-0000-4000-8000-000000000000"
PREFS = DatasetId(POOL, ALICE, "prefs")
LONG_S = 20.0  # longer than any of these tests takes


def state(sync_count: int) -> DatasetState:
    """Make a dataset."""
    return DatasetState(
        sync_count=sync_count,
        exists=True,
        creation_date_ms=1,
        last_modified_date_ms=1,
        last_modified_by="somebody",
        num_records=1,
        data_storage=1,
    )


def hub(listeners_max: int = 10, listeners_per_identity_max: int = 10) -> Changes:
    """Make a hub with room."""
    return Changes(
        listeners_max=listeners_max,
        listeners_per_identity_max=listeners_per_identity_max,
    )


def take(listener: Listener) -> dict[str, int]:
    """Take what a listener has heard: sync counts by dataset name."""
    heard = asyncio.run(listener.wait(0))
    return {name: each.sync_count for name, each in heard.items()}


def test_heard():
    """A listener hears of a change of its identity."""
    changes = hub()
    listener = changes.subscribe(POOL, ALICE)
    changes.publish(PREFS, state(1))

    assert take(listener) == {"prefs": 1}
    assert take(listener) == {}


def test_no_change():
    """What turned out to be no change is not heard."""
    changes = hub()
    listener = changes.subscribe(POOL, ALICE)
    changes.publish(PREFS, None)

    assert take(listener) == {}


def test_nobody_listens():
    """A change that nobody waits for goes nowhere."""
    changes = hub()
    changes.publish(PREFS, state(1))

    assert take(changes.subscribe(POOL, ALICE)) == {}


@pytest.mark.parametrize("identity", [(POOL, BOB), (BOB, ALICE)])
def test_others(identity):
    """Listeners of another identity, or of another pool, hear nothing."""
    changes = hub()
    listener = changes.subscribe(*identity)
    changes.publish(PREFS, state(1))

    assert take(listener) == {}


def test_the_newest_waits():
    """Of a dataset that changes again, the newest state alone waits."""
    changes = hub()
    listener = changes.subscribe(POOL, ALICE)
    for count in (1, 2, 3):
        changes.publish(PREFS, state(count))
        changes.publish(DatasetId(POOL, ALICE, "other"), state(count + 10))

    assert take(listener) == {"prefs": 3, "other": 13}


@pytest.mark.parametrize("late", [1, 2])
def test_late_news(late):
    """What comes later than what came after it, or once more, changes nothing."""
    changes = hub()
    listener = changes.subscribe(POOL, ALICE)
    changes.publish(PREFS, state(2))
    changes.publish(PREFS, state(late))

    assert take(listener) == {"prefs": 2}


def test_moves():
    """A merge is heard by either identity."""
    changes = hub()
    loser, survivor = changes.subscribe(POOL, BOB), changes.subscribe(POOL, ALICE)
    move = DatasetMove(
        old=DatasetId(POOL, BOB, "prefs"),
        new=DatasetId(POOL, ALICE, "prefs.b"),
        left=gone(state(4), now_ms=2),
        moved=state(4),
    )
    changes.publish_moves([move])

    assert (take(loser), take(survivor)) == ({"prefs": 5}, {"prefs.b": 4})


def test_woken():
    """Who waits is woken by the change."""

    async def scene() -> None:
        changes = hub()
        listener = changes.subscribe(POOL, ALICE)
        waiting = asyncio.create_task(listener.wait(LONG_S))
        await asyncio.sleep(0)
        changes.publish(PREFS, state(1))

        assert list(await waiting) == ["prefs"]

    run(scene())


def test_unsubscribed():
    """Who has left is forgotten, and its place is free."""
    changes = hub(listeners_max=1)
    listener = changes.subscribe(POOL, ALICE)
    changes.unsubscribe(POOL, ALICE, listener)
    changes.publish(PREFS, state(1))

    assert take(listener) == {}
    assert take(changes.subscribe(POOL, BOB)) == {}


def test_too_many_of_an_identity():
    """One identity does not take the places of all the others."""
    changes = hub(listeners_per_identity_max=2)
    changes.subscribe(POOL, ALICE)
    changes.subscribe(POOL, ALICE)

    with pytest.raises(TooManyRequestsException) as caught:
        changes.subscribe(POOL, ALICE)

    assert (
        caught.value.message == f"Identity '{ALICE}' has 2 listeners; the limit is 2."
    )
    changes.subscribe(POOL, BOB)


def test_too_many():
    """There are no more listeners than there may be."""
    changes = hub(listeners_max=1)
    changes.subscribe(POOL, ALICE)

    with pytest.raises(TooManyRequestsException) as caught:
        changes.subscribe(POOL, BOB)

    assert caught.value.message == "The server has 1 listeners; the limit is 1."


def test_too_much_waits():
    """A listener that takes nothing is ended before much waits for it."""
    changes = hub()
    stuck, other = changes.subscribe(POOL, ALICE), changes.subscribe(POOL, BOB)
    for number in range(PENDING_MAX + 1):
        changes.publish(DatasetId(POOL, ALICE, f"d{number}"), state(1))

    assert stuck.ended
    assert take(stuck) == {}
    assert not other.ended


def test_notifications_lost():
    """Everybody is ended, so as to come back; who comes then is welcome."""

    async def scene() -> None:
        changes = hub()
        listener = changes.subscribe(POOL, ALICE)
        waiting = asyncio.create_task(listener.wait(LONG_S))
        await asyncio.sleep(0)
        changes.end_all()

        assert await waiting == {}
        assert listener.ended
        assert not changes.subscribe(POOL, ALICE).ended

    run(scene())


def test_closed():
    """When the server goes, listeners are ended, and those that still come at once."""
    changes = hub()
    listener = changes.subscribe(POOL, ALICE)
    changes.close()

    assert listener.ended
    assert changes.subscribe(POOL, ALICE).ended


def run(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene; one that waits for what does not come fails."""
    asyncio.run(asyncio.wait_for(scene, LONG_S / 2))


def test_the_listeners_of_a_deleted_identity_are_ended() -> None:
    """Its counts are gone with it, so nobody could be told of what comes after."""

    async def scene() -> None:
        changes = Changes(listeners_max=2)
        one = changes.subscribe("pool", "ann")
        other = changes.subscribe("pool", "bob")

        changes.end("ann")

        assert one.ended
        assert not other.ended

    asyncio.run(scene())
