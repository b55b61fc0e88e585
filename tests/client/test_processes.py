"""Processes and threads over one file, with a real server; some are killed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from acceptance.sync_client import new_identity
from millpond.client import Memory, SQLite, fixed, open_sync_blocking
from millpond.testing.deadlines import seconds
from processes import SOURCE


@pytest.mark.timeout(300)
def test_no_acknowledged_write_is_lost_whenever_a_process_is_killed(
    server, pool, tmp_path, programs
):
    """Killed at each step in turn, while another process writes and synchronizes."""
    identity_id = new_identity()
    key = fixed(identity_id, server.access_key_id, server.secret_access_key)
    path, log = tmp_path / "app.db", tmp_path / "acknowledged"
    words = [
        *(sys.executable, str(Path(__file__).with_name("crashing.py")), str(path)),
        *(server.endpoint, pool, identity_id),
        *(server.access_key_id, server.secret_access_key, str(log)),
    ]
    environment = {"PYTHONPATH": SOURCE}
    worker = programs.start([*words, "worker", "work"], env=environment, stdin=-1)
    victim = programs.start([*words, "victim", "crash"], env=environment)

    said, _ = victim.communicate(timeout=seconds(240))
    assert victim.returncode == 0, said
    assert int(said.split()[0]) > 30  # steps at which it was killed
    rounds, _ = worker.communicate(timeout=seconds(60))
    assert worker.returncode == 0, rounds

    acknowledged: dict[str, str] = {}
    for line in log.read_text().splitlines():
        name, _, value = line.partition(" ")
        acknowledged[name] = value
    with open_sync_blocking(
        server.endpoint, pool, storage=SQLite(path), credentials=key
    ) as here:
        prefs = here.dataset("prefs")
        prefs.sync()
        assert prefs.status.unsent == ()
        found = dict(prefs)
    with open_sync_blocking(
        server.endpoint, pool, storage=Memory(), credentials=key
    ) as elsewhere:
        elsewhere.dataset("prefs").sync()
        assert dict(elsewhere.dataset("prefs")) == found
    # Each is written in rising order, and one that was killed may have got further.
    for name, value in acknowledged.items():
        if not name.startswith("victim"):
            assert found.get(name, "") == value
        elif value:
            assert int(found.get(name) or value) >= int(value)
    assert {f"victim-{n}" for n in range(3)} <= {*found}


def test_threads_write_and_synchronize_one_dataset(server, pool, tmp_path):
    """Two libraries in one process over one file, four threads each."""
    key = fixed(new_identity(), server.access_key_id, server.secret_access_key)
    opened = [
        open_sync_blocking(
            server.endpoint, pool, storage=SQLite(tmp_path / "app.db"), credentials=key
        )
        for _ in range(2)
    ]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        prefs = opened[number % 2].dataset("prefs")
        try:
            for round_ in range(3):
                prefs[f"k{number}"] = str(round_)
                prefs.sync()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert not failures
    expected = {f"k{n}": "2" for n in range(8)}
    assert dict(opened[0].dataset("prefs")) == expected
    assert opened[1].status.unsent == 0
    for sync in opened:
        sync.close()
    with open_sync_blocking(server.endpoint, pool, credentials=key) as elsewhere:
        elsewhere.dataset("prefs").sync()
        assert dict(elsewhere.dataset("prefs")) == expected
