"""The store contract, identities: what is kept of them, and who has which login."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from millpond.core.claims import Origin
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    Login,
    StoredIdentities,
)
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    UNKNOWN_POOL,
    StoreBench,
    a_pool,
    never,
    put,
)

CAROL: Final = "us-east-1:c0000000-0000-4000-8000-000000000000"
DAVE: Final = "us-east-1:d0000000-0000-4000-8000-000000000000"
GOOGLE: Final = Login("accounts.google.com", "ann")
ORIGIN: Final = Origin(providers=("é", "graph.facebook.com"), unclaimed=("é",))
FACEBOOK: Final = Login("graph.facebook.com", "ann")


def an_identity(
    identity_id: str,
    *logins: Login,
    pool: str = POOL,
    at: int = NOW_MS,
    guest: bool = False,
    merged_into: str | None = None,
    origin: Origin | None = None,
) -> Identity:
    """Describe an identity."""
    return Identity(
        identity_pool_id=pool,
        identity_id=identity_id,
        creation_date_ms=at,
        last_modified_date_ms=at + 1,
        guest=guest,
        merged_into=merged_into,
        logins=tuple(sorted(logins)),
        origin=origin,
    )


def deciding_to_keep(
    *people: Identity,
) -> Callable[[StoredIdentities], IdentityChanges]:
    """Make a `decide` that writes identities."""
    return lambda stored: IdentityChanges(people[0], people)


async def keep(store: Store, *people: Identity) -> None:
    """Keep identities, each in the pool that it names."""
    for each in people:
        changes = await store.update_identities(
            each.identity_pool_id,
            identity_ids=[],
            logins=[],
            decide=deciding_to_keep(each),
        )
        assert changes is not None


async def load(
    store: Store, identity_ids: Collection[str] = (), logins: Collection[Login] = ()
) -> StoredIdentities:
    """Find what there is of identities and logins in `POOL`."""
    found = await store.find_identities(POOL, identity_ids=identity_ids, logins=logins)
    assert found is not None
    return found


class IdentityContract(StoreBench):
    """Identities and their logins."""

    # --- What is kept -----------------------------------------------------------------

    def test_an_identity_comes_back_as_it_went_in(self, tmp_path: Path) -> None:
        """A guest, a user, a disabled one: all that is known of them is kept."""
        people = [
            an_identity(ALICE, GOOGLE, FACEBOOK),
            an_identity(BOB, guest=True),
            an_identity(CAROL, merged_into=ALICE),
            an_identity(DAVE, origin=ORIGIN),
        ]

        async def scene(store: Store) -> None:
            await keep(store, *people)

            for each in people:
                assert each == await store.find_identity(each.identity_id)

        self.play(tmp_path, scene)

    def test_an_identity_is_written_whole(self, tmp_path: Path) -> None:
        """What it is afterwards stands in the place of what it was, dates too."""
        after = Identity(
            identity_pool_id=POOL,
            identity_id=ALICE,
            creation_date_ms=NOW_MS + 5,
            last_modified_date_ms=NOW_MS + 7,
            guest=True,
            merged_into=BOB,
            logins=(FACEBOOK,),
            origin=None,
        )

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE, origin=ORIGIN), after)

            assert after == await store.find_identity(ALICE)
            assert (await load(store, logins=[GOOGLE])).identities == {}

        self.play(tmp_path, scene)

    def test_logins_of_any_text_are_kept(self, tmp_path: Path) -> None:
        """Subjects and provider names stay what they are; logins stand in order."""
        people = {
            f"us-east-1:{number}": [Login(text, text), Login("login.game", text)]
            for number, text in enumerate(AWKWARD_TEXTS)
        }

        async def scene(store: Store) -> None:
            for identity_id, logins in people.items():
                await keep(store, an_identity(identity_id, *logins))

            for identity_id, logins in people.items():
                identity = await store.find_identity(identity_id)
                assert identity is not None
                assert list(identity.logins) == sorted(logins)
                for login in logins:
                    found = await load(store, logins=[login])
                    assert found.identities == {identity_id: identity}

        self.play(tmp_path, scene)

    def test_logins_stand_by_provider_and_subject(self, tmp_path: Path) -> None:
        """In the order of their code points, however many there are."""
        logins = [
            Login(provider, subject)
            for provider in ("b", "a", "\u00e4", "B")
            for subject in ("2", "10", "z", "\ud7ff", "\ue000", "\U0001f9c0")
        ]

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, *logins))
            identity = await store.find_identity(ALICE)

            assert identity is not None
            assert list(identity.logins) == sorted(logins)

        self.play(tmp_path, scene)

    # --- What is found ----------------------------------------------------------------

    def test_who_does_not_exist_is_not_found(self, tmp_path: Path) -> None:
        """Neither an id nor a login finds anybody who is not there."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE))

            assert await store.find_identity(BOB) is None
            assert not await store.delete_identity(BOB, now_ms=NOW_MS)
            others = [
                FACEBOOK,
                Login(GOOGLE.provider_name, "Ann"),
                Login(GOOGLE.subject, GOOGLE.provider_name),
            ]
            found = await load(store, [BOB], others)
            assert found == StoredIdentities(a_pool(), {}, {})

        self.play(tmp_path, scene)

    def test_an_unknown_pool_has_no_identities(self, tmp_path: Path) -> None:
        """What names a pool that does not exist finds nothing and decides nothing."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE))
            find = store.find_identities(
                UNKNOWN_POOL, identity_ids=[ALICE], logins=[GOOGLE]
            )
            update = store.update_identities(
                UNKNOWN_POOL, identity_ids=[ALICE], logins=[GOOGLE], decide=never
            )

            assert await find is None
            assert await update is None
            listed = store.list_identities(
                UNKNOWN_POOL, after=None, limit=9, enabled=False
            )
            assert await listed is None

        self.play(tmp_path, scene)

    def test_the_named_and_the_owners_are_found(self, tmp_path: Path) -> None:
        """Those whose id or login is named, and nobody else; each once."""
        alice, bob = an_identity(ALICE, GOOGLE), an_identity(BOB, FACEBOOK)

        async def scene(store: Store) -> None:
            await keep(store, alice, bob, an_identity(CAROL, guest=True))
            await put(store, PREFS, {"k": "v"})

            assert (await load(store)).identities == {}
            assert (await load(store, [ALICE])).identities == {ALICE: alice}
            assert (await load(store, [], [FACEBOOK])).identities == {BOB: bob}
            both = await load(store, [ALICE, ALICE], [GOOGLE, FACEBOOK, FACEBOOK])
            assert both.identities == {ALICE: alice, BOB: bob}
            assert both.pool == a_pool()
            # Who is alone has nothing to be merged with.
            assert (await load(store, [ALICE], [GOOGLE])).datasets == {}

        self.play(tmp_path, scene)

    def test_merges_are_followed_to_their_end(self, tmp_path: Path) -> None:
        """With a disabled identity come all that it leads to, and not those behind."""
        people = {
            ALICE: an_identity(ALICE, merged_into=BOB),
            BOB: an_identity(BOB, merged_into=CAROL),
            CAROL: an_identity(CAROL, GOOGLE),
        }

        async def scene(store: Store) -> None:
            await keep(store, *people.values())

            assert (await load(store, [ALICE])).identities == people
            assert set((await load(store, [BOB])).identities) == {BOB, CAROL}
            assert set((await load(store, [], [GOOGLE])).identities) == {CAROL}

        self.play(tmp_path, scene)

    def test_a_survivor_who_is_gone_is_not_found(self, tmp_path: Path) -> None:
        """A disabled identity outlives the one it leads to, and then leads nowhere."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, merged_into=BOB), an_identity(BOB))
            assert await store.delete_identity(BOB, now_ms=NOW_MS)

            found = await load(store, [ALICE])
            assert set(found.identities) == {ALICE}
            assert found.follow(ALICE) is None

        self.play(tmp_path, scene)

    def test_identities_of_other_pools_are_not_found(self, tmp_path: Path) -> None:
        """Neither by id nor by login; the same login may have an owner in each pool."""
        mine = an_identity(ALICE, GOOGLE)
        theirs = an_identity(BOB, GOOGLE, FACEBOOK, pool=OTHER_POOL)

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await keep(store, mine, theirs)

            assert theirs == await store.find_identity(BOB)
            found = await load(store, [BOB], [GOOGLE, FACEBOOK])
            assert found.identities == {ALICE: mine}
            listed = await store.list_identities(
                POOL, after=None, limit=9, enabled=False
            )
            assert listed == [mine]
            other = await store.find_identities(
                OTHER_POOL, identity_ids=[ALICE], logins=[GOOGLE]
            )
            assert other is not None
            assert other.identities == {BOB: theirs}

        self.play(tmp_path, scene)

    # --- Lists ------------------------------------------------------------------------

    def test_identities_are_listed_by_id(self, tmp_path: Path) -> None:
        """All of the pool, in order, whole; `after` and `limit` make pages."""
        people = [
            an_identity(DAVE, guest=True, at=1),
            an_identity(BOB, FACEBOOK, GOOGLE, at=4),
            an_identity("eu-west-1:9", guest=True, at=3),
            an_identity(CAROL, merged_into=BOB, at=2),
            an_identity(ALICE, at=5),
        ]
        wanted = sorted(people, key=lambda each: each.identity_id)

        async def scene(store: Store) -> None:
            async def listed(after: str | None, limit: int) -> list[Identity] | None:
                return await store.list_identities(
                    POOL, after=after, limit=limit, enabled=False
                )

            assert await listed(None, 9) == []
            await keep(store, *people)

            assert await listed(None, 9) == wanted
            assert await listed(None, 2) == wanted[:2]
            assert await listed(wanted[1].identity_id, 2) == wanted[2:4]
            assert await listed(wanted[4].identity_id, 2) == []

        self.play(tmp_path, scene)

    def test_disabled_identities_can_be_left_out(self, tmp_path: Path) -> None:
        """A page of the enabled ones is full in spite of those between them."""
        people = [
            an_identity(f"us-east-1:{n}", merged_into="us-east-1:8" if n % 4 else None)
            for n in range(9)
        ]

        async def scene(store: Store) -> None:
            await keep(store, *people)

            async def ids(after: str | None) -> list[str]:
                found = await store.list_identities(
                    POOL, after=after, limit=2, enabled=True
                )
                return [each.identity_id for each in found or []]

            assert await ids(None) == ["us-east-1:0", "us-east-1:4"]
            assert await ids("us-east-1:4") == ["us-east-1:8"]

        self.play(tmp_path, scene)
