"""What operators watch: the metrics, all of them documented, and the request log."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from acceptance.raw_http import RawClient, Request
from acceptance.sync_client import Dataset, create_pool, new_identity, remove, replace
from acceptance.users import get_credentials
from millpond.testing.server import RunningServer, wait_until
from processes import proc_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
HISTOGRAM = {"_bucket": {"le"}, "_sum": set(), "_count": set()}
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: RunningServer) -> Series:
    """Read the metrics of a server: the value of each series."""
    with urlopen(f"{server.endpoint}/metrics") as response:
        text = response.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(server: RunningServer, name: str, **labels: str) -> float:
    """Read one series; what is not there is 0."""
    return scrape(server).get((name, frozenset(labels.items())), 0)


def documented() -> dict[str, set[str]]:
    """Read the page: the labels of every series, by its name."""
    found: dict[str, set[str]] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        name, kind, _, labels, _ = (e.strip() for e in line.strip("| ").split(" | "))
        suffixes = HISTOGRAM if kind == "histogram" else {"": set()}
        for suffix, more in suffixes.items():
            named = set(re.findall(r"`(\w+)`", labels))
            found[name.strip("`") + suffix] = named | more
    return found


class TestMetrics:
    """`/metrics`."""

    def test_every_series_is_documented_and_there(self, start_server):
        """A server exposes what the page lists, with the labels that it names."""
        server = start_server(settings={"hook_private_networks": "true"})
        pool, identity = create_pool(server), new_identity()
        server.client("kinesis").create_stream(StreamName="watched", ShardCount=1)
        sync = server.client("cognito-sync")
        sync.set_identity_pool_configuration(
            IdentityPoolId=pool,
            CognitoStreams={"StreamName": "watched", "StreamingStatus": "ENABLED"},
        )
        sync.set_cognito_events(
            IdentityPoolId=pool, Events={"SyncTrigger": "http://127.0.0.1:9/"}
        )
        Dataset(sync, pool, identity).put(a="1")
        sync.bulk_publish(IdentityPoolId=pool)
        user = get_credentials(server.client("cognito-identity"), pool)
        del user
        wait_until(
            lambda: value(server, "millpond_stream_records_total", source="outbox") > 0
        )
        pages = documented()

        exposed = scrape(server)

        labels: dict[str, set[str]] = {}
        for name, found in exposed:
            labels.setdefault(name, set()).update(label for label, _ in found)
        assert {name: pages.get(name) for name in labels} == labels
        unlabelled = {name for name, found in pages.items() if not found}
        if not Path("/proc/self/stat").exists():  # where nobody tells of processes
            unlabelled = {n for n in unlabelled if not n.startswith("process_")}
        assert unlabelled <= set(labels)

    def test_the_process(self, server):
        """Memory, files, CPU time, where the system tells of them."""
        proc_of(server.pid)
        by_name = {name: found for (name, _), found in scrape(server).items()}

        assert by_name["process_resident_memory_bytes"] > 1_000_000
        assert by_name["process_open_fds"] > 3
        assert by_name["process_cpu_seconds_total"] > 0

    def test_the_build(self, server, store_kind):
        """Which version runs, on which store."""
        exposed = scrape(server)
        by_name = {name: found for (name, _), found in exposed.items()}

        (labels,) = [dict(found) for name, found in exposed if "build_info" in name]
        assert set(labels) == {"version", "python", "store"}
        stores = {"embedded": "sqlite", "citus": "postgres"}
        assert labels["store"] == stores.get(store_kind, store_kind)
        assert by_name["millpond_build_info"] == 1
        assert by_name["millpond_tls_certificate_end_timestamp_seconds"] == 0
        assert by_name["millpond_data_free_bytes"] > 0
        with urlopen(f"{server.endpoint}/version") as answer:
            assert json.load(answer) == labels

    def test_what_the_store_holds(self, start_server):
        """Pools, identities, tombstones and bytes are those of the store."""
        server = start_server()
        pool = create_pool(server)
        device = server.client("cognito-identity")
        for _ in range(3):
            device.get_id(IdentityPoolId=pool)
        saves = Dataset(server.client("cognito-sync"), pool, new_identity())
        saves.put(a="1", b="2", c="3")
        counts = saves.counts()
        saves.update(*(remove(key, counts[key]) for key in "ab"))

        assert value(server, "millpond_store_up") == 1
        assert value(server, "millpond_identity_pools") == 1
        assert value(server, "millpond_store_bytes") > 10_000
        wait_until(lambda: value(server, "millpond_identities") == 3)
        wait_until(lambda: value(server, "millpond_tombstones") == 2)

    def test_a_bulk_publish_is_in_progress_until_it_ends(self, start_server):
        """One that its stream does not take stays to be seen."""
        nobody = {"gone": "nats://127.0.0.1:1/changes"}
        server = start_server(settings={"streams": json.dumps(nobody)})
        pool, sync = create_pool(server), server.client("cognito-sync")
        Dataset(sync, pool, new_identity()).put(a="1")
        stream = {"StreamName": "gone", "StreamingStatus": "ENABLED"}
        sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=stream)
        assert value(server, "millpond_bulk_publishes_in_progress") == 0
        sync.bulk_publish(IdentityPoolId=pool)
        assert value(server, "millpond_bulk_publishes_in_progress") == 1
        with contextlib.closing(server.client("cognito-identity")) as pools:
            pools.delete_identity_pool(IdentityPoolId=pool)
        assert value(server, "millpond_bulk_publishes_in_progress") == 0


class TestRequestLog:
    """The setting `log_requests`."""

    @pytest.fixture
    def logged(self, start_server) -> Any:
        """Start a server that logs requests; give it and a way to read its lines."""

        def start(**settings: str) -> Any:
            server = start_server(settings={"log_requests": "true", **settings})

            def lines(operation: str) -> list[dict[str, Any]]:
                found = [
                    json.loads(line)
                    for line in list(server.log)
                    if '"request.answered"' in line
                ]
                return [each for each in found if each["operation"] == operation]

            return server, lines

        return start

    def test_a_line_says_who_asked_for_what(self, logged):
        """Pool, operation, key or identity, client address, method and path."""
        server, lines = logged()
        pool, identity = create_pool(server), new_identity()
        sync = server.client("cognito-sync")
        Dataset(sync, pool, identity).update(replace("key", "hidden-value"))
        (line,) = wait_until(lambda: lines("UpdateRecords"))

        assert line["identity_pool_id"] == pool
        assert line["access_key_id"] == server.access_key_id
        assert line["identity_id"] == identity
        assert line["client_address"] == "127.0.0.1"
        assert line["method"] == "POST"
        assert line["path"].endswith("/datasets/prefs")
        assert identity.partition(":")[2] in line["path"]
        assert (line["status"], line["level"]) == (200, "info")
        assert line["duration_ms"] > 0
        assert "hidden-value" not in json.dumps(line)

    def test_of_a_user(self, logged):
        """A user is named by identity and pool, which the credentials say."""
        server, lines = logged()
        pool = create_pool(server)
        user = get_credentials(server.client("cognito-identity"), pool)
        keys = {
            "aws_access_key_id": user.access_key_id,
            "aws_secret_access_key": user.secret_key,
            "aws_session_token": user.session_token,
        }
        Dataset(server.client("cognito-sync", **keys), pool, user.identity_id).list()
        (line,) = wait_until(lambda: lines("ListRecords"))
        (unsigned,) = wait_until(lambda: lines("GetId"))

        assert line["identity_id"] == user.identity_id
        assert line["identity_pool_id"] == unsigned["identity_pool_id"] == pool
        assert "access_key_id" not in unsigned
        assert user.session_token not in json.dumps(line)

    def test_what_was_refused_and_what_leads_nowhere(self, logged):
        """Such requests have lines too; of a query they have nothing."""
        server, lines = logged()
        raw = RawClient(server)
        raw.send(Request(target=b"/no/such?secret=hidden&X-Amz-Signature=abc"))
        (line,) = wait_until(lambda: lines("Unknown"))

        assert (line["status"], line["path"]) == (404, "/no/such")
        assert "hidden" not in "".join(server.log)

        raw.send(Request(target=b"/" + b"a%1B" * 2000))
        long = wait_until(lambda: [e for e in lines("Unknown") if "%1B" in e["path"]])
        assert len(long[0]["path"]) <= 1024

    def test_a_sample(self, logged):
        """With `log_requests_every` about one request in so many has a line."""
        server, lines = logged(log_requests_every="4")
        sync = server.client("cognito-sync")
        for _ in range(200):
            sync.list_identity_pool_usage()
        server.stop()

        # 50 are expected; beyond these bounds once in some billions of runs.
        assert 15 < len(lines("ListIdentityPoolUsage")) < 95

    def test_off(self, start_server):
        """Without the setting there are no lines."""
        server = start_server(settings={"log_requests_every": "1"})
        server.client("cognito-sync").list_identity_pool_usage()
        server.stop()

        assert "request.answered" not in "".join(server.log)


def test_nan_is_what_is_not_counted_yet():
    """A figure that is not known is not 0."""
    from millpond.metrics import Metrics

    metrics = Metrics()

    assert math.isnan(metrics.registry.get_sample_value("millpond_identities") or 0)
