"""What the documents show is in good form, and names what there is."""

from __future__ import annotations

import ast
import configparser
import contextlib
import importlib
import io
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from docs.blocks import (
    MARK,
    Block,
    all_blocks,
    blocks_of,
    commands_in,
    marks_in,
    pages,
    syntax_fault,
)
from docs.pasting import PASTED, RUN_ELSEWHERE
from docs.site import ROOT, Seen, documents
from millpond import settings
from millpond.cli.commands import COMMANDS
from millpond.cli.main import main
from millpond.cli.pools_file import shapes

BLOCKS: Final = all_blocks()
NOBODY: Final = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
}
PROGRAMS: Final = ("sh", "console", "python", "js", "sql")


def read_toml(text: str, folder: Path) -> None:
    """Take it as a file of settings, or of pools and streams."""
    tables = tomllib.loads(text)
    if any(isinstance(each, dict) for each in tables.get("streams", {}).values()) or (
        "pools" in tables
    ):
        shapes.read(text, shapes.Shapes())
        return
    file = folder / "millpond.toml"
    file.write_text(text, "utf-8")
    problems = settings.read(file).problems
    assert [str(each) for each in problems] == []


def read_ini(text: str, _folder: Path) -> None:
    """Take it as a unit, a file of pgbouncer or pytest, or the lines of a section."""
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#", ";"))
    parser.read_string(text if "[" in text.split("=")[0] else f"[all]\n{text}")
    assert any(parser[each] for each in parser.sections())


def read_nginx(text: str, _folder: Path) -> None:
    """Each line opens or ends a block, or is a directive to its end."""
    bare = [line.partition("#")[0].strip() for line in text.splitlines()]
    assert all(each == "}" or each.endswith(("{", ";")) for each in bare if each)
    assert text.count("{") == text.count("}")


def read_html(text: str, _folder: Path) -> None:
    """Take it as a page; an import map is JSON."""
    Seen().feed(text)
    for found in re.findall(r'<script type="importmap">(.*?)</script>', text, re.S):
        json.loads(found)


def read_diff(text: str, _folder: Path) -> None:
    """Each line is taken away, added or left."""
    assert all(each[:1] in ("", " ", "+", "-") for each in text.splitlines())


READERS: Final[dict[str, Callable[[str, Path], Any]]] = {
    "": lambda text, _: text,  # what is printed
    "text": lambda text, _: text,
    "diff": read_diff,
    "html": read_html,
    "ini": read_ini,
    "json": lambda text, _: json.loads(text),
    "nginx": read_nginx,
    "toml": read_toml,
    "yaml": lambda text, _: yaml.safe_load(text),
}


@pytest.mark.parametrize("git", ["fails", "is not there"])
def test_documents_are_found_where_git_reads_nothing(
    git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an archive, or a checkout of another user, there are the same ones."""
    known = documents()
    if git == "fails":
        program = tmp_path / "git"
        program.write_text("#!/bin/sh\nexit 128\n", "utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert documents() == known


def test_every_program_is_run_or_says_why_not() -> None:
    """Commands, Python, JavaScript and SQL are run by a test, or have a reason."""
    neither = []
    for block in BLOCKS:
        if block.language not in {*PROGRAMS, *READERS}:
            neither.append(f"{block}: nobody reads {block.language}")
        elif block.language in PROGRAMS and block.not_run is None:
            kind = "sh" if block.is_shell else block.language
            if block.page not in PASTED.get(kind, {}) and (
                (block.page, kind) not in RUN_ELSEWHERE
            ):
                neither.append(f"{block}: no test runs it, and it does not say why")

    assert neither == []


def test_what_runs_elsewhere_is_there() -> None:
    """The tests that are said to run a page speak of it, and the page has blocks."""
    for (page, language), test in RUN_ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8") or page in (
            ROOT / test
        ).read_text("utf-8")
        assert any(
            (each.page, each.language, each.not_run) == (page, language, None)
            for each in BLOCKS
        )


def test_every_mark_is_well_written_and_has_a_block() -> None:
    """A reason stands right before a block, and is a reason."""
    for page, text in pages().items():
        reasons = [each.not_run for each in blocks_of(page, text) if each.not_run]

        assert len(reasons) == marks_in(text), page
        assert all(len(each.split()) >= 3 for each in reasons), page


def test_a_mark_without_a_block_is_seen() -> None:
    """Wherever something stands between them, and however it is written."""
    mark = "<!-- not run by a test: there is no such thing -->"
    block = "```sh\nls\n```\n"
    text = f"{mark}\n{block}\n{mark}\n\nWords.\n\n{block}<!-- NOT  RUN -->\n"

    found = [each.not_run for each in blocks_of("page", text)]

    assert found == ["there is no such thing", None]
    assert marks_in(text) == 3
    assert MARK.fullmatch(mark)


@pytest.mark.parametrize(
    "block",
    [
        each
        for each in BLOCKS
        if each.language in READERS and each.language and each.not_run is None
    ],
    ids=str,
)
def test_what_is_read_is_in_good_form(block: Block, tmp_path: Path) -> None:
    """Settings are settings that there are; the rest is what it says it is."""
    READERS[block.language](block.text, tmp_path)


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.is_shell], ids=str)
def test_commands_are_commands(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell can read them; those of ours, and of the AWS CLI, take these options."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    assert syntax_fault(block.script) == ""
    for program, *words in commands_in(block, tmp_path):
        assert complaint(program, words) == "", words


def complaint(program: str, words: list[str]) -> str:
    """
    Say what the command line finds wrong with words, without doing what they say.

    Commands of the APIs call where nobody answers, which comes after all checks.
    """
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        try:
            if program == "millpond" and words[0] in COMMANDS:
                module = importlib.import_module(COMMANDS[words[0]].module)
                module.make_parser().parse_args(words[1:])
                return ""
            status = main([*words, "--endpoint-url", "http://127.0.0.1:9"])
        except SystemExit as done:
            status = int(done.code or 0)
    said = told.getvalue()
    return "" if "Could not connect" in said else said or f"status {status}"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("millpond pool list --sorted", "--sorted"),
        ("sudo millpond pol list", "pol"),
        ("x=$(aws cognito-sync list-datasets --identity-pool-id $pool)", "identity-id"),
        ("docker compose exec millpond millpond key make", "make"),
        ("/opt/millpond/bin/millpond serve --prot 1", "--prot"),
        ("uvx millpond serve | tee log; aws kinesis list-stream", "list-stream"),
    ],
)
def test_what_is_no_command_is_seen(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands in a block."""
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    block = Block("page", 1, "sh", script)
    found = [complaint(each[0], each[1:]) for each in commands_in(block, tmp_path)]

    assert said in "".join(found)


@pytest.mark.parametrize(
    "block", [each for each in BLOCKS if each.language == "python"], ids=str
)
def test_python_compiles_and_imports_what_there_is(block: Block) -> None:
    """Each name that is imported is there."""
    tree = ast.parse(block.text)
    compile(tree, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                importlib.import_module(each.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for each in node.names:
                assert hasattr(module, each.name), each.name


def test_javascript_can_be_read(tmp_path: Path) -> None:
    """It is in good form, and what it imports from our packages is exported."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js")
    wrong = []
    for block in (each for each in BLOCKS if each.language == "js"):
        file = tmp_path / "block.mjs"
        file.write_text(block.text, "utf-8")
        read = subprocess.run(
            [node, "--check", file], capture_output=True, text=True, check=False
        )
        wrong += [f"{block}: {read.stderr}"] if read.returncode else []
        for names, package in re.findall(
            r"import \{([^}]*)\} from ['\"]@millpond/([\w/-]+)['\"]", block.text
        ):
            exported = exports_of(package)
            wrong += [
                f"{block}: {package} has no {name}"
                for name in (each.split(" as ")[0].strip() for each in names.split(","))
                if name and not re.search(rf"\b{re.escape(name)}\b", exported)
            ]

    assert wrong == []


def exports_of(package: str) -> str:
    """Give the words that the entry of a package exports."""
    name, _, entry = package.partition("/")
    folder = ROOT / "clients" / "js" / name
    found = json.loads((folder / "package.json").read_text("utf-8"))["exports"]
    place = found[f"./{entry}" if entry else "."]
    if isinstance(place, dict):
        place = place.get("default") or place["import"]
    text = (folder / place).read_text("utf-8")
    return "\n".join(re.findall(r"^export\b[^;]*", text, re.MULTILINE))
