"""Profiles, regions, endpoints and credentials are where the AWS CLI has them."""

from __future__ import annotations

import json
import shlex

import pytest

from millpond.client.api import endpoints

KEYS = """\
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = s
[work]
aws_access_key_id = AKIDWORK
aws_secret_access_key = s
aws_session_token = tok
[half]
aws_access_key_id = AKIDHALF
"""


@pytest.fixture
def files(home):
    """Write the config and the credentials file."""

    def write(config="", credentials=""):
        (home / ".aws" / "config").write_text(config)
        (home / ".aws" / "credentials").write_text(credentials)

    return write


@pytest.fixture
def without_keys(monkeypatch, home):
    """Take the keys out of the environment."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def scope(details, stub):
    """Make a call; give back the key and the region that it was signed with."""

    def call(*words):
        result = details(*words)
        assert (result.code, result.err) == (0, "")
        credential = stub.received[-1].headers["authorization"].split("Credential=")[1]
        key, _, region, *_ = credential.split("/")
        return key, region

    return call


def test_the_region_option_wins(scope, files, monkeypatch):
    """The option before the variable, the variable before the profile."""
    files("[default]\nregion = from-profile\n")

    assert scope("--region", "from-option")[1] == "from-option"
    assert scope()[1] == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "wins")
    assert scope()[1] == "wins"
    assert scope("--region", "from-option")[1] == "from-option"
    monkeypatch.setenv("AWS_REGION", "")
    assert scope()[1] == ""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert scope()[1] == "from-profile"


def test_an_empty_region_counts_as_given(scope, monkeypatch):
    """An empty option or variable is a region."""
    assert scope("--region", "")[1] == ""


def test_keys_in_the_environment_win(scope, files, monkeypatch):
    """The environment's keys win over those of a profile named in the environment."""
    files(credentials=KEYS)
    monkeypatch.setenv("AWS_PROFILE", "work")

    assert scope()[0] == "AKIDTEST"
    assert scope("--profile", "work")[0] == "AKIDWORK"


def test_a_session_token_is_sent(scope, stub, monkeypatch):
    """A token goes along, under either of its names; an empty one does not."""
    for name, value in (("AWS_SECURITY_TOKEN", "old"), ("AWS_SESSION_TOKEN", "new")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            scope()
        assert value == stub.received[-1].headers["x-amz-security-token"]
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    scope()
    assert "x-amz-security-token" not in stub.received[-1].headers


@pytest.mark.usefixtures("without_keys")
def test_keys_in_the_files(scope, files, stub, monkeypatch):
    """Both files are looked into, the credentials file first."""
    files("[default]\naws_access_key_id=AKIDCONFIG\naws_secret_access_key=s\n")
    assert scope()[0] == "AKIDCONFIG"
    files("[default]\naws_access_key_id=X\n[profile work]\nregion=there\n", KEYS)
    assert scope()[0] == "AKIDDEFAULT"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert scope("--profile", "work") == ("AKIDWORK", "there")
    assert stub.received[-1].headers["x-amz-security-token"] == "tok"


@pytest.mark.usefixtures("without_keys")
def test_files_may_be_elsewhere(scope, home, monkeypatch):
    """Variables name the files; '~' and variables in the names are filled in."""
    (home / "c").write_text("[profile 'a b']\nregion = r\n")
    (home / "k").write_text(KEYS.replace("[work]", "[a b]"))
    monkeypatch.setenv("AWS_CONFIG_FILE", "~/c")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "$HOME/k")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert scope("--profile", "a b") == ("AKIDWORK", "r")


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            "half",
            "Partial credentials found in shared-credentials-file, missing: "
            "aws_secret_access_key",
        ),
        ("none", "The config profile (none) could not be found"),
    ],
)
def test_a_profile_without_enough_in_it(details, files, profile, message):
    """A key without its secret, and a profile that is not there, are told."""
    files(credentials=KEYS)

    result = details("--profile", profile)

    assert (255, f"\n{message}\n") == (result.code, result.err)


def test_a_key_without_a_secret_in_the_environment(details, monkeypatch):
    """Half of the variables is told too."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert details().err == (
        "\nPartial credentials found in env, missing: AWS_SECRET_ACCESS_KEY\n"
    )


def test_an_empty_profile_variable_names_a_profile(details, monkeypatch):
    """AWS_PROFILE set to nothing is a name that does not exist."""
    monkeypatch.setenv("AWS_PROFILE", "")

    assert details().err == "\nThe config profile () could not be found\n"


@pytest.mark.usefixtures("without_keys")
def test_a_process_that_gives_credentials(scope, files, home, details):
    """credential_process is run, by botocore."""
    answer = {"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "s"}
    file = home / "c.json"
    file.write_text(json.dumps(answer))
    files(f"[default]\ncredential_process = cat {shlex.quote(str(file))}\n")
    assert scope()[0] == "AKIDPROCESS"

    files("[default]\ncredential_process = false\n")
    assert details().err.startswith(
        "\nError when retrieving credentials from custom-process: "
    )


@pytest.mark.usefixtures("without_keys")
def test_a_role_is_left_to_botocore(details, files):
    """What botocore says about a role is what we say."""
    files("[profile r]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = gone\n")

    assert details("--profile", "r").err == (
        '\nThe source_profile "gone" referenced in the profile "r" does not exist.\n'
    )


def test_a_file_that_cannot_be_parsed(details, files):
    """A broken config file ends every command, with a status of its own."""
    files("[default\nregion = x\n")

    result = details()

    assert result.code == 1
    assert "Unable to parse config file: " in result.err


@pytest.mark.parametrize(
    ("config", "variables"),
    [
        ("", {"AWS_ENDPOINT_URL": "{url}"}),
        ("", {"AWS_ENDPOINT_URL": "{dead}", "AWS_ENDPOINT_URL_COGNITO_SYNC": "{url}"}),
        ("[default]\nendpoint_url = {url}\n", {}),
        ("[default]\nendpoint_url = {url}\n", {"AWS_ENDPOINT_URL": ""}),
        (
            "[default]\nservices = s\nendpoint_url = {dead}\n[services s]\n"
            "cognito_sync =\n  endpoint_url = {url}\n",
            {},
        ),
    ],
)
def test_where_an_endpoint_comes_from(run, stub, files, monkeypatch, config, variables):
    """The service's variable, the common one, the services section, the profile."""

    def fill(text):
        return text.replace("{url}", stub.url).replace("{dead}", "http://127.0.0.1:1")

    files(fill(config))
    for name, value in variables.items():
        monkeypatch.setenv(name, fill(value))

    assert run("cognito-sync", "list-identity-pool-usage").code == 0
    assert len(stub.received) == 1


def test_configured_endpoints_can_be_ignored(run, stub, monkeypatch):
    """AWS_IGNORE_CONFIGURED_ENDPOINT_URLS leaves the option alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    words = ("cognito-sync", "list-identity-pool-usage", "--endpoint-url", stub.url)

    assert run(*words).code == 0


def test_a_services_section_that_does_not_exist(run, files):
    """The profile may name a section that is not there."""
    files("[default]\nservices = gone\n")

    assert run("cognito-sync", "list-identity-pool-usage").err == (
        "\nThe profile is configured to use the services section but the "
        '"gone" services configuration does not exist.\n'
    )


@pytest.mark.parametrize(
    ("region", "options", "url"),
    [
        ("eu-west-1", {}, "https://cognito-sync.eu-west-1.amazonaws.com"),
        ("x", {}, "https://cognito-sync.x.amazonaws.com"),
        ("cn-north-1", {}, "https://cognito-sync.cn-north-1.amazonaws.com.cn"),
        (
            "us-east-1",
            {"fips": True},
            "https://cognito-sync-fips.us-east-1.amazonaws.com",
        ),
        ("us-east-1", {"dual_stack": True}, "https://cognito-sync.us-east-1.api.aws"),
        ("us-isob-east-1", {}, "https://cognito-sync.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_the_endpoint_of_a_region(region, options, url):
    """Without any setting, the endpoint is the one that AWS has."""
    assert url == endpoints.default_url("cognito-sync", region, **options)
