"""
AWS Security Token Service, 2011-06-15: what the basic (classic) flow and tools need.

AssumeRoleWithWebIdentity turns the OpenID token of an identity into credentials;
GetCallerIdentity is the question "who am I" that tools begin with. The protocol is AWS
Query: a form goes in, XML comes out (`wire.query`).

Source: names, constraints and error lists are those of the API's model. The texts are
ours.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.shapes import (
    Api,
    Callers,
    OnePool,
    Operation,
    Sensitive,
    Shape,
    about,
    text,
)
from millpond.errors import (
    ExpiredTokenException,
    InvalidIdentityTokenException,
    MalformedPolicyDocumentException,
    ValidationException,
)

_INTEGER_MAX: Final = 2**31 - 1
_NAME_PATTERN: Final = r"[\w+=,.@-]*"

# --- Strings and numbers ------------------------------------------------------------

Arn = Annotated[
    str,
    text(
        "arnType",
        "An ARN.",
        length=(limits.ARN_CHARS_MIN, limits.ARN_CHARS_MAX),
        # AWS: so in the model; what its last range means is U+1000, '0' to U+10FF, 'F'.
        pattern=r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD"
        r"\u10000-\u10FFFF]+",
    ),
]
RoleSessionName = Annotated[
    str,
    text(
        "roleSessionNameType",
        "A name for the session; it stands in the ARN of the assumed role.",
        length=(2, 64),  # AWS: model, roleSessionNameType
        pattern=_NAME_PATTERN,
    ),
]
WebIdentityToken = Annotated[
    str,
    text(
        "clientTokenType",
        "The OpenID token of the identity, from GetOpenIdToken or "
        "GetOpenIdTokenForDeveloperIdentity.",
        length=(4, 20_000),  # AWS: model, clientTokenType
    ),
    Sensitive,
]
ProviderId = Annotated[
    str,
    text(
        "urlType",
        "For tokens of OAuth 2.0 providers; an OpenID token goes without it.",
        length=(4, 2048),  # AWS: model, urlType
    ),
]
SessionPolicyDocument = Annotated[
    str,
    text(
        "sessionPolicyDocumentType",
        "A policy that narrows the session.",
        length=(1, 2048),  # AWS: model, sessionPolicyDocumentType
        pattern=r"[\u0009\u000A\u000D\u0020-\u00FF]+",
    ),
]
DurationSeconds = Annotated[
    int,
    Meta(
        title="roleDurationSecondsType",
        description="How long the credentials are good, in seconds; 3600 when left "
        "out.",
        ge=limits.USER_CREDENTIALS_LIFETIME_S_MIN,
        le=limits.USER_CREDENTIALS_LIFETIME_S_MAX,
    ),
]
MinimumSessionTokenSize = Annotated[
    int,
    Meta(
        title="minimumSessionTokenSizeType",
        description="Taken and passed over: session tokens are as long as they are.",
        ge=0,
        le=4096,  # AWS: model, minimumSessionTokenSizeType
    ),
]
AccessKeyId = Annotated[
    str,
    text(
        "accessKeyIdType",
        "The id of the temporary access key.",
        length=(16, 128),  # AWS: model, accessKeyIdType
        pattern=r"[\w]*",
    ),
]
SecretAccessKey = Annotated[
    str, text("accessKeySecretType", "The secret to sign requests with."), Sensitive
]
SessionToken = Annotated[
    str, text("tokenType", "The token to send with every signed request."), Sensitive
]
Date = Annotated[
    float,
    Meta(
        title="dateType",
        description="A date and time; in the XML, in ISO 8601 form.",
        ge=limits.EPOCH_S_MIN,
        le=limits.EPOCH_S_MAX,
    ),
]
WebIdentitySubject = Annotated[
    str,
    text(
        "webIdentitySubjectType",
        "The subject of the token: the id of the identity.",
        length=(6, 255),  # AWS: model, webIdentitySubjectType
    ),
]
AssumedRoleId = Annotated[
    str,
    text(
        "assumedRoleIdType",
        "The id of the role, a colon and the name of the session.",
        length=(2, 193),  # AWS: model, assumedRoleIdType
        pattern=r"[\w+=,.@:-]*",
    ),
]
Issuer = Annotated[str, text("Issuer", "The issuer of the token.")]
Audience = Annotated[
    str, text("Audience", "Whom the token is for: the id of the identity pool.")
]
SourceIdentity = Annotated[
    str,
    text(
        "sourceIdentityType",
        "The source identity that the token carries.",
        length=(2, 256),  # AWS: model, sourceIdentityType
        pattern=_NAME_PATTERN,
    ),
]
PackedPolicySize = Annotated[
    int,
    Meta(
        title="nonNegativeIntegerType",
        description="How much of the room for policies was taken, in per cent.",
        ge=0,
        le=_INTEGER_MAX,
    ),
]
UserId = Annotated[str, text("userIdType", "The id of the caller.")]
Account = Annotated[str, text("accountType", "The id of the caller's account.")]

# --- Structures ---------------------------------------------------------------------


class PolicyDescriptorType(Shape, kw_only=True):
    """A policy, by its ARN."""

    arn: Arn | None = msgspec.field(name="arn", default=None)


PolicyDescriptorListType = Annotated[
    list[PolicyDescriptorType],
    Meta(
        title="policyDescriptorListType",
        description="The ARNs of policies that narrow the session.",
    ),
]


class Credentials(Shape, kw_only=True):
    """Temporary credentials."""

    access_key_id: AccessKeyId
    secret_access_key: SecretAccessKey
    session_token: SessionToken
    expiration: Annotated[Date, about("When the credentials expire.")]


class AssumedRoleUser(Shape, kw_only=True):
    """Who the caller is with these credentials."""

    assumed_role_id: AssumedRoleId
    arn: Annotated[Arn, about("The ARN of the session.")]


# --- Requests and responses ---------------------------------------------------------


class AssumeRoleWithWebIdentityRequest(Shape, kw_only=True):
    """
    Get temporary credentials for an OpenID token.

    This is the second half of the basic (classic) flow; GetOpenIdToken is the first.
    """

    role_arn: Annotated[Arn, about("The ARN of the role to assume.")]
    role_session_name: RoleSessionName
    web_identity_token: WebIdentityToken
    provider_id: ProviderId | None = None
    policy_arns: PolicyDescriptorListType | None = None
    policy: SessionPolicyDocument | None = None
    duration_seconds: DurationSeconds | None = None
    minimum_session_token_size: MinimumSessionTokenSize | None = None


class AssumeRoleWithWebIdentityResponse(Shape, kw_only=True):
    """The credentials, and what was read in the token."""

    credentials: Credentials
    subject_from_web_identity_token: WebIdentitySubject
    assumed_role_user: AssumedRoleUser
    packed_policy_size: PackedPolicySize | None = None
    provider: Issuer
    audience: Audience
    source_identity: SourceIdentity | None = None


class GetCallerIdentityRequest(Shape, kw_only=True):
    """Tell whose credentials the request is signed with."""


class GetCallerIdentityResponse(Shape, kw_only=True):
    """The caller."""

    user_id: UserId
    account: Account
    arn: Annotated[Arn, about("The ARN of the caller.")]


# --- The table ----------------------------------------------------------------------

API: Final = Api(
    name="sts",
    title="AWS Security Token Service",
    service_id="STS",
    version="2011-06-15",
    protocol="query",
    xml_namespace="https://sts.amazonaws.com/doc/2011-06-15/",
    constraint_error=ValidationException,
    operations=(
        Operation(
            "AssumeRoleWithWebIdentity",
            AssumeRoleWithWebIdentityRequest,
            AssumeRoleWithWebIdentityResponse,
            errors=(
                MalformedPolicyDocumentException,
                InvalidIdentityTokenException,
                ExpiredTokenException,
            ),
            callers=Callers.ANYONE,
            changes=True,
        ),
        Operation(
            "GetCallerIdentity",
            GetCallerIdentityRequest,
            GetCallerIdentityResponse,
            errors=(),
            callers=Callers.EITHER,
            changes=False,
            one_pool=OnePool.ANY,
        ),
    ),
)
