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
    from collections.abc import Callable
    from typing import Any

    from millpond.core.client_sync.copies import LocalRecord, Merge, RemoteRecord

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
    encode: Callable[[str, Any], str],
    decode: Callable[[str, str], Any],
) -> Merge:
    """
    Make a merge of the rules of what an app said.

    Args:
        encode, decode: of a key and a value, or the text that is kept for one.
    """
    for rule in _OF_RULES:
        if merge is rule:
            return rule

    def merge_values(
        key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
    ) -> str | None:
        ask: Any = merge
        value = ask(
            key,
            *(
                None if each is None else decode(key, each)
                for each in (base, mine.value, theirs.value)
            ),
        )
        return None if value is None else encode(key, value)

    return merge_values
