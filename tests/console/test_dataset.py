"""Datasets in the console: looked at, edited while others write, deleted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from cli import world
from cli.world import ANN, GUEST, NOBODY, POOL
from console.visitor import Answer, Visitor
from console.worlds import serving_on
from millpond.console.base import link
from millpond.core.sync import DatasetId
from millpond.stores.base import Store
from millpond.testing.server import RunningServer, wait_until
from millpond.testing.store_contract.bench import put

EVIL = "<script>alert(1)</script> \u202e \"'&=;{} javascript:alert(1)"
LONG = "<b>\u202e" + "x" * 900_000
PATH = "/identities/{identity}/datasets/{dataset}"


async def fill(store: Store) -> None:
    """The small world, a dataset of awkward records, one of many, a merged copy."""
    await world.fill(store)
    awkward = DatasetId(POOL, ANN, "awk:ward.json")
    await put(
        store,
        awkward,
        {
            EVIL: EVIL,
            "long": LONG,
            "lines\r\n": "a\r\nb",
            "json": '{"a":[1,12345678901234567890123],"b":"<i>"}',
            "empty": "",
        },
    )
    many = DatasetId(POOL, ANN, "many")
    await put(store, many, {f"k{n:04}": f"v{n}" for n in range(120)})


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server on a store of either kind."""
    with serving_on(request, tmp_path_factory.mktemp("datasets"), fill) as running:
        yield running


class Form(HTMLParser):
    """What a browser without script would send of the form that edits records."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._area: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "textarea":
            self._area = name
            self.fields[name] = ""
        elif tag == "input" and (given.get("type") != "radio" or "checked" in given):
            self.fields[name] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # A browser drops the first line end of what stands in it.
            text = self.fields[self._area].removeprefix("\n")
            self.fields[self._area] = text.replace("\n", "\r\n")
            self._area = None

    def with_(self, **changes: str) -> dict[str, str]:
        """Change fields (`value_0` for `value-0`)."""
        named = {name.replace("_", "-"): each for name, each in changes.items()}
        if "new-key" in named:
            named["new_key"] = named.pop("new-key")
        return self.fields | named


def url(dataset: str, end: str = "", identity: str = ANN, **query: str) -> str:
    return link(PATH + end, query, identity=identity, dataset=dataset)


def data_of(looker: Visitor, dataset: str, end: str = "", **query: str) -> Any:
    answer = looker.get(url(dataset, end, **query, format="json"))
    assert answer.status == 200, answer.text
    return answer.data


def device(server: RunningServer) -> Any:
    """Somebody else who synchronizes: boto3, as a device."""
    return server.client("cognito-sync")


def write(
    server: RunningServer, dataset: str, *, by: str = "tablet", **values: Any
) -> int:
    """Write records as a device does; None removes. The new sync count."""
    client = device(server)
    names = {"IdentityPoolId": POOL, "IdentityId": ANN, "DatasetName": dataset}
    listed = client.list_records(**names)
    known = {each["Key"]: each["SyncCount"] for each in listed["Records"]}
    patches = [
        {
            "Op": "remove" if value is None else "replace",
            "Key": key,
            "SyncCount": known.get(key, 0),
            **({} if value is None else {"Value": value}),
        }
        for key, value in values.items()
    ]
    answer = client.update_records(
        **names,
        SyncSessionToken=listed["SyncSessionToken"],
        RecordPatches=patches,
        DeviceId=by,
    )
    return int(answer["Records"][0]["SyncCount"])


def records_of(server: RunningServer, dataset: str) -> dict[str, tuple[Any, int]]:
    """What a device gets: value and sync count by key."""
    listed = device(server).list_records(
        IdentityPoolId=POOL, IdentityId=ANN, DatasetName=dataset
    )
    return {e["Key"]: (e.get("Value"), e["SyncCount"]) for e in listed["Records"]}


def begin(looker: Visitor, dataset: str, *keys: str) -> Form:
    """Open the form with some records."""
    answer = looker.get(url(dataset, "/edit", key=[json.dumps(e) for e in keys]))  # type: ignore[arg-type]
    assert answer.status == 200, answer.text
    return Form(answer.text)


def send(looker: Visitor, dataset: str, form: dict[str, str], do: str) -> Answer:
    return looker.post(url(dataset, "/edit"), {**form, "do": do})


# --- Looking --------------------------------------------------------------------------


def test_records_are_shown_with_all_that_is_known(
    looker: Visitor, world_server: RunningServer
) -> None:
    """Key, value, sync count, op, both dates and who; removed ones can be hidden."""
    write(world_server, "shown", by="phone-7", a="1", b="2")
    write(world_server, "shown", b=None)
    found = data_of(looker, "shown")
    a, b = found["records"]
    page = looker.get(url("shown")).text

    assert (a["key"], a["value"], a["op"], a["sync_count"]) == ("a", "1", "replace", 1)
    assert a["last_modified_by"] == "phone-7"
    assert a["last_modified_date_ms"] > 0
    assert (b["key"], b["value"], b["op"], b["sync_count"]) == ("b", None, "remove", 2)
    assert (found["sync_count"], found["num_records"]) == (2, 1)
    assert "phone-7" in page
    assert ">removed<" in page

    hidden = data_of(looker, "shown", removed="hide")
    assert [each["key"] for each in hidden["records"]] == ["a"]
    assert hidden["hidden"] == 1


def test_values_of_strangers_are_text(looker: Visitor) -> None:
    """No markup of theirs reaches the page; long ones are cut, and a download."""
    page = looker.get(url("awk:ward.json")).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "x" * 3000 not in page
    assert 'href="javascript:' not in page
    answer = looker.get(url("awk:ward.json", "/value", key='"long"'))
    assert answer.body.decode() == LONG
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_values_are_set_out_as_json(looker: Visitor) -> None:
    """Numbers stay as they are; what is not JSON is shown as it is."""
    found = data_of(looker, "awk:ward.json", **{"as": "json"})
    formatted = {each["key"]: each["formatted"] for each in found["records"]}

    assert formatted["json"] == (
        '{\n  "a": [\n    1,\n    12345678901234567890123\n  ],\n  "b": "<i>"\n}'
    )
    assert formatted["long"] is None
    page = looker.get(url("awk:ward.json", **{"as": "json"})).text
    assert "&lt;i&gt;" in page


def test_a_page_shows_some_and_leads_to_the_next(looker: Visitor) -> None:
    """All records come, each once, however they are paged."""
    keys: list[str] = []
    query: dict[str, str] = {}
    while True:
        found = data_of(looker, "many", **query)
        assert len(found["records"]) <= 50
        keys += [each["key"] for each in found["records"]]
        if found["next"] is None:
            break
        query = {"after": found["next"]}

    assert keys == [f"k{n:04}" for n in range(120)]


@pytest.mark.parametrize(
    ("dataset", "end", "query", "status"),
    [
        ("never", "", {}, 404),
        ("prefs", "", {"after": "!"}, 400),
        ("prefs", "", {"after": "WyJ4Il0"}, 400),
        ("prefs", "", {"as": "html"}, 400),
        ("prefs", "", {"pool": world.EMPTY_POOL}, 404),
        ("prefs", "/value", {}, 400),
        ("prefs", "/value", {"key": "color"}, 400),
        ("prefs", "/value", {"key": '"never"'}, 404),
        ("prefs", "/value", {"key": '"size"'}, 404),
        ("prefs", "/history", {"before": "e30"}, 400),
        ("gone", "/delete", {}, 404),
        ("prefs", "/edit", {"key": "{}"}, 400),
    ],
)
def test_what_makes_no_sense_is_said(
    looker: Visitor, dataset: str, end: str, query: dict[str, str], status: int
) -> None:
    """A page with a sentence, and never a failure of ours."""
    answer = looker.get(url(dataset, end, **query))

    assert answer.status == status
    assert "failed" not in answer.text


def test_data_without_an_identity_is_shown(looker: Visitor) -> None:
    """A developer may write under any id."""
    answer = looker.get(url("prefs", identity=NOBODY, pool=POOL))

    assert answer.status == 200


# --- Editing --------------------------------------------------------------------------


def test_several_edits_are_one_update(
    looker: Visitor, world_server: RunningServer
) -> None:
    """Changed, added and removed records have one sync count, and one author."""
    write(world_server, "edited", a="1", b="2", c="3")
    form = begin(looker, "edited", "a", "b", "c").with_(value_0="one", op_1="remove")
    answer = send(looker, "edited", {**form, "new_key": "new \u2603"}, "add")
    assert answer.status == 200
    form = Form(answer.text).with_(value_3="<b>\r\n")
    assert records_of(world_server, "edited")["a"] == ("1", 1)  # nothing yet

    answer = send(looker, "edited", form, "send")
    assert answer.status == 303, answer.text
    assert answer.location == url("edited")
    assert "3 records with one UpdateRecords" in looker.get(answer.location).text
    assert records_of(world_server, "edited") == {
        "a": ("one", 2),
        "b": (None, 2),
        "c": ("3", 1),  # nobody changed it
        "new \u2603": ("<b>\n", 2),
    }
    found = data_of(looker, "edited")
    assert {e["last_modified_by"] for e in found["records"]} == {
        "tablet",
        "000000000000",
    }
    assert all(
        each["device_last_modified_date_ms"]
        for each in found["records"]
        if each["sync_count"] == 2
    )


def test_what_nobody_typed_in_is_not_changed(looker: Visitor) -> None:
    """A form changes line ends; the value keeps its own, and so does the key."""
    form = begin(looker, "awk:ward.json", "lines\r\n", EVIL)
    answer = send(looker, "awk:ward.json", form.fields, "send")
    assert answer.status == 400
    assert "Nothing is changed yet" in answer.text

    changed = form.with_(value_0="a\r\nB\r\n")
    assert send(looker, "awk:ward.json", changed, "send").status == 303
    found = data_of(looker, "awk:ward.json")
    values = {each["key"]: each["value"] for each in found["records"]}
    assert values["lines\r\n"] == "a\r\nB\r\n"
    assert values[EVIL] == EVIL


def test_a_conflict_shows_all_three_and_lets_one_choose(
    looker: Visitor, world_server: RunningServer
) -> None:
    """Base, theirs and mine by key; what is chosen goes out with the new counts."""
    write(world_server, "fought", a="base a", b="base b", c="base c")
    form = begin(looker, "fought", "a", "b", "c").with_(
        value_0="mine a", value_1="mine b", value_2="mine c"
    )
    write(world_server, "fought", by="phone-9", a="theirs a", b=None)

    answer = send(looker, "fought", form, "send")
    assert answer.status == 409
    for each in ("base a", "theirs a", "mine a", "base b", "mine b", "phone-9"):
        assert each in answer.text
    assert records_of(world_server, "fought")["c"] == ("base c", 1)

    undecided = Form(answer.text)
    again = send(looker, "fought", undecided.with_(choice_0="theirs"), "send")
    assert again.status == 400
    assert "Choose which one is to stay" in again.text

    form = Form(again.text).with_(choice_0="theirs", choice_1="mine")
    write(world_server, "fought", b="theirs b again")
    once_more = send(looker, "fought", form, "send")
    assert once_more.status == 409
    assert "theirs b again" in once_more.text
    assert "theirs a" not in once_more.text  # that one is settled

    form = Form(once_more.text).with_(choice_0="mine")
    answer = send(looker, "fought", form, "send")
    assert answer.status == 303, answer.text
    assert records_of(world_server, "fought") == {
        "a": ("theirs a", 2),
        "b": ("mine b", 4),
        "c": ("mine c", 4),
    }


def test_theirs_everywhere_sends_nothing(
    looker: Visitor, world_server: RunningServer
) -> None:
    """A new record that somebody else made first is a conflict, too."""
    write(world_server, "made", a="1")
    answer = send(looker, "made", begin(looker, "made").with_(new_key="b"), "add")
    form = Form(answer.text).with_(value_0="mine")
    write(world_server, "made", b="theirs")
    answer = send(looker, "made", form, "send")
    assert answer.status == 409
    answer = send(looker, "made", Form(answer.text).with_(choice_0="theirs"), "send")

    assert answer.status == 303
    assert records_of(world_server, "made")["b"] == ("theirs", 2)


def test_a_removed_record_can_be_added_again(
    looker: Visitor, world_server: RunningServer
) -> None:
    """Over a tombstone, from its page or by typing its key."""
    write(world_server, "again", a="1")
    write(world_server, "again", a=None)
    form = begin(looker, "again", "a").with_(value_0="2")

    assert send(looker, "again", form, "send").status == 303
    assert records_of(world_server, "again") == {"a": ("2", 3)}


def test_the_first_record_makes_the_dataset(
    looker: Visitor, world_server: RunningServer
) -> None:
    """A dataset need not be there to be edited, as for UpdateRecords."""
    answer = send(looker, "fresh", begin(looker, "fresh").with_(new_key="k"), "add")
    assert "sending makes it" in answer.text
    form = Form(answer.text).with_(value_0="")

    assert send(looker, "fresh", form, "send").status == 303
    assert records_of(world_server, "fresh") == {"k": ("", 1)}


def test_buttons_of_a_single_edit(looker: Visitor) -> None:
    """JSON is set out in the form; an edit is taken off it; nothing is sent."""
    form = begin(looker, "awk:ward.json", "json", "empty")
    answer = send(looker, "awk:ward.json", form.fields, "format-0")
    assert answer.status == 200
    formatted = Form(answer.text)
    assert json.loads(formatted.fields["value-0"])["b"] == "<i>"
    assert "\r\n" in formatted.fields["value-0"]
    refused = send(looker, "awk:ward.json", form.with_(value_0="{"), "format-0")
    assert refused.status == 400
    assert "This is not JSON" in refused.text
    dropped = Form(send(looker, "awk:ward.json", form.fields, "drop-0").text)
    assert json.loads(dropped.fields["seen-0"])["key"] == "empty"
    assert "seen-1" not in dropped.fields


@pytest.mark.parametrize(
    ("form", "do"),
    [
        ({"seen-0": "{"}, "send"),
        ({"seen-0": '{"key":1}'}, "send"),
        ({"seen-0": '{"key":"a","count":-1,"more":1}'}, "send"),
        ({"seen-0": '{"key":"a"}', "seen-1": '{"key":"a"}'}, "send"),
        ({"seen-0": '{"key":"a"}', "op-0": "destroy"}, "send"),
        ({}, "drop-0"),
        ({}, "format-\u0661"),
        ({}, "destroy"),
        ({}, "send"),
        ({}, "open"),
        ({"new_key": " "}, "add"),
        ({"new_key": "x" * 1025}, "add"),
        ({"seen-0": '{"key":"","count":0}', "value-0": "v"}, "send"),
        ({"seen-0": '{"key":"a"}', "value-0": "v" * 1_048_576}, "send"),
        ({"seen-0": '{"key":"a","count":9223372036854775808}'}, "send"),
        ({f"seen-{n}": json.dumps({"key": str(n)}) for n in range(101)}, "send"),
    ],
)
def test_forms_that_are_none_of_ours_write_nothing(
    looker: Visitor, form: dict[str, str], do: str
) -> None:
    """A clear 400, and the dataset is as it was."""
    before = data_of(looker, "prefs")
    answer = send(looker, "prefs", form, do)

    assert answer.status == 400, answer.text
    assert "failed" not in answer.text
    assert data_of(looker, "prefs") == before


def test_limits_are_told_before_and_by_the_answer(looker: Visitor) -> None:
    """A dataset that would be too large is said to be, and is refused whole."""
    form = {
        f"{name}-{n}": each
        for n in range(2)
        for name, each in (("seen", json.dumps({"key": f"k{n}"})), ("value", LONG))
    }
    staged = send(looker, "prefs", {**form, "new_key": "more"}, "add")
    assert "That is too much" in staged.text
    assert "1,048,575 characters" in staged.text

    answer = send(looker, "prefs", form, "send")
    assert answer.status == 400
    assert "Nothing was sent" in answer.text
    assert "1048576" in answer.text.replace(",", "")
    assert Form(answer.text).fields["value-1"] == LONG  # nothing typed is lost


# --- Keys that may do less ------------------------------------------------------------


def log_in_with(server: RunningServer, *options: str) -> Visitor:
    """Make a key as an administrator does, and log in with it."""
    words = ["key", "create", "--name", "less", *options, "--output", "json"]
    made = subprocess.run(
        [sys.executable, "-m", "millpond", *words, *server.store_words],
        env=server.environment(),
        check=True,
        capture_output=True,
    )
    key = json.loads(made.stdout)
    visitor = Visitor(server.endpoint)
    answer = visitor.post(
        "/console/login",
        {
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
        },
    )
    assert answer.status == 303, answer.text
    return visitor


def test_a_read_only_key_is_shown_no_forms(
    looker: Visitor, world_server: RunningServer
) -> None:
    """It sees all there is, and changes nothing by whatever it sends."""
    reader = log_in_with(world_server, "--scope", "read-only")
    before = data_of(looker, "prefs")
    page = reader.get(url("prefs"))
    assert page.status == 200
    assert "red" in page.text
    for word in ("/edit", "/delete", 'type="checkbox"'):
        assert word not in page.text
    devices = reader.get(link("/identities/{identity}/devices", identity=ANN))
    assert devices.status == 200
    assert "Send a test push" not in devices.text

    assert reader.get(url("prefs", "/edit")).status == 403
    form = {"seen-0": '{"key":"color","count":1}', "value-0": "blue"}
    for end, sent in (
        ("/edit", {**form, "do": "send"}),
        ("/delete", {"dataset_name": "prefs"}),
    ):
        assert reader.post(url("prefs", end), sent).status == 403
    device_url = link("/identities/{identity}/devices/phone-1/", identity=ANN)
    for end in ("push", "remove"):
        sent = {"device_id": "phone-1"}
        assert reader.post(f"{device_url}/{end}", sent).status == 403
    assert data_of(looker, "prefs") == before


def test_a_key_of_another_pool_finds_nothing(
    looker: Visitor, world_server: RunningServer
) -> None:
    """What is in other pools is not there, whatever is done to it."""
    stranger = log_in_with(world_server, "--pool", world.EMPTY_POOL)
    before = data_of(looker, "prefs")
    for end in ("", "/edit", "/history", "/delete", "/value"):
        for query in ({}, {"pool": POOL}):
            answer = stranger.get(url("prefs", end, **query, key='"color"'))
            assert answer.status == 404, end
    form = {"seen-0": '{"key":"color","count":1}', "value-0": "blue", "do": "send"}
    assert stranger.post(url("prefs", "/edit", pool=POOL), form).status == 404
    typed = {"dataset_name": "prefs"}
    assert stranger.post(url("prefs", "/delete"), typed).status == 404
    path = link("/identities/{identity}/devices", identity=ANN)
    assert stranger.get(path).status == 404
    assert stranger.get(link("/pools/{pool}/devices", pool=POOL)).status == 404
    for end, sent in (("push", {}), ("remove", {"device_id": "phone-1"})):
        assert stranger.post(f"{path}/phone-1/{end}", sent).status == 404
    assert data_of(looker, "prefs") == before


# --- Copies, the past, deleting -------------------------------------------------------


def test_a_merged_copy_is_linked(looker: Visitor, world_server: RunningServer) -> None:
    """From the dataset to its copies, and back."""
    identity = world_server.client("cognito-identity")
    one, two = (
        identity.get_open_id_token_for_developer_identity(
            IdentityPoolId=POOL, Logins={world.DEVELOPER: name}
        )["IdentityId"]
        for name in ("merging one", "merging two")
    )
    client = device(world_server)
    for each in (one, two):
        names = {"IdentityPoolId": POOL, "IdentityId": each, "DatasetName": "prefs"}
        token = client.list_records(**names)["SyncSessionToken"]
        patch = {"Op": "replace", "Key": "k", "Value": each, "SyncCount": 0}
        client.update_records(**names, SyncSessionToken=token, RecordPatches=[patch])
    survivor = identity.merge_developer_identities(
        SourceUserIdentifier="merging one",
        DestinationUserIdentifier="merging two",
        DeveloperProviderName=world.DEVELOPER,
        IdentityPoolId=POOL,
    )["IdentityId"]

    found = looker.get(url("prefs", identity=survivor, format="json")).data
    (copy,) = found["merged_dataset_names"]
    page = looker.get(url("prefs", identity=survivor)).text
    assert f'href="{url(copy, identity=survivor)}"' in page
    page = looker.get(url(copy, identity=survivor)).text
    assert f'href="{url("prefs", identity=survivor)}"' in page
    assert "Merged copy of" in page


def test_the_past_is_told_by_the_stream(
    looker: Visitor, world_server: RunningServer
) -> None:
    """The newest change first, record by record."""
    write(world_server, "past", a="1", b=EVIL)
    write(world_server, "past", a=None)

    def changes() -> list[tuple[int, list[tuple[str, Any]]]]:
        found = data_of(looker, "past", "/history")
        return [
            (each["sync_count"], [(r["key"], r["value"]) for r in each["records"]])
            for each in found["events"]
        ]

    wait_until(lambda: len(changes()) == 2)
    assert changes() == [(2, [("a", None)]), (1, [("a", "1"), ("b", EVIL)])]
    assert "<script>alert" not in looker.get(url("past", "/history")).text


def test_a_dataset_is_deleted_by_its_name(
    looker: Visitor, world_server: RunningServer
) -> None:
    """Typed; anything else deletes nothing."""
    write(world_server, "doomed", a="1")
    answer = looker.post(url("doomed", "/delete"), {"dataset_name": "doome"})
    assert answer.status == 400
    assert "That is not its name" in answer.text
    assert records_of(world_server, "doomed")

    answer = looker.post(url("doomed", "/delete"), {"dataset_name": "doomed"})
    assert answer.status == 303
    assert data_of(looker, "doomed")["exists"] is False
    assert records_of(world_server, "doomed") == {}


def test_a_guest_without_datasets_has_none(looker: Visitor) -> None:
    """It says so, and fails not."""
    answer = looker.get(url("prefs", identity=GUEST))

    assert answer.status == 404
    assert "has no dataset" in answer.text
