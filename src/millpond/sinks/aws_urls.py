"""
The URLs of what is behind an AWS API: where it is, and in whose name it is called.

    ...?region=...&endpoint=...&role_arn=...&external_id=...
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from millpond.aws import Place
from millpond.errors import SettingsError
from millpond.sinks.urls import SinkUrl, read_url

_OPTIONS: Final = frozenset({"region", "endpoint", "role_arn", "external_id"})
_REGION: Final = re.compile(r"[a-z0-9-]+")


class AwsUrl(NamedTuple):
    """Such a URL, taken apart."""

    url: SinkUrl
    place: Place
    endpoint_url: str | None  # None: that of AWS in the region


def read_aws_url(url: str) -> AwsUrl:
    """
    Take such a URL apart.

    Raises:
        SettingsError: it cannot be right; the message does not repeat it.
    """
    found = read_url(url, options=_OPTIONS)
    if found.user or found.password:
        raise SettingsError(
            "This URL has no user and no password; AWS credentials come from the "
            "environment, a profile or the role of the machine."
        )
    region, endpoint = (found.options.get(name, "") for name in ("region", "endpoint"))
    if region and not _REGION.fullmatch(region):
        raise SettingsError("The option 'region' is a name such as us-east-1.")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise SettingsError("The option 'endpoint' is an http or https URL.")
    role_arn = found.options.get("role_arn", "")
    if role_arn and not role_arn.startswith("arn:"):
        raise SettingsError("The option 'role_arn' is an ARN, arn:aws:iam::...")
    place = Place(
        region or None, role_arn or None, found.options.get("external_id", "")
    )
    return AwsUrl(found, place, endpoint or None)
