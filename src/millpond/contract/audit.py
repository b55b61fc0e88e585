"""
The audit: an operation of Millpond's own that lists who changed what.

It is signed and routed as those of Amazon Cognito Sync. Source: ours.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from millpond.contract import cognito_sync, streaming
from millpond.contract.cognito_sync import DatasetName, IdentityId, IdentityPoolId
from millpond.contract.shapes import (
    Api,
    InQuery,
    Integer,
    Long,
    OnePool,
    Operation,
    Shape,
    String,
    Timestamp,
    about,
    text,
)
from millpond.errors import ResourceNotFoundException

PAGE_MAX: Final = 1000
_NAME_CHARS_MAX: Final = 256
NextToken = Annotated[str, text("NextToken", "Where the next page begins.")]
AccessKeyId = Annotated[
    str,
    text(
        "AccessKeyId",
        "The id of a developer key.",
        length=(1, _NAME_CHARS_MAX),
    ),
]
OperationName = Annotated[
    str,
    text(
        "OperationName",
        "The name of an operation, such as UpdateRecords, or of an action that is "
        "none, such as CreateDeveloperKey.",
        length=(1, _NAME_CHARS_MAX),
    ),
]


class AuditEntry(Shape, kw_only=True):
    """Who changed what; it may stand for several changes of one kind."""

    entry_id: String
    date: Timestamp
    last_date: Annotated[
        Timestamp, about("When the last change was made that it stands for.")
    ]
    change_count: Annotated[Long, about("For how many changes it stands.")]
    origin: Annotated[String, about("`API`, `console` or `command line`.")]
    access_key_id: AccessKeyId | None = None
    caller_name: (
        Annotated[
            String,
            about("The name of the key, or of the user who gave a command."),
        ]
        | None
    ) = None
    operation_name: OperationName
    identity_pool_id: IdentityPoolId | None = None
    identity_id: IdentityId | None = None
    dataset_name: DatasetName | None = None
    target: Annotated[String, about("What else was changed.")] | None = None
    address: Annotated[String, about("Of the client.")] | None = None
    user_agent: Annotated[String, about("What the client calls itself.")] | None = None
    request_id: Annotated[String, about("As in the log.")] | None = None
    result: Annotated[String, about("`OK`, or the code of the error.")]


AuditEntries = Annotated[
    list[AuditEntry], Meta(title="AuditEntries", description="The newest first.")
]


class ListAuditEntriesRequest(Shape, kw_only=True):
    """
    List what was changed with developer keys, in the console and by commands.

    A key of one identity pool is shown the changes of its pool.
    """

    # Not `identity_pool_id`, by which a key of one pool would be refused.
    pool_id: Annotated[IdentityPoolId | None, InQuery("identityPoolId")] = None
    entry_identity_id: Annotated[IdentityId | None, InQuery("identityId")] = None
    access_key_id: Annotated[AccessKeyId | None, InQuery("accessKeyId")] = None
    operation_name: Annotated[OperationName | None, InQuery("operationName")] = None
    start_date: (
        Annotated[Timestamp, InQuery("startDate"), about("At this time or later.")]
        | None
    ) = None
    end_date: (
        Annotated[Timestamp, InQuery("endDate"), about("Before this time.")] | None
    ) = None
    next_token: Annotated[NextToken | None, InQuery("nextToken")] = None
    max_results: (
        Annotated[
            Integer,
            InQuery("maxResults"),
            about(f"Entries of a page, 1 to {PAGE_MAX}; 50 if it is absent."),
        ]
        | None
    ) = None


class ListAuditEntriesResponse(Shape, kw_only=True):
    """A page of the audit."""

    entries: AuditEntries
    next_token: NextToken | None = None


API: Final = Api(
    name=cognito_sync.API.name,
    title="Audit",
    version=cognito_sync.API.version,
    protocol="rest-json",
    operations=(
        Operation(
            "ListAuditEntries",
            ListAuditEntriesRequest,
            ListAuditEntriesResponse,
            tuple(
                each
                for each in streaming.API.by_name["GetStreamDetails"].errors
                if each is not ResourceNotFoundException
            ),
            method="GET",
            uri="/audit",
            changes=False,
            one_pool=OnePool.OWN,
        ),
    ),
    constraint_error=cognito_sync.API.constraint_error,
)
