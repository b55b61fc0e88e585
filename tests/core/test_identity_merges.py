"""What a merge does: who survives, where the other one leads, and what comes over."""

from __future__ import annotations

import pytest

from core.identity_world import (
    World,
    an_identity,
    developer,
    facebook,
    google,
)
from millpond.core.identities import Login, Voucher
from millpond.core.sync import SyncLimits
from millpond.errors import (
    LimitExceededException,
    NotAuthorizedException,
    ResourceConflictException,
    ResourceNotFoundException,
)


def three_users_and_a_guest() -> World:
    """Users of three providers, the oldest first, and a guest who is older still."""
    return World().add(
        an_identity("ann", google("ann"), created=2),
        an_identity("bob", facebook("bob"), created=3),
        an_identity("carl", developer("carl"), created=4),
        an_identity("guest", guest=True, created=1),
    )


def names(world: World, identity_id: str) -> set[str]:
    """Name the live datasets of an identity."""
    return {name for owner, name in world.contents if owner == identity_id}


# --- Who survives ---------------------------------------------------------------------


def test_a_guest_is_merged_into_the_account_signed_in_to() -> None:
    """The answer is the account, though the guest was presented."""
    world = three_users_and_a_guest()
    account = world.ask("guest", google("ann")).identity

    assert (account.identity_id, account.logins) == ("ann", (google("ann"),))
    assert world.identities["guest"].merged_into == "ann"


def test_the_account_that_is_presented_survives() -> None:
    """It gets the logins of the other one, though that is older."""
    world = three_users_and_a_guest()
    both = world.ask("bob", google("ann"), facebook("bob")).identity

    assert both.identity_id == "bob"
    assert both.logins == (google("ann"), facebook("bob"))
    assert (both.creation_date_ms, both.last_modified_date_ms) == (3, world.now_ms)
    assert world.identities["bob"] == both


@pytest.mark.parametrize("presented", [None, "guest"])
@pytest.mark.parametrize(
    "logins", [(google("ann"), facebook("bob")), (facebook("bob"), google("ann"))]
)
def test_else_the_oldest_account_survives(
    presented: str | None, logins: tuple[Login, ...]
) -> None:
    """Without an account's id, the age decides and not the order of the logins."""
    world = three_users_and_a_guest()

    assert world.ask(presented, *logins).identity.identity_id == "ann"
    assert world.identities["bob"].merged_into == "ann"


def test_several_are_merged_at_once() -> None:
    """A guest who proves to be two users makes one identity of three."""
    world = three_users_and_a_guest()
    one = world.ask("guest", facebook("bob"), google("ann")).identity

    assert one.logins == (google("ann"), facebook("bob"))
    assert world.identities["guest"].merged_into == "ann"
    assert world.identities["bob"].merged_into == "ann"
    assert world.identities["carl"].merged_into is None


def test_two_guests_make_a_guest() -> None:
    """The one that a token vouches for survives; it has no logins still."""
    world = World().add(an_identity("one", guest=True), an_identity("two", guest=True))
    guest = world.ask("one", vouched=["two"]).identity

    assert (guest.identity_id, guest.guest, guest.logins) == ("two", True, ())
    assert world.identities["one"].merged_into == "two"


def test_a_merge_makes_nobody_a_guest_again() -> None:
    """Whoever had a login once is none, even when none of the two has any left."""
    for survivor, loser in (("guest", "former"), ("former", "guest")):
        world = World().add(an_identity("former"), an_identity("guest", guest=True))

        assert not world.merge(survivor, loser).identity.guest


def test_a_guests_identity_joins_the_one_that_a_token_vouches_for() -> None:
    """A token of an account is as good as one of its logins."""
    world = three_users_and_a_guest()

    assert world.ask("guest", vouched=["bob"]).identity.identity_id == "bob"
    assert world.identities["guest"].merged_into == "bob"


def test_the_login_of_another_account_is_merged_by_the_developer() -> None:
    """A public login that comes with the developer's user joins the two."""
    world = three_users_and_a_guest()
    one = world.ask("carl", google("ann"), user=developer("carl")).identity

    assert one.identity_id == "carl"
    assert one.logins == (google("ann"), developer("carl"))


# --- The one that is disabled ---------------------------------------------------------


def test_who_was_merged_is_disabled() -> None:
    """It points to the survivor and has no logins; its date is that of the merge."""
    world = three_users_and_a_guest()
    world.ask("bob", google("ann"), facebook("bob"))
    ann = world.identities["ann"]

    assert (ann.merged_into, ann.logins) == ("bob", ())
    assert (ann.creation_date_ms, ann.last_modified_date_ms) == (2, world.now_ms)


def test_a_disabled_identity_leads_to_the_survivor() -> None:
    """A client that knows only its old id is told the new one, each time the same."""
    world = three_users_and_a_guest()
    world.ask("guest", google("ann"))

    for _ in range(2):
        changes = world.ask("guest", google("ann"))
        assert changes.identity == world.identities["ann"]
        assert not changes.written


def test_a_chain_of_merges_leads_to_its_end() -> None:
    """Whoever took part in any of them is told who is left."""
    world = three_users_and_a_guest()
    world.ask("guest", google("ann"))
    world.ask("bob", google("ann"), facebook("bob"))
    world.ask("carl", facebook("bob"), user=developer("carl"))

    for presented in ("guest", "ann", "bob", "carl"):
        for login in (google("ann"), facebook("bob")):
            changes = world.ask(presented, login)
            assert changes.identity.identity_id == "carl"
            assert not changes.written


@pytest.mark.parametrize(
    ("logins", "text"),
    [
        ((), "Access to Identity 'guest' is forbidden."),
        ((facebook("bob"),), "Access to Identity 'guest' is forbidden."),
        ((google("eve"),), "Logins don't match."),
    ],
)
def test_a_disabled_identity_opens_only_with_the_survivors_logins(
    logins: tuple[Login, ...], text: str
) -> None:
    """Once merged, a guest's id alone is good for nothing any more."""
    world = three_users_and_a_guest()
    world.ask("guest", google("ann"))
    with pytest.raises(NotAuthorizedException) as caught:
        world.ask("guest", *logins)

    assert caught.value.message.startswith(text)


def test_a_disabled_guest_does_not_open_a_guest_either() -> None:
    """The id of one guest is not the id of the other one."""
    world = World().add(an_identity("one", guest=True), an_identity("two", guest=True))
    world.ask("one", vouched=["two"])
    with pytest.raises(NotAuthorizedException, match=r"^Access to Identity 'one'"):
        world.ask("one")


def test_a_disabled_identity_without_a_survivor_is_not_found() -> None:
    """When the survivor was deleted, a client must begin anew."""
    world = three_users_and_a_guest()
    world.ask("guest", google("ann"))
    del world.identities["ann"]

    for logins in ((), (google("ann"),)):
        with pytest.raises(ResourceNotFoundException) as caught:
            world.ask("guest", *logins)
        assert caught.value.message == "Identity 'guest' not found."


def test_the_token_of_a_former_guest_does_not_open_the_account() -> None:
    """It was to be had for the guest's id alone, which proves no user."""
    world = three_users_and_a_guest()
    world.ask("guest", google("ann"))

    for presented in (None, "guest", "ann"):
        with pytest.raises(NotAuthorizedException, match=r"^Access to Identity"):
            world.ask(presented, vouched=["guest"])


def test_the_token_of_a_former_guest_does_not_open_another_guest() -> None:
    """It is good for one id, and not for the one that this leads to."""
    world = World().add(an_identity("one", guest=True), an_identity("two", guest=True))
    world.ask("one", vouched=["two"])

    for presented in (None, "one"):
        with pytest.raises(NotAuthorizedException, match=r"^Access to Identity 'one'"):
            world.ask(presented, vouched=["one"])


def test_the_token_of_a_former_guest_does_no_harm_beside_a_login() -> None:
    """The request that merged them leads to the account whenever it is repeated."""
    world = three_users_and_a_guest()
    for _ in range(2):
        identity = world.ask(None, google("ann"), vouched=["guest"]).identity
        assert identity.identity_id == "ann"


def test_the_token_of_a_former_account_leads_to_the_survivor() -> None:
    """Its user has proven a login, which is the survivor's now."""
    world = three_users_and_a_guest()
    world.merge("ann", "carl")

    for presented in (None, "carl", "ann"):
        identity = world.ask(presented, vouched=["carl"]).identity
        assert identity.identity_id == "ann"


# --- What is refused ------------------------------------------------------------------


def test_accounts_with_logins_of_one_provider_are_not_merged() -> None:
    """Two public logins of one provider are two people; nothing is half-linked."""
    world = three_users_and_a_guest().add(an_identity("eve", google("eve")))
    before = dict(world.identities)
    with pytest.raises(ResourceConflictException, match="2 logins of"):
        world.ask("bob", google("ann"), facebook("bob"), vouched=["eve"])

    assert world.identities == before


def test_accounts_with_too_many_logins_together_are_not_merged() -> None:
    """Twenty are the limit of an identity, however it comes by them."""
    eleven = [developer(f"a{number}") for number in range(11)]
    world = World().add(
        an_identity("one", google("ann"), *eleven[:10]),
        an_identity("two", facebook("ann"), *(developer(f"b{n}") for n in range(9))),
    )
    with pytest.raises(LimitExceededException, match=r"21 logins; the limit is 20\."):
        world.ask("one", google("ann"), facebook("ann"))


# --- Merges by the developer ----------------------------------------------------------


def test_the_developer_says_who_survives() -> None:
    """The destination takes the logins, whoever is older; the source leads to it."""
    world = three_users_and_a_guest().add(an_identity("dora", developer("dora")))
    merged = world.merge("dora", "carl").identity

    assert merged.identity_id == "dora"
    assert merged.logins == (developer("carl"), developer("dora"))
    assert world.identities["carl"].merged_into == "dora"
    for user in ("carl", "dora"):
        assert world.ask(None, user=developer(user)).identity.identity_id == "dora"


def test_an_identity_merged_with_itself_stays_as_it_is() -> None:
    """Two users of one identity are merged already."""
    world = World().add(an_identity("ann", developer("ann"), developer("ann@work")))
    changes = world.merge("ann", "ann")

    assert changes.identity == world.identities["ann"]
    assert not changes.written


def test_the_developer_does_not_merge_two_logins_of_one_provider() -> None:
    """With a public login of one provider each, two identities stay two."""
    world = World().add(
        an_identity("one", developer("a"), google("ann")),
        an_identity("two", developer("b"), google("bob")),
    )
    with pytest.raises(ResourceConflictException):
        world.merge("one", "two")

    assert world.identities["two"].merged_into is None


def test_the_developer_does_not_merge_too_many_logins() -> None:
    """Twenty logins together are allowed, one more is not."""
    users = [developer(f"{number:02}") for number in range(21)]
    world = World().add(
        an_identity("one", *users[:10]),
        an_identity("two", *users[10:20]),
        an_identity("three", users[20]),
    )
    world.merge("one", "two")
    with pytest.raises(LimitExceededException, match=r"21 logins; the limit is 20\."):
        world.merge("one", "three")


# --- Datasets -------------------------------------------------------------------------


def test_a_guests_datasets_come_to_the_account() -> None:
    """What the account does not have keeps its name; what it has comes beside it."""
    world = three_users_and_a_guest()
    for identity_id, name in (("ann", "prefs"), ("guest", "prefs"), ("guest", "saves")):
        world.write(identity_id, name)
    contents = dict(world.contents)
    world.ask("guest", google("ann"))

    assert names(world, "guest") == set()
    assert world.contents == {
        ("ann", "prefs"): contents["ann", "prefs"],
        ("ann", "prefs.guest"): contents["guest", "prefs"],
        ("ann", "saves"): contents["guest", "saves"],
    }


def test_a_merge_that_is_repeated_moves_nothing_again() -> None:
    """The first one has done everything there is to do."""
    world = three_users_and_a_guest()
    world.write("ann", "prefs")
    world.write("guest", "prefs")
    world.ask("guest", google("ann"))
    datasets = {each: dict(there) for each, there in world.datasets.items()}

    assert not world.ask("guest", google("ann")).moves
    assert datasets == world.datasets


def test_merging_what_holds_too_many_datasets_is_refused_whole() -> None:
    """Over the limit nothing is moved and nobody is disabled."""
    world = three_users_and_a_guest()
    world.limits = SyncLimits(datasets_per_identity=2)
    for name in ("a", "b"):
        world.write("ann", name)
    world.write("guest", "c")
    with pytest.raises(LimitExceededException, match=r"3 datasets; the limit is 2\."):
        world.ask("guest", google("ann"))

    assert world.identities["guest"].merged_into is None
    assert names(world, "guest") == {"c"}


def test_what_a_device_writes_after_the_merge_comes_over_as_well() -> None:
    """Credentials of the disabled identity work on; its next request brings it all."""
    world = three_users_and_a_guest()
    world.ask("guest", google("ann"))
    world.write("guest", "late")
    changes = world.ask("guest", google("ann"))

    assert [each.new.dataset_name for each in changes.moves] == ["late"]
    assert names(world, "ann") == {"late"}
    assert not changes.written


def test_what_was_written_late_comes_along_with_a_second_merge() -> None:
    """When the survivor is merged itself, one request brings everything."""
    world = three_users_and_a_guest()
    world.merge("ann", "carl")
    world.write("ann", "prefs")
    world.write("carl", "late")
    world.ask("bob", facebook("bob"), vouched=["carl"])

    assert names(world, "bob") == {"prefs", "late"}
    assert not world.ask("bob", facebook("bob"), vouched=["carl"]).moves


def test_what_was_written_late_locks_nobody_out() -> None:
    """What does not fit the survivor waits; the user gets in and can make room."""
    world = three_users_and_a_guest()
    world.limits = SyncLimits(datasets_per_identity=1)
    world.ask("guest", google("ann"))
    world.write("ann", "prefs")
    world.write("guest", "late")
    waiting = world.ask("guest", google("ann"))
    assert (waiting.identity.identity_id, waiting.moves) == ("ann", [])

    world.delete("ann", "prefs")
    world.ask("guest", google("ann"))
    assert names(world, "ann") == {"late"}


def test_data_that_came_before_its_identity_is_merged_too() -> None:
    """An app may move its data here first; a token of Amazon's brings the identity."""
    world = three_users_and_a_guest()
    world.write("theirs", "prefs")
    guest = Voucher("theirs", authenticated=False, foreign=True)
    world.ask(None, google("ann"), vouched=[guest])

    assert names(world, "ann") == {"prefs"}
    assert names(world, "theirs") == set()
