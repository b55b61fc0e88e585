"""What docs/howto/client-python.md shows runs, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import millpond.client
from acceptance.sync_client import create_pool
from millpond.client import errors, failures
from millpond.testing.server import RunningServer
from processes import SOURCE

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "client-python.md"
TEXT = PAGE.read_text("utf-8")


def test_the_examples_run_one_after_the_other(tmp_path):
    """In one program, over one file; each comment behind a print is what it prints."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    with RunningServer(tmp_path / "data") as server:
        given = f"endpoint, pool = {server.endpoint!r}, {create_pool(server)!r}\n"
        program = subprocess.run(
            [sys.executable, "-c", given + "\n".join(blocks)],
            env={"PYTHONPATH": SOURCE},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert program.returncode == 0, program.stderr
    assert program.stdout.splitlines() == [
        "('colour',) () 1",
        "{'colour': 'red'}",
        "[('colour', 'red'), ('size', '7')]",
        "() {}",
        "Unanswered ('colour',)",
        "prefs ()",
    ]
    for said in re.findall(r"#(?: prints)? (\S.*)", "\n".join(blocks)):
        assert said in program.stdout.splitlines()


def test_it_names_every_error_and_credential_that_there_is():
    """What is public of these is on the page, or has a page of its own."""
    known = {*vars(errors)} | {*vars(failures)}
    elsewhere = {"SyncError", "CallError", "ClosedError", "QuotaError", "CodecError"}
    for name in {*millpond.client.__all__} & known - elsewhere:
        assert name in TEXT, name
    for name in ("guest", "openid", "developer_token", "botocore_session", "fixed"):
        assert f"`{name}(" in TEXT
