"""A Citus cluster of which a worker can be cut off, without a shell on its machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cli.relay import Relay
from millpond.testing.citus import TestCitus
from millpond.testing.deadlines import Deadline

_SYNCED_S: Final = 30.0
_WORKERS: Final = """
    SELECT nodeid, nodename, nodeport FROM pg_dist_node WHERE groupid > 0
    ORDER BY nodeid
"""
_SYNCED: Final = "SELECT bool_and(metadatasynced) FROM pg_dist_node"
_ON_NODE: Final = """
    SELECT id FROM unnest(ARRAY[{ids}]) AS id
    JOIN pg_dist_placement ON shardid =
        get_shard_id_for_distribution_column('identity_heads', id)
    JOIN pg_dist_node USING (groupid) WHERE nodeid = {node}
"""


class Cluster(NamedTuple):
    """A database that is spread, and a worker that all nodes reach by a line."""

    url: str
    line: Relay
    behind: frozenset[str]
    """Those of the identities that are on that worker."""


@contextlib.contextmanager
def on_a_line(
    citus: TestCitus, url: str, identities: Sequence[str]
) -> Iterator[Cluster]:
    """
    Let all nodes reach the last worker by way of a relay.

    Args:
        url: of a database that is spread, which nobody uses yet.
        identities: some, of which some are on that worker and some are not.
    """
    node, host, port = citus.execute(_WORKERS, url=url)[-1]
    user = urlsplit(url).netloc.rpartition("@")[0]
    with Relay(f"postgresql://{user}@{host}:{port}/") as line:
        move = f"SELECT citus_update_node({node}, '127.0.0.1', {line.port})"
        citus.execute(move, url=url)
        deadline = Deadline(_SYNCED_S)
        while not citus.execute(_SYNCED, url=url)[0][0]:
            assert not deadline.passed()
            time.sleep(0.1)
        yield Cluster(url, line, _on_node(citus, url, node, identities))


def on_last_worker(
    citus: TestCitus, url: str, identities: Sequence[str]
) -> tuple[int, frozenset[str]]:
    """Give the port of the last worker, and which of some identities are on it."""
    node, _, port = citus.execute(_WORKERS, url=url)[-1]
    return port, _on_node(citus, url, node, identities)


def _on_node(
    citus: TestCitus, url: str, node: int, identities: Sequence[str]
) -> frozenset[str]:
    ids = ", ".join(f"'{each}'" for each in identities)
    rows = citus.execute(_ON_NODE.format(ids=ids, node=node), url=url)
    found = frozenset(identity for (identity,) in rows)
    assert 0 < len(found) < len(identities)
    return found
