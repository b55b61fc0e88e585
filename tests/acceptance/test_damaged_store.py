"""A store with a damaged row: who needs it is told so, and all others are served."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from urllib.request import urlopen

import apsw
import asyncpg
import pytest

from acceptance.live_reader import metric
from acceptance.raw_http import RawClient
from acceptance.sync_client import Dataset, create_pool, new_identity
from millpond.stores.sqlite import FILE_NAME

IDENTITY_API = ("cognito-identity", "AWSCognitoIdentityService")


def spoil(server, pool: str) -> None:
    """Make what describes a pool unreadable, behind the back of its server."""
    if not server.store_url:
        with apsw.Connection(str(server.data / FILE_NAME)) as connection:
            connection.set_busy_timeout(5000)
            connection.execute(
                "UPDATE identity_pools SET description = x'7b' "
                "WHERE identity_pool_id = ?",
                (pool,),
            ).fetchall()
        return

    async def run() -> None:
        connection = await asyncpg.connect(server.store_url)
        await connection.execute(
            r"UPDATE identity_pools SET description = '\x7b' "
            "WHERE identity_pool_id = $1",
            pool,
        )
        await connection.close()

    asyncio.run(run())


def verify(server) -> tuple[int, dict]:
    """Run `millpond store verify` beside a server."""
    words = [*("store", "verify", "--output", "json"), *server.store_words]
    done = subprocess.run(
        [sys.executable, "-m", "millpond", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def page(server, path: str) -> str:
    """Get a page of a server; anything but a 200 fails."""
    with urlopen(f"{server.endpoint}{path}") as response:
        return response.read().decode()


@pytest.fixture
def server(start_server):
    """A server of one's own."""
    return start_server()


def test_a_row_that_cannot_be_read(server):
    """It is told, counted and found; the server goes on being ready for all others."""
    raw = RawClient(server)
    pool, broken = create_pool(server), create_pool(server)
    client = server.client("cognito-sync")
    dataset = Dataset(client, pool, new_identity(), "prefs")
    dataset.put(a="1")
    assert verify(server)[0] == 0
    assert page(server, "/readyz") == "ok\n"
    spoil(server, broken)

    answer = raw.call_json(
        IDENTITY_API, "DescribeIdentityPool", {"IdentityPoolId": broken}
    )

    assert (answer.status, answer.error) == (500, "InternalErrorException")
    assert "damaged" in answer.message
    assert dataset.put(b="2")["Records"]
    client.close()
    assert "1 request met rows that cannot be read" in page(server, "/readyz")
    assert metric(page(server, "/metrics"), "millpond_damaged_reads_total") == 1
    examined = raw.call("POST", "/examination", {})
    assert examined.json["Findings"][0]["Name"] == "database"
    assert examined.json["Findings"][0]["Status"] == "WARN"
    status, report = verify(server)
    assert status == 1
    assert report["FaultCounts"] == {"unreadable_row": 1}
    (fault,) = report["Faults"]
    assert (fault["Table"], fault["Row"]) == ("identity_pools", broken)
    assert "millpond" in fault["Mend"]
    assert metric(page(server, "/metrics"), "millpond_store_faults") == 1
