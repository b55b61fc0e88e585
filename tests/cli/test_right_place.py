"""Commands that look or administer: no store where none was, and not the wrong one."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from millpond.server import lock, secret_key
from millpond.server.stores import DATABASE_NOTE_NAME
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME
from millpond.testing.server import RunningServer, wait_until
from processes import finished

POOL = "us-east-1:0f0e0d0c-0b0a-4908-8706-050403020100"
IDENTITY = "us-east-1:11111111-2222-3333-4444-555555555555"
MAKING = [
    ("key", "create"),
    ("stream", "create", "x"),
    ("pool", "adopt", POOL, "--name", "x"),
]
CHANGING = [
    ("key", "change", "AKIANONE", "--name", "x"),
    ("key", "delete", "AKIANONE"),
    ("token-key", "rotate"),
    ("token-key", "retire", "x"),
    ("outbox", "retry", "--identity-pool-id", POOL, "--all"),
    ("outbox", "discard", "--identity-pool-id", POOL, "--all"),
    ("identity", "delete", IDENTITY, "--yes"),
    ("import", "copy", POOL, "--endpoint-url", "http://127.0.0.1:1", "--patience", "0"),
    ("import", "follow", POOL, "--files", ".", "--no-api", "--once"),
]
OTHERS = [
    *CHANGING,
    ("key", "list"),
    ("token-key", "list"),
    ("stream", "list"),
    ("stream", "tail", "x"),
    ("stream", "verify", "--identity-pool-id", POOL),
    ("pool", "list"),
    ("pool", "show", POOL),
    ("outbox", "list"),
    ("outbox", "download", "--identity-pool-id", POOL),
    ("audit", "list"),
    ("import", "status"),
    ("identity", "find", IDENTITY),
    ("identity", "show", IDENTITY),
    ("identity", "export", IDENTITY),
    ("dataset", "list", IDENTITY),
    ("dataset", "show", IDENTITY, "x"),
    ("dataset", "history", IDENTITY, "x"),
    ("migrate",),
    ("store", "backup", "copy"),
]


@pytest.fixture
def data(run, home) -> Path:
    """A folder with a store that no server uses."""
    folder = Path(home) / "here"
    assert run("store", "create", "--data", str(folder)).code == 0
    return folder


# --- No store -----------------------------------------------------------------------


def test_a_file_in_the_place_of_the_folder(run, home):
    """It is said to be none, and stays."""
    (home / "data").write_text("x")

    assert "it is no folder" in run("key", "list", "--data", str(home / "data")).err
    assert (home / "data").read_text() == "x"


@pytest.mark.parametrize("words", [*MAKING, *OTHERS], ids=" ".join)
@pytest.mark.parametrize("exists", [False, True])
def test_no_command_makes_a_store(run, home, words, exists):
    """It says that there is none, which folder that is and who named it."""
    folder = home / "millpond-data"
    if exists:
        folder.mkdir()
    before = sorted(Path(home).rglob("*"))

    for place in ((), ("--data", str(folder))):
        result = run(*words, *place)

        assert (result.code, result.out) == (1, "")
        (line,) = result.err.splitlines()
        assert f"There is no store in '{folder}'" in line
        assert ("named by --data" if place else "No place was named") in line
    assert sorted(Path(home).rglob("*")) == before


@pytest.mark.parametrize("words", [*MAKING, *OTHERS], ids=" ".join)
def test_no_command_goes_on_with_what_a_killed_start_has_left(run, home, words):
    """A file in which nothing was ever made is no store."""
    folder = home / "data"
    folder.mkdir()
    (folder / FILE_NAME).touch()

    result = run(*words, "--data", str(folder))

    assert (result.code, result.out) == (1, "")
    assert f"There is no store in '{folder}': its {FILE_NAME} is empty." in result.err
    assert [each.name for each in folder.iterdir()] == [FILE_NAME]
    assert (folder / FILE_NAME).stat().st_size == 0


def test_nothing_is_copied_from_what_a_killed_start_has_left(run, home):
    """Nor is it made into a store by the copy."""
    folder = home / "data"
    folder.mkdir()
    (folder / FILE_NAME).touch()

    result = run("store", "copy", str(folder), str(home / "copy"))

    assert (result.code, result.out) == (1, "")
    assert f"There is no store in '{folder}'" in result.err
    assert (folder / FILE_NAME).stat().st_size == 0
    assert not (home / "copy").exists()


@pytest.mark.parametrize(
    "words", [("pool", "list"), ("store", "verify"), ("store", "backup", "copy")]
)
def test_no_command_makes_the_half_of_a_store_anew(run, data, words):
    """Where the file of the streams is gone, that is said, by each that looks."""
    (data / STREAMS_FILE_NAME).unlink()

    result = run(*words, "--data", str(data))

    assert result.code == 1
    assert f"'{data / STREAMS_FILE_NAME}' is not there." in result.out + result.err
    assert not (data / STREAMS_FILE_NAME).exists()
    assert not Path("copy").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("store", "copy", "x", ""),
        ("store", "backup", ""),
        ("install-model", "--folder", ""),
    ],
    ids=" ".join,
)
def test_an_empty_place_is_not_the_folder_here(run, home, words):
    """It is what a variable gives that is not set."""
    before = sorted(home.rglob("*"))

    result = run(*words)

    assert result.code in (1, 2)
    assert "empty" in result.err
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    "words", [("serve",), ("store", "create"), ("key", "create"), ("settings", "check")]
)
def test_an_empty_path_is_no_folder(run, home, words):
    """`--data "$unset"` does not mean the folder that one is in."""
    before = sorted(home.rglob("*"))
    data, file = run(*words, "--data", ""), run(*words, "--settings", "")

    assert (data.code, file.code) == (1, 1)
    assert "it must be the path of a folder" in data.out + data.err
    assert "--settings names no file" in file.out + file.err
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("store", "create")])
def test_a_folder_that_cannot_be_written_is_named(run, data, words):
    """The system's refusal is told in a line, as everything is."""
    (data / lock.FILE_NAME).unlink(missing_ok=True)
    (data / lock.FILE_NAME).mkdir()

    result = run(*words, "--data", str(data))

    assert (result.code, result.out) == (1, "")
    assert f"Cannot use '{data}': {lock.FILE_NAME} in it cannot be" in result.err
    assert "name another folder" in result.err


def test_no_command_fills_a_database(run, home, postgres):
    """An empty database stays one, and no folder has word of it."""
    url = postgres.create_database()
    try:
        before = sorted(Path(home).rglob("*"))
        for words in [*MAKING, *OTHERS]:
            if words in (("migrate",), ("store", "backup", "copy")):
                continue  # makes the schema; is of embedded stores alone
            result = run(*words, "--store", url)

            assert (result.code, result.out) == (1, "")
            assert "the database is empty" in result.err
        assert sorted(Path(home).rglob("*")) == before
    finally:
        postgres.drop_database(url)


def test_the_secret_of_hooks_is_not_made_up(run, home):
    """A secret that no server has would verify nothing."""
    result = run("hook-secret")

    assert (result.code, result.out) == (1, "")
    assert "secret.key' is missing" in result.err
    assert not (home / "millpond-data").exists()


def test_a_store_is_made_when_that_is_asked_for(run, home):
    """What `store create` has made, a key can be made in, and a server runs on."""
    place = ("--data", str(home / "data"))
    assert run("store", "create", *place).code == 0
    assert run("store", "create", *place).code == 0
    made = json.loads(run("key", "create", "--output", "json", *place).out)

    with RunningServer(home / "data") as server:
        assert server.access_key_id == ""  # it had no need to make one
        keys = run("key", "list", *place).out
        refused = run("store", "create", *place)

    assert made["AccessKeyId"] in keys
    assert refused.code == 1
    assert "is using" in refused.err


def test_ctrl_c_while_a_store_is_made(run, home, monkeypatch):
    """It says what to do, and the same command makes the rest."""

    def interrupt(settings):
        raise KeyboardInterrupt

    create = ("store", "create", "--data", str(home / "data"))
    with monkeypatch.context() as patched:
        patched.setattr("millpond.server.sealers.make_sealer", interrupt)
        result = run(*create)

    assert (result.code, result.out) == (130, "")
    assert "The same command" in result.err
    assert "backup" not in result.err
    assert run(*create).code == 0
    assert run("key", "create", "--data", str(home / "data")).code == 0


# --- The wrong one ------------------------------------------------------------------


@pytest.mark.parametrize("words", MAKING, ids=" ".join)
def test_a_folder_whose_servers_use_a_database(run, data, words):
    """What is left there from before would be a store that nobody reads."""
    (data / DATABASE_NOTE_NAME).write_text("postgresql://db.example/millpond\n")

    result = run(*words, "--data", str(data))

    assert (result.code, result.out) == (1, "")
    assert "have their store in 'postgresql://db.example/millpond'" in result.err


def test_servers_leave_word_where_their_store_is(run, data, new_database):
    """One with a database does so in its data folder; one without takes it back."""
    url = new_database()
    with RunningServer(data, settings={"store": url}):
        result = run("key", "create", "--data", str(data))
        assert (result.code, result.out) == (1, "")
        assert url.rpartition("/")[2].partition("?")[0] in result.err
        assert run("key", "create", "--data", str(data), "--store", url).code == 0

    with RunningServer(data):
        assert run("key", "create", "--data", str(data)).code == 0


def test_a_start_on_a_database_that_is_not_there_leaves_no_word(run, data):
    """Else the store of the folder could not be looked into any more."""
    url = "postgresql://u:p@127.0.0.1:1/gone"

    refused = run("serve", "--data", str(data), "--store", url, "--port", "0")

    assert refused.code == 1
    assert "cannot be reached" in refused.err
    assert run("key", "create", "--data", str(data)).code == 0


@pytest.mark.parametrize("words", MAKING, ids=" ".join)
def test_a_folder_that_a_server_on_another_machine_uses(run, data, words):
    """Locks may not reach that far, so its word in the folder counts."""
    (data / lock.FILE_NAME).write_text("12 elsewhere.example\n")

    result = run(*words, "--data", str(data))

    assert (result.code, result.out) == (1, "")
    assert "machine 'elsewhere.example'" in result.err
    assert str(data / lock.FILE_NAME) in result.err


@pytest.mark.parametrize("content", [b"", b"12\n", b"\xff\x00\x1b[2J x", b"a b\n"])
def test_a_word_that_is_none_is_in_nobodys_way(run, data, content):
    """An older server wrote its process alone; and a disk may have spoilt a file."""
    (data / lock.FILE_NAME).write_bytes(content)
    (data / DATABASE_NOTE_NAME).write_bytes(b"\xff\x1b[2J")

    assert run("key", "create", "--data", str(data)).code == 0


def test_a_server_that_was_killed_here_is_in_nobodys_way(run, data):
    """Its word in the folder is of this machine, and nobody holds the lock."""
    with RunningServer(data) as server:
        assert run("key", "create", "--data", str(data)).code == 0
        server.kill()
        result = run("key", "create", "--data", str(data))

    assert result.code == 0
    assert f"No server runs on '{data}'" in result.out


def test_a_server_that_stopped_takes_its_word_back(run, data):
    """The lock file is empty then."""
    with RunningServer(data) as server:
        said = (data / lock.FILE_NAME).read_text().split()[1:]
        assert said == [os.uname().nodename, server.endpoint]
        result = run("key", "create", "--data", str(data))
        assert f"The server on '{data}' (process " in result.out

    assert (data / lock.FILE_NAME).read_text() == ""


def put_a_copy_beside(server, data, home, monkeypatch):
    """Put another store where one is looked for, and name the port of a server."""
    shutil.copytree(data, home / "millpond-data")
    monkeypatch.setenv("MILLPOND_PORT", server.endpoint.rpartition(":")[2])


def check_refused_beside_a_server(result):
    """It says nothing but which server answers."""
    assert (result.code, result.out) == (1, "")
    assert "a server answers at 127.0.0.1 port" in result.err


@pytest.mark.parametrize("words", MAKING, ids=" ".join)
def test_a_folder_that_was_not_named_beside_a_server_of_another(
    run, home, data, server, monkeypatch, words
):
    """The server that one talks to would not know the key, so there is none."""
    put_a_copy_beside(server, data, home, monkeypatch)

    check_refused_beside_a_server(run(*words))
    assert run(*words, "--data", "millpond-data").code == 0


@pytest.mark.parametrize("words", [*CHANGING, ("hook-secret",)], ids=" ".join)
def test_nothing_is_changed_beside_a_server_of_another_store(
    run, home, data, server, monkeypatch, words
):
    """A key would go on to be good there, and a person to be kept."""
    put_a_copy_beside(server, data, home, monkeypatch)

    check_refused_beside_a_server(run(*words))
    named = run(*words, "--data", "millpond-data")
    assert "a server answers" not in named.err


@pytest.mark.parametrize("with_its_settings", [True, False])
def test_a_server_with_tls_is_a_server_of_another(
    run, home, data, tls_server, monkeypatch, with_its_settings
):
    """It is asked in the way that it understands, whatever the settings say."""
    running, certificate = tls_server
    put_a_copy_beside(running, data, home, monkeypatch)
    if with_its_settings:
        monkeypatch.setenv("MILLPOND_TLS_CERTIFICATE", str(certificate))
        monkeypatch.setenv("MILLPOND_TLS_KEY", str(certificate.with_name("key.pem")))

    check_refused_beside_a_server(run("key", "create"))


def test_a_secret_of_the_settings_is_of_no_folder(run, home, data, server, monkeypatch):
    """It is printed wherever one is."""
    put_a_copy_beside(server, data, home, monkeypatch)
    monkeypatch.setenv("MILLPOND_HOOK_SECRET", "a secret of sixteen letters")

    assert run("hook-secret").out == "a secret of sixteen letters\n"


@pytest.mark.parametrize("words", [("key", "create"), ("token-key", "rotate")])
def test_a_secret_of_another_store_seals_nothing(run, data, monkeypatch, words):
    """A server could not open what is sealed with it."""
    place = ("--data", str(data))
    assert run("key", "create", *place).code == 0
    before = run("key", "list", *place).out
    monkeypatch.setenv("MILLPOND_SECRET_KEY", "ab" * 32)

    result = run(*words, *place)

    assert (result.code, result.out) == (1, "")
    assert "sealed with another key" in result.err
    assert run("key", "list", *place).out == before


@pytest.mark.parametrize("words", [("key", "create"), ("token-key", "rotate")])
def test_a_secret_that_is_lost_is_not_made_anew(run, data, words):
    """A new one would open nothing."""
    (data / secret_key.FILE_NAME).unlink()

    result = run(*words, "--data", str(data))

    assert (result.code, result.out) == (1, "")
    assert "secret.key' is missing" in result.err
    assert not (data / secret_key.FILE_NAME).exists()


def test_looking_needs_no_secret(run, data):
    """What opens nothing works without it."""
    run("key", "create", "--data", str(data))
    (data / secret_key.FILE_NAME).unlink()

    for words in (("key", "list"), ("pool", "list"), ("stream", "list")):
        assert run(*words, "--data", str(data)).code == 0


# --- A secret that others can read --------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_commands_refuse_a_secret_that_others_can_read(run, data, mode):
    """As ssh does, with the command that mends it."""
    file = data / secret_key.FILE_NAME
    file.chmod(mode)

    for words in (("key", "create"), ("hook-secret",), ("token-key", "rotate")):
        result = run(*words, "--data", str(data))

        assert (result.code, result.out) == (1, "")
        assert f"(mode {mode:04o})" in result.err
        assert f"chmod 600 {shlex.quote(str(file))}." in result.err
    file.chmod(0o400)
    assert run("hook-secret", "--data", str(data)).code == 0


def test_the_command_that_keeps_a_secret_can_be_pasted(run, tmp_path):
    """Whatever is in the name of the folder."""
    data = tmp_path / "it's $mine"
    run("store", "create", "--data", str(data))
    file = data / secret_key.FILE_NAME
    file.chmod(0o644)

    told = run("hook-secret", "--data", str(data)).err
    (command,) = re.findall(r"chmod 600 .*?(?=\. Where)", told)
    subprocess.run(["sh", "-c", command], check=True)

    assert run("hook-secret", "--data", str(data)).code == 0


def test_a_server_takes_its_secret_from_others(data):
    """It starts, and its log has a line about it."""
    file = data / secret_key.FILE_NAME
    file.chmod(0o644)

    with RunningServer(data) as server:
        log = "".join(server.log)

    assert file.stat().st_mode & 0o777 == 0o600
    assert "secret_key.mended" in log


def test_what_a_command_logs_is_no_part_of_its_result(programs, data):
    """A warning stands on standard error, and nothing else is logged."""
    (data / secret_key.FILE_NAME).chmod(0o644)

    out, err = finished(
        programs.millpond("store", "create", "--data", str(data), "--output", "json")
    )

    assert json.loads(out) == {"Place": str(data)}
    (line,) = err.splitlines()
    assert "secret_key.mended" in line


# --- A key for one pool -------------------------------------------------------------


def test_an_empty_pool_is_not_every_pool(run, data):
    """`--pool "$unset"` neither makes a key for everything nor makes one of one."""
    place = ("--data", str(data))
    run("pool", "adopt", POOL, "--name", "x", *place)
    made = run("key", "create", "--pool", POOL, "--output", "json", *place).out
    key_id = json.loads(made)["AccessKeyId"]
    before = run("key", "list", *place).out

    for words in (("create",), ("change", key_id)):
        for empty in ("", " "):
            refused = run("key", *words, "--pool", empty, *place)

            assert (refused.code, refused.out) == (1, "")
            assert "--pool is empty" in refused.err
    assert run("key", "list", *place).out == before


# --- The last key -------------------------------------------------------------------


@pytest.fixture
def last(run, data) -> str:
    """The one key of the store."""
    made = run("key", "create", "--data", str(data), "--output", "json").out
    key_id: str = json.loads(made)["AccessKeyId"]
    return key_id


def keys(run, data: Path) -> list[str]:
    found = json.loads(run("key", "list", "--data", str(data), "--output", "json").out)
    return [each["AccessKeyId"] for each in found["Keys"]]


class Terminal:
    """Somebody at a terminal, with an answer."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


@pytest.mark.parametrize(
    ("answer", "goes"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False)]
)
def test_the_last_key_is_asked_about(run, data, last, monkeypatch, answer, goes):
    """Nobody could call the server without it; only a yes deletes it."""
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    result = run("key", "delete", last, "--data", str(data))

    assert (result.code == 0) is goes
    assert "is the last key" in result.err
    assert keys(run, data) == ([] if goes else [last])


def test_the_last_key_stays_when_there_is_nobody_to_ask(run, data, last, monkeypatch):
    """A script says --yes."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    delete = ("key", "delete", last, "--data", str(data))

    refused = run(*delete)

    assert (refused.code, refused.out) == (1, "")
    assert "--yes" in refused.err
    assert keys(run, data) == [last]
    assert run(*delete, "--yes").code == 0
    assert keys(run, data) == []


def test_nobody_is_asked_who_does_not_see_the_question(run, data, last, monkeypatch):
    """Standard error may be a file, and the command would wait for ever."""
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))

    refused = run("key", "delete", last, "--data", str(data))

    assert (refused.code, refused.out) == (1, "")
    assert "--yes" in refused.err
    assert keys(run, data) == [last]


@pytest.mark.parametrize(
    "change", [("--scope", "read-only"), ("--pool", POOL), ("--expires", "1s")]
)
def test_the_last_key_is_not_narrowed_without_a_question(
    run, data, last, monkeypatch, change
):
    """It would be the last one that may do everything, as if it were deleted."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    run("pool", "adopt", POOL, "--name", "x", "--data", str(data))
    words = ("key", "change", last, *change, "--data", str(data))

    refused = run(*words)

    assert (refused.code, refused.out) == (1, "")
    assert "is the last key" in refused.err
    assert run("key", "change", last, "--name", "x", "--data", str(data)).code == 0
    assert run(*words, "--yes").code == 0


def test_the_only_key_is_asked_about_whatever_it_may_do(run, data, last, monkeypatch):
    """Without any key nobody can call the server at all."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    place = ("--data", str(data))
    assert run("key", "change", last, "--scope", "read-only", "--yes", *place).code == 0

    assert "is the last key" in run("key", "delete", last, *place).err
    assert keys(run, data) == [last]


def test_a_key_that_is_over_is_no_other_one(run, data, last, monkeypatch):
    """The last key that is good is the last one, and one that is over goes unasked."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    place = ("--data", str(data))
    made = run("key", "create", "--expires", "1s", "--output", "json", *place).out
    over = json.loads(made)["AccessKeyId"]
    assert run("key", "change", last, "--scope", "read-only", "--yes", *place).code == 0
    wait_until(lambda: datetime.now(UTC) > _end_of(run, data, over))

    for words in (("delete", last), ("change", last, "--expires", "1s")):
        assert "is the last key" in run("key", *words, *place).err
    assert run("key", "delete", over, *place).code == 0
    assert keys(run, data) == [last]


def _end_of(run, data: Path, key_id: str) -> datetime:
    found = json.loads(run("key", "list", "--data", str(data), "--output", "json").out)
    (text,) = (
        each["ExpirationDate"]
        for each in found["Keys"]
        if each["AccessKeyId"] == key_id
    )
    return datetime.fromisoformat(text) + timedelta(seconds=1)  # it is cut to seconds


def test_the_last_key_lasts_longer_without_a_question(run, data, last, monkeypatch):
    """To end later takes nothing from anybody."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    change = ("key", "change", last, "--data", str(data), "--expires")
    assert run(*change, "1d", "--yes").code == 0

    assert run(*change, "2d").code == 0
    assert run(*change, "never").code == 0
    assert "is the last key" in run(*change, "2d").err


def test_a_key_among_others_goes_without_a_question(run, data, last, monkeypatch):
    """So does one that there is not, with the usual message."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    run("key", "create", "--data", str(data))

    assert "there is no key" in run("key", "delete", "AKIA", "--data", str(data)).err
    assert run("key", "delete", last, "--data", str(data)).code == 0
