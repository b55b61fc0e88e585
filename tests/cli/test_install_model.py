"""`millpond install-model`: the AWS CLI and boto3 know the API without AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import botocore.loaders
import pytest

from millpond.contract.cognito_sync import API
from millpond.testing.deadlines import seconds

SYNC = "cognito-sync/2014-06-30/service-2.json"
IDENTITY = "cognito-identity/2014-06-30/service-2.json"
PAGES = "cognito-identity/2014-06-30/paginators-1.json"

# Takes the services that botocore brings along away from it, for one process.
FORGET = """\
import os, sys
from pathlib import Path
def forget(loaders):
    empty = Path(os.environ["HOME"], "no-services")
    empty.mkdir(exist_ok=True)
    for file in Path(loaders.Loader.BUILTIN_DATA_PATH).glob("*.json*"):
        (empty / file.name).exists() or (empty / file.name).symlink_to(file)
    loaders.Loader.BUILTIN_DATA_PATH = str(empty)
"""
SAMPLE = """\
def sample(shape):
    if shape.type_name == "structure":
        return {name: sample(each) for name, each in shape.members.items()}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "map":
        return {"SyncTrigger": sample(shape.value)}
    if shape.type_name == "string":
        least = max(shape.metadata.get("min", 1), 1)
        return shape.enum[0] if shape.enum else "x" * least
    return {"integer": 1, "long": 1, "timestamp": 0, "boolean": True}[shape.type_name]
"""
BOTOCORE = f"""\
{FORGET}{SAMPLE}
import botocore.loaders, botocore.session
forget(botocore.loaders)
session = botocore.session.Session()
print(*session.get_available_services())
client = session.create_client("cognito-sync")
model = client.meta.service_model
for name in model.operation_names:
    client._make_api_call(name, sample(model.operation_model(name).input_shape))
"""
AWS_CLI = f"""\
{FORGET}{SAMPLE}
import json
try:
    from awscli.botocore import loaders, session, xform_name
except ImportError:
    from botocore import loaders, session, xform_name
forget(loaders)
from awscli.clidriver import main
model = session.Session().get_service_model("cognito-sync")
for name in model.operation_names:
    given = json.dumps(sample(model.operation_model(name).input_shape))
    words = ["cognito-sync", xform_name(name, "-"), "--cli-input-json", given]
    sys.argv = ["aws", *words]
    assert main() == 0, words
"""


@pytest.fixture
def models(home) -> Path:
    """Where the models of the user are."""
    return home / ".aws" / "models"


@pytest.fixture
def install(run):
    """Run `millpond install-model`."""
    return lambda *words: run("install-model", *words)


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def operations_called(stub) -> list[tuple[str, str]]:
    """What the stub was asked, as method and the path's fixed parts."""
    return [(each.method, each.target.partition("?")[0]) for each in stub.received]


def test_it_writes_models_and_says_what_to_set(install, models):
    """The files are where botocore looks, and the endpoint variables are named."""
    result = install()

    assert (result.code, result.err) == (0, "")
    assert {SYNC, IDENTITY, PAGES} == files_below(models)
    assert "export AWS_ENDPOINT_URL_COGNITO_SYNC=" in result.out
    assert "export AWS_ENDPOINT_URL_COGNITO_IDENTITY=" in result.out
    assert "--undo" in result.out


def test_a_botocore_without_the_service_can_call_every_operation(install, home, stub):
    """All operations are called with nothing but our model and the variable."""
    install()

    services = run_python(BOTOCORE, AWS_ENDPOINT_URL_COGNITO_SYNC=stub.url)

    assert services.split() == ["cognito-identity", "cognito-sync"]
    assert len(API.operations) == len(stub.received)
    assert all("authorization" in each.headers for each in stub.received)


def test_boto3_and_the_aws_cli_send_the_same_to_the_same_places(install, stub):
    """The AWS CLI without the service has all commands, and sends what boto3 does."""
    pytest.importorskip("awscli", reason="the AWS CLI is not installed")
    install()

    run_python(BOTOCORE, AWS_ENDPOINT_URL_COGNITO_SYNC=stub.url)
    by_botocore, stub.received = operations_called(stub), []
    run_python(AWS_CLI, AWS_ENDPOINT_URL_COGNITO_SYNC=stub.url)

    assert len(set(by_botocore)) == len(API.operations)
    assert by_botocore == operations_called(stub)


def test_without_our_model_such_a_botocore_knows_nothing(home):
    """The tests above see our files, not those that botocore brings along."""
    assert not run_python(BOTOCORE.partition("client =")[0]).split()


def test_it_works_with_the_folders_of_aws_data_path(install, tmp_path, stub):
    """--folder writes elsewhere, and the variable that leads there is named."""
    folder = tmp_path / "elsewhere"

    result = install("--folder", str(folder), "--api", "cognito-sync")
    services = run_python(
        BOTOCORE,
        AWS_DATA_PATH=str(folder),
        AWS_ENDPOINT_URL_COGNITO_SYNC=stub.url,
    )

    assert f"export AWS_DATA_PATH={folder}\n" in result.out
    assert f"--undo --folder {folder}" in result.out
    assert {SYNC} == files_below(folder)
    assert services.split() == ["cognito-sync"]


def test_a_folder_that_is_searched_needs_no_variable(install, tmp_path, monkeypatch):
    """A folder of AWS_DATA_PATH is found as it is."""
    monkeypatch.setenv("AWS_DATA_PATH", f"/nowhere{os.pathsep}{tmp_path / 'data'}")

    assert "export AWS_DATA_PATH" not in install("--folder", str(tmp_path / "data")).out


def test_pages_are_put_together_as_with_botocores_own_model(install, models):
    """What pages in botocore's model of an API pages in ours, and nothing else."""
    install()

    theirs = botocore.loaders.create_loader()
    ours = botocore.loaders.Loader(
        extra_search_paths=[str(models)], include_default_search_paths=False
    )
    assert theirs.load_service_model("cognito-identity", "paginators-1") == {
        "pagination": ours.load_service_model("cognito-identity", "paginators-1")[
            "pagination"
        ]
    }
    assert theirs.load_service_model("cognito-sync", "paginators-1") == {
        "pagination": {}
    }


def test_undo_removes_what_was_written_and_nothing_else(install, models):
    """What the user put beside our files stays, and so does its folder."""
    install()
    beside = models / "cognito-sync" / "2014-06-30" / "examples-1.json"
    beside.write_text("{}")
    other = models / "mine" / "2020-01-01" / "service-2.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")

    result = install("--undo")

    assert (result.code, result.err) == (0, "")
    assert files_below(models) == {
        "cognito-sync/2014-06-30/examples-1.json",
        "mine/2020-01-01/service-2.json",
    }
    assert not (models / "cognito-identity").exists()


def test_undo_with_nothing_there_does_nothing(install, models):
    """Undo may be repeated, and may come first."""
    assert install("--undo").code == 0
    assert not models.exists()


def test_a_second_time_changes_nothing(install, models):
    """What is up to date is left alone, and told so."""
    install()
    before = (models / SYNC).stat()

    result = install()

    assert result.code == 0
    assert "is up to date" in result.out
    assert before.st_mtime_ns == (models / SYNC).stat().st_mtime_ns


def test_a_model_of_an_older_release_is_replaced(install, models):
    """A file of ours that says something else by now is written anew, unasked."""
    install()
    current = (models / SYNC).read_text("utf-8")
    from millpond.cli import install_model

    (models / SYNC).write_text(install_model._marked({"version": "2.0"}), "utf-8")

    assert install().code == 0
    assert current == (models / SYNC).read_text("utf-8")


@pytest.mark.parametrize(
    "content", [b'{"version": "2.0"}', b"{}", b"[]", b"no json", b"\xff\xfe", b""]
)
def test_somebody_elses_file_is_not_touched(install, models, content):
    """A file without our mark stops everything, and undo leaves it."""
    path = models / SYNC
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    refused = install()
    undone = install("--undo")

    assert refused.code == 1
    assert "was not written by Millpond" in refused.err
    assert "Nothing has been written" in refused.err
    assert undone.code == 0
    assert {SYNC} == files_below(models)
    assert content == path.read_bytes()


def test_a_compressed_model_beside_ours_is_somebodys(install, models):
    """botocore would no longer see it behind ours."""
    path = models / f"{SYNC}.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")

    assert install().code == 1
    assert {f"{SYNC}.gz"} == files_below(models)


def test_a_link_is_somebodys(install, models, tmp_path):
    """A link is what the user made, wherever it leads."""
    install()
    there = tmp_path / "kept.json"
    (models / SYNC).rename(there)
    (models / SYNC).symlink_to(there)

    assert install().code == 1
    assert install("--undo").code == 0
    assert (models / SYNC).is_symlink()


def test_a_file_of_ours_that_was_changed_is_kept(install, models):
    """Neither another installation nor undo loses what somebody wrote into it."""
    install()
    document = json.loads((models / SYNC).read_text("utf-8"))
    document["metadata"]["serviceId"] = "Mine"
    (models / SYNC).write_text(json.dumps(document), "utf-8")

    refused, undone = install(), install("--undo")

    assert (refused.code, undone.code) == (1, 1)
    assert "has been changed since" in refused.err
    assert "has been changed since" in undone.err
    assert {SYNC} == files_below(models)
    assert install("--undo", "--force").code == 0
    assert not files_below(models)


def test_force_overwrites(install, models):
    """With --force, somebody else's file is replaced."""
    path = models / SYNC
    path.parent.mkdir(parents=True)
    path.write_text("{}")

    assert install("--force").code == 0
    assert json.loads(path.read_text("utf-8"))["metadata"]["serviceId"] == (
        "Cognito Sync"
    )


def test_a_folder_that_cannot_be_written_is_told(install, tmp_path):
    """A file in the place of a folder is an error in one line."""
    (tmp_path / "file").write_text("")

    result = install("--folder", str(tmp_path / "file"))

    assert result.code == 1
    assert result.err.startswith("millpond install-model: ")
    assert result.err.count("\n") == 1


def test_one_api_alone(install, models):
    """--api picks, and a wrong one is a usage error."""
    assert install("--api", "cognito-identity").code == 0
    assert {IDENTITY, PAGES} == files_below(models)
    assert install("--api", "kinesis").code == 2


def test_a_tilde_behind_an_equals_sign_is_the_home(run, home, models):
    """Shells leave a ~ there alone; the folder below the home is meant, and told."""
    result = run("install-model", "--folder=~/.aws/models", "--api=cognito-sync")

    assert result.code == 0, result.err
    assert files_below(models) == {SYNC}
    assert not (home / "~").exists()

    refused = run("install-model", "--folder=~nobody-of-this-name/models")

    assert refused.code == 2
    assert "--folder: must be a path, and there is no home" in refused.err
    assert not (home / "~nobody-of-this-name").exists()
