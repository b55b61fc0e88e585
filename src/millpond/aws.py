"""
Calls of AWS APIs, or of what speaks them, through botocore.

botocore blocks, so it runs on threads of our own. Its credentials come from its chain:
environment, profile, the role of the machine. They may be used to assume another role,
whose credentials are renewed some time before they expire.

botocore is loaded at the first call, because it takes a while and many servers never
need it. What goes wrong is an `AwsError`; whose trouble that is, the caller knows.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, NamedTuple, TypeVar

from millpond.errors import AwsError

T = TypeVar("T")

THREADS: Final = 8
CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 7.0
ROLE_REFRESH_S: Final = 300.0  # before the credentials of a role expire
CLOSE_TIMEOUT_S: Final = 5.0
ASSUME_ROLE: Final = "AssumeRole"
# AWS: what the services call a refusal that ends by itself, besides status 429 and 5xx.
_PASSING: Final = frozenset(
    {
        *("ExpiredToken", "RequestExpired"),  # other credentials come with a repeat
        *("KMSThrottling", "LimitExceeded", "PriorRequestNotComplete"),
        *("ProvisionedThroughputExceeded", "RequestLimitExceeded", "RequestThrottled"),
        *("RequestTimeout", "SlowDown", "Throttled", "Throttling", "TooManyRequests"),
    }
)
_EXPIRED: Final = frozenset({"ExpiredToken", "RequestExpired"})


class Place(NamedTuple):
    """Where a call goes, and in whose name."""

    region: str | None  # None: what botocore's chain says
    role_arn: str | None = None  # None: the caller's own credentials sign
    external_id: str = ""  # what the trust of the role may ask for


class _Client(NamedTuple):
    client: Any
    refresh_s: float  # when to make another one, by the monotonic clock


class Clients:
    """The clients of one service, by place, and the threads that they run on."""

    def __init__(
        self,
        service: str,
        *,
        session_name: str,
        endpoint_url: str | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        role_refresh_s: float = ROLE_REFRESH_S,
        attempts: int = 1,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            service: as botocore names it, for instance `kinesis`.
            session_name: of the sessions of assumed roles.
            endpoint_url: None: that of AWS in the region.
            role_refresh_s: how long before they expire a role's credentials are
                renewed.
            attempts: of botocore, one after another; 1 leaves repeats to the caller.
            config: further options of botocore's `Config`.
        """
        self._service = service
        self._session_name = session_name
        self._endpoint_url = endpoint_url
        self._role_refresh_s = role_refresh_s
        self._config = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": read_timeout_s,
            "retries": {"mode": "standard", "total_max_attempts": attempts},
            "max_pool_connections": THREADS,
            **(config or {}),
        }
        self._threads = ThreadPoolExecutor(THREADS, f"millpond-{service}")
        self._running: set[Future[Any]] = set()
        self._making = threading.Lock()
        self._session: Any = None
        self._clients: dict[Place, _Client] = {}

    async def call(self, place: Place, action: Callable[[Any], T]) -> T:
        """
        Do something with the client of a place, on a thread.

        When the caller is cancelled, the thread goes on until its call ends or times
        out; what it does may still happen.

        Raises:
            AwsError: the API refuses, or cannot be reached.
        """

        def run() -> T:
            from botocore.exceptions import (
                BotoCoreError,
                ClientError,
                NoRegionError,
            )

            try:
                return action(self._client(place))
            except ClientError as error:
                refused = _refused(error)
                if refused.code in _EXPIRED:
                    self._forget(place)
                raise refused from error
            except NoRegionError as error:
                raise AwsError(
                    "No region is known. Put it into the URL, as the option region=, "
                    "or set AWS_DEFAULT_REGION."
                ) from error
            except BotoCoreError as error:
                raise AwsError(str(error), retryable=_may_pass(error)) from error
            except AwsError:
                raise
            except Exception as error:
                # botocore's parsers let out whatever they run into when the answer is
                # not one of AWS, but for instance of a proxy.
                kind = type(error).__name__
                raise AwsError(
                    f"The answer cannot be read ({kind}).", retryable=True
                ) from error

        try:
            future = self._threads.submit(run)
        except RuntimeError as error:
            raise AwsError("It was closed meanwhile.", retryable=True) from error
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        """Let what is under way end, within bounds, and close. Idempotent."""
        # What is queued is not cancelled: its callers would take that for theirs.
        self._threads.shutdown(wait=False)
        await asyncio.to_thread(wait, list(self._running), timeout=CLOSE_TIMEOUT_S)
        for each in self._clients.values():
            each.client.close()
        self._clients.clear()

    def _client(self, place: Place) -> Any:
        """Give the client of a place; one at a time is made."""
        with self._making:
            found = self._clients.get(place)
            if found is None or found.refresh_s <= time.monotonic():
                # The old one may be in use by another thread, so it is not closed.
                found = self._clients[place] = self._make_client(place)
            return found.client

    def _forget(self, place: Place) -> None:
        with self._making:
            self._clients.pop(place, None)

    def _make_client(self, place: Place) -> _Client:
        from botocore.config import Config

        if self._session is None:
            self._session = _make_session()
        options: dict[str, Any] = {
            "region_name": place.region,
            "config": Config(**self._config),
        }
        refresh_s = float("inf")
        if place.role_arn is not None:
            credentials, refresh_s = self._assume(place, options)
            options |= credentials
        try:
            client = self._session.create_client(
                self._service, endpoint_url=self._endpoint_url, **options
            )
        except ValueError as error:
            raise AwsError(f"The endpoint cannot be used: {error}") from error
        return _Client(client, refresh_s)

    def _assume(
        self, place: Place, options: dict[str, Any]
    ) -> tuple[dict[str, str], float]:
        """Assume a role: give options of a client, and when they are to be renewed."""
        request = {"RoleArn": place.role_arn, "RoleSessionName": self._session_name}
        if place.external_id:
            request["ExternalId"] = place.external_id
        sts = self._session.create_client("sts", **options)
        try:
            answer = sts.assume_role(**request).get("Credentials")
        finally:
            sts.close()
        if answer is None:  # it was cut off, or is not one of STS
            raise AwsError("The answer cannot be read.", retryable=True)
        lifetime_s = answer["Expiration"].timestamp() - time.time()
        return {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }, time.monotonic() + max(lifetime_s - self._role_refresh_s, 0.0)


def clients_of_bucket(
    bucket: str,
    endpoint_url: str | None,
    *,
    session_name: str,
    attempts: int,
    read_timeout_s: float = READ_TIMEOUT_S,
    role_refresh_s: float = ROLE_REFRESH_S,
) -> Clients:
    """Make the clients of S3, or of what speaks it, for one bucket."""
    # The name of a bucket is a part of the host's in AWS, whose certificates do not fit
    # a name with dots; elsewhere it rarely is. "auto" would make links to the host of
    # us-east-1, which redirects while a bucket is new.
    style = "path" if endpoint_url or "." in bucket else "virtual"
    return Clients(
        "s3",
        session_name=session_name,
        endpoint_url=endpoint_url,
        read_timeout_s=read_timeout_s,
        role_refresh_s=role_refresh_s,
        attempts=attempts,
        config={
            "signature_version": "s3v4",
            "s3": {
                "addressing_style": style,
                "us_east_1_regional_endpoint": "regional",
            },
            # Not everything that speaks S3 knows the checksums that botocore adds.
            "request_checksum_calculation": "when_required",
        },
    )


def _make_session() -> Any:
    from botocore.session import get_session

    session = get_session()
    # Each session would read the models of the services anew: 100 ms and 10 MiB.
    loader = _loader(session.get_config_variable("data_path"))
    session.register_component("data_loader", loader)
    return session


@functools.cache
def _loader(data_path: str | None) -> Any:
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _refused(error: Any) -> AwsError:
    """Translate an answer that is a refusal."""
    answer = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(answer.get("Code", status)).removesuffix("Exception")
    return AwsError(
        str(answer.get("Message") or "no message"),
        op=error.operation_name,
        code=code,
        retryable=status >= 500 or status == 429 or code in _PASSING,
    )


def _may_pass(error: Exception) -> bool:
    """Say whether a call that got no answer may get one later."""
    from botocore import exceptions

    return isinstance(
        error,
        (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,  # timeouts, too
            exceptions.IncompleteReadError,
            # The machine's role may be slow to answer.
            exceptions.CredentialRetrievalError,
            exceptions.MetadataRetrievalError,
            exceptions.NoCredentialsError,
        ),
    )
