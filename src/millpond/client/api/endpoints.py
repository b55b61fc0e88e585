"""
Where a service is when nobody says otherwise, and whether a URL can be one.

AWS: the endpoint rules of cognito-sync, of the same form for all our services; regions
and their domains from partitions.json.
"""

from __future__ import annotations

import re

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_HOST_CHARS_MAX: Final = 255
_LABEL: Final = r"(?!-)[A-Za-z\d-]{1,63}(?<!-)"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_REGION: Final = re.compile(r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{,63}(?<!-)")
_UNSAFE: Final = frozenset("\t\r\n")

# start of the region's name -> domain, domain of the dual-stack endpoints, if any
_DOMAINS: Final[tuple[tuple[str, str, str | None], ...]] = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", None),
    ("us-isof-", "csp.hci.ic.gov", None),
    ("", "amazonaws.com", "api.aws"),
)


def default_url(
    service: str, region: str, *, fips: bool = False, dual_stack: bool = False
) -> str:
    """
    Name the endpoint that AWS has for a service in a region.

    Raises:
        Fault: there is none of this kind there.
    """
    _, domain, dual_stack_domain = next(
        row for row in _DOMAINS if region.startswith(row[0])
    )
    variant = "-fips" if fips else ""
    suffix = dual_stack_domain if dual_stack else domain
    if suffix is None:
        kinds = ["dualstack", "fips"] if fips else ["dualstack"]
        raise Fault(
            "Unable to construct a modeled endpoint with the following variant(s) "
            f"{kinds}: "
        )
    return f"https://{service}{variant}.{region}.{suffix}"


def check_region(region: str | None) -> None:
    """Refuse a region that cannot be part of a host name."""
    if region is not None and not _REGION.fullmatch(region):
        raise Fault(
            f"Provided region_name '{region}' doesn't match a supported format."
        )


def settle_region(region: str) -> tuple[str, bool]:
    """
    Part a region from the mark of FIPS that its name may have.

    AWS: fips-us-east-1 and us-east-1-fips are us-east-1 with the endpoints of FIPS
    (botocore/client.py, `_normalize_fips_region`).
    """
    settled = region.replace("fips-", "").replace("-fips", "")
    return settled, settled != region


def check_url(url: str) -> None:
    """Refuse a URL whose host cannot be a host."""
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""  # such as a bracket that is not closed
    is_address = ":" in host and re.fullmatch(r"[0-9A-Fa-f:.]+(%.+)?", host)
    is_name = len(host) <= _HOST_CHARS_MAX and _HOST.fullmatch(host.removesuffix("."))
    if _UNSAFE.intersection(url) or not (is_name or is_address):
        raise Fault(f"Invalid endpoint: {url}")
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise Fault(str(error)) from None
