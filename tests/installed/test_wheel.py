"""
The wheel, installed as users install it: into an environment with nothing else in it.

From an index on this machine, without a network. `make test-all` does so for every
Python that is found here besides the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from installed import wheels
from millpond.testing.deadlines import seconds
from millpond.testing.postgres import TestPostgres

HERE: Final = Path(__file__).parent
NEWEST: Final = next(
    (
        found
        for minor in range(19, sys.version_info.minor, -1)
        if (found := shutil.which(f"python3.{minor}"))
    ),
    None,
)


class Environment:
    """An environment with Millpond in it."""

    def __init__(self, folder: Path, index: Path) -> None:
        self.folder = folder
        self._index = index
        self.python = folder / "bin" / "python"

    def pip(self, *words: str) -> None:
        """Call pip, which knows the index on this machine alone."""
        pip = [sys.executable, "-m", "pip", "--isolated", "--python", str(self.python)]
        done = subprocess.run(
            [*pip, *words],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )
        assert done.returncode == 0, done.stderr

    def install(self, *requirements: str) -> None:
        """Install from the index."""
        self.pip("install", "-q", "--no-index", f"-f{self._index}", *requirements)

    def packages(self) -> set[str]:
        """Name what is installed."""
        names = self.folder.glob("lib/*/site-packages/*.dist-info")
        return {each.name.partition("-")[0].lower() for each in names}

    def run(
        self, *words: str | Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with the variables of nobody."""
        program, *others = words
        return subprocess.run(
            [self.folder / "bin" / program, *others],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds(100),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables},
        )


@pytest.fixture(
    scope="module",
    params=[
        sys.executable,
        pytest.param(NEWEST, marks=pytest.mark.shown_elsewhere("by this Python")),
    ],
    ids=["this Python", "the newest Python"],
)
def installed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Environment:
    """An environment with Millpond, and what it runs on."""
    python: str | None = request.param
    if python is None:
        pytest.skip("there is no Python on the path that is newer than this one")
    index = tmp_path_factory.mktemp("index")
    wheel = wheels.build(index)
    if python == sys.executable:
        wheels.fill_index(index, wheels.requirements(wheel))
    elif failure := wheels.download(index, wheel, python):
        pytest.skip(f"no wheels for {python}: {failure}")
    folder = tmp_path_factory.mktemp("installed") / "environment"
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    environment = Environment(folder, index)
    environment.install("millpond")
    return environment


def test_only_what_it_runs_on_is_installed(installed: Environment) -> None:
    """No driver of an extra, and nothing that tests or builds, comes with it."""
    brought = installed.packages()

    assert {"millpond", "granian", "apsw", "botocore"} <= brought
    assert not brought & {
        *("asyncpg", "nats_py", "confluent_kafka", "opentelemetry_api"),
        *("boto3", "pytest", "hypothesis", "moto", "hatchling", "pip", "awscli"),
    }


def test_the_demonstration_runs_from_a_wheel(installed: Environment) -> None:
    """`millpond demo` ends well, and leads to no make and into no environment."""
    demo = installed.run("millpond", "demo")

    assert demo.returncode == 0, demo.stderr
    assert "All of it arrived." in demo.stdout
    assert "millpond serve --data" in demo.stdout
    assert "make " not in demo.stdout
    assert "activate" not in demo.stdout


def test_every_command_runs_from_a_wheel(installed: Environment) -> None:
    """One call of each does what it does in a checkout: nothing is missing."""
    ended = installed.run("python", HERE / "every_command.py")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    done = answer["done"]
    called = {words.split()[0] for words in done}

    assert {*answer["commands"], "cognito-sync", "sts", "kinesis"} - called == {"demo"}
    status = {words: code for words, (code, _) in done.items()}
    failed = {words for words, code in status.items() if code}
    assert failed == {
        # What they ask for is not there, and they say so.
        *("bulk-publish --identity-pool-id", "dataset list"),
        *("get-bulk-publish-details --identity-pool-id", "serve --port"),
        "live --identity-pool-id",
    }, done
    for words, (_, told) in done.items():
        assert "Traceback" not in told, told
        assert not re.search(r"No module named|No such file", told), (words, told)


@pytest.fixture
def with_extra(
    installed: Environment, request: pytest.FixtureRequest
) -> Iterator[Environment]:
    """The environment with one extra more, and afterwards without it."""
    before = installed.packages()
    installed.install(f"millpond[{request.param}]")
    yield installed
    installed.pip("uninstall", "-q", "-y", *(installed.packages() - before))


NOWHERE: Final = "postgresql://127.0.0.1:9/"
CALLS: Final[dict[str, tuple[Sequence[Sequence[str]], dict[str, str]]]] = {
    # Each needs the driver: of a store, or to look at the settings of a stream.
    "postgres": (
        [
            ["store", "verify"],
            ["serve"],
            ["settings", "check"],
            ["store", "create"],
            ["store", "copy", NOWHERE, "nowhere"],
            ["migrate", "--distribute"],
            ["key", "list"],
            ["pool", "list"],
            ["stream", "list"],
            ["import", "status"],
        ],
        {"MILLPOND_STORE": NOWHERE, "MILLPOND_SECRET_KEY": "00" * 32},
    ),
    "nats": (
        [["settings", "check"], ["serve"]],
        {"MILLPOND_STREAMS": '{"s": "nats://127.0.0.1:9/s"}'},
    ),
    "kafka": (
        [["settings", "check"], ["serve"]],
        {"MILLPOND_STREAMS": '{"s": "kafka://127.0.0.1:9/s"}'},
    ),
    # A server runs without: see `acceptance/test_tracing.py`.
    "otel": (
        [["settings", "check"]],
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    ),
}


@pytest.mark.parametrize("extra", wheels.EXTRAS)
def test_what_needs_an_extra_says_which(installed: Environment, extra: str) -> None:
    """Without its driver a call ends with the words that install it."""
    calls, variables = CALLS[extra]
    for words in calls:
        refused = installed.run("millpond", *words, **variables)
        said = " ".join((refused.stdout + refused.stderr).split())

        assert refused.returncode != 0, words
        assert f"pip install 'millpond[{extra}]'" in said, (words, said)
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("with_extra", "name"),
    [(each, each) for each in wheels.EXTRAS],
    indirect=["with_extra"],
)
def test_each_extra_works_alone(with_extra: Environment, name: str) -> None:
    """With one extra, and no other, its driver is used: here, to reach nobody."""
    calls, variables = CALLS[name]
    words = calls[0]
    done = with_extra.run("millpond", *words, **variables)
    said = done.stdout + done.stderr

    assert "pip install" not in said
    assert "Traceback" not in said
    assert (done.returncode == 0) == (name != "postgres"), said


@pytest.mark.parametrize("with_extra", ["testing"], indirect=True)
def test_the_fixtures_of_the_test_kit_from_a_wheel(with_extra: Environment) -> None:
    """The tests of the example pass with the extra alone; there is no boto3 then."""
    example = with_extra.folder / "app"
    shutil.copytree(wheels.ROOT / "examples" / "testing", example)
    done = with_extra.run("python", "-m", "pytest", "-q", "-rs", example)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed, 1 skipped" in done.stdout
    assert "boto3" in done.stdout


@pytest.mark.parametrize("with_extra", ["postgres"], indirect=True)
def test_a_server_on_postgresql_from_a_wheel(
    with_extra: Environment, postgres: TestPostgres
) -> None:
    """With the extra alone a store is made in a real database."""
    url = postgres.create_database()
    try:
        made = with_extra.run("millpond", "store", "create", "--store", url)

        assert made.returncode == 0, made.stdout + made.stderr
    finally:
        postgres.drop_database(url)
