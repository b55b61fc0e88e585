"""
What can become of a call, for programs.

    SyncError
    `-- CallError         the code, the operation, the request's id
        |-- Unanswered    nobody answered, or not a server of this API; the call may
        |                 have been made all the same
        |-- Throttled     too many requests; `retry_after_s`, where the server says
        |-- ServerTrouble the server says that something is wrong with itself
        |-- NotAllowed    the credentials are not good, or not for this
        `-- Rejected      the server says no to what was asked

Rule: no value of a record is in a text, whatever the server wrote; keys may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from millpond.client.api.call import RefusedFault
from millpond.client.api.faults import Fault
from millpond.client.errors import SyncError

CREDENTIALS_OVER: Final = frozenset(
    {
        *("ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException"),
        *("InvalidClientTokenId", "MissingAuthenticationTokenException"),
    }
)
"""Codes that say that other credentials are needed, and may help."""
CLOCK: Final = frozenset(
    {
        *("InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"),
        *("RequestTimeTooSkewed", "AuthFailure"),
    }
)
"""Codes that a wrong clock may have made."""

_THROTTLES: Final = frozenset(
    {
        *("TooManyRequestsException", "ThrottlingException", "Throttling"),
        *("ThrottledException", "RequestThrottledException", "RequestLimitExceeded"),
        *("LambdaThrottledException", "SlowDown"),
    }
)
_RETRY_AFTER_S_MAX: Final = 3600.0


class CallError(SyncError):
    """
    A call that came to nothing.

    Attributes:
        code: the API's code of the error; "Unanswered" where there is no answer.
        operation: the name of the API's operation.
        status: of the answer, 0 when there is none.
        request_id: by which the server's log knows the call.
        retry_after_s: when it may go better, where the server says so.
    """

    def __init__(
        self,
        text: str,
        *,
        code: str,
        operation: str = "",
        status: int = 0,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    @property
    def text(self) -> str:
        """What the server said of it, or what happened."""
        return str(self.args[0])

    def __str__(self) -> str:
        where = f"{self.operation}: " if self.operation else ""
        return f"{where}{self.code}: {self.text}"

    def hide(self, values: Iterable[str]) -> None:
        """Leave the text out when it has one of these in it (rest of the library)."""
        # Without an answer it is ours, with an address: "1" would be in it by chance.
        if self.status and any(each and each in self.text for each in values):
            self.args = ("(The text is left out, as it has a value in it.)",)


class Unanswered(CallError):
    """There is no answer of the service: whether the call was made is not known."""

    def __init__(self, text: str, *, operation: str = "", status: int = 0) -> None:
        super().__init__(text, code="Unanswered", operation=operation, status=status)


class Throttled(CallError):
    """There are too many requests just now."""


class ServerTrouble(CallError):
    """Something is wrong at the server; later it may not be."""


class NotAllowed(CallError):
    """The credentials are not good, or not for this."""


class Rejected(CallError):
    """The server says no."""


def of_fault(fault: Fault, operation: str) -> CallError:
    """Say what a fault of a call is, for programs."""
    if not isinstance(fault, RefusedFault):
        return Unanswered(str(fault), operation=operation)
    error = fault.error
    if error.code.isdigit() or error.code in ("", "Unknown"):
        # A service names its errors. This one is of a proxy, or of another server.
        text = f"HTTP {error.status} of somebody who is no server of this API"
        if error.status == 429:
            text = "HTTP 429 of somebody on the way"
        return Unanswered(text, operation=operation, status=error.status)
    return _kind(error.code, error.status)(
        error.message,
        code=error.code,
        operation=operation,
        status=error.status,
        request_id=fault.headers.get("x-amzn-requestid"),
        retry_after_s=retry_after_s(fault.headers),
    )


def _kind(code: str, status: int) -> type[CallError]:
    if status == 429 or code in _THROTTLES:
        return Throttled
    if status >= 500:
        return ServerTrouble
    if status in (401, 403) or code in CREDENTIALS_OVER or code in CLOCK:
        return NotAllowed
    return NotAllowed if code == "NotAuthorizedException" else Rejected


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read the seconds of Retry-After; a date there is passed over."""
    try:
        given_s = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    if not given_s >= 0:  # not a number, too
        return None
    return min(given_s, _RETRY_AFTER_S_MAX)
