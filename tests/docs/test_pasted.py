"""Who pastes what a page says, block after block, gets what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.blocks import blocks_of, pages
from docs.pasting import PASTED, Given
from docs.site import ROOT
from millpond.testing.server import RunningServer
from processes import Programs, finished

PAGES = pages()

# What goes on until it is stopped goes on beside the rest, and is stopped at the end:
# it must not have failed until then. A server takes a free port, and is waited for.
SHELL = r"""
set -euo pipefail
beside=()
finish() {
  status=$?
  for each in ${beside[@]+"${beside[@]}"}; do # an empty one is unset to bash 3.2
    if kill -INT "$each" 2>/dev/null; then wait "$each" || true
    else wait "$each" || { echo "this ended by itself: $each" >&2; status=1; }; fi
  done
  exit "$status"
}
trap finish EXIT
set -m
millpond() {
  case "$1 ${2-}" in
    serve*)
      MILLPOND_PORT=0 command millpond "$@" > served.txt 2>&1 & local server=$!
      beside+=("$server")
      until grep -q "answers at" served.txt; do
        kill -0 "$server" || { cat served.txt >&2; return 1; }
        read -rt 0.05 <> <(:) || true
      done ;;
    live* | stream\ tail* | data\ watch*)
      command millpond "$@" > followed.txt & beside+=($!) ;;
    *) command millpond "$@" ;;
  esac
}
pip() { echo "what is installed is not this test's to change" >&2; return 1; }
python3() { command python3 "$@" > fetched.txt 2>&1 & beside+=($!); }
pool=$(millpond cognito-identity create-identity-pool --identity-pool-name given \
    --allow-unauthenticated-identities --developer-provider-name login.given \
    --query IdentityPoolId --output text)
identity=$(millpond cognito-identity get-open-id-token-for-developer-identity \
    --identity-pool-id "$pool" --logins login.given=user-42 --query IdentityId \
    --output text)
token=$(millpond cognito-sync list-records --identity-pool-id "$pool" \
    --identity-id "$identity" --dataset-name prefs --query SyncSessionToken \
    --output text)
millpond cognito-sync update-records --identity-pool-id "$pool" \
    --identity-id "$identity" --dataset-name prefs --sync-session-token "$token" \
    --record-patches Op=replace,Key=size,Value=7,SyncCount=0 > given.txt
"""
PYTHON = """
import os
import boto3
endpoint = os.environ["AWS_ENDPOINT_URL"]
pool = boto3.client("cognito-identity").create_identity_pool(
    IdentityPoolName="given", AllowUnauthenticatedIdentities=True
)["IdentityPoolId"]
"""


def pasted(page: str, language: str, given: Given) -> str:
    """Put the blocks of a page together."""
    text = given.before
    for block in blocks_of(page, PAGES[page]):
        kind = "sh" if block.is_shell else block.language
        if kind == language and block.not_run is None:
            text += f"\n# {block}\n{block.script}"
    for example, real in given.instead.items():
        text = text.replace(example, real)
    return text


def run(
    programs: Programs, command: list[str], server: RunningServer, folder: Path
) -> None:
    """Run a program beside a server, with the programs of this environment."""
    home = folder / "home"
    home.mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    process = programs.start(
        command,
        cwd=folder,
        env={
            **inherited,
            **server.environment(),
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "repository": str(ROOT),
        },
        stdin=subprocess.DEVNULL,
    )
    out, errors = finished(process, 100)

    assert process.returncode == 0, f"{out}\n{errors}"


@pytest.mark.parametrize("page", PASTED["sh"])
def test_the_commands_of_a_page(programs: Programs, page: str, tmp_path: Path) -> None:
    """Each of them does what it is there for: none fails."""
    given = PASTED["sh"][page]
    script = pasted(page, "sh", given)
    assert script != given.before
    data = None if given.ephemeral else tmp_path / "millpond-data"
    with RunningServer(data) as server:
        run(programs, ["bash", "-c", SHELL + script], server, tmp_path)


@pytest.mark.parametrize("page", PASTED["python"])
def test_the_python_of_a_page(programs: Programs, page: str, tmp_path: Path) -> None:
    """It runs to its end, given a server and a pool."""
    program = pasted(page, "python", PASTED["python"][page])
    with RunningServer(None) as server:
        run(programs, [sys.executable, "-c", PYTHON + program], server, tmp_path)
