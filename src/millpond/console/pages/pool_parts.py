"""
The parts of an identity pool that people change, each a form and an operation.

A part knows its fields: what they hold now, and the request that sends what was typed.
What a form shows has a mark (`forms.seal_of`): if the part is another one by the time
it comes back, somebody else has changed it, and nothing is overwritten unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from millpond.console import forms
from millpond.console.base import Fields
from millpond.contract import cognito_identity, cognito_sync
from millpond.contract.shapes import Operation
from millpond.core.identity_pools import (
    IdentityPool,
    PrincipalTagMap,
    PushConfiguration,
    StreamConfiguration,
)
from millpond.core.sync_trigger import EVENT_TYPE

_IDENTITY: Final = cognito_identity.API.by_name
_SYNC: Final = cognito_sync.API.by_name
_EITHER: Final = {"": "as the API has it", "yes": "yes", "no": "no"}
NO_POOL: Final = IdentityPool(
    identity_pool_id="",
    identity_pool_name="",
    allow_unauthenticated_identities=False,
)
_FLAGS: Final = {"": None, "yes": True, "no": False}


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """
    One field of a form.

    Args:
        name: of the API.
        kind: "text", "area", "box" or "choice".
        value: what it holds now; of a box "1" or nothing.
    """

    name: str
    label: str
    value: str = ""
    kind: str = "text"
    hint: str = ""
    choices: Mapping[str, str] = {}
    is_fixed: bool = False


class Part(NamedTuple):
    """
    A part of a pool.

    Args:
        fields: what it is now; `provider` is the one that the form is for, if any.
        request: of the operation, from what was typed.
        is_by_provider: there is one of them for each login provider.
    """

    name: str
    title: str
    about: str
    operation: Operation
    fields: Callable[[IdentityPool, str], Sequence[FormField]]
    request: Callable[[IdentityPool, str, Fields], Mapping[str, Any]]
    is_by_provider: bool = False


def description_of(pool: IdentityPool) -> dict[str, Any]:
    """Give the description of a pool as UpdateIdentityPool takes it back."""
    described = msgspec.convert(
        pool, cognito_identity.IdentityPool, from_attributes=True
    )
    builtins: dict[str, Any] = msgspec.to_builtins(described)
    return builtins


# --- Description ----------------------------------------------------------------------


def description_fields(pool: IdentityPool) -> list[FormField]:
    """Describe the form of a pool, `NO_POOL` for one that is to be made."""
    developer = pool.developer_provider_name or ""
    return [
        FormField(
            name="IdentityPoolName",
            label="Name",
            value=pool.identity_pool_name,
            hint="For people: letters, digits, spaces and + = , . @ - _",
        ),
        FormField(
            name="AllowUnauthenticatedIdentities",
            label="Guests: users who do not sign in get an identity, too",
            kind="box",
            value="1" if pool.allow_unauthenticated_identities else "",
        ),
        FormField(
            name="AllowClassicFlow",
            label="Basic (classic) flow",
            kind="choice",
            choices=_EITHER,
            value={None: "", True: "yes", False: "no"}[pool.allow_classic_flow],
            hint="It works unless this says no.",
        ),
        FormField(
            name="SupportedLoginProviders",
            label="Login providers",
            kind="area",
            value=forms.write_map(pool.supported_login_providers),
            hint="A line for each: accounts.google.com = the id of your app there",
        ),
        FormField(
            name="DeveloperProviderName",
            label="Developer provider",
            value=developer,
            is_fixed=bool(developer),
            hint="Under which your own backend signs users in. Once set, it stays.",
        ),
        FormField(
            name="OpenIdConnectProviderARNs",
            label="OpenID Connect providers",
            kind="area",
            value=forms.write_list(pool.open_id_connect_provider_arns),
            hint="Their ARNs, a line for each.",
        ),
        FormField(
            name="CognitoIdentityProviders",
            label="User pools",
            kind="area",
            value=forms.write_json(_user_pools(pool)),
            hint="JSON, as the API has it: "
            '[{"ProviderName": "cognito-idp.us-east-1.amazonaws.com/us-east-1_a", '
            '"ClientId": "b"}]',
        ),
        FormField(
            name="SamlProviderARNs",
            label="SAML providers",
            kind="area",
            value=forms.write_list(pool.saml_provider_arns),
            hint="Their ARNs, a line for each. Logins of SAML are refused here.",
        ),
    ]


def _user_pools(pool: IdentityPool) -> Any:
    return msgspec.convert(
        pool.cognito_identity_providers or [],
        list[cognito_identity.CognitoIdentityProvider],
        from_attributes=True,
    )


def description_request(form: Fields) -> dict[str, Any]:
    """Read what was typed into `description_fields`."""
    text = form.long_text
    return {
        "IdentityPoolName": form.long_text("IdentityPoolName"),
        "AllowUnauthenticatedIdentities": form.flag("AllowUnauthenticatedIdentities"),
        "AllowClassicFlow": _FLAGS[form.choice("AllowClassicFlow", _EITHER, "")],
        "SupportedLoginProviders": forms.read_map(
            text("SupportedLoginProviders"), "SupportedLoginProviders"
        )
        or None,
        "DeveloperProviderName": form.text("DeveloperProviderName").strip() or None,
        "OpenIdConnectProviderARNs": forms.read_list(
            text("OpenIdConnectProviderARNs"), "OpenIdConnectProviderARNs"
        )
        or None,
        "CognitoIdentityProviders": forms.read_json(
            text("CognitoIdentityProviders"),
            list[dict[str, Any]],
            "CognitoIdentityProviders",
            "a list of user pools",
        ),
        "SamlProviderARNs": forms.read_list(
            text("SamlProviderARNs"), "SamlProviderARNs"
        )
        or None,
    }


def _update_description(
    pool: IdentityPool, provider: str, form: Fields
) -> dict[str, Any]:
    typed = description_request(form)
    if pool.developer_provider_name is not None:
        typed["DeveloperProviderName"] = pool.developer_provider_name
    return {
        **typed,
        "IdentityPoolId": pool.identity_pool_id,
        "IdentityPoolTags": pool.identity_pool_tags,
    }


# --- Tags -----------------------------------------------------------------------------


def _tag_fields(pool: IdentityPool, provider: str) -> list[FormField]:
    return [
        FormField(
            name="IdentityPoolTags",
            label="Tags",
            kind="area",
            value=forms.write_map(pool.identity_pool_tags),
            hint="A line for each: key = value",
        )
    ]


def _tag_request(pool: IdentityPool, provider: str, form: Fields) -> dict[str, Any]:
    tags = forms.read_map(form.long_text("IdentityPoolTags"), "IdentityPoolTags")
    return {**description_of(pool), "IdentityPoolTags": tags or None}


# --- Roles ----------------------------------------------------------------------------


def _role_fields(pool: IdentityPool, provider: str) -> list[FormField]:
    roles = pool.roles or {}
    mappings = msgspec.convert(
        pool.role_mappings or {},
        dict[str, cognito_identity.RoleMapping],
        from_attributes=True,
    )
    return [
        FormField(
            name="authenticated",
            label="Role of users",
            value=roles.get("authenticated", ""),
            hint="Its ARN.",
        ),
        FormField(
            name="unauthenticated",
            label="Role of guests",
            value=roles.get("unauthenticated", ""),
            hint="Its ARN.",
        ),
        FormField(
            name="RoleMappings",
            label="Role mappings",
            kind="area",
            value=forms.write_json(mappings),
            hint="JSON, as the API has it, by login provider: "
            '{"accounts.google.com": {"Type": "Token", "AmbiguousRoleResolution": '
            '"Deny"}}',
        ),
    ]


def _role_request(pool: IdentityPool, provider: str, form: Fields) -> dict[str, Any]:
    roles = {
        name: arn
        for name in ("authenticated", "unauthenticated")
        if (arn := form.text(name).strip())
    }
    mappings = forms.read_json(
        form.long_text("RoleMappings"),
        dict[str, Any],
        "RoleMappings",
        "an object by login provider",
    )
    return {
        "IdentityPoolId": pool.identity_pool_id,
        "Roles": roles,
        "RoleMappings": mappings,
    }


# --- Principal tags -------------------------------------------------------------------


def _principal_tag_fields(pool: IdentityPool, provider: str) -> list[FormField]:
    map_ = (pool.principal_tag_maps or {}).get(provider) or PrincipalTagMap()
    return [
        FormField(
            name="IdentityProviderName",
            label="Login provider",
            value=provider,
            is_fixed=bool(provider),
            hint="By its name or, where the pool has one, its ARN.",
        ),
        FormField(
            name="UseDefaults",
            label="The defaults: `username` from the claim sub, `client` from aud",
            kind="box",
            value="1" if map_.use_defaults else "",
        ),
        FormField(
            name="PrincipalTags",
            label="Principal tags",
            kind="area",
            value=forms.write_map(map_.principal_tags),
            hint="A line for each: tag = the claim that gives its value",
        ),
    ]


def _principal_tag_request(
    pool: IdentityPool, provider: str, form: Fields
) -> dict[str, Any]:
    tags = forms.read_map(form.long_text("PrincipalTags"), "PrincipalTags")
    return {
        "IdentityPoolId": pool.identity_pool_id,
        "IdentityProviderName": provider or form.text("IdentityProviderName").strip(),
        "UseDefaults": form.flag("UseDefaults"),
        "PrincipalTags": tags or None,
    }


# --- Push, stream, sync trigger -------------------------------------------------------


def _push_fields(pool: IdentityPool, provider: str) -> list[FormField]:
    push = pool.push or PushConfiguration()
    return [
        FormField(
            name="ApplicationArns",
            label="Push applications",
            kind="area",
            value=forms.write_list(push.application_arns),
            hint="Their ARNs, a line for each.",
        ),
        _role_field(push.role_arn),
    ]


def _role_field(role_arn: str | None) -> FormField:
    return FormField(
        name="RoleArn",
        label="Role",
        value=role_arn or "",
        hint="Its ARN. What is set once can be replaced, and not be taken away.",
    )


def _push_request(pool: IdentityPool, provider: str, form: Fields) -> dict[str, Any]:
    arns = forms.read_list(form.long_text("ApplicationArns"), "ApplicationArns")
    role = _kept(form, "RoleArn", (pool.push or PushConfiguration()).role_arn)
    return {
        "IdentityPoolId": pool.identity_pool_id,
        "PushSync": {"ApplicationArns": arns, **({"RoleArn": role} if role else {})},
    }


def _kept(form: Fields, name: str, now: str | None) -> str:
    """
    Read what the API can replace, and not take away.

    Raises:
        FormError: it was to be taken away.
    """
    typed = form.text(name).strip()
    if now and not typed:
        raise forms.FormError({name: f"It can be replaced, and stays {now} else."})
    return typed


def _stream_fields(pool: IdentityPool, provider: str) -> list[FormField]:
    stream = pool.stream or StreamConfiguration()
    return [
        FormField(name="StreamName", label="Stream", value=stream.stream_name or ""),
        FormField(
            name="StreamingStatus",
            label="Changes go to it",
            kind="choice",
            choices={"ENABLED": "yes (ENABLED)", "DISABLED": "no (DISABLED)"},
            value=stream.streaming_status or "DISABLED",
        ),
        _role_field(stream.role_arn),
    ]


def _stream_request(pool: IdentityPool, provider: str, form: Fields) -> dict[str, Any]:
    status = form.choice("StreamingStatus", ("ENABLED", "DISABLED"), "DISABLED")
    stream = pool.stream or StreamConfiguration()
    given = {
        "StreamName": _kept(form, "StreamName", stream.stream_name),
        "RoleArn": _kept(form, "RoleArn", stream.role_arn),
        "StreamingStatus": status,
    }
    return {
        "IdentityPoolId": pool.identity_pool_id,
        "CognitoStreams": {name: value for name, value in given.items() if value},
    }


def _trigger_fields(pool: IdentityPool, provider: str) -> list[FormField]:
    return [
        FormField(
            name="SyncTrigger",
            label="Sync trigger",
            value=pool.sync_trigger or "",
            hint="A function's ARN or a URL; empty for none.",
        )
    ]


def _trigger_request(pool: IdentityPool, provider: str, form: Fields) -> dict[str, Any]:
    return {
        "IdentityPoolId": pool.identity_pool_id,
        "Events": {EVENT_TYPE: form.text("SyncTrigger").strip()},
    }


PARTS: Final = {
    each.name: each
    for each in (
        Part(
            "description",
            "Description",
            "Its name, and who may sign in how.",
            _IDENTITY["UpdateIdentityPool"],
            lambda pool, provider: description_fields(pool),
            _update_description,
        ),
        Part(
            "tags",
            "Tags",
            "Words of your own; nothing depends on them.",
            _IDENTITY["UpdateIdentityPool"],
            _tag_fields,
            _tag_request,
        ),
        Part(
            "roles",
            "Roles",
            "Which role goes with the credentials of an identity.",
            _IDENTITY["SetIdentityPoolRoles"],
            _role_fields,
            _role_request,
        ),
        Part(
            "principal-tags",
            "Principal tags",
            "Which claims of a login become tags of the tokens that are issued.",
            _IDENTITY["SetPrincipalTagAttributeMap"],
            _principal_tag_fields,
            _principal_tag_request,
            is_by_provider=True,
        ),
        Part(
            "stream",
            "Stream",
            "Where the changes of its datasets go.",
            _SYNC["SetIdentityPoolConfiguration"],
            _stream_fields,
            _stream_request,
        ),
        Part(
            "push",
            "Push",
            "Through which applications its devices are told of changes.",
            _SYNC["SetIdentityPoolConfiguration"],
            _push_fields,
            _push_request,
        ),
        Part(
            "sync-trigger",
            "Sync trigger",
            "What is called before a user's update is taken (Cognito Events).",
            _SYNC["SetCognitoEvents"],
            _trigger_fields,
            _trigger_request,
        ),
    )
}
