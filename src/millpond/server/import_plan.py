"""What a move would be: how much there is, how long it takes, what is needed for it."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from millpond.errors import SourceError, SourceRefusedError
from millpond.sources.api import ApiSource
from millpond.sources.api_pool import RIGHTS
from millpond.sources.base import SourcePool

LISTED_MAX: Final = 6000  # identities that are counted; then the rest is estimated
SAMPLE: Final = 20  # identities whose datasets are listed
# AWS: calls of ListIdentities a second (quotas, 2026); those of Cognito Sync are not
# published.
LISTINGS_PER_S: Final = 5.0
LISTED_AT_ONCE: Final = 60
_SOMEONE: Final = "00000000-0000-4000-8000-000000000000"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a move would be; None: it cannot be told, for a right is missing.

    Args:
        exact: identities were counted to the last one; otherwise it is an estimate.
        calls: that a copy makes.
        listing_s, copying_s: how long these take, at AWS's rate of ListIdentities and
            at the one at which the sample was answered.
        missing: rights, as policies name them.
    """

    described: SourcePool | None
    identities: int | None
    exact: bool
    datasets: int | None
    records: int | None
    data_bytes: int | None
    calls: int | None
    listing_s: float | None
    copying_s: float | None
    calls_per_s: float | None
    missing: tuple[str, ...]


async def make_plan(source: ApiSource) -> Plan:
    """
    Look at a pool elsewhere; nothing is written, here or there.

    Raises:
        SourceError: there is no such pool, or the keys are not known there.
    """
    missing: list[str] = []
    described: SourcePool | None = None
    try:
        described = await source.describe_pool()
        missing += described.missing
    except SourceRefusedError as error:
        if not error.action or "missing" not in str(error):
            raise
        missing.append(error.action)
    listed, exact = 0, True
    ids: list[str] = []
    try:
        token: str | None = None
        while True:
            page = await source.list_identities(token, enabled=False)
            listed += len(page.identities)
            ids += [e.identity_id for e in page.identities[: SAMPLE - len(ids)]]
            token = page.token
            if token is None or listed >= LISTED_MAX:
                exact = token is None
                break
    except SourceRefusedError as error:
        missing.append(error.action)
        exact = False
    missing += await _probe(source, described, ids)
    if set(missing) & {"cognito-sync:ListDatasets", "cognito-identity:ListIdentities"}:
        return _unknown(described, missing)
    return await _measure(source, described, ids, listed, exact, missing)


def _unknown(described: SourcePool | None, missing: list[str]) -> Plan:
    return Plan(
        described=described,
        identities=None,
        exact=False,
        datasets=None,
        records=None,
        data_bytes=described.data_storage if described else None,
        calls=None,
        listing_s=None,
        copying_s=None,
        calls_per_s=None,
        missing=tuple(sorted(set(missing))),
    )


async def _probe(
    source: ApiSource, described: SourcePool | None, ids: list[str]
) -> list[str]:
    """Try each right that is needed later, on an identity that may not be there."""
    pool = source.identity_pool_id
    someone = ids[0] if ids else f"{pool.partition(':')[0]}:{_SOMEONE}"
    calls = source.calls
    path = ("identitypools", pool, "identities", someone, "datasets")
    probes: list[Any] = [
        lambda: calls.identity("DescribeIdentity", IdentityId=someone),
        lambda: calls.sync("ListDatasets", *path, maxResults=1),
        lambda: calls.sync("ListRecords", *path, "millpond", "records", maxResults=1),
    ]
    if described is None or described.pool.developer_provider_name:
        probes.append(
            lambda: calls.identity(
                "LookupDeveloperIdentity", IdentityPoolId=pool, IdentityId=someone
            )
        )
    missing = []
    for probe in probes:
        try:
            await probe()
        except SourceRefusedError as error:
            missing.append(error.action)
        except SourceError:
            pass  # it may be asked, and that is what was to be known
    return missing


async def _measure(
    source: ApiSource,
    described: SourcePool | None,
    ids: list[str],
    listed: int,
    exact: bool,
    missing: list[str],
) -> Plan:
    began_s = time.monotonic()
    datasets = records = size = 0
    for each in ids:
        found = await source.list_datasets(each)
        datasets += len(found)
        records += sum(e.num_records or 0 for e in found)
        size += sum(e.data_storage or 0 for e in found)
    took_s = max(time.monotonic() - began_s, 0.001)
    held = described.data_storage if described is not None else None
    identities = listed
    if not exact and held is not None and size:
        identities = max(listed, round(held / (size / len(ids))))
    share = identities / len(ids) if ids else 0.0
    developer = described is not None and bool(described.pool.developer_provider_name)
    sets = round(datasets * share)
    # Each identity has its datasets listed, each dataset its records, and about every
    # other one is asked whether it was ever deleted.
    calls = identities * (2 if developer else 1) + round(sets * 1.5)
    rate = len(ids) / took_s * source.parallel if ids else None
    pages = -(-identities // LISTED_AT_ONCE)
    return Plan(
        described=described,
        identities=identities,
        exact=exact,
        datasets=sets,
        records=round(records * share),
        data_bytes=held if held is not None else round(size * share),
        calls=calls + 3 * pages,
        listing_s=3 * pages / LISTINGS_PER_S,
        copying_s=None if rate is None else calls / rate,
        calls_per_s=rate,
        missing=tuple(sorted(set(missing))),
    )


def make_policy(identity_pool_id: str) -> dict[str, Any]:
    """Make a policy of IAM that allows what an import asks of a pool, and no more."""
    region = identity_pool_id.partition(":")[0]
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    if region.startswith("us-gov-"):
        partition = "aws-us-gov"
    pool = f"identitypool/{identity_pool_id}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [e for e in RIGHTS if e.startswith(f"{service}:")],
                "Resource": [
                    f"arn:{partition}:{service}:{region}:*:{pool}{behind}"
                    for behind in endings
                ],
            }
            for service, endings in (
                ("cognito-identity", ("",)),
                ("cognito-sync", ("", "/*")),
            )
        ],
    }


def what_stays_behind(described: SourcePool | None) -> list[tuple[str, str]]:
    """Say what cannot be read at a source, and what to do about it."""
    found = [
        (
            "devices that are registered for push, and what they are subscribed to",
            "apps register and subscribe again when they start; see docs/push.md",
        ),
        (
            "datasets that were deleted: only their absence can be read",
            "nothing: a device that knows one is told that it was deleted",
        ),
        (
            "into which identity a disabled one was merged, unless the name of a "
            "dataset tells",
            "it leads to its account again when its user signs in",
        ),
    ]
    pool = described.pool if described is not None else None
    if pool is None:
        return found
    if pool.login_providers:
        providers = ", ".join(sorted(pool.login_providers))
        found.append(
            (
                f"who the users of {providers} are: the API names providers only",
                "let the server ask AWS who signs in (read_through), or the app get "
                "its tokens from AWS until its users have signed in here once, or "
                "devices claim the ids that they have kept (claims_until); see "
                "docs/howto/from-aws.md",
            )
        )
    if pool.saml_provider_arns:
        found.append(("logins with SAML", "Millpond takes OpenID Connect tokens only"))
    if pool.stream is not None and pool.stream.stream_name:
        found.append(
            (
                f"the stream '{pool.stream.stream_name}' itself",
                "create it where this server's streams are, before the switch",
            )
        )
    if pool.sync_trigger and pool.sync_trigger.startswith("arn:"):
        found.append(
            (
                f"the function {pool.sync_trigger} itself",
                "let the server call it, or put it behind a URL; "
                "see docs/sync-trigger.md",
            )
        )
    if pool.push is not None and pool.push.application_arns:
        found.append(
            (
                "the platform applications of push",
                "give the server AWS credentials for Amazon SNS; see docs/push.md",
            )
        )
    return found
