"""Runs the command lines of `aws2_cases`, and keeps what a program did."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.aws2_cases import Case
from cli.stub import Stub
from millpond.testing.deadlines import seconds

PROGRAM = "/usr/bin/aws"
RECORDED = Path(__file__).with_name("aws2_recorded.jsonl")
_BASE: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIDTEST",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_PAGER": "",
    "TZ": "UTC",
}
_COMMENT = re.compile(r"#( \[REQUIRED\])?.*")
_ESCAPED_HOST = re.compile(r"127\.0\.0\.1%3A[0-9]+")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^,]+),")


def environment(case: Case) -> dict[str, str]:
    """Give the variables of a case."""
    merged = {**_BASE, **case.env}
    return {name: value for name, value in merged.items() if value is not None}


def prepare(case: Case, home: Path, stub: Stub) -> list[str]:
    """Write the files of a case, load the server, and give the words."""
    for name, content in case.files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    stub.received.clear()
    stub.answers.clear()
    for body, status in case.answers:
        stub.will_answer(body, status)
    return [word.replace("{stub}", stub.url) for word in case.words]


def outcome(
    case: Case, home: Path, stub: Stub, code: int, out: str, err: str
) -> dict[str, Any]:
    """Put what a program did in a form that can be kept and compared."""
    out = out.replace(stub.url, "{stub}")
    if case.masked:
        out = _COMMENT.sub(r"#\1", out)
    return {
        "code": code,
        "out": out,
        "err": err.replace(stub.url, "{stub}").replace(str(home), "{home}"),
        "sent": [
            {
                "method": each.method,
                "target": _ESCAPED_HOST.sub("{host}", each.target),
                "content_type": each.headers.get("content-type"),
                "amz_target": each.headers.get("x-amz-target"),
                "scope": "".join(_SCOPE.findall(each.headers.get("authorization", ""))),
                "body": each.body.decode().replace(stub.url, "{stub}"),
            }
            for each in stub.received
        ],
    }


def run_program(program: str, case: Case, home: Path, stub: Stub) -> dict[str, Any]:
    """Run a program from outside."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    words = prepare(case, home, stub)
    done = subprocess.run(
        [program, *words],
        env={
            **environment(case),
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
        },
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds(60),
        check=False,
    )
    texts = (done.stdout.decode(), done.stderr.decode())
    return outcome(case, home, stub, done.returncode, *texts)


def version_of(program: str) -> str | None:
    """Tell the release of an AWS CLI; `None` when there is none of version 2."""
    if not os.path.isfile(program):
        return None
    told = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.match(r"aws-cli/(2[^ ]*)", told)
    return found[1] if found else None


def load() -> dict[str, dict[str, Any]]:
    """Read what was recorded, by the names of the cases."""
    with RECORDED.open(encoding="utf-8", newline="\n") as lines:
        return {each.pop("name"): each for each in map(json.loads, lines)}
