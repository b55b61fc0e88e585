"""
Looking a store over: what can be wrong with what is in it, and how it is looked for.

A store has checks, each of which goes through one table in the order of its key, some
thousand rows at a time, with one statement for each stretch: that sees one moment, also
while servers write. Nothing is changed, and no more than a page is in memory.

That every row can be read is found out with `export` of `stores.copying`; a row that
cannot is passed over with `skip_row`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from millpond.stores.base import Verification
from millpond.stores.copying import CopyStore, Kind

TEXT_END: Final = "\U0010ffff" * 1025  # behind every text that is a part of a key
NUMBER_END: Final = 2**63 - 1


class FaultKind(enum.StrEnum):
    """What may be wrong; the names are part of the output and stay."""

    DAMAGED_FILE = "damaged_file"
    UNREADABLE_ROW = "unreadable_row"
    UNREADABLE_REST = "unreadable_rest"
    WRONG_COUNT = "wrong_count"
    RECORD_AHEAD = "record_ahead"
    WRONG_USAGE = "wrong_usage"
    ORPHAN = "orphan"
    SEALED_KEY = "sealed_key"


class Fault(NamedTuple):
    """Something that is wrong."""

    kind: FaultKind
    table: str  # or a file
    row: str  # which one, for people; empty: the table as a whole
    text: str


class Check(NamedTuple):
    """One walk through a table."""

    name: str
    table: Kind


class Step(NamedTuple):
    """What a stretch of a table showed."""

    faults: Sequence[Fault]
    position: bytes | None  # to go on behind; None: that was the last one


class VerifyStore(CopyStore, Protocol):
    """A store that can be looked over, also while servers use it."""

    @property
    def checks(self) -> Sequence[Check]:
        """What there is to check, beside the files and that rows can be read."""
        ...

    def list_files(self) -> Sequence[str]:
        """Name the parts whose own structure `check_file` can look at."""
        ...

    async def check_file(self, name: str, *, faults_max: int) -> Sequence[Fault]:
        """Look at the structure of a file, and at whether its indexes fit its rows."""
        ...

    async def check(self, check: Check, after: bytes | None, *, rows_max: int) -> Step:
        """Look at a stretch of a table behind a position that another one gave."""
        ...

    async def skip_row(self, kind: Kind, after: bytes | None) -> bytes | None:
        """Give the position of the row behind a position; None: there is none."""
        ...

    async def check_usage(self) -> Sequence[Fault]:
        """Compare what pools are said to hold with what their datasets do."""
        ...

    async def put_verification(self, verification: Verification) -> None:
        """Keep how a look went, for the metrics of servers."""
        ...
