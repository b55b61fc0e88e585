"""Requests as the SDKs for Android, iOS, .NET and Unity write and sign them."""

from __future__ import annotations

import datetime
import re
import time
from dataclasses import replace

import pytest

from acceptance.raw_http import RawClient
from acceptance.sync_client import Dataset
from acceptance.users import client_of, get_credentials
from clients.request_forms import (
    ANDROID,
    DOT_NET,
    FORMS,
    IOS,
    UNITY,
    Call,
    Patch,
    SyncApi,
)
from clients.sdk_errors import SdkError

NOW_MS = 1_423_875_641_895


@pytest.fixture
def user(anonymous, backend):
    """A signed-in user's credentials."""
    return get_credentials(anonymous, backend.pool, backend.sign_in())


@pytest.fixture(params=FORMS, ids=lambda form: form.name)
def form(request):
    """How one of the SDKs writes requests."""
    return request.param


@pytest.fixture
def api(form, server, pool, user):
    """The API, called in the form of an SDK."""
    return SyncApi(form, RawClient(server), pool, user)


@pytest.fixture
def stored(sync, pool, user):
    """What the developer sees of the user's dataset."""
    return Dataset(sync, pool, user.identity_id)


def token_of(api, dataset="prefs"):
    """Begin a sync session."""
    return api.list_records(dataset, lastSyncCount=0).json["SyncSessionToken"]


def push(api, *patches, dataset="prefs"):
    """Update records in a new sync session."""
    token = token_of(api, dataset)
    return api.update_records(dataset, token, patches, now_ms=NOW_MS)


class TestEveryForm:
    """Each SDK's requests are understood, and its signatures hold."""

    def test_round_trip(self, api, stored):
        """Records are pushed and listed."""
        pushed = push(api, Patch("a", "1"), Patch("ключ / 𝄞", "日本 𝄞"))

        listed = api.list_records("prefs", lastSyncCount=0, maxResults=1024)

        assert (pushed.status, listed.status) == (200, 200)
        assert {r["Key"]: r["Value"] for r in listed.json["Records"]} == {
            "a": "1",
            "ключ / 𝄞": "日本 𝄞",
        }
        assert stored.values() == {"a": "1", "ключ / 𝄞": "日本 𝄞"}

    @pytest.mark.parametrize("name", ["a.b:c-d_e", "...", "prefs.us-east-1:0-1-f"])
    def test_names_of_datasets(self, api, stored, name):
        """Any name of a dataset is reached, however it is written in the path."""
        push(api, Patch("a", "1"), dataset=name)

        stored.name = name
        assert stored.values() == {"a": "1"}
        assert api.describe_dataset(name).json["Dataset"]["DatasetName"] == name

    def test_datasets(self, api):
        """Datasets have the members that the SDKs cannot do without."""
        push(api, Patch("ä", "12"))

        (dataset,) = api.list_datasets(maxResults=64).json["Datasets"]

        # Android unboxes the two numbers, iOS stores the name where none may be null.
        assert (dataset["NumRecords"], dataset["DataStorage"]) == (1, 4)
        assert isinstance(dataset["LastModifiedBy"], str)

    def test_delete(self, api, stored):
        """A dataset is deleted, and its metadata is the answer."""
        push(api, Patch("a", "1"))

        answer = api.delete_dataset("prefs")

        assert answer.status == 200
        assert answer.json["Dataset"]["DatasetName"] == "prefs"
        assert stored.list()["DatasetExists"] is False

    def test_times(self, api, form):
        """Times are numbers of seconds, and the device's own comes back as it was."""
        push(api, Patch("a", "1"))

        (record,) = api.list_records("prefs", lastSyncCount=0).json["Records"]

        sent = form.date(NOW_MS) if form.date else None
        if sent is not None:
            assert record["DeviceLastModifiedDate"] == float(sent)
        assert abs(record["LastModifiedDate"] - time.time()) < 60

    def test_counts_are_integers(self, api):
        """Counts have neither fraction nor exponent, which Android cannot read."""
        push(api, Patch("a", "1"))

        answer = api.list_records("prefs", lastSyncCount=0).json

        assert type(answer["DatasetSyncCount"]) is int
        assert type(answer["Records"][0]["SyncCount"]) is int

    def test_request_id_and_date(self, api):
        """Every answer has a request id, and a date in the form that Android reads."""
        for answer in (
            api.list_records("prefs", lastSyncCount=0),
            api.describe_dataset("prefs"),
        ):
            assert answer.headers["x-amzn-requestid"]
            # The pattern by which Android reads it; it raises if it does not fit.
            time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")

    def test_lost_answer(self, api, stored):
        """A push that is sent again, as its answer was lost, is answered as before."""
        token = token_of(api)
        patches = [Patch("a", "1"), Patch("b", None)]
        first = api.update_records("prefs", token, patches, now_ms=NOW_MS)

        again = api.update_records("prefs", token, patches, now_ms=NOW_MS)

        assert (again.status, again.json) == (200, first.json)
        assert stored.list()["DatasetSyncCount"] == 1

    def test_no_checksum(self, api):
        """There is no x-amz-crc32, which Android and .NET would check."""
        answer = api.list_records("prefs", lastSyncCount=0)

        assert "x-amz-crc32" not in answer.headers


class TestErrors:
    """Each SDK finds the type and the message of an error where it looks for them."""

    def test_conflict(self, api, form):
        """A conflict, upon which they all begin again."""
        push(api, Patch("a", "1"))

        answer = push(api, Patch("a", "2"))

        assert answer.status == 409
        assert form.read_error(answer) == SdkError(
            "ResourceConflictException", "Current SyncCount for: a is: 1 not: 0"
        )

    def test_dataset_not_found(self, api, form):
        """The deletion of a dataset that is not there, which they pass over."""
        answer = api.delete_dataset("prefs")

        assert answer.status == 404
        assert form.read_error(answer).type == "ResourceNotFoundException"

    def test_no_such_sync_count(self, api, form):
        """A sync count that the dataset has not reached."""
        push(api, Patch("a", "1"))

        answer = api.list_records("prefs", lastSyncCount=37)

        assert answer.status == 400
        assert form.read_error(answer) == SdkError(
            "InvalidParameterException",
            "No such SyncCount: 37 exists for this Dataset",
        )

    def test_not_authorized(self, api, form, pool):
        """An operation for developers alone."""
        answer = api.call("POST", ("identitypools", pool, "bulkpublish"), body=b"{}")

        assert answer.status == 403
        assert form.read_error(answer).type == "NotAuthorizedException"

    def test_wrong_secret(self, form, server, pool, user):
        """A signature made with another secret, in words that they look for."""
        thief = replace(user, secret_key="another")
        api = SyncApi(form, RawClient(server), pool, thief)

        answer = api.list_records("prefs", lastSyncCount=0)

        assert answer.status == 403
        assert form.read_error(answer).type == "InvalidSignatureException"

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_wrong_clock(self, api, form, hours):
        """A device whose clock is wrong is told the time, sets it, and gets through."""
        api.clock_offset = datetime.timedelta(hours=hours)
        answer = api.list_records("prefs", lastSyncCount=0)
        error = form.read_error(answer)

        # The time that the SDKs find in the message: "(20150526T081138Z - 5 min.)".
        (stamp,) = re.findall(r"\((\d{8}T\d{6}Z) [+-] 5 min\.\)", error.message)
        told = datetime.datetime.strptime(f"{stamp}+0000", "%Y%m%dT%H%M%SZ%z")
        api.clock_offset = told - datetime.datetime.now(datetime.UTC)
        corrected = api.list_records("prefs", lastSyncCount=0)

        assert (answer.status, error.type) == (403, "InvalidSignatureException")
        assert corrected.status == 200


class TestUnity:
    """What Unity alone does."""

    @pytest.fixture
    def form(self):
        """Unity's form."""
        return UNITY

    def test_delete_is_not_an_update(self, api, stored):
        """A POST that means DELETE never reaches UpdateRecords, which has its path."""
        push(api, Patch("a", "1"))

        answer = api.delete_dataset("prefs")

        assert answer.json["Dataset"]["NumRecords"] == 1
        assert stored.list()["DatasetExists"] is False

    def test_override_that_is_not_signed_for(self, api, server, stored):
        """A request that was signed as an update cannot be made a deletion."""
        push(api, Patch("a", "1"))
        update = Call("POST", (*api.identity, "datasets", "prefs"), {}, b"{}")
        request = api.write(update)
        override = ("X-HTTP-Method-Override", "DELETE")

        answer = RawClient(server).send(
            request.but(headers=(*request.headers, override))
        )

        assert answer.status == 403
        assert stored.values() == {"a": "1"}


class TestDotNet:
    """What .NET alone does."""

    @pytest.fixture
    def form(self):
        """.NET's form."""
        return DOT_NET

    def test_listing_after_a_deletion(self, api, form):
        """A listing from -1, which it asks for by mistake, is refused and no fault."""
        push(api, Patch("a", "1"))
        api.delete_dataset("prefs")

        answer = api.list_records("prefs", lastSyncCount=-1, maxResults=1024)

        assert answer.status == 400
        assert form.read_error(answer).type == "InvalidParameterException"


class TestIos:
    """What iOS alone does."""

    @pytest.fixture
    def form(self):
        """The form of iOS."""
        return IOS

    def test_no_paging(self, api, user, server, pool):
        """Without maxResults everything comes in one answer: it knows no pages."""
        client = client_of(server, user)
        Dataset(client, pool, user.identity_id).put(
            **{f"key-{number}": "1" for number in range(1024)}
        )
        client.close()

        answer = api.list_records("prefs", lastSyncCount=0).json

        assert len(answer["Records"]) == 1024
        assert answer.get("NextToken") is None

    def test_token_in_the_query(self, api):
        """The token of a session is good for another listing, in the query."""
        token = token_of(api)

        answer = api.list_records("prefs", lastSyncCount=0, syncSessionToken=token)

        assert answer.status == 200
        assert answer.json["SyncSessionToken"]

    def test_spent_token(self, api):
        """After a push its token is good for no more listings."""
        token = token_of(api)
        api.update_records("prefs", token, [Patch("a", "1")], now_ms=NOW_MS)

        answer = api.list_records("prefs", lastSyncCount=0, syncSessionToken=token)

        assert answer.status == 400

    def test_failed_push(self, api):
        """A refused push leaves its token as it was: it lists and pushes with it."""
        push(api, Patch("a", "1"))
        token = token_of(api)
        refused = api.update_records("prefs", token, [Patch("a", "2")], now_ms=NOW_MS)

        listed = api.list_records("prefs", lastSyncCount=0, syncSessionToken=token)
        again = api.update_records("prefs", token, [Patch("a", "2", 1)], now_ms=NOW_MS)

        assert (refused.status, listed.status, again.status) == (409, 200, 200)


class TestAndroid:
    """What Android alone does."""

    @pytest.fixture
    def form(self):
        """The form of Android."""
        return ANDROID

    def test_client_context(self, api):
        """A client context, which it passes on as the app wrote it, is let through."""
        answer = api.update_records(
            "prefs",
            token_of(api),
            [Patch("a", "1")],
            now_ms=NOW_MS,
            headers=(("x-amz-Client-Context", '{"client": {"app_title": "notes"}}'),),
        )

        assert answer.status == 200
