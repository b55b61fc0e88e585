"""
Streaming: operations of Millpond's own that say more of a pool's stream, and of a bulk
publish while it runs, than those of Amazon Cognito Sync.

They are signed as those are, for the service `cognito-sync`, and routed among them.
They are an API by themselves because theirs is published as AWS has it:
GetBulkPublishDetails answers what it does there and no more.

Source: ours.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from millpond.contract import cognito_sync
from millpond.contract.cognito_sync import (
    BulkPublishStatus,
    IdentityPoolId,
    StreamingStatus,
    StreamName,
)
from millpond.contract.shapes import (
    Api,
    Callers,
    Double,
    InPath,
    Integer,
    Long,
    Operation,
    Shape,
    String,
    Timestamp,
    about,
)
from millpond.errors import (
    InternalErrorException,
    InvalidParameterException,
    NotAuthorizedException,
    ResourceNotFoundException,
)

SliceStatus = Annotated[
    Literal["WAITING", "LEASED", "DONE", "STOPPED"],
    Meta(
        title="SliceStatus",
        description="WAITING: no worker holds the slice, because its turn has not come "
        "or its worker has gone away. LEASED: a worker publishes it. DONE: all of it "
        "has reached the stream. STOPPED: the run has failed; the next one publishes "
        "everything again.",
    ),
]

_pool = Annotated[IdentityPoolId, InPath("IdentityPoolId")]
_datasets = Annotated[
    Long, about("Datasets that have reached the stream and are checkpointed.")
]
_records = Annotated[Long, about("Live records of these datasets.")]
_bytes = Annotated[Long, about("Bytes of these records, as the JSON that was sent.")]


class SliceProgress(Shape, kw_only=True):
    """How far one slice of a run has got."""

    slice_number: Annotated[
        Integer, about("Counted from 1, as a FailureMessage counts slices.")
    ]
    slice_status: SliceStatus
    datasets_delivered: _datasets
    records_delivered: _records
    bytes_delivered: _bytes


SliceProgressList = Annotated[
    list[SliceProgress],
    Meta(
        title="SliceProgressList",
        description="The slices that the run is cut into, by number.",
    ),
]


class GetBulkPublishProgressRequest(Shape, kw_only=True):
    """
    Tell how far the last bulk publish of an identity pool has got, and how fast.

    What is delivered is what the stream has acknowledged and a checkpoint holds. It
    never goes back while a run lasts; after a restart the run goes on from there.
    """

    identity_pool_id: _pool


class GetBulkPublishProgressResponse(Shape, kw_only=True):
    """The progress of the run; NOT_STARTED has the pool and the status alone."""

    identity_pool_id: IdentityPoolId
    bulk_publish_status: BulkPublishStatus
    stream_name: (
        Annotated[StreamName, about("The stream that the run publishes to.")] | None
    ) = None
    bulk_publish_start_time: (
        Annotated[Timestamp, about("When the run started.")] | None
    ) = None
    bulk_publish_complete_time: (
        Annotated[Timestamp, about("When the run succeeded.")] | None
    ) = None
    failure_message: Annotated[String, about("Why the run failed.")] | None = None
    datasets_delivered: _datasets | None = None
    records_delivered: _records | None = None
    bytes_delivered: _bytes | None = None
    dataset_count: (
        Annotated[
            Long,
            about("Live datasets of the pool, counted in the last 30 seconds."),
        ]
        | None
    ) = None
    records_per_second: (
        Annotated[
            Double,
            about(
                "How fast the run goes: what was delivered in the last two minutes, or "
                "since it started or the server was first asked, when that was later. "
                "Absent unless IN_PROGRESS, and at the first answer after a longer "
                "silence or a restart."
            ),
        ]
        | None
    ) = None
    seconds_remaining: (
        Annotated[
            Long,
            about(
                "In how many seconds the run may be done, if it goes on as it does. "
                "Absent unless IN_PROGRESS, and when the run stands still."
            ),
        ]
        | None
    ) = None
    slices: SliceProgressList | None = None


class GetStreamDetailsRequest(Shape, kw_only=True):
    """Tell how the stream of an identity pool fares, and what waits for it."""

    identity_pool_id: _pool


class GetStreamDetailsResponse(Shape, kw_only=True):
    """The stream of the pool and its outbox."""

    identity_pool_id: IdentityPoolId
    stream_name: StreamName | None = None
    streaming_status: StreamingStatus | None = None
    sink_scheme: (
        Annotated[
            String,
            about(
                "What is behind the stream: the scheme of its URL in the setting "
                "`streams`, such as `kinesis` or `nats`; `embedded` without an entry. "
                "The rest of the URL is not shown."
            ),
        ]
        | None
    ) = None
    outbox_entry_count: Annotated[
        Long, about("Changes in the outbox that wait for the stream.")
    ]
    parked_entry_count: Annotated[
        Long,
        about("Changes that the stream refuses for good and that were put aside."),
    ]
    oldest_entry_age_seconds: (
        Annotated[
            Long,
            about("For how many seconds the oldest change has waited, if one waits."),
        ]
        | None
    ) = None
    disabled_reason: (
        Annotated[
            String,
            about(
                "Why the server has switched streaming off by itself. Absent when it "
                "has not, and once the stream is configured anew."
            ),
        ]
        | None
    ) = None
    disabled_date: Annotated[Timestamp, about("When it has.")] | None = None


_ERRORS: Final = (
    InternalErrorException,
    InvalidParameterException,
    NotAuthorizedException,
    ResourceNotFoundException,
)

API: Final = Api(
    name=cognito_sync.API.name,
    title="Streaming",
    version=cognito_sync.API.version,
    protocol="rest-json",
    operations=(
        Operation(
            "GetBulkPublishProgress",
            GetBulkPublishProgressRequest,
            GetBulkPublishProgressResponse,
            _ERRORS,
            Callers.DEVELOPER,
            "GET",
            "/identitypools/{IdentityPoolId}/bulkPublishProgress",
            changes=False,
        ),
        Operation(
            "GetStreamDetails",
            GetStreamDetailsRequest,
            GetStreamDetailsResponse,
            _ERRORS,
            Callers.DEVELOPER,
            "GET",
            "/identitypools/{IdentityPoolId}/stream",
            changes=False,
        ),
    ),
    constraint_error=cognito_sync.API.constraint_error,
)
