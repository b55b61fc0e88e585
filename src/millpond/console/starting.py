"""
Starter code: what an app needs to sync with a pool of this server, for each client.

The texts are in `starters/`, with `$pool`, `$endpoint` and the like in the places of
what differs; a test runs each one whose language is at hand.
"""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from millpond.core.identity_pools import IdentityPool


class Starter(NamedTuple):
    """Code for one client."""

    id: str  # also the name of its file
    title: str
    needs: str  # what to install
    is_tried: bool  # by our tests; the others need a phone or another language


STARTERS: Final = (
    Starter("aws-cli", "AWS CLI", "AWS CLI 2.13 or 1.29 or newer, and bash", True),
    Starter("boto3", "Python: boto3", "pip install boto3", True),
    Starter(
        "javascript-v3",
        "JavaScript: AWS SDK v3",
        "npm install @aws-sdk/client-cognito-identity @aws-sdk/client-cognito-sync",
        True,
    ),
    Starter(
        "amazon-cognito-js",
        "JavaScript: amazon-cognito-js",
        "npm install aws-sdk amazon-cognito-js",
        True,
    ),
    Starter("android", "Android: AWS SDK", "aws-android-sdk-cognito, and HTTPS", False),
    Starter("ios", "iOS: AWS SDK", "the pods AWSCore and AWSCognito", False),
    Starter("dotnet", ".NET: AWS SDK", "the package AWSSDK.CognitoSync", False),
)


def write(starter: Starter, pool: IdentityPool, public_url: str) -> str:
    """
    Fill a pool into starter code.

    Args:
        public_url: where clients reach the server.
    """
    endpoint = public_url.rstrip("/")
    pool_id = pool.identity_pool_id
    region = pool_id.partition(":")[0]
    file = resources.files(__package__) / "starters" / f"{starter.id}.txt"
    return Template(file.read_text("utf-8")).substitute(
        pool=pool_id,
        endpoint=endpoint,
        host=urlsplit(endpoint).netloc,
        region=region,
        ios_region=_ios_region(region),
    )


def _ios_region(region: str) -> str:
    """Spell a region as the SDK for iOS does: us-east-1, USEast1."""
    place, _, rest = region.partition("-")
    return place.upper() + "".join(each.capitalize() for each in rest.split("-"))
