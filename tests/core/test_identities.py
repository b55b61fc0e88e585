"""Which identity logins lead to, what is linked on the way, and who is refused."""

from __future__ import annotations

import pytest

from core.identity_world import (
    CLOSED_POOL,
    NO_GUESTS,
    NO_MATCH,
    NOW_MS,
    POOL,
    World,
    an_identity,
    ann_bob_and_a_guest,
    developer,
    facebook,
    forbidden,
    google,
    leads_to,
    refused,
)
from millpond.core import identities
from millpond.core.identities import Identity, Login
from millpond.errors import (
    DeveloperUserAlreadyRegisteredException,
    LimitExceededException,
    NotAuthorizedException,
    ResourceConflictException,
    ResourceNotFoundException,
)

# --- Guests ---------------------------------------------------------------------------


def test_a_guest_gets_a_new_identity_each_time() -> None:
    """Without logins and without an id, every request makes another identity."""
    world = World()
    first, second = world.ask().identity, world.ask().identity

    assert first.identity_id != second.identity_id
    assert set(world.identities) == {first.identity_id, second.identity_id}


def test_a_guest_has_no_logins() -> None:
    """A new guest is described as one, in its pool, with the time it was made."""
    guest = World().ask().identity

    assert guest == Identity(
        identity_pool_id=POOL.identity_pool_id,
        identity_id="new 1",
        creation_date_ms=NOW_MS + 1,
        last_modified_date_ms=NOW_MS + 1,
        guest=True,
        merged_into=None,
        logins=(),
    )


def test_who_holds_the_id_of_a_guest_may_use_it() -> None:
    """A guest's identity opens without any proof."""
    assert leads_to(ann_bob_and_a_guest(), "guest") == "guest"


def test_a_pool_without_guests_makes_none() -> None:
    """Who does not sign in there is refused."""
    assert refused(World(CLOSED_POOL), NotAuthorizedException) == NO_GUESTS


def test_a_former_guest_is_refused_where_there_are_none_any_more() -> None:
    """When a pool gives up guests, those that it had are let in no more."""
    world = World(CLOSED_POOL).add(an_identity("guest", guest=True))

    assert refused(world, NotAuthorizedException, "guest") == NO_GUESTS


def test_a_pool_without_guests_has_users() -> None:
    """Who signs in is no guest, with the id of a former guest or without any."""
    world = World(CLOSED_POOL).add(an_identity("guest", guest=True))

    assert world.ask(None, google("ann")).identity.logins == (google("ann"),)
    assert world.ask("guest", google("bob")).identity.identity_id == "guest"


@pytest.mark.parametrize("logins", [(), (google("ann"),), (google("eve"),)])
def test_an_unknown_identity_is_not_found(logins: tuple[Login, ...]) -> None:
    """It may be another pool's: a store does not load those here."""
    message = refused(
        ann_bob_and_a_guest(), ResourceNotFoundException, "nobody", *logins
    )

    assert message == "Identity 'nobody' not found."


# --- Signing in -----------------------------------------------------------------------


def test_a_new_user_gets_a_new_identity() -> None:
    """A login that nobody has makes an identity, which is no guest."""
    made = World().ask(None, google("ann")).identity

    assert (made.identity_id, made.logins) == ("new 1", (google("ann"),))
    assert not made.guest


def test_the_same_login_leads_to_the_same_identity() -> None:
    """Who signs in again, with the id or on a new device, is who they were."""
    world = World()
    made = world.ask(None, google("ann")).identity.identity_id

    assert leads_to(world, None, google("ann")) == made
    assert leads_to(world, made, google("ann")) == made


def test_a_user_is_known_by_provider_and_subject() -> None:
    """The same name at another provider, or spelled otherwise, is somebody else."""
    world = World()
    logins = [google("ann"), facebook("ann"), google("Ann"), google("ann ")]
    made = {world.ask(None, each).identity.identity_id for each in logins}

    assert len(made) == 4


@pytest.mark.parametrize(
    "logins", [[google("ann")], [facebook("ann")], [facebook("ann"), google("ann")]]
)
def test_any_login_of_an_identity_opens_it(logins: list[Login]) -> None:
    """One of several is enough, with the id or without it."""
    world = ann_bob_and_a_guest()

    assert leads_to(world, "ann", *logins) == "ann"
    assert leads_to(world, None, *logins) == "ann"


# --- Linking --------------------------------------------------------------------------


def test_a_guest_who_signs_in_keeps_the_identity() -> None:
    """A login that nobody has is linked to the guest, who is one no more."""
    world = ann_bob_and_a_guest()
    linked = world.ask("guest", google("carl")).identity

    assert (linked.identity_id, linked.logins) == ("guest", (google("carl"),))
    assert not linked.guest
    assert (linked.creation_date_ms, linked.last_modified_date_ms) == (3, world.now_ms)
    assert linked == world.identities["guest"]


def test_a_further_login_is_linked_beside_a_known_one() -> None:
    """A user who proves one login of an identity may add another one."""
    world = ann_bob_and_a_guest()
    linked = world.ask("bob", google("bob"), facebook("bob")).identity

    assert linked.identity_id == "bob"
    assert linked.logins == (google("bob"), facebook("bob"))
    assert leads_to(world, None, facebook("bob")) == "bob"


def test_a_further_login_is_linked_without_an_id() -> None:
    """The login that is known says which identity gets the other one."""
    world = ann_bob_and_a_guest()

    assert world.ask(None, facebook("bob"), google("bob")).identity.identity_id == "bob"
    assert leads_to(world, "bob", facebook("bob")) == "bob"


def test_an_identity_has_one_login_of_each_public_provider() -> None:
    """A second one is refused, though a token vouches for the user."""
    message = refused(
        ann_bob_and_a_guest(),
        ResourceConflictException,
        "bob",
        google("robert"),
        vouched="bob",
    )

    assert "2 logins of 'accounts.google.com'" in message


def test_an_identity_may_have_several_developer_users() -> None:
    """Of the developer's own users, one identity may have more than one."""
    world = World().add(an_identity("ann", developer("ann")))
    linked = world.ask("ann", user=developer("ann@work")).identity

    assert linked.identity_id == "ann"
    assert linked.logins == (developer("ann"), developer("ann@work"))
    assert leads_to(world, None, user="ann@work") == "ann"


def test_an_identity_has_twenty_logins_at_most() -> None:
    """The twentieth is linked, the twenty-first is refused with both numbers."""
    users = [developer(f"{number:02}") for number in range(19)]
    world = World().add(an_identity("ann", *users))
    assert len(world.ask("ann", user=developer("19")).identity.logins) == 20

    message = refused(world, LimitExceededException, "ann", user="20")
    assert "21 logins" in message
    assert "the limit is 20" in message


def test_an_identity_with_too_many_logins_still_opens() -> None:
    """The limit stands in the way of more logins, not of their user."""
    users = [developer(f"{number:02}") for number in range(21)]
    world = World().add(an_identity("ann", *users))

    assert leads_to(world, "ann", user="20") == "ann"


# --- Access ---------------------------------------------------------------------------


def test_an_authenticated_identity_needs_a_login() -> None:
    """Its id alone opens it to nobody, though the pool has guests."""
    message = refused(ann_bob_and_a_guest(), NotAuthorizedException, "ann")

    assert message == forbidden("ann")
    # The .NET client forgets its identity at a message that begins like this.
    assert message.startswith("Access to Identity")


def test_the_login_of_somebody_else_opens_nothing() -> None:
    """A user who presents the identity of another one is turned away."""
    message = refused(
        ann_bob_and_a_guest(), NotAuthorizedException, "ann", google("bob")
    )

    assert message == forbidden("ann")


@pytest.mark.parametrize(
    "logins", [[google("eve")], [facebook("eve"), google("bob")], [google("Ann")]]
)
def test_a_login_that_nobody_has_opens_nothing(logins: list[Login]) -> None:
    """It is not linked to an identity of which it proves nothing."""
    message = refused(ann_bob_and_a_guest(), NotAuthorizedException, "ann", *logins)

    assert message == NO_MATCH


# --- Unlinking ------------------------------------------------------------------------


def test_a_login_that_was_unlinked_is_new() -> None:
    """It makes another identity the next time; what is left opens the first one."""
    world = ann_bob_and_a_guest()
    world.unlink("ann", facebook("ann"))

    assert leads_to(world, None, google("ann")) == "ann"
    assert world.ask(None, facebook("ann")).identity.identity_id not in ("ann", "bob")


def test_unlinking_takes_the_named_logins_alone() -> None:
    """Logins that the identity does not have are passed over; its date is new."""
    ann = ann_bob_and_a_guest().identities["ann"]
    left = identities.unlink(ann, [facebook("ann"), google("bob")], now_ms=NOW_MS)

    assert left.logins == (google("ann"),)
    assert (left.creation_date_ms, left.last_modified_date_ms) == (1, NOW_MS)


def test_an_identity_that_lost_its_last_login_opens_to_nobody() -> None:
    """It is no guest again: neither its id nor any login opens it."""
    world = ann_bob_and_a_guest()
    world.unlink("bob", google("bob"))
    kind = NotAuthorizedException

    assert not world.identities["bob"].guest
    assert refused(world, kind, "bob") == forbidden("bob")
    assert refused(world, kind, "bob", google("ann")) == forbidden("bob")
    assert refused(world, kind, "bob", google("bob")) == NO_MATCH


def test_the_developer_can_link_an_identity_that_lost_its_last_login() -> None:
    """Who runs the app may give it a user again, to whom it opens."""
    world = ann_bob_and_a_guest()
    world.unlink("bob", google("bob"))
    world.ask("bob", user=developer("bob"))

    assert leads_to(world, None, user="bob") == "bob"


# --- The developer's users ------------------------------------------------------------


def test_a_developer_user_gets_an_identity() -> None:
    """A new user gets a new one, and from then on that."""
    world = World()
    made = world.ask(None, user=developer("ann")).identity

    assert (made.logins, made.guest) == ((developer("ann"),), False)
    assert leads_to(world, None, user="ann") == made.identity_id


def test_a_developer_user_needs_no_guests() -> None:
    """The developer's users sign in, so a pool without guests has them."""
    world = World(CLOSED_POOL)

    assert world.ask(None, user=developer("ann")).identity.identity_id == "new 1"


def test_the_developer_links_a_guest() -> None:
    """A guest whose id the backend names keeps the identity."""
    world = ann_bob_and_a_guest()
    linked = world.ask("guest", user=developer("carl")).identity

    assert (linked.identity_id, linked.guest) == ("guest", False)


def test_the_developer_must_bring_a_public_login_where_there_is_one() -> None:
    """An identity with public logins is linked only together with one of them."""
    world = ann_bob_and_a_guest()

    # AWS: so it is for the backend as well (aws-sdk-net#1112).
    for logins in ((), (google("bob"),), (google("eve"),)):
        message = refused(world, NotAuthorizedException, "ann", *logins, user="ann")
        assert message == NO_MATCH
    linked = world.ask("ann", google("ann"), user=developer("ann")).identity
    assert linked.identity_id == "ann"
    assert leads_to(world, None, user="ann") == "ann"


@pytest.mark.parametrize("presented", ["guest", "bob"])
def test_a_developer_user_is_registered_once(presented: str) -> None:
    """Who has an identity is not linked to another one, a guest's neither."""
    world = ann_bob_and_a_guest().add(an_identity("carl", developer("carl")))
    kind = DeveloperUserAlreadyRegisteredException
    message = refused(world, kind, presented, google("bob"), user="carl")

    assert "'carl'" in message


def test_a_developer_user_is_linked_beside_a_public_login() -> None:
    """Without an id, the identity of the public login gets the developer's user."""
    world = ann_bob_and_a_guest()
    linked = world.ask(None, google("bob"), user=developer("bob")).identity

    assert linked.identity_id == "bob"
    assert linked.logins == (google("bob"), developer("bob"))
