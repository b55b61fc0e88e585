"""
Edits of a dataset that are not sent yet: the stage, which is carried in its form.

A form with a stage has, for each record, a hidden text that says what was seen when the
edit began (`Seen`), what is to be done with it, and its new value. Nothing of it is
kept on the server: whoever sends the form sends all of it, with script and without.

Browsers end the lines of what is typed with CR LF, whatever they ended with. So a value
is compared as a form would send it, and one that nobody typed in is not sent; the line
ends that a value had are given back to it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from millpond import limits
from millpond.console.base import Fields, Refused
from millpond.contract.cognito_sync import RecordPatch
from millpond.core import sync
from millpond.core.sync import StoredRecord, SyncLimits, utf8_bytes
from millpond.errors import ServiceException

STAGED_MAX: Final = 100
BASE_CHARS: Final = 2000  # of the value that was seen; it is shown cut as well
GROWTH_MAX: Final = 16  # of JSON that is set out over lines
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
REPLACE: Final = "replace"
REMOVE: Final = "remove"
MINE: Final = "mine"
THEIRS: Final = "theirs"

_Count = Annotated[int, msgspec.Meta(ge=0, le=limits.LONG_MAX)]


class Seen(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """
    A record as it was when its edit began.

    Args:
        count: its sync count; 0 for one that was not there.
        value: the beginning of its value; None when there was none.
        chars: how long the value was.
        size: what it counted towards the size of the dataset.
        digest: of the value as a form sends it; empty when there was none.
        line_end: how the lines of the value ended.
        theirs: the sync count that a conflict showed; None: there was none.
    """

    key: str
    count: _Count = 0
    value: str | None = None
    chars: _Count = 0
    size: _Count = 0
    digest: str = ""
    line_end: Literal["\n", "\r\n", "\r"] = "\n"
    theirs: _Count | None = None


class Staged(msgspec.Struct, kw_only=True):
    """An edit of one record."""

    seen: Seen
    op: str = REPLACE
    value: str = ""  # with lines that end in LF
    choice: str = ""  # in a conflict: mine or theirs

    @property
    def is_new(self) -> bool:
        """Whether there was no such record."""
        return self.seen.value is None

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to be sent."""
        if self.op == REMOVE:
            return not self.is_new
        return self.is_new or _digest(self.value) != self.seen.digest

    @property
    def sent_value(self) -> str:
        """The value with the line ends that it had."""
        return self.value.replace("\n", self.seen.line_end)

    def to_patch(self, now_ms: int) -> RecordPatch:
        """Give what is sent of it."""
        return RecordPatch(
            op="remove" if self.op == REMOVE else "replace",
            key=self.seen.key,
            value=None if self.op == REMOVE else self.sent_value,
            sync_count=self.seen.count,
            device_last_modified_date=now_ms / 1000,
        )


def begin(key: str, record: StoredRecord | None) -> Staged:
    """Begin to edit a record, or to add one."""
    if record is None:
        return Staged(seen=Seen(key=key))
    value = record.value
    if value is None:  # over a tombstone: a new record, which names its count
        return Staged(seen=Seen(key=key, count=record.sync_count))
    plain = _plain(value)
    seen = Seen(
        key=key,
        count=record.sync_count,
        value=value[:BASE_CHARS],
        chars=len(value),
        size=record.size_bytes,
        digest=_digest(plain),
        line_end=_line_end(value),
    )
    return Staged(seen=seen, value=plain)


def read(form: Fields) -> list[Staged]:
    """
    Read the stage of a form.

    Raises:
        Refused: it is none of ours, or too long.
    """
    staged: list[Staged] = []
    while f"seen-{len(staged)}" in form:
        number = len(staged)
        if number == STAGED_MAX:
            raise Refused(400, f"At most {STAGED_MAX} records are edited at a time.")
        try:
            seen = msgspec.json.decode(form.long_text(f"seen-{number}"), type=Seen)
        except msgspec.MsgspecError as error:
            raise Refused(400, "The edits cannot be read; begin again.") from error
        staged.append(
            Staged(
                seen=seen,
                op=form.choice(f"op-{number}", (REPLACE, REMOVE), REPLACE),
                value=_plain(form.long_text(f"value-{number}")),
                choice=form.choice(f"choice-{number}", (MINE, THEIRS, ""), ""),
            )
        )
    if len({each.seen.key for each in staged}) < len(staged):
        raise Refused(400, "A record is there twice; begin again.")
    return staged


def read_keys(texts: Iterable[str]) -> list[str]:
    """
    Read keys that forms and links carry, each spelt as JSON: forms change line ends.

    Raises:
        Refused: they are none, or too many.
    """
    try:
        keys = [msgspec.json.decode(each, type=str) for each in texts]
    except msgspec.MsgspecError as error:
        raise Refused(400, "That is not the key of a record.") from error
    if len(set(keys)) > STAGED_MAX:
        raise Refused(400, f"At most {STAGED_MAX} records are edited at a time.")
    return [*dict.fromkeys(keys)]


def spell_key(key: str) -> str:
    """Spell a key as `read_keys` reads it."""
    return msgspec.json.encode(key).decode()


def check(staged: Sequence[Staged], sync_limits: SyncLimits) -> dict[str, str]:
    """Say, by field, what the server would refuse of single records."""
    errors = {}
    for number, each in enumerate(staged):
        try:
            sync.check_patches([each.to_patch(0)], limits=sync_limits)
        except ServiceException as error:
            errors[f"value-{number}"] = error.message
        if each.seen.theirs is not None and not each.choice:
            errors[f"choice-{number}"] = "Choose which one is to stay."
    return errors


def settle(staged: Iterable[Staged]) -> list[Staged]:
    """Give the edits that are left once it is chosen, for each conflict, what stays."""
    left = []
    for each in staged:
        if each.seen.theirs is not None:
            if each.choice == THEIRS:
                continue
            count = each.seen.theirs
            seen = msgspec.structs.replace(each.seen, count=count, theirs=None)
            each = msgspec.structs.replace(each, seen=seen)
        left.append(each)
    return left


def meet(
    staged: Iterable[Staged], records: Mapping[str, StoredRecord]
) -> list[tuple[Staged, StoredRecord | None]]:
    """
    Set beside each edit what is there now, where that is not what was seen.

    Args:
        records: of the keys of the edits, as they are now.
    """
    met = []
    for each in staged:
        now = records.get(each.seen.key)
        count = 0 if now is None else now.sync_count
        is_gone = now is None or now.value is None
        same = count == each.seen.count or (is_gone and each.seen.count == 0)
        theirs = None if same else count
        seen = msgspec.structs.replace(each.seen, theirs=theirs)
        choice = each.choice if theirs == each.seen.theirs else ""
        met.append((msgspec.structs.replace(each, seen=seen, choice=choice), now))
    return met


def measure(staged: Iterable[Staged]) -> tuple[int, int]:
    """Say by how many records and bytes the edits let the dataset grow."""
    records = size = 0
    for each in staged:
        was = 0 if each.is_new else 1
        is_there = 0 if each.op == REMOVE else 1
        records += is_there - was
        size -= each.seen.size
        if is_there:
            size += utf8_bytes(each.seen.key) + utf8_bytes(each.sent_value)
    return records, size


def format_json(text: str) -> str | None:
    """
    Set JSON out over lines, its numbers as they stand; None: it is not JSON, or so deep
    that it would become many times as long.
    """
    try:
        msgspec.json.decode(text, type=Any)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    # Each line begins with two spaces for each bracket that is open: a text of some KiB
    # can ask for hundreds of MiB.
    bare = _STRING.sub("", text)
    steps = [_STEPS[each] for each in bare if each in _STEPS]
    deepest = max(itertools.accumulate(steps), default=0)
    lines = bare.count(",") + len(steps) + 1
    if 2 * deepest * lines > GROWTH_MAX * len(text) + 4096:
        return None
    return msgspec.json.format(text, indent=2)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line_end(text: str) -> Literal["\n", "\r\n", "\r"]:
    if "\r\n" in text:
        return "\r\n"
    return "\r" if "\r" in text else "\n"


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()
