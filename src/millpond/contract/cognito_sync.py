"""
Amazon Cognito Sync, 2014-06-30: the 17 operations and their shapes.

Source: names, locations, constraints and error lists are those of the API's model; who
may call is `rulings` 13 (developer credentials, the credentials of an identity, or
either). The texts are ours.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from millpond import limits
from millpond.contract.shapes import (
    Api,
    Boolean,
    Callers,
    InHeader,
    InPath,
    InQuery,
    Integer,
    Long,
    OnePool,
    Operation,
    Sensitive,
    Shape,
    String,
    Timestamp,
    about,
    text,
)
from millpond.errors import (
    AlreadyStreamedException,
    ConcurrentModificationException,
    DuplicateRequestException,
    InternalErrorException,
    InvalidConfigurationException,
    InvalidLambdaFunctionOutputException,
    InvalidParameterException,
    LambdaThrottledException,
    LimitExceededException,
    NotAuthorizedException,
    ResourceConflictException,
    ResourceNotFoundException,
    TooManyRequestsException,
)

# --- Strings and numbers ------------------------------------------------------------

IdentityPoolId = Annotated[
    str,
    text(
        "IdentityPoolId",
        "The id of an identity pool: a region, a colon and a GUID, for example "
        "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f.",
        length=(1, limits.ID_CHARS_MAX),
        pattern=r"[\w-]+:[0-9a-f-]+",
        example="us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f",
    ),
]
IdentityId = Annotated[
    str,
    text(
        "IdentityId",
        "The id of an identity, one end user of the pool: a region, a colon and a "
        "GUID.",
        length=(1, limits.ID_CHARS_MAX),
        pattern=r"[\w-]+:[0-9a-f-]+",
        example="us-east-1:1f0a9c3e-5b7d-4c2a-8e6f-0d1c2b3a4f5e",
    ),
]
DatasetName = Annotated[
    str,
    text(
        "DatasetName",
        "The name of a dataset: 1 to 128 letters, digits, '_', '-', '.' and ':'.",
        length=(1, limits.DATASET_NAME_CHARS_MAX),
        pattern=r"[a-zA-Z0-9_.:-]+",
        example="preferences",
    ),
]
RecordKey = Annotated[
    str,
    text(
        "RecordKey",
        "The key of a record, unique in its dataset.",
        length=(1, limits.RECORD_KEY_CHARS_MAX),
        example="theme",
    ),
]
RecordValue = Annotated[
    str,
    text(
        "RecordValue",
        "The value of a record. A record without one has been removed.",
        length=(None, limits.RECORD_VALUE_CHARS_MAX),
        example="dark",
    ),
    Sensitive,
]
DeviceId = Annotated[
    str,
    text(
        "DeviceId",
        "The id that RegisterDevice gave to a device.",
        length=(1, limits.DEVICE_ID_CHARS_MAX),
    ),
]
StreamName = Annotated[
    str,
    text(
        "StreamName",
        "The name of the stream that receives the changes of the pool.",
        length=(1, limits.STREAM_NAME_CHARS_MAX),
        example="changes",
    ),
]
AssumeRoleArn = Annotated[
    str,
    text(
        "AssumeRoleArn",
        "The ARN of the role to assume when the target wants one.",
        length=(limits.ARN_CHARS_MIN, limits.ARN_CHARS_MAX),
        pattern=r"arn:aws:iam::\d+:role/.*",
        example="arn:aws:iam::123456789012:role/publisher",
    ),
]
ApplicationArn = Annotated[
    str,
    text(
        "ApplicationArn",
        "The ARN of a push application.",
        pattern=r"arn:aws:sns:[-0-9a-z]+:\d+:app/[A-Z_]+/[a-zA-Z0-9_.-]+",
    ),
]
SyncSessionToken = Annotated[
    str,
    text(
        "SyncSessionToken",
        "The token of a sync session: it binds an update to the listing before it.",
    ),
    Sensitive,
]
PushToken = Annotated[
    str, text("PushToken", "The token that the push service gave out."), Sensitive
]
ClientContext = Annotated[str, text("ClientContext", "Opaque; kept for old clients.")]
CognitoEventType = Annotated[
    str, text("CognitoEventType", "The type of an event: SyncTrigger.")
]
LambdaFunctionArn = Annotated[
    str, text("LambdaFunctionArn", "What to call: a function's ARN or a URL.")
]
IntegerString = Annotated[int, Meta(title="IntegerString", ge=-(2**31), le=2**31 - 1)]
PatchOperation = Annotated[
    Literal["replace", "remove"],
    Meta(title="Operation", description="What to do: replace or remove."),
]
Platform = Annotated[
    Literal["APNS", "APNS_SANDBOX", "GCM", "ADM"],
    Meta(title="Platform", description="The push service of the device."),
]
StreamingStatus = Annotated[
    Literal["ENABLED", "DISABLED"],
    Meta(
        title="StreamingStatus",
        description="ENABLED: changes go to the stream. DISABLED: they do not, and a "
        "bulk publish is refused.",
    ),
]
BulkPublishStatus = Annotated[
    Literal["NOT_STARTED", "IN_PROGRESS", "FAILED", "SUCCEEDED"],
    Meta(
        title="BulkPublishStatus",
        description="How the last bulk publish went. NOT_STARTED: none was ever asked "
        "for. IN_PROGRESS: data is on its way to the stream. SUCCEEDED: all data of "
        "the pool has reached the stream. FAILED: part of it has not; FailureMessage "
        "says why.",
    ),
]

_pool = Annotated[IdentityPoolId, InPath("IdentityPoolId")]
_identity = Annotated[IdentityId, InPath("IdentityId")]
_dataset = Annotated[DatasetName, InPath("DatasetName")]
_device = Annotated[DeviceId, InPath("DeviceId")]
_next_token = Annotated[
    String,
    about("Where to go on: the NextToken of the answer before."),
    InQuery("nextToken"),
]
_max_results = Annotated[
    IntegerString, about("How many items to answer at most."), InQuery("maxResults")
]
_more = Annotated[String, about("Present when there is more: ask again with it.")]

# --- Structures ---------------------------------------------------------------------


class Record(Shape, kw_only=True):
    """One record of a dataset; a removed one has no Value."""

    key: RecordKey
    value: RecordValue | None = None
    sync_count: Annotated[Long, about("The count at which the record last changed.")]
    last_modified_date: Annotated[
        Timestamp, about("When the server last took a change of the record.")
    ]
    last_modified_by: Annotated[
        String, about("Who made that change: a device, an identity or an account.")
    ]
    device_last_modified_date: (
        Annotated[Timestamp, about("The device's own time of that change.")] | None
    ) = None


class RecordPatch(Shape, kw_only=True):
    """One requested change of a record."""

    op: PatchOperation
    key: RecordKey
    value: RecordValue | None = None
    sync_count: Annotated[
        Long,
        about("The sync count of the record as the caller knows it; 0 for a new one."),
    ]
    device_last_modified_date: (
        Annotated[Timestamp, about("The device's own time of the change.")] | None
    ) = None


class Dataset(Shape, kw_only=True):
    """What is known about a dataset, without its records."""

    identity_id: IdentityId
    dataset_name: DatasetName
    creation_date: Annotated[Timestamp, about("When the dataset was created.")]
    last_modified_date: Annotated[Timestamp, about("When it last changed.")]
    last_modified_by: Annotated[
        String, about("Who changed it last: a device, an identity or an account.")
    ]
    data_storage: Annotated[
        Long, about("Bytes held: UTF-8 lengths of the live keys and values.")
    ]
    num_records: Annotated[Long, about("Number of live records.")]


class IdentityUsage(Shape, kw_only=True):
    """How much one identity holds."""

    identity_id: IdentityId
    identity_pool_id: IdentityPoolId
    last_modified_date: (
        Annotated[Timestamp, about("When data of the identity last changed.")] | None
    ) = None
    dataset_count: Annotated[Integer, about("Number of datasets.")]
    data_storage: Annotated[Long, about("Bytes held in all its datasets.")]


class IdentityPoolUsage(Shape, kw_only=True):
    """How much one identity pool holds."""

    identity_pool_id: IdentityPoolId
    sync_sessions_count: Annotated[
        Long, about("Number of sync sessions since the pool was created.")
    ]
    data_storage: Annotated[Long, about("Bytes held by all its identities.")]
    last_modified_date: (
        Annotated[Timestamp, about("When data in the pool last changed.")] | None
    ) = None


class PushSync(Shape, kw_only=True):
    """Where the devices of a pool get their push notifications from."""

    application_arns: (
        Annotated[
            list[ApplicationArn],
            Meta(title="ApplicationArnList"),
            about("The ARNs of the push applications, one for a platform."),
        ]
        | None
    ) = None
    role_arn: AssumeRoleArn | None = None


class CognitoStreams(Shape, kw_only=True):
    """The stream of a pool and its switch."""

    stream_name: StreamName | None = None
    role_arn: AssumeRoleArn | None = None
    streaming_status: StreamingStatus | None = None


RecordList = Annotated[list[Record], Meta(title="RecordList")]
RecordPatchList = Annotated[
    list[RecordPatch],
    Meta(
        title="RecordPatchList",
        description="The changes to make, all of them or none. A key may stand in it "
        "once. At most record_patches_max, a setting: 8192 unless it says otherwise.",
    ),
]
DatasetList = Annotated[list[Dataset], Meta(title="DatasetList")]
IdentityPoolUsageList = Annotated[
    list[IdentityPoolUsage], Meta(title="IdentityPoolUsageList")
]
MergedDatasetNameList = Annotated[list[String], Meta(title="MergedDatasetNameList")]
Events = Annotated[
    dict[CognitoEventType, LambdaFunctionArn],
    Meta(
        title="Events",
        description="Event types and what to call for them. An empty target removes "
        "the entry.",
        max_length=limits.COGNITO_EVENTS_MAX,
    ),
]

# --- Requests and responses ---------------------------------------------------------


class BulkPublishRequest(Shape, kw_only=True):
    """
    Publish all data of an identity pool to its stream.

    The run goes on after the answer; GetBulkPublishDetails tells how it fares. One run
    can be in progress at a time, and after one has succeeded the next can start 24
    hours later. What the stream receives may repeat what live updates have sent.
    """

    identity_pool_id: _pool


class BulkPublishResponse(Shape, kw_only=True):
    """The pool that is being published."""

    identity_pool_id: IdentityPoolId


class DeleteDatasetRequest(Shape, kw_only=True):
    """
    Delete a dataset for good, with all its records.

    Devices that sync it later learn of the deletion. The name can be used again; its
    sync count then goes on above the old one.
    """

    identity_pool_id: _pool
    identity_id: _identity
    dataset_name: _dataset


class DeleteDatasetResponse(Shape, kw_only=True):
    """The dataset as it was."""

    dataset: Dataset


class DescribeDatasetRequest(Shape, kw_only=True):
    """Tell what is known about a dataset: its dates, its size, who changed it."""

    identity_pool_id: _pool
    identity_id: _identity
    dataset_name: _dataset


class DescribeDatasetResponse(Shape, kw_only=True):
    """The dataset."""

    dataset: Dataset


class DescribeIdentityPoolUsageRequest(Shape, kw_only=True):
    """Tell how much data an identity pool holds and how often it is synced."""

    identity_pool_id: _pool


class DescribeIdentityPoolUsageResponse(Shape, kw_only=True):
    """The usage of the pool."""

    identity_pool_usage: IdentityPoolUsage


class DescribeIdentityUsageRequest(Shape, kw_only=True):
    """Tell how many datasets and bytes an identity holds."""

    identity_pool_id: _pool
    identity_id: _identity


class DescribeIdentityUsageResponse(Shape, kw_only=True):
    """The usage of the identity."""

    identity_usage: IdentityUsage


class GetBulkPublishDetailsRequest(Shape, kw_only=True):
    """Tell how the last bulk publish of an identity pool went, or is going."""

    identity_pool_id: _pool


class GetBulkPublishDetailsResponse(Shape, kw_only=True):
    """The last bulk publish of the pool."""

    identity_pool_id: IdentityPoolId
    bulk_publish_start_time: (
        Annotated[Timestamp, about("When the last bulk publish was asked for.")] | None
    ) = None
    bulk_publish_complete_time: (
        Annotated[Timestamp, about("When it completed; present when it has SUCCEEDED.")]
        | None
    ) = None
    bulk_publish_status: BulkPublishStatus
    failure_message: (
        Annotated[
            String,
            about("What went wrong, where and how far it got; present when FAILED."),
        ]
        | None
    ) = None


class GetCognitoEventsRequest(Shape, kw_only=True):
    """Tell what is called for the events of an identity pool."""

    identity_pool_id: _pool


class GetCognitoEventsResponse(Shape, kw_only=True):
    """The events of the pool."""

    events: Events


class GetIdentityPoolConfigurationRequest(Shape, kw_only=True):
    """Tell how push and the stream of an identity pool are set up."""

    identity_pool_id: _pool


class GetIdentityPoolConfigurationResponse(Shape, kw_only=True):
    """The configuration; a part that was never set is absent."""

    identity_pool_id: IdentityPoolId
    push_sync: PushSync | None = None
    cognito_streams: CognitoStreams | None = None


class ListDatasetsRequest(Shape, kw_only=True):
    """List the datasets of an identity, by name."""

    identity_pool_id: _pool
    identity_id: _identity
    next_token: _next_token | None = None
    max_results: _max_results | None = None


class ListDatasetsResponse(Shape, kw_only=True):
    """A page of datasets."""

    datasets: DatasetList
    count: Annotated[Integer, about("Number of datasets in this answer.")]
    next_token: _more | None = None


class ListIdentityPoolUsageRequest(Shape, kw_only=True):
    """List the identity pools with how much each of them holds."""

    next_token: _next_token | None = None
    max_results: _max_results | None = None


class ListIdentityPoolUsageResponse(Shape, kw_only=True):
    """A page of pools."""

    identity_pool_usages: IdentityPoolUsageList
    max_results: Annotated[Integer, about("The size of page that was used.")]
    count: Annotated[Integer, about("Number of pools in this answer.")]
    next_token: _more | None = None


class ListRecordsRequest(Shape, kw_only=True):
    """
    List the records of a dataset that changed after a sync count.

    Removed records are listed too, without a value. A dataset that does not exist is
    answered as such, not refused. The SyncSessionToken of the answer is needed to
    update the dataset.
    """

    identity_pool_id: _pool
    identity_id: _identity
    dataset_name: _dataset
    last_sync_count: (
        Annotated[
            Long,
            about("List what changed after this sync count; 0 lists everything."),
            InQuery("lastSyncCount"),
        ]
        | None
    ) = None
    next_token: _next_token | None = None
    max_results: _max_results | None = None
    sync_session_token: (
        Annotated[SyncSessionToken, InQuery("syncSessionToken")] | None
    ) = None


class ListRecordsResponse(Shape, kw_only=True):
    """A page of records, and the state of the dataset."""

    records: RecordList
    next_token: _more | None = None
    count: Annotated[Integer, about("Number of records in this answer.")]
    dataset_sync_count: Annotated[
        Long, about("The sync count of the dataset; 0 when it does not exist.")
    ]
    last_modified_by: Annotated[String, about("Who changed it last.")] | None = None
    merged_dataset_names: (
        Annotated[
            MergedDatasetNameList,
            about("Copies left over from merging identities, until they are deleted."),
        ]
        | None
    ) = None
    dataset_exists: Annotated[Boolean, about("Whether the dataset exists.")]
    dataset_deleted_after_requested_sync_count: Annotated[
        Boolean,
        about("Whether it was deleted after the sync count that the caller knows."),
    ]
    sync_session_token: Annotated[String, about("The token that UpdateRecords needs.")]


class RegisterDeviceRequest(Shape, kw_only=True):
    """Register a device for push notifications of changes."""

    identity_pool_id: _pool
    identity_id: _identity
    platform: Platform
    token: Annotated[PushToken, about("The token that the platform gave the device.")]


class RegisterDeviceResponse(Shape, kw_only=True):
    """The id of the device."""

    device_id: DeviceId


class SetCognitoEventsRequest(Shape, kw_only=True):
    """
    Set what is called for the events of an identity pool.

    Only the types named in the request change; an empty target removes one.
    """

    identity_pool_id: _pool
    events: Events


class SetIdentityPoolConfigurationRequest(Shape, kw_only=True):
    """
    Set up push and the stream of an identity pool.

    What the request leaves out stays as it is.
    """

    identity_pool_id: _pool
    push_sync: PushSync | None = None
    cognito_streams: CognitoStreams | None = None


class SetIdentityPoolConfigurationResponse(Shape, kw_only=True):
    """The configuration as it is now."""

    identity_pool_id: IdentityPoolId
    push_sync: PushSync | None = None
    cognito_streams: CognitoStreams | None = None


class SubscribeToDatasetRequest(Shape, kw_only=True):
    """Notify a device when another device changes a dataset."""

    identity_pool_id: _pool
    identity_id: _identity
    dataset_name: _dataset
    device_id: _device


class SubscribeToDatasetResponse(Shape):
    """Nothing: the device is subscribed."""


class UnsubscribeFromDatasetRequest(Shape, kw_only=True):
    """Stop notifying a device of changes of a dataset."""

    identity_pool_id: _pool
    identity_id: _identity
    dataset_name: _dataset
    device_id: _device


class UnsubscribeFromDatasetResponse(Shape):
    """Nothing: the device is not subscribed."""


class UpdateRecordsRequest(Shape, kw_only=True):
    """
    Change records of a dataset, all of them or none.

    Each patch names the sync count of the record as the caller knows it. When the
    record has changed since, the whole request is refused with
    ResourceConflictException. The dataset is created when it does not exist.
    """

    identity_pool_id: _pool
    identity_id: _identity
    dataset_name: _dataset
    device_id: DeviceId | None = None
    record_patches: RecordPatchList | None = None
    sync_session_token: Annotated[
        SyncSessionToken, about("The token that ListRecords answered.")
    ]
    client_context: (
        Annotated[ClientContext, InHeader("x-amz-Client-Context")] | None
    ) = None


class UpdateRecordsResponse(Shape, kw_only=True):
    """Every record that the update touched, as it is now."""

    records: RecordList


NEXT_SESSION: Final = "millpond-next-session"
"""As the ClientContext of UpdateRecords: `UpdateRecordsResponseWithSession`, please."""


class UpdateRecordsResponseWithSession(UpdateRecordsResponse, kw_only=True):
    """
    What is answered to who asks for it, beside the published members.

    `sync_session_token` is good for the next update, without a listing. It is there
    only when nobody else wrote since the listing that this update belongs to.
    """

    sync_session_token: str | None = None


# --- The table ----------------------------------------------------------------------

_POOL: Final = "/identitypools/{IdentityPoolId}"
_IDENTITY: Final = f"{_POOL}/identities/{{IdentityId}}"
_DATASET: Final = f"{_IDENTITY}/datasets/{{DatasetName}}"
_SUBSCRIPTION: Final = f"{_DATASET}/subscriptions/{{DeviceId}}"
_COMMON: Final = (
    NotAuthorizedException,
    InvalidParameterException,
    InternalErrorException,
)
_THROTTLED: Final = (*_COMMON, TooManyRequestsException)
_NAMED: Final = (*_THROTTLED, ResourceNotFoundException)
_PUSH: Final = (*_NAMED, InvalidConfigurationException)

API: Final = Api(
    name="cognito-sync",
    title="Amazon Cognito Sync",
    version="2014-06-30",
    protocol="rest-json",
    constraint_error=InvalidParameterException,
    operations=(
        Operation(
            "BulkPublish",
            BulkPublishRequest,
            BulkPublishResponse,
            errors=(
                *_COMMON,
                ResourceNotFoundException,
                DuplicateRequestException,
                AlreadyStreamedException,
            ),
            uri=f"{_POOL}/bulkpublish",
            changes=True,
        ),
        Operation(
            "DeleteDataset",
            DeleteDatasetRequest,
            DeleteDatasetResponse,
            errors=(*_NAMED, ResourceConflictException),
            callers=Callers.EITHER,
            method="DELETE",
            uri=_DATASET,
            changes=True,
        ),
        Operation(
            "DescribeDataset",
            DescribeDatasetRequest,
            DescribeDatasetResponse,
            errors=_NAMED,
            callers=Callers.EITHER,
            method="GET",
            uri=_DATASET,
            changes=False,
        ),
        Operation(
            "DescribeIdentityPoolUsage",
            DescribeIdentityPoolUsageRequest,
            DescribeIdentityPoolUsageResponse,
            errors=_NAMED,
            method="GET",
            uri=_POOL,
            changes=False,
        ),
        Operation(
            "DescribeIdentityUsage",
            DescribeIdentityUsageRequest,
            DescribeIdentityUsageResponse,
            errors=_NAMED,
            callers=Callers.EITHER,
            method="GET",
            uri=_IDENTITY,
            changes=False,
        ),
        Operation(
            "GetBulkPublishDetails",
            GetBulkPublishDetailsRequest,
            GetBulkPublishDetailsResponse,
            errors=(*_COMMON, ResourceNotFoundException),
            uri=f"{_POOL}/getBulkPublishDetails",
            changes=False,
        ),
        Operation(
            "GetCognitoEvents",
            GetCognitoEventsRequest,
            GetCognitoEventsResponse,
            errors=_NAMED,
            method="GET",
            uri=f"{_POOL}/events",
            changes=False,
        ),
        Operation(
            "GetIdentityPoolConfiguration",
            GetIdentityPoolConfigurationRequest,
            GetIdentityPoolConfigurationResponse,
            errors=_NAMED,
            method="GET",
            uri=f"{_POOL}/configuration",
            changes=False,
        ),
        Operation(
            "ListDatasets",
            ListDatasetsRequest,
            ListDatasetsResponse,
            errors=_THROTTLED,
            callers=Callers.EITHER,
            method="GET",
            uri=f"{_IDENTITY}/datasets",
            changes=False,
            also_answers=(ResourceNotFoundException,),
        ),
        Operation(
            "ListIdentityPoolUsage",
            ListIdentityPoolUsageRequest,
            ListIdentityPoolUsageResponse,
            errors=_THROTTLED,
            method="GET",
            uri="/identitypools",
            changes=False,
            one_pool=OnePool.OWN,
        ),
        Operation(
            "ListRecords",
            ListRecordsRequest,
            ListRecordsResponse,
            errors=_THROTTLED,
            callers=Callers.EITHER,
            method="GET",
            uri=f"{_DATASET}/records",
            changes=False,
            also_answers=(ResourceNotFoundException,),
        ),
        Operation(
            "RegisterDevice",
            RegisterDeviceRequest,
            RegisterDeviceResponse,
            errors=_PUSH,
            callers=Callers.USER,
            # AWS: "identity" in the singular, in every SDK
            uri=f"{_POOL}/identity/{{IdentityId}}/device",
            changes=True,
        ),
        Operation(
            "SetCognitoEvents",
            SetCognitoEventsRequest,
            None,
            errors=_NAMED,
            uri=f"{_POOL}/events",
            changes=True,
        ),
        Operation(
            "SetIdentityPoolConfiguration",
            SetIdentityPoolConfigurationRequest,
            SetIdentityPoolConfigurationResponse,
            errors=(*_NAMED, ConcurrentModificationException),
            uri=f"{_POOL}/configuration",
            changes=True,
        ),
        Operation(
            "SubscribeToDataset",
            SubscribeToDatasetRequest,
            SubscribeToDatasetResponse,
            errors=_PUSH,
            callers=Callers.USER,
            uri=_SUBSCRIPTION,
            changes=True,
        ),
        Operation(
            "UnsubscribeFromDataset",
            UnsubscribeFromDatasetRequest,
            UnsubscribeFromDatasetResponse,
            errors=_PUSH,
            callers=Callers.USER,
            method="DELETE",
            uri=_SUBSCRIPTION,
            changes=True,
        ),
        Operation(
            "UpdateRecords",
            UpdateRecordsRequest,
            UpdateRecordsResponse,
            errors=(
                *_NAMED,
                LimitExceededException,
                ResourceConflictException,
                InvalidLambdaFunctionOutputException,
                LambdaThrottledException,
            ),
            callers=Callers.EITHER,
            uri=_DATASET,
            changes=True,
            frequent=True,
        ),
    ),
)
