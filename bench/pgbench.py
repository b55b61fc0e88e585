"""
The statements of the store in PostgreSQL, sent by pgbench.

What pgbench reaches is what the database has to give: it decides nothing, and nobody
signs or reads anything. The statements are the store's own; what a node binds to them,
pgbench binds as variables. Each client goes on to another identity after so many
transactions; no two clients have the same one, so that nobody waits for another.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import load
import machine
import seed
from millpond import limits
from millpond.stores.postgres.datasets import DIGEST_BYTES
from millpond.stores.postgres.datasets import SQL as DATASETS
from millpond.testing.postgres import TestPostgres

HINT: Final = "it comes with PostgreSQL; on Debian, apt-get install postgresql-contrib"
CLIENTS: Final = 32
TRANSACTIONS_PER_IDENTITY: Final = 20
IDENTITIES: Final = "bench_identities"  # a table: pgbench has no other text to choose
_TPS: Final = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_DONE: Final = re.compile(r"^number of .* actually processed: (\d+)", re.MULTILINE)
_FAILED: Final = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)

_LIST: Final = (
    *(":pool", ":identity", ":dataset"),
    *("1", str(limits.LONG_MAX), "-1", "''", "NULL"),  # as for a delta without a page
)
_LOAD: Final = (":pool", ":identity", ":dataset", ":digests", ":session")
_COUNT: Final = ":sync_count::bigint + 1"
_NUMBERS: Final = ", ".join(
    f":{name}::bigint"
    for name in ("horizon", "creation_date_ms", "now_ms", "num_records", "data_storage")
)
_SAVE: Final = (
    *(":pool", ":identity", ":dataset", ":version", "1", ":streaming", "NULL"),
    f"ARRAY[{_COUNT}, 1, {_NUMBERS}]",
    *(":author", "NULL", "0", "false"),
    *(":digests", ":keys", ":values"),
    f"ARRAY[{_COUNT}, :now_ms::bigint, :now_ms::bigint]",
    *(":authors", ":session", ":sha256"),
    f"ARRAY[{_COUNT}, :now_ms::bigint]",
    *(":author", "NULL", "NULL", "false", "NULL"),
)

# A client's own part of the identities: every 32nd of them.
_CHOOSE: Final = f"""\
\\set turn (:turn + 1) % {TRANSACTIONS_PER_IDENTITY}
\\if :turn = 0
\\set number random(0, :identities / {CLIENTS} - 1) * {CLIENTS} + :client_id
SELECT identity_id AS identity FROM {IDENTITIES} WHERE number = :number \\gset
\\endif
"""


def list_records() -> str:
    """Make a script of what ListRecords asks for one record of a delta."""
    return f"{_CHOOSE}{_bind(DATASETS.look_at_records, _LIST)};\n"


def update_records() -> str:
    """Make a script of what UpdateRecords asks and writes for one record."""
    return (
        f"{_CHOOSE}"
        "\\set session :session + 1\n"
        f"{_bind(DATASETS.load_dataset, _LOAD)} \\gset\n"
        f"{_bind(DATASETS.save_dataset, _SAVE)};\n"
    )


def _bind(sql: str, arguments: Sequence[str]) -> str:
    """Put what pgbench binds where a node binds its arguments."""
    numbers = {int(each) for each in re.findall(r"\$(\d+)", sql)}
    assert numbers == set(range(1, len(arguments) + 1)), "the statement has changed"
    return re.sub(r"\$(\d+)", lambda found: arguments[int(found[1]) - 1], sql)


def prepare(postgres: TestPostgres, url: str, data: seed.SyncData) -> None:
    """Make the table of the identities that pgbench chooses from."""
    values = ", ".join(f"({n}, '{each}')" for n, each in enumerate(data.identity_ids))
    postgres.execute(
        f"CREATE TABLE {IDENTITIES} (number integer PRIMARY KEY, identity_id text);"
        f"INSERT INTO {IDENTITIES} VALUES {values};",
        url=url,
    )
    postgres.execute("VACUUM ANALYZE", url=url)


def check_updates(
    postgres: TestPostgres, url: str, update: Pgbench, data: seed.SyncData
) -> None:
    """
    Check that each transaction has updated a dataset: one that is refused is cheap.

    Raises:
        LoadError: some have not.
    """
    (row,) = postgres.execute(
        f"SELECT sum(sync_count - {data.sync_count}) FROM datasets "
        f"WHERE dataset_name = '{update.dataset}'",
        url=url,
    )
    # Those that were under way when the time was over count as neither.
    if not 0 <= row[0] - update.transactions <= CLIENTS * len(update.rates):
        raise load.LoadError(
            f"pgbench: {row[0]} updates in {update.transactions} transactions."
        )


@dataclass
class Pgbench:
    """One script; a round gives its transactions per second."""

    name: str
    program: str
    url: str
    script: Path
    dataset: str
    identities: int
    cores: machine.Cores
    rates: list[float] = field(default_factory=list)
    transactions: int = 0

    def round(self, seconds: int) -> None:
        """
        Run it for so long.

        Raises:
            LoadError: pgbench failed, or a transaction did.
        """
        command = [
            *self.cores.pin_server(),
            *(self.program, "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1"),
            *("-T", str(seconds), "-f", str(self.script)),
            *(f"-D{name}={value}" for name, value in self._variables().items()),
            self.url,
        ]
        ended = subprocess.run(command, capture_output=True, text=True)
        tps, done = _TPS.search(ended.stdout), _DONE.search(ended.stdout)
        failed = _FAILED.search(ended.stdout)
        if ended.returncode or not tps or not done or (failed and failed[1] != "0"):
            said = ended.stderr.strip() or ended.stdout.strip()
            raise load.LoadError(f"pgbench failed: {said[-500:]}")
        self.rates.append(float(tps[1]))
        self.transactions += int(done[1])

    def _variables(self) -> dict[str, str | int]:
        key = seed.record_key(0)
        digest = hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES).hexdigest()
        return {
            "pool": seed.POOL,
            "dataset": self.dataset,
            "identities": self.identities,
            "turn": -1,
            # The mark of a sync session is 16 bytes that nobody has had: digits are.
            "session": time.time_ns() // 1000,
            "now_ms": seed.NOW_MS,
            "author": "000000000000",
            "authors": "{000000000000}",
            "digests": f'{{"\\\\x{digest}"}}',
            "keys": f"{{{key}}}",
            "values": f"{{{seed.record_value(0)}}}",
            "sha256": f"\\x{'5a' * 32}",
        }
