"""Principal tags: which claims of a login become tags of the tokens that are issued."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from millpond.contract.cognito_identity.identities import PrincipalTags
from millpond.contract.cognito_identity.identity_pools import IdentityProviderName
from millpond.contract.cognito_sync import IdentityPoolId
from millpond.contract.shapes import Shape, about

UseDefaults = Annotated[
    bool,
    Meta(
        title="UseDefaults",
        description="Whether the tags are `username`, from the claim sub, and "
        "`client`, from the claim aud.",
    ),
]
_tags = Annotated[
    PrincipalTags,
    about("By the key of each tag, the claim that gives its value."),
]


class PrincipalTagAttributeMap(Shape, kw_only=True):
    """How the claims of a provider's logins become tags."""

    identity_pool_id: IdentityPoolId | None = None
    identity_provider_name: IdentityProviderName | None = None
    use_defaults: UseDefaults | None = None
    principal_tags: _tags | None = None


class GetPrincipalTagAttributeMapRequest(Shape, kw_only=True):
    """Tell how the claims of a provider's logins become tags."""

    identity_pool_id: IdentityPoolId
    identity_provider_name: IdentityProviderName


class GetPrincipalTagAttributeMapResponse(PrincipalTagAttributeMap, kw_only=True):
    """The map of the provider."""


class SetPrincipalTagAttributeMapRequest(Shape, kw_only=True):
    """
    Say how the claims of a provider's logins become tags.

    OpenID tokens of the pool carry them, for those who read these. The map replaces the
    one that was there; with neither defaults nor tags there are none.
    """

    identity_pool_id: IdentityPoolId
    identity_provider_name: IdentityProviderName
    use_defaults: UseDefaults | None = None
    principal_tags: _tags | None = None


class SetPrincipalTagAttributeMapResponse(PrincipalTagAttributeMap, kw_only=True):
    """The map as it is now."""
