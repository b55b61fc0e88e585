"""Tags of identity pools are kept as Cognito Identity keeps them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.contract import cognito_identity as contract
from millpond.errors import InvalidParameterException, ResourceNotFoundException
from millpond.service import identity_pools, tags
from service.stage import Operations, player

POOL = "us-east-1:00000000-0000-4000-8000-000000000000"
UNKNOWN = f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{POOL}"
OPERATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tag_resource", {"tags": {"a": "b"}}),
    ("untag_resource", {"tag_keys": ["a"]}),
    ("list_tags_for_resource", {}),
)


class Server(Operations):
    """The operations over a store of their own."""

    contract = contract
    modules = (identity_pools, tags)

    async def make_pool(self, given: dict[str, str] | None = None) -> str:
        """Create a pool with tags, and give its ARN."""
        pool = await self.call(
            "create_identity_pool",
            identity_pool_name="Players",
            allow_unauthenticated_identities=True,
            identity_pool_tags=given,
        )
        pool_id = pool.identity_pool_id
        return f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{pool_id}"

    async def listed(self, arn: str) -> dict[str, str]:
        """List the tags of a pool."""
        answer = await self.call("list_tags_for_resource", resource_arn=arn)
        found: dict[str, str] = answer.tags
        return found


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene against a fresh server; settings may be named."""
    return player(Server, tmp_path)


def test_tags_are_added_and_replaced(play):
    """A key that is there gets the new value; the other tags stay."""

    async def scene(server):
        arn = await server.make_pool({"team": "games", "stage": "test"})
        answer = await server.call(
            "tag_resource", resource_arn=arn, tags={"stage": "live", "empty": ""}
        )

        assert msgspec.to_builtins(answer) == {}
        assert await server.listed(arn) == {
            "team": "games",
            "stage": "live",
            "empty": "",
        }

    play(scene)


def test_tags_are_removed_by_their_keys(play):
    """Keys that the pool does not have do no harm; the last tag can go too."""

    async def scene(server):
        arn = await server.make_pool({"team": "games", "stage": "test"})
        for keys, left in (
            (["stage", "unknown"], {"team": "games"}),
            ([], {"team": "games"}),
            (["team", "team"], {}),
            (["team"], {}),
        ):
            answer = await server.call(
                "untag_resource", resource_arn=arn, tag_keys=keys
            )

            assert msgspec.to_builtins(answer) == {}
            assert await server.listed(arn) == left

    play(scene)


def test_a_pool_without_tags_has_an_empty_list(play):
    """The member is there, with nothing in it."""

    async def scene(server):
        arn = await server.make_pool()
        answer = await server.call("list_tags_for_resource", resource_arn=arn)

        assert msgspec.to_builtins(answer) == {"Tags": {}}

    play(scene)


def test_tags_are_those_of_the_description(play):
    """Describing the pool shows the same tags, and nothing else has changed."""

    async def scene(server):
        arn = await server.make_pool({"team": "games"})
        await server.call("tag_resource", resource_arn=arn, tags={"a": "b"})
        described = await server.call(
            "describe_identity_pool", identity_pool_id=arn.partition("/")[2]
        )

        assert described.identity_pool_tags == {"team": "games", "a": "b"}
        assert described.identity_pool_name == "Players"

    play(scene)


def test_there_are_at_most_fifty_tags(play):
    """What would be the 51st is refused, and nothing of the request is kept."""

    async def scene(server):
        fifty = {f"k{n}": "v" for n in range(50)}
        arn = await server.make_pool(fifty)
        message = await server.refused(
            InvalidParameterException,
            "tag_resource",
            resource_arn=arn,
            tags={"k0": "new", "more": "v"},
        )
        assert message == "The identity pool would have 51 tags; the limit is 50."
        assert await server.listed(arn) == fifty

        await server.call("tag_resource", resource_arn=arn, tags={"k0": "new"})

        assert await server.listed(arn) == {**fifty, "k0": "new"}

    play(scene)


@pytest.mark.parametrize(
    "arn",
    [
        UNKNOWN,
        UNKNOWN.replace("us-east-1:000000000000", "eu-west-1:000000000000"),
        UNKNOWN.replace("000000000000:id", "000000000001:id"),
    ],
)
@pytest.mark.parametrize(("operation", "members"), OPERATIONS)
def test_an_unknown_resource_has_no_tags(play, operation, members, arn):
    """Unknown pools, and those of other regions and accounts, are not found."""

    async def scene(server):
        message = await server.refused(
            ResourceNotFoundException, operation, resource_arn=arn, **members
        )

        assert message == f"Resource '{arn}' not found."

    play(scene)


def test_a_pool_is_not_found_under_the_arn_of_another_region(play):
    """The ARN has to be the pool's own, not only its id."""

    async def scene(server):
        arn = await server.make_pool({"team": "games"})
        for own, other in (("us-east-1:0", "eu-west-1:0"), (":00", ":10")):
            await server.refused(
                ResourceNotFoundException,
                "list_tags_for_resource",
                resource_arn=arn.replace(own, other, 1),
            )

    play(scene)


@pytest.mark.parametrize(
    "arn",
    [
        POOL,
        f"arn:aws:cognito-identity:us-east-1:000000000000:pool/{POOL}",
        f"arn:aws:cognito-sync:us-east-1:000000000000:identitypool/{POOL}",
        f"arn:aws:cognito-identity:us-east-1::identitypool/{POOL}",
        f"{UNKNOWN}/identity/{POOL}",
        f"{UNKNOWN}\n",
        UNKNOWN.upper(),
        UNKNOWN.replace("000000000000:id", "account:id"),
    ],
)
@pytest.mark.parametrize(("operation", "members"), OPERATIONS)
def test_what_is_not_the_arn_of_a_pool_is_refused(play, operation, members, arn):
    """The message has the ARN and the form that it should have."""

    async def scene(server):
        message = await server.refused(
            InvalidParameterException, operation, resource_arn=arn, **members
        )

        assert message == (
            f"'{arn}' is not the ARN of an identity pool, which has the form "
            "arn:aws:cognito-identity:REGION:ACCOUNT:identitypool/IDENTITY_POOL_ID."
        )

    play(scene)
