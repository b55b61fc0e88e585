"""
Random requests in a small world of identities: nothing is lost, nothing leaks.

Guests, users and the developer ask for identities, link, unlink and merge them, while
devices write to datasets of anybody, those of disabled identities included: their
credentials work on until they expire. After every step the promises of a merge hold.
"""

from __future__ import annotations

import copy
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.identity_world import DEVELOPER, World, developer, facebook, google
from millpond.core.identities import Identity, Login
from millpond.core.sync import SyncLimits
from millpond.errors import ServiceException

DATASETS_MAX = 2
# Amazon's own; and names of data that is here before its identity is.
FOREIGN = ("theirs 1", "theirs 2")
NAMES = ("prefs", "prefs", "saves", "a")

logins_drawn = st.tuples(
    st.sampled_from([None, google("a"), google("b")]),
    st.sampled_from([None, facebook("a"), facebook("b")]),
).map(lambda pair: [login for login in pair if login is not None])
users_drawn = st.sampled_from([None, None, *map(developer, "abc")])
people = st.integers(0, 10**6)  # one of those that there are
some = st.one_of(st.none(), people)
few = st.one_of(st.none(), st.none(), st.none(), people)


class Life(RuleBasedStateMachine):
    """Random requests, each checked against what was before it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(limits=SyncLimits(datasets_per_identity=DATASETS_MAX))
        self.counts: dict[tuple[str, str], tuple[int, int]] = {}
        self.alive: set[str] = set()  # marks that were written and not deleted

    def _someone(self, choice: int | None) -> str | None:
        known = [*FOREIGN, *self.world.identities]
        return None if choice is None else known[-1 - choice % len(known)]

    def _try(self, request: Callable[[], Any]) -> Any:
        """Make a request; give None when it is refused, and nothing has changed."""
        before = self._everything()
        try:
            return request()
        except ServiceException:
            assert before == self._everything()
            return None

    def _everything(self) -> Any:
        world = self.world
        return copy.deepcopy((world.identities, world.datasets, world.contents))

    # --- Steps ------------------------------------------------------------------------

    @rule()
    def a_guest_comes(self) -> None:
        """Somebody without anything gets an identity of their own."""
        before = set(self.world.identities)
        assert self.world.ask().identity.identity_id not in before

    @rule(
        presented=some,
        logins=logins_drawn,
        user=users_drawn,
        vouched=few,
        foreign=st.sampled_from([None, None, None, *FOREIGN]),
    )
    def somebody_asks(
        self,
        presented: int | None,
        logins: list[Login],
        user: Login | None,
        vouched: int | None,
        foreign: str | None,
    ) -> None:
        """With any id and any proofs; then the same again, and in another order."""
        who = self._someone(presented)
        proofs: dict[str, Any] = {
            "user": user,
            "vouched": [each for each in [self._someone(vouched)] if each],
            "foreign": [foreign] if foreign else [],
        }
        if who is None and not logins and not any(proofs.values()):
            return  # that is a guest
        before = copy.deepcopy(self.world)
        changes = self._try(lambda: self.world.ask(who, *logins, **proofs))
        if changes is None:
            return
        found = changes.identity.identity_id
        assert _may_open(before, found, who, logins, **proofs)
        self._check_merge(before)
        if any(each.moved.root_dataset_name is None for each in changes.moves):
            assert len(self._own(found)) <= DATASETS_MAX
        other = copy.deepcopy(before).ask(who, *reversed(logins), **proofs)
        assert other.identity.identity_id == found
        again = self.world.ask(who, *logins, **proofs)
        assert again.identity == changes.identity
        assert not again.written
        assert not again.moves

    @rule(survivor=people, loser=people)
    def the_developer_merges(self, survivor: int, loser: int) -> None:
        """Two identities that are there and not disabled."""
        enabled = [e for e in self.world.identities.values() if e.merged_into is None]
        if not enabled:
            return
        one, two = (
            enabled[each % len(enabled)].identity_id for each in (survivor, loser)
        )
        before = copy.deepcopy(self.world)
        if self._try(lambda: self.world.merge(one, two)):
            assert one == two or self.world.identities[two].merged_into == one
            self._check_merge(before)
            again = self.world.merge(one, one)
            assert not again.written

    @rule(choice=people, logins=logins_drawn)
    def logins_are_unlinked(self, choice: int, logins: list[Login]) -> None:
        """From whichever identity has them."""
        for each in list(self.world.identities.values()):
            if set(each.logins).intersection(logins):
                self.world.unlink(each.identity_id, *logins[choice % 2 :])

    @rule(choices=st.lists(people, min_size=2, max_size=6), name=st.sampled_from(NAMES))
    def devices_write(self, choices: list[int], name: str) -> None:
        """To a dataset of anybody, or to one that a merge has put beside it."""
        for each in choices:
            who = self._someone(each)
            assert who is not None
            beside = [n for n in self.world.datasets.get(who, {}) if "." in n]
            place = who, [name, name, *beside][each % (len(beside) + 2)]
            self._try(functools.partial(self.world.write, *place))
            self.alive |= self.world.contents.get(place, frozenset())

    @rule(choice=people)
    def a_device_deletes(self, choice: int) -> None:
        """A dataset that is there."""
        if self.world.contents:
            places = sorted(self.world.contents)
            where = places[choice % len(places)]
            self.alive -= self.world.contents[where]
            self.world.delete(*where)

    # --- Promises ---------------------------------------------------------------------

    def _check_merge(self, before: World) -> None:
        """Each dataset is whole, and it and each login are with whom they belong to."""
        places = {content: owner for (owner, _), content in before.contents.items()}
        assert set(places) == set(self.world.contents.values())
        for (owner, _), content in self.world.contents.items():
            assert owner in (places[content], self._end_of(places[content]))
        for each in before.identities.values():
            end = self._end_of(each.identity_id)
            assert end is not None
            assert set(each.logins) <= set(self.world.identities[end].logins)

    def _end_of(self, identity_id: str) -> str | None:
        """Follow the merges; somebody who is nobody yet leads to themselves."""
        identity = self.world.identities.get(identity_id)
        for _ in self.world.identities:
            if identity is None or identity.merged_into is None:
                break
            identity = self.world.identities.get(identity.merged_into)
        return identity.identity_id if identity else None

    def _own(self, identity_id: str) -> list[str]:
        """Name the live datasets that no merge has put beside another one."""
        there = self.world.datasets.get(identity_id, {})
        return [n for n, e in there.items() if e.exists and e.root_dataset_name is None]

    @invariant()
    def a_login_has_one_owner(self) -> None:
        """And no identity has two of one public provider."""
        everybody = self.world.identities.values()
        owned = [login for each in everybody for login in each.logins]
        assert len(set(owned)) == len(owned)
        for each in everybody:
            counts = Counter(login.provider_name for login in each.logins)
            assert all(n == 1 for name, n in counts.items() if name != DEVELOPER)

    @invariant()
    def a_guest_has_no_login(self) -> None:
        """And logins are in order, so that equal identities compare equal."""
        for each in self.world.identities.values():
            assert not (each.guest and each.logins)
            assert list(each.logins) == sorted(each.logins)

    @invariant()
    def a_disabled_identity_leads_to_an_enabled_one(self) -> None:
        """It has no logins, and following the merges comes to an end."""
        for each in self.world.identities.values():
            if each.merged_into is None:
                continue
            assert not each.logins
            end = self._end_of(each.identity_id)
            assert end is not None
            assert self.world.identities[end].merged_into is None

    @invariant()
    def no_record_is_lost(self) -> None:
        """Every mark that was not deleted is in exactly one dataset, which is live."""
        marks = [mark for each in self.world.contents.values() for mark in each]
        assert len(set(marks)) == len(marks)
        assert set(marks) == self.alive
        live = {
            (identity_id, name)
            for identity_id, there in self.world.datasets.items()
            for name, state in there.items()
            if state.exists
        }
        assert live == set(self.world.contents)

    @invariant()
    def no_count_falls(self) -> None:
        """Whatever comes to a place, its counter and its horizon never go back."""
        for identity_id, there in self.world.datasets.items():
            for name, state in there.items():
                count, horizon = self.counts.get((identity_id, name), (0, 0))
                assert state.sync_count >= count
                assert state.horizon >= horizon
                self.counts[identity_id, name] = state.sync_count, state.horizon


def _may_open(
    before: World,
    found: str,
    presented: str | None,
    logins: Sequence[Login],
    *,
    user: Login | None,
    vouched: Sequence[str],
    foreign: Sequence[str],
) -> bool:
    """Say whether an identity is the caller's, as things were before the request."""
    identity = before.identities.get(found)
    if identity is None:
        return True  # it was nobody's
    public = [each for each in identity.logins if each.provider_name != DEVELOPER]
    return (
        any(login in identity.logins for login in [user, *logins])
        or (identity.guest and presented == found)
        # The developer may name any identity that has no public login.
        or (user is not None and presented is not None and not public)
        or any(_stands_for(before, each, identity) for each in vouched)
        or (bool(logins) and found in foreign)
        or (bool(logins) and any(_leads(before, each, identity) for each in foreign))
    )


def _stands_for(before: World, vouched: str, identity: Identity) -> bool:
    """
    Say whether a token leads to an identity.

    A former guest's leads nowhere, nor does that of an identity without logins.
    """
    each = before.identities.get(vouched)
    if each is None or (each.guest and each.merged_into is not None):
        return False
    return _leads(before, vouched, identity) and (
        identity.guest or identity.logins != ()
    )


def _leads(before: World, identity_id: str, identity: Identity) -> bool:
    """Say whether an identity is another one, or was merged into it."""
    each = before.identities.get(identity_id)
    while each is not None and each.merged_into is not None:
        each = before.identities.get(each.merged_into)
    return each == identity


def test_nothing_is_lost_and_nothing_leaks() -> None:
    """Whatever is asked in whatever order, the promises hold after every step."""
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
