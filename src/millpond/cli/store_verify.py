"""
`millpond store verify`: look a store over, also while servers use it.

Exit status: 0 nothing is wrong, 1 something is, or it could not be looked at.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, cast

from millpond.cli.administration import plain, show
from millpond.cli.store_progress import Meter, make_meter
from millpond.errors import DamagedStoreError, SettingsError, StoreError
from millpond.server import sealers, secret_key, stores
from millpond.server.verifying import MENDS, verify_store
from millpond.service.context import system_now_ms
from millpond.service.developer_keys import SecretSealer
from millpond.settings import Settings
from millpond.stores.base import Verification
from millpond.stores.copying import Kind
from millpond.stores.verification import Fault, FaultKind, VerifyStore

SHOWN_MAX: Final = 1000  # faults; the others are counted


class _Report:
    """What was found, of which no more is kept than is shown."""

    def __init__(self) -> None:
        self.shown: list[Fault] = []
        self.counts: Counter[FaultKind] = Counter()

    def add(self, fault: Fault) -> None:
        self.counts[fault.kind] += 1
        if len(self.shown) < SHOWN_MAX:
            self.shown.append(fault)

    @property
    def total(self) -> int:
        return self.counts.total()


async def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Look the store over that the settings name."""
    report = _Report()
    place = stores.place_of(settings).removeprefix("data in ")
    with make_meter(sys.stderr) as meter:
        try:
            async with stores.open_existing(settings) as opened:
                store = cast("VerifyStore", opened)
                async for fault in _find(settings, store, meter):
                    report.add(fault)
                await _keep(store, report)
        except DamagedStoreError as error:  # it does not even open
            text = str(error.args[0])
            report.add(Fault(FaultKind.DAMAGED_FILE, place, "", text))
    show(options, _document(place, report), [*_lines(place, report)])
    return 1 if report.total else 0


async def _find(
    settings: Settings, store: VerifyStore, meter: Meter
) -> AsyncIterator[Fault]:
    opened: dict[Kind, SecretSealer] = {}
    try:
        opened = {
            Kind.DEVELOPER_KEYS: sealers.make_sealer(settings, make=False),
            Kind.TOKEN_KEYS: sealers.make_token_key_sealer(settings, make=False),
        }
    except SettingsError as error:
        yield Fault(FaultKind.SEALED_KEY, secret_key.FILE_NAME, "", str(error))
    async for fault in verify_store(store, _Watcher(meter), sealers=opened):
        yield fault


async def _keep(store: VerifyStore, report: _Report) -> None:
    """Leave word for the metrics of servers, if the store takes it."""
    found = Verification(ended_ms=system_now_ms(), faults=report.total)
    try:
        await store.put_verification(found)
    except StoreError as error:
        print(f"The result could not be kept: {error}", file=sys.stderr)


class _Watcher:
    """Tells a meter how it goes."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._done = 0

    def begin(self, text: str, *, total: int) -> None:
        self._done = 0
        self._meter.step(text, total=total)

    def advance(self, rows: int) -> None:
        self._done += rows
        self._meter.at(self._done)


def _document(place: str, report: _Report) -> dict[str, Any]:
    return {
        "Place": place,
        "Sound": not report.total,
        "FaultCount": report.total,
        "FaultCounts": {kind.value: count for kind, count in report.counts.items()},
        "Faults": [
            {
                "Kind": each.kind.value,
                "Table": each.table,
                "Row": each.row,
                "Text": each.text,
                "Mend": MENDS[each.kind],
            }
            for each in report.shown
        ],
    }


def _lines(place: str, report: _Report) -> Iterator[str]:
    if not report.total:
        yield f"{place}: nothing is wrong."
        return
    for fault in report.shown:
        where = f"{fault.table}, {fault.row}" if fault.row else fault.table
        yield plain(f"{fault.kind}: {where}: {fault.text}")
    if report.total > len(report.shown):
        yield f"... and {report.total - len(report.shown)} more."
    yield ""
    for kind, count in report.counts.items():
        yield f"{kind} ({count}): {MENDS[kind]}"
