"""Pools in the console: looked at, made, changed part by part, and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from cli import world
from cli.world import EMPTY_POOL, POOL
from console.visitor import Visitor
from millpond.console.base import link
from millpond.testing.server import RunningServer

GOOGLE = "accounts.google.com"
ROLE = "arn:aws:iam::123456789012:role/players"
APP = "arn:aws:sns:us-east-1:123456789012:app/GCM/game"
EVIL = "<script>alert(1)</script> \u202e \"'&=;{}"
UNKNOWN = "us-east-1:ffffffff-0000-4000-8000-000000000000"
FORM = {"IdentityPoolName": "Made here", "AllowUnauthenticatedIdentities": "1"}


@pytest.fixture
def identity(world_server: RunningServer) -> Any:
    return world_server.client("cognito-identity")


@pytest.fixture
def sync(world_server: RunningServer) -> Any:
    return world_server.client("cognito-sync")


@pytest.fixture
def pool(identity: Any) -> str:
    """A pool of the test's own, in which everything is set that can be."""
    made = identity.create_identity_pool(
        IdentityPoolName="Its own",
        AllowUnauthenticatedIdentities=True,
        AllowClassicFlow=False,
        SupportedLoginProviders={GOOGLE: "an-app", EVIL: "other"},
        DeveloperProviderName="login.game",
        OpenIdConnectProviderARNs=[
            "arn:aws:iam::123456789012:oidc-provider/id.example.com"
        ],
        CognitoIdentityProviders=[
            {
                "ProviderName": "cognito-idp.us-east-1.amazonaws.com/us-east-1_a",
                "ClientId": "client",
                "ServerSideTokenCheck": False,
            }
        ],
        IdentityPoolTags={EVIL: EVIL, "stage": " test", "empty": ""},
    )
    return str(made["IdentityPoolId"])


def described(identity: Any, pool: str) -> dict[str, Any]:
    answer = identity.describe_identity_pool(IdentityPoolId=pool)
    return {k: v for k, v in answer.items() if k != "ResponseMetadata"}


def fields_of(visitor: Visitor, path: str) -> dict[str, str]:
    """Give what a form sends that nobody types into."""
    data = visitor.json(path)
    sent = {each["name"]: each["value"] for each in data["fields"] if each["value"]}
    return sent | ({"seen": data["seen"]} if "seen" in data else {})


# --- Looking --------------------------------------------------------------------------


def test_pools_are_listed_with_what_they_hold(looker: Visitor) -> None:
    """By id; each leads to its own page."""
    listed = looker.json("/console/pools")["pools"]
    pools = {each["identity_pool_id"]: each for each in listed}

    assert pools[POOL] == {
        "identity_pool_id": POOL,
        "identity_pool_name": "Players",
        "allow_unauthenticated_identities": True,
        "stream_name": world.STREAM,
        "streaming_status": "ENABLED",
        "data_storage": 10,
        "sync_sessions_count": 0,
        "last_modified_date_ms": 1_750_000_000_000,
    }
    assert f'href="/console/pools/{EMPTY_POOL}"' in looker.get("/console/pools").text


def test_a_pool_is_shown_with_all_its_settings(
    looker: Visitor, identity: Any, sync: Any, pool: str
) -> None:
    """What the APIs know of it; text of strangers is text."""
    identity.set_identity_pool_roles(
        IdentityPoolId=pool,
        Roles={"authenticated": ROLE},
        RoleMappings={
            GOOGLE: {
                "Type": "Rules",
                "AmbiguousRoleResolution": "Deny",
                "RulesConfiguration": {
                    "Rules": [
                        {
                            "Claim": "isAdmin",
                            "MatchType": "Equals",
                            "Value": EVIL,
                            "RoleARN": ROLE,
                        }
                    ]
                },
            }
        },
    )
    identity.set_principal_tag_attribute_map(
        IdentityPoolId=pool,
        IdentityProviderName=GOOGLE,
        UseDefaults=False,
        PrincipalTags={"team": "custom:team"},
    )
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        PushSync={"ApplicationArns": [APP], "RoleArn": ROLE},
        CognitoStreams={"StreamName": "other", "StreamingStatus": "DISABLED"},
    )
    data = looker.json(f"/console/pools/{pool}")
    page = looker.get(f"/console/pools/{pool}").text

    assert data["supported_login_providers"] == {GOOGLE: "an-app", EVIL: "other"}
    assert data["identity_pool_tags"][EVIL] == EVIL
    assert data["roles"] == {"authenticated": ROLE}
    rule = data["role_mappings"][GOOGLE]["rules_configuration"]["rules"][0]
    assert rule["value"] == EVIL
    assert data["principal_tag_maps"][GOOGLE]["principal_tags"] == {
        "team": "custom:team"
    }
    assert data["push"] == {"application_arns": [APP], "role_arn": ROLE}
    assert (data["stream_name"], data["streaming_status"]) == ("other", "DISABLED")
    assert "<script>alert" not in page
    for text in ("&lt;script&gt;alert", "custom:team", APP, ROLE, "login.game"):
        assert text in page


def test_what_a_pool_calls_is_examined(looker: Visitor, pool: str) -> None:
    """As `doctor` does it: each finding with its state and what to do."""
    data = looker.json(f"/console/pools/{pool}/examination")

    assert {"OK", "WARN", "FAIL"} >= {each["status"] for each in data["findings"]}
    assert any("id.example.com" in each["name"] for each in data["findings"])
    assert looker.get(f"/console/pools/{pool}/examination").status == 200


@pytest.mark.parametrize(
    "path",
    ["", "/examination", "/delete", "/change/tags", "/change/roles"],
)
def test_a_pool_that_is_not_there(looker: Visitor, path: str) -> None:
    """404 with a sentence, whatever was asked of it."""
    for pool in (UNKNOWN, "x", "../../identities", EVIL):
        answer = looker.get(link("/pools/{pool}", pool=pool) + path)
        assert answer.status == 404
        assert "There is no identity pool" in answer.text


# --- Making ---------------------------------------------------------------------------


def test_a_pool_is_created_by_a_form(looker: Visitor, identity: Any) -> None:
    """With all that was typed; one goes on at the new pool."""
    answer = looker.post(
        "/console/pools/new",
        {
            **FORM,
            "AllowClassicFlow": "no",
            "SupportedLoginProviders": f"{GOOGLE} = an-app\r\n\r\n",
            "DeveloperProviderName": " login.mine ",
            "OpenIdConnectProviderARNs": "",
            "CognitoIdentityProviders": "",
        },
    )

    assert answer.status == 303, answer.text
    pool = answer.location.rpartition("/")[2]
    assert described(identity, pool) == {
        "IdentityPoolId": pool,
        "IdentityPoolName": "Made here",
        "AllowUnauthenticatedIdentities": True,
        "AllowClassicFlow": False,
        "SupportedLoginProviders": {GOOGLE: "an-app"},
        "DeveloperProviderName": "login.mine",
    }
    assert "Created the pool Made here." in looker.get(answer.location).text


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"IdentityPoolName": EVIL}, "IdentityPoolName"),
        ({"IdentityPoolName": ""}, "IdentityPoolName"),
        ({"SupportedLoginProviders": EVIL}, "SupportedLoginProviders"),
        ({"OpenIdConnectProviderARNs": "short"}, "OpenIdConnectProviderARNs"),
        ({"CognitoIdentityProviders": "{"}, "CognitoIdentityProviders"),
        ({"DeveloperProviderName": "a b"}, "DeveloperProviderName"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    looker: Visitor, typed: dict[str, str], field: str
) -> None:
    """400; nothing is made, and what was typed is still there."""
    before = looker.json("/console/pools")["pools"]
    answer = looker.post("/console/pools/new", {**FORM, **typed})

    assert answer.status == 400
    assert f'id="e-{field}" role="alert"' in answer.text
    assert "Made here" in answer.text or field == "IdentityPoolName"
    assert "<script>alert" not in answer.text
    assert looker.json("/console/pools")["pools"] == before


def test_a_pool_is_adopted_under_its_id(looker: Visitor, identity: Any) -> None:
    """Once; a second time, and under what is no id, it is refused."""
    pool = "eu-west-1:00000000-0000-4000-8000-00000000ad09"
    form = {"IdentityPoolId": f" {pool} ", "IdentityPoolName": "Moved in"}

    answer = looker.post("/console/pools/adopt", form)

    assert answer.location == f"/console/pools/{pool}"
    assert "eu-west-1" in looker.get(answer.location).text
    assert described(identity, pool)["IdentityPoolName"] == "Moved in"
    again = looker.post("/console/pools/adopt", form)
    assert (again.status, "exists already" in again.text) == (400, True)
    for wrong in ("", EVIL, "us-east-1:" + "0" * 99):
        refused = looker.post("/console/pools/adopt", {**form, "IdentityPoolId": wrong})
        assert refused.status == 400
        assert "cannot be created" in refused.text


# --- Changing -------------------------------------------------------------------------

PARTS: dict[str, dict[str, str]] = {
    "description": {"IdentityPoolName": "Renamed"},
    "tags": {"IdentityPoolTags": "stage = live"},
    "roles": {
        "authenticated": ROLE,
        "RoleMappings": '{"accounts.google.com": {"Type": "Token", '
        '"AmbiguousRoleResolution": "AuthenticatedRole"}}',
    },
    "principal-tags?provider=login.game": {"PrincipalTags": "team = custom:team"},
    "stream": {"StreamName": "other", "StreamingStatus": "ENABLED"},
    "push": {"ApplicationArns": APP, "RoleArn": ROLE},
    "sync-trigger": {"SyncTrigger": "https://93.184.215.14/trigger"},
}
CLEARED = {"stream": "StreamName", "push": "RoleArn"}
KEYS = {
    "description": "identity_pool_name",
    "tags": "identity_pool_tags",
    "roles": "role_mappings",
    "principal-tags?provider=login.game": "principal_tag_maps",
    "stream": "stream_name",
    "push": "push",
    "sync-trigger": "sync_trigger",
}
WRONG: dict[str, dict[str, str]] = {
    "description": {"IdentityPoolName": EVIL},
    "tags": {"IdentityPoolTags": "no sign"},
    "roles": {"RoleMappings": '{"x": {"Type": "Other"}}'},
    "principal-tags?provider=login.game": {"PrincipalTags": "x"},
    "stream": {"RoleArn": EVIL},
    "push": {"ApplicationArns": EVIL},
    "sync-trigger": {"SyncTrigger": "javascript:alert(1)"},
}


def form_path(pool: str, part: str) -> tuple[str, str]:
    """Give the path of a form, and of its data."""
    name, _, query = part.partition("?")
    path = f"/console/pools/{pool}/change/{name}"
    query = query and f"?{query}"
    return path + query, f"{path}.json{query}"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_pool_is_changed_alone(
    looker: Visitor, pool: str, part: str
) -> None:
    """Sent back as it is, a form changes nothing; else what was typed, that alone."""
    path, data_path = form_path(pool, part)

    def sent() -> dict[str, str]:
        data = looker.get(data_path).data
        values = {each["name"]: each["value"] for each in data["fields"]}
        return {k: v for k, v in values.items() if v} | {"seen": data["seen"]}

    def settings() -> Any:
        data = looker.json(f"/console/pools/{pool}")
        return {k: v for k, v in data.items() if k != "parts"}

    before = settings()
    unchanged = looker.post(path, sent())
    # A form of what was never set sets it to nothing.
    empty: Any = (None, [], {}, "DISABLED")
    same = settings()
    assert unchanged.status == 303, unchanged.text
    assert {k: v for k, v in same.items() if v != before[k]}.keys() <= {
        k for k, v in before.items() if v in empty
    }
    changed = looker.post(path, sent() | PARTS[part])
    assert changed.location == f"/console/pools/{pool}", changed.text
    now = settings()
    differing = {key for key in now if now[key] != same[key]}
    assert KEYS[part] in differing
    beside = {"roles", "streaming_status", "sync_trigger_details"}
    assert differing <= {KEYS[part], *beside}


@pytest.mark.parametrize("part", WRONG)
def test_a_part_that_cannot_be_so_stays(looker: Visitor, pool: str, part: str) -> None:
    """400 with what was typed and why not; nothing is written."""
    path, data_path = form_path(pool, part)
    data = looker.get(data_path).data
    values = {each["name"]: each["value"] for each in data["fields"] if each["value"]}
    before = looker.json(f"/console/pools/{pool}")
    answer = looker.post(path, values | WRONG[part] | {"seen": data["seen"]})

    assert answer.status == 400
    assert 'role="alert"' in answer.text
    assert "<script>alert" not in answer.text
    assert looker.json(f"/console/pools/{pool}") == before


@pytest.mark.parametrize("part", CLEARED)
def test_what_the_api_cannot_take_away_is_said(
    looker: Visitor, sync: Any, pool: str, part: str
) -> None:
    """An empty field would leave it as it is; nobody should believe it gone."""
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        PushSync={"RoleArn": ROLE},
        CognitoStreams={"StreamName": "other"},
    )
    path = f"/console/pools/{pool}/change/{part}"
    answer = looker.post(path, {"seen": looker.json(path)["seen"]})

    assert answer.status == 400
    assert f'id="e-{CLEARED[part]}" role="alert"' in answer.text


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    looker: Visitor, identity: Any, pool: str
) -> None:
    """409: it shows what is there now; who sends the form again means it."""
    path = f"/console/pools/{pool}/change/tags"
    mine = {"IdentityPoolTags": "mine = 1", "seen": looker.json(path)["seen"]}
    arn = f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{pool}"
    identity.untag_resource(ResourceArn=arn, TagKeys=[EVIL, "stage", "empty"])
    identity.tag_resource(ResourceArn=arn, Tags={"theirs": "2"})

    answer = looker.post(path, mine)

    assert answer.status == 409
    assert "theirs = 2" in answer.text
    assert "mine = 1" in answer.text
    assert described(identity, pool)["IdentityPoolTags"] == {"theirs": "2"}
    seen = looker.json(path)["seen"]
    assert f'name="seen" value="{seen}"' in answer.text
    assert looker.post(path, {**mine, "seen": seen}).status == 303
    assert described(identity, pool)["IdentityPoolTags"] == {"mine": "1"}


# --- Deleting -------------------------------------------------------------------------


def test_a_pool_is_deleted_by_typing_its_name(
    looker: Visitor, identity: Any, pool: str
) -> None:
    """Nothing else does it, but its id."""
    path = f"/console/pools/{pool}/delete"
    for wrong in ("", " ", "its own", "Its ow", EVIL):
        refused = looker.post(path, {"name": wrong})
        assert refused.status == 400
        assert "Nothing was deleted" in refused.text
    assert described(identity, pool)["IdentityPoolName"] == "Its own"

    answer = looker.post(path, {"name": " Its  own "})

    assert answer.location == "/console/pools"
    assert "Deleted the pool Its own." in looker.get("/console/pools").text
    assert looker.get(f"/console/pools/{pool}").status == 404
    assert looker.post(path, {"name": "Its own"}).status == 404
