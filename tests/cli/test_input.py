"""How values are given: options, files, JSON, --cli-input-json, shorthand."""

from __future__ import annotations

import json

import pytest

from millpond.cli.api import shorthand
from millpond.client.api.model import ServiceModel

SERVICE = ServiceModel.load("cognito-sync")
PATCHES = SERVICE.operation("update-records").input.members["RecordPatches"]
PUSH_SYNC = SERVICE.operation("set-identity-pool-configuration").input.members[
    "PushSync"
]


@pytest.fixture
def update(sync, stub, pool):
    """Run update-records with some patches; give back the result and the body sent."""

    def run_update(*patches):
        result = sync(
            *("update-records", "--identity-pool-id", pool, "--identity-id", "i:1"),
            *("--dataset-name", "d", "--sync-session-token", "t"),
            *("--record-patches", *patches),
        )
        sent = json.loads(stub.received[-1].body) if stub.received else {}
        return result, sent.get("RecordPatches")

    return run_update


def test_options_win_over_the_json(details, stub):
    """A member that is given twice is the option's."""
    result = details("--cli-input-json", '{"IdentityPoolId": "from:json"}')

    assert result.code == 0
    assert "from%3Ajson" not in stub.received[0].target


def test_an_empty_option_wins_too(run, stub):
    """An option that is given empty is given."""
    result = run(
        *("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", ""),
        *("--cli-input-json", '{"IdentityPoolId": "from:json"}'),
        *("--endpoint-url", stub.url),
    )

    assert "Invalid length for parameter IdentityPoolId" in result.err


def test_the_json_fills_in_what_options_leave(sync, stub, pool):
    """Options and JSON complete each other; required options may then be missing."""
    result = sync(
        *("describe-identity-usage", "--identity-id", "i:1", "--cli-input-json"),
        json.dumps({"IdentityPoolId": pool}),
    )

    assert result.code == 0
    assert stub.received[0].target.endswith("/identities/i%3A1")


def test_a_list_from_an_option_replaces_the_whole_list(sync, stub, pool):
    """Values are not merged inside a list or a structure."""
    given = {"RecordPatches": [{"Op": "remove", "Key": "x", "SyncCount": 1}]}

    sync(
        *("update-records", "--identity-pool-id", pool, "--identity-id", "i:1"),
        *("--dataset-name", "d", "--sync-session-token", "t"),
        *("--record-patches", "Op=remove,Key=a,SyncCount=0"),
        *("--cli-input-json", json.dumps(given)),
    )

    assert [p["Key"] for p in json.loads(stub.received[0].body)["RecordPatches"]] == [
        "a"
    ]


def test_the_json_may_stand_in_a_file(run, home, stub, pool):
    """file:// reads the JSON from a file; variables in its path are filled in."""
    (home / "in.json").write_text(json.dumps({"IdentityPoolId": pool}))

    for path in ("in.json", "~/in.json", "$HOME/in.json"):
        words = ("--cli-input-json", f"file://{path}", "--endpoint-url", stub.url)
        assert run("cognito-sync", "get-bulk-publish-details", *words).code == 0

    assert len(stub.received) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "{",
            "Error parsing parameter 'cli-input-json': Invalid JSON: Expecting "
            "property name enclosed in double quotes: line 1 column 2 (char 1)\n"
            "JSON received: {",
        ),
        (
            "file://none.json",
            "Error parsing parameter '--cli-input-json': Unable to load paramfile "
            "file://none.json: [Errno 2] No such file or directory: 'none.json'",
        ),
        ("[]", "Error parsing parameter 'cli-input-json': Invalid JSON: not an object"),
    ],
)
def test_json_that_cannot_be_read(details, stub, given, message):
    """What is wrong with the JSON, or with its file, is told."""
    result = details("--cli-input-json", given)

    assert result.code == 255
    assert result.err.startswith(f"\n{message}")
    assert stub.received == []


def test_a_file_that_is_no_text(details, home):
    """Bytes that are no UTF-8 are refused with a hint."""
    (home / "b.json").write_bytes(b'{"a": "\xff"}')

    assert "please use the fileb:// prefix" in (
        details("--cli-input-json", "file://b.json").err
    )


def test_a_plain_option_reads_a_file(run, home, stub):
    """file:// works for any option, and keeps what the file ends with."""
    (home / "id").write_text("a:1\n")

    run(
        *("cognito-sync", "get-cognito-events", "--identity-pool-id", "file://id"),
        *("--endpoint-url", stub.url),
    )

    assert stub.received[0].target == "/identitypools/a%3A1%0A/events"


def test_bytes_from_a_file_are_no_text(run, home, stub):
    """fileb:// gives bytes, which are no string."""
    (home / "id").write_text("a:1")

    result = run(
        *("cognito-sync", "get-cognito-events", "--identity-pool-id", "fileb://id"),
        *("--endpoint-url", stub.url),
    )

    assert "type: <class 'bytes'>, valid types: <class 'str'>" in result.err


def test_a_value_that_is_a_url_is_fetched(run, home, stub):
    """http:// values are what the URL answers, unless that is turned off."""
    stub.will_answer("a:1")
    words = ("--identity-pool-id", f"{stub.url}/id", "--endpoint-url", stub.url)

    run("cognito-sync", "get-cognito-events", *words)
    (home / ".aws" / "config").write_text("[default]\ncli_follow_urlparam = false\n")
    run("cognito-sync", "get-cognito-events", *words)

    targets = [each.target for each in stub.received]
    assert targets[:2] == ["/id", "/identitypools/a%3A1/events"]
    assert targets[2].startswith("/identitypools/http%3A%2F%2F")


def test_a_url_that_answers_an_error(run, stub):
    """A value that cannot be fetched is told."""
    stub.will_answer("no", status=404)

    result = run(
        *("cognito-sync", "get-cognito-events", "--identity-pool-id", f"{stub.url}/id"),
        *("--endpoint-url", stub.url),
    )

    assert result.err == (
        "\nError parsing parameter '--identity-pool-id': Unable to retrieve "
        f"{stub.url}/id: received non 200 status code of 404\n"
    )


def test_patches_in_shorthand_and_in_json_are_the_same(update):
    """The same patches may be written in either way, one or several words long."""
    patch = {"Op": "replace", "Key": "a", "Value": "b", "SyncCount": 0}
    written = "Op=replace,Key=a,Value=b,SyncCount=0"

    assert [patch] == update(written)[1]
    assert [patch, patch] == update(written, written)[1]
    assert [patch] == update(json.dumps([patch]))[1]
    assert [patch, patch] == update(json.dumps(patch), json.dumps(patch))[1]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a=b", {"a": "b"}),
        ("a=b,c=d", {"a": "b", "c": "d"}),
        ("a=b,c,d=e", {"a": ["b", "c"], "d": "e"}),
        ("a=b\\,c", {"a": "b,c"}),
        ('a=\'b,c\',d="e \\"f\\""', {"a": "b,c", "d": 'e "f"'}),
        ("a=[b,c],d={e=f,g=[h]}", {"a": ["b", "c"], "d": {"e": "f", "g": ["h"]}}),
        ("a=", {"a": ""}),
        ("a = b , c = d", {"a": "b", "c": "d"}),
        ("a=x=y", {"a": "x=y"}),
    ],
)
def test_shorthand(text, parsed):
    """Pairs, lists, maps, quotes and escapes are read."""
    assert parsed == shorthand.parse(text)


@pytest.mark.parametrize(
    ("text", "expected", "received", "column"),
    [
        ("Oops", "=", "EOF", 4),
        ("a=b,c", None, None, 0),
        ("a==b", ",", "=", 2),
        (",a=b", "=", ",", 0),
        ('a="b', "<double quoted>", "<none>", 2),
        ("a=[b", ",", "EOF", 4),
        ("a={b=c", ",", "EOF", 6),
        ("k=🚀", ",", "🚀", 2),
    ],
)
def test_shorthand_errors_point_at_the_place(text, expected, received, column):
    """An error shows the text and a caret under the place."""
    if expected is None:
        assert shorthand.parse(text) == {"a": ["b", "c"]}
        return

    with pytest.raises(shorthand.ShorthandFault) as caught:
        shorthand.parse(text)

    assert str(caught.value) == (
        f"Expected: '{expected}', received: '{received}' for input:\n"
        f"{text}\n{' ' * column}^"
    )


def test_a_caret_stands_in_the_line_of_the_fault():
    """In a text of several lines, the caret follows the line it means."""
    with pytest.raises(shorthand.ShorthandFault) as caught:
        shorthand.parse("a=b,\nc==d,\ne=f")

    assert str(caught.value).endswith("a=b,\nc==d,\n  ^\ne=f")


def test_a_key_stands_once():
    """A repeated key is refused, with a hint at the comma."""
    with pytest.raises(shorthand.ShorthandFault, match='Second instance of key "a"'):
        shorthand.parse("a=b,a=c")


def test_shorthand_is_bent_towards_the_model():
    """Numbers become numbers, a single value in the place of a list a list."""
    assert shorthand.fit([{"SyncCount": "3", "Key": "5"}], PATCHES) == [
        {"SyncCount": 3, "Key": "5"}
    ]
    assert shorthand.fit({"ApplicationArns": "a", "Nope": "1"}, PUSH_SYNC) == {
        "ApplicationArns": ["a"],
        "Nope": "1",
    }


def test_a_value_in_shorthand_may_stand_in_a_file(update, home):
    """`Key@=file://...` reads one value from a file."""
    (home / "v").write_text("line one\nline two\n")

    _, sent = update("Op=replace,Key=a,Value@=file://v,SyncCount=0")

    assert sent[0]["Value"] == "line one\nline two\n"


def test_shorthand_out_of_a_file_is_one_structure(update, home):
    """A file of shorthand does not make a list."""
    (home / "p").write_text("Op=remove,Key=a,SyncCount=0")

    result, _ = update("file://p")

    assert "Invalid type for parameter RecordPatches, value: {'Op'" in result.err


def test_json_out_of_a_file_is_the_whole_value(update, home):
    """A file of JSON is the value of the option."""
    (home / "p").write_text('[{"Op": "remove", "Key": "a", "SyncCount": 0}]')

    assert update("file://p")[1][0]["Key"] == "a"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["[]"], "Error parsing parameter '--push-sync': Invalid JSON:\n[]"),
        (["{a}"], "Error parsing parameter '--push-sync': Invalid JSON: Expecting"),
        ([""], "Error parsing parameter '--push-sync': Expected: '=', received: 'EOF'"),
    ],
)
def test_a_structure_is_an_object(sync, pool, words, message):
    """A list, broken JSON or nothing at all are no structure."""
    result = sync(
        *("set-identity-pool-configuration", "--identity-pool-id", pool),
        *("--push-sync", *words),
    )

    assert result.code == 255
    assert result.err.startswith(f"\n{message}")


@pytest.mark.parametrize(
    ("option", "value", "code", "message"),
    [
        (
            "--max-results",
            "abc",
            255,
            "\ninvalid literal for int() with base 10: 'abc'",
        ),
        (
            "--last-sync-count",
            "abc",
            2,
            "argument --last-sync-count: invalid int value: 'abc'",
        ),
    ],
)
def test_a_number_that_is_none(sync, pool, option, value, code, message):
    """An integer and a long are refused at different steps, with different texts."""
    result = sync(
        *("list-records", "--identity-pool-id", pool, "--identity-id", "i:1"),
        *("--dataset-name", "d", option, value),
    )

    assert code == result.code
    assert message in result.err


def test_unicode_goes_through(update):
    """Characters beyond ASCII arrive as they were given."""
    _, sent = update(
        '[{"Op": "replace", "Key": "clé", "Value": "池🚀", "SyncCount": 0}]'
    )

    assert (sent[0]["Key"], sent[0]["Value"]) == ("clé", "池🚀")
