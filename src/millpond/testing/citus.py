"""
A real Citus cluster for tests: a coordinator and its workers.

The variable `MILLPOND_TEST_CITUS` names the coordinator, as the URL of a database there
that has the extension and its nodes (`citus_add_node`); its user is a superuser on all
of them. There is no wheel of one, so tests without it skip.

Each test gets a database of its own. Making one takes seconds, most of them to spread
the tables; copying one, on all nodes, takes less than one.

    with TestCitus.start() as citus:
        url = citus.create_database()
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

from millpond.testing.deadlines import Deadline
from millpond.testing.postgres import TestPostgres

VARIABLE: Final = "MILLPOND_TEST_CITUS"
MISSING: Final = (
    f"there is no Citus cluster; name the database of a coordinator with {VARIABLE}"
)
_NODES: Final = """
    SELECT nodename, nodeport, groupid = 0 FROM pg_dist_node
    WHERE noderole = 'primary' ORDER BY groupid
"""
_LEFT_S: Final = 20.0
_LEAVE: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'
"""


class CitusMissingError(Exception):
    """There is no cluster to be had; the message says how to name one."""


class TestCitus(TestPostgres):
    """Somebody's cluster; its databases are on all nodes."""

    __test__ = False

    def __init__(self, url: str) -> None:
        """
        Args:
            url: of a database on the coordinator, which has the extension.
        """
        super().__init__(url)
        nodes = self.execute(_NODES)
        at = urlsplit(url)
        user = at.netloc.rpartition("@")[0]
        self._workers = [
            at._replace(netloc=f"{user}@{host}:{port}").geturl()
            for host, port, is_coordinator in nodes
            if not is_coordinator
        ]
        self._at = next(
            ((host, port) for host, port, itself in nodes if itself),
            (at.hostname, at.port or 5432),
        )

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[TestCitus]:
        """
        Find the cluster that the environment names.

        Raises:
            CitusMissingError: it names none.
        """
        named = os.environ.get(VARIABLE)
        if not named:
            raise CitusMissingError(MISSING)
        citus = cls(named)
        try:
            yield citus
        finally:
            citus.drop_databases()

    @property
    def coordinator(self) -> str:
        """What the workers know the coordinator as: `host:port`."""
        return f"{self._at[0]}:{self._at[1]}"

    def workers_of(self, url: str) -> list[str]:
        """List where the workers have their part of a database."""
        path = urlsplit(url).path
        return [urlsplit(each)._replace(path=path).geturl() for each in self._workers]

    def create_database(self, template: str = "") -> str:
        """
        Create a database on all nodes; return its URL at the coordinator.

        Args:
            template: the name of one of ours to copy, to which nobody may connect any
                more; or one comes about that has the extension and its nodes.
        """
        if template:
            self._on_all_nodes(
                f"ALTER DATABASE {template} ALLOW_CONNECTIONS false",
                # The extension has a process in each database.
                _LEAVE.format(template),
            )
        url = super().create_database(template)
        name = urlsplit(url).path.removeprefix("/")
        made = f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}"
        self._on_workers(made)
        if not template:
            self._extend(url)
        return url

    def _extend(self, url: str) -> None:
        for each in (url, *self.workers_of(url)):
            self.execute("CREATE EXTENSION citus", url=each)
        host, port = self._at
        self.execute(f"SELECT citus_set_coordinator_host('{host}', {port})", url=url)
        for worker in self._workers:
            at = urlsplit(worker)
            self.execute(f"SELECT citus_add_node('{at.hostname}', {at.port})", url=url)

    def drop_database(self, url: str) -> None:
        """Drop a database on all nodes, whoever is connected to it."""
        name = urlsplit(url).path.removeprefix("/")
        super().drop_database(url)
        self._on_workers(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, sql: str, *, url: str | None = None) -> Any:
        """Run statements as on one server; again while somebody is about to leave."""
        import asyncpg

        deadline = Deadline(_LEFT_S)
        while True:
            try:
                return super().execute(sql, url=url)
            except asyncpg.ObjectInUseError:
                # PostgreSQL waits five seconds for those that it has told to leave a
                # database; on a busy machine the extension's process takes longer.
                if deadline.passed():
                    raise

    def _on_all_nodes(self, *statements: str) -> None:
        for sql in statements:
            self.execute(sql)
        self._on_workers(*statements)

    def _on_workers(self, *statements: str) -> None:
        def run(worker: str) -> None:
            for sql in statements:
                self.execute(sql, url=worker)

        with ThreadPoolExecutor() as threads:
            list(threads.map(run, self._workers))
