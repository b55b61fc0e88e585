"""The claims of the tokens we issue, and reading those of Amazon's own service."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.core import openid
from millpond.core.identities import Login
from millpond.core.identity_pools import IdentityPool

STEADY = settings(derandomize=True, database=None, deadline=None)
POOL_ID = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
ALICE = "us-east-1:a0000000-0000-4000-8000-000000000000"
ACCOUNT = "123456789012"
NOW_S = 1_750_000_000
USER_POOL = "cognito-idp.us-east-1.amazonaws.com/us-east-1_abc"
POOL = IdentityPool(
    identity_pool_id=POOL_ID,
    identity_pool_name="Players",
    allow_unauthenticated_identities=True,
    developer_provider_name="login.players",
)


def claims(*logins: Login) -> dict[str, Any]:
    return openid.claims(
        POOL,
        ALICE,
        logins,
        issuer="https://cognito-identity.amazonaws.com",
        account_id=ACCOUNT,
        now_s=NOW_S,
        lifetime_s=600,
    )


def test_a_token_says_who_and_where() -> None:
    """The identity is the subject, the pool the audience; times are whole seconds."""
    assert claims() == {
        "sub": ALICE,
        "aud": POOL_ID,
        "amr": ["unauthenticated"],
        "iss": "https://cognito-identity.amazonaws.com",
        "https://cognito-identity.amazonaws.com/identity-pool-arn": (
            f"arn:aws:cognito-identity:us-east-1:{ACCOUNT}:identitypool/{POOL_ID}"
        ),
        "exp": NOW_S + 600,
        "iat": NOW_S,
    }


def test_principal_tags_are_told_as_lists() -> None:
    """Tags of the developer's backend go into a claim of their own."""
    found = openid.claims(
        POOL,
        ALICE,
        [Login("login.players", "alice")],
        issuer="https://cognito-identity.amazonaws.com",
        account_id=ACCOUNT,
        now_s=NOW_S,
        lifetime_s=600,
        principal_tags={"team": "red"},
    )

    assert found["https://aws.amazon.com/tags"] == {"principal_tags": {"team": ["red"]}}


@pytest.mark.parametrize(
    ("login", "spelled"),
    [
        (Login("login.players", "al:ice"), f"login.players:{POOL_ID}:al:ice"),
        (
            Login("accounts.google.com", "1234"),
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/accounts.google.com:OIDC:1234",
        ),
        (
            Login("login.example.com/realm", "1:2"),
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/login.example.com/realm:OIDC:1:2",
        ),
        (Login(USER_POOL, "1234"), f"{USER_POOL}:CognitoSignIn:1234"),
    ],
)
def test_each_kind_of_login_has_its_form(login: Login, spelled: str) -> None:
    """A login is its provider and the user, as the kind of the provider spells it."""
    assert claims(login)["amr"] == ["authenticated", login.provider_name, spelled]
    assert openid.read_amr(claims(login)["amr"]) == (True, [login])


def test_all_logins_are_told_in_their_order() -> None:
    """A user who signed in in several ways is known by all of them."""
    logins = [Login("login.players", "alice"), Login("accounts.google.com", "1234")]

    amr = claims(*logins)["amr"]

    assert len(amr) == 5
    assert openid.read_amr(amr) == (True, logins)


@pytest.mark.parametrize(
    ("amr", "login"),
    [
        (
            ["graph.facebook.com", "graph.facebook.com:1111:2222"],
            Login("graph.facebook.com", "2222"),
        ),
        (
            ["accounts.google.com", "accounts.google.com:1-a.apps.example.com:3:4"],
            Login("accounts.google.com", "3:4"),
        ),
        (
            ["a.cn", "arn:aws-cn:iam::123456789012:oidc-provider/a.cn:OIDC:5"],
            Login("a.cn", "5"),
        ),
    ],
)
def test_forms_of_the_real_service_are_read(amr: list[str], login: Login) -> None:
    """What we never write, and Amazon's service does, is understood."""
    assert openid.read_amr(["authenticated", *amr]) == (True, [login])


@pytest.mark.parametrize(
    "amr", [None, "authenticated", {}, [], ["unauthenticated"], [["authenticated"]], 7]
)
def test_nobody_is_authenticated_by_anything_else(amr: object) -> None:
    """Only a list that begins with the word says that somebody signed in."""
    assert openid.read_amr(amr) == (False, [])


def test_a_guest_has_no_logins() -> None:
    """Logins behind the word for a guest do not count."""
    amr = ["unauthenticated", "login.players", f"login.players:{POOL_ID}:alice"]

    assert openid.read_amr(amr) == (False, [])


def test_what_is_not_understood_is_passed_over() -> None:
    """Strange words cost the login that they are in the place of, and no other."""
    good = ["login.players", f"login.players:{POOL_ID}:alice"]
    strange = ["saml.example.com", "saml.example.com", "x", 7, f"y:{POOL_ID}:"]

    for amr in ([*strange, *good], [*good, *strange], ["login.players", *good]):
        assert openid.read_amr(["authenticated", *amr]) == (
            True,
            [Login("login.players", "alice")],
        )


def test_a_provider_cannot_speak_for_another() -> None:
    """The user must be spelled with the name of the provider before it."""
    amr = ["authenticated", "login.players", f"login.players2:{POOL_ID}:alice"]
    arn = "arn:aws:iam::1:oidc-provider/evil.example.com:OIDC:1"

    assert openid.read_amr(amr) == (True, [])
    assert openid.read_amr(["authenticated", "example.com", arn]) == (True, [])


@STEADY
@given(
    st.lists(
        st.builds(
            Login,
            st.sampled_from(["login.players", "accounts.google.com", USER_POOL, "a:8"]),
            st.text(min_size=1),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_the_subjects_are_they_come_back(logins: list[Login]) -> None:
    """A subject may hold anything, the separators of the form too."""
    assert openid.read_amr(claims(*logins)["amr"]) == (True, logins)


@STEADY
@given(st.lists(st.text() | st.sampled_from(["a", "a:b:c", "authenticated"])))
def test_no_list_breaks_reading(amr: list[str]) -> None:
    """Any list of strings is read; what it tells has a provider and a subject."""
    _, logins = openid.read_amr(["authenticated", *amr])

    assert all(login.provider_name and login.subject for login in logins)
