"""Opening the API of a pool elsewhere, with what the AWS CLI would use for it."""

from __future__ import annotations

import re
from typing import Any, Final

from millpond.client.api.endpoints import default_url
from millpond.core.sync import SyncLimits
from millpond.errors import SourceError
from millpond.sources.api import PARALLEL, ApiSource
from millpond.sources.api_calls import PATIENCE_S, ApiCalls, Keys

_SERVICES: Final = ("cognito-identity", "cognito-sync")
_POOL_ID: Final = re.compile(r"[a-z0-9-]+:[0-9a-f-]{1,55}")


class _SessionCredentials:
    """Those of a botocore session, which renews them."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def find(self) -> Keys:
        frozen = self._credentials.get_frozen_credentials()
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)


def check_pool_id(identity_pool_id: str) -> None:
    """
    Refuse what cannot be the id of a pool.

    Raises:
        SourceError: why.
    """
    if _POOL_ID.fullmatch(identity_pool_id):
        return
    lower = identity_pool_id.lower()
    if _POOL_ID.fullmatch(lower):
        raise SourceError(
            f"'{identity_pool_id}' is no id of an identity pool: ids are in lower "
            f"case. There may be '{lower}'."
        )
    raise SourceError(
        f"'{identity_pool_id}' is no id of an identity pool, which has the form "
        "REGION:UUID."
    )


def open_api(
    identity_pool_id: str,
    *,
    limits: SyncLimits,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    parallel: int = PARALLEL,
    patience_s: float = PATIENCE_S,
) -> ApiSource:
    """
    Open the API of a pool elsewhere. It reads files, and may ask for credentials.

    Args:
        profile, region: None: as the AWS CLI finds the profile; the region of a pool
            stands in its id.
        endpoint_url: of both APIs; None: as the AWS CLI finds them.
    Raises:
        SourceError: the id, the region or the profile is wrong, or there are no
            credentials.
    """
    check_pool_id(identity_pool_id)
    at = identity_pool_id.partition(":")[0]
    if region is not None and region != at:
        raise SourceError(
            f"Identity pool '{identity_pool_id}' is in {at}, not in {region}: the "
            "region of a pool is the beginning of its id."
        )
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        session = Session(profile=profile)
        credentials = session.get_credentials()
        endpoints = {
            each: endpoint_url or _endpoint_of(session, each, at) for each in _SERVICES
        }
        ca_bundle = session.get_config_variable("ca_bundle")
    except BotoCoreError as error:
        raise SourceError(f"{error}.".replace("..", ".")) from error
    if credentials is None:
        raise SourceError(
            "There are no AWS credentials.",
            hint="Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "run 'aws configure'.",
        )
    calls = ApiCalls(
        endpoints,
        at,
        _SessionCredentials(credentials),
        ca_bundle=ca_bundle,
        patience_s=patience_s,
    )
    return ApiSource(identity_pool_id, calls, limits=limits, parallel=parallel)


def _endpoint_of(session: Any, service: str, region: str) -> str:
    from botocore.exceptions import UnknownServiceError

    try:
        # Its settings name other endpoints in several ways, which botocore knows.
        client = session.create_client(
            service,
            region_name=region,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",
        )
    except UnknownServiceError:  # AWS: the day on which the SDKs drop it
        return default_url(service, region)
    try:
        return str(client.meta.endpoint_url)
    finally:
        client.close()
