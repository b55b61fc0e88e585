"""
Instructions per request, counted by valgrind: the same on a busy machine as when quiet.

    python bench/instructions.py [--against CHECKOUT] [--only SCENARIO ...]
                                 [--traced SAMPLER]

The server is put together as `millpond serve` puts it together, but for the socket: its
gateway is called with requests that were signed before. Counting is switched on when
it is warm. `--against` does the same with the sources of an older build, in the same
environment, and gives the ratio. `--traced` has traces made (`always_on`), or decided
against (`always_off`); nothing takes them, so that what is counted is the server's.

valgrind offers no instructions for SHA, so hashing counts for more than it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from millpond.testing.postgres import PostgresMissingError, TestPostgres

SOURCES: Final = Path(__file__).resolve().parents[1] / "src"
REPEATED: Final = 200  # identities whose requests come again and again
TOGETHER: Final = 32  # updates under way at a time
_Request = tuple[str, bytes, bytes, list[tuple[bytes, bytes]], bytes]
_COUNTED: Final = re.compile(r"Collected : (\d+)")


class Scenario(NamedTuple):
    """What is asked, how often, and how many of them warm it up, uncounted."""

    name: str
    requests: int
    first: int
    most: float | None  # the budget, as a share of the older build


class _Place(NamedTuple):
    """Where the data are: a folder, and beside it a database if there is a URL."""

    folder: Path
    store: str


SCENARIOS: Final = (
    Scenario("list-records", 300, 200, 0.50),
    Scenario("list-records-cold", 200, 100, 0.65),
    Scenario("list-records-by-users", 300, 200, 0.50),
    Scenario("list-records-cold-by-users", 200, 100, 0.65),
    Scenario("list-20-records", 300, 200, None),
    Scenario("list-records-over-postgres", 300, 200, 0.70),
    Scenario("get-bulk-publish-details", 300, 200, 0.55),
    Scenario("get-credentials-of-users", 250, 200, 0.70),
    Scenario("update-1-record", 400, 200, 0.70),
    Scenario("update-20-records", 300, 200, 0.55),
)


def main() -> int:
    """Count, or be the process that is counted."""
    options = _parse()
    if options.counted:
        place = _Place(Path(options.folder), options.store)
        _be_counted(place, options.scenario, options.requests)
        return 0
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is missing (apt-get install valgrind)")
        return 1
    for scenario in SCENARIOS:
        if options.only and scenario.name not in options.only:
            continue
        try:
            line = _compare(scenario, options.against, options.traced)
        except PostgresMissingError as error:
            line = f"{scenario.name:28} not counted: {error}"
        print(line, flush=True)
    return 0


def _compare(scenario: Scenario, against: str | None, traced: str) -> str:
    """Count a scenario, here and in an older build; say how it went."""
    mine = _count_in_new(scenario, SOURCES, traced)
    line = f"{scenario.name:28} {mine:>9,.0f} instructions"
    if against is not None:
        theirs = _count_in_new(scenario, Path(against) / "src")
        line += f"  {theirs:>9,.0f} before  ratio {mine / theirs:.2f}"
        if scenario.most is not None:
            met = "met" if mine / theirs <= scenario.most else "MISSED"
            line += f"  at most {scenario.most:.2f}: {met}"
    return line


def _count_in_new(scenario: Scenario, sources: Path, traced: str = "") -> float:
    """Count in a store of its own; over PostgreSQL its own process counts nothing."""
    with contextlib.ExitStack() as open_until:
        store = ""
        if "postgres" in scenario.name:
            postgres = open_until.enter_context(TestPostgres.start())
            store = postgres.create_database()
        folder = open_until.enter_context(tempfile.TemporaryDirectory())
        place = _Place(Path(folder) / "store", store)
        return _count(scenario, sources, place, traced)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--against", metavar="CHECKOUT", help="of an older build")
    parser.add_argument(
        "--only", nargs="+", choices=[each.name for each in SCENARIOS], help="these"
    )
    parser.add_argument("--traced", default="", metavar="SAMPLER", help="with traces")
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--store", default="", help=argparse.SUPPRESS)
    parser.add_argument("--scenario", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _count(scenario: Scenario, sources: Path, place: _Place, traced: str) -> float:
    """Count the instructions of one request."""
    words = (sys.executable, __file__, "--counted", "--scenario", scenario.name)
    environment = {**os.environ, "PYTHONPATH": str(sources), "PYTHONHASHSEED": "0"}
    if traced:
        environment |= {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": traced,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",  # nobody is there
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000",
            "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
        }
    asked = ("--folder", str(place.folder), "--requests", str(scenario.requests))
    words += (*asked, "--store", place.store)
    subprocess.run(words, env=environment, check=True)
    tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no")
    with subprocess.Popen(
        [*tool, "--callgrind-out-file=/dev/null", *words],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _switch(process, "on")
        _switch(process, "off")
        _, said = process.communicate("\n")
    found = _COUNTED.search(said)
    if process.returncode or found is None:
        raise RuntimeError(f"{scenario.name}: {said}")
    return int(found.group(1)) / (scenario.requests - scenario.first)


def _switch(process: subprocess.Popen[str], to: str) -> None:
    """Switch counting on or off when the process is ready, and let it go on."""
    assert process.stdin is not None
    assert process.stdout is not None
    if process.stdout.readline() != f"{to}\n":
        raise RuntimeError(f"it ended early: {process.communicate()[1]}")
    control = ("callgrind_control", "-i", to, str(process.pid))
    subprocess.run(control, check=True, stdout=subprocess.DEVNULL)
    process.stdin.write("\n")
    process.stdin.flush()


# --- In the process that is counted ---------------------------------------------------


def _be_counted(place: _Place, scenario: str, count: int) -> None:
    """Seed a store and sign requests where there is none yet, or answer them."""
    import seed

    is_new = not place.folder.exists()
    identities = count if "cold" in scenario else REPEATED
    if is_new and place.store:
        from millpond.stores.postgres import PostgresStore

        place.folder.mkdir()
        data = seed.SyncData(seed.identity_ids(identities))
        seed.seed_store(PostgresStore(place.store), data)
    elif is_new:
        seed.seed_sync(place.folder, identities)
    asyncio.run(_serve(place, scenario, count, is_new=is_new))


async def _serve(place: _Place, scenario: str, count: int, *, is_new: bool) -> None:
    from millpond.server import app
    from millpond.settings import Settings

    prepared = place.folder / "requests"
    first = next(each.first for each in SCENARIOS if each.name == scenario)
    told: list[Any] = []  # what `serve` tells: the first key

    async def listen(gateway: Any, _: Any, *rest: Any) -> None:
        if is_new:
            rest[1]()
            requests = await _sign(gateway, scenario, count, told[0].first_key)
            prepared.write_bytes(pickle.dumps(requests))
        else:
            requests = pickle.loads(prepared.read_bytes())[:count]
            together = TOGETHER if "update" in scenario else 1
            await _answer(gateway, requests[:first], together)
            _switch_over("on")
            await _answer(gateway, requests[first:], together)
            _switch_over("off")

    # The one place where the gateway meets a socket, in older builds, too.
    setattr(app, "listen" if hasattr(app, "listen") else "_listen", listen)
    settings = Settings(
        data=place.folder,
        store=place.store,
        port=0,
        signature_window_s=86_400,
        sync_session_lifetime_s=86_400,
        bulk_publish_workers=1,
    )
    if os.environ.get("OTEL_TRACES_SAMPLER"):
        from millpond import tracing

        traces = tracing.load(os.environ)
        assert traces is not None
        traces.start()
        await app.serve(settings, told.append, tracing=traces)
    else:
        await app.serve(settings, told.append)


def _switch_over(to: str) -> None:
    print(to, flush=True)
    sys.stdin.readline()


async def _answer(gateway: Any, requests: list[Any], together: int) -> None:
    for begin in range(0, len(requests), together):
        batch = requests[begin : begin + together]
        if len(batch) == 1:
            await _call(gateway, batch[0])
        else:
            await asyncio.gather(*(_call(gateway, each) for each in batch))


async def _call(gateway: Any, request: _Request) -> bytes:
    method, path, query, headers, body = request
    if body:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    if sent[0]["status"] != 200:
        raise RuntimeError(f"{method} {path!r}: {sent}")
    answer: bytes = sent[1]["body"]
    return answer


class _Signer:
    """Signs requests of Cognito Sync and Cognito Identity as clients do."""

    def __init__(self, key: Any, gateway: Any, *, by_users: bool) -> None:
        self._key = key
        self._gateway = gateway
        self._by_users = by_users
        self._issued: dict[str, Any] = {}

    def request(
        self,
        identity_id: str,
        method: str,
        path: str,
        query: str = "",
        body: Any = None,
    ) -> _Request:
        """Sign one, by the identity that it is about or by the developer."""
        content = b"" if body is None else json.dumps(body).encode()
        return self._sign(
            "cognito-sync",
            [(b"content-type", b"application/json")] if method == "POST" else [],
            (method, path, query, content),
            identity_id if self._by_users else None,
        )

    def target(self, target: str, body: Any, *, signed: bool = True) -> _Request:
        """Make one of the protocol JSON 1.1."""
        headers = [
            (b"content-type", b"application/x-amz-json-1.1"),
            (b"x-amz-target", target.encode()),
        ]
        call = ("POST", "/", "", json.dumps(body).encode())
        if signed:
            return self._sign("cognito-identity", headers, call, None)
        return ("POST", b"/", b"", [(b"host", b"localhost:8014"), *headers], call[3])

    def _sign(
        self,
        service: str,
        headers: list[tuple[bytes, bytes]],
        call: tuple[str, str, str, bytes],
        identity_id: str | None,
    ) -> _Request:
        try:
            from millpond.wire.sigv4.signer import Outgoing, sign
        except ImportError:  # an older build, which `--against` may name
            from millpond.wire.sigv4 import SignedRequest as Outgoing
            from millpond.wire.sigv4 import sign

        method, path, query, body = call
        headers = [(b"host", b"localhost:8014"), *headers]
        secret, token = self._key.secret_access_key, None
        access_key_id = self._key.access_key_id
        if identity_id is not None:
            issued = self._credentials(identity_id)
            access_key_id, secret, token = issued
        signed = Outgoing(method, path.encode(), query.encode(), headers, body)
        headers += sign(
            signed,
            access_key_id=access_key_id,
            secret=secret,
            region="us-east-1",
            service=service,
            now_s=time.time(),
            session_token=token,
        )
        headers += [(b"user-agent", b"bench/1"), (b"accept-encoding", b"identity")]
        return (method, path.encode(), query.encode(), headers, body)

    def _credentials(self, identity_id: str) -> Any:
        """Give the credentials of an identity, which it keeps for an hour."""
        if identity_id not in self._issued:
            self._issued[identity_id] = self._issue(identity_id)
        return self._issued[identity_id]

    def _issue(self, identity_id: str) -> Any:
        import seed
        from millpond.core.session_tokens import UserSession

        expires_ms = (int(time.time()) + 86_400) * 1000
        role = "arn:aws:iam::000000000000:role/authenticated"
        session = UserSession(seed.POOL, identity_id, expires_ms, role, "bench")
        return self._gateway._context.session_tokens.issue(session)


async def _sign(gateway: Any, scenario: str, count: int, key: Any) -> list[_Request]:
    """Sign the requests of a scenario, in the order in which they are sent."""
    import seed

    signer = _Signer(key, gateway, by_users="by-users" in scenario)
    ids = seed.identity_ids(count if "cold" in scenario else REPEATED)
    turns = [ids[n % len(ids)] for n in range(count)]
    pool = f"/identitypools/{quote(seed.POOL, safe='')}"
    if scenario == "get-bulk-publish-details":
        return [
            signer.request(each, "POST", f"{pool}/getBulkPublishDetails")
            for each in turns
        ]
    if scenario == "get-credentials-of-users":
        return await _sign_credentials(gateway, signer, count)
    paths = [
        f"{pool}/identities/{quote(each, safe='')}/datasets/{{}}" for each in turns
    ]
    if scenario.startswith("update"):
        records = 20 if "20" in scenario else 1
        return [
            await _sign_update(gateway, signer, turns[n], paths[n], n, records)
            for n in range(count)
        ]
    after = 0 if "20" in scenario else 1
    return [
        signer.request(
            turns[n], "GET", paths[n].format("listed/records"), f"lastSyncCount={after}"
        )
        for n in range(count)
    ]


async def _sign_update(
    gateway: Any, signer: _Signer, identity_id: str, path: str, n: int, records: int
) -> _Request:
    """Sign the next update of an identity: the count of its records is known."""
    import seed

    path = path.format(f"updated-{records}")
    listed = signer.request(identity_id, "GET", f"{path}/records", "lastSyncCount=2")
    token = json.loads(await _call(gateway, listed))["SyncSessionToken"]
    turn = n // REPEATED
    patches = [
        {
            "Op": "replace",
            "Key": seed.record_key(number),
            "Value": seed.record_value(n),
            "SyncCount": 2 + turn if turn or not number else 1,
        }
        for number in range(records)
    ]
    body = {"SyncSessionToken": token, "RecordPatches": patches}
    return signer.request(identity_id, "POST", path, body=body)


async def _sign_credentials(
    gateway: Any, signer: _Signer, count: int
) -> list[_Request]:
    """Ask for the credentials of users who come with a token of their developer."""
    import seed

    api = "AWSCognitoIdentityService"
    roles = {"authenticated": "arn:aws:iam::000000000000:role/authenticated"}
    body = {"IdentityPoolId": seed.POOL, "Roles": roles}
    await _call(gateway, signer.target(f"{api}.SetIdentityPoolRoles", body))
    asked = []
    for n in range(REPEATED):
        body = {"IdentityPoolId": seed.POOL, "Logins": {seed.PROVIDER: f"user-{n}"}}
        target = f"{api}.GetOpenIdTokenForDeveloperIdentity"
        user = json.loads(await _call(gateway, signer.target(target, body)))
        body = {
            "IdentityId": user["IdentityId"],
            "Logins": {"cognito-identity.amazonaws.com": user["Token"]},
        }
        target = f"{api}.GetCredentialsForIdentity"
        asked.append(signer.target(target, body, signed=False))
    return [asked[n % REPEATED] for n in range(count)]


if __name__ == "__main__":
    sys.exit(main())
