"""The PostgreSQL that tests start, where its programs are root's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from millpond.testing.postgres import PostgresMissingError, TestPostgres

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has another user run it"
)


@pytest.fixture
def private(postgres: TestPostgres, tmp_path: Path) -> Path:
    """The programs, in a folder that their user cannot look into, as in root's home."""
    if postgres.programs is None:
        pytest.skip("MILLPOND_TEST_POSTGRES names a server")
    installed, package = postgres.programs.parents[:2]
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    for each in package.parent.glob(f"{package.name}*"):
        (folder / each.name).symlink_to(each)
    return folder / package.name / installed.name / postgres.programs.name


def test_it_runs_from_a_folder_that_is_roots_alone(private: Path) -> None:
    """Its user gets copies of the programs."""
    with TestPostgres.start_own(programs=private) as own:
        assert own.programs == private
        assert [tuple(each) for each in own.execute("SELECT 1")] == [(1,)]


def test_where_its_user_gets_nowhere_it_says_what_to_set(
    private: Path, tmp_path: Path
) -> None:
    """It counts as missing, so that its tests are skipped."""
    with (
        pytest.raises(PostgresMissingError, match=r"run nothing in .*TMPDIR"),
        TestPostgres.start_own(programs=private, parent=tmp_path),
    ):
        pass
