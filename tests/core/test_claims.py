"""Identities that moved in without the names of their users, and who may have them."""

from __future__ import annotations

import pytest

from core.identity_world import (
    FACEBOOK,
    GOOGLE,
    NO_MATCH,
    World,
    an_identity,
    developer,
    facebook,
    forbidden,
    google,
    leads_to,
    refused,
)
from millpond.core.claims import Origin, Owner, may_claim, renew, told
from millpond.core.identities import Identity, Login
from millpond.errors import NotAuthorizedException, ResourceConflictException

BOTH = told([GOOGLE, FACEBOOK])
SEEN = Origin(providers=(GOOGLE,))


def moved(
    identity_id: str, *providers: str, logins: tuple[Login, ...] = ()
) -> Identity:
    """Describe an identity as it comes from a source."""
    return an_identity(identity_id, *logins, origin=told(providers))


def a_world(*people: Identity, claims_open: bool = True) -> World:
    world = World(claims_open=claims_open)
    return world.add(*people)


@pytest.mark.parametrize(
    ("origin", "shown", "is_open", "public_logins", "may"),
    [
        (BOTH, [(GOOGLE, Owner.NOBODY)], True, 0, True),
        (BOTH, [(GOOGLE, Owner.NOBODY), (FACEBOOK, Owner.NOBODY)], True, 0, True),
        # It was used here before the device with the old id came.
        (BOTH, [(GOOGLE, Owner.HERE)], True, 0, True),
        # A login has one identity at the source, and this is another one.
        (BOTH, [(GOOGLE, Owner.ELSEWHERE)], True, 0, False),
        (BOTH, [(GOOGLE, Owner.NOBODY), (FACEBOOK, Owner.ELSEWHERE)], True, 0, False),
        # Its user has been seen: nobody else gets in any more.
        (BOTH, [(FACEBOOK, Owner.NOBODY)], True, 1, False),
        (BOTH, [(GOOGLE, Owner.NOBODY)], False, 0, False),
        (BOTH, [("idp.example", Owner.NOBODY)], True, 0, False),
        (BOTH, [], True, 0, False),
        # Unlinked here, or claimed and unlinked.
        (SEEN, [(GOOGLE, Owner.NOBODY)], True, 0, False),
        # It began here, or was a guest's or the developer's there.
        (None, [(GOOGLE, Owner.NOBODY)], True, 0, False),
    ],
)
def test_who_may_claim(origin, shown, is_open, public_logins, may) -> None:
    """The id and a login of an unclaimed provider, while no user is known."""
    found = may_claim(origin, shown, is_open=is_open, public_logins=public_logins)
    assert found is may


@pytest.mark.parametrize(
    ("here", "there", "known", "after"),
    [
        (None, [GOOGLE], (), ((GOOGLE,), (GOOGLE,))),
        (None, [GOOGLE], (GOOGLE,), ((GOOGLE,), ())),  # by Amazon's token
        (Origin(providers=(GOOGLE,)), [GOOGLE], (), ((GOOGLE,), ())),  # unlinked here
        (told([GOOGLE]), [GOOGLE], (), ((GOOGLE,), (GOOGLE,))),
        (SEEN, [GOOGLE, FACEBOOK], (GOOGLE,), ((GOOGLE, FACEBOOK), (FACEBOOK,))),
        (BOTH, [FACEBOOK], (), ((FACEBOOK,), (FACEBOOK,))),  # unlinked there
        (BOTH, [], (), None),
    ],
)
def test_what_the_source_tells_later(here, there, known, after) -> None:
    """New logins there are unclaimed; what is settled here stays settled."""
    found = renew(here, told(there), known)
    if after is None:
        assert found is None
    else:
        assert found is not None
        assert tuple(map(set, (found.providers, found.unclaimed))) == tuple(
            map(set, after)
        )


def test_the_first_who_knows_the_id_has_it() -> None:
    """He is its user from then on, with or without the id, and nobody else is."""
    world = a_world(moved("old", GOOGLE, FACEBOOK))

    assert world.ask("old", google("ann")).claimed
    assert leads_to(world, None, google("ann")) == "old"
    assert world.identities["old"].provider_names == [GOOGLE, FACEBOOK]
    for other in (google("eve"), facebook("eve")):
        assert refused(world, NotAuthorizedException, "old", other) == NO_MATCH
    # The user himself proves the one and links the other, as ever.
    changes = world.ask("old", google("ann"), facebook("ann"))
    assert not changes.claimed
    assert leads_to(world, "old", facebook("ann")) == "old"


def test_claims_are_closed_unless_somebody_opens_them() -> None:
    """Then such an identity opens to nobody, as before."""
    world = a_world(moved("old", GOOGLE), claims_open=False)

    assert refused(world, NotAuthorizedException, "old", google("ann")) == NO_MATCH
    assert refused(world, NotAuthorizedException, "old") == forbidden("old")
    assert world.identities["old"] == moved("old", GOOGLE)


def test_who_was_here_before_his_old_id_is_merged_into_it() -> None:
    """A device without the id began anew; one that has it brings both together."""
    world = a_world(moved("old", GOOGLE))
    world.write("old", "prefs")
    new = world.ask(None, google("ann")).identity.identity_id
    world.write(new, "prefs")

    assert world.ask("old", google("ann")).claimed

    assert leads_to(world, None, google("ann")) == "old"
    assert leads_to(world, new, google("ann")) == "old"
    assert set(world.datasets["old"]) == {"prefs", f"prefs.{new}"}


def test_one_login_claims_one_identity() -> None:
    """Who knows many ids gets one of them, for a login had one identity there."""
    world = a_world(moved("one", GOOGLE), moved("two", GOOGLE), moved("new", FACEBOOK))
    world.ask("one", google("eve"))

    for presented in ("two", "new"):
        message = refused(
            world, NotAuthorizedException, presented, google("eve"), facebook("eve")
        )
        assert message in (NO_MATCH, forbidden(presented))
    # Neither does one whom Amazon's token has named.
    world.ask("three", google("bob"), foreign=["three"])
    message = refused(world, NotAuthorizedException, "two", google("bob"))
    assert message == forbidden("two")


def test_other_proofs_settle_it_too() -> None:
    """Amazon's token and the developer link logins, which nobody claims then."""
    world = a_world(
        moved("old", GOOGLE), moved("both", GOOGLE, logins=(developer("1"),))
    )

    assert not world.ask("old", google("ann"), foreign=["old"]).claimed
    assert world.identities["old"].unclaimed == ()
    world.ask("both", google("bob"), user=developer("1"))
    assert world.identities["both"].unclaimed == ()
    # The developer's user alone leaves it open to the device of the same user.
    world = a_world(moved("both", GOOGLE, logins=(developer("1"),)))
    world.ask("both", user=developer("1"))
    assert world.ask("both", google("bob")).claimed


def test_what_was_unlinked_stays_closed() -> None:
    """Unlinking does not open an identity to the next one who comes."""
    world = a_world(moved("old", GOOGLE))
    world.ask("old", google("ann"))
    world.unlink("old", google("ann"))

    assert refused(world, NotAuthorizedException, "old", google("eve")) == NO_MATCH


def test_merged_identities_are_not_claimed() -> None:
    """The id leads to who took its place, and that one has been proven."""
    world = a_world(moved("old", GOOGLE), an_identity("ann", facebook("ann")))
    world.merge("ann", "old")

    assert refused(world, NotAuthorizedException, "old", google("eve")) == NO_MATCH


def test_a_claim_that_cannot_be_joined_changes_nothing() -> None:
    """Two logins of one provider are a conflict, as with every proof."""
    world = a_world(moved("old", GOOGLE))
    world.ask(None, google("ann"), facebook("ann"))

    with pytest.raises(ResourceConflictException):
        world.ask("old", google("ann"), facebook("eve"))
    assert world.identities["old"] == moved("old", GOOGLE)
