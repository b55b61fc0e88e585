"""Scripts that run once the server answers: `init_folder`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from millpond.errors import SettingsError
from millpond.server.init_folder import find_scripts
from millpond.server.init_scripts import KEY_NAME, LINES_MAX, environment_of
from millpond.server.stores import open_store
from millpond.service.developer_keys import NewKey
from millpond.settings import Settings
from millpond.stores.base import DeveloperKey
from millpond.testing.server import RunningServer, wait_until
from processes import is_there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "init.d"
    made.mkdir(mode=0o755)
    return made


def write(folder: Path, scripts: Mapping[str, str]) -> dict[str, str]:
    """Write scripts, which nobody made executable; give the setting."""
    for name, text in scripts.items():
        script = folder / name
        script.write_text(text, "utf-8")
        script.chmod(0o644)  # whatever the umask: a group may not write to it
    return {"init_folder": str(folder)}


def said(server: RunningServer) -> list[tuple[str, str]]:
    """Give what scripts have printed: name and line."""
    lines = [json.loads(line) for line in [*server.log] if line.startswith("{")]
    return [
        (line["script"], line["line"])
        for line in lines
        if line.get("event") == "init.output"
    ]


def states(server: RunningServer) -> dict[str, float]:
    """Give how many scripts there are of each state that has any."""
    with urlopen(f"{server.endpoint}/metrics") as answer:
        text = answer.read().decode()
    counts = re.findall(r'^millpond_init_scripts{state="(\w+)"} (\S+)$', text, re.M)
    assert len(counts) == 4
    return {name: float(count) for name, count in counts if float(count)}


def keys(server: RunningServer) -> list[str]:
    """List the names of the developer keys."""
    words = [sys.executable, "-m", "millpond", "key", "list", "--output", "json"]
    done = subprocess.run(
        words + server.store_words, capture_output=True, text=True, check=True
    )
    return [each["Name"] for each in json.loads(done.stdout)["Keys"]]


def examined(server: RunningServer) -> tuple[str, str]:
    """Ask for what `millpond doctor` tells of the scripts."""
    words = [sys.executable, "-m", "millpond", "doctor", "--output", "json"]
    done = subprocess.run(
        words, env=os.environ | server.environment(), capture_output=True, text=True
    )
    told = json.loads(done.stdout)["Checks"]
    ((status, text),) = [
        (each["Status"], each["Text"]) for each in told if each["Name"] == "init"
    ]
    return status, text


MAKE_POOL = """
import boto3, os, sys
made = boto3.client("cognito-identity").create_identity_pool(
    IdentityPoolName="made", AllowUnauthenticatedIdentities=True)
print(made["IdentityPoolName"], os.path.basename(os.getcwd()), sys.version_info[:2])
"""
USE_COMMANDS = """
aws cognito-identity list-identity-pools --max-results 9 --output text
millpond pool list --output json | grep -c '"made"'
sleep 1000 &
echo "started $!"
env | grep -c "^MILLPOND_SECRET_KEY=$MILLPOND_SECRET_KEY"
echo "not $MILLPOND_SECRET_KEY"
printf 'no end of line, %s' "$AWS_SECRET_ACCESS_KEY"
"""


def test_they_find_the_server_and_each_other(tmp_path, folder):
    """
    By name one after the other, whatever the names; SDK, CLI and our own commands need
    no more than they are given; nothing of them is left, not even their key.
    """
    settings = write(
        folder,
        {
            "-1 first.py": MAKE_POOL,
            "10.sh": USE_COMMANDS,
            "9 äöü\n.sh": "echo last; pwd >&2",
            "notes.txt": "none",
            ".hidden.sh": "echo hidden",
        },
    )
    settings["secret_key"] = "ab" * 32
    with RunningServer(tmp_path / "data", settings=settings) as server:
        (done,) = server.wait_for_events("init.done")

        assert done["scripts"] == 3
        assert states(server) == {"succeeded": 3}
        lines = said(server)
        names = [name for name, _ in lines]
        assert [*dict.fromkeys(names)] == ["-1 first.py", "10.sh", "9 äöü\n.sh"]
        assert names == sorted(names)
        assert lines[0][1] == f"made init.d {tuple(sys.version_info[:2])}"
        texts = [text for name, text in lines if name == "10.sh"]
        assert any("IDENTITYPOOLS" in each and "made" in each for each in texts)
        assert "1" in texts
        assert texts[-1] == "no end of line, ***"
        assert "not ***" in texts
        assert "ab" * 32 not in "".join(server.log)
        assert lines[-2:] == [("9 äöü\n.sh", "last"), ("9 äöü\n.sh", str(folder))]
        (ignored,) = server.wait_for_events("init.ignored")
        assert ignored["file"] == "notes.txt"
        started = next(each for each in texts if each.startswith("started"))
        wait_until(lambda: not is_there(int(started.split()[1])))
        assert keys(server) == ["first"]
        status, text = examined(server)
        assert status == "ok"
        assert text.endswith(": 3.")


def test_the_first_that_fails_is_the_last(tmp_path, folder):
    """The server goes on, and says it in the log, the metrics and to the doctor."""
    scripts = {"1.sh": "true", "2.sh": "echo no; exit 7", "3.sh": "echo never"}
    with RunningServer(tmp_path / "data", settings=write(folder, scripts)) as server:
        (failed,) = server.wait_for_events("init.failed")
        wait_until(lambda: keys(server) == ["first"])

        assert (failed["script"], failed["level"]) == ("2.sh", "error")
        assert "ended with status 7" in failed["error"]
        assert states(server) == {"succeeded": 1, "failed": 1, "waiting": 1}
        assert said(server) == [("2.sh", "no")]
        server.client("cognito-sync").list_identity_pool_usage()
        status, text = examined(server)
        assert status == "fail"
        assert "'2.sh' ended with status 7" in text


def test_none_takes_for_ever(tmp_path, folder):
    """Whoever does not mind being asked is killed."""
    scripts = {"1.sh": "trap '' TERM; sleep 1000 & wait; wait", "2.sh": "echo never"}
    settings = write(folder, scripts) | {"init_timeout_s": "1"}
    with RunningServer(None, settings=settings) as server:
        (failed,) = server.wait_for_events("init.failed")

        assert "init_timeout_s, 1 s" in failed["error"]
        assert said(server) == []


def test_who_says_too_much_is_cut_off(tmp_path, folder):
    """Of one script there are so many lines in the log, and none is too long."""
    scripts = {"1.sh": f"printf '%20000d\\n' 1; seq {LINES_MAX + 1000}; echo end"}
    with RunningServer(None, settings=write(folder, scripts)) as server:
        server.wait_for_events("init.done")
        (cut,) = server.wait_for_events("init.output_cut")
        lines = [line for _, line in said(server)]

        assert cut["script"] == "1.sh"
        assert len(lines) == LINES_MAX
        assert max(map(len, lines)) <= 2 * 8192
        assert lines[-1].isdecimal()


SLOW = """
trap 'echo asked; exit 0' TERM
echo begun
while :; do sleep 0.1; done
"""


@pytest.mark.parametrize("readers", [0, 1])
def test_a_server_that_stops_ends_them(tmp_path, folder, readers):
    """They are asked to end, the rest is not begun, and the key goes with them."""
    scripts = {"1.sh": SLOW, "2.sh": "echo never"}
    settings = write(folder, scripts) | {"readers": str(readers)}
    with RunningServer(tmp_path / "data", settings=settings) as server:
        wait_until(lambda: ("1.sh", "begun") in said(server))
        assert sorted(keys(server)) == ["first", KEY_NAME]

        assert server.stop() == 0
        # The shell may tell of the command that it waited for, too.
        lines = said(server)
        assert (lines[0], lines[-1]) == (("1.sh", "begun"), ("1.sh", "asked"))
        assert {name for name, _ in lines} == {"1.sh"}
        assert not any("init.failed" in line for line in server.log)
        assert keys(server) == ["first"]


def test_they_run_once_for_all_processes(tmp_path, folder):
    """Behind readers, and no second time for a writer that takes another's place."""
    settings = write(folder, {"1.sh": "echo ran"}) | {"readers": "1"}
    with RunningServer(tmp_path / "data", settings=settings) as server:
        server.wait_for_events("init.done")
        (writer,) = [
            json.loads(line)
            for line in server.log
            if '"process.started"' in line and '"writer"' in line
        ]
        os.kill(writer["pid"], signal.SIGKILL)
        wait_until(lambda: len(server.wait_for_events("writer.started")) == 2)
        client = server.client("cognito-sync")
        wait_until(lambda: answers(client))

        assert said(server) == [("1.sh", "ran")]
        assert keys(server) == ["first"]


def answers(client: Any) -> bool:
    try:
        client.list_identity_pool_usage()
    except Exception:
        return False
    return True


def test_a_key_that_a_killed_server_left_is_cleared_away(tmp_path, folder):
    """Once it has expired; that of another server, which still runs them, is not."""
    data = tmp_path / "data"
    settings = write(folder, {"1.sh": "echo ran"})
    with RunningServer(data) as server:
        pass

    async def leave() -> None:
        async with open_store(Settings(data=data)) as store:
            for number, end_ms in enumerate((1, 4_000_000_000_000)):
                await store.put_developer_key(
                    DeveloperKey(
                        access_key_id=f"AKIA{number}",
                        name=KEY_NAME,
                        sealed_secret=b"",
                        creation_date_ms=0,
                        expires_ms=end_ms,
                    )
                )

    asyncio.run(leave())
    with RunningServer(data, settings=settings) as server:
        server.wait_for_events("init.done")
        wait_until(lambda: sorted(keys(server)) == ["first", KEY_NAME])


def test_nothing_leads_a_script_elsewhere():
    """What a server was given for itself does not stand in the way of its own."""
    own = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "AWS_PROFILE": "other",
        "AWS_SESSION_TOKEN": "t",
        "AWS_ENDPOINT_URL_COGNITO_SYNC": "https://elsewhere.example",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_CA_BUNDLE": "/ca.pem",
        "NOTIFY_SOCKET": "/run/notify",
        "LISTEN_FDS": "1",
        "MILLPOND_INIT_FOLDER": "/init.d",
        "MILLPOND_REGION": "eu-west-1",
        "no_proxy": "a.example",
    }
    settings = Settings(port=8014, region="eu-west-1", store="postgresql://h/m")
    made = environment_of(settings, NewKey("AKIA1", "secret"), own)

    named = {name: made[name] for name in made if name.startswith(("AWS_", "MILL"))}
    assert named == {
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8014",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CA_BUNDLE": "/ca.pem",
        "MILLPOND_REGION": "eu-west-1",
        "MILLPOND_DATA": str(Path("millpond-data").absolute()),
        "MILLPOND_STORE": "postgresql://h/m",
    }
    assert made["HOME"] == "/home/x"
    assert made["PATH"].endswith(":/bin")
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS"} & made.keys()
    assert made["no_proxy"].split(",")[:2] == ["a.example", "127.0.0.1"]


# --- Which there are, and whose -------------------------------------------------------


def test_scripts_go_by_the_bytes_of_their_names(folder):
    """Regular files, links to such, of any name; nothing else is a script."""
    write(folder, {n: "" for n in ("b.sh", "B.py", "10.sh", "9.sh", "é.sh", "x.SH")})
    (folder / "folder.sh").mkdir()
    (folder / "data.toml").touch()
    (folder / "link.sh").symlink_to("b.sh")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.py")).touch(mode=0o644)
    found = find_scripts(folder)

    names = ["10.sh", "9.sh", "B.py", "b.sh", "link.sh", "é.sh", "\\xff.py"]
    assert [each.name for each in found.scripts] == names
    assert found.ignored == ["data.toml", "folder.sh", "x.SH"]


def spoil(folder: Path, how: str) -> Path:
    """Make a folder of scripts that is not safe, or none at all; give what is named."""
    script = folder / "1.sh"
    script.touch(mode=0o644)
    match how:
        case "missing":
            return folder / "none"
        case "a file":
            return script
        case "open":
            folder.chmod(0o777)
        case "sticky":
            folder.chmod(0o1777)
        case "of a group":
            folder.chmod(0o775)
        case "above":
            folder.parent.chmod(0o777)
        case "open script":
            script.chmod(0o646)
        case "dangling":
            (folder / "2.sh").symlink_to("gone.sh")
        case "pipe":
            os.mkfifo(folder / "2.sh", 0o600)
        case "link in an open folder":
            link = folder.parent / "open" / "init.d"
            link.parent.mkdir(mode=0o755)
            link.symlink_to(folder)
            link.parent.chmod(0o777)
            return link
        case "link into an open folder":
            other = folder.parent / "other"
            other.mkdir(mode=0o755)
            (other / "2.sh").touch(mode=0o644)
            other.chmod(0o777)
            (folder / "2.sh").symlink_to(other / "2.sh")
        case "of another user":
            if os.geteuid():
                pytest.skip("only root can give files away")
            os.chown(script, 4711, 4711)
    return folder


SPOILED = {
    "missing": "none' cannot be used",
    "a file": "is not a folder",
    "open": "chmod go-w",
    "sticky": "chmod go-w",
    "of a group": "chmod go-w",
    "above": "chmod go-w",
    "open script": "1.sh'",
    "dangling": "gone.sh' cannot be used",
    "pipe": "2.sh' is no file",
    "link in an open folder": "open'",
    "link into an open folder": "other'",
    "of another user": "belongs to another user",
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_folder_that_is_not_ours_alone_is_refused(folder, how):
    """Whoever can write there could have anything run."""
    named = spoil(folder, how)

    with pytest.raises(SettingsError) as refused:
        find_scripts(named)
    assert SPOILED[how] in str(refused.value)


def test_it_is_refused_before_the_start(tmp_path, folder):
    """`millpond settings check` says so, and a server does not start."""
    settings = {"init_folder": str(spoil(folder, "open"))}
    with pytest.raises(RuntimeError, match=r"init_folder.*chmod go-w"):
        RunningServer(tmp_path / "data", settings=settings).start()

    checked = subprocess.run(
        [sys.executable, "-m", "millpond", "settings", "check"],
        env=os.environ | {"MILLPOND_INIT_FOLDER": str(folder)},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 1
    assert "chmod go-w" in checked.stdout


def test_what_is_mounted_read_only_is_settled_by_who_mounted_it(folder, monkeypatch):
    """Volumes of containers are open to all, and nobody can write to them."""
    named = spoil(folder, "open")
    real = os.statvfs

    class ReadOnly:
        f_flag = real(folder).f_flag | os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly)

    assert [each.name for each in find_scripts(named).scripts] == ["1.sh"]
