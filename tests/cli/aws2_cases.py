"""Command lines for version 2 of the AWS CLI, with what a server answers to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

POOL = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
IDENTITY = "us-east-1:11111111-2222-3333-4444-555555555555"
DETAILS = ("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", POOL)
RECORDS = (
    *("cognito-sync", "list-records", "--identity-pool-id", POOL),
    *("--identity-id", IDENTITY, "--dataset-name", "prefs"),
)
UPDATE = (
    *("cognito-sync", "update-records", "--identity-pool-id", POOL),
    *("--identity-id", IDENTITY, "--dataset-name", "d", "--sync-session-token", "t"),
)
USAGE = ("cognito-sync", "list-identity-pool-usage")
POOLS = ("cognito-identity", "list-identity-pools")
STREAMS = ("kinesis", "list-streams")
PUT = ("kinesis", "put-record", "--stream-name", "s", "--partition-key", "p")
HERE = ("--endpoint-url", "{stub}")

WHEN = 1415212845.121
DONE = {
    "IdentityPoolId": POOL,
    "BulkPublishStartTime": WHEN,
    "BulkPublishCompleteTime": 1415212999,
    "BulkPublishStatus": "SUCCEEDED",
}


@dataclass(frozen=True)
class Case:
    """
    A command line.

    Args:
        answers: what the server answers, one after the other: body and status.
        files: by their names below the home directory, which is also where it is run.
        masked: the texts behind '#' are not compared, since they are the API's.
    """

    name: str
    words: tuple[str, ...]
    answers: tuple[tuple[Any, int], ...] = (({}, 200),)
    env: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)
    masked: bool = False


def answering(*bodies: Any, status: int = 200) -> tuple[tuple[Any, int], ...]:
    """Answer with these bodies, one after the other."""
    return tuple((each, status) for each in bodies)


def config(text: str) -> dict[str, str | bytes]:
    """A config file with a default profile."""
    return {".aws/config": f"[default]\n{text}\n"}


def record(value: str) -> dict[str, Any]:
    """A listing of one record."""
    return {"Records": [{"Key": "k", "Value": value, "SyncCount": 1}], "Count": 1}


# What a writer of YAML may want to quote, escape, fold or part.
VALUES = {
    "yes": "yes",
    "no": "no",
    "on": "on",
    "null": "null",
    "tilde": "~",
    "empty": "",
    "true": "true",
    "integer": "42",
    "octal": "0o17",
    "old-octal": "017",
    "hexadecimal": "0x1f",
    "float": "1.5",
    "exponent": "1e3",
    "underscores": "1_000",
    "infinity": ".inf",
    "date": "2014-11-05",
    "time": "12:30:45",
    "instant": "2014-11-05T18:40:45Z",
    "equals": "=",
    "merge": "<<",
    "dash": "-",
    "dash-text": "- a",
    "question": "? a",
    "colon": "a: b",
    "colon-at-end": "a:",
    "arn": "arn:aws:iam::000000000000:role/sync",
    "comment": "a #b",
    "hash": "#a",
    "bang": "!a",
    "ampersand": "&a",
    "star": "*a",
    "percent": "%a",
    "at": "@a",
    "backtick": "`a",
    "brackets": "[a, b]",
    "braces": '{"a": 1}',
    "single-quoted": "'a'",
    "double-quoted": '"a"',
    "apostrophe": "it's",
    "backslash": "a\\b",
    "leading-blank": " a",
    "trailing-blank": "a ",
    "tab": "a\tb",
    "two-lines": "a\nb",
    "last-line-ends": "a\n",
    "lines-and-blanks": "a\n\n  b\n",
    "carriage-return": "a\r\nb",
    "long-word": "x" * 120,
    "long-text": "some words " * 20,
    "long-quoted": "it's: " * 30,
    "accents": "é ü ß",
    "kanji": "日本語",
    "emoji": "🚀",
    "long-accents": "é ü " * 40,
    "next-line": "a\u0085b",
    "line-separator": "a\u2028b",
    "byte-order-mark": "\ufeffa",
    "bell": "a\u0007b",
    "delete": "a\u007fb",
    "document": "---",
    "end": "...",
    "pipe": "|",
}


def _yaml_output() -> Iterator[Case]:
    yaml = ("--output", "yaml", *HERE)
    for name, value in VALUES.items():
        listing = answering(record(value))
        yield Case(f"yaml/value-{name}", (*RECORDS, *yaml), listing)
    for name in ("yes", "two-lines", "long-text", "emoji", "instant"):
        scalar = (*RECORDS, "--query", "Records[0].Value", *yaml)
        yield Case(f"yaml/scalar-{name}", scalar, answering(record(VALUES[name])))
    shapes = {
        "details": (DETAILS, DONE),
        "nothing": (DETAILS, {}),
        "empty-list": (RECORDS, {"Records": [], "Count": 0}),
        "booleans": (
            RECORDS,
            {"DatasetExists": True, "DatasetDeletedAfterRequestedSyncCount": False},
        ),
        "numbers": (RECORDS, {"Count": 0, "DatasetSyncCount": 123456789012345}),
        "names": (RECORDS, {"MergedDatasetNames": ["a", "b", "1", "no"]}),
        "null-in-list": (RECORDS, {"MergedDatasetNames": ["a", None]}),
        "map": (
            ("cognito-sync", "get-cognito-events", "--identity-pool-id", POOL),
            {"Events": {"b": "1", "a": "x: y", "SyncTrigger": "arn"}},
        ),
        "nested": (
            ("cognito-sync", "get-identity-pool-configuration", *DETAILS[2:]),
            {
                "IdentityPoolId": POOL,
                "PushSync": {"ApplicationArns": ["a", "b"], "RoleArn": "r"},
                "CognitoStreams": {"StreamName": "s", "StreamingStatus": "ENABLED"},
            },
        ),
    }
    for name, (line, answer) in shapes.items():
        yield Case(f"yaml/{name}", (*line, *yaml), answering(answer))
        stream = (*line, "--output", "yaml-stream", *HERE)
        yield Case(f"yaml-stream/{name}", stream, answering(answer))
    listing = answering({"Records": [{"Key": "a", "SyncCount": 1}, {"Key": "b"}]})
    for name, query in {
        "list": "Records[].Key",
        "pairs": "Records[].[Key, SyncCount]",
        "hash": "{Names: Records[].Key, First: Records[0]}",
        "null": "Nothing",
        "number": "length(Records)",
        "true": "length(Records) == `2`",
        "float": "`1.5`",
        "empty": "Records[?Key == 'c']",
    }.items():
        for output in ("yaml", "yaml-stream"):
            line = (*RECORDS, "--query", query, "--output", output, *HERE)
            yield Case(f"{output}/query-{name}", line, listing)
    yield Case(
        "yaml/profile", (*DETAILS, *HERE), answering(DONE), {}, config("output = yaml")
    )
    yield Case(
        "yaml/variable",
        (*DETAILS, *HERE),
        answering(DONE),
        {"AWS_DEFAULT_OUTPUT": "yaml-stream"},
    )
    yield Case(
        "yaml/option-wins",
        (*DETAILS, "--output", "text", *HERE),
        answering(DONE),
        {},
        config("output = yaml"),
    )
    yield Case(
        "yaml/not-a-form",
        (*DETAILS, *HERE),
        answering(DONE),
        {},
        config("output = yml"),
    )
    yield Case("yaml/not-a-choice", (*DETAILS, "--output", "yml", *HERE))
    sample = (*DETAILS, "--generate-cli-skeleton", "output")
    yield Case("yaml/sample", (*sample, "--output", "yaml"))
    yield Case("yaml-stream/sample", (*sample, "--output", "yaml-stream"))


def _pages() -> Iterator[Case]:
    pages = answering(
        {
            "IdentityPools": [{"IdentityPoolId": "1"}, {"IdentityPoolId": "2"}],
            "NextToken": "t1",
        },
        {"IdentityPools": [{"IdentityPoolId": "3"}]},
    )
    limited = ("--page-size", "2")
    for output in ("json", "text", "table", "yaml", "yaml-stream"):
        line = (*POOLS, *limited, "--cli-input-json", "{}")
        yield Case(f"pages/{output}", (*line, "--output", output, *HERE), pages)
        cut = (*line, "--max-items", "1", "--output", output, *HERE)
        yield Case(f"pages/{output}-cut", cut, pages)
    line = (*POOLS, "--cli-input-json", '{"MaxResults": 2}', *HERE)
    yield Case("pages/limit-in-input", line, pages)
    yield Case("pages/limit-in-input-and-cut", (*line, "--max-items", "1"), pages)
    streams = answering(
        {"StreamNames": ["a", "b"], "HasMoreStreams": True, "NextToken": "t1"},
        {"StreamNames": ["c"], "HasMoreStreams": False},
    )
    yield Case("pages/streams", (*STREAMS, *HERE), streams)
    yield Case(
        "pages/streams-yaml", (*STREAMS, "--output", "yaml-stream", *HERE), streams
    )
    yield Case(
        "pages/streams-from", (*STREAMS, "--starting-token", "t0", *HERE), streams
    )
    yield Case("pages/by-hand", (*STREAMS, "--limit", "1", "--max-items", "1", *HERE))
    yield Case("pages/none", (*STREAMS, "--no-paginate", "--max-items", "1", *HERE))


def _yaml_input() -> Iterator[Case]:
    def given(text: str) -> tuple[str, ...]:
        return (*DETAILS[:2], "--cli-input-yaml", text, *HERE)

    texts = {
        "block": f"IdentityPoolId: {POOL}",
        "quoted": f"IdentityPoolId: '{POOL}'",
        "flow": '{"IdentityPoolId": "p"}',
        "comment": f"# which one\nIdentityPoolId: {POOL}  # this one\n",
        "document": f"---\nIdentityPoolId: {POOL}\n...\n",
        "two-documents": "IdentityPoolId: a\n---\nIdentityPoolId: b\n",
        "anchor": "IdentityPoolId: &a x\n",
        "unknown-anchor": "IdentityPoolId: *a",
        "number": "IdentityPoolId: 5",
        "old-boolean": "IdentityPoolId: yes",
        "boolean": "IdentityPoolId: true",
        "null": "IdentityPoolId:",
        "list": "[1, 2]",
        "scalar": "hello",
        "empty": "",
        "unknown": "Nope: 1",
        "twice": "IdentityPoolId: a\nIdentityPoolId: b\n",
        "unclosed": "IdentityPoolId: [a",
        "tab": "IdentityPoolId:\n\t- a",
        "tag": "IdentityPoolId: !nope a",
        "python-tag": "IdentityPoolId: !!python/name:os.system",
    }
    for name, text in texts.items():
        yield Case(f"yaml-input/{name}", given(text))
    for name, path in {
        "file": "file://in.yaml",
        "bytes": "fileb://in.yaml",
        "missing": "file://none.yaml",
    }.items():
        files: dict[str, str | bytes] = {"in.yaml": f"IdentityPoolId: {POOL}\n"}
        yield Case(f"yaml-input/{name}", given(path), files=files)
    json = ("--cli-input-json", "{}")
    yield Case("yaml-input/both", (*given("a: 1"), *json))
    yield Case("yaml-input/option-wins", (*DETAILS, *given("IdentityPoolId: x")[2:]))
    yield Case("yaml-input/equals", (*DETAILS[:2], "--cli-input-yaml=a: 1", *HERE))
    patches = "RecordPatches:\n- {Op: replace, Key: a, Value: '1', SyncCount: 0}\n"
    yield Case("yaml-input/patches", (*UPDATE, "--cli-input-yaml", patches, *HERE))
    dated = (
        "RecordPatches:\n- Op: replace\n  Key: a\n  SyncCount: 0\n"
        "  DeviceLastModifiedDate: 2014-11-05T18:40:45Z\n"
    )
    yield Case("yaml-input/date", (*UPDATE, "--cli-input-yaml", dated, *HERE))
    for name, text in {
        "binary": "Data: !!binary aGVsbG8=\nPartitionKey: p\nStreamName: s\n",
        "base64": "Data: aGVsbG8=\nPartitionKey: p\nStreamName: s\n",
    }.items():
        line = (*PUT[:2], "--cli-input-yaml", text, *HERE)
        yield Case(f"yaml-input/{name}", line)
    for operation in (
        ("cognito-sync", "get-bulk-publish-details"),
        ("cognito-sync", "set-identity-pool-configuration"),
        ("cognito-sync", "set-cognito-events"),
        ("cognito-sync", "update-records"),
        ("cognito-sync", "list-identity-pool-usage"),
        ("cognito-sync", "register-device"),
        ("cognito-identity", "delete-identities"),
        ("cognito-identity", "set-identity-pool-roles"),
        ("kinesis", "put-record"),
        ("kinesis", "put-records"),
        ("kinesis", "get-shard-iterator"),
        ("sts", "get-caller-identity"),
        ("sts", "assume-role-with-web-identity"),
    ):
        skeleton = (*operation, "--generate-cli-skeleton", "yaml-input")
        yield Case(f"skeleton/{operation[1]}", skeleton, masked=True)
    enums = ("kinesis", "get-shard-iterator", "--generate-cli-skeleton")
    yield Case("skeleton/first-of-an-enum", enums)


def _options() -> Iterator[Case]:
    done = answering(DONE)
    for option in ("--no-cli-pager", "--no-cli-auto-prompt"):
        yield Case(f"options/{option[2:]}", (*DETAILS, option, *HERE), done)
        yield Case(f"options/{option[2:]}-first", (option, *DETAILS, *HERE), done)
    yield Case("options/no-cli", (*DETAILS, "--no-cli", *HERE), done)
    yield Case("options/no-cli-p", (*DETAILS, "--no-cli-p", *HERE), done)
    yield Case("options/pager-variable", (*DETAILS, *HERE), done, {"AWS_PAGER": "nope"})
    yield Case(
        "options/pager-profile",
        (*DETAILS, *HERE),
        done,
        {"AWS_PAGER": None},
        config("cli_pager = nope"),
    )
    yield Case(
        "options/prompt-off", (*DETAILS, *HERE), done, {"AWS_CLI_AUTO_PROMPT": "off"}
    )
    yield Case("options/v2-debug", (*DETAILS, "--v2-debug", *HERE), done)
    data = ("aGVsbG8=", "aGVsbG8", "hello", "é", "", "!!!!", "file://text")
    for form in (
        (),
        ("--cli-binary-format", "base64"),
        ("--cli-binary-format", "raw-in-base64-out"),
    ):
        for value in data:
            name = f"binary/{form[-1] if form else 'default'}-{value}"
            files: dict[str, str | bytes] = {"text": "aGVsbG8=\n"}
            yield Case(name, (*PUT, "--data", value, *form, *HERE), files=files)
    raw = config("cli_binary_format = raw-in-base64-out")
    yield Case("binary/profile", (*PUT, "--data", "hello", *HERE), files=raw)
    yield Case(
        "binary/option-wins",
        (*PUT, "--data", "aGVsbG8=", "--cli-binary-format", "base64", *HERE),
        files=raw,
    )
    yield Case(
        "binary/no-form", (*PUT, "--data", "x", "--cli-binary-format", "raw", *HERE)
    )
    yield Case(
        "binary/bytes", (*PUT, "--data", "fileb://b", *HERE), files={"b": b"\xff\x00"}
    )
    entries = ("kinesis", "put-records", "--stream-name", "s", "--records")
    yield Case("binary/entries", (*entries, "Data=aGVsbG8=,PartitionKey=1", *HERE))
    yield Case("binary/json", (*entries, '[{"Data": "x", "PartitionKey": "1"}]', *HERE))
    got = {
        "Records": [
            {
                "SequenceNumber": "1",
                "Data": "aGVsbG8=",
                "PartitionKey": "p",
                "ApproximateArrivalTimestamp": WHEN,
            }
        ]
    }
    for output in ("json", "text", "yaml"):
        line = ("kinesis", "get-records", "--shard-iterator", "i", "--output", output)
        yield Case(f"binary/out-{output}", (*line, *HERE), answering(got))


def _statuses() -> Iterator[Case]:
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    yield Case("status/no-credentials", (*DETAILS, *HERE), env={**none})
    yield Case("status/no-region", (*DETAILS, *HERE), env={"AWS_DEFAULT_REGION": None})
    yield Case("status/no-profile", (*DETAILS, "--profile", "nope", *HERE))
    yield Case("status/no-option", (*DETAILS, "--nope", *HERE))
    yield Case("status/no-operation", ("cognito-sync", "nope"))
    yield Case("status/missing-option", (*DETAILS[:2], *HERE))
    yield Case("status/bad-query", (*DETAILS, "--query", "[", *HERE))
    yield Case("status/bad-shorthand", (*UPDATE, "--record-patches", "a", *HERE))
    yield Case("status/bad-json", (*UPDATE, "--record-patches", "[{", *HERE))
    yield Case("status/bad-parameter", (*UPDATE, "--record-patches", "a=b", *HERE))
    yield Case("status/bad-timeout", (*DETAILS, "--cli-read-timeout", "x", *HERE))
    yield Case("status/bad-token", (*STREAMS, "--starting-token", "a___b___1", *HERE))
    yield Case(
        "status/bad-times",
        (*DETAILS, *HERE),
        files=config("cli_timestamp_format = none"),
    )
    yield Case(
        "status/file-that-is-none", (*DETAILS, *HERE), files={".aws/config": "nonsense"}
    )
    yield Case("status/no-server", (*DETAILS, "--endpoint-url", "http://127.0.0.1:9"))
    for status in (301, 400, 403, 404, 409, 429, 500, 503):
        error = answering({"__type": "SomeException", "message": "m"}, status=status)
        yield Case(f"status/{status}", (*DETAILS, *HERE), error)
        yield Case(f"status/{status}-kinesis", (*STREAMS, *HERE), error)
    who = ("sts", "get-caller-identity", *HERE)
    xml = (
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>m</Message></Error>"
        "</ErrorResponse>"
    )
    yield Case("status/xml", who, answering(xml, status=403))
    twice = (({"message": "m"}, 500), ({"message": "m"}, 500), (DONE, 200))
    yield Case(
        "retry/third-attempt", (*DETAILS, *HERE), twice, {"AWS_MAX_ATTEMPTS": None}
    )
    yield Case("retry/legacy", (*DETAILS, *HERE), env={"AWS_RETRY_MODE": "legacy"})
    yield Case(
        "retry/none-left",
        (*DETAILS, *HERE),
        answering({"message": "m"}, status=500),
        {"AWS_MAX_ATTEMPTS": "2"},
    )


def _settings() -> Iterator[Case]:
    done = answering(DONE)
    here = (*DETAILS, *HERE)
    yield Case("region/first-variable", here, done, {"AWS_REGION": "eu-west-1"})
    yield Case(
        "region/first-alone",
        here,
        done,
        {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": None},
    )
    yield Case(
        "region/option-wins",
        (*here, "--region", "eu-west-3"),
        done,
        {"AWS_REGION": "eu-west-1"},
    )
    yield Case(
        "region/over-profile",
        here,
        done,
        {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": None},
        config("region = eu-west-2"),
    )
    yield Case("region/empty", here, done, {"AWS_REGION": ""})
    yield Case("times/wire", here, done, {}, config("cli_timestamp_format = wire"))
    yield Case(
        "times/iso8601", here, done, {}, config("cli_timestamp_format = iso8601")
    )
    for name, value in {
        "zero": 0,
        "negative": -1.5,
        "text": "2014-11-05T18:40:45+02:00",
        "number-in-text": "1415212845",
        "large": 253402300800,
        "nonsense": "x",
    }.items():
        for output in ("json", "yaml"):
            line = (*DETAILS, "--output", output, *HERE)
            yield Case(
                f"times/{name}-{output}",
                line,
                answering({"BulkPublishStartTime": value}),
            )
    url = (*DETAILS[:3], "{stub}/id", *HERE)
    yield Case("url/is-text", url)
    yield Case(
        "url/is-text-whatever-is-set", url, files=config("cli_follow_urlparam = true")
    )
    who = """<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>a</Arn>
    <UserId>u</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>"""
    for output in ("json", "text", "table", "yaml"):
        asking = ("sts", "get-caller-identity", "--output", output, *HERE)
        yield Case(f"sts/{output}", asking, answering(who))


CASES: dict[str, Case] = {}
for _cases in (_yaml_output, _pages, _yaml_input, _options, _statuses, _settings):
    for _case in _cases():
        assert _case.name not in CASES, _case.name
        CASES[_case.name] = _case
