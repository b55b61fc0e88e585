"""
Live updates: an operation of Millpond's own, beside those of Amazon Cognito Sync.

It is signed as they are, for the service `cognito-sync`, and routed among them. It is
an API by itself because theirs is published as AWS has it: clients, the model for
botocore and the commands of the command line know nothing of this one.

Source: ours. The members of an update are those of a push notification of Amazon
Cognito Sync (developer guide, push sync; PushSyncUpdate of the Android client).
"""

from __future__ import annotations

from typing import Annotated, Final

from millpond import limits
from millpond.contract import cognito_sync
from millpond.contract.cognito_sync import DatasetName, IdentityId, IdentityPoolId
from millpond.contract.shapes import (
    Api,
    Callers,
    InHeader,
    InPath,
    InQuery,
    Long,
    Operation,
    Shape,
    String,
    about,
    text,
)
from millpond.errors import (
    InternalErrorException,
    InvalidParameterException,
    NotAuthorizedException,
    ResourceNotFoundException,
    TooManyRequestsException,
)

EventId = Annotated[
    str,
    text(
        "EventId",
        "The id of the last event that the caller got. Without one, only changes from "
        "now on are told.",
        length=(None, limits.EVENT_ID_CHARS_MAX),
    ),
]


class GetLiveUpdatesRequest(Shape):
    """Listen to the changes of an identity's datasets, as they are made."""

    identity_pool_id: Annotated[IdentityPoolId, InPath("IdentityPoolId")]
    identity_id: Annotated[IdentityId, InPath("IdentityId")]
    last_event_id: Annotated[EventId | None, InQuery("lastEventId")] = None
    reconnect_event_id: Annotated[
        EventId | None,
        InHeader("Last-Event-ID"),
        about("The same, as a browser sends it when it connects again; it wins."),
    ] = None


class LiveUpdate(Shape, rename="camel", kw_only=True):
    """A dataset has changed: records of it, or it was deleted."""

    source: Annotated[String, about("Always `cognito-sync`.")]
    identity_pool_id: IdentityPoolId
    identity_id: IdentityId
    dataset_name: DatasetName
    sync_count: Annotated[Long, about("The sync count of the dataset now.")]


API: Final = Api(
    name=cognito_sync.API.name,
    title="Live updates",
    version=cognito_sync.API.version,
    protocol="rest-json",
    operations=(
        Operation(
            "GetLiveUpdates",
            GetLiveUpdatesRequest,
            LiveUpdate,
            (
                InternalErrorException,
                InvalidParameterException,
                NotAuthorizedException,
                ResourceNotFoundException,
                TooManyRequestsException,
            ),
            Callers.EITHER,
            "GET",
            "/identitypools/{IdentityPoolId}/identities/{IdentityId}/live",
            event_stream=True,
            changes=False,
        ),
    ),
    constraint_error=cognito_sync.API.constraint_error,
)
