"""The store contract, updates of identities: one owner per login, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.core.identities import (
    IdentityChanges,
    Proofs,
    StoredIdentities,
    resolve,
)
from millpond.core.sync import SyncLimits
from millpond.errors import StoreError
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    put,
)
from millpond.testing.store_contract.identities import (
    CAROL,
    FACEBOOK,
    GOOGLE,
    an_identity,
    deciding_to_keep,
    keep,
    load,
)


class IdentityUpdateContract(StoreBench):
    """Updates of identities and their logins."""

    def test_decide_sees_what_is_found(self, tmp_path: Path) -> None:
        """An update is decided on what `find_identities` would tell at that moment."""
        seen: list[StoredIdentities] = []

        def decide(stored: StoredIdentities) -> IdentityChanges:
            seen.append(stored)
            return IdentityChanges(stored.identities[ALICE])

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, merged_into=BOB), an_identity(BOB))
            await put(store, PREFS, {"k": "v"})
            changes = await store.update_identities(
                POOL, identity_ids=[ALICE, CAROL], logins=[GOOGLE], decide=decide
            )

            assert changes == IdentityChanges(an_identity(ALICE, merged_into=BOB))
            assert seen[-1] == await load(store, [ALICE, CAROL], [GOOGLE])

        self.play(tmp_path, scene)

    def test_a_login_changes_hands(self, tmp_path: Path) -> None:
        """Two identities written in one update may take each other's logins."""
        before = [an_identity(ALICE, GOOGLE), an_identity(BOB, FACEBOOK)]
        after = [an_identity(ALICE, FACEBOOK), an_identity(BOB, GOOGLE)]

        async def scene(store: Store) -> None:
            await keep(store, *before)
            changes = await store.update_identities(
                POOL, identity_ids=[], logins=[], decide=deciding_to_keep(*after)
            )

            assert changes == IdentityChanges(after[0], tuple(after))
            assert (await load(store, [], [GOOGLE])).identities == {BOB: after[1]}
            assert (await load(store, [], [FACEBOOK])).identities == {ALICE: after[0]}

        self.play(tmp_path, scene)

    def test_what_decide_raises_leaves_nothing(self, tmp_path: Path) -> None:
        """A refusal comes out as it is, and nobody is linked or made."""

        def refuse(stored: StoredIdentities) -> IdentityChanges:
            raise refusal

        refusal = LookupError("no")

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE))
            with pytest.raises(LookupError) as caught:
                await store.update_identities(
                    POOL, identity_ids=[ALICE], logins=[FACEBOOK], decide=refuse
                )

            assert caught.value is refusal
            assert await store.find_identity(ALICE) == an_identity(ALICE, GOOGLE)
            assert (await load(store, [], [FACEBOOK])).identities == {}

        self.play(tmp_path, scene)

    def test_a_login_that_is_taken_fails_the_whole_update(self, tmp_path: Path) -> None:
        """It has one owner in a pool; nothing else of such an update is kept either."""
        people = [
            an_identity(BOB, FACEBOOK),
            an_identity(CAROL, GOOGLE),  # it is Alice's
        ]

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE))
            with pytest.raises(StoreError):
                await store.update_identities(
                    POOL, identity_ids=[], logins=[], decide=deciding_to_keep(*people)
                )

            found = await load(store, [ALICE, BOB, CAROL], [GOOGLE, FACEBOOK])
            assert found.identities == {ALICE: an_identity(ALICE, GOOGLE)}

        self.play(tmp_path, scene)

    def test_an_identity_stays_in_its_pool(self, tmp_path: Path) -> None:
        """Its id is taken in every pool: an update of another does not get at it."""
        theirs = an_identity(ALICE, GOOGLE, pool=OTHER_POOL)

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await keep(store, theirs)
            with pytest.raises(StoreError):
                await keep(store, an_identity(ALICE, FACEBOOK, merged_into=BOB))

            assert theirs == await store.find_identity(ALICE)
            assert (await load(store, [ALICE], [FACEBOOK])).identities == {}

        self.play(tmp_path, scene)

    def test_of_many_at_once_one_gets_the_login(self, tmp_path: Path) -> None:
        """Who signs in on twenty devices at the same moment is one identity."""

        def deciding(new_id: str) -> Callable[[StoredIdentities], IdentityChanges]:
            return lambda stored: resolve(
                stored,
                None,
                Proofs(logins=[GOOGLE]),
                new_id=new_id,
                now_ms=NOW_MS,
                limits=SyncLimits(),
            )

        async def scene(store: Store) -> None:
            answers = await asyncio.gather(
                *(
                    store.update_identities(
                        POOL,
                        identity_ids=[],
                        logins=[GOOGLE],
                        decide=deciding(f"us-east-1:{number}"),
                    )
                    for number in range(20)
                )
            )
            told = {each.identity.identity_id for each in answers if each}
            listed = await store.list_identities(
                POOL, after=None, limit=99, enabled=False
            )

            assert listed is not None
            assert {each.identity_id for each in listed} == told
            assert len(told) == 1

        self.play(tmp_path, scene)
