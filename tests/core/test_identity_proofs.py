"""What a token of an identity opens, and who has proven to be its user."""

from __future__ import annotations

import pytest

from core.identity_world import (
    CLOSED_POOL,
    NO_GUESTS,
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
from millpond.core.identities import Login, Proofs, Voucher
from millpond.errors import NotAuthorizedException, ResourceNotFoundException

# --- Identities that a token vouches for ----------------------------------------------


def test_a_token_of_an_identity_opens_it() -> None:
    """Who brings one needs no login, with the id or without it."""
    world = ann_bob_and_a_guest()

    assert leads_to(world, "ann", vouched="ann") == "ann"
    assert leads_to(world, None, vouched="ann") == "ann"


def test_a_token_and_a_new_login_link_it() -> None:
    """What the token's identity does not have yet, it gets."""
    world = ann_bob_and_a_guest()
    world.ask("bob", facebook("bob"), vouched=["bob"])

    assert leads_to(world, None, facebook("bob")) == "bob"


def test_a_token_opens_no_other_identity() -> None:
    """A user with a token of their own does not get at another user's identity."""
    world = ann_bob_and_a_guest()

    for logins in ((), (google("bob"),)):
        message = refused(world, NotAuthorizedException, "ann", *logins, vouched="bob")
        assert message == forbidden("ann")


def test_a_token_of_a_deleted_identity_leads_nowhere() -> None:
    """A token outlives what it stands for."""
    world = ann_bob_and_a_guest()

    for presented in (None, "guest"):
        message = refused(world, ResourceNotFoundException, presented, vouched="nobody")
        assert message == "Identity 'nobody' not found."


@pytest.mark.parametrize("presented", [None, "guest"])
def test_a_guests_token_opens_nothing_once_its_user_has_signed_in(presented) -> None:
    """Whoever had the id could have it: it is no proof of the user."""
    world = ann_bob_and_a_guest()
    before = world.token("guest")
    assert leads_to(world, presented, vouched=before) == "guest"
    world.ask("guest", google("guest"))

    message = refused(world, NotAuthorizedException, presented, vouched=before)

    assert message == forbidden("guest")


def test_a_token_proves_no_more_than_its_logins() -> None:
    """When the login that it was issued for is unlinked, it opens nothing."""
    world = ann_bob_and_a_guest()
    by_facebook = Voucher("ann", True, (facebook("ann"),))
    assert leads_to(world, "ann", vouched=by_facebook) == "ann"
    world.unlink("ann", facebook("ann"))

    for presented in (None, "ann"):
        message = refused(world, NotAuthorizedException, presented, vouched=by_facebook)
        assert message == forbidden("ann")


def test_a_token_links_none_of_its_logins() -> None:
    """A login that was unlinked since is nobody's, whatever tokens are about."""
    world = ann_bob_and_a_guest()
    token = world.token("ann")
    world.unlink("ann", facebook("ann"))

    assert leads_to(world, "ann", vouched=token) == "ann"
    assert world.identities["ann"].logins == (google("ann"),)


@pytest.mark.parametrize("foreign", [False, True])
def test_a_guests_token_opens_nothing_where_there_are_no_guests(foreign) -> None:
    """It is the word of a pool that has since been closed to guests, or of another."""
    world = ann_bob_and_a_guest()
    world.pool = CLOSED_POOL
    token = Voucher("guest", authenticated=False, foreign=foreign)

    for presented in (None, "guest"):
        message = refused(world, NotAuthorizedException, presented, vouched=token)
        assert message == NO_GUESTS


def test_a_user_of_amazons_without_a_login_is_no_guest() -> None:
    """Signed in by means that are not known here, he is adopted all the same."""
    world = World()
    saml = Voucher("theirs", authenticated=True, foreign=True)
    adopted = world.ask("theirs", vouched=[saml]).identity

    assert not adopted.guest
    assert refused(world, NotAuthorizedException, "theirs") == forbidden("theirs")
    assert leads_to(world, "theirs", vouched=saml) == "theirs"


def test_an_identity_of_amazons_survives_one_of_ours() -> None:
    """Its user will come with that id as long as Amazon gives the tokens."""
    world = ann_bob_and_a_guest()
    world.ask("theirs", google("bob"), foreign=["theirs"])

    assert world.identities["bob"].merged_into == "theirs"
    assert leads_to(world, "theirs", google("bob")) == "theirs"


@pytest.mark.parametrize("presented", [None, "theirs"])
def test_an_identity_of_amazons_is_adopted(presented: str | None) -> None:
    """Its token makes it an identity here, under its id and with its logins."""
    world = World()
    ask = (presented, google("ann"))
    adopted = world.ask(*ask, foreign=["theirs"]).identity

    assert (adopted.identity_id, adopted.logins) == ("theirs", (google("ann"),))
    assert not adopted.guest
    assert world.identities["theirs"] == adopted
    assert not world.ask(*ask, foreign=["theirs"]).written
    assert leads_to(world, None, google("ann")) == "theirs"


def test_a_guest_of_amazons_is_adopted_as_a_guest() -> None:
    """A token without a login vouches for a guest."""
    world = World()
    adopted = world.ask("theirs", foreign=["theirs"]).identity

    assert (adopted.identity_id, adopted.guest) == ("theirs", True)
    assert leads_to(world, "theirs") == "theirs"


@pytest.mark.parametrize("logins", [(), (google("eve"),)])
def test_a_token_of_amazons_vouches_for_its_identity_alone(
    logins: tuple[Login, ...],
) -> None:
    """Another id is as unknown, or as closed, as it was, to guests and to users."""
    world = ann_bob_and_a_guest()
    for presented, kind in (
        ("nobody", ResourceNotFoundException),
        ("ann", NotAuthorizedException),
    ):
        with pytest.raises(kind):
            world.ask(presented, *logins, foreign=["theirs"])

    assert "theirs" not in world.identities


def test_an_adopted_identity_may_be_deleted_and_adopted_again() -> None:
    """After the one that it was merged into was deleted, it begins anew."""
    world = ann_bob_and_a_guest()
    guest = Voucher("theirs", authenticated=False, foreign=True)
    world.ask(None, google("bob"), vouched=[guest])
    assert world.identities["theirs"].merged_into == "bob"
    del world.identities["bob"]
    adopted = world.ask("theirs", vouched=[guest]).identity

    assert (adopted.identity_id, adopted.guest) == ("theirs", True)
    assert adopted.merged_into is None
    assert world.identities["theirs"] == adopted


# --- Which logins were used -----------------------------------------------------------


def test_the_logins_of_a_request_are_those_that_were_used() -> None:
    """The developer's user comes first; what a token says adds nothing to them."""
    ann = ann_bob_and_a_guest().identities["ann"]
    token = Voucher("ann", True, (facebook("ann"),))
    proofs = Proofs([google("ann")], [token]).with_developer(developer("ann"))

    assert proofs.used_by(ann) == [developer("ann"), google("ann")]


def test_a_token_tells_which_logins_were_used() -> None:
    """Those that it was issued for, as far as they are the identity's still."""
    ann = ann_bob_and_a_guest().identities["ann"]
    token = Voucher("ann", True, (google("former"), facebook("ann")))

    assert Proofs(vouchers=[token]).used_by(ann) == [facebook("ann")]
    assert Proofs().used_by(ann) == []


# --- Who proves what ------------------------------------------------------------------


def proven(world: World, presented: str, proofs: Proofs) -> str:
    ids = [presented, *proofs.vouched_ids]
    stored = world.load(ids, proofs.all_logins)
    return identities.prove(stored, presented, proofs).identity_id


@pytest.mark.parametrize(
    "proofs",
    [
        Proofs(logins=[google("eve"), facebook("ann")]),
        Proofs(vouchers=[Voucher("ann", True, (google("ann"),))]),
        Proofs(vouchers=[Voucher("ann", True, foreign=True)]),
    ],
)
def test_a_login_or_a_token_proves_a_user(proofs: Proofs) -> None:
    """One good proof of the identity is enough."""
    assert proven(ann_bob_and_a_guest(), "ann", proofs) == "ann"


def test_a_disabled_identity_is_proven_by_its_survivors_user() -> None:
    """What is proven then is the survivor."""
    world = ann_bob_and_a_guest().add(an_identity("former", merged_into="ann"))

    assert proven(world, "former", Proofs(logins=[google("ann")])) == "ann"


@pytest.mark.parametrize("presented", ["ann", "guest", "former"])
@pytest.mark.parametrize(
    "proofs",
    [
        Proofs(),
        Proofs(logins=[google("bob")]),
        Proofs(vouchers=[Voucher("bob", True, (google("bob"),))]),
        Proofs(vouchers=[Voucher("ann", True, (google("former"),))]),
        Proofs(vouchers=[Voucher("ann", False)]),
        Proofs(vouchers=[Voucher("ann", False, foreign=True)]),
    ],
)
def test_nothing_else_proves_a_user(presented: str, proofs: Proofs) -> None:
    """Not the id, which is all that a guest has, and no proof of another identity."""
    world = ann_bob_and_a_guest().add(an_identity("former", merged_into="ann"))
    with pytest.raises(NotAuthorizedException) as caught:
        proven(world, presented, proofs)

    assert caught.value.message == forbidden(presented)


def test_nobody_is_proven_to_be_the_user_of_nothing() -> None:
    """An identity that does not exist is not found, whatever is shown."""
    with pytest.raises(ResourceNotFoundException):
        proven(ann_bob_and_a_guest(), "nobody", Proofs(logins=[google("ann")]))
