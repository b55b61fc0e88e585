"""
Identities: how they come to be, sign in, get credentials, are merged and go.

Tokens and logins are `Sensitive`: a value of theirs is never repeated.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from millpond import limits
from millpond.contract.cognito_identity.identity_pools import (
    ARNString,
    DeveloperProviderName,
    IdentityProviderName,
    PaginationKey,
    QueryLimit,
)
from millpond.contract.cognito_sync import IdentityId, IdentityPoolId
from millpond.contract.shapes import Sensitive, Shape, about, text

# --- Strings and numbers ------------------------------------------------------------

AccountId = Annotated[
    str,
    text(
        "AccountId",
        "The id of the account that owns the pool. It may be left out.",
        length=(1, 15),  # AWS: model, AccountId
        pattern=r"\d+",
    ),
]
IdentityProviderToken = Annotated[
    str,
    text(
        "IdentityProviderToken",
        "The token that the login provider gave to the user, or the user's identifier "
        "at a developer provider.",
        length=(1, limits.LOGIN_TOKEN_CHARS_MAX),
    ),
    Sensitive,
]
DeveloperUserIdentifier = Annotated[
    str,
    text(
        "DeveloperUserIdentifier",
        "The identifier of a user at your own backend.",
        length=(1, limits.DEVELOPER_USER_CHARS_MAX),
    ),
]
OIDCToken = Annotated[
    str,
    text("OIDCToken", "An OpenID token that stands for the identity."),
    Sensitive,
]
TokenDuration = Annotated[
    int,
    Meta(
        title="TokenDuration",
        description="How long the token is good, in seconds; 900 when left out.",
        ge=1,
        le=limits.DEVELOPER_TOKEN_LIFETIME_S_MAX,
        extra_json_schema={"format": "int64"},
    ),
]
AccessKeyString = Annotated[
    str, text("AccessKeyString", "The id of the temporary access key.")
]
SecretKeyString = Annotated[
    str, text("SecretKeyString", "The secret to sign requests with."), Sensitive
]
SessionTokenString = Annotated[
    str,
    text("SessionTokenString", "The token to send with every signed request."),
    Sensitive,
]
PrincipalTagID = Annotated[
    str,
    text("PrincipalTagID", "The key of a tag.", length=(1, 128)),  # AWS: model
]
PrincipalTagValue = Annotated[
    str,
    text(
        "PrincipalTagValue",
        "The value of a tag.",
        length=(1, limits.TAG_VALUE_CHARS_MAX),
    ),
]
DateType = Annotated[
    float,
    Meta(
        title="DateType",
        description="Epoch seconds, with milliseconds as the fraction.",
        ge=limits.EPOCH_S_MIN,
        le=limits.EPOCH_S_MAX,
    ),
]
HideDisabled = Annotated[
    bool,
    Meta(
        title="HideDisabled",
        description="Whether identities that were merged into others are left out.",
    ),
]
ErrorCode = Annotated[
    Literal["AccessDenied", "InternalServerError"],
    Meta(title="ErrorCode", description="Why the identity was not deleted."),
]
_more = Annotated[
    PaginationKey, about("Present when there is more: ask again with it.")
]
_identity = Annotated[
    IdentityId,
    about(
        "The id of the identity. It can differ from the one that was sent, when a "
        "login has merged two identities: go on with this one."
    ),
]

# --- Structures ---------------------------------------------------------------------

LoginsMap = Annotated[
    dict[IdentityProviderName, IdentityProviderToken],
    Meta(
        title="LoginsMap",
        description="The logins of the user: names of login providers and the tokens "
        "that they gave.",
        max_length=limits.LOGINS_MAX,
    ),
    Sensitive,
]
LoginsList = Annotated[
    list[IdentityProviderName],
    Meta(title="LoginsList", description="Names of login providers."),
]
IdentityIdList = Annotated[
    list[IdentityId],
    Meta(
        title="IdentityIdList",
        description="The ids of 1 to 60 identities.",
        min_length=1,
        max_length=limits.DELETE_IDENTITIES_MAX,
    ),
]
PrincipalTags = Annotated[
    dict[PrincipalTagID, PrincipalTagValue],
    Meta(
        title="PrincipalTags",
        description="Tags that the token carries for the one who reads it.",
        max_length=50,  # AWS: model, PrincipalTags
    ),
]
DeveloperUserIdentifierList = Annotated[
    list[DeveloperUserIdentifier], Meta(title="DeveloperUserIdentifierList")
]


class IdentityDescription(Shape, kw_only=True):
    """What is known about an identity."""

    identity_id: IdentityId
    logins: Annotated[
        LoginsList, about("The login providers that the identity is linked to.")
    ]
    creation_date: Annotated[DateType, about("When the identity was created.")]
    last_modified_date: Annotated[DateType, about("When its logins last changed.")]


class Credentials(Shape, kw_only=True):
    """Temporary credentials of an identity."""

    access_key_id: AccessKeyString
    secret_key: SecretKeyString
    session_token: SessionTokenString
    expiration: Annotated[DateType, about("When the credentials expire.")]


class UnprocessedIdentityId(Shape, kw_only=True):
    """An identity that was not deleted."""

    identity_id: IdentityId
    error_code: ErrorCode


IdentitiesList = Annotated[list[IdentityDescription], Meta(title="IdentitiesList")]
UnprocessedIdentityIdList = Annotated[
    list[UnprocessedIdentityId],
    Meta(
        title="UnprocessedIdentityIdList",
        max_length=limits.DELETE_IDENTITIES_MAX,
    ),
]

# --- Requests and responses: signing in ---------------------------------------------


class GetIdRequest(Shape, kw_only=True):
    """
    Get the id of an identity, and make the identity when there is none yet.

    With logins it is the identity that they are linked to. Without, it is always a new
    one, of a user who has not signed in.
    """

    account_id: AccountId | None = None
    identity_pool_id: IdentityPoolId
    logins: LoginsMap | None = None


class GetIdResponse(Shape, kw_only=True):
    """The identity."""

    identity_id: IdentityId


class GetCredentialsForIdentityRequest(Shape, kw_only=True):
    """
    Get temporary credentials for an identity.

    An identity with logins has to show at least one of them. A login that it does not
    have yet is linked to it.
    """

    identity_id: IdentityId
    logins: LoginsMap | None = None
    custom_role_arn: (
        Annotated[
            ARNString,
            about("The role to take, one of those in the token of the login."),
        ]
        | None
    ) = None


class GetCredentialsForIdentityResponse(Shape, kw_only=True):
    """The credentials."""

    identity_id: _identity
    credentials: Credentials


class GetOpenIdTokenRequest(Shape, kw_only=True):
    """
    Get an OpenID token for an identity: the first half of the basic (classic) flow.

    AssumeRoleWithWebIdentity gives credentials for it. The token is good for ten
    minutes.
    """

    identity_id: IdentityId
    logins: LoginsMap | None = None


class GetOpenIdTokenResponse(Shape, kw_only=True):
    """The token."""

    identity_id: _identity
    token: OIDCToken


class GetOpenIdTokenForDeveloperIdentityRequest(Shape, kw_only=True):
    """
    Get an OpenID token for a user who signed in at your own backend.

    Logins names the developer provider of the pool with the identifier of the user,
    and may name others beside it. Without an identity id, the user's identity is found
    or made; with one, the user is linked to it.
    """

    identity_pool_id: IdentityPoolId
    identity_id: IdentityId | None = None
    logins: LoginsMap
    principal_tags: PrincipalTags | None = None
    token_duration: TokenDuration | None = None


class GetOpenIdTokenForDeveloperIdentityResponse(Shape, kw_only=True):
    """The token."""

    identity_id: IdentityId
    token: OIDCToken


class UnlinkIdentityRequest(Shape, kw_only=True):
    """
    Unlink logins from an identity; they are new ones the next time.

    The request shows a login that is valid. Without any login left the identity
    cannot be reached any more.
    """

    identity_id: IdentityId
    logins: LoginsMap
    logins_to_remove: Annotated[LoginsList, about("The login providers to unlink.")]


# --- Requests and responses: the users of a developer provider ----------------------


class LookupDeveloperIdentityRequest(Shape, kw_only=True):
    """
    Find the identity of a developer's user, or the users of an identity.

    Given both, it makes sure that they belong together.
    """

    identity_pool_id: IdentityPoolId
    identity_id: IdentityId | None = None
    developer_user_identifier: DeveloperUserIdentifier | None = None
    max_results: QueryLimit | None = None
    next_token: PaginationKey | None = None


class LookupDeveloperIdentityResponse(Shape, kw_only=True):
    """The identity, and a page of the users that are linked to it."""

    identity_id: IdentityId
    developer_user_identifier_list: DeveloperUserIdentifierList
    next_token: _more | None = None


class MergeDeveloperIdentitiesRequest(Shape, kw_only=True):
    """
    Merge the identities of two users of a developer provider into one.

    The identity of the source user is disabled, and its logins move to that of the
    destination user.
    """

    source_user_identifier: Annotated[
        DeveloperUserIdentifier, about("The user whose identity is merged away.")
    ]
    destination_user_identifier: Annotated[
        DeveloperUserIdentifier, about("The user whose identity stays.")
    ]
    developer_provider_name: DeveloperProviderName
    identity_pool_id: IdentityPoolId


class MergeDeveloperIdentitiesResponse(Shape, kw_only=True):
    """The identity that both users have now."""

    identity_id: IdentityId


class UnlinkDeveloperIdentityRequest(Shape, kw_only=True):
    """Unlink a developer's user from an identity; it is a new user the next time."""

    identity_id: IdentityId
    identity_pool_id: IdentityPoolId
    developer_provider_name: DeveloperProviderName
    developer_user_identifier: DeveloperUserIdentifier


# --- Requests and responses: management ---------------------------------------------


class DeleteIdentitiesRequest(Shape, kw_only=True):
    """Delete identities for good, with all their data."""

    identity_ids_to_delete: IdentityIdList


class DeleteIdentitiesResponse(Shape, kw_only=True):
    """The identities that could not be deleted."""

    unprocessed_identity_ids: UnprocessedIdentityIdList


class DescribeIdentityRequest(Shape, kw_only=True):
    """Tell what is known about an identity: its logins and its dates."""

    identity_id: IdentityId


class ListIdentitiesRequest(Shape, kw_only=True):
    """List the identities of a pool, by id."""

    identity_pool_id: IdentityPoolId
    max_results: QueryLimit
    next_token: PaginationKey | None = None
    hide_disabled: HideDisabled | None = None


class ListIdentitiesResponse(Shape, kw_only=True):
    """A page of identities."""

    identity_pool_id: IdentityPoolId
    identities: IdentitiesList
    next_token: _more | None = None
