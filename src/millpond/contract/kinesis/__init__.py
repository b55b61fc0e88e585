"""
Amazon Kinesis, 2013-12-02: the streams of it, which an embedded stream is one of.

Source: names, constraints and error lists are those of the API's model. Left out are
StreamId, which the API itself reserves, and channels and queues, which are no streams.
Members that we cannot honour are taken and refused by the service, so that nobody
believes they worked. The texts are ours.

`streams`, `records`, `consumers`, `tags`, `management` and `absent` hold the shapes,
`values` what they are made of; here are the table and the structures by name.
"""

from __future__ import annotations

from typing import Final

from millpond import limits
from millpond.contract.kinesis.absent import (
    DeleteResourcePolicyRequest,
    DisableEnhancedMonitoringRequest,
    EnableEnhancedMonitoringRequest,
    EnhancedMonitoringResponse,
    GetResourcePolicyRequest,
    GetResourcePolicyResponse,
    MergeShardsRequest,
    PutResourcePolicyRequest,
    SplitShardRequest,
    StartStreamEncryptionRequest,
    StopStreamEncryptionRequest,
    UpdateShardCountRequest,
    UpdateShardCountResponse,
)
from millpond.contract.kinesis.consumers import (
    Consumer,
    ConsumerDescription,
    DeregisterStreamConsumerRequest,
    DescribeStreamConsumerRequest,
    DescribeStreamConsumerResponse,
    ListStreamConsumersRequest,
    ListStreamConsumersResponse,
    RegisterStreamConsumerRequest,
    RegisterStreamConsumerResponse,
)
from millpond.contract.kinesis.management import (
    DecreaseStreamRetentionPeriodRequest,
    DescribeAccountSettingsRequest,
    DescribeAccountSettingsResponse,
    DescribeLimitsRequest,
    DescribeLimitsResponse,
    IncreaseStreamRetentionPeriodRequest,
    MinimumThroughputBillingCommitmentInput,
    MinimumThroughputBillingCommitmentOutput,
    UpdateAccountSettingsRequest,
    UpdateAccountSettingsResponse,
    UpdateMaxRecordSizeRequest,
    UpdateStreamModeRequest,
    UpdateStreamRecordDistributionStrategyRequest,
    UpdateStreamWarmThroughputRequest,
    UpdateStreamWarmThroughputResponse,
    WarmThroughputObject,
)
from millpond.contract.kinesis.records import (
    GetRecordsRequest,
    GetRecordsResponse,
    GetShardIteratorRequest,
    GetShardIteratorResponse,
    PutRecordRequest,
    PutRecordResponse,
    PutRecordsRequest,
    PutRecordsRequestEntry,
    PutRecordsResponse,
    PutRecordsResultEntry,
    Record,
)
from millpond.contract.kinesis.streams import (
    CreateStreamRequest,
    DeleteStreamRequest,
    DescribeStreamRequest,
    DescribeStreamResponse,
    DescribeStreamSummaryRequest,
    DescribeStreamSummaryResponse,
    EnhancedMetrics,
    HashKeyRange,
    ListShardsRequest,
    ListShardsResponse,
    ListStreamsRequest,
    ListStreamsResponse,
    SequenceNumberRange,
    Shard,
    ShardFilter,
    StreamDescription,
    StreamDescriptionSummary,
    StreamModeDetails,
    StreamSummary,
)
from millpond.contract.kinesis.tags import (
    AddTagsToStreamRequest,
    ListTagsForResourceRequest,
    ListTagsForResourceResponse,
    ListTagsForStreamRequest,
    ListTagsForStreamResponse,
    RemoveTagsFromStreamRequest,
    Tag,
    TagResourceRequest,
    UntagResourceRequest,
)
from millpond.contract.shapes import Api, Operation
from millpond.errors import (
    ExpiredIteratorException,
    ExpiredNextTokenException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)

__all__ = [
    "API",
    "AddTagsToStreamRequest",
    "Consumer",
    "ConsumerDescription",
    "CreateStreamRequest",
    "DecreaseStreamRetentionPeriodRequest",
    "DeleteResourcePolicyRequest",
    "DeleteStreamRequest",
    "DeregisterStreamConsumerRequest",
    "DescribeAccountSettingsRequest",
    "DescribeAccountSettingsResponse",
    "DescribeLimitsRequest",
    "DescribeLimitsResponse",
    "DescribeStreamConsumerRequest",
    "DescribeStreamConsumerResponse",
    "DescribeStreamRequest",
    "DescribeStreamResponse",
    "DescribeStreamSummaryRequest",
    "DescribeStreamSummaryResponse",
    "DisableEnhancedMonitoringRequest",
    "EnableEnhancedMonitoringRequest",
    "EnhancedMetrics",
    "EnhancedMonitoringResponse",
    "GetRecordsRequest",
    "GetRecordsResponse",
    "GetResourcePolicyRequest",
    "GetResourcePolicyResponse",
    "GetShardIteratorRequest",
    "GetShardIteratorResponse",
    "HashKeyRange",
    "IncreaseStreamRetentionPeriodRequest",
    "ListShardsRequest",
    "ListShardsResponse",
    "ListStreamConsumersRequest",
    "ListStreamConsumersResponse",
    "ListStreamsRequest",
    "ListStreamsResponse",
    "ListTagsForResourceRequest",
    "ListTagsForResourceResponse",
    "ListTagsForStreamRequest",
    "ListTagsForStreamResponse",
    "MergeShardsRequest",
    "MinimumThroughputBillingCommitmentInput",
    "MinimumThroughputBillingCommitmentOutput",
    "PutRecordRequest",
    "PutRecordResponse",
    "PutRecordsRequest",
    "PutRecordsRequestEntry",
    "PutRecordsResponse",
    "PutRecordsResultEntry",
    "PutResourcePolicyRequest",
    "Record",
    "RegisterStreamConsumerRequest",
    "RegisterStreamConsumerResponse",
    "RemoveTagsFromStreamRequest",
    "SequenceNumberRange",
    "Shard",
    "ShardFilter",
    "SplitShardRequest",
    "StartStreamEncryptionRequest",
    "StopStreamEncryptionRequest",
    "StreamDescription",
    "StreamDescriptionSummary",
    "StreamModeDetails",
    "StreamSummary",
    "Tag",
    "TagResourceRequest",
    "UntagResourceRequest",
    "UpdateAccountSettingsRequest",
    "UpdateAccountSettingsResponse",
    "UpdateMaxRecordSizeRequest",
    "UpdateShardCountRequest",
    "UpdateShardCountResponse",
    "UpdateStreamModeRequest",
    "UpdateStreamRecordDistributionStrategyRequest",
    "UpdateStreamWarmThroughputRequest",
    "UpdateStreamWarmThroughputResponse",
    "WarmThroughputObject",
]

_NAMED: Final = (ResourceNotFoundException, InvalidArgumentException)

API: Final = Api(
    name="kinesis",
    title="Amazon Kinesis",
    version="2013-12-02",
    protocol="json",
    cbor=True,  # AWS: which its SDKs for Java prefer
    target_prefix="Kinesis_20131202",
    constraint_error=ValidationException,
    request_bytes_max=limits.PUT_RECORDS_REQUEST_BYTES_MAX,
    operations=(
        Operation("AddTagsToStream", AddTagsToStreamRequest, None, errors=_NAMED),
        Operation(
            "CreateStream",
            CreateStreamRequest,
            None,
            errors=(
                ResourceInUseException,
                LimitExceededException,
                InvalidArgumentException,
                ValidationException,
            ),
        ),
        Operation(
            "DecreaseStreamRetentionPeriod",
            DecreaseStreamRetentionPeriodRequest,
            None,
            errors=_NAMED,
        ),
        Operation(
            "DeleteResourcePolicy", DeleteResourcePolicyRequest, None, errors=_NAMED
        ),
        Operation(
            "DeleteStream",
            DeleteStreamRequest,
            None,
            errors=(*_NAMED, ResourceInUseException),
        ),
        Operation(
            "DeregisterStreamConsumer",
            DeregisterStreamConsumerRequest,
            None,
            errors=_NAMED,
        ),
        Operation(
            "DescribeAccountSettings",
            DescribeAccountSettingsRequest,
            DescribeAccountSettingsResponse,
            errors=(),
        ),
        Operation(
            "DescribeLimits", DescribeLimitsRequest, DescribeLimitsResponse, errors=()
        ),
        Operation(
            "DescribeStream",
            DescribeStreamRequest,
            DescribeStreamResponse,
            errors=_NAMED,
        ),
        Operation(
            "DescribeStreamConsumer",
            DescribeStreamConsumerRequest,
            DescribeStreamConsumerResponse,
            errors=_NAMED,
        ),
        Operation(
            "DescribeStreamSummary",
            DescribeStreamSummaryRequest,
            DescribeStreamSummaryResponse,
            errors=_NAMED,
        ),
        Operation(
            "DisableEnhancedMonitoring",
            DisableEnhancedMonitoringRequest,
            EnhancedMonitoringResponse,
            errors=_NAMED,
        ),
        Operation(
            "EnableEnhancedMonitoring",
            EnableEnhancedMonitoringRequest,
            EnhancedMonitoringResponse,
            errors=_NAMED,
        ),
        Operation(
            "GetRecords",
            GetRecordsRequest,
            GetRecordsResponse,
            errors=(*_NAMED, ExpiredIteratorException),
        ),
        Operation(
            "GetResourcePolicy",
            GetResourcePolicyRequest,
            GetResourcePolicyResponse,
            errors=_NAMED,
        ),
        Operation(
            "GetShardIterator",
            GetShardIteratorRequest,
            GetShardIteratorResponse,
            errors=_NAMED,
        ),
        Operation(
            "IncreaseStreamRetentionPeriod",
            IncreaseStreamRetentionPeriodRequest,
            None,
            errors=_NAMED,
        ),
        Operation(
            "ListShards",
            ListShardsRequest,
            ListShardsResponse,
            errors=(*_NAMED, ExpiredNextTokenException),
        ),
        Operation(
            "ListStreamConsumers",
            ListStreamConsumersRequest,
            ListStreamConsumersResponse,
            errors=(*_NAMED, ExpiredNextTokenException),
        ),
        Operation(
            "ListStreams",
            ListStreamsRequest,
            ListStreamsResponse,
            errors=(InvalidArgumentException,),
        ),
        Operation(
            "ListTagsForResource",
            ListTagsForResourceRequest,
            ListTagsForResourceResponse,
            errors=_NAMED,
        ),
        Operation(
            "ListTagsForStream",
            ListTagsForStreamRequest,
            ListTagsForStreamResponse,
            errors=_NAMED,
        ),
        Operation("MergeShards", MergeShardsRequest, None, errors=_NAMED),
        Operation("PutRecord", PutRecordRequest, PutRecordResponse, errors=_NAMED),
        Operation("PutRecords", PutRecordsRequest, PutRecordsResponse, errors=_NAMED),
        Operation("PutResourcePolicy", PutResourcePolicyRequest, None, errors=_NAMED),
        Operation(
            "RegisterStreamConsumer",
            RegisterStreamConsumerRequest,
            RegisterStreamConsumerResponse,
            errors=(*_NAMED, ResourceInUseException, LimitExceededException),
        ),
        Operation(
            "RemoveTagsFromStream", RemoveTagsFromStreamRequest, None, errors=_NAMED
        ),
        Operation("SplitShard", SplitShardRequest, None, errors=_NAMED),
        Operation(
            "StartStreamEncryption", StartStreamEncryptionRequest, None, errors=_NAMED
        ),
        Operation(
            "StopStreamEncryption", StopStreamEncryptionRequest, None, errors=_NAMED
        ),
        Operation("TagResource", TagResourceRequest, None, errors=_NAMED),
        Operation("UntagResource", UntagResourceRequest, None, errors=_NAMED),
        Operation(
            "UpdateAccountSettings",
            UpdateAccountSettingsRequest,
            UpdateAccountSettingsResponse,
            errors=(InvalidArgumentException,),
        ),
        Operation(
            "UpdateMaxRecordSize", UpdateMaxRecordSizeRequest, None, errors=_NAMED
        ),
        Operation(
            "UpdateShardCount",
            UpdateShardCountRequest,
            UpdateShardCountResponse,
            errors=_NAMED,
        ),
        Operation("UpdateStreamMode", UpdateStreamModeRequest, None, errors=_NAMED),
        Operation(
            "UpdateStreamRecordDistributionStrategy",
            UpdateStreamRecordDistributionStrategyRequest,
            None,
            errors=_NAMED,
        ),
        Operation(
            "UpdateStreamWarmThroughput",
            UpdateStreamWarmThroughputRequest,
            UpdateStreamWarmThroughputResponse,
            errors=_NAMED,
        ),
    ),
)
