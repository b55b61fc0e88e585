"""The console's pages of streams, bulk publishes and the outbox, without a browser."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from console.mill import IDENTITY, Mill, an_event
from console.visitor import Visitor
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until

HOSTILE = "<script>alert(1)</script>\"'>\u202e{{7*7}}javascript:"


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """A server whose streams fare well and badly."""
    with Mill(tmp_path_factory.mktemp("mill") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def visitor(mill: Mill) -> Visitor:
    """Somebody who may do everything."""
    visitor = Visitor(mill.server.endpoint)
    visitor.log_in(mill.server)
    return visitor


# --- Streams ---


def test_a_stream_shows_its_newest_records_as_text(mill, visitor):
    """Pools, lag, depth and the newest records, decoded; strangers' values as text."""
    pool = mill.pool("Newest", "newest")
    mill.put(pool, "prefs", {"color": HOSTILE, "long": "x" * 3000})
    mill.wait_for_stream("newest", 1)
    data = visitor.json("/console/streams/newest")
    page = visitor.get("/console/streams/newest").text
    listed = visitor.json("/console/streams")["streams"]

    (row,) = [each for each in listed if each["stream_name"] == "newest"]
    assert (row["kind"], row["shard_count"]) == ("embedded", 1)
    (user,) = row["pools"]
    assert (user["identity_pool_id"], user["streaming_status"]) == (pool, "ENABLED")
    assert (user["waiting"], user["lag_seconds"]) == (
        {"number": 0, "more": False},
        None,
    )
    (record,) = data["records"]["items"]
    event = record["event"]
    assert (event["identity_id"], event["dataset_name"]) == (
        IDENTITY.format(1),
        "prefs",
    )
    assert {e["key"]: (e["op"], e["value_chars"]) for e in event["records"]} == {
        "color": ("replace", len(HOSTILE)),
        "long": ("replace", 3000),
    }
    assert event["records"][0]["value"] == HOSTILE
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "2,500 characters more" in page


def test_a_stream_of_shards_is_read_back_shard_by_shard(mill, visitor):
    """First some of each shard; then one of them page by page to its first record."""
    mill.create_stream("sharded", shards=2)
    pool = mill.pool("Sharded", "sharded")
    keys = "0" * 31 + "1", "f" * 32  # hash keys of the first and of the last shard
    for number in range(50):
        mill.kinesis.put_record(
            StreamName="sharded",
            Data=an_event(pool, f"d{number}", "k", None),
            PartitionKey="someone",
            ExplicitHashKey=str(int(keys[number % 2], 16)),
        )
    first = visitor.json("/console/streams/sharded")["records"]
    assert first["shard"] is None
    assert {each["shard"] for each in first["items"]} == {0, 1}
    assert first["items"][0]["event"]["dataset_name"] == "d49"
    path, seen = "/console/streams/sharded?shard=1", []
    while path:
        answer = visitor.get(path + "&format=json").data["records"]
        seen += [each["event"]["dataset_name"] for each in answer["items"]]
        assert len(answer["items"]) <= 20
        following = answer["next"]
        path = following and f"/console/streams/sharded?shard=1&before={following}"
    assert seen == [f"d{number}" for number in range(49, 0, -2)]
    for wrong in ("shard=2", "shard=-1", "shard=x", "shard=0&before=9" + "9" * 19):
        assert visitor.get(f"/console/streams/sharded?{wrong}").status == 400


def test_a_stream_elsewhere_says_what_shows_it(mill, visitor):
    """Its place without secrets, and commands that name it; how far it is behind."""
    pool = mill.pool("Away", "away")
    mill.put(pool, "prefs", {"k": "v"})
    data = visitor.json("/console/streams/away")
    page = visitor.get("/console/streams/away").text

    assert (data["place"], data["shard_count"]) == ("nats://127.0.0.1:1/away", None)
    assert data["records"] is None
    assert data["waiting"] == {"number": 1, "more": False}
    assert data["lag_seconds"] >= 0
    assert "millpond stream tail --from-start away" in page
    assert "nats --server 127.0.0.1:1 stream view away" in page
    assert "secret" not in page + json.dumps(data)


def test_a_stream_that_was_switched_off_is_enabled_again(mill, visitor):
    """The page says why the server did it; enabled again, what waited arrives."""
    pool = mill.pool("Gone", "gone")
    mill.kinesis.delete_stream(StreamName="gone")
    mill.put(pool, "prefs", {"k": "v"})
    (user,) = wait_until(
        lambda: [
            each
            for each in visitor.json("/console/streams/gone")["pools"]
            if each["streaming_status"] == "DISABLED"
        ]
    )
    assert "gone" in user["disabled_reason"]
    assert user["disabled_date_ms"]
    assert visitor.json("/console/streams/gone")["shard_count"] == 0

    mill.create_stream("gone")
    answer = visitor.post(f"/console/pools/{pool}/stream/enable", {})
    assert (answer.status, answer.location) == (303, "/console/streams/gone")
    assert "go to the stream again" in visitor.get(answer.location).text
    (event,) = mill.wait_for_stream("gone", 1)
    assert event["dataSetName"] == "prefs"
    (user,) = visitor.json("/console/streams/gone")["pools"]
    assert (user["streaming_status"], user["disabled_reason"]) == ("ENABLED", None)


@pytest.mark.parametrize("name", ["nothing", "a/b", "..", "a.json", HOSTILE])
def test_a_stream_that_is_nowhere_is_not_found(visitor, name):
    """Whatever its name is: a page that says so."""
    answer = visitor.get(f"/console/streams/{quote(name, safe='')}")
    assert answer.status == 404


def test_a_pool_without_a_stream_cannot_be_switched_on(mill, visitor):
    """Refused in words; an unknown pool is not found."""
    pool = mill.pool("Dry")
    assert visitor.post(f"/console/pools/{pool}/stream/enable", {}).status == 400
    unknown = "us-east-1:00000000-0000-4000-8000-000000000000"
    assert visitor.post(f"/console/pools/{unknown}/stream/enable", {}).status == 404


# --- Bulk publish ---


def wait_for_end(visitor: Visitor, pool: str) -> dict:
    """Wait until the run of a pool is over; give its progress."""

    def ended():
        progress = visitor.json(f"/console/pools/{pool}/publish")["progress"]
        return progress if progress["bulk_publish_status"] != "IN_PROGRESS" else None

    return wait_until(ended)


def test_a_bulk_publish_is_started_and_followed_to_its_end(mill, visitor):
    """It says what the API says, before, after, and when the next one may start."""
    pool = mill.pool("Published", "published")
    for number in range(3):
        mill.put(pool, f"d{number}", {"k": "v"})
    path = f"/console/pools/{pool}/publish"
    before = visitor.json(path)
    assert before["progress"]["bulk_publish_status"] == "NOT_STARTED"
    assert (before["refusal"], before["earlier"]) == (None, [])

    answer = visitor.post(path, {})
    assert (answer.status, answer.location) == (303, path)
    assert "The bulk publish has started." in visitor.get(path).text
    progress = wait_for_end(visitor, pool)
    details = mill.sync.get_bulk_publish_details(IdentityPoolId=pool)
    assert (
        progress["bulk_publish_status"] == details["BulkPublishStatus"] == "SUCCEEDED"
    )
    for name in ("Start", "Complete"):
        date_ms = round(details[f"BulkPublish{name}Time"].timestamp() * 1000)
        assert progress[f"bulk_publish_{name.lower()}_time_ms"] == date_ms
    assert (progress["datasets_delivered"], progress["dataset_count"]) == (3, 3)
    assert progress["slice_counts"] == {"WAITING": 0, "LEASED": 0, "DONE": 4} | {
        "STOPPED": 0
    }
    page = visitor.get(path).text
    refused = visitor.post(path, {})
    assert refused.status == 400
    for shown in (page, refused.text):
        assert "was published in the last 24 hours" in shown
        assert "the next bulk publish can start in 2" in shown
    assert "Start a bulk publish" not in page


def test_a_run_that_fails_is_watched_and_remembered(mill, visitor):
    """Viewers are told until its end; then the reason stands among the earlier runs."""
    pool = mill.pool("Failing", "away")
    mill.put(pool, "prefs", {"k": "v"})
    path = f"/console/pools/{pool}/publish"
    visitor.post(path, {})
    page = visitor.get(path)
    assert f'data-live="{path}/live"' in page.text
    assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+">', page.text)
    assert "IN_PROGRESS" in page.text
    refused = visitor.post(path, {})
    assert (refused.status, "already in progress" in refused.text) == (400, True)

    events = [*watch(visitor, f"{path}/live")]
    assert {name for name, _ in events[:-1]} == {"part"}
    assert "IN_PROGRESS" in events[0][1]
    name, last = events[-1]
    details = mill.sync.get_bulk_publish_details(IdentityPoolId=pool)
    assert (name, details["BulkPublishStatus"]) == ("end", "FAILED")
    assert "FAILED" in last
    assert "Stream &#39;away&#39;, slice" in last
    assert "secret" not in last
    visitor.post(path, {})  # after a failure, at once
    (earlier,) = visitor.json(path)["earlier"]
    assert earlier["bulk_publish_status"] == "FAILED"
    assert earlier["failure_message"] == details["FailureMessage"]
    assert (earlier["stream_name"], earlier["datasets_delivered"]) == ("away", 0)
    wait_for_end(visitor, pool)


def watch(visitor: Visitor, path: str) -> Iterator[tuple[str, str]]:
    """Give the events of a live part, until its end."""
    url = urlsplit(visitor.endpoint)
    assert url.hostname
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=seconds(30))
    cookie = "; ".join(f"{k}={v}" for k, v in visitor.cookies.items())
    headers = {"cookie": cookie, "sec-fetch-site": "same-origin"}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        name, lines = "", []
        for line in answer:
            match line.decode().rstrip("\n").partition(": "):
                case ("event", _, name):
                    pass
                case ("data", _, text):
                    lines.append(text)
                case ("", _, _) if name:
                    yield name, "\n".join(lines)
                    if name in ("end", "gone"):
                        return
                    name, lines = "", []
    finally:
        connection.close()


def test_a_pool_that_cannot_be_published_says_so(mill, visitor):
    """What BulkPublish would say stands there in place of the button."""
    pool = mill.pool("No stream")
    data = visitor.json(f"/console/pools/{pool}/publish")

    assert data["refusal"] == f"Identity pool '{pool}' has no stream configured."
    assert visitor.post(f"/console/pools/{pool}/publish", {}).status == 400
    nowhere = "/console/pools/us-east-1:00000000-0000-4000-8000-000000000000/publish"
    assert visitor.get(nowhere).status == 404
    assert visitor.post(nowhere, {}).status == 404


# --- Outbox ---


def test_a_parked_change_is_tried_again(mill, visitor):
    """The reason and what is in it are shown as text; tried again, it arrives."""
    pool = mill.pool("Parked", "parked")
    event = an_event(pool, "prefs", HOSTILE, HOSTILE)
    (outbox_id,) = mill.park(pool, f"Too large. {HOSTILE}", event)
    path = f"/console/pools/{pool}/outbox"
    (row,) = visitor.json(path)["parked_entries"]
    assert row["outbox_id"] == outbox_id
    assert (row["dataset_name"], row["data_bytes"]) == ("prefs", len(event))
    assert row["reason"] == f"Too large. {HOSTILE}"
    whole = visitor.json(f"{path}/parked/{outbox_id}")
    (record,) = whole["event"]["records"]
    assert (record["key"], record["value"]) == (HOSTILE, HOSTILE)
    for shown in (path, f"{path}/parked/{outbox_id}", "/console/outbox"):
        page = visitor.get(shown)
        assert (page.status, "<script>alert" in page.text) == (200, False)
    listed = visitor.json("/console/outbox")["pools"]
    assert [pool] == [e["identity_pool_id"] for e in listed if e["parked"]["number"]]

    answer = visitor.post(f"{path}/retry", {"entry": str(outbox_id)})
    assert (answer.status, answer.location) == (303, path)
    assert "1 change waits again" in visitor.get(path).text
    (arrived,) = mill.wait_for_stream("parked", 1)
    assert arrived["kinesisSyncRecords"][0]["value"] == HOSTILE
    assert visitor.json(path)["parked_entries"] == []
    again = visitor.post(f"{path}/retry", {"entry": str(outbox_id)})
    assert (again.status, f"{outbox_id} is not parked." in again.text) == (404, True)


def test_parked_changes_are_downloaded_as_lines(mill, visitor):
    """All of them, a line of JSON each, as a file that no browser shows."""
    pool = mill.pool("Kept", "kept")
    mill.park(pool, "no", *(an_event(pool, f"d{n}", "k", "v") for n in range(30)))
    answer = visitor.get(f"/console/pools/{pool}/outbox/download")

    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [f"d{n}" for n in range(30)] == [e["Event"]["dataSetName"] for e in lines]
    assert {each["Reason"] for each in lines} == {"no"}
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    one = visitor.get(
        f"/console/pools/{pool}/outbox/parked/{lines[0]['OutboxId']}/download"
    )
    assert one.body == an_event(pool, "d0", "k", "v")
    assert one.headers["content-disposition"].startswith("attachment; filename=")


def test_parked_changes_are_given_up_by_typing_the_name_of_the_pool(mill, visitor):
    """Page by page, those that were chosen, then all; nothing by another word."""
    pool = mill.pool("Given up", "given-up")
    ids = mill.park(pool, "no", *[b"no event"] * 25)
    path = f"/console/pools/{pool}/outbox"
    first = visitor.json(path)
    rest = visitor.get(f"{path}?after={first['next']}&format=json").data
    assert [each["outbox_id"] for each in first["parked_entries"]] == ids[:20]
    assert [each["outbox_id"] for each in rest["parked_entries"]] == ids[20:]

    chosen = [("entry", str(each)) for each in ids[1:3]]
    asked = visitor.get(f"{path}/discard?entry={ids[1]}&entry={ids[2]}")
    assert f"{ids[1]}, {ids[2]}" in asked.text
    wrong = visitor.post(f"{path}/discard", [*chosen, ("name", "Given")])
    assert (wrong.status, "not the name of the pool" in wrong.text) == (400, True)
    assert visitor.json(path)["parked"]["number"] == 25
    answer = visitor.post(f"{path}/discard", [*chosen, ("name", " Given up ")])
    assert "2 changes were given up." in visitor.get(answer.location).text
    left = [each["outbox_id"] for each in visitor.json(path)["parked_entries"]]
    assert left[:2] == [ids[0], ids[3]]
    visitor.post(f"{path}/discard", {"entry": "all", "name": "Given up"})
    assert visitor.json(path)["parked_entries"] == []


@pytest.mark.parametrize("entry", ["", "0", "-1", "x", "1.5", "9" * 19, "9" * 30, "٣"])
def test_what_is_not_parked_is_refused_in_words(mill, visitor, entry):
    """No number and no word makes anything fail, or does anything."""
    pool = mill.pool("Refused", "refused")
    path = f"/console/pools/{pool}/outbox"
    for answer in (
        visitor.get(f"{path}/parked/{quote(entry or 'nothing')}"),
        visitor.get(f"{path}/parked/{quote(entry or 'nothing')}/download"),
        visitor.get(f"{path}/discard?entry={quote(entry)}"),
        visitor.post(f"{path}/retry", {"entry": entry}),
        visitor.post(f"{path}/discard", {"entry": entry, "name": "Refused"}),
        visitor.post(f"{path}/retry", {}),
    ):
        assert answer.status in (400, 404)


def test_a_large_outbox_is_counted_to_a_bound(mill, visitor):
    """Beyond a thousand it says that there are more; a page shows a few."""
    pool = mill.pool("Large", "large")
    mill.park(pool, "no", *[b"x"] * 1001)
    data = visitor.json(f"/console/pools/{pool}/outbox")

    assert data["parked"] == {"number": 1000, "more": True}
    assert len(data["parked_entries"]) == 20
    assert "more than 1,000" in visitor.get("/console/outbox").text


# --- Keys that may not do everything ---


def as_holder(mill: Mill, *words: str) -> Visitor:
    """Log in with a new key."""
    access_key_id, secret = mill.key(*words)
    visitor = Visitor(mill.server.endpoint)
    form = {"access_key_id": access_key_id, "secret_access_key": secret}
    assert visitor.post("/console/login", form).status == 303
    return visitor


def test_a_key_that_may_read_is_shown_no_forms_and_changes_nothing(mill):
    """Neither by the pages nor by sending what their forms would."""
    pool = mill.pool("Read only", "read-only")
    (parked,) = mill.park(pool, "no", an_event(pool, "d", "k", "v"))
    reader = as_holder(mill, "--scope", "read-only")
    path = f"/console/pools/{pool}"
    forms = {
        f"{path}/outbox/retry": {"entry": str(parked)},
        f"{path}/outbox/discard": {"entry": "all", "name": "Read only"},
        f"{path}/publish": {},
        f"{path}/stream/enable": {},
    }
    for shown in ("outbox", "publish", f"outbox/parked/{parked}"):
        page = reader.get(f"{path}/{shown}")
        assert page.status == 200
        assert not any(f'action="{each}"' in page.text for each in forms)
    for each, form in forms.items():
        assert reader.post(each, form).status == 403
    data = reader.json(f"{path}/outbox")
    assert [each["outbox_id"] for each in data["parked_entries"]] == [parked]
    progress = reader.json(f"{path}/publish")["progress"]
    assert progress["bulk_publish_status"] == "NOT_STARTED"


def test_a_key_of_one_pool_sees_nothing_of_another(mill):
    """Of a stream that both pour into, it sees its own records and figures alone."""
    mine, theirs = mill.pool("Mine", "shared"), mill.pool("Theirs", "shared")
    mill.put(mine, "prefs", {"k": "my value"})
    mill.put(theirs, "prefs", {"k": "their secret"})
    mill.wait_for_stream("shared", 2)
    mill.pool("Unseen", "unseen")
    (parked,) = mill.park(theirs, "their reason", an_event(theirs, "d", "k", "v"))
    mill.park(mine, "my reason", an_event(mine, "d", "k", "v"))
    holder = as_holder(mill, "--identity-pool-id", mine)

    page = holder.get("/console/streams/shared").text
    assert "my value" in page
    for path in ("streams/shared", "streams", "outbox"):
        for shown in (
            holder.get(f"/console/{path}"),
            holder.get(f"/console/{path}.json"),
        ):
            assert shown.status == 200
            for each in ("their", "Theirs", theirs, "unseen"):
                assert each not in shown.text
    for path in ("outbox", "publish", "publish/live", "outbox/download"):
        assert holder.get(f"/console/pools/{theirs}/{path}").status == 404
    assert holder.get("/console/streams/unseen").status == 404
    for path in ("outbox/retry", "outbox/discard", "publish", "stream/enable"):
        form = {"entry": str(parked), "name": "Theirs"}
        assert holder.post(f"/console/pools/{theirs}/{path}", form).status == 404
        assert holder.post(f"/console/pools/{mine}/outbox/retry", form).status == 404
    (left,) = mill.command("outbox", "list", "--identity-pool-id", theirs)["Parked"]
    assert left["OutboxId"] == parked


def test_what_was_mended_is_in_the_audit(mill, visitor):
    """Tries again, what was given up, streams and bulk publishes: who, where, what."""
    pool = mill.pool("Audited", "audited")
    first, second = mill.park(pool, "no", b"x", b"y")
    path = f"/console/pools/{pool}"
    visitor.post(f"{path}/outbox/retry", {"entry": str(first)})
    visitor.post(f"{path}/outbox/discard", {"entry": str(second), "name": "Audited"})
    visitor.post(f"{path}/publish", {})
    visitor.post(f"{path}/stream/enable", {})
    found = mill.command("audit", "list", "--identity-pool-id", pool)
    entries = [each for each in found["Entries"] if each["Origin"] == "console"]

    assert {each["Operation"] for each in entries} == {
        "RetryParkedChanges",
        "DiscardParkedChanges",
        "BulkPublish",
        "SetIdentityPoolConfiguration",
    }
    (retried,) = [e for e in entries if e["Operation"] == "RetryParkedChanges"]
    assert str(first) in json.dumps(retried)
    assert {each["AccessKeyId"] for each in entries} == {mill.server.access_key_id}
