"""
`@millpond/cognito-js-compat` does what the archived `amazon-cognito-js` does.

The same scenarios run on both, in Node.js and against one server, and what apps were
told and what the server was asked for is compared. What differs on purpose is in
`differences.json`, by its reason, with what each of the two does; the package's README
has the reasons. Other scenarios go from one library to the other, with one storage.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext

from acceptance.users import Backend
from clients.node import PACKAGES, install_packages
from clients_js.runtimes import CLIENTS, Files, new_tab
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

PACKAGE: Final = CLIENTS / "cognito-js-compat"
ORACLE: Final = PACKAGE / "test/oracle"
TIMEOUT_S: Final = 100.0

Logs = dict[str, dict[str, Any]]


def names_of(*files: Path) -> list[str]:
    """Read the names of the scenarios in some files."""
    exported = re.compile(r"^export (?:async function|const) (\w+)", re.MULTILINE)
    return [name for each in files for name in exported.findall(each.read_text())]


def read(name: str) -> dict[str, Any]:
    """Read one of the oracle's files."""
    found: dict[str, Any] = json.loads((ORACLE / name).read_text())
    return found


SCENARIOS: Final = ORACLE / "scenarios"
TAKE_OVER: Final = SCENARIOS / "take-over.mjs"
COMPARED: Final = names_of(
    *(
        each
        for each in sorted(SCENARIOS.glob("*.mjs"))
        if each.name not in ("index.mjs", TAKE_OVER.name)
    )
)
DIFFERENCES: Final = read("differences.json")


def run(library: str, server: RunningServer, backend: Backend) -> Logs:
    """Run all scenarios on a library, and give what each of them wrote down."""
    command = {
        "library": library,
        "packages": str(PACKAGES),
        "server": {
            "endpoint": server.endpoint,
            "region": server.region,
            "pool": backend.pool,
            "accessKeyId": server.access_key_id,
            "secretAccessKey": server.secret_access_key,
        },
    }
    done = subprocess.run(
        ["node", "--no-warnings", str(ORACLE / "run.mjs")],
        input=json.dumps(command) + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=seconds(TIMEOUT_S),
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {each.pop("scenario"): each for each in found}


@pytest.fixture(scope="module")
def logs(packages: None, server: RunningServer, identities: Any) -> dict[str, Logs]:
    """What the scenarios wrote down, by library."""
    install_packages()  # the archived ones
    return {
        library: run(library, server, Backend(identities))
        for library in ("old", "ours", "both")
    }


@pytest.mark.parametrize("scenario", COMPARED)
def test_as_the_old_library(scenario: str, logs: dict[str, Logs]) -> None:
    """Apps are told the same, and the same is asked for, but for what is on purpose."""
    old, ours = logs["old"][scenario], logs["ours"][scenario]
    assert "broken" not in old
    assert "broken" not in ours
    expected = {
        place: pair for each in DIFFERENCES.values() for place, pair in each.items()
    }
    labels = {**old["entries"], **ours["entries"]}
    assert labels
    for label in labels:
        pair = expected.get(f"{scenario}: {label}")
        if pair is None:
            assert ours["entries"].get(label) == old["entries"].get(label), label
        else:
            assert old["entries"].get(label) == pair["old"], label
            assert ours["entries"].get(label) == pair["ours"], label


@pytest.mark.parametrize("scenario", names_of(TAKE_OVER))
def test_take_over(scenario: str, logs: dict[str, Logs]) -> None:
    """What the old library left on the device, sent or not, goes on with ours."""
    log = logs["both"][scenario]
    assert "broken" not in log
    assert log["entries"] == read("take-over.json")[scenario]


def test_differences_are_told() -> None:
    """The README has each reason, and no scenario is named that there is not."""
    text = (PACKAGE / "README.md").read_text()
    told = re.findall(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    assert told[1:] == list(DIFFERENCES)  # after the head of the table
    named = {
        place.partition(": ")[0] for each in DIFFERENCES.values() for place in each
    }
    assert named <= set(COMPARED)


class TestInABrowser:
    """With real storages, and the scripts as pages load them."""

    @pytest.fixture
    def script(self, packages: None, tmp_path: Path) -> Path:
        """The one file that a page without a bundler loads, as the README makes it."""
        made = tmp_path / "cognito-js-compat.js"
        words = ["cognito-js-compat/src/global.js", "--bundle", "--minify"]
        subprocess.run(
            ["node_modules/.bin/esbuild", *words, f"--outfile={made}"],
            cwd=CLIENTS,
            capture_output=True,
            check=True,
        )
        return made

    def test_a_page_goes_on(
        self,
        script: Path,
        device: BrowserContext,
        files: Files,
        backend: Backend,
        server: RunningServer,
        developer: Any,
    ) -> None:
        """A guest of the old page is the same in the new one, and sends the rest."""
        install_packages()
        old = new_tab(device, files.blank)
        old.add_script_tag(path=PACKAGES / "aws-sdk/dist/aws-sdk.min.js")
        old.add_script_tag(
            path=PACKAGES / "amazon-cognito-js/dist/amazon-cognito.min.js"
        )
        place = {"endpoint": server.endpoint, "pool": backend.pool}
        guest = old.evaluate(_IN_A_PAGE, {**place, "values": {"a": "1"}, "syncs": True})
        old.evaluate(_IN_A_PAGE, {**place, "values": {"a": "2", "b": "3"}})
        old.close()

        new = new_tab(device, files.blank)
        new.add_script_tag(path=script)
        found = new.evaluate(_IN_A_PAGE, {**place, "values": {"c": "4"}, "syncs": True})

        assert found == {**guest, "values": {"a": "2", "b": "3", "c": "4"}}
        listed = developer.list_records(
            IdentityPoolId=backend.pool,
            IdentityId=found["identity"],
            DatasetName="prefs",
        )
        stored = {each["Key"]: each["Value"] for each in listed["Records"]}
        assert stored == found["values"]

    def test_two_tabs(
        self,
        script: Path,
        device: BrowserContext,
        files: Files,
        backend: Backend,
        server: RunningServer,
    ) -> None:
        """What one tab writes the other one sees, and neither loses what it wrote."""
        tabs = [new_tab(device, files.blank) for _ in range(2)]
        place = {"endpoint": server.endpoint, "pool": backend.pool}
        for tab in tabs:
            tab.add_script_tag(path=script)
            tab.evaluate(_IN_A_PAGE, {**place, "values": {}})
        written: dict[str, str] = {}
        for each, tab in enumerate(tabs):
            values = {f"{each}-{number}": "x" for number in range(20)}
            written |= values
            tab.evaluate(_BEGIN_TO_WRITE, values)
        for tab in tabs:
            tab.evaluate("() => globalThis.writing")

        found = [
            tab.evaluate(_IN_A_PAGE, {**place, "values": {}, "syncs": True})
            for tab in tabs
        ]

        assert [each["values"] for each in found] == [written, written]
        assert found[0]["identity"] == found[1]["identity"]


_BEGIN_TO_WRITE: Final = """
(values) => {
  const manager = new AWS.CognitoSyncManager()
  globalThis.writing = new Promise((resolve) =>
    manager.openOrCreateDataset('prefs', (_, prefs) => {
      let left = Object.keys(values).length
      for (const [key, value] of Object.entries(values)) {
        prefs.put(key, value, () => --left || resolve())
        if (key.endsWith('-10')) prefs.synchronize() // in the middle
      }
    })).then(() => {})
}
"""

_IN_A_PAGE: Final = """
async ({ endpoint, pool, values, syncs }) => {
  const promised = (target, method, ...words) => new Promise((resolve, reject) =>
    target[method](...words, (error, found) => error ? reject(error) : resolve(found)))
  const place = { region: 'us-east-1', endpoint }
  AWS.config.update({ ...place, cognitosync: { endpoint } })
  AWS.config.credentials =
    new AWS.CognitoIdentityCredentials({ IdentityPoolId: pool }, place)
  await promised(AWS.config.credentials, 'get')
  const manager = new AWS.CognitoSyncManager()
  const prefs = await promised(manager, 'openOrCreateDataset', 'prefs')
  for (const entry of Object.entries(values)) await promised(prefs, 'put', ...entry)
  if (syncs) {
    await new Promise((onSuccess, onFailure) =>
      prefs.synchronize({ onSuccess, onFailure }))
  }
  return { identity: manager.getIdentityId(), values: await promised(prefs, 'getAll') }
}
"""
