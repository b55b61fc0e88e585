"""
Calls of a service's APIs, as a library makes them: again and again, from any thread.

What `api` does for one command, here with the credentials of somebody, by the clock of
the service, and patiently: too many requests and troubles of the server are tried again
a few times, after the pause that the server asks for. What gets no answer is not; who
drives a synchronization knows when to come back.

Nothing of the AWS CLI's settings counts, apart from the certificates to trust
(AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE) and the proxies of the environment.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from millpond.client.api import answers, call
from millpond.client.api.configuration import Configuration
from millpond.client.api.credentials import Credentials
from millpond.client.api.faults import Fault
from millpond.client.api.idle import Idle
from millpond.client.api.model import ServiceModel, command_name
from millpond.client.api.retries import Policy
from millpond.client.failures import (
    CLOCK,
    CREDENTIALS_OVER,
    CallError,
    NotAllowed,
    Rejected,
    ServerTrouble,
    Throttled,
    Unanswered,
    of_fault,
)

if TYPE_CHECKING:
    from millpond.client.api.call import Call
    from millpond.client.api.transport import Lines

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 60.0
_ATTEMPTS_MAX: Final = 3
_PAUSE_S: Final = (0.2, 10.0)  # between attempts, at first and at most
_SKEW_S_MIN: Final = 30.0  # less makes no signature worthless
_KEPT_VARIABLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_ONCE: Final = Policy("legacy", attempts_max=1)
_NO_FILE: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

T = TypeVar("T")
load = lru_cache(ServiceModel.load)


class Calls:
    """
    Makes calls of the APIs of one server, from any thread.

    Args:
        endpoint: its URL; `None`: AWS, where each API has a place of its own.
        region: for signatures, such as that in front of a pool's id.
        ca_bundle: a file of certificates to trust.
    """

    def __init__(
        self,
        endpoint: str | None,
        region: str,
        *,
        ca_bundle: str | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint = endpoint
        self.region = region
        self.skew_s = 0.0
        """How far the clock of the server is ahead of ours, as far as it matters."""
        self._clock = clock
        self._closed = threading.Event()
        self._idle = Idle()
        self._options = SimpleNamespace(
            ca_bundle=ca_bundle,
            cli_binary_format=None,
            connect_timeout=connect_timeout_s,
            debug=False,
            endpoint_url=endpoint,
            read_timeout=read_timeout_s,
            region=region,
            sign_request=False,
            verify_ssl=True,
        )
        kept = {n: os.environ[n] for n in _KEPT_VARIABLES if n in os.environ}
        self._configuration = Configuration(environment={**_NO_FILE, **kept})

    def __repr__(self) -> str:
        return f"<Calls {self.endpoint or 'AWS'}, {self.region}>"

    @property
    def now_s(self) -> float:
        """The time by the clock of the server, in epoch seconds."""
        return self._clock() + self.skew_s

    def close(self) -> None:
        """End pauses; what is called after it is not answered."""
        self._closed.set()
        self._idle.close()

    def call(
        self,
        api: str,
        operation: str,
        parameters: dict[str, Any],
        credentials: Credentials | None = None,
        *,
        attempts_max: int = _ATTEMPTS_MAX,
        beside: Collection[str] = (),
    ) -> dict[str, Any]:
        """
        Make a call, and give its result.

        Args:
            api: such as `cognito-sync`.
            operation: the API's name of it.
            credentials: to sign it with; `None`: it is not signed.
            beside: members of the answer that are not published, and given as they are
                where the server has them.
        Raises:
            CallError: of a kind that says what happened.
        """
        attempts = 0
        while True:
            attempts += 1
            try:
                return self._once(api, operation, parameters, credentials, beside)
            except (Throttled, ServerTrouble, Unanswered) as error:
                if attempts >= attempts_max or not _may_pass(error):
                    raise
                pause_s = _pause_s(error, attempts)
                if pause_s > _PAUSE_S[1] or self._closed.wait(pause_s):
                    raise

    def call_as(
        self,
        caller: Any,
        api: str,
        operation: str,
        parameters: dict[str, Any],
        *,
        beside: Collection[str] = (),
    ) -> dict[str, Any]:
        """Make a call with somebody's credentials, with new ones if those are over."""
        try:
            return self.call(
                api, operation, parameters, caller.credentials(), beside=beside
            )
        except NotAllowed as error:
            if error.code not in CREDENTIALS_OVER:
                raise
            caller.renew()
            return self.call(
                api, operation, parameters, caller.credentials(), beside=beside
            )

    def listen(
        self,
        api: str,
        operation: str,
        parameters: dict[str, Any],
        credentials: Credentials,
    ) -> Lines:
        """
        Make a call whose answer goes on, once: its lines, to be closed.

        Raises:
            CallError: as above.
        """
        return self._by_clock(
            operation,
            lambda: call.listen(
                self._prepare(api, operation, parameters, credentials), self._options
            ),
        )

    def _once(
        self,
        api: str,
        operation: str,
        parameters: dict[str, Any],
        credentials: Credentials | None,
        beside: Collection[str],
    ) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            prepared = self._prepare(api, operation, parameters, credentials)
            response = call.make(prepared, self._options)
            result = answers.parse_result(response, prepared.operation, lambda it: it)
            return {**result, **answers.unpublished(response, beside)}

        return self._by_clock(operation, make)

    def _by_clock(self, operation: str, make: Callable[[], T]) -> T:
        """Make a call; once more where it fails and the clocks turn out to differ."""
        for again in (True, False):
            if self._closed.is_set():
                raise Unanswered("This client is closed.", operation=operation)
            try:
                return make()
            except Fault as fault:
                error = of_fault(fault, operation)
                may_be_clock = error.code in CLOCK or error.code in CREDENTIALS_OVER
                headers = getattr(fault, "headers", {})
                if not (again and may_be_clock and self._learn_time(headers)):
                    raise error from None
        raise AssertionError

    def _learn_time(self, headers: dict[str, str]) -> bool:
        """Read the server's time off an answer; whether it is news."""
        from email.utils import parsedate_to_datetime

        try:
            server_s = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return False
        skew_s = server_s - self._clock()
        if abs(skew_s - self.skew_s) < _SKEW_S_MIN:
            return False
        self.skew_s = skew_s
        return True

    def _prepare(
        self,
        api: str,
        operation: str,
        parameters: dict[str, Any],
        credentials: Credentials | None,
    ) -> Call:
        model = load(api).operation(command_name(operation))
        given = {name: each for name, each in parameters.items() if each is not None}
        try:
            made = call.prepare(model, given, self._options, self._configuration)
        except Fault as fault:
            raise Rejected(
                str(fault), code="InvalidParameterException", operation=operation
            ) from None
        made.policy = _ONCE
        made.skew_s = self.skew_s + self._clock() - time.time()
        made.idle = self._idle
        made.signed = credentials is not None
        made.credentials = credentials
        return made


def _may_pass(error: CallError) -> bool:
    """Tell whether another attempt could fare better, just now."""
    if isinstance(error, Unanswered):
        return error.status == 429 or error.status >= 500  # a proxy answered
    return True


def _pause_s(error: CallError, attempts: int) -> float:
    if error.retry_after_s is not None:
        return error.retry_after_s
    return float(_PAUSE_S[0] * 2 ** (attempts - 1) * random.uniform(0.5, 1.0))
