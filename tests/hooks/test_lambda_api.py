"""Hooks that are Lambda functions, against a server that speaks the Invoke API."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from botocore.credentials import Credentials

from hooks.hook_server import Answer, HookServer, Received
from millpond.errors import HookError, HookThrottledError, HookTimeoutError
from millpond.hooks import Hooks
from millpond.hooks.lambda_api import LambdaHook, _aws_endpoint
from millpond.settings import Settings
from millpond.testing.deadlines import seconds
from millpond.wire.sigv4.verifier import SignedRequest, Verifier

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:check:PROD"
EVENT = b'{"version":2}'
KEYS = Credentials("AKIAEXAMPLE", "secret", "session token")


class Known(NamedTuple):
    """What the server knows of the caller."""

    secret: str
    access_key_id: str


def signer(request: Received) -> str:
    """Verify the signature as the Lambda API would; give back the access key id."""
    path, _, query = request.path.partition("?")
    verifier = Verifier(
        find_credentials=lambda access_key_id, token, now_s: Known(
            "secret" if token == "session token" else "no secret", access_key_id
        ),
        regions=frozenset({"eu-west-1"}),
    )
    signed = SignedRequest(
        request.method,
        path.encode(),
        query.encode(),
        [(name.encode(), value.encode()) for name, value in request.headers.items()],
        request.body,
    )
    verified = verifier.verify(signed, service="lambda", now_s=time.time())
    return verified.credentials.access_key_id


def call(
    endpoint: str, *, credentials: Any = KEYS, timeout_s: float = 10.0, times: int = 1
) -> bytes:
    """Call the function, with credentials or with what raises instead of them."""

    def load() -> Any:
        if isinstance(credentials, Exception):
            raise credentials
        return credentials

    async def run() -> bytes:
        hook = LambdaHook(endpoint, load_credentials=load, timeout_s=timeout_s)
        try:
            for _ in range(times):
                answer = await hook.call(ARN, EVENT)
            return answer
        finally:
            await hook.aclose()

    return asyncio.run(run())


def test_a_function_is_invoked_and_its_answer_returned(hook_server: HookServer) -> None:
    """Synchronously, by its whole ARN, with the event as payload."""
    hook_server.answer = lambda request: Answer(b'{"answer":1}')

    assert call(hook_server.url) == b'{"answer":1}'

    (request,) = hook_server.requests
    assert unquote(request.path) == f"/2015-03-31/functions/{ARN}/invocations"
    assert ":" not in request.path
    assert request.headers["x-amz-invocation-type"] == "RequestResponse"
    assert (request.method, request.body) == ("POST", EVENT)


def test_the_request_is_signed_for_the_region_of_the_function(
    hook_server: HookServer,
) -> None:
    """Signature Version 4, with the session token of temporary credentials."""
    call(hook_server.url)

    assert signer(hook_server.requests[0]) == "AKIAEXAMPLE"


def test_a_connection_is_used_again(hook_server: HookServer) -> None:
    """Calls one after the other go over one connection."""
    call(hook_server.url, times=3)

    assert len({request.port for request in hook_server.requests}) == 1


def test_the_endpoint_may_be_that_of_one_function(hook_server: HookServer) -> None:
    """The runtime interface emulator has a single function, at a path of its own."""
    path = "/2015-03-31/functions/function/invocations"

    call(f"{hook_server.url}{path}")

    assert hook_server.requests[0].path == path


def test_the_endpoints_of_aws() -> None:
    """Without a setting it is AWS, in the region of the ARN; China has a domain."""
    assert _aws_endpoint("eu-west-1") == "https://lambda.eu-west-1.amazonaws.com"
    assert _aws_endpoint("cn-north-1") == "https://lambda.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("kind", ["Handled", "Unhandled"])
def test_a_function_that_raises(hook_server: HookServer, kind: str) -> None:
    """Its answer is a description of the exception and does not count."""
    hook_server.answer = lambda request: Answer(
        b'{"errorMessage":"secret"}', headers={"X-Amz-Function-Error": kind}
    )

    with pytest.raises(HookError, match=kind) as caught:
        call(hook_server.url)

    assert "secret" not in str(caught.value)


def test_a_function_over_its_rate(hook_server: HookServer) -> None:
    """The caller may try again later."""
    hook_server.answer = lambda request: Answer(
        status=429, headers={"x-amzn-ErrorType": "TooManyRequestsException"}
    )

    with pytest.raises(HookThrottledError):
        call(hook_server.url)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (500, "ServiceException"),
        (202, "no error type"),
    ],
)
def test_a_function_that_cannot_be_invoked(
    hook_server: HookServer, status: int, kind: str
) -> None:
    """The error of the Lambda API is named, for whoever reads the log."""
    headers = {} if status == 202 else {"x-amzn-ErrorType": kind}
    hook_server.answer = lambda request: Answer(status=status, headers=headers)

    with pytest.raises(HookError, match=f"{status}, {kind}"):
        call(hook_server.url)


def test_a_function_that_takes_too_long(hook_server: HookServer) -> None:
    """It is given up after the time it has."""
    hook_server.answer = lambda request: Answer(until=threading.Event())

    with pytest.raises(HookTimeoutError):
        call(hook_server.url, timeout_s=0.2)


def test_credentials_that_take_too_long(hook_server: HookServer) -> None:
    """To find credentials takes part of the time of a call."""
    found = threading.Event()

    async def run() -> None:
        def load() -> Any:
            found.wait(seconds(30))
            return KEYS

        hook = LambdaHook(hook_server.url, load_credentials=load, timeout_s=0.2)
        try:
            await hook.call(ARN, EVENT)
        finally:
            found.set()
            await hook.aclose()

    with pytest.raises(HookTimeoutError):
        asyncio.run(run())
    assert hook_server.requests == []


def test_no_credentials(hook_server: HookServer) -> None:
    """Without credentials nothing is sent."""
    with pytest.raises(HookError, match="no AWS credentials"):
        call(hook_server.url, credentials=None)

    assert hook_server.requests == []


def test_credentials_that_cannot_be_loaded(hook_server: HookServer) -> None:
    """Whatever the chain raises is a failure of the hook."""
    with pytest.raises(HookError, match="broken profile"):
        call(hook_server.url, credentials=ValueError("broken profile"))


def test_a_function_and_a_url_are_told_apart(
    hook_server: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is called follows from the target; credentials come from the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(KEYS.token))

    async def run() -> None:
        settings = Settings(
            lambda_endpoint=f"{hook_server.url}/", hook_private_networks=True
        )
        hooks = Hooks(settings, secret=b"secret of the tests")
        try:
            await hooks.call(ARN, EVENT)
            await hooks.call(f"{hook_server.url}/sync", EVENT)
        finally:
            await hooks.aclose()

    asyncio.run(run())

    function, url = hook_server.requests
    assert signer(function) == KEYS.access_key
    assert (url.path, "authorization" in url.headers) == ("/sync", False)
    assert "x-millpond-signature" in url.headers


def test_what_calls_functions_is_loaded_before_there_is_a_hurry() -> None:
    """A look at a function loads all of it; a call has but some seconds."""
    code = (
        "import asyncio, sys\n"
        "from millpond.hooks import Hooks\n"
        "from millpond.settings import Settings\n"
        "hooks = Hooks(Settings(), secret=b'x')\n"
        "assert 'botocore' not in sys.modules\n"
        f"asyncio.run(hooks.check({ARN!r}))\n"
        "assert 'botocore.session' in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
