"""The cases that clients of all languages keep, with the rules of this one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.client_sync_world import NAME
from millpond.core.client_sync import copies
from millpond.core.client_sync.following import follow
from millpond.core.client_sync.session import Done, Event, advance, start

CASES = Path(__file__).parents[1] / "client_cases"
MERGES: dict[str, copies.Merge] = {
    "newest": copies.newest,
    "mine": lambda key, base, mine, theirs: mine.value,
    "theirs": lambda key, base, mine, theirs: theirs.value,
    "unreadable": lambda key, base, mine, theirs: (
        mine.value if theirs.value is None else copies.Aside(copies.UNREADABLE)
    ),
}
OTHER_FORMS = ("codec", "following", "quota")
MEMBERS = {"case", "copy", "exchange", "report", "after"}


def cases(*, form: str = "") -> Iterator[Any]:
    """List those of a form, which the names of its files begin with."""
    for file in sorted(CASES.glob("*.json")):
        if next(filter(file.stem.startswith, OTHER_FORMS), "") == form:
            for each in json.loads(file.read_text("utf-8")):
                yield pytest.param(each, id=f"{file.stem}: {each['case']}")


def as_json(value: object) -> Any:
    """Write and read a value."""
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.mark.parametrize("case", [*cases()])
def test_case(case):
    """Call by call, what is asked for, what is told and what is kept are the case's."""
    assert case.keys() >= MEMBERS
    assert case.keys() <= MEMBERS | {"old_clients", "merge"}
    merge = MERGES[case.get("merge", "newest")]
    session = start(NAME, msgspec.convert(case["copy"], copies.Copy, strict=True))

    for step in case["exchange"]:
        assert as_json(session.effect) == step["effect"]
        copy = session.copy
        for key, value, now_ms in step.get("meanwhile", ()):
            copy = copies.write(copy, key, value, now_ms=now_ms)
        session = msgspec.structs.replace(session, copy=copy)
        session = advance(session, msgspec.convert(step["event"], Event), merge)

    assert isinstance(session.effect, Done)
    assert as_json(session.effect) == {"do": "done", **case["report"]}
    assert as_json(session.copy) == case["after"]


def test_a_deleted_dataset_keeps_nothing():
    """What is deleted here is gone at once, with what was not sent yet."""
    copy = copies.write(copies.Copy(sync_count=3), "a", "1", now_ms=1)

    assert copies.delete(copy) == copies.Copy(sync_count=3, deleting=True)
    assert copies.write(copies.delete(copy), "b", "2", now_ms=2).values == {"b": "2"}


@pytest.mark.parametrize("case", [*cases(form="following")])
def test_what_a_guest_wrote_follows(case):
    """Of a guest's copy and an account's, what becomes of the two is the case's."""
    assert case.keys() >= {"case", "account", "guest", "after"}
    assert case.keys() <= {"case", "account", "guest", "after", "merge", "old_clients"}
    account, guest = (
        msgspec.convert(case[name], copies.Copy, strict=True)
        for name in ("account", "guest")
    )

    after = follow(account, guest, f"{NAME}.guest", MERGES[case.get("merge", "newest")])

    assert as_json(after) == case["after"]
