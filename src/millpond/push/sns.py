"""
Push through Amazon SNS, or what speaks its API.

A call takes tens of milliseconds, and nobody waits for it but the sender. The region of
a call is the one that the ARN names. With the setting `push_assume_roles` the server's
credentials are used to assume the role of the pool.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from millpond import aws
from millpond.aws import ASSUME_ROLE, Clients, Place
from millpond.core.push import APNS_PLATFORMS
from millpond.errors import AwsError, EndpointGoneError, PushError
from millpond.settings import Settings

T = TypeVar("T")

ROLE_REFRESH_S: Final = aws.ROLE_REFRESH_S
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


class SnsPush:
    """The push service behind the ARNs of `PushSync.ApplicationArns`."""

    def __init__(self, settings: Settings) -> None:
        self._assume_roles = settings.push_assume_roles
        self._clients = Clients(
            "sns",
            session_name=ROLE_SESSION_NAME,
            endpoint_url=settings.sns_endpoint or None,
            role_refresh_s=ROLE_REFRESH_S,
        )

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

    async def check_application(
        self, application_arn: str, *, role_arn: str | None
    ) -> None:
        def ask(client: Any) -> dict[str, str]:
            answer = client.get_platform_application_attributes(
                PlatformApplicationArn=application_arn
            )
            return dict(answer.get("Attributes") or {})

        attributes = await self._call(ask, application_arn, role_arn, _never_gone)
        # AWS: the platform's credentials in it were refused, or somebody did it.
        if attributes.get("Enabled", "true").lower() == "false":
            raise PushError("SNS has switched the application off.")

    async def aclose(self) -> None:
        await self._clients.aclose()

    async def _call(
        self,
        action: Callable[[Any], T],
        arn: str,
        role_arn: str | None,
        means_gone: Callable[[str, str], bool],
    ) -> T:
        """
        Do something with a client; the sender tries again by itself.

        Args:
            means_gone: says by the code and the message of a refusal whether it is the
                device that is refused.
        """
        place = Place(arn.split(":")[3], role_arn if self._assume_roles else None)
        try:
            return await self._clients.call(place, action)
        except AwsError as error:
            if not error.op or error.op == ASSUME_ROLE:
                raise PushError(f"SNS cannot be asked: {error}") from error
            message = str(error.args[0])
            gone = means_gone(error.code, message)
            kind = EndpointGoneError if gone else PushError
            raise kind(f"SNS answers {error.code}: {message}") from error


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


def _never_gone(code: str, message: str) -> bool:
    return False


def _refused_token(code: str, message: str) -> bool:
    # An application that is missing or disabled, too, is refused; but that is not the
    # device's fault, and the device would not come back when it is mended.
    return code == "InvalidParameter" and "Token" in message


def _refused_endpoint(code: str, message: str) -> bool:
    # AWS: one that was deleted is NotFound or, as TargetArn, an InvalidParameter.
    if code == "InvalidParameter":  # of anything else it would be our fault
        return "TargetArn" in message
    return code in ("EndpointDisabled", "NotFound")
