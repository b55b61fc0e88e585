"""
Amazon Cognito Identity, 2014-06-30: the part of it that manages identity pools.

Source: names, constraints and error lists are those of the API's model. The texts are
ours.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.cognito_sync import IdentityPoolId
from millpond.contract.shapes import Api, Operation, Shape, about, text
from millpond.errors import (
    InternalErrorException,
    InvalidParameterException,
    LimitExceededException,
    NotAuthorizedException,
    ResourceNotFoundException,
    TooManyRequestsException,
    ValidationException,
)

# --- Strings and numbers ------------------------------------------------------------

IdentityPoolName = Annotated[
    str,
    text(
        "IdentityPoolName",
        "The name of an identity pool, for people.",
        length=(1, limits.POOL_NAME_CHARS_MAX),
        pattern=r"[\w\s+=,.@-]+",
    ),
]
IdentityPoolUnauthenticated = Annotated[
    bool,
    Meta(
        title="IdentityPoolUnauthenticated",
        description="Whether the pool gives identities to users who do not sign in.",
    ),
]
ClassicFlow = Annotated[
    bool,
    Meta(
        title="ClassicFlow",
        description="Whether the basic (classic) authentication flow is allowed.",
    ),
]
IdentityProviderName = Annotated[
    str,
    text(
        "IdentityProviderName",
        "The name of a login provider, for example accounts.google.com.",
        length=(1, limits.PROVIDER_NAME_CHARS_MAX),
    ),
]
IdentityProviderId = Annotated[
    str,
    text(
        "IdentityProviderId",
        "The id of your application at the login provider.",
        length=(1, 128),  # AWS: model, IdentityProviderId
        pattern=r"[\w.;_/-]+",
    ),
]
DeveloperProviderName = Annotated[
    str,
    text(
        "DeveloperProviderName",
        "The name under which your own backend signs users in. Once set, it stays.",
        length=(1, limits.PROVIDER_NAME_CHARS_MAX),
        pattern=r"[\w._-]+",
    ),
]
ARNString = Annotated[
    str,
    text(
        "ARNString",
        "The ARN of a provider.",
        length=(limits.ARN_CHARS_MIN, limits.ARN_CHARS_MAX),
    ),
]
CognitoIdentityProviderName = Annotated[
    str,
    text(
        "CognitoIdentityProviderName",
        "The name of a user pool as a provider: its issuer, without the scheme.",
        length=(1, limits.PROVIDER_NAME_CHARS_MAX),
        pattern=r"[\w._:/-]+",
    ),
]
CognitoIdentityProviderClientId = Annotated[
    str,
    text(
        "CognitoIdentityProviderClientId",
        "The id of the user pool's client.",
        length=(1, 128),  # AWS: model, CognitoIdentityProviderClientId
        pattern=r"[\w_]+",
    ),
]
CognitoIdentityProviderTokenCheck = Annotated[
    bool,
    Meta(
        title="CognitoIdentityProviderTokenCheck",
        description="Whether the user pool is asked if it has revoked the token.",
    ),
]
TagKeysType = Annotated[
    str,
    text("TagKeysType", "The key of a tag.", length=(1, 128)),  # AWS: model
]
TagValueType = Annotated[
    str,
    text("TagValueType", "The value of a tag.", length=(0, 256)),  # AWS: model
]
PaginationKey = Annotated[
    str,
    text(
        "PaginationKey",
        "Where to go on: the NextToken of the answer before.",
        length=(1, 65_535),  # AWS: model, PaginationKey
        pattern=r"[\S]+",
    ),
]
QueryLimit = Annotated[
    int,
    Meta(
        title="QueryLimit",
        description="How many items to answer at most.",
        ge=1,
        le=limits.PAGE_POOLS_MAX,
    ),
]

# --- Structures ---------------------------------------------------------------------


class CognitoIdentityProvider(Shape, kw_only=True):
    """A user pool whose tokens the identity pool accepts."""

    provider_name: CognitoIdentityProviderName | None = None
    client_id: CognitoIdentityProviderClientId | None = None
    server_side_token_check: CognitoIdentityProviderTokenCheck | None = None


IdentityProviders = Annotated[
    dict[IdentityProviderName, IdentityProviderId],
    Meta(
        title="IdentityProviders",
        description="Login providers that the pool accepts, with your id at each.",
        max_length=limits.LOGIN_PROVIDERS_MAX,
    ),
]
OIDCProviderList = Annotated[
    list[ARNString],
    Meta(
        title="OIDCProviderList",
        description="The ARNs of the OpenID Connect providers of the pool.",
    ),
]
CognitoIdentityProviderList = Annotated[
    list[CognitoIdentityProvider],
    Meta(
        title="CognitoIdentityProviderList",
        description="The user pools of the pool, with their clients.",
    ),
]
SAMLProviderList = Annotated[
    list[ARNString],
    Meta(
        title="SAMLProviderList",
        description="The ARNs of the SAML providers of the pool.",
    ),
]
IdentityPoolTagsType = Annotated[
    dict[TagKeysType, TagValueType],
    Meta(title="IdentityPoolTagsType", description="The tags of the pool, at most 50."),
]


class IdentityPool(Shape, kw_only=True):
    """An identity pool and its description."""

    identity_pool_id: IdentityPoolId
    identity_pool_name: IdentityPoolName
    allow_unauthenticated_identities: IdentityPoolUnauthenticated
    allow_classic_flow: ClassicFlow | None = None
    supported_login_providers: IdentityProviders | None = None
    developer_provider_name: DeveloperProviderName | None = None
    open_id_connect_provider_arns: OIDCProviderList | None = msgspec.field(
        name="OpenIdConnectProviderARNs", default=None
    )
    cognito_identity_providers: CognitoIdentityProviderList | None = None
    saml_provider_arns: SAMLProviderList | None = msgspec.field(
        name="SamlProviderARNs", default=None
    )
    identity_pool_tags: IdentityPoolTagsType | None = None


class IdentityPoolShortDescription(Shape, kw_only=True):
    """An identity pool in a list."""

    identity_pool_id: IdentityPoolId
    identity_pool_name: IdentityPoolName


IdentityPoolsList = Annotated[
    list[IdentityPoolShortDescription], Meta(title="IdentityPoolsList")
]

# --- Requests and responses ---------------------------------------------------------


class CreateIdentityPoolRequest(Shape, kw_only=True):
    """Create an identity pool."""

    identity_pool_name: IdentityPoolName
    allow_unauthenticated_identities: IdentityPoolUnauthenticated
    allow_classic_flow: ClassicFlow | None = None
    supported_login_providers: IdentityProviders | None = None
    developer_provider_name: DeveloperProviderName | None = None
    open_id_connect_provider_arns: OIDCProviderList | None = msgspec.field(
        name="OpenIdConnectProviderARNs", default=None
    )
    cognito_identity_providers: CognitoIdentityProviderList | None = None
    saml_provider_arns: SAMLProviderList | None = msgspec.field(
        name="SamlProviderARNs", default=None
    )
    identity_pool_tags: IdentityPoolTagsType | None = None


class DeleteIdentityPoolRequest(Shape, kw_only=True):
    """Delete an identity pool for good, with all its data."""

    identity_pool_id: IdentityPoolId


class DescribeIdentityPoolRequest(Shape, kw_only=True):
    """Tell what is known about an identity pool."""

    identity_pool_id: IdentityPoolId


class ListIdentityPoolsRequest(Shape, kw_only=True):
    """List the identity pools, by id."""

    max_results: QueryLimit
    next_token: PaginationKey | None = None


class ListIdentityPoolsResponse(Shape, kw_only=True):
    """A page of identity pools."""

    identity_pools: IdentityPoolsList
    next_token: (
        Annotated[
            PaginationKey, about("Present when there is more: ask again with it.")
        ]
        | None
    ) = None


class UpdateIdentityPoolRequest(IdentityPool, kw_only=True):
    """
    Replace the whole description of an identity pool.

    What the request leaves out is gone afterwards; to change one thing, describe the
    pool, change it there and send everything back. Push and stream configuration are
    not part of the description and stay.
    """


# --- The table ----------------------------------------------------------------------

_COMMON: Final = (
    InvalidParameterException,
    NotAuthorizedException,
    TooManyRequestsException,
    InternalErrorException,
)
_NAMED: Final = (*_COMMON, ResourceNotFoundException)

API: Final = Api(
    name="cognito-identity",
    title="Amazon Cognito Identity",
    version="2014-06-30",
    protocol="json",
    target_prefix="AWSCognitoIdentityService",
    constraint_error=ValidationException,
    operations=(
        Operation(
            "CreateIdentityPool",
            CreateIdentityPoolRequest,
            IdentityPool,
            errors=(*_COMMON, LimitExceededException),
        ),
        Operation("DeleteIdentityPool", DeleteIdentityPoolRequest, None, errors=_NAMED),
        Operation(
            "DescribeIdentityPool",
            DescribeIdentityPoolRequest,
            IdentityPool,
            errors=_NAMED,
        ),
        Operation(
            "ListIdentityPools",
            ListIdentityPoolsRequest,
            ListIdentityPoolsResponse,
            errors=_COMMON,
        ),
        Operation(
            "UpdateIdentityPool",
            UpdateIdentityPoolRequest,
            IdentityPool,
            errors=(*_NAMED, LimitExceededException),
        ),
    ),
)
