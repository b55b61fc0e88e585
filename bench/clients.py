"""
Our client for JavaScript beside `amazon-cognito-js`, in one Node.js process.

Both synchronize a dataset of 1,000 records of the same user with the same server, in
turn: a device that has nothing yet, and one that changed a single record. Then what is
on the heap of either, with what it loads and one such dataset. `clients.mjs` does it;
which of the two comes first alternates, because what both need counts for the first.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any, Final

from load import LoadError
from machine import Cores
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, median_ratio
from scenarios import HIGH_RATES

ROOT: Final = Path(__file__).parents[1]
SCRIPT: Final = Path(__file__).with_name("clients.mjs")
SYNC: Final = ROOT / "clients/js/sync/src/index.js"
OLD_CLIENTS: Final = ROOT / "tests/clients"  # its package-lock.json names them
RECORDS: Final = 1000
VALUE: Final = "some words that an app keeps, " * 3
MOST: Final = 0.5
WHO: Final = ("ours", "theirs")


def measure(results: Results, folder: Path, cores: Cores, *, rounds: int) -> None:
    """Let both clients do the same, in two processes of so many rounds each."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        results.notes.append(f"no clients for JavaScript: there is no {missing[0]}")
        return
    _install()
    with RunningServer(
        folder / "clients", settings=HIGH_RATES, command_prefix=cores.pin_server()
    ) as server:
        runs = [
            _run(server, cores, rounds=rounds, first=first)
            for first in ("ours", "theirs")
        ]
    for name, what in (
        ("first", f"a first sync of {RECORDS:,} records"),
        ("changed", f"a sync of 1 changed record of {RECORDS:,}"),
    ):
        ours, theirs = (_all(runs, who, name, 0) for who in WHO)
        results.figures += [
            Figure(f"@millpond/sync, {what}", statistics.median(ours), "ms"),
            Figure(f"amazon-cognito-js, {what}", statistics.median(theirs), "ms"),
        ]
        results.comparisons.append(
            Comparison(
                f"{what}, wall time / amazon-cognito-js",
                median_ratio(ours, theirs),
                most=MOST,
            )
        )
        worked = (statistics.fmean(_all(runs, who, name, 1)) for who in WHO)
        results.comparisons.append(
            Comparison(
                f"{what}, processor time / amazon-cognito-js",
                next(worked) / next(worked),
            )
        )
    for name, what in (
        ("heap", f"heap with the library and {RECORDS:,} records"),
        ("more", f"heap with {RECORDS:,} records more"),
    ):
        ours, theirs = ([run[who][name] for run in runs] for who in WHO)
        results.comparisons.append(
            Comparison(
                f"{what} / amazon-cognito-js", median_ratio(ours, theirs), most=MOST
            )
        )


def _all(runs: list[Any], who: str, name: str, kind: int) -> list[float]:
    """Give the times of all rounds: 0 for the wall's, 1 for the processor's."""
    return [times[kind] for run in runs for times in run[who][name]]


def _install() -> None:
    if (OLD_CLIENTS / "node_modules/.package-lock.json").exists():
        return
    done = subprocess.run(
        ["npm", "ci"], cwd=OLD_CLIENTS, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LoadError(f"npm ci failed:\n{done.stderr}")


def _run(server: RunningServer, cores: Cores, *, rounds: int, first: str) -> Any:
    identities = server.client("cognito-identity")
    pool = identities.create_identity_pool(
        IdentityPoolName="clients", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    identity = identities.get_id(IdentityPoolId=pool)["IdentityId"]
    given = identities.get_credentials_for_identity(IdentityId=identity)["Credentials"]
    for dataset in WHO:
        _seed(server, pool, identity, dataset)
    asked = {
        "endpoint": server.endpoint,
        "pool": pool,
        "region": server.region,
        "user": {
            "identityId": identity,
            "accessKeyId": given["AccessKeyId"],
            "secretAccessKey": given["SecretKey"],
            "sessionToken": given["SessionToken"],
        },
        "records": RECORDS,
        "rounds": rounds,
        "sync": SYNC.as_uri(),
        "packages": str(OLD_CLIENTS / "package.json"),
        "first": first,
    }
    done = subprocess.run(
        [*cores.pin_load(), "node", "--expose-gc", str(SCRIPT), json.dumps(asked)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LoadError(f"{SCRIPT.name} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _seed(server: RunningServer, pool: str, identity: str, dataset: str) -> None:
    sync = server.client("cognito-sync")
    place = {
        "IdentityPoolId": pool,
        "IdentityId": identity,
        "DatasetName": dataset,
    }
    token = sync.list_records(**place)["SyncSessionToken"]
    patches = [
        {"Op": "replace", "Key": f"key-{number}", "Value": VALUE, "SyncCount": 0}
        for number in range(RECORDS)
    ]
    sync.update_records(**place, SyncSessionToken=token, RecordPatches=patches)
