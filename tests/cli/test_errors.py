"""Errors: texts, streams and exit codes; retries; connections."""

from __future__ import annotations

import gzip
import socket
import zlib

import pytest

from millpond.cli.api.faults import USAGE

USAGE_TEXT = """\
usage: millpond [options] <command> <subcommand> [<subcommand> ...] [parameters]
To see help text, you can run:

  millpond help
  millpond <command> help
  millpond <command> <subcommand> help
"""
SYNC = "cognito-sync"
DETAILS = "get-bulk-publish-details"


def test_the_usage_block():
    """The usage names our program, and no other one's news."""
    assert USAGE_TEXT == USAGE


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "text"], "the following arguments are required: command"),
        (
            [SYNC, "--output", "text"],
            "the following arguments are required: operation",
        ),
        (
            [SYNC, "delete-dataset"],
            "the following arguments are required: --identity-pool-id, --identity-id, "
            "--dataset-name",
        ),
        (
            [SYNC, DETAILS, "--identity-pool-id"],
            "argument --identity-pool-id: expected",
        ),
        ([SYNC, DETAILS, "--output", "xml"], "argument --output: Invalid choice"),
        (
            [SYNC, "describe-identity-usage", "--identity", "x"],
            "ambiguous option: --identity could match --identity-pool-id, "
            "--identity-id",
        ),
    ],
)
def test_what_the_parser_refuses_exits_with_2(run, words, message):
    """The usage block, the program's name and the message; 2."""
    result = run(*words)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"{USAGE_TEXT}millpond: error: {message}")


def test_a_command_that_is_nearly_right(run):
    """Valid choices are listed two a line, and close ones proposed."""
    result = run(SYNC, "get-bulk-publish-detail")

    assert result.code == 2
    assert f"\n{'bulk-publish':40} | {'delete-dataset':40}\n" in result.err
    assert (
        "\n\nInvalid choice: 'get-bulk-publish-detail', maybe you meant:\n\n"
        "  * get-bulk-publish-details\n" in result.err
    )


def test_a_program_command_that_is_nearly_right(run):
    """A mistyped command is met with a proposal."""
    assert "  * cognito-sync\n" in run("cognito-synk", DETAILS).err


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        (["--nope"], "--nope"),
        (["--nope", "1", "--other=2"], "--nope, --other=2, 1"),
        (["stray"], "stray"),
        (["-x"], "-x"),
        (["--max-items", "3"], "--max-items, 3"),
    ],
)
def test_unknown_options_exit_with_255(details, stub, words, listed):
    """Unknown options are listed with their values."""
    result = details(*words)

    assert (result.code, result.out) == (255, "")
    assert f"{USAGE_TEXT}\nUnknown options: {listed}\n" == result.err
    assert stub.received == []


@pytest.mark.parametrize(
    "words",
    [
        ["--region", "x", SYNC, DETAILS, "--identity-pool-id", "a"],
        [SYNC, "--region", "x", DETAILS, "--identity-pool-id", "a"],
        [SYNC, DETAILS, "--id", "a", "--reg", "x"],
        [SYNC, DETAILS, "--identity-pool-id=a", "--region=y", "--region=x"],
    ],
)
def test_the_forms_of_options(run, stub, words):
    """Globals stand anywhere; prefixes, '=' and repeats work."""
    result = run(*words, "--endpoint-url", stub.url)

    assert result.code == 0
    assert "/x/cognito-sync/" in stub.received[0].headers["authorization"]
    assert "/identitypools/a/" in stub.received[0].target


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--query", "[[", "--nope"], "Bad value for --query"),
        (["--endpoint-url", "::1"], 'Bad value for --endpoint-url "::1"'),
        (["--endpoint-url", "x", "--nope"], 'Bad value for --endpoint-url "x"'),
        (
            ["--cli-read-timeout", "abc"],
            "invalid literal for int() with base 10: 'abc'",
        ),
        (["--cli-read-timeout", "-1"], "Attempted to set read timeout to -1, but"),
        (["--ca-bundle", " "], "Invalid CA bundle: the configured value"),
        (["--profile", "nope"], "The config profile (nope) could not be found"),
        (
            ["--profile", "nope", "--cli-input-json", "{"],
            "The config profile (nope) could not be found",
        ),
        (["--region", "a b"], "Provided region_name 'a b' doesn't match a supported"),
        (["--endpoint-url", "http://a_b"], "Invalid endpoint: http://a_b"),
        (["--endpoint-url", "http://[x"], "Invalid IPv6 URL"),
        (["--endpoint-url", "http://a:99999"], "Port out of range 0-65535"),
        (["--endpoint-url", "ftp://a"], "An HTTP Client raised an unhandled exception"),
    ],
)
def test_everything_else_exits_with_255(run, words, message):
    """An empty line, the message; 255. The first fault is the one reported."""
    result = run(SYNC, DETAILS, "--identity-pool-id", "a:1", *words)

    assert (result.code, result.out) == (255, "")
    assert result.err.startswith(f"\n{message}")


def test_two_messages_have_no_empty_line_in_front(details, monkeypatch):
    """Without a region, or without credentials."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert details().err == (
        "Unable to locate credentials. You can configure credentials by running "
        '"aws configure".\n'
    )
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert details().err == (
        "You must specify a region. You can also configure your region by running "
        '"aws configure".\n'
    )


@pytest.mark.parametrize(
    ("status", "headers", "body", "message"),
    [
        (404, {"x-amzn-ErrorType": "Foo:http://x/"}, {"message": "m"}, "(Foo){}: m"),
        (400, {}, {"__type": "a.b#Foo", "Message": "m"}, "(Foo){}: m"),
        (400, {"x-amzn-ErrorType": "A"}, {"__type": "B", "message": "m"}, "(A){}: m"),
        (400, {}, {"__type": "B", "code": "C", "message": "m"}, "(C){}: m"),
        (400, {"x-amzn-query-error": "Q;Sender"}, {"message": "m"}, "(Q){}: m"),
        (400, {}, {"__type": "Foo", "message": None}, "(Foo){}: None"),
        (400, {}, {}, "(400){}: "),
        (404, {}, "<h1>no</h1>", "(404){}: <h1>no</h1>"),
        (400, {}, [1], "(400){}: [1]"),
        (302, {"Location": "/"}, "", "(302){}: "),
        (300, {}, {"IdentityPoolId": "x"}, "(Unknown){}: Unknown"),
        (400, {}, {"__type": None, "message": "m"}, "(){}: m"),
        (503, {}, "", "(503){} (reached max retries: 0): Service Unavailable"),
        (502, {}, "<html>x", "(502){} (reached max retries: 0): Bad Gateway"),
        (429, {}, {"__type": "T", "message": "m"}, "(T){} (reached max retries: 0): m"),
    ],
)
def test_what_the_service_refuses(details, stub, status, headers, body, message):
    """The code and the message are found wherever they stand."""
    stub.will_answer(body, status, headers=headers)

    result = details()

    operation = " when calling the GetBulkPublishDetails operation"
    assert (result.code, result.out) == (255, "")
    assert f"\nAn error occurred {message.format(operation)}\n" == result.err


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_an_error_that_passes_is_tried_again(details, stub, monkeypatch, mode):
    """A server error is tried again, and so is a connection that breaks."""
    monkeypatch.setattr("time.sleep", lambda pause_s: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    stub.will_answer(status=500)
    stub.will_answer(drop=True)
    stub.will_answer({"BulkPublishStatus": "SUCCEEDED"})

    assert details().code == 0
    assert len(stub.received) == 3


@pytest.mark.parametrize(("mode", "attempts"), [("legacy", 5), ("standard", 3)])
def test_attempts_come_to_an_end(details, stub, monkeypatch, mode, attempts):
    """Each mode has its number of attempts; the pauses grow."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr("random.random", lambda: 1.0)
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    stub.will_answer({"message": "no"}, 500)

    result = details()

    assert attempts == len(stub.received)
    assert f"(reached max retries: {attempts - 1}): no" in result.err
    assert [1.0, 2.0, 4.0, 8.0][: attempts - 1] == pauses


def test_standard_mode_counts_every_last_attempt(details, stub, monkeypatch):
    """In standard mode the last attempt is told as such, whatever its error."""
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    stub.will_answer({"__type": "X", "message": "m"}, 400)

    assert "operation (reached max retries: 0): m" in details().err


def test_an_error_of_the_caller_is_not_tried_again(details, stub, monkeypatch):
    """What the caller did wrong stays wrong."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    stub.will_answer({"__type": "InvalidParameterException"}, 400)

    assert details().code == 255
    assert len(stub.received) == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "AWS_MAX_ATTEMPTS",
            "0",
            'Value provided to "max_attempts": 0 must be an integer greater than or '
            "equal to 1.",
        ),
        ("AWS_MAX_ATTEMPTS", "x", "invalid literal for int() with base 10: 'x'"),
        (
            "AWS_RETRY_MODE",
            "nope",
            'Invalid value provided to "mode": "nope" must be one of: '
            "('legacy', 'standard', 'adaptive')",
        ),
    ],
)
def test_retry_settings_that_make_no_sense(details, monkeypatch, name, value, message):
    """A number of attempts or a mode that cannot be is refused."""
    monkeypatch.setenv(name, value)

    assert (255, f"\n{message}\n") == (details().code, details().err)


def test_nobody_listens(run):
    """A refused connection names the whole URL."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"

        result = run(
            *(SYNC, DETAILS, "--identity-pool-id", "a:1", "--endpoint-url", url)
        )

    assert result.code == 255
    assert result.err == (
        f'\nCould not connect to the endpoint URL: "{url}/identitypools/a%3A1/'
        'getBulkPublishDetails"\n'
    )


def test_the_server_hangs_up(details, stub):
    """A connection closed without an answer is told as such."""
    stub.will_answer(drop=True)

    assert details().err.startswith(
        "\nConnection was closed before we received a valid response from endpoint "
    )


def test_the_server_takes_too_long(run):
    """Waiting ends after --cli-read-timeout."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        result = run(
            *(SYNC, DETAILS, "--identity-pool-id", "a:1", "--endpoint-url", url),
            *("--cli-read-timeout", "1"),
        )

    assert result.err.startswith(f'\nRead timeout on endpoint URL: "{url}/')


def test_the_server_speaks_no_tls(run, stub):
    """https against a server without it fails at the handshake."""
    url = stub.url.replace("http:", "https:")

    result = run(*(SYNC, DETAILS, "--identity-pool-id", "a", "--endpoint-url", url))

    assert result.code == 255
    assert result.err.startswith(f"\nSSL validation failed for {url}/")


def test_a_bundle_that_cannot_be_read(run):
    """A CA bundle that is not there fails as the connection would."""
    result = run(
        *(SYNC, DETAILS, "--identity-pool-id", "a:1", "--ca-bundle", "none.pem"),
        *("--endpoint-url", "https://127.0.0.1:1"),
    )

    assert result.err.startswith("\nSSL validation failed for https://127.0.0.1")
    assert result.err.endswith(" [Errno 2] No such file or directory\n")


def test_a_proxy_is_used(run, stub, monkeypatch):
    """An http endpoint is asked for through HTTP_PROXY, with its credentials."""
    proxy = stub.url.replace("//", "//user:p%40ss@")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "other.invalid")
    words = (SYNC, "get-cognito-events", "--identity-pool-id", "a")

    assert run(*words, "--endpoint-url", "http://sync.invalid").code == 0

    (request,) = stub.received
    assert request.target == "http://sync.invalid/identitypools/a/events"
    assert request.headers["host"] == "sync.invalid"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://me:hidden@p:80a", "the proxy 'p:80a' is no URL."),
        ("http://me:hidden@[p", "the proxy '[p' is no URL."),
        ("http://me:hidden/x@p:80", "the proxy 'p:80' is no URL."),
    ],
)
def test_a_proxy_that_is_no_url(run, monkeypatch, scheme, proxy, reason):
    """It is named, without its password, by commands of every kind."""
    monkeypatch.setenv(f"{scheme}_proxy", proxy)
    where = ("--endpoint-url", f"{scheme}://sync.invalid", "--region", "us-east-1")

    for words in ((SYNC, "get-cognito-events", "--identity-pool-id", "a"), ("dump",)):
        result = run(*words, *where)

        assert (result.code, result.out) == (255, "")
        assert reason in result.err
        assert "hidden" not in result.err


@pytest.mark.parametrize(
    "words", [("dump",), ("bulk-publish", "--identity-pool-id=a:1")]
)
def test_an_endpoint_that_is_no_url_is_told_by_our_own_commands(run, words):
    """With the URL, which the AWS CLI leaves out."""
    result = run(*words, "--endpoint-url", "http://[::1:8014")

    told = 'Bad value for --endpoint-url "http://[::1:8014": Invalid IPv6 URL.'
    assert (result.code, result.out, result.err) == (255, "", f"\n{told}\n")


def test_a_proxy_that_refuses_the_tunnel(run, stub, monkeypatch):
    """Where the AWS endpoint would be called shows in the CONNECT to a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", stub.url)
    stub.will_answer(status=502)

    result = run(SYNC, DETAILS, "--identity-pool-id", "a:1", "--region", "cn-north-1")

    assert f'\nFailed to connect to proxy URL: "{stub.url}"\n' == result.err
    assert stub.received[0].target == "cognito-sync.cn-north-1.amazonaws.com.cn:443"


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
    ],
)
def test_compressed_answers(details, stub, encoding, compress):
    """An answer that some proxy compressed is read all the same."""
    body = compress(b'{"IdentityPoolId": "a:1"}')
    stub.will_answer(body, headers={"Content-Encoding": encoding})

    assert '"a:1"' in details().out


def test_an_answer_that_is_not_what_it_says(details, stub):
    """A body that claims a compression it does not have is an error."""
    stub.will_answer(b"plain", headers={"Content-Encoding": "gzip"})

    assert details().err.startswith("\nThe answer cannot be decompressed: ")


def test_a_header_that_cannot_be_sent(sync, pool):
    """A value with a line break fits into no header."""
    result = sync(
        *("update-records", "--identity-pool-id", pool, "--identity-id", "i:1"),
        *("--dataset-name", "d", "--sync-session-token", "t"),
        *("--client-context", "a\nb"),
    )

    assert result.err == (
        "\nAn HTTP Client raised an unhandled exception: "
        "Invalid header value b'a\\nb'\n"
    )


def test_debug_tells_what_happens_and_no_secret(details, stub, monkeypatch):
    """--debug writes the steps to standard error, without keys and values."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "very//secret")
    stub.will_answer({"FailureMessage": "private"})

    result = details("--debug")

    assert "debug: POST http://127.0.0.1:" in result.err
    assert "debug: 200, " in result.err
    assert "secret" not in result.err
    assert "private" not in result.err


def test_an_unexpected_failure_is_one_line(run, monkeypatch):
    """What nobody foresaw is told in one line; with --debug, whole."""

    def fail(name):
        raise RuntimeError("something odd")

    monkeypatch.setattr("millpond.client.api.models.read", fail)

    result = run(SYNC, "help")
    assert (result.code, result.err) == (255, "\nsomething odd\n")
    with pytest.raises(RuntimeError):
        run(SYNC, "help", "--debug")


def test_an_interrupt(run, monkeypatch):
    """Ctrl-C ends with the status that shells have for it."""

    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("millpond.client.api.models.read", interrupt)

    assert (run(SYNC, "help").code, run(SYNC, "help").out) == (130, "\n")
