"""Keys and the audit in the console: who may do what here, and who has done what."""

from __future__ import annotations

from typing import Any

import pytest

from console.visitor import Answer, Visitor
from millpond.console.base import link
from millpond.testing.server import RunningServer, wait_until

HOSTILE = "<script>alert(1)</script> \u202e \"'&=;{}"
FORM = {"name": HOSTILE, "scope": "read-only", "pool": "", "expires": "90d"}


@pytest.fixture
def pool(console_server: RunningServer) -> str:
    """A pool of the test's own."""
    made = console_server.client("cognito-identity").create_identity_pool(
        IdentityPoolName="pool", AllowUnauthenticatedIdentities=True
    )
    return str(made["IdentityPoolId"])


def make(visitor: Visitor, **form: str) -> dict[str, Any]:
    """Make a key, and give what the page shows once."""
    answer = visitor.post("/console/keys/new?format=json", {**FORM, **form})
    assert answer.status == 200, answer.text
    key: dict[str, Any] = answer.data["key"]
    return key


def log_in(server: RunningServer, key: dict[str, Any]) -> Visitor:
    """Log in with a key."""
    visitor = Visitor(server.endpoint)
    answer = visitor.post(
        "/console/login",
        {
            "access_key_id": key["access_key_id"],
            "secret_access_key": key["secret_access_key"],
        },
    )
    assert answer.status == 303, answer.text
    return visitor


def errors_of(answer: Answer) -> int:
    """Count the sentences that say what is wrong."""
    assert answer.status == 400, answer.text
    return answer.text.count('role="alert"')


def test_a_secret_is_shown_once_and_names_are_text(
    console_server: RunningServer, visitor: Visitor
) -> None:
    """The list and the page of the key have all but the secret."""
    shown = visitor.post("/console/keys/new", FORM)
    assert shown.status == 200
    assert "<script>alert" not in shown.text
    assert shown.headers["cache-control"] == "no-store"

    key = make(visitor)
    path = link("/keys/{key}", key=key["access_key_id"])
    assert visitor.json(path)["name"] == HOSTILE
    assert visitor.json(path)["scope"] == "read-only"
    for page in ("/console/keys", path, "/console/audit"):
        text = visitor.get(page).text
        assert key["access_key_id"] in text
        assert key["secret_access_key"] not in text
        assert "<script>alert" not in text


def test_a_read_only_key_looks_and_changes_nothing(
    console_server: RunningServer, visitor: Visitor
) -> None:
    """It works at once; forms are not there, and what is sent is refused."""
    reader = log_in(console_server, make(visitor))

    assert reader.get("/console/keys").status == 200
    assert "<button" not in reader.get("/console/keys/new").text.partition("<main")[2]
    assert reader.post("/console/keys/new", FORM).status == 403
    path = link("/keys/{key}", key=console_server.access_key_id)
    assert reader.post(path + "/delete", {}).status == 403
    assert reader.post(path, FORM).status == 403


def test_a_key_of_one_pool_sees_no_keys_and_its_pool_s_audit(
    console_server: RunningServer, visitor: Visitor, pool: str
) -> None:
    """It cannot make itself a wider key."""
    bound = log_in(console_server, make(visitor, pool=pool, scope="full"))

    assert bound.get("/console/keys").status == 403
    assert bound.post("/console/keys/new", FORM).status == 403
    entries = bound.json("/console/audit")["entries"]
    assert {each["identity_pool_id"] for each in entries} == {pool}
    assert bound.get(link("/audit", {"pool": pool + "0"})).status == 404


def test_a_key_that_ends_makes_none_that_ends_later(
    console_server: RunningServer, visitor: Visitor
) -> None:
    """Nor does it make itself last longer."""
    key = make(visitor, scope="full", expires="2d")
    ending = log_in(console_server, key)

    assert errors_of(ending.post("/console/keys/new", {**FORM, "expires": "3d"}))
    assert errors_of(ending.post("/console/keys/new", {**FORM, "expires": "never"}))
    path = link("/keys/{key}", key=key["access_key_id"])
    wider = {**FORM, "scope": "full", "expires": "never"}
    assert errors_of(ending.post(path, wider))
    make(ending, expires="1d")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expires", "soon"),
        ("expires", "2001-01-01"),
        ("pool", "us-east-1:00000000-0000-4000-8000-000000000000"),
        ("name", "x" * 257),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    visitor: Visitor, name: str, value: str
) -> None:
    """What was typed is kept, and no key is made."""
    assert visitor.get("/console/keys/new").status == 200
    before = len(visitor.json("/console/keys")["keys"])
    answer = visitor.post("/console/keys/new", {**FORM, name: value})

    assert errors_of(answer) == 1
    assert value in answer.text
    assert len(visitor.json("/console/keys")["keys"]) == before


def test_a_key_is_changed_and_deleted_by_typing_its_id(
    console_server: RunningServer, visitor: Visitor
) -> None:
    """Its sessions are over then; each step is in the audit."""
    key = make(visitor, scope="full")
    session = log_in(console_server, key)
    name = key["access_key_id"]
    path = link("/keys/{key}", key=name)

    assert visitor.post(path, {**FORM, "name": "reader"}).status == 303
    assert visitor.json(path)["name"] == "reader"
    wait_until(lambda: session.post("/console/keys/new", FORM).status == 403)
    assert errors_of(visitor.post(path + "/delete", {"access_key_id": "AKIA"}))
    assert visitor.post(path + "/delete", {"access_key_id": name}).status == 303
    assert visitor.get(path).status == 404
    wait_until(lambda: session.get("/console/keys").status == 303)

    entries = visitor.json("/console/audit")["entries"]
    mine = [each for each in entries if each["target"] == name]
    assert [each["operation"] for each in mine] == [
        "DeleteDeveloperKey",
        "UpdateDeveloperKey",
        "CreateDeveloperKey",
    ]
    for each in mine:
        assert each["access_key_id"] == console_server.access_key_id
        assert (each["origin"], each["address"]) == ("console", "127.0.0.1")
        assert each["result"] == "OK"


def test_the_last_key_that_may_do_everything_stays(tmp_path: Any) -> None:
    """It is neither deleted nor bound here, nor made to end."""
    with RunningServer(tmp_path / "data") as server:
        visitor = Visitor(server.endpoint)
        visitor.log_in(server)
        make(visitor)
        path = link("/keys/{key}", key=server.access_key_id)

        typed = {"access_key_id": server.access_key_id}
        assert errors_of(visitor.post(path + "/delete", typed))
        assert errors_of(visitor.post(path, {**FORM, "expires": "never"}))
        assert errors_of(visitor.post(path, {**FORM, "scope": "full"}))  # for 90 days
        assert len(visitor.json("/console/keys")["keys"]) == 2


def test_the_audit_is_filtered_and_goes_on(
    console_server: RunningServer, visitor: Visitor, pool: str
) -> None:
    """By pool, key, operation and time; a time that is none is said to be so."""
    client = console_server.client("cognito-identity")
    for number in range(60):
        client.set_identity_pool_roles(
            IdentityPoolId=pool,
            Roles={"authenticated": f"arn:aws:iam::000000000000:role/r{number}"},
        )

    def entries(**query: str) -> list[dict[str, Any]]:
        path = link("/audit", {**query, "format": "json"})
        found: list[dict[str, Any]] = visitor.get(path).data["entries"]
        return found

    first = visitor.get(link("/audit", {"pool": pool, "format": "json"})).data
    rest = entries(pool=pool, after=first["next"])
    assert (len(first["entries"]), len(rest)) == (50, 11)
    assert rest[-1]["operation"] == "CreateIdentityPool"
    assert entries(pool=pool, operation="CreateIdentityPool") == rest[-1:]
    assert entries(key="AKIANOBODY") == []
    assert entries(pool=pool, until="1d") == []
    assert len(entries(pool=pool, since="1h")) == 50
    assert errors_of(visitor.get(link("/audit", {"since": "soon"}))) == 1
