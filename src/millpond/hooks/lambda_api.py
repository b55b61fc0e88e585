"""
Hooks that are Lambda functions, called with the Invoke API, signed and synchronous.

Credentials are found by botocore's own chain (environment, profile, container,
instance) when the first function is called. The chain reads files and asks servers, so
it runs on a thread.

Source: Lambda API reference, Invoke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from millpond import limits
from millpond.errors import HookError, HookThrottledError, HookTimeoutError
from millpond.hooks.posting import Poster

_SERVICE: Final = "lambda"
_INVOCATIONS: Final = "/invocations"


def load_credentials() -> Any:
    """Find AWS credentials as every AWS tool does; None when there are none."""
    from botocore.session import Session  # loads slowly, and few need it

    return Session().get_credentials()


class LambdaHook:
    """Calls functions by ARN; it is a `Hook`."""

    def __init__(
        self,
        endpoint: str = "",
        *,
        load_credentials: Callable[[], Any] = load_credentials,
        timeout_s: float = limits.SYNC_TRIGGER_S_MAX,
        answer_bytes_max: int = limits.SYNC_TRIGGER_ANSWER_BYTES_MAX,
    ) -> None:
        """
        Args:
            endpoint: of the Lambda API, or the whole URL of the invocations of one
                function, as the runtime interface emulator has it. Empty: that of AWS,
                by the region of the ARN.
            load_credentials: finds botocore credentials; it may block.
        """
        self._endpoint = endpoint.rstrip("/")
        self._load_credentials = load_credentials
        self._credentials: Any = None
        self._timeout_s = timeout_s
        self._poster = Poster(timeout_s=timeout_s, answer_bytes_max=answer_bytes_max)

    async def call(self, target: str, event: bytes) -> bytes:
        """Call a hook; see `Hook`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                credentials = await asyncio.to_thread(self._find_credentials)
                url, headers = self._sign(target, event, credentials)
                answer = await self._poster.post(url, event, headers)
        except TimeoutError as error:
            raise HookTimeoutError(
                f"'{target}' does not answer within {self._timeout_s:g} s."
            ) from error
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise HookThrottledError(f"'{target}' is throttled.")
        if answer.status != HTTPStatus.OK:
            kind = answer.headers.get("x-amzn-ErrorType", "no error type")
            raise HookError(
                f"'{target}' cannot be invoked: {answer.status}, {kind}.",
                hint="Look for the function and for the permission "
                "lambda:InvokeFunction of the server's AWS credentials.",
            )
        failure = answer.headers.get("X-Amz-Function-Error")
        if failure is not None:
            raise HookError(f"'{target}' raised an exception ({failure}).")
        return answer.body

    async def aclose(self) -> None:
        """Close the connections."""
        await self._poster.aclose()

    def _find_credentials(self) -> Any:
        """Find the credentials of this moment; temporary ones are renewed in time."""
        try:
            if self._credentials is None:
                self._credentials = self._load_credentials()
            if self._credentials is None:
                raise HookError(
                    "There are no AWS credentials to invoke functions.",
                    hint="Give the server some, by any means that botocore knows; or "
                    "name another API by the setting lambda_endpoint.",
                )
            return self._credentials.get_frozen_credentials()
        except HookError:
            raise
        except Exception as error:  # a chain of many parts, with errors of their own
            raise HookError(f"AWS credentials cannot be loaded: {error}.") from error

    def _sign(
        self, arn: str, event: bytes, credentials: Any
    ) -> tuple[str, dict[str, str]]:
        region = arn.split(":")[3]
        url = self._endpoint or _aws_endpoint(region)
        if not url.endswith(_INVOCATIONS):
            name = quote(arn, safe="-._~")
            url = f"{url}/2015-03-31/functions/{name}{_INVOCATIONS}"
        request = AWSRequest(
            "POST",
            url,
            data=event,
            headers={
                "Content-Type": "application/json",
                "X-Amz-Invocation-Type": "RequestResponse",
            },
        )
        SigV4Auth(credentials, _SERVICE, region).add_auth(request)
        return url, dict(request.headers.items())


def _aws_endpoint(region: str) -> str:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{_SERVICE}.{region}.{domain}"
