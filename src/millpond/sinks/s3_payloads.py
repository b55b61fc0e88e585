"""
Large payloads in a bucket of Amazon S3, or of anything that speaks its API.

    s3://BUCKET/prefix?region=...&endpoint=...&role_arn=...&external_id=...

A link is presigned (SigV4): whoever holds it can GET this one object until it expires,
and nothing else. What is in the bucket is not deleted here; a lifecycle rule of the
bucket does that.

A link that temporary credentials have signed ends when these do, whatever it says.
Those of an assumed role last an hour, so they are renewed early.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from millpond import limits
from millpond.aws import Place, clients_of_bucket
from millpond.errors import AwsError, SettingsError, SinkError, SinkUnavailableError
from millpond.sinks.aws_urls import read_aws_url

SCHEME: Final = "s3"
SESSION_NAME: Final = "millpond-payloads"
ATTEMPTS: Final = 2
ROLE_REFRESH_S: Final = 2700.0  # a link lasts at least so long
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # AWS: bucket naming
_PREFIX: Final = re.compile(r"[a-zA-Z0-9!_.*'()/-]{0,512}")  # AWS: safe characters


class BucketUrl(NamedTuple):
    """What the URL of a bucket says."""

    bucket: str
    path: str
    place: Place
    endpoint_url: str | None  # None: that of AWS in the region


def read_bucket_url(url: str) -> BucketUrl:
    """
    Read the URL of a bucket.

    Raises:
        SettingsError: it says too little or too much; the message does not repeat it.
    """
    (_, _, hosts, path, _), place, endpoint_url = read_aws_url(url)
    if len(hosts) != 1 or not _BUCKET.fullmatch(hosts[0]):
        raise SettingsError("The URL of a bucket is s3://BUCKET or s3://BUCKET/...")
    return BucketUrl(hosts[0], path.lstrip("/"), place, endpoint_url)


class S3Payloads:
    """A bucket as the payload store."""

    def __init__(self, url: str) -> None:
        """
        Raises:
            SettingsError: the URL says too little or too much; the message does not
                repeat it.
        """
        self._bucket, path, self._place, endpoint_url = read_bucket_url(url)
        if not _PREFIX.fullmatch(path):
            raise SettingsError(
                "The path in the URL of a bucket has at most 512 characters, of those "
                "that are safe in the key of an object."
            )
        self._prefix = path.strip("/")
        self._clients = clients_of_bucket(
            self._bucket,
            endpoint_url,
            session_name=SESSION_NAME,
            role_refresh_s=ROLE_REFRESH_S,
            attempts=ATTEMPTS,
        )

    def __repr__(self) -> str:
        return f"<S3Payloads {SCHEME}://{self._bucket}/{self._prefix}>"

    async def put(self, data: bytes, *, name: str, lifetime_s: int) -> str:
        key = f"{self._prefix}/{name}.json" if self._prefix else f"{name}.json"
        expires_s = min(lifetime_s, limits.PRESIGN_EXPIRES_S_MAX)

        def put(client: Any) -> str:
            _check_region(client, self._place)
            there = {"Bucket": self._bucket, "Key": key}
            answer = client.put_object(
                **there, Body=data, ContentType="application/json"
            )
            if not answer.get("ETag"):  # something in between has answered
                raise AwsError("The answer is not one of S3.", retryable=True)
            url: str = client.generate_presigned_url(
                "get_object", Params=there, ExpiresIn=expires_s
            )
            return url

        try:
            return await self._clients.call(self._place, put)
        except AwsError as error:
            # Never a StreamGoneError: a missing bucket must not switch streams off.
            kind = SinkUnavailableError if error.retryable else SinkError
            raise kind(
                f"Bucket '{self._bucket}' does not take a large stream record: {error}",
                hint="See the setting stream_payload_store.",
            ) from error

    async def aclose(self) -> None:
        await self._clients.aclose()


def _check_region(client: Any, place: Place) -> None:
    """Refuse to guess: a link is signed for one region, and follows no redirect."""
    if place.region is None and client.meta.region_name == "aws-global":
        raise AwsError(
            "No region is known. Put it into the URL, as the option region=, or set "
            "AWS_DEFAULT_REGION."
        )
