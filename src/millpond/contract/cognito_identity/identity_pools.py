"""Identity pools: the shapes of the operations that manage them and their tags."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.cognito_sync import IdentityPoolId
from millpond.contract.shapes import Shape, about, text

# --- Strings and numbers ------------------------------------------------------------

IdentityPoolName = Annotated[
    str,
    text(
        "IdentityPoolName",
        "The name of an identity pool, for people: 1 to 128 letters, digits, spaces "
        "and + = , . @ - _.",
        length=(1, limits.POOL_NAME_CHARS_MAX),
        pattern=r"[\w\s+=,.@-]+",
        example="My app",
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
        example="accounts.google.com",
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
    text("TagValueType", "The value of a tag.", length=(0, limits.TAG_VALUE_CHARS_MAX)),
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

    What the request leaves out is gone afterwards, but for DeveloperProviderName, which
    stays; to change one thing, describe the pool, change it there and send everything
    back. Push and stream configuration, roles and principal tags are
    not part of the description and stay.
    """


# --- Tags ---------------------------------------------------------------------------

IdentityPoolTagsListType = Annotated[
    list[TagKeysType],
    Meta(title="IdentityPoolTagsListType", description="The keys of the tags."),
]
_resource_arn = Annotated[
    ARNString,
    about(
        "The ARN of an identity pool: "
        "arn:aws:cognito-identity:REGION:ACCOUNT:identitypool/IDENTITY_POOL_ID."
    ),
]


class ListTagsForResourceRequest(Shape, kw_only=True):
    """List the tags of an identity pool."""

    resource_arn: _resource_arn


class ListTagsForResourceResponse(Shape, kw_only=True):
    """The tags."""

    tags: IdentityPoolTagsType


class TagResourceRequest(Shape, kw_only=True):
    """
    Add tags to an identity pool.

    A tag whose key the pool has already gets the new value; the other tags stay.
    """

    resource_arn: _resource_arn
    tags: Annotated[IdentityPoolTagsType, about("The tags to add or to change.")]


class TagResourceResponse(Shape, kw_only=True):
    """Nothing more to say."""


class UntagResourceRequest(Shape, kw_only=True):
    """Remove tags from an identity pool; keys that it does not have do no harm."""

    resource_arn: _resource_arn
    tag_keys: Annotated[
        IdentityPoolTagsListType, about("The keys of the tags to remove.")
    ]


class UntagResourceResponse(Shape, kw_only=True):
    """Nothing more to say."""
