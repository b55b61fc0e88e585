"""
What a device finds out before it queues a write that the server could not take.

The numbers are the server's (`core.sync`): live records and their bytes count, keys and
values in UTF-8; a removed record counts nothing; a dataset that is over a limit may
still shrink; datasets that a merge put beside others do not count. A device knows what
it has, and others may have written since, so the server's word stays the last one: what
it refuses all the same is set aside (`session`).

Keys are held to less than the server takes. The archived clients for JavaScript refuse
to read or write a key that is not made of 1 to 128 letters, digits, `_`, `-`, `.` and
`:`, so an app that still has them keeps to that; `any_key` is for those that do not. A
record that is there already may be written whatever its key.

Text that no request can carry is refused as well: NUL, which the API does not take, and
half of a surrogate pair, which is no character. Either would be a refusal of the whole
update that it travels in.

Source: rulings 9 and 24; decision 5; the sources of the archived clients.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec

from millpond import limits
from millpond.core.sync import utf8_bytes

PORTABLE_KEY_CHARS_MAX: Final = 128  # all archived clients; the API has 1024

LimitName = Literal[
    "record_key_chars",
    "record_key_characters",
    "record_value_chars",
    "record_value_characters",
    "records_per_dataset",
    "dataset_bytes",
    "datasets_per_identity",
]

_NOT_PORTABLE: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_MERGED: Final = re.compile(
    r"(.+)\.[\w-]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\d{1,2})?"
)
_BLANKS: Final = "".join(map(chr, range(ord(" ") + 1)))


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a device keeps to; where a server has other settings, the app says so.

    Args:
        record_key_chars: of a key. The server takes 1024, but a longer one than this is
            refused by clients of other makes.
        any_key: keys may have all characters that the server takes.
        record_value_chars: of a value, as text.
        records_per_dataset: those that are not removed.
        dataset_bytes: of their keys and values, in UTF-8.
        datasets_per_identity: those that are not deleted.
    """

    record_key_chars: int = PORTABLE_KEY_CHARS_MAX
    any_key: bool = False
    record_value_chars: int = limits.RECORD_VALUE_CHARS_MAX
    records_per_dataset: int = limits.RECORDS_PER_DATASET_MAX
    dataset_bytes: int = limits.DATASET_BYTES_MAX
    datasets_per_identity: int = limits.DATASETS_PER_IDENTITY_MAX


DEFAULT: Final = Limits()


class Usage(msgspec.Struct, frozen=True):
    """What a dataset holds: live records, and their bytes as the server counts them."""

    records: int = 0
    bytes: int = 0


class Excess(msgspec.Struct, frozen=True):
    """
    The limit that a write would pass.

    Args:
        number: what there would be.
        most: the limit; of characters that are not allowed there may be 0.
    """

    limit: LimitName
    number: int
    most: int


def usage(values: Iterable[tuple[str, str]]) -> Usage:
    """Count what a dataset holds, given its live records."""
    records = size = 0
    for key, value in values:
        records += 1
        size += _size(key, value)
    return Usage(records, size)


def written(held: Usage, key: str, before: str | None, after: str | None) -> Usage:
    """Count anew after a write, without the other records."""
    return Usage(
        held.records + (after is not None) - (before is not None),
        held.bytes + _size(key, after) - _size(key, before),
    )


def excess(
    held: Usage,
    key: str,
    before: str | None,
    after: str | None,
    most: Limits = DEFAULT,
) -> Excess | None:
    """
    Say which limit a write of a record would pass, if any.

    Args:
        held: what the dataset holds before it.
        before: the value that the record has; `None`: there is no such record.
        after: the one it shall have, as it is sent: after encoding and encryption.
            `None` removes it, which is always possible.
    """
    if after is None:
        return None
    found = (_of_key(key, most) if before is None else None) or _of_value(after, most)
    if found is not None:
        return found
    now = written(held, key, before, after)
    if held.records < now.records > most.records_per_dataset:
        return Excess("records_per_dataset", now.records, most.records_per_dataset)
    if held.bytes < now.bytes > most.dataset_bytes:
        return Excess("dataset_bytes", now.bytes, most.dataset_bytes)
    return None


def dataset_excess(
    name: str, others: Collection[str], most: Limits = DEFAULT
) -> Excess | None:
    """
    Say which limit a new dataset would pass, if any.

    Args:
        others: the datasets of the identity that have something in them, as far as the
            device knows.
    """
    if name in others or is_merged(name):
        return None
    number = sum(not is_merged(each) for each in others) + 1
    if number > most.datasets_per_identity:
        return Excess("datasets_per_identity", number, most.datasets_per_identity)
    return None


def is_merged(name: str) -> bool:
    """
    Tell whether a dataset came with a merged identity, `<name>.<its id>`.

    The second of one identity has a number behind it (docs/identities.md).
    """
    return _MERGED.fullmatch(name) is not None


def root_name(name: str) -> str:
    """Name the dataset that a merged one goes into; any other one is its own."""
    found = _MERGED.fullmatch(name)
    return name if found is None else found[1]


def _of_key(key: str, most: Limits) -> Excess | None:
    if not 0 < len(key) <= most.record_key_chars:
        return Excess("record_key_chars", len(key), most.record_key_chars)
    if not most.any_key:
        wrong = len(_NOT_PORTABLE.findall(key))
    elif not key.strip(_BLANKS):
        wrong = len(key)
    else:
        wrong = len(_NOT_TEXT.findall(key))
    return Excess("record_key_characters", wrong, 0) if wrong else None


def _of_value(value: str, most: Limits) -> Excess | None:
    if len(value) > most.record_value_chars:
        return Excess("record_value_chars", len(value), most.record_value_chars)
    wrong = len(_NOT_TEXT.findall(value))
    return Excess("record_value_characters", wrong, 0) if wrong else None


def _size(key: str, value: str | None) -> int:
    return 0 if value is None else utf8_bytes(key) + utf8_bytes(value)
