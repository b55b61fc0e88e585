"""`millpond apply` and `millpond dump`: pools and streams as a file."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.cli.pools_file import text
from millpond.testing.server import RunningServer
from processes import SOURCE

ARN = "arn:aws:iam::000000000000:role"
FILE = f"""
[streams.changes]
shard_count = 2
retention_period_hours = 48

[pools."my app"]
allow_unauthenticated_identities = true
developer_provider_name = "login.my.app"
supported_login_providers = {{"accounts.google.com" = "1.apps.example"}}
identity_pool_tags = {{team = "a", "cost centre" = "7"}}

[pools."my app".roles]
authenticated = "{ARN}/users"

[pools."my app".role_mappings."accounts.google.com"]
type = "Rules"
ambiguous_role_resolution = "Deny"
rules_configuration = {{rules = [
    {{claim = "aud", match_type = "Equals", value = "x", role_arn = "{ARN}/x"}},
]}}

[pools."my app".cognito_streams]
stream_name = "changes"
streaming_status = "ENABLED"
role_arn = "{ARN}/streams"

[pools."my app".push_sync]
application_arns = ["arn:aws:sns:us-east-1:000000000000:app/GCM/mine"]
role_arn = "{ARN}/push"

[pools."my app".events]
SyncTrigger = "arn:aws:lambda:us-east-1:000000000000:function:check"
"""


class World:
    """A server, and commands that are told of it."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": SOURCE,
            **server.environment(),
        }

    def run(
        self, *words: str, file: str = "", status: int = 0, **variables: str
    ) -> str:
        """Run a command to its end; give what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "millpond", *words],
            input=file,
            env={**self.environment, **variables},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def changes(self) -> int:
        """Count the calls so far that change anything."""
        with urlopen(f"{self.server.endpoint}/metrics") as answer:
            told = answer.read().decode()
        verbs = "Create|Update|Set|Increase|Decrease|Delete|Tag|Untag"
        counted = re.findall(rf'requests_total{{operation="(?:{verbs}).* (\S+)', told)
        return int(sum(map(float, counted)))

    def pools(self) -> dict[str, Any]:
        """Read what `dump` says of pools."""
        return dict(tomllib.loads(self.run("dump")).get("pools", {}))


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    with RunningServer(
        tmp_path / "data", settings={"lambda_endpoint": "http://127.0.0.1:9"}
    ) as server:
        yield World(server)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[World]:
    """A server with a stream, for those who change nothing."""
    with RunningServer(tmp_path_factory.mktemp("shared") / "data") as server:
        with contextlib.closing(server.client("kinesis")) as kinesis:
            kinesis.create_stream(StreamName="old", ShardCount=1)
        yield World(server)


def test_there_and_back(world):
    """What is applied is dumped, and the dump is what there is; each said once."""
    told = world.run("apply", "-", "--check", file=FILE, status=2)
    assert "would create stream 'changes'" in told
    assert "would create pool 'my app'" in told
    assert world.changes() == 0

    told = world.run("apply", "-", file=FILE)
    assert re.search(r"identity_pool_id = us-east-1:[0-9a-f-]{36}", told)
    made = world.changes()
    assert tomllib.loads(world.run("dump")) == tomllib.loads(FILE)
    for each in (FILE, world.run("dump"), world.run("dump", "--ids")):
        assert "as the file says" in world.run("apply", "-", "--check", file=each)
        world.run("apply", "-", file=each)
    assert world.changes() == made


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_dump_is_utf_8_wherever_it_is_written(world, encoding):
    """So `apply` takes it, whatever a terminal there could show."""
    file = '[pools.a]\nidentity_pool_tags = {"größe" = "日本"}'
    world.run("apply", "-", file=file)

    dumped = world.run("dump", PYTHONIOENCODING=encoding)
    assert "as the file says" in world.run("apply", "-", "--check", file=dumped)
    assert "größe" in dumped


@pytest.mark.parametrize("file", ["-", "pools.toml"])
def test_a_file_may_begin_with_the_mark_of_its_encoding(shared, tmp_path, file):
    """As editors on Windows leave it; files of settings may as well."""
    marked = "\ufeff[streams.old]\nshard_count = 1\n"
    place = "-" if file == "-" else str(tmp_path / file)
    (tmp_path / "pools.toml").write_text(marked, "utf-8")

    assert "as the file says" in shared.run("apply", place, "--check", file=marked)


def test_only_what_differs_is_changed(world):
    """A map that is said replaces the one that was; what is not said stays."""
    world.run("apply", "-", file=FILE)
    before, calls = world.pools()["my app"], world.changes()
    file = """
        [pools."my app"]
        identity_pool_tags = {team = "b"}
        events = {}
        cognito_streams = {streaming_status = "DISABLED"}
        [pools.other]
        [streams.changes]
        retention_period_hours = 24
    """

    told = world.run("apply", "-", file=file)

    assert "retention_period_hours = 24  (was 48)" in told
    assert 'identity_pool_tags = {"team": "b"}  (was {' in told
    assert 'cognito_streams.streaming_status = "DISABLED"  (was "ENABLED")' in told
    after = world.pools()
    wanted = {**before, "identity_pool_tags": {"team": "b"}}
    wanted["cognito_streams"] = {
        **before["cognito_streams"],
        "streaming_status": "DISABLED",
    }
    del wanted["events"]
    assert after == {
        "my app": wanted,
        "other": {"allow_unauthenticated_identities": False},
    }
    assert world.changes() == calls + 5


def test_pools_of_one_name_are_told_apart_by_id(world):
    """Without an id nothing is guessed; with one a pool can get another name."""
    with contextlib.closing(world.server.client("cognito-identity")) as pools:
        ids = [
            pools.create_identity_pool(
                IdentityPoolName="twin", AllowUnauthenticatedIdentities=False
            )["IdentityPoolId"]
            for _ in range(2)
        ]
    told = world.run("apply", "-", file="[pools.twin]", status=255)
    assert all(each in told for each in ids)
    both = world.run("dump")
    assert "as the file says" in world.run("apply", "-", file=both)

    file = f'[pools.twin]\nidentity_pool_id = "{ids[0]}"\nidentity_pool_name = "one"'
    told = world.run("apply", "-", file=file)
    assert 'identity_pool_name = "one"  (was "twin")' in told
    assert set(world.pools()) == {"one", "twin"}
    assert "one" in world.run("dump", "--identity-pool-id", ids[0])


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("[pools", "This is not TOML"),
        ("pools = 1", "pools is a table"),
        ("[pool.x]", "A file has no 'pool'; there are pools, streams."),
        ("[Pools.x]", "there are pools, streams. Is 'pools' meant?"),
        ("[pools.x]\nroless = 1", " Is 'roles' meant?"),
        ("[pools.x]\nallow_classic_flow = 'yes'", "pools.x.allow_classic_flow is true"),
        ("[pools.x]\nshard_count = 1", "pools.x has no 'shard_count'"),
        ("[streams.x]\nshard_count = true", "streams.x.shard_count is a whole number"),
        ("[pools.x]\nsaml_provider_arns = 'a'", "pools.x.saml_provider_arns is a list"),
        ("[pools.x.events]\nSyncTrigger = 1", "pools.x.events.SyncTrigger is a string"),
        ("[pools.x]\nevents = 'a'", "pools.x.events is a table"),
        (
            "[pools.x.cognito_streams]\nstreaming_status = 'on'",
            "streaming_status is one of ENABLED, DISABLED",
        ),
        (
            "[pools.x]\nidentity_pool_id = 'us-east-1:"
            "7c4f5e0a-0000-4000-8000-000000000001'",
            "millpond pool adopt",
        ),
        ("[streams.old]\nshard_count = 3", "has 1 shards, and keeps"),
    ],
)
def test_a_file_that_cannot_be_is_refused_whole(shared, file, reason):
    """It says where; of what stands before it nothing is made either."""
    good = "" if "pools = 1" in file else "[pools.good]\n[streams.new]\n"
    made = shared.changes()

    assert reason in shared.run("apply", "-", file=good + file, status=255)

    assert shared.changes() == made


def test_a_file_that_is_not_there(world, tmp_path):
    """It is named, and so is one that is no text."""
    assert "nowhere.toml' cannot be read" in world.run(
        "apply", "nowhere.toml", status=255
    )
    (tmp_path / "binary").write_bytes(b"\xff")
    told = world.run("apply", str(tmp_path / "binary"), status=255)
    assert "is not UTF-8" in told


def test_a_key_that_may_only_read(world):
    """It can check and dump, and is refused before anything is changed."""
    made = world.run("key", "create", "--scope", "read-only", *world.server.store_words)
    found = re.findall(r"(?:Key ?I[dD]|Key)\W+([\w/+=]{16,})", made)
    keys = {"AWS_ACCESS_KEY_ID": found[0], "AWS_SECRET_ACCESS_KEY": found[1]}

    world.run("apply", "-", "--check", file=FILE, status=2, **keys)
    told = world.run("apply", "-", file=FILE, status=255, **keys)

    assert "AccessDenied" in told or "NotAuthorized" in told
    assert world.changes() <= 1  # the refused one
    assert world.pools() == {}


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(WORDS, st.dictionaries(WORDS, VALUES, max_size=5))
def test_what_is_written_is_read_back(name, values):
    """Whatever is in names and values."""
    written = text.table(("pools", name), values)

    assert tomllib.loads(written) == {"pools": {name: values}}
