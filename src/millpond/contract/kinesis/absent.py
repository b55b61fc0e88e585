"""
Shapes of the Kinesis API: what an embedded stream has not, refused in so many words.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from millpond.contract.kinesis.values import (
    EncryptionType,
    HashKey,
    KeyId,
    MetricsNameList,
    Policy,
    PositiveIntegerObject,
    ResourceARN,
    ScalingType,
    ShardId,
    StreamARN,
    StreamName,
)
from millpond.contract.shapes import Shape, about


class SplitShardRequest(Shape, kw_only=True):
    """Not available: it is refused. The shards of an embedded stream stay."""

    stream_name: StreamName | None = None
    shard_to_split: ShardId
    new_starting_hash_key: HashKey
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class MergeShardsRequest(Shape, kw_only=True):
    """Not available: it is refused. The shards of an embedded stream stay."""

    stream_name: StreamName | None = None
    shard_to_merge: ShardId
    adjacent_shard_to_merge: ShardId
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class UpdateShardCountRequest(Shape, kw_only=True):
    """
    Not available: the number that there is is answered as done, another is refused.

    The shards of an embedded stream stay as they are for as long as it lives.
    """

    stream_name: StreamName | None = None
    target_shard_count: Annotated[PositiveIntegerObject, about("Number of shards.")]
    scaling_type: ScalingType
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class UpdateShardCountResponse(Shape, kw_only=True):
    """The number of shards."""

    stream_name: StreamName | None = None
    current_shard_count: PositiveIntegerObject | None = None
    target_shard_count: PositiveIntegerObject | None = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class StartStreamEncryptionRequest(Shape, kw_only=True):
    """Not available: it is refused. There is no KMS; encrypt the disk instead."""

    stream_name: StreamName | None = None
    encryption_type: EncryptionType
    key_id: KeyId
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class StopStreamEncryptionRequest(Shape, kw_only=True):
    """Answered as done: no embedded stream is encrypted by a key of KMS."""

    stream_name: StreamName | None = None
    encryption_type: EncryptionType
    key_id: KeyId
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class EnableEnhancedMonitoringRequest(Shape, kw_only=True):
    """Not available: it is refused. There is no CloudWatch; see `/metrics`."""

    stream_name: StreamName | None = None
    shard_level_metrics: MetricsNameList
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class DisableEnhancedMonitoringRequest(Shape, kw_only=True):
    """Answered as done: no metrics are kept for a shard."""

    stream_name: StreamName | None = None
    shard_level_metrics: MetricsNameList
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class EnhancedMonitoringResponse(Shape, kw_only=True):
    """The metrics that are kept for every shard."""

    stream_name: StreamName | None = None
    current_shard_level_metrics: Annotated[MetricsNameList, about("Always empty here.")]
    desired_shard_level_metrics: Annotated[MetricsNameList, about("Always empty here.")]
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class PutResourcePolicyRequest(Shape, kw_only=True):
    """Not available: it is refused. Who may call is what the reference pages say."""

    resource_arn: ResourceARN = msgspec.field(name="ResourceARN")
    policy: Policy


class GetResourcePolicyRequest(Shape, kw_only=True):
    """Tell the policy of a stream or of a consumer: an empty one."""

    resource_arn: ResourceARN = msgspec.field(name="ResourceARN")


class GetResourcePolicyResponse(Shape, kw_only=True):
    """The policy."""

    policy: Policy


class DeleteResourcePolicyRequest(Shape, kw_only=True):
    """Refused as not found: no stream and no consumer has a policy."""

    resource_arn: ResourceARN = msgspec.field(name="ResourceARN")
