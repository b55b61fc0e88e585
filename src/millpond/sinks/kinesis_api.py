"""
The Kinesis API, as the sink and the reader of a stream use it.

    kinesis://STREAM?region=...&endpoint=...&role_arn=...&external_id=...

What the API's refusals mean for a stream is decided here, in `KinesisApi.translated`.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from millpond import limits
from millpond.aws import ASSUME_ROLE, ROLE_REFRESH_S, Clients, Place
from millpond.core.targets import Property, Target, Words
from millpond.errors import (
    AwsError,
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
)
from millpond.sinks.aws_urls import read_aws_url

SCHEME: Final = "kinesis"
SESSION_NAME: Final = "millpond-stream"
READ_TIMEOUT_S: Final = 10.0
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]+")  # AWS: model, StreamName
_DENIED: Final = frozenset({"AccessDenied", "KMSAccessDenied"})


class StreamAddress(NamedTuple):
    """What the URL of a Kinesis stream says."""

    name: str
    place: Place
    endpoint_url: str | None  # None: that of AWS in the region


def read_address(url: str, role_arn: str | None = None) -> StreamAddress:
    """
    Read the URL of a stream.

    Args:
        role_arn: to assume when the URL names no role.
    Raises:
        SettingsError: the URL says too little or too much.
    """
    (_, _, hosts, path, _), place, endpoint_url = read_aws_url(url)
    names = [*hosts, *([path] if path else [])]
    if len(names) != 1 or not _NAME.fullmatch(names[0]):
        raise SettingsError(
            "The URL of a Kinesis stream names one stream: kinesis://STREAM, where "
            "letters, digits, '_', '.' and '-' are allowed."
        )
    if len(names[0]) > limits.STREAM_NAME_CHARS_MAX:
        raise SettingsError(
            f"The name of a Kinesis stream has at most {limits.STREAM_NAME_CHARS_MAX} "
            "characters."
        )
    if place.role_arn is None:
        place = place._replace(role_arn=role_arn)
    return StreamAddress(names[0], place, endpoint_url)


class KinesisApi:
    """The calls that are made for one stream."""

    def __init__(self, address: StreamAddress) -> None:
        self.name = address.name
        self._place = address.place
        self._clients = Clients(
            "kinesis",
            session_name=SESSION_NAME,
            endpoint_url=address.endpoint_url,
            read_timeout_s=READ_TIMEOUT_S,
            role_refresh_s=ROLE_REFRESH_S,
        )

    async def call(
        self, operation: str, *, gives: str, **arguments: Any
    ) -> dict[str, Any]:
        """
        Call an operation once.

        Args:
            operation: as a method of botocore's client.
            gives: a member that its answer has. botocore reads what was cut off, or
                comes from something in between, as an answer without members.
        Raises:
            AwsError: it is refused, or there is no answer.
        """

        def act(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
            return answer

        answer = await self._clients.call(self._place, act)
        if gives not in answer:
            raise unreadable()
        return answer

    async def look(self) -> Target:
        """
        Ask for the stream: that it is there, and what it is like.

        Raises:
            StreamGoneError, SinkUnavailableError, SinkError: as `translated` says.
        """
        try:
            answer = await self.call(
                "describe_stream_summary",
                gives="StreamDescriptionSummary",
                StreamName=self.name,
            )
        except AwsError as error:
            if error.op != ASSUME_ROLE and error.code in _DENIED:
                # Who may put need not be allowed to look; a put will tell.
                return Target(name=f"Stream '{self.name}' in Kinesis")
            raise self.translated(error) from error
        summary = answer["StreamDescriptionSummary"]
        status = summary["StreamStatus"]
        if status == "DELETING":
            raise StreamGoneError(f"Stream '{self.name}' is being deleted.")
        if status not in ("ACTIVE", "UPDATING"):
            raise SinkUnavailableError(f"Stream '{self.name}' is {status}, not ACTIVE.")
        return _target(self.name, summary)

    def translated(self, error: AwsError) -> SinkError:
        """Say in the words of a sink what went wrong."""
        message = f"Stream '{self.name}' in Kinesis cannot be used: {error}"
        if error.op == ASSUME_ROLE and error.code in _DENIED:
            # AWS: Cognito Sync switches streaming off when the trust of the role is
            # changed so that it cannot assume it any more (developer guide, streams).
            return StreamGoneError(
                message, hint=f"Role '{self._place.role_arn}' must trust this server."
            )
        if error.code == "ResourceNotFound":
            return StreamGoneError(message)
        # Who may do what takes a while to settle in AWS, and a permission that is taken
        # away is, other than a trust, more often a mistake. So streaming is not
        # switched off: what waits is sent when the permission is there.
        if error.retryable or error.code in _DENIED:
            return SinkUnavailableError(message)
        return SinkError(message)

    async def aclose(self) -> None:
        """Let what is under way end, and close. Idempotent."""
        await self._clients.aclose()


def _target(name: str, summary: dict[str, Any]) -> Target:
    created = summary.get("StreamCreationTimestamp")
    hours = summary.get("RetentionPeriodHours")
    seen = f"RetentionPeriodHours={hours}"
    change = "Raise it: `aws kinesis increase-stream-retention-period`."
    return Target(
        name=f"Stream '{name}' in Kinesis",
        properties={Property.ENDS_BY_AGE: Words(seen, change)} if hours else {},
        identity="" if created is None else f"{created.timestamp():.3f}",
        keeps_ms=hours * 3_600_000 if hours else None,
    )


def unreadable() -> AwsError:
    """Make the error of an answer that was cut off, or is not one of Kinesis."""
    return AwsError("The answer cannot be read.", retryable=True)
