"""Users of public logins after a move: recognised at their next sign-in, if allowed."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from acceptance.kinds import embedded_does
from acceptance.moving import Move, at, shown
from acceptance.oidc_provider import OidcProvider
from acceptance.sync_client import Dataset
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

pytestmark = pytest.mark.timeout(seconds(120.0))
NO_MATCH: Final = "Logins don't match"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with contextlib.closing(OidcProvider()) as running:
        yield running


@pytest.fixture
def known(provider: OidcProvider) -> dict[str, str]:
    """The settings of a server that knows the provider."""
    return {"login_providers": json.dumps({provider.name: provider.setting})}


@pytest.fixture
def move(
    start_server: Callable[..., RunningServer],
    provider: OidcProvider,
    known: dict[str, str],
) -> Move:
    moving = Move(start_server, start_server("source", settings=known))
    moving.there.update_identity_pool(
        IdentityPoolId=moving.pool,
        IdentityPoolName="moving",
        AllowUnauthenticatedIdentities=True,
        OpenIdConnectProviderARNs=[provider.arn],
    )
    return moving


def device_of(server: RunningServer) -> Any:
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return server.client("cognito-identity", config=config)


def signed_in(move: Move, logins: dict[str, str]) -> Dataset:
    """Sign somebody in at the source, whose dataset comes to count 3."""
    device = device_of(move.source)
    identity = device.get_id(IdentityPoolId=move.pool, Logins=logins)["IdentityId"]
    dataset = Dataset(move.sync_there, move.pool, identity, "prefs")
    for number in range(3):
        dataset.put(**{f"k{number}": "v"})
    return dataset


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "NotAuthorizedException"
    return str(caught.value.response["Error"]["Message"])


def test_a_device_that_kept_its_id_goes_on(
    move: Move, provider: OidcProvider, known: dict[str, str]
) -> None:
    """
    It shows the id and a token of its provider, and has its data with their counts;
    what its user began without the id comes along. Nobody else gets in then.
    """
    there = signed_in(move, provider.logins("ann"))
    target = move.start_target(
        read_through=False, claims_until="2999-12-31", settings=known
    )
    here, device = at(target, there), device_of(target)
    ann = {"Logins": provider.logins("ann")}
    described = target.client("cognito-identity").describe_identity(
        IdentityId=here.identity
    )
    assert described["Logins"] == [provider.name]

    other = device.get_id(IdentityPoolId=move.pool, **ann)["IdentityId"]
    assert other != here.identity
    Dataset(here.client, move.pool, other, "prefs").put(new="x")
    keys = device.get_credentials_for_identity(IdentityId=here.identity, **ann)
    assert keys["IdentityId"] == here.identity
    mine = target.client(
        "cognito-sync",
        aws_access_key_id=keys["Credentials"]["AccessKeyId"],
        aws_secret_access_key=keys["Credentials"]["SecretKey"],
        aws_session_token=keys["Credentials"]["SessionToken"],
    )
    assert shown(Dataset(mine, move.pool, here.identity, "prefs")) == shown(there)
    assert here.list()["MergedDatasetNames"] == [f"prefs.{other}"]
    again = device.get_id(IdentityPoolId=move.pool, **ann)["IdentityId"]
    assert again == here.identity

    for ask in (device.get_credentials_for_identity, device.get_open_id_token):
        eve = {"Logins": provider.logins("eve")}
        assert NO_MATCH in refusal(ask, IdentityId=here.identity, **eve)
    with urllib.request.urlopen(f"{target.endpoint}/metrics") as answer:
        claimed = f'claimed_identities_total{{identity_pool_id="{move.pool}"}} 1.0'
        assert claimed in answer.read().decode()
    # A later copy takes nothing back.
    assert move.run(target, "copy", move.pool).returncode == 0
    verified = move.run(target, "verify", move.pool)
    assert verified.returncode == 0, verified.stdout
    status = json.loads(move.run(target, "status", "--output", "json").stdout)
    assert status["Imports"][0]["Unclaimed"] == 0
    again = device.get_id(IdentityPoolId=move.pool, **ann)["IdentityId"]
    assert again == here.identity


@embedded_does("what a claim writes is in the contract of stores")
def test_without_the_setting_nobody_claims(
    move: Move, provider: OidcProvider, known: dict[str, str]
) -> None:
    """Nor behind its day; `status` tells how many wait."""
    there = signed_in(move, provider.logins("ann"))
    target = move.start_target(
        read_through=False, claims_until="2020-01-31", settings=known
    )

    for ask in ("get_credentials_for_identity", "get_open_id_token"):
        call = getattr(device_of(target), ask)
        ann = {"Logins": provider.logins("ann")}
        assert NO_MATCH in refusal(call, IdentityId=there.identity, **ann)

    imports = json.dumps({move.pool: {"claims_until": "2020-01-31"}})
    told = move.run(
        target, "status", "--output", "json", MILLPOND_IMPORTS=imports
    ).stdout
    (state,) = json.loads(told)["Imports"]
    assert (state["Unclaimed"], state["ClaimsUntil"]) == (1, "2020-01-31")


def test_read_through_asks_who_signs_in(
    move: Move, provider: OidcProvider, known: dict[str, str]
) -> None:
    """
    A device without an id finds the identity of its user, with the data, as the source
    knows it by the same token; it is asked once. Who is new there is new here.
    """
    target = move.start_target(settings=known)
    there = signed_in(move, provider.logins("ann"))
    device = device_of(target)
    before = move.calls_there("GetId")

    for logins in (provider.logins("ann"), provider.logins("ann")):
        found = device.get_id(IdentityPoolId=move.pool, Logins=logins)["IdentityId"]
        assert found == there.identity
    assert move.calls_there("GetId") == before + 1
    assert shown(at(target, there)) == shown(there)
    mine = {"IdentityId": there.identity}
    keys = device.get_credentials_for_identity(**mine, Logins=provider.logins("ann"))
    assert keys["IdentityId"] == there.identity
    ask = device.get_credentials_for_identity
    assert NO_MATCH in refusal(ask, **mine, Logins=provider.logins("eve"))

    # A guest of here who signs in, and is new at the source, keeps the identity.
    guest = device.get_id(IdentityPoolId=move.pool)["IdentityId"]
    keys = ask(IdentityId=guest, Logins=provider.logins("new"))
    assert keys["IdentityId"] == guest


@embedded_does("a source that is down is the same to all stores")
def test_nobody_begins_anew_while_the_source_is_down(
    move: Move, provider: OidcProvider, known: dict[str, str]
) -> None:
    """The device is told to try again, not given another identity."""
    target = move.start_target(timeout_s=1, settings=known)
    there = signed_in(move, provider.logins("ann"))
    ask = {"IdentityPoolId": move.pool, "Logins": provider.logins("ann")}
    move.hold_source()
    try:
        with pytest.raises(ClientError) as caught:
            device_of(target).get_id(**ask)
        answer = caught.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    finally:
        move.let_source_go()

    def found() -> str | None:
        try:
            return str(device_of(target).get_id(**ask)["IdentityId"])
        except ClientError:
            return None

    wait_until(lambda: found() == there.identity, timeout_s=30)
