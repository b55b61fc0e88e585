"""
Who is right where both sides changed a record.

`newest`, `mine` and `theirs` compare records as the rules have them; a function of the
app gets plain values and gives one, and `None` stands for a record that is not there.
It is asked while nobody may write, perhaps more than once, and on every device: it has
to be pure, quick, and the same everywhere.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from millpond.core.client_sync.copies import (
        Aside,
        LocalRecord,
        Merge,
        RemoteRecord,
    )

    AppMerge = Callable[[str, Any, Any, Any], Any]
    """Of a key, its base, mine and theirs: the value that both become."""


def newest(
    key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
) -> str | None:
    """Take what was written last, by the clocks of the devices."""
    from millpond.core.client_sync import copies

    return copies.newest(key, base, mine, theirs)


def mine(
    key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
) -> str | None:
    """Take what was written here."""
    return mine.value


def theirs(
    key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
) -> str | None:
    """Take what the server has."""
    return theirs.value


_OF_RULES = (newest, mine, theirs)


def of_app(
    merge: Merge | AppMerge,
    encode: Callable[[str, Any, Sequence[str]], str],
    decode: Callable[[str, str], Any] | None,
) -> Merge:
    """
    Make a merge of the rules of what an app said.

    What cannot be read is replaced by nothing but what was written in its knowledge, so
    a conflict with it waits (`copies.Aside`), unless theirs is to win anyway.

    Args:
        encode: of a key, a value and texts of which one may say the same already.
        decode: of a key and the text that is kept; `None`: values are their texts.
    """
    is_rule = any(merge is rule for rule in _OF_RULES)
    if is_rule and (decode is None or merge is theirs):
        rule: Any = merge
        known_rule: Merge = rule
        return known_rule
    read = decode or _as_it_is

    def merge_values(
        key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
    ) -> str | Aside | None:
        from millpond.client.errors import SyncError
        from millpond.core.client_sync.copies import UNREADABLE, Aside

        ask: Any = merge
        texts = (mine.value, theirs.value)
        try:
            values = [None if each is None else read(key, each) for each in texts]
        except SyncError:
            return Aside(UNREADABLE)
        if is_rule:
            ruled: str | None = ask(key, base, mine, theirs)
            return ruled
        try:
            known = None if base is None else read(key, base)
        except SyncError:
            known = None
        value = ask(key, known, *values)
        if value is None:
            return None
        return encode(key, value, [each for each in texts[::-1] if each is not None])

    return merge_values


def _as_it_is(key: str, text: str) -> str:
    return text
