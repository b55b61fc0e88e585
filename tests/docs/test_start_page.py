"""What the README and docs/start.md show can be pasted without an edit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer
from processes import Programs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
START = (ROOT / "docs" / "start.md").read_text("utf-8")
BLOCK = re.compile(r"(<!-- not run by a test.*?-->\n)?```(\w*)\n(.*?)```", re.DOTALL)
SCREEN_LINES = 60
PICTURES = 3


def shown(language: str) -> str:
    """Put the blocks of the page together that are not marked."""
    found = BLOCK.findall(START)
    return "\n".join(
        text for mark, kind, text in found if kind == language and not mark
    )


def test_the_session(tmp_path: Path) -> None:
    """In one shell, with the exported variables alone; the change is read back."""
    session = shown("sh")
    assert session.count("aws cognito-sync ") >= 4
    with RunningServer(tmp_path / "data") as server:
        given = os.environ | server.environment()
        given["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{given['PATH']}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", session],
            env=given,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=seconds(90),
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        python = subprocess.run(
            [sys.executable, "-c", shown("python")],
            env=given,
            capture_output=True,
            text=True,
            timeout=seconds(60),
            check=False,
        )

    (line,) = [line for line in ended.stdout.splitlines() if '"dataSetName"' in line]
    event, _ = json.JSONDecoder().raw_decode(line)
    assert [each["value"] for each in event["kinesisSyncRecords"]] == ["teal"]
    assert "SUCCEEDED" in ended.stdout
    assert '"SessionToken"' in ended.stdout
    assert re.fullmatch(r"us-east-1:[0-9a-f-]{36} \d+ bytes\n", python.stdout)


def test_a_server_prints_what_the_page_shows(
    tmp_path: Path, programs: Programs
) -> None:
    """But for the port, the folder, and the key."""
    (told,) = re.findall(r"```\n(Millpond answers at .*?)```", START, re.DOTALL)
    data = str(tmp_path / "data")
    server = programs.millpond("serve", "--port", "0", "--data", data)
    assert server.stdout is not None
    printed = "".join(server.stdout.readline() for _ in told.splitlines())
    server.terminate()

    assert known(printed) == known(told)


def known(text: str) -> str:
    """Leave out what differs from server to server."""
    text = re.sub(r"(127\.0\.0\.1:)\d+", r"\1PORT", text)
    text = re.sub(r"\(data in .*\)", "(data in FOLDER)", text)
    return re.sub(r"(_KEY(?:_ID)?)=\S+", r"\1=KEY", text)


def test_the_readme_is_one_screen() -> None:
    """With three pictures and the two commands, which the Makefile has."""
    lines = README.splitlines()
    assert len(lines) <= SCREEN_LINES
    assert len(re.findall(r"!\[[^\]]+\]\(docs/images/", README)) == PICTURES
    commands = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{each}:", makefile, re.MULTILINE) for each in commands)
