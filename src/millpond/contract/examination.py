"""
Examination: operations of Millpond's own that say what is wrong, for whom calls fail.

What a pool calls and is called by (its sync trigger, its stream, push, login providers)
is seen from the server alone: by its network, its credentials, its secrets. So the
server looks, when a developer asks; `millpond doctor` shows it. They are signed and
routed as those of Amazon Cognito Sync.

Source: ours.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from millpond.contract import cognito_sync, streaming
from millpond.contract.cognito_sync import IdentityPoolId
from millpond.contract.shapes import (
    Api,
    Callers,
    InPath,
    Long,
    Operation,
    Shape,
    String,
    Timestamp,
    about,
)

FindingStatus = Annotated[
    Literal["OK", "WARN", "FAIL"],
    Meta(
        title="FindingStatus",
        description="OK: all is well. WARN: it works, and yet. FAIL: calls cannot "
        "succeed like this.",
    ),
]

_pool = Annotated[IdentityPoolId, InPath("IdentityPoolId")]


class Finding(Shape, kw_only=True):
    """What one look found."""

    name: Annotated[String, about("What was looked at.")]
    status: FindingStatus
    text: Annotated[String, about("What is so.")]
    mend: (
        Annotated[String, about("What to do about it. Absent when all is well.")] | None
    ) = None


Findings = Annotated[
    list[Finding],
    Meta(title="Findings", description="What was found, one for each look."),
]


class ExamineServerRequest(Shape, kw_only=True):
    """
    Look at what the server needs, such as store, disk, streams and login providers.

    Nothing of the server's is changed; into the bucket of large stream records a small
    object is put. When the store does not answer, that is the only finding.
    """


class ExamineServerResponse(Shape, kw_only=True):
    """What was found, and what runs."""

    version: Annotated[String, about("The version of Millpond.")]
    python_version: Annotated[String, about("The version of Python.")]
    store_kind: Annotated[String, about("The kind of the store: sqlite or postgres.")]
    findings: Findings


class ExamineIdentityPoolRequest(Shape, kw_only=True):
    """
    Look at what an identity pool calls: sync trigger, stream, push, login providers.

    The sync trigger is called with a test event: of the dataset `millpond-test-event`,
    of an identity whose id is all zeros. Nothing of what it answers is written.
    """

    identity_pool_id: _pool


class ExamineIdentityPoolResponse(Shape, kw_only=True):
    """What was found."""

    identity_pool_id: IdentityPoolId
    findings: Findings


class SyncTriggerDetails(Shape, kw_only=True):
    """How the sync trigger has done, as far as the server that is asked called it."""

    target: Annotated[String, about("The ARN or the URL that is called.")]
    call_count: Annotated[Long, about("Calls since it was set or the server started.")]
    failure_count: Annotated[Long, about("Calls that failed in a row, up to now.")]
    last_success_date: (
        Annotated[Timestamp, about("When it last answered as it should.")] | None
    ) = None
    last_failure_date: Annotated[Timestamp, about("When it last failed.")] | None = None
    last_failure: Annotated[String, about("Why it last failed.")] | None = None
    mend: Annotated[String, about("What to do about that.")] | None = None


class GetIdentityPoolDetailsRequest(Shape, kw_only=True):
    """
    Tell what the server has noted of the sync trigger of an identity pool.

    Nothing is called: ExamineIdentityPool does that.
    """

    identity_pool_id: _pool


class GetIdentityPoolDetailsResponse(Shape, kw_only=True):
    """What was noted."""

    identity_pool_id: IdentityPoolId
    sync_trigger: SyncTriggerDetails | None = None


_ERRORS: Final = streaming.API.by_name["GetStreamDetails"].errors

API: Final = Api(
    name=cognito_sync.API.name,
    title="Examination",
    version=cognito_sync.API.version,
    protocol="rest-json",
    operations=(
        Operation(
            "ExamineIdentityPool",
            ExamineIdentityPoolRequest,
            ExamineIdentityPoolResponse,
            _ERRORS,
            Callers.DEVELOPER,
            "POST",
            "/identitypools/{IdentityPoolId}/examination",
            changes=False,
        ),
        Operation(
            "ExamineServer",
            ExamineServerRequest,
            ExamineServerResponse,
            _ERRORS[:-1],  # there is no pool that could be missing
            Callers.DEVELOPER,
            "POST",
            "/examination",
            changes=False,
        ),
        Operation(
            "GetIdentityPoolDetails",
            GetIdentityPoolDetailsRequest,
            GetIdentityPoolDetailsResponse,
            _ERRORS,
            Callers.DEVELOPER,
            "GET",
            "/identitypools/{IdentityPoolId}/details",
            changes=False,
        ),
    ),
    constraint_error=cognito_sync.API.constraint_error,
)
