"""Claims become tags as the map of their provider says."""

from __future__ import annotations

from typing import Any

import pytest

from millpond.core.identity_pools import IdentityPool, PrincipalTagMap
from millpond.core.principal_tags import principal_tags

PROVIDER = "login.example.com"
ARN = f"arn:aws:iam::000000000000:oidc-provider/{PROVIDER}"


def tags_of(
    claims: dict[str, Any], *, key: str = PROVIDER, **members: Any
) -> dict[str, str]:
    """Map claims with one map, which is kept under a key."""
    pool = IdentityPool(
        identity_pool_id="us-east-1:0a",
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
        open_id_connect_provider_arns=[ARN],
        principal_tag_maps={key: PrincipalTagMap(**members)},
    )
    return principal_tags(pool, PROVIDER, claims)


def test_the_defaults_are_user_and_client() -> None:
    """`username` is the subject and `client` the audience, whatever else is mapped."""
    claims = {"sub": "ann", "aud": "app", "team": "red"}
    own = {"team": "team"}

    assert tags_of(claims, use_defaults=True, principal_tags=own) == {
        "username": "ann",
        "client": "app",
    }


def test_a_map_names_the_claim_of_each_tag() -> None:
    """Without defaults there is what the map says, and no more."""
    claims = {"sub": "ann", "custom:tenant": "a", "level": 7, "vip": True}
    own = {"tenant": "custom:tenant", "level": "level", "vip": "vip", "none": "absent"}

    assert tags_of(claims, principal_tags=own) == {
        "tenant": "a",
        "level": "7",
        "vip": "true",
    }
    assert tags_of(claims, use_defaults=False) == {}


@pytest.mark.parametrize(
    "claim", [None, "", {}, {"a": "b"}, [], ["a", "b"], [["a"]], "a" * 257]
)
def test_what_cannot_be_a_tag_is_left_out(claim: Any) -> None:
    """A sign-in does not fail for a claim that is no value of a tag."""
    own = {"bad": "bad", "good": "sub"}

    assert tags_of({"bad": claim, "sub": "a" * 256}, principal_tags=own) == {
        "good": "a" * 256
    }


def test_a_list_of_one_is_that_one() -> None:
    """Audiences are lists at some providers."""
    assert tags_of({"aud": ["app"]}, use_defaults=True) == {"client": "app"}


def test_a_map_may_be_kept_under_the_arn() -> None:
    """So OpenID Connect providers are listed in a pool; other maps do not apply."""
    assert tags_of({"sub": "ann"}, key=ARN, use_defaults=True) == {"username": "ann"}
    assert tags_of({"sub": "ann"}, key="another", use_defaults=True) == {}
