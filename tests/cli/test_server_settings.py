"""`millpond settings`: what a server would start with, before it does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from certificates import make_certificate
from millpond.settings import ImportSource, Settings, load, table

SECRET = "0123456789abcdef" * 4


@pytest.fixture
def check(run):
    """Run `millpond settings check`; give back its status and the problems."""

    def run_check(*words):
        result = run("settings", "check", *words, "--output", "json")
        found = json.loads(result.out)
        assert found["Right"] == (result.code == 0) == (not found["Problems"])
        return result.code, found["Problems"]

    return run_check


def test_what_is_right_is_said(run, check, monkeypatch):
    """Without a problem the status is 0."""
    monkeypatch.setenv("MILLPOND_REGION", "eu-west-1")

    assert check() == (0, [])
    assert run("settings", "check").out == (
        "All is right: 1 set, the others at their defaults.\n"
    )


def test_everything_that_is_wrong_is_said(run, check, home, monkeypatch):
    """Each problem has its setting, a sentence and its origin; the status is 1."""
    file = home / "millpond.toml"
    file.write_text('regoin = "x"\ntls_certificate = "gone.pem"\n', "utf-8")
    monkeypatch.setenv("MILLPOND_PROT", "80")

    code, problems = check("--settings", str(file), "--port", "x")

    assert code == 1
    assert {each["Setting"]: each["Origin"] for each in problems} == {
        "regoin": str(file),
        "MILLPOND_PROT": "",
        "port": "--port",
        "tls_certificate": str(file),
    }
    text = run("settings", "check", "--settings", str(file), "--port", "x").out
    assert all(each["Text"] in text for each in problems)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"streams": {"a": "file:///no/such/folder"}}, "no folder '/no/such/folder'"),
        ({"streams": {"a": "file:///etc/passwd"}}, "'/etc/passwd' is not a folder"),
        ({"streams": {"a": "kinesys://a"}}, "begins with"),
        ({"streams": {"a b": "embedded:a"}}, "has 'a b'; the name of a stream is"),
        ({"streams": {"": "embedded:a"}}, "has ''; the name of a stream is"),
        ({"streams": {"a": "embedded://a"}}, "is embedded:NAME"),
        ({"streams": {"a": "embedded:"}}, "is embedded:NAME"),
        ({"streams": {"a": "nats://h/a?tls=true&ca=/no/ca.pem"}}, "'/no/ca.pem'"),
        ({"login_providers": {"a": {"keys": "gone.json"}}}, "no file 'gone.json'"),
        ({"login_providers": {"a": {"keys": "/etc/passwd"}}}, "it is no JSON."),
        ({"stream_payload_store": "s3://"}, "s3://BUCKET"),
        (
            {"imports": {"us-east-1:0": {"files": "/no/such/folder"}}},
            "entry 'us-east-1:0', 'files': There is no folder '/no/such/folder'.",
        ),
        (
            {"imports": {"us-east-1:0": {"profile": "nobody"}}},
            "There is no profile 'nobody' in the files of the AWS CLI.",
        ),
        (
            {"imports": {"us-east-1:0": {"stream": "kinesis://x?regoin=eu"}}},
            "entry 'us-east-1:0', 'stream': There is no option 'regoin'",
        ),
        (
            {"imports": {"us-east-1:0": {"files": "s3://"}}},
            "entry 'us-east-1:0', 'files': The URL of a bucket is s3://BUCKET",
        ),
        (
            {"imports": {"us-east-1:0": {"files": "file:///no/such/folder"}}},
            "There is no folder '/no/such/folder'.",
        ),
        ({"data": "/etc/passwd"}, "'/etc/passwd' is not a folder"),
        ({"data": "/etc/passwd/x"}, "cannot be made: '/etc/passwd' is not a folder"),
        ({"store": "postgresql://h/d?sslrootcert=/no/root.pem"}, "'/no/root.pem'"),
    ],
)
def test_what_is_missing_outside_is_said(check, monkeypatch, settings, says):
    """Files, folders and kinds of streams that settings name are looked for."""
    for name, value in settings.items():
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"MILLPOND_{name.upper()}", text)

    code, problems = check()

    assert code == 1
    assert [each["Setting"] for each in problems] == list(settings)
    assert says in problems[0]["Text"]


def test_the_command_that_mends_can_be_pasted(check, home, monkeypatch):
    """Whatever is in the names of folders: once it is run, all is right."""
    (home / "it's").mkdir(mode=0o755)
    monkeypatch.chdir(home / "it's")
    open_to_all = home / "it's" / "scripts"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    stream = {"changes": f"file://{home}/it's/$changes"}
    monkeypatch.setenv("MILLPOND_STREAMS", json.dumps(stream))
    monkeypatch.setenv("MILLPOND_INIT_FOLDER", str(open_to_all))

    _, problems = check()
    for each in problems:
        command = re.search(r"(mkdir -p|chmod go-w) .*", each["Text"])
        assert command
        subprocess.run(["sh", "-c", command[0]], check=True)

    assert len(problems) == 2
    assert (home / "it's" / "$changes").is_dir()
    assert check() == (0, [])


def test_no_data_folder_is_asked_of_who_needs_none(check, monkeypatch):
    """With a database and the setting 'secret_key' nothing is kept in a folder."""
    monkeypatch.setenv("MILLPOND_STORE", "postgresql://127.0.0.1/d")
    words = ("--data", "/etc/passwd/x")

    assert check(*words)[0] == 1
    monkeypatch.setenv("MILLPOND_SECRET_KEY", SECRET)
    assert check(*words) == (0, [])


def test_an_ephemeral_server_needs_no_folder(check, home):
    """The one that a server has by default may be impossible to make."""
    (home / "millpond-data").write_text("a file")

    assert check()[0] == 1
    assert check("--ephemeral") == (0, [])


def test_what_is_given_to_serve_is_given_to_check(run, check, home, monkeypatch):
    """Also how many processes there are to be, and that nothing is to be kept."""
    assert check("--readers", "1") == (0, [])
    code, problems = check("--readers", "1", "--ephemeral")
    assert (code, [each["Setting"] for each in problems]) == (1, ["ephemeral"])
    assert "leave out readers" in problems[0]["Text"]
    monkeypatch.setenv("MILLPOND_DATA", "data")
    code, problems = check("--ephemeral")
    assert (code, len(problems)) == (1, 1)
    assert "MILLPOND_DATA names a folder to keep it in" in problems[0]["Text"]
    served = run("serve", "--ephemeral")
    assert (served.code, served.out) == (1, "")
    assert problems[0]["Text"] in served.err
    assert not (home / "data").exists()


def test_a_driver_that_is_missing_is_said(check, monkeypatch):
    """With what to install."""
    monkeypatch.setenv("MILLPOND_STREAMS", '{"a": "nats://127.0.0.1:4222/a"}')
    monkeypatch.setitem(sys.modules, "nats", None)
    monkeypatch.delitem(sys.modules, "millpond.sinks.nats", raising=False)
    monkeypatch.delitem(sys.modules, "millpond.sinks.nats_connection", raising=False)

    _, problems = check()

    assert "pip install 'millpond[nats]'" in problems[0]["Text"]


@pytest.fixture
def tls(home) -> dict[str, Path]:
    """A certificate and its key, and what may lie in the place of one."""
    for folder in ("own", "other"):
        (home / folder).mkdir()
    certificate, key = make_certificate(home / "own")
    _, other = make_certificate(home / "other")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    sealed, cut = home / "sealed.pem", home / "cut.pem"
    sealed.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"geheim"),
        )
    )
    cut.write_bytes(certificate.read_bytes()[:100])
    return {
        "certificate": certificate,
        "key": key,
        "other": other,
        "sealed": sealed,
        "cut": cut,
    }


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("certificate", "other", "the key in '{key}' is not that of the certificate."),
        ("certificate", "sealed", "'{key}' has a passphrase"),
        ("certificate", "certificate", "'{key}' has no private key in PEM."),
        ("key", "key", "'{certificate}' has no certificate in PEM."),
        ("cut", "key", "they are damaged, or of an unknown kind"),
    ],
)
def test_tls_files_must_fit(check, tls, monkeypatch, certificate, key, says):
    """Both are read; what is wrong is said in words, and nobody is asked for any."""
    files = {"certificate": tls[certificate], "key": tls[key]}
    for name, file in files.items():
        monkeypatch.setenv(f"MILLPOND_TLS_{name.upper()}", str(file))

    code, problems = check()

    assert (code, len(problems)) == (1, 1)
    assert f"cannot be used: {says.format(**files)}" in problems[0]["Text"]
    assert "_ssl.c" not in problems[0]["Text"]


@pytest.mark.parametrize("text", ["port = ", "\x00", "[[[["])
def test_a_file_that_is_no_toml_is_a_problem(check, home, text):
    """It is told as the others are."""
    file = home / "millpond.toml"
    file.write_text(text, "utf-8")

    code, problems = check("--settings", str(file))

    assert code == 1
    assert "is not valid TOML" in problems[0]["Text"]


def test_a_server_does_not_start_on_what_is_wrong(run, home, monkeypatch):
    """All is told at once, and nothing was made."""
    monkeypatch.setenv("MILLPOND_PROT", "80")
    monkeypatch.setenv("MILLPOND_STREAMS", '{"a": "file:///no/such/folder"}')

    result = run("serve", "--data", "data")

    assert (result.code, result.out) == (1, "")
    assert "MILLPOND_PROT" in result.err
    assert "/no/such/folder" in result.err
    assert not (home / "data").exists()


def test_each_value_is_shown_with_its_origin(run, home, monkeypatch):
    """The option wins over the variable, that over the file, that over the default."""
    file = home / "millpond.toml"
    file.write_text('port = 1\nhost = "a"\nregion = "eu-west-1"\n', "utf-8")
    monkeypatch.setenv("MILLPOND_PORT", "2")
    monkeypatch.setenv("MILLPOND_HOST", "b")
    words = ("settings", "show", "--settings", str(file), "--port", "3")

    rows = json.loads(run(*words, "--output", "json").out)["Settings"]

    shown = {row["Name"]: (row["Value"], row["Origin"]) for row in rows}
    assert list(shown) == [row.name for row in table()]
    assert shown["port"] == (3, "--port")
    assert shown["host"] == ("b", "MILLPOND_HOST")
    assert shown["region"] == ("eu-west-1", str(file))
    assert shown["drain_s"] == (20, "default")
    some = run("settings", "show", "region", "port", "--settings", str(file))
    assert [line.split()[0] for line in some.out.splitlines()] == ["port", "region"]


def test_what_is_shown_is_a_settings_file(run, home, monkeypatch):
    """It can be written to a file and read back."""
    monkeypatch.setenv("MILLPOND_CORS_ORIGINS", '["https://a.example"]')
    monkeypatch.setenv("MILLPOND_STREAMS", '{"a b": "embedded:x"}')
    monkeypatch.setenv(
        "MILLPOND_LOGIN_PROVIDERS", '{"p.example": {"client_ids": ["q\\"\\u007f"]}}'
    )

    text = run("settings", "show").out

    assert tomllib.loads(text)["streams"] == {"a b": "embedded:x"}
    file = home / "again.toml"
    file.write_text(text, "utf-8")
    again = load(file)
    assert again == Settings(
        cors_origins=["https://a.example"],
        streams={"a b": "embedded:x"},
        login_providers=again.login_providers,
    )
    assert again.login_providers["p.example"].client_ids == ['q"\x7f']


def test_what_is_not_set_in_a_table_is_left_out(run, home, monkeypatch):
    """TOML has no word for nothing."""
    monkeypatch.setenv("MILLPOND_IMPORTS", '{"us-east-1:0": {"timeout_s": 5}}')

    text = run("settings", "show", "imports").out

    shown = tomllib.loads(text)["imports"]["us-east-1:0"]
    assert shown["timeout_s"] == 5
    assert "claims_until" not in shown
    file = home / "again.toml"
    file.write_text(text, "utf-8")
    assert load(file).imports["us-east-1:0"] == ImportSource(timeout_s=5)


def test_secrets_are_masked(run, monkeypatch):
    """No secret, and no URL with a password in it, is shown as it is."""
    secrets = {
        "SECRET_KEY": SECRET,
        "HOOK_SECRET": "geheim-geheim-geheim",
        "STORE": "postgresql://u:geheim@h/d?password=geheim",
        "STREAMS": '{"a": "nats://u:geheim@h:4222/a"}',
    }
    for name, value in secrets.items():
        monkeypatch.setenv(f"MILLPOND_{name}", value)

    for form in ("text", "json"):
        shown = run("settings", "show", "--output", form)
        assert shown.code == 0
        assert "geheim" not in shown.out + shown.err
        assert SECRET not in shown.out
        assert "********" in shown.out


def test_what_is_wrong_is_said_beside_what_is_shown(run, monkeypatch):
    """The table stays whole; the status says that a server would not start."""
    monkeypatch.setenv("MILLPOND_PORT", "x")

    result = run("settings", "show", "port", "nonsense", "drains")

    assert result.code == 1
    assert result.out.startswith("port = 8014")
    assert "Setting 'port' is 'x'" in result.err
    assert "no setting 'nonsense'." in result.err
    assert "no setting 'drains'. Is 'drain_s' meant?" in result.err


def test_looking_at_settings_makes_nothing(run, home):
    """Neither a folder nor a store."""
    before = set(Path(home).iterdir())
    run("settings", "check", "--data", "data")
    run("settings", "show", "--data", "data")

    assert set(Path(home).iterdir()) == before
