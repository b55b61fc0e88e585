"""
Amazon Cognito Identity, 2014-06-30: identity pools, their identities and their roles.

Source: names, constraints and error lists are those of the API's model; who may call
without a signature is its `authtype`. The texts are ours.

`identity_pools`, `identities`, `roles` and `principal_tags` hold the shapes; here are
the table and the structures by name.
"""

from __future__ import annotations

from typing import Final

from millpond.contract.cognito_identity.identities import (
    Credentials,
    DeleteIdentitiesRequest,
    DeleteIdentitiesResponse,
    DescribeIdentityRequest,
    GetCredentialsForIdentityRequest,
    GetCredentialsForIdentityResponse,
    GetIdRequest,
    GetIdResponse,
    GetOpenIdTokenForDeveloperIdentityRequest,
    GetOpenIdTokenForDeveloperIdentityResponse,
    GetOpenIdTokenRequest,
    GetOpenIdTokenResponse,
    IdentityDescription,
    ListIdentitiesRequest,
    ListIdentitiesResponse,
    LookupDeveloperIdentityRequest,
    LookupDeveloperIdentityResponse,
    MergeDeveloperIdentitiesRequest,
    MergeDeveloperIdentitiesResponse,
    UnlinkDeveloperIdentityRequest,
    UnlinkIdentityRequest,
    UnprocessedIdentityId,
)
from millpond.contract.cognito_identity.identity_pools import (
    CognitoIdentityProvider,
    CreateIdentityPoolRequest,
    DeleteIdentityPoolRequest,
    DescribeIdentityPoolRequest,
    IdentityPool,
    IdentityPoolShortDescription,
    ListIdentityPoolsRequest,
    ListIdentityPoolsResponse,
    ListTagsForResourceRequest,
    ListTagsForResourceResponse,
    TagResourceRequest,
    TagResourceResponse,
    UntagResourceRequest,
    UntagResourceResponse,
    UpdateIdentityPoolRequest,
)
from millpond.contract.cognito_identity.principal_tags import (
    GetPrincipalTagAttributeMapRequest,
    GetPrincipalTagAttributeMapResponse,
    SetPrincipalTagAttributeMapRequest,
    SetPrincipalTagAttributeMapResponse,
)
from millpond.contract.cognito_identity.roles import (
    GetIdentityPoolRolesRequest,
    GetIdentityPoolRolesResponse,
    MappingRule,
    RoleMapping,
    RulesConfigurationType,
    SetIdentityPoolRolesRequest,
)
from millpond.contract.shapes import Api, Callers, Operation
from millpond.errors import (
    ConcurrentModificationException,
    DeveloperUserAlreadyRegisteredException,
    ExternalServiceException,
    InternalErrorException,
    InvalidIdentityPoolConfigurationException,
    InvalidParameterException,
    LimitExceededException,
    NotAuthorizedException,
    ResourceConflictException,
    ResourceNotFoundException,
    TooManyRequestsException,
    ValidationException,
)

__all__ = [
    "API",
    "CognitoIdentityProvider",
    "CreateIdentityPoolRequest",
    "Credentials",
    "DeleteIdentitiesRequest",
    "DeleteIdentitiesResponse",
    "DeleteIdentityPoolRequest",
    "DescribeIdentityPoolRequest",
    "DescribeIdentityRequest",
    "GetCredentialsForIdentityRequest",
    "GetCredentialsForIdentityResponse",
    "GetIdRequest",
    "GetIdResponse",
    "GetIdentityPoolRolesRequest",
    "GetIdentityPoolRolesResponse",
    "GetOpenIdTokenForDeveloperIdentityRequest",
    "GetOpenIdTokenForDeveloperIdentityResponse",
    "GetOpenIdTokenRequest",
    "GetOpenIdTokenResponse",
    "GetPrincipalTagAttributeMapRequest",
    "GetPrincipalTagAttributeMapResponse",
    "IdentityDescription",
    "IdentityPool",
    "IdentityPoolShortDescription",
    "ListIdentitiesRequest",
    "ListIdentitiesResponse",
    "ListIdentityPoolsRequest",
    "ListIdentityPoolsResponse",
    "ListTagsForResourceRequest",
    "ListTagsForResourceResponse",
    "LookupDeveloperIdentityRequest",
    "LookupDeveloperIdentityResponse",
    "MappingRule",
    "MergeDeveloperIdentitiesRequest",
    "MergeDeveloperIdentitiesResponse",
    "RoleMapping",
    "RulesConfigurationType",
    "SetIdentityPoolRolesRequest",
    "SetPrincipalTagAttributeMapRequest",
    "SetPrincipalTagAttributeMapResponse",
    "TagResourceRequest",
    "TagResourceResponse",
    "UnlinkDeveloperIdentityRequest",
    "UnlinkIdentityRequest",
    "UnprocessedIdentityId",
    "UntagResourceRequest",
    "UntagResourceResponse",
    "UpdateIdentityPoolRequest",
]

_COMMON: Final = (
    InvalidParameterException,
    NotAuthorizedException,
    TooManyRequestsException,
    InternalErrorException,
)
_NAMED: Final = (*_COMMON, ResourceNotFoundException)
_LINKED: Final = (*_NAMED, ResourceConflictException)

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
        Operation(
            "DeleteIdentities",
            DeleteIdentitiesRequest,
            DeleteIdentitiesResponse,
            errors=(
                InvalidParameterException,
                TooManyRequestsException,
                InternalErrorException,
            ),
        ),
        Operation("DeleteIdentityPool", DeleteIdentityPoolRequest, None, errors=_NAMED),
        Operation(
            "DescribeIdentity",
            DescribeIdentityRequest,
            IdentityDescription,
            errors=_NAMED,
        ),
        Operation(
            "DescribeIdentityPool",
            DescribeIdentityPoolRequest,
            IdentityPool,
            errors=_NAMED,
        ),
        Operation(
            "GetCredentialsForIdentity",
            GetCredentialsForIdentityRequest,
            GetCredentialsForIdentityResponse,
            errors=(
                *_LINKED,
                InvalidIdentityPoolConfigurationException,
                ExternalServiceException,
            ),
            callers=Callers.ANYONE,
        ),
        Operation(
            "GetId",
            GetIdRequest,
            GetIdResponse,
            errors=(*_LINKED, LimitExceededException, ExternalServiceException),
            callers=Callers.ANYONE,
            makes_identities=True,
        ),
        Operation(
            "GetIdentityPoolRoles",
            GetIdentityPoolRolesRequest,
            GetIdentityPoolRolesResponse,
            errors=_NAMED,
        ),
        Operation(
            "GetOpenIdToken",
            GetOpenIdTokenRequest,
            GetOpenIdTokenResponse,
            errors=(*_LINKED, ExternalServiceException),
            callers=Callers.ANYONE,
        ),
        Operation(
            "GetOpenIdTokenForDeveloperIdentity",
            GetOpenIdTokenForDeveloperIdentityRequest,
            GetOpenIdTokenForDeveloperIdentityResponse,
            errors=(*_LINKED, DeveloperUserAlreadyRegisteredException),
        ),
        Operation(
            "GetPrincipalTagAttributeMap",
            GetPrincipalTagAttributeMapRequest,
            GetPrincipalTagAttributeMapResponse,
            errors=_NAMED,
        ),
        Operation(
            "ListIdentities",
            ListIdentitiesRequest,
            ListIdentitiesResponse,
            errors=_NAMED,
        ),
        Operation(
            "ListIdentityPools",
            ListIdentityPoolsRequest,
            ListIdentityPoolsResponse,
            errors=_COMMON,
        ),
        Operation(
            "ListTagsForResource",
            ListTagsForResourceRequest,
            ListTagsForResourceResponse,
            errors=_NAMED,
        ),
        Operation(
            "LookupDeveloperIdentity",
            LookupDeveloperIdentityRequest,
            LookupDeveloperIdentityResponse,
            errors=_LINKED,
        ),
        Operation(
            "MergeDeveloperIdentities",
            MergeDeveloperIdentitiesRequest,
            MergeDeveloperIdentitiesResponse,
            errors=_LINKED,
        ),
        Operation(
            "SetIdentityPoolRoles",
            SetIdentityPoolRolesRequest,
            None,
            errors=(*_NAMED, ConcurrentModificationException),
        ),
        Operation(
            "SetPrincipalTagAttributeMap",
            SetPrincipalTagAttributeMapRequest,
            SetPrincipalTagAttributeMapResponse,
            errors=_NAMED,
        ),
        Operation(
            "TagResource", TagResourceRequest, TagResourceResponse, errors=_NAMED
        ),
        Operation(
            "UnlinkDeveloperIdentity",
            UnlinkDeveloperIdentityRequest,
            None,
            errors=_LINKED,
        ),
        Operation(
            "UnlinkIdentity",
            UnlinkIdentityRequest,
            None,
            errors=(*_LINKED, ExternalServiceException),
            callers=Callers.ANYONE,
        ),
        Operation(
            "UntagResource", UntagResourceRequest, UntagResourceResponse, errors=_NAMED
        ),
        Operation(
            "UpdateIdentityPool",
            UpdateIdentityPoolRequest,
            IdentityPool,
            errors=(*_NAMED, LimitExceededException),
        ),
    ),
)
