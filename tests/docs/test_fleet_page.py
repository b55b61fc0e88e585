"""What docs/howto/from-laptop-to-fleet.md shows is right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from millpond import settings
from millpond.cli import serve
from millpond.stores.postgres.database import CONNECTIONS_MAX

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "from-laptop-to-fleet.md"
SYSTEMD = ROOT / "deploy" / "systemd"
TEXT = PAGE.read_text("utf-8")


def block(language: str, containing: str) -> str:
    """Find a block of code of the page."""
    blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    (found,) = [each for each in blocks if containing in each]
    return str(found)


def test_every_setting_is_in_one_of_the_tables() -> None:
    """Of each setting the page tells whether all nodes need the same, and only once."""
    part = TEXT.partition("## 2. ")[2].partition("## 3. ")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]

    for row in settings.table():
        assert told.count(row.name) == 1, row.name


def test_the_unit_starts_a_node_with_what_the_page_sets(tmp_path: Path) -> None:
    """The file, and the secrets that the drop-in hands over; the unit changes none."""
    file = tmp_path / "millpond.toml"
    file.write_text(block("toml", "/etc/millpond/millpond.toml"), encoding="utf-8")
    written = dict(re.findall(r"^echo '(.+)' > (/\S+)$", TEXT, re.MULTILINE))
    secrets = {place: value for value, place in written.items()}
    unit = (SYSTEMD / "millpond.service").read_text("utf-8")
    drop_in = (SYSTEMD / "postgresql.conf").read_text("utf-8")
    handed = re.findall(r"^LoadCredential=millpond\.(\w+):(.+)$", drop_in, re.MULTILINE)
    variables = {f"MILLPOND_{name.upper()}": secrets[place] for name, place in handed}
    (words,) = re.findall(r"^ExecStart=\S+/millpond serve (.+)$", unit, re.MULTILINE)
    options = serve.make_parser().parse_args(words.split())
    for line in re.findall(r"^Environment=(.+)$", unit + drop_in, re.MULTILINE):
        variables |= dict(each.split("=", 1) for each in line.split())

    loaded = settings.load(file, variables)

    assert str(options.settings) == "/etc/millpond/millpond.toml"
    assert f"{options.settings}\n" in unit.partition("[Unit]")[0]
    assert loaded.store == secrets["/etc/millpond/store.url"]
    assert loaded.store.startswith("postgresql://")
    assert len(bytes.fromhex(loaded.secret_key)) == 32
    given = tomllib.loads(file.read_text("utf-8"))
    assert {name: getattr(loaded, name) for name in given} == given


def test_nginx_does_not_rewrite_paths() -> None:
    """Nothing stands behind the name of the upstream, and the Host header is kept."""
    config = block("nginx", "upstream")

    assert re.findall(r"proxy_pass (.*);", config) == ["http://millpond"]
    assert "proxy_set_header Host $http_host;" in config


def test_the_connections_of_a_node() -> None:
    """The page counts those of the pool, and the one that listens."""
    assert f"up to {CONNECTIONS_MAX + 1}: {CONNECTIONS_MAX} for requests" in TEXT
