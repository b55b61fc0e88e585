"""
Push through Amazon SNS, or what speaks its API.

botocore does the talking, on threads of our own: a call takes tens of milliseconds, and
nobody waits for it but the sender. The region of a call is the one that the ARN names.
Credentials come from botocore's chain; with the setting `push_assume_roles` they are
used to assume the role of the pool, whose credentials then are used until they expire.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from millpond.core.push import APNS_PLATFORMS
from millpond.errors import EndpointGoneError, PushError
from millpond.settings import Settings

T = TypeVar("T")

THREADS: Final = 8
CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 7.0
ROLE_REFRESH_S: Final = 300.0  # before the credentials of a role expire
ROLE_SESSION_NAME: Final = "millpond-push"
# AWS: how an endpoint that was made with other attributes is answered.
_EXISTING: Final = re.compile(r"Endpoint (arn:\S+) already exists")
# AWS: without these, devices since iOS 13 drop a message that shows nothing.
_SILENT: Final = {
    "AWS.SNS.MOBILE.APNS.PUSH_TYPE": {
        "DataType": "String",
        "StringValue": "background",
    },
    "AWS.SNS.MOBILE.APNS.PRIORITY": {"DataType": "String", "StringValue": "5"},
}


class _Place(NamedTuple):
    """Where a call goes, and in whose name."""

    region: str
    role_arn: str | None


class _Client(NamedTuple):
    client: Any
    refresh_s: float  # when to make another one, by the monotonic clock


class SnsPush:
    """The push service behind the ARNs of `PushSync.ApplicationArns`."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint_url = settings.sns_endpoint or None
        self._assume_roles = settings.push_assume_roles
        self._threads = ThreadPoolExecutor(THREADS, "millpond-push")
        self._making = threading.Lock()
        self._session: Any = None
        self._clients: dict[_Place, _Client] = {}

    async def create_endpoint(
        self, application_arn: str, token: str, *, role_arn: str | None
    ) -> str:
        def create(client: Any) -> str:
            endpoint_arn = _create(client, application_arn, token)
            # It may have been there, disabled by an earlier failure to reach it.
            client.set_endpoint_attributes(
                EndpointArn=endpoint_arn, Attributes={"Enabled": "true", "Token": token}
            )
            return endpoint_arn

        return await self._call(create, application_arn, role_arn, _refused_token)

    async def publish(
        self, endpoint_arn: str, message: str, *, role_arn: str | None
    ) -> None:
        platform = endpoint_arn.rpartition(":")[2].split("/")[1]
        attributes = _SILENT if platform in APNS_PLATFORMS else {}

        def publish(client: Any) -> None:
            client.publish(
                TargetArn=endpoint_arn,
                Message=message,
                MessageStructure="json",
                MessageAttributes=attributes,
            )

        await self._call(publish, endpoint_arn, role_arn, _refused_endpoint)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for each in self._clients.values():
            each.client.close()
        self._clients.clear()

    async def _call(
        self,
        action: Callable[[Any], T],
        arn: str,
        role_arn: str | None,
        means_gone: Callable[[str, str], bool],
    ) -> T:
        """
        Do something with a client, on a thread.

        Args:
            means_gone: says by the code and the message of a refusal whether it is the
                device that is refused.
        """
        place = _Place(arn.split(":")[3], role_arn if self._assume_roles else None)
        loop = asyncio.get_running_loop()

        def run() -> T:
            from botocore.exceptions import BotoCoreError, ClientError

            try:
                client = self._client(place)
            except (BotoCoreError, ClientError) as error:
                raise PushError(f"SNS cannot be asked: {error}") from error
            try:
                return action(client)
            except ClientError as error:
                answer = error.response["Error"]
                code = answer["Code"].removesuffix("Exception")
                gone = means_gone(code, answer["Message"])
                kind = EndpointGoneError if gone else PushError
                raise kind(f"SNS answers {code}: {answer['Message']}") from error
            except BotoCoreError as error:
                raise PushError(f"SNS cannot be asked: {error}") from error

        return await loop.run_in_executor(self._threads, run)

    def _client(self, place: _Place) -> Any:
        """Give the client of a place; one at a time is made."""
        with self._making:
            found = self._clients.get(place)
            if found is None or found.refresh_s <= time.monotonic():
                # The old one may be in use by another thread, so it is not closed.
                found = self._clients[place] = self._make_client(place)
            return found.client

    def _make_client(self, place: _Place) -> _Client:
        # Loaded here, because it takes a while and most servers never push.
        from botocore.config import Config
        from botocore.session import get_session

        if self._session is None:
            self._session = get_session()
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"total_max_attempts": 1},  # the sender tries again by itself
            max_pool_connections=THREADS,
        )
        options: dict[str, Any] = {"region_name": place.region, "config": config}
        refresh_s = float("inf")
        if place.role_arn is not None:
            credentials, refresh_s = self._assume(place.role_arn, options)
            options |= credentials
        client = self._session.create_client(
            "sns", endpoint_url=self._endpoint_url, **options
        )
        return _Client(client, refresh_s)

    def _assume(
        self, role_arn: str, options: dict[str, Any]
    ) -> tuple[dict[str, str], float]:
        """Assume a role: give options of a client, and when they are to be renewed."""
        sts = self._session.create_client("sts", **options)
        try:
            answer = sts.assume_role(
                RoleArn=role_arn, RoleSessionName=ROLE_SESSION_NAME
            )["Credentials"]
        finally:
            sts.close()
        lifetime_s = answer["Expiration"].timestamp() - time.time()
        return {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }, time.monotonic() + max(lifetime_s - ROLE_REFRESH_S, 0.0)


def _create(client: Any, application_arn: str, token: str) -> str:
    """Make an endpoint, or find the one of this token."""
    from botocore.exceptions import ClientError

    try:
        answer = client.create_platform_endpoint(
            PlatformApplicationArn=application_arn, Token=token
        )
    except ClientError as error:
        existing = _EXISTING.search(error.response["Error"]["Message"])
        if existing is None:
            raise
        return existing[1]
    return str(answer["EndpointArn"])


def _refused_token(code: str, message: str) -> bool:
    # An application that is missing or disabled, too, is refused; but that is not the
    # device's fault, and the device would not come back when it is mended.
    return code == "InvalidParameter" and "Token" in message


def _refused_endpoint(code: str, message: str) -> bool:
    # AWS: one that was deleted is NotFound or, as TargetArn, an InvalidParameter.
    if code == "InvalidParameter":  # of anything else it would be our fault
        return "TargetArn" in message
    return code in ("EndpointDisabled", "NotFound")
