"""
Calls of the APIs of a pool elsewhere: signed, at the pace that it allows, and repeated.

A call that is put off, cut off, or answered with 5xx is made again, later and later,
until it is answered. A single one that is never answered while others are is given up
after some time, and so is everything when nothing at all is answered for a while: then
it is said, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from millpond import __version__
from millpond.client.api.answers import error_code
from millpond.client.api.serializing import percent_encode
from millpond.errors import SourceError, SourceRefusedError
from millpond.sources.pace import Pace
from millpond.wire.sigv4.signer import Outgoing, sign

CONNECT_TIMEOUT_S: Final = 10.0
CALL_TIMEOUT_S: Final = 60.0
ATTEMPTS_MAX: Final = 12  # of a call that fails while others do not
PATIENCE_S: Final = 300.0  # without any answer to any call
BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 20.0
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024

# AWS: what the services call a call that is to be repeated more slowly.
_PUT_OFF: Final = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "SlowDown"),
        *("TooManyRequestsException", "RequestThrottled", "RequestLimitExceeded"),
        *("RequestThrottledException", "LambdaThrottledException"),
        *("ProvisionedThroughputExceededException", "BandwidthLimitExceeded"),
    }
)
_DENIED: Final = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "NotAuthorizedException"),
        *("ForbiddenException", "UnauthorizedException"),
    }
)
_STRANGERS: Final = {
    "ExpiredToken": "its credentials have expired",
    "ExpiredTokenException": "its credentials have expired",
    "IncompleteSignature": "it does not read the signature",
    "InvalidAccessKeyId": "it does not know the access key",
    "InvalidClientTokenId": "it does not know the access key",
    "InvalidSignatureException": "the secret key, the region or the clock is wrong",
    "MissingAuthenticationToken": "it found no credentials in the call",
    "MissingAuthenticationTokenException": "it found no credentials in the call",
    "SignatureDoesNotMatch": "the secret key, the region or the clock is wrong",
    "UnrecognizedClientException": "it does not know the access key",
}


class Keys(NamedTuple):
    """What signs a call."""

    access_key_id: str
    secret: str
    session_token: str | None


class Credentials(Protocol):
    """Where keys come from, again for each call: those of a role are renewed."""

    def find(self) -> Keys:
        """Give keys; it may take a while."""
        ...


class ApiRefusedError(SourceError):
    """A call got an answer that says no, for good."""

    def __init__(self, action: str, code: str, message: str, status: int) -> None:
        super().__init__(f"{action} answers {code}: {message or 'no message'}")
        self.code = code
        self.status = status


class Answer(NamedTuple):
    """What came back."""

    body: bytes
    date_s: float  # by the clock of the source


class _Failed(NamedTuple):
    """An attempt that may be repeated."""

    why: str
    put_off: bool
    wait_s: float  # at least so long, as the source asks


class ApiCalls:
    """Makes calls of Cognito Identity and Cognito Sync."""

    def __init__(
        self,
        endpoints: Mapping[str, str],
        region: str,
        credentials: Credentials,
        *,
        ca_bundle: str | None = None,
        verify: bool = True,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            endpoints: URL by service, `cognito-identity` and `cognito-sync`.
            patience_s: how long it is tried while nothing is answered.
        """
        self._endpoints = {k: v.rstrip("/") for k, v in endpoints.items()}
        self._region = region
        self._credentials = credentials
        self._ca_bundle = ca_bundle
        self._verify = verify
        self._patience_s = patience_s
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._paces: dict[str, Pace] = {}
        self._answered_s = self._clock()
        self.requests = 0
        self.throttled = 0

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self._endpoints["cognito-sync"]

    @property
    def rate(self) -> float:
        """Answers a second of late."""
        return sum(each.measure() for each in self._paces.values())

    async def identity(
        self, operation: str, *, signed: bool = True, **members: Any
    ) -> Answer:
        """
        Call an operation of Cognito Identity.

        Args:
            signed: it is not one that anybody may call.
        Raises:
            SourceError: as `sync` does.
        """
        given = {name: value for name, value in members.items() if value is not None}
        return await self._call(
            "cognito-identity",
            operation,
            ("POST", "/", ""),
            msgspec.json.encode(given),
            signed=signed,
        )

    async def sync(
        self, operation: str, *segments: str, **query: str | int | None
    ) -> Answer:
        """
        Call an operation of Cognito Sync that only looks, a GET.

        Args:
            segments: of the path, not encoded.
        Raises:
            ApiRefusedError: it says no, for good.
            SourceRefusedError: it may not be called, or the keys are not known.
            SourceError: it is not answered.
        """
        path = "".join(f"/{percent_encode(each)}" for each in segments)
        pairs = [
            f"{name}={percent_encode(value)}"
            for name, value in sorted(query.items())
            if value is not None
        ]
        target = ("GET", path, "&".join(pairs))
        return await self._call("cognito-sync", operation, target, b"")

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(
        self,
        service: str,
        operation: str,
        target: tuple[str, str, str],
        body: bytes,
        *,
        signed: bool = True,
    ) -> Answer:
        action = f"{service}:{operation}"
        pace = self._paces.setdefault(action, Pace(self._clock))
        attempt = 0
        if self.requests == 0:
            self._answered_s = self._clock()
        while True:
            number = await pace.wait()
            self.requests += 1
            outcome = await self._try(service, action, target, body, signed)
            now_s = self._clock()
            if isinstance(outcome, Answer):
                self._answered_s = now_s
                pace.taken()
                return outcome
            if outcome.put_off:
                self.throttled += 1
                pace.put_off(number)
            else:
                attempt += 1
            silent_s = now_s - self._answered_s
            if silent_s > self._patience_s or attempt >= ATTEMPTS_MAX:
                raise SourceError(
                    f"{action} is not answered: {outcome.why} (tried for "
                    f"{silent_s:.0f} s, {attempt} failures).",
                    hint="Run the same command again to go on.",
                )
            most_s = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(attempt, 7))
            if outcome.put_off and pace.rate is not None:
                most_s = min(2.0, 2 / pace.rate)  # the pace is what slows us down
            await asyncio.sleep(outcome.wait_s + random.uniform(0, most_s))

    async def _try(
        self,
        service: str,
        action: str,
        target: tuple[str, str, str],
        body: bytes,
        signed: bool,
    ) -> Answer | _Failed:
        method, path, query = target
        endpoint = self._endpoints[service]
        parts = urlsplit(endpoint)
        headers = [(b"host", parts.netloc.rpartition("@")[2].encode())]
        if method == "POST":
            headers.append((b"content-type", b"application/x-amz-json-1.1"))
        if service == "cognito-identity":
            operation = action.partition(":")[2]
            value = f"AWSCognitoIdentityService.{operation}".encode()
            headers.append((b"x-amz-target", value))
        raw_path = parts.path + path
        if signed:
            request = Outgoing(
                method=method,
                raw_path=raw_path.encode(),
                raw_query=query.encode(),
                headers=headers,
                body=body,
            )
            headers += self._sign(request, service)
        url = f"{parts.scheme}://{parts.netloc}{raw_path}" + (
            f"?{query}" if query else ""
        )
        try:
            async with self._open().request(
                method,
                URL(url, encoded=True),
                data=body or None,
                headers={k.decode(): v.decode() for k, v in headers},
                allow_redirects=False,
            ) as response:
                content = await response.read()
                return _judge(action, response, content)
        except TimeoutError:
            return _Failed("it takes too long", put_off=False, wait_s=0.0)
        except aiohttp.ClientConnectorCertificateError as error:
            raise SourceError(
                f"'{endpoint}' cannot be trusted: {error.certificate_error}."
            ) from error
        except aiohttp.InvalidURL as error:
            raise SourceError(f"'{endpoint}' is no URL that can be called.") from error
        except (aiohttp.ClientError, OSError) as error:
            why = f"{type(error).__name__} {error}".strip()
            return _Failed(why, put_off=False, wait_s=0.0)

    def _sign(self, request: Outgoing, service: str) -> Sequence[tuple[bytes, bytes]]:
        keys = self._credentials.find()
        return sign(
            request,
            access_key_id=keys.access_key_id,
            secret=keys.secret,
            region=self._region,
            service=service,
            now_s=time.time(),
            session_token=keys.session_token,
        )

    def _open(self) -> aiohttp.ClientSession:
        """Give the session, which can be made on an event loop alone."""
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if not self._verify:
                context = False
            elif self._ca_bundle:
                context = ssl.create_default_context(cafile=self._ca_bundle)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"millpond/{__version__}"},
                timeout=aiohttp.ClientTimeout(
                    total=CALL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
                ),
                trust_env=True,
                read_bufsize=256 * 1024,
            )
        return self._session


def _judge(
    action: str, response: aiohttp.ClientResponse, content: bytes
) -> Answer | _Failed:
    """
    Say what an answer means.

    Raises:
        SourceRefusedError, ApiRefusedError: a repeat would get the same.
    """
    status = response.status
    if status == 200:
        try:
            msgspec.json.decode(content, type=msgspec.Raw)
        except msgspec.DecodeError:
            return _Failed("its answer is no JSON", put_off=False, wait_s=0.0)
        return Answer(content, _date_of(response))
    code, message = _error_of(response, content)
    if status in (429, 503) or code in _PUT_OFF:
        wait_s = _retry_after(response)
        return _Failed(f"{status} {code}".strip(), put_off=True, wait_s=wait_s)
    if status >= 500:
        return _Failed(f"{status} {code}".strip(), put_off=False, wait_s=0.0)
    if code == "RequestExpired":
        return _Failed("a clock is wrong", put_off=False, wait_s=0.0)
    if code in _STRANGERS:
        raise SourceRefusedError(
            f"{action} is refused: {_STRANGERS[code]} ({code}).", action=action
        )
    if code in _DENIED or status in (401, 403):
        raise SourceRefusedError(
            f"The right {action} is missing ({code or status}: {message}).",
            action=action,
        )
    raise ApiRefusedError(action, code or str(status), message, status)


def _error_of(response: aiohttp.ClientResponse, content: bytes) -> tuple[str, str]:
    message = response.headers.get("x-amzn-ErrorMessage", "")
    try:
        body = msgspec.json.decode(content)
    except msgspec.DecodeError:
        body = None
    body = body if isinstance(body, dict) else {}
    message = str(body.get("message") or body.get("Message") or message)
    # What names no error is judged by its status, hence no number here.
    code = error_code(response.headers, {"__type": "", **body}, 0, "rest-json")
    return code, message[:500]


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), BACKOFF_MAX_S) if text.isdigit() else 0.0


def _date_of(response: aiohttp.ClientResponse) -> float:
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return time.time()
