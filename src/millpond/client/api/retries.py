"""
When to try again, and after how long.

AWS: two modes. "legacy", the default: up to 5 attempts in all, a random part of 1, 2,
4, ... seconds between them. "standard" (and "adaptive"): up to 3, at most 20 seconds.
Version 2 has the latter alone.
botocore/retryhandler.py, data/_retry.json, retries/standard.py. A defaults_mode other
than "legacy" makes "standard" the default (data/sdk-default-configuration.json); of
what else it sets, nothing concerns us.
"""

from __future__ import annotations

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from millpond.client.api.answers import ServiceError
    from millpond.client.api.configuration import Configuration

_DEFAULTS_MODES: Final = (
    *("legacy", "auto", "standard"),
    *("in-region", "cross-region", "mobile"),
)
_ATTEMPTS_DEFAULT: Final = {"legacy": 5, "standard": 3, "adaptive": 3}
_BACKOFF_S_MAX: Final = 20.0
_LEGACY_STATUSES: Final = frozenset((429, 500, 502, 503, 504, 509))
_STANDARD_STATUSES: Final = frozenset((500, 502, 503, 504))
_LEGACY_CODES: Final = frozenset(
    (
        "ProvisionedThroughputExceededException",
        "RequestThrottledException",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
    )
)
_STANDARD_CODES: Final = _LEGACY_CODES | frozenset(
    (
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "TooManyRequestsException",
        "TransactionInProgressException",
    )
)


class Policy:
    """How often to try, and what for."""

    def __init__(self, mode: str, attempts_max: int) -> None:
        self.mode = mode
        self.attempts_max = attempts_max

    @classmethod
    def configured(cls, configuration: Configuration) -> Policy:
        """Read the policy from the settings."""
        ways = configuration.ways
        mode = configuration.get("retry_mode")
        attempts = configuration.get("max_attempts")
        try:
            attempts_max = None if attempts is None else int(attempts)
        except ValueError as error:
            raise Fault(str(error)) from None
        if attempts_max is not None and attempts_max < 1:
            least = "1" if ways.version == 1 else "one"
            raise Fault(
                f'Value provided to "max_attempts": {attempts_max} must be an integer '
                f"greater than or equal to {least}."
            )
        if mode is None:
            mode = _default_mode(configuration)
        if mode not in ways.retry_modes:
            modes = str(ways.retry_modes)
            if ways.version == 2:
                modes = " or ".join(f'"{each}"' for each in ways.retry_modes)
            raise Fault(
                f'Invalid value provided to "mode": "{mode}" must be one of: {modes}'
            )
        return cls(mode, attempts_max or _ATTEMPTS_DEFAULT[mode])

    def applies_to(self, error: ServiceError) -> bool:
        """Tell whether another attempt could fare better."""
        if self.mode == "legacy":
            return error.status in _LEGACY_STATUSES or (
                error.status == 400 and error.code in _LEGACY_CODES
            )
        return error.status in _STANDARD_STATUSES or error.code in _STANDARD_CODES

    def pause_s(self, attempts: int) -> float:
        """How long to wait after so many attempts."""
        import random

        pause_s: float = random.random() * 2 ** (attempts - 1)
        return pause_s if self.mode == "legacy" else min(pause_s, _BACKOFF_S_MAX)


def check_defaults_mode(configuration: Configuration) -> None:
    """
    Refuse a defaults_mode that there is not.

    Raises:
        Fault: it is none of the known ones.
    """
    mode = configuration.get("defaults_mode")
    if mode is not None and mode.lower() not in _DEFAULTS_MODES:
        raise Fault(
            f"Client configured with invalid defaults mode: {mode}. Valid defaults "
            f"modes include: {', '.join(_DEFAULTS_MODES)}."
        )


def _default_mode(configuration: Configuration) -> str:
    mode = configuration.get("defaults_mode") or "legacy"
    return configuration.ways.retry_modes[0] if mode.lower() == "legacy" else "standard"
