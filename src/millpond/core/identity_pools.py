"""
Identity pools: what is kept of one, its roles, its sync trigger, and its configuration
for push and streaming.

Source: IdentityPool and RoleMapping of the Cognito Identity model; PushSync,
CognitoStreams and Events of the Cognito Sync model.
"""

from __future__ import annotations

from typing import Final

import msgspec

COGNITO_PROVIDERS: Final = frozenset(
    {
        "cognito-identity.amazonaws.com",
        "cognito-identity.cn-north-1.amazonaws.com.cn",
    }
)
"""What `Logins` calls a token of this service; the SDKs spell it out themselves."""


class CognitoIdentityProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A user pool whose tokens the pool accepts."""

    provider_name: str | None = None
    client_id: str | None = None
    server_side_token_check: bool | None = None


class PushConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """Where push notifications go out."""

    application_arns: list[str] | None = None
    role_arn: str | None = None


class StreamConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """The stream of a pool and its switch."""

    stream_name: str | None = None
    role_arn: str | None = None
    streaming_status: str | None = None
    disabled_reason: str | None = None  # when it was switched off by ourselves
    disabled_date_ms: int | None = None
    switches: int = 0  # how often it was switched on, off, or to another stream

    @property
    def streaming(self) -> bool:
        """Whether changes are to be sent to the stream."""
        return self.stream_name is not None and self.streaming_status == "ENABLED"

    def since(self, before: StreamConfiguration) -> StreamConfiguration:
        """Count a switch from another configuration to this one, if it is one."""
        same = (self.streaming, self.stream_name) == (
            before.streaming,
            before.stream_name,
        )
        switches = before.switches if same else before.switches + 1
        return msgspec.structs.replace(self, switches=switches)


class MappingRule(msgspec.Struct, frozen=True, kw_only=True):
    """A condition on a claim, and the role that goes with it."""

    claim: str
    match_type: str  # Equals, Contains, StartsWith or NotEqual
    value: str
    role_arn: str


class RulesConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a mapping, in the order in which they are tried."""

    rules: list[MappingRule]


class RoleMapping(msgspec.Struct, frozen=True, kw_only=True):
    """How the logins of one provider are given a role (`core.role_selection`)."""

    type: str  # Token or Rules
    ambiguous_role_resolution: str | None = None  # AuthenticatedRole or Deny
    rules_configuration: RulesConfiguration | None = None


class PrincipalTagMap(msgspec.Struct, frozen=True, kw_only=True):
    """Which claims of one provider's logins become tags (`core.principal_tags`)."""

    use_defaults: bool | None = None
    principal_tags: dict[str, str] | None = None  # the claim, by the key of the tag


class IdentityPool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An identity pool: its description, its configuration and its roles."""

    identity_pool_id: str
    identity_pool_name: str
    allow_unauthenticated_identities: bool
    allow_classic_flow: bool | None = None
    supported_login_providers: dict[str, str] | None = None
    developer_provider_name: str | None = None
    open_id_connect_provider_arns: list[str] | None = None
    cognito_identity_providers: list[CognitoIdentityProvider] | None = None
    saml_provider_arns: list[str] | None = None
    identity_pool_tags: dict[str, str] | None = None
    push: PushConfiguration | None = None
    stream: StreamConfiguration | None = None
    roles: dict[str, str] | None = None
    """The ARN of the role of an `authenticated` and an `unauthenticated` identity."""
    role_mappings: dict[str, RoleMapping] | None = None
    """By login provider; for a user pool, by `<provider>:<client id>` too."""
    principal_tag_maps: dict[str, PrincipalTagMap] | None = None
    """By provider, the developer's own too."""
    sync_trigger: str | None = None
    """What is called before a user's update: a function's ARN or a URL."""

    @property
    def login_providers(self) -> frozenset[str]:
        """The names of all login providers, the developer's own aside."""
        return frozenset(
            [
                *(self.supported_login_providers or ()),
                *map(provider_of, self.open_id_connect_provider_arns or ()),
                *(e.provider_name or "" for e in self.cognito_identity_providers or ()),
            ]
        )

    def has_provider(self, key: str) -> bool:
        """Say whether a login provider of the pool has that name or that ARN."""
        if key in self.login_providers or key in (self.saml_provider_arns or ()):
            return bool(key)
        return key in (self.open_id_connect_provider_arns or ()) and bool(
            provider_of(key)
        )

    def find_principal_tag_map(self, provider_name: str) -> PrincipalTagMap | None:
        """Find the map of a provider, whether it is keyed by name or by ARN."""
        arns = self.open_id_connect_provider_arns or ()
        keys = [provider_name, *(e for e in arns if provider_of(e) == provider_name)]
        maps = self.principal_tag_maps or {}
        return next((maps[key] for key in keys if key in maps), None)


def provider_of(arn: str) -> str:
    """Give the name of the login provider that an ARN is of; empty for another ARN."""
    return arn.partition(":oidc-provider/")[2]
