"""`millpond doctor` says what keeps calls from succeeding, and how to mend it."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import ssl
import subprocess
import time
from email.utils import formatdate

import pytest

from certificates import make_certificate
from cli.stub import Stub
from millpond.testing.server import RunningServer, wait_until

NOWHERE = "us-east-1:00000000-0000-0000-0000-000000000000"


@pytest.fixture
def at_server(server, home, monkeypatch) -> RunningServer:
    """A real server, with an environment that is right for it."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def doctor(run):
    """Run `millpond doctor`; give back the exit status and the checks by name."""

    def examine(*words: str) -> tuple[int, dict[str, dict[str, str]]]:
        result = run("doctor", "--output", "json", *words)
        assert result.err == ""
        found = json.loads(result.out)
        assert found["Healthy"] is (result.code == 0)
        return result.code, {each["Name"]: each for each in found["Checks"]}

    return examine


@pytest.fixture
def new_pool(at_server):
    """Make an identity pool, with a configuration for its stream."""

    def make(**streams: str) -> str:
        pool: str = at_server.client("cognito-identity").create_identity_pool(
            IdentityPoolName="examined", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        if streams:
            at_server.client("cognito-sync").set_identity_pool_configuration(
                IdentityPoolId=pool, CognitoStreams=streams
            )
        return pool

    return make


def statuses(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: each["Status"] for name, each in checks.items()}


def only_failure(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    """The one check that fails, and its name; it says how to mend it."""
    (failed,) = [each for each in checks.values() if each["Status"] == "fail"]
    assert failed["Mend"]
    return failed


def test_all_is_well(doctor, at_server, new_pool):
    """Against a server that works, every check is ok and the exit status 0."""
    name = f"healthy-{time.time_ns()}"
    at_server.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    pool = new_pool(StreamName=name, StreamingStatus="ENABLED")

    code, checks = doctor("--identity-pool-id", pool)

    assert code == 0
    assert statuses(checks) == dict.fromkeys(
        (
            *("endpoint", "region", "credentials", "tls", "server", "clock"),
            *("signature", "versions", "database", "disk", "regions"),
            *("identity pool", "stream", "outbox", "bulk publish"),
        ),
        "ok",
    )
    assert "from AWS_ENDPOINT_URL" in checks["endpoint"]["Text"]
    assert "from AWS_DEFAULT_REGION" in checks["region"]["Text"]
    assert at_server.access_key_id in checks["credentials"]["Text"]
    assert at_server.secret_access_key not in json.dumps(checks)


def test_each_check_is_one_line(run, at_server):
    """As text: the status, what was looked at, what is so."""
    result = run("doctor")

    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == 11
    assert all(line.startswith("ok    ") for line in lines)
    assert lines[6] == "ok    signature      Accepted, as a developer's."


def test_a_failure_says_how_to_mend_it_in_the_same_line(run, at_server, monkeypatch):
    """The line of a failed check ends with what to do."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    result = run("doctor")

    assert result.code == 1
    line = result.out.splitlines()[-1]
    assert line.startswith("fail  signature      The secret is not that of AKIA")
    assert "To mend: " in line


def test_a_wrong_secret(doctor, at_server, monkeypatch):
    """The key is known, and the signature is not its own."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    code, checks = doctor()

    assert code == 1
    failed = only_failure(checks)
    assert failed["Name"] == "signature"
    assert f"secret is not that of {at_server.access_key_id}" in failed["Text"]


def test_an_unknown_key(doctor, at_server, monkeypatch):
    """The server does not know the key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")

    failed = only_failure(doctor()[1])

    assert failed["Name"] == "signature"
    assert "does not know the access key AKIAUNKNOWN" in failed["Text"]
    assert "millpond key create" in failed["Mend"]


def test_a_wrong_region(doctor, at_server):
    """A signature for another region is refused; the region is to blame."""
    failed = only_failure(doctor("--region", "eu-west-1")[1])

    assert failed["Name"] == "region"
    assert "takes no signatures for eu-west-1" in failed["Text"]


def test_no_region(doctor, at_server, monkeypatch):
    """Without a region nothing can be signed; both variables are to be set."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION")

    code, checks = doctor()

    assert code == 1
    assert only_failure(checks)["Name"] == "region"
    assert "AWS_REGION=us-east-1 AWS_DEFAULT_REGION=" in checks["region"]["Mend"]
    assert "signature" not in checks


@pytest.mark.parametrize(
    ("default", "told"), [(None, "is not set"), ("eu-west-1", "has 'eu-west-1'")]
)
def test_a_region_that_some_tools_do_not_see(
    doctor, at_server, monkeypatch, default, told
):
    """AWS_REGION wins here, but boto3 and the AWS CLI 1 read the other one alone."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    if default:
        monkeypatch.setenv("AWS_DEFAULT_REGION", default)

    checks = doctor()[1]

    assert checks["region"]["Status"] == "warn"
    assert told in checks["region"]["Text"]
    assert checks["region"]["Mend"] == "export AWS_DEFAULT_REGION=us-east-1"


def test_since_when_an_endpoint_is_read(doctor, at_server):
    """Older tools pass over the variable and call AWS, so their versions are told."""
    text = doctor()[1]["endpoint"]["Text"]

    assert "boto3 since 1.28 and the AWS CLI since 1.29 and 2.13" in text
    assert "--endpoint-url" in text


def test_a_region_that_is_none(doctor, at_server):
    """A name that no host could have is told before any call."""
    assert only_failure(doctor("--region", "us east")[1])["Name"] == "region"


def test_no_credentials(doctor, at_server, monkeypatch):
    """Without keys, everything that needs none is still looked at."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    checks = doctor()[1]

    assert only_failure(checks)["Name"] == "credentials"
    assert checks["server"]["Status"] == "ok"
    assert "signature" not in checks


def test_half_of_the_credentials(doctor, at_server, monkeypatch):
    """A key without its secret is told, with the place where it was found."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert "AWS_SECRET_ACCESS_KEY" in only_failure(doctor()[1])["Text"]


def test_where_the_credentials_come_from(doctor, at_server, home, monkeypatch):
    """Keys of a profile are told by file and profile."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (home / ".aws" / "credentials").write_text(
        f"[work]\naws_access_key_id = {at_server.access_key_id}\n"
        f"aws_secret_access_key = {at_server.secret_access_key}\n"
    )

    code, checks = doctor("--profile", "work")

    assert code == 0
    assert "the credentials file, profile work" in checks["credentials"]["Text"]


def test_credentials_of_a_process(doctor, at_server, home, monkeypatch):
    """Keys that have to be asked for are asked for."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    keys = {
        "Version": 1,
        "AccessKeyId": at_server.access_key_id,
        "SecretAccessKey": at_server.secret_access_key,
    }
    file = home / "keys.json"
    file.write_text(json.dumps(keys))
    (home / ".aws" / "config").write_text(
        f"[default]\ncredential_process = cat {shlex.quote(str(file))}\n"
    )

    code, checks = doctor()

    assert code == 0
    assert "custom-process" in checks["credentials"]["Text"]


@pytest.mark.parametrize(
    ("words", "config"),
    [(("--profile", "nobody"), ""), ((), "[broken"), (("--cli-read-timeout", "x"), "")],
)
def test_settings_that_cannot_be_read(doctor, at_server, home, words, config):
    """A profile, a file or an option that is wrong is the first and last check."""
    (home / ".aws" / "config").write_text(config)

    checks = doctor(*words)[1]

    assert list(checks) == ["settings"]


def test_no_endpoint(doctor, home):
    """Without an endpoint calls would go to AWS, which is told and not tried."""
    checks = doctor()[1]

    assert "go to AWS" in only_failure(checks)["Text"]
    assert "AWS_ENDPOINT_URL_COGNITO_SYNC" in checks["endpoint"]["Mend"]
    assert list(checks) == ["endpoint", "region", "credentials"]


def test_an_endpoint_where_nobody_reads_it(doctor, home):
    """What `aws configure set cognito_sync.endpoint_url` writes is named."""
    (home / ".aws" / "config").write_text(
        "[profile dev]\ncognito_sync =\n  endpoint_url = http://millpond.test:8014\n"
    )

    failed = doctor("--profile", "dev")[1]["endpoint"]

    assert failed["Status"] == "fail"
    assert "Profile dev has one below cognito_sync" in failed["Text"]
    assert "set endpoint_url http://millpond.test:8014 --profile dev`" in failed["Mend"]


def test_endpoints_that_are_to_be_ignored(doctor, at_server, monkeypatch):
    """A setting that hides the endpoint is named."""
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")

    assert "ignore_configured_endpoint_urls" in only_failure(doctor()[1])["Text"]


def test_an_endpoint_that_is_none(doctor, home, monkeypatch):
    """A URL without a host that could be one is told with its source."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_SYNC", "http://a b/")

    failed = only_failure(doctor()[1])

    assert failed["Name"] == "endpoint"
    assert "AWS_ENDPOINT_URL_COGNITO_SYNC" in failed["Text"]


def test_nobody_listens(doctor, home):
    """A port that refuses connections."""
    with socket.socket() as taken:  # bound, so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        failed = only_failure(doctor("--endpoint-url", url)[1])

    assert failed["Name"] == "server"
    assert "Could not connect" in failed["Text"]
    assert "millpond serve" in failed["Mend"]


def test_a_name_without_an_address(doctor, home):
    """A host that the name service does not know."""
    failed = only_failure(doctor("--endpoint-url", "http://host.invalid")[1])

    assert "No address is known for 'host.invalid'" in failed["Text"]


def test_https_where_http_is_spoken(doctor, at_server):
    """TLS against a server without it: the right endpoint is told."""
    url = at_server.endpoint.replace("http:", "https:")

    failed = only_failure(doctor("--endpoint-url", url)[1])

    assert failed["Text"] == "It speaks http there, not https."
    assert at_server.endpoint in failed["Mend"]


@pytest.fixture
def at_tls_server(tls_server, home, monkeypatch):
    """That server, with an environment that is right for it but for the trust."""
    running, certificate = tls_server
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    return running, certificate


def test_http_where_https_is_spoken(doctor, at_tls_server):
    """Plain text against a server with TLS: the right endpoint is told."""
    running, _ = at_tls_server
    url = running.endpoint.replace("https:", "http:")

    failed = only_failure(doctor("--endpoint-url", url)[1])

    assert failed["Text"] == "It speaks https there, not http."
    assert running.endpoint in failed["Mend"]


def test_a_certificate_that_is_not_trusted(doctor, at_tls_server):
    """A certificate of one's own, without naming its authority."""
    failed = only_failure(doctor()[1])

    assert failed["Name"] == "server"
    assert "not trusted: self-signed certificate" in failed["Text"]
    assert "AWS_CA_BUNDLE" in failed["Mend"]


def test_a_certificate_that_is_trusted(doctor, at_tls_server, monkeypatch):
    """With the authority named, all is well."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(at_tls_server[1]))

    code, checks = doctor()

    assert code == 0
    assert checks["tls"]["Text"] == "The certificate is trusted."


def test_a_certificate_that_is_not_looked_at(doctor, at_tls_server):
    """--no-verify-ssl works, and is warned of."""
    code, checks = doctor("--no-verify-ssl")

    assert code == 0
    assert checks["tls"]["Status"] == "warn"


def test_a_bundle_that_cannot_be_read(doctor, at_tls_server):
    """A CA bundle that is not there is told as such."""
    failed = only_failure(doctor("--ca-bundle", "/nowhere.pem")[1])

    assert "/nowhere.pem" in failed["Text"]


def api_answer(stub: Stub, *, healthz: object = "ok\n", status: int = 200) -> None:
    """Make a stub look like a server that is not asked for anything signed."""
    refusal = {"__type": "MissingAuthenticationTokenException", "message": "m"}
    stub.will_answer(healthz, status)
    stub.will_answer(refusal, 403, headers={"x-amzn-requestid": "1"})
    stub.will_answer("ok\n")  # /readyz
    stub.will_answer({})  # what is signed


@pytest.mark.parametrize("offset_s", [-900, 900])
def test_a_clock_that_is_off(doctor, stub, offset_s):
    """More than five minutes apart, signatures are refused."""
    stub.date = formatdate(time.time() + offset_s, usegmt=True)
    api_answer(stub)

    failed = only_failure(doctor("--endpoint-url", stub.url)[1])

    assert failed["Name"] == "clock"
    assert ("ahead of" if offset_s < 0 else "behind") in failed["Text"]


def test_a_clock_that_drifts(doctor, stub):
    """Two minutes apart, it still works, and is warned of."""
    stub.date = formatdate(time.time() + 120, usegmt=True)
    api_answer(stub)

    code, checks = doctor("--endpoint-url", stub.url)

    assert code == 0
    assert checks["clock"]["Status"] == "warn"


def test_a_server_that_has_no_time(doctor, stub):
    """A date that cannot be read is a warning."""
    stub.date = "some time"
    api_answer(stub)

    assert doctor("--endpoint-url", stub.url)[1]["clock"]["Status"] == "warn"


def test_the_clock_of_a_signature(doctor, stub):
    """A server whose Date is right and that refuses the time all the same."""
    api_answer(stub)
    stub.answers[-1].status = 403
    stub.answers[-1].body = {
        "__type": "InvalidSignatureException",
        "message": "Signature expired: 1 is now earlier than 2",
    }

    failed = only_failure(doctor("--endpoint-url", stub.url)[1])

    assert failed["Name"] == "clock"


def test_somebody_else_answers(doctor, stub):
    """A web server that is not Millpond."""
    stub.will_answer("<html>hello</html>")

    failed = only_failure(doctor("--endpoint-url", stub.url)[1])

    assert "not Millpond" in failed["Text"]


def test_a_proxy_that_hides_the_health_page(doctor, stub):
    """An API that answers is enough; the missing page is a warning."""
    api_answer(stub, healthz="no", status=404)

    code, checks = doctor("--endpoint-url", stub.url)

    assert code == 0
    assert checks["server"]["Status"] == "warn"


def test_a_path_below_which_no_api_is(doctor, at_server):
    """The endpoint that would do is told; a key has nothing to do with it."""
    wrong = f"{at_server.endpoint}/api"

    failed = only_failure(doctor("--endpoint-url", wrong)[1])

    assert failed["Name"] == "server"
    assert "'/api'" in failed["Text"]
    assert f"as {at_server.endpoint}," in failed["Mend"]


@pytest.mark.parametrize("answers", [True, False])
def test_a_proxy_of_the_environment(doctor, at_server, stub, monkeypatch, answers):
    """It is named without its password, and the variable that leads past it works."""
    stub.will_answer("by a proxy", status=502)
    place = stub.url.removeprefix("http://") if answers else "127.0.0.1:1"
    monkeypatch.setenv("http_proxy", f"http://me:hidden@{place}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    failed = only_failure(doctor()[1])

    assert failed["Name"] == "server"
    assert place in failed["Mend"]
    assert "hidden" not in str(failed)
    (told,) = re.findall(r"export (no_proxy=.*)", failed["Mend"])
    shown = subprocess.check_output(["sh", "-c", f"{told}; echo $no_proxy"], text=True)
    monkeypatch.setenv("no_proxy", shown.strip())
    assert doctor()[1]["server"]["Status"] == "ok"


def test_what_a_newer_server_finds(doctor, stub):
    """A word that this command does not know is worth a warning, not a traceback."""
    api_answer(stub)
    stub.will_answer(
        {
            "Version": "99.0",
            "Findings": [{"Name": "moon", "Status": "FULL", "Text": "It shines."}],
        }
    )

    checks = doctor("--endpoint-url", stub.url)[1]

    assert checks["moon"]["Status"] == "warn"
    assert "pip install millpond==99.0" in checks["versions"]["Mend"]


def test_a_server_that_is_not_ready(doctor, stub):
    """What /readyz says is repeated."""
    api_answer(stub)
    stub.answers[2].status = 503
    stub.answers[2].body = "draining\n"

    failed = only_failure(doctor("--endpoint-url", stub.url)[1])

    assert "not ready: draining" in failed["Text"]


def test_credentials_of_a_user(doctor, stub):
    """Credentials that are not a developer's are accepted, and open no pool."""
    api_answer(stub)
    stub.answers[-1].status = 403
    stub.answers[-1].body = {"__type": "NotAuthorizedException", "message": "m"}

    code, checks = doctor("--endpoint-url", stub.url, "--identity-pool-id", NOWHERE)

    assert code == 0
    assert checks["signature"]["Status"] == "warn"
    assert "identity pool" not in checks


def test_credentials_of_a_real_user(doctor, at_server, new_pool, monkeypatch):
    """The same with a real identity; and with a token that is not its own."""
    identities = at_server.client("cognito-identity")
    pool = new_pool()
    identity = identities.get_id(IdentityPoolId=pool)["IdentityId"]
    keys = identities.get_credentials_for_identity(IdentityId=identity)["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])

    code, checks = doctor("--identity-pool-id", pool)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x")
    failed = only_failure(doctor()[1])

    assert code == 0
    assert checks["signature"]["Status"] == "warn"
    assert "with a session token" in checks["credentials"]["Text"]
    assert failed["Text"].startswith("The session token is not good: ")


def test_any_other_refusal(doctor, stub):
    """What nobody foresaw is told as the server says it."""
    api_answer(stub)
    stub.answers[-1].status = 500
    stub.answers[-1].body = {"__type": "InternalErrorException", "message": "oops"}

    failed = only_failure(doctor("--endpoint-url", stub.url)[1])

    assert failed["Text"] == "Refused: InternalErrorException: oops"


def test_a_server_that_goes_away_in_the_middle(doctor, stub):
    """A connection that breaks later is a failed check, not an error."""
    api_answer(stub)
    stub.answers[-1].drop = True

    assert only_failure(doctor("--endpoint-url", stub.url)[1])["Name"] == "signature"


def test_plain_text_beyond_this_machine_is_warned_of(doctor, stub, monkeypatch):
    """Without TLS, data that leaves the machine can be read."""
    api_answer(stub)
    # the stub as the proxy through which another host is reached
    monkeypatch.setenv("http_proxy", stub.url)

    code, checks = doctor("--endpoint-url", "http://millpond.invalid")

    assert code == 0
    assert checks["tls"]["Status"] == "warn"


def test_the_endpoint_of_aws_is_not_millpond(doctor, stub, monkeypatch):
    """AWS speaks the same API, and is told from us by its name."""
    api_answer(stub)
    monkeypatch.setenv("http_proxy", stub.url)

    url = "http://cognito-sync.us-east-1.amazonaws.com"
    failed = only_failure(doctor("--endpoint-url", url)[1])

    assert failed["Text"] == "This is AWS, not Millpond."


def test_a_pool_that_there_is_not(doctor, at_server):
    """An unknown pool; what lists the others is told."""
    failed = only_failure(doctor("--identity-pool-id", NOWHERE)[1])

    assert failed["Name"] == "identity pool"
    assert NOWHERE in failed["Text"]


def test_a_pool_id_that_is_none(doctor, at_server):
    """What cannot be an id is refused as the server does."""
    assert only_failure(doctor("--identity-pool-id", "x")[1])["Name"] == (
        "identity pool"
    )


def test_a_pool_without_a_stream(doctor, new_pool):
    """No stream is a warning: not everybody wants one."""
    code, checks = doctor("--identity-pool-id", new_pool())

    assert code == 0
    assert checks["stream"]["Status"] == "warn"
    assert "set-identity-pool-configuration" in checks["stream"]["Mend"]


def test_a_stream_that_is_disabled(run, new_pool, at_server):
    """A stream that is there but switched off is a warning of its own."""
    name = f"disabled-{time.time_ns()}"
    at_server.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    pool = new_pool(StreamName=name, StreamingStatus="DISABLED")

    result = run("doctor", "--identity-pool-id", pool)

    assert result.code == 0
    assert f"warn  stream         {name} is configured, but disabled" in result.out
    assert f"ok    stream         {name} is ACTIVE" in result.out
    assert "in JSON or CBOR, over HTTP/1.1 or HTTP/2" in result.out


def test_a_stream_that_is_missing(doctor, new_pool):
    """The stream that the pool names does not exist."""
    pool = new_pool(StreamName="missing", StreamingStatus="ENABLED")

    failed = only_failure(doctor("--identity-pool-id", pool)[1])

    assert failed["Name"] == "stream"
    assert "no stream missing" in failed["Text"]
    assert "millpond stream create missing" in failed["Mend"]


def test_a_stream_that_went_away(run, new_pool, at_server):
    """The server switched it off, and why is told."""
    name = f"gone-{time.time_ns()}"
    at_server.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    pool = new_pool(StreamName=name, StreamingStatus="ENABLED")
    at_server.client("kinesis").delete_stream(StreamName=name)
    sync = at_server.client("cognito-sync")
    names = {"IdentityPoolId": pool, "IdentityId": pool, "DatasetName": "prefs"}
    sync.update_records(
        **names,
        SyncSessionToken=sync.list_records(**names)["SyncSessionToken"],
        RecordPatches=[{"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}],
    )

    def told() -> str:
        out: str = run("doctor", "--identity-pool-id", pool).out
        return out if "The server switched it off: " in out else ""

    out = wait_until(told)
    assert f"warn  stream         {name} is configured, but disabled" in out
    assert f"Stream '{name}' does not exist." in out
    assert "ok    outbox         Changes that wait: 1, the oldest for " in out


def test_a_stream_that_is_elsewhere(run, tmp_path):
    """The Kinesis API knows nothing of it, so only its kind is told."""
    folder = tmp_path / "files"
    folder.mkdir()
    # The folder may be in memory, as /tmp is on some systems.
    streams = json.dumps({"elsewhere": f"file://{folder}?volatile=true"})
    with RunningServer(tmp_path / "data", settings={"streams": streams}) as server:
        with contextlib.closing(server.client("cognito-identity")) as identities:
            pool = identities.create_identity_pool(
                IdentityPoolName="x", AllowUnauthenticatedIdentities=True
            )["IdentityPoolId"]
        with contextlib.closing(server.client("cognito-sync")) as sync:
            sync.set_identity_pool_configuration(
                IdentityPoolId=pool,
                CognitoStreams={
                    "StreamName": "elsewhere",
                    "StreamingStatus": "ENABLED",
                },
            )
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment().items():
                patch.setenv(name, value)
            result = run("doctor", "--identity-pool-id", pool)

    assert result.code == 0
    assert "ok    stream         elsewhere is behind file" in result.out
    assert "ok    outbox         Changes that wait: 0." in result.out


def test_the_stream_is_looked_for_on_the_same_server(doctor, new_pool, monkeypatch):
    """Where other calls of Kinesis go does not matter."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:1")
    pool = new_pool(StreamName="missing", StreamingStatus="ENABLED")

    assert only_failure(doctor("--identity-pool-id", pool)[1])["Name"] == "stream"


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (
            {"BulkPublishStatus": "FAILED", "FailureMessage": "Stream 's' is gone."},
            "warn",
            "Stream 's' is gone.",
        ),
        (
            {"BulkPublishStatus": "IN_PROGRESS", "BulkPublishStartTime": 0},
            "ok",
            "In progress since 1970-01-01 00:00:00+00:00.",
        ),
        (
            {"BulkPublishStatus": "SUCCEEDED", "BulkPublishCompleteTime": 0},
            "ok",
            "The last one succeeded, 1970-01-01 00:00:00+00:00.",
        ),
    ],
)
def test_the_last_bulk_publish(doctor, stub, pool, answer, status, told):
    """A run that failed is a warning, with its reason."""
    api_answer(stub)
    stub.will_answer({"IdentityPoolId": pool})  # its configuration
    stub.will_answer({"IdentityPoolId": pool, **answer})

    checks = doctor("--endpoint-url", stub.url, "--identity-pool-id", pool)[1]

    assert checks["bulk publish"]["Status"] == status
    assert told in checks["bulk publish"]["Text"]


def test_nothing_is_changed(doctor, stub, pool):
    """All it sends are questions."""
    api_answer(stub)
    stub.will_answer({"CognitoStreams": {"StreamName": "s"}})

    doctor("--endpoint-url", stub.url, "--identity-pool-id", pool)

    asked = {
        each.headers.get("x-amz-target", each.target.rpartition("/")[2])
        for each in stub.received
    }
    assert asked == {
        *("healthz", "readyz", "identitypools", "identitypools?maxResults=1"),
        *("configuration", "stream", "getBulkPublishDetails", "examination"),
        "Kinesis_20131202.DescribeStreamSummary",
    }


def test_a_server_with_tls_that_is_no_millpond(doctor, home, tmp_path):
    """TLS that is trusted does not make a server Millpond."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stub = Stub(tls=context)
    stub.will_answer("hello")

    failed = only_failure(
        doctor("--endpoint-url", stub.url, "--ca-bundle", str(certificate))[1]
    )
    stub.close()

    assert "not Millpond" in failed["Text"]
