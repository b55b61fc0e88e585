"""
What an embedded stream has not: resharding, keys of KMS, metrics of shards, policies.

A request is refused in so many words, after what it names was found. What asks for the
state that there is anyway is answered as done, so that tools which make sure of it can
go on.
"""

from __future__ import annotations

from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.errors import InvalidArgumentException, ResourceNotFoundException
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import (
    get_resource,
    get_stream,
    shard_not_found,
    spell_arn,
)
from millpond.stores.base import Stream


async def split_shard(
    context: Context, caller: Caller, request: contract.SplitShardRequest
) -> None:
    """Refuse to split a shard."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    _check_shards(context, stream, request.shard_to_split)
    raise _resharding("SplitShard", stream)


async def merge_shards(
    context: Context, caller: Caller, request: contract.MergeShardsRequest
) -> None:
    """Refuse to merge shards."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    _check_shards(
        context, stream, request.shard_to_merge, request.adjacent_shard_to_merge
    )
    raise _resharding("MergeShards", stream)


async def update_shard_count(
    context: Context, caller: Caller, request: contract.UpdateShardCountRequest
) -> contract.UpdateShardCountResponse:
    """Take the number of shards that there is, and refuse any other."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    if request.target_shard_count != stream.shard_count:
        raise _resharding("UpdateShardCount", stream)
    return contract.UpdateShardCountResponse(
        stream_name=stream.stream_name,
        current_shard_count=stream.shard_count,
        target_shard_count=stream.shard_count,
        stream_arn=spell_arn(context.settings, stream.stream_name),
    )


def _check_shards(context: Context, stream: Stream, *shard_ids: str) -> None:
    for shard_id in shard_ids:
        if shards.parse_shard_id(shard_id, stream.shard_count) is None:
            raise shard_not_found(context, stream, shard_id)


def _resharding(operation: str, stream: Stream) -> InvalidArgumentException:
    return InvalidArgumentException(
        f"{operation} is not available: stream {stream.stream_name} keeps the "
        f"{stream.shard_count} shards that it was created with, and has no limit of "
        "throughput. For another number of readers create another stream."
    )


async def start_stream_encryption(
    context: Context, caller: Caller, request: contract.StartStreamEncryptionRequest
) -> None:
    """Refuse to encrypt a stream."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    raise InvalidArgumentException(
        f"StartStreamEncryption is not available: stream {stream.stream_name} cannot "
        "use a key of KMS. Encrypt the disk or the database that it is on."
    )


async def stop_stream_encryption(
    context: Context, caller: Caller, request: contract.StopStreamEncryptionRequest
) -> None:
    """Answer as done: no stream is encrypted."""
    await get_stream(context, request.stream_name, request.stream_arn)


async def enable_enhanced_monitoring(
    context: Context, caller: Caller, request: contract.EnableEnhancedMonitoringRequest
) -> contract.EnhancedMonitoringResponse:
    """Refuse to keep metrics of shards."""
    await get_stream(context, request.stream_name, request.stream_arn)
    raise InvalidArgumentException(
        "EnableEnhancedMonitoring is not available: no metrics are kept of a shard. "
        "The server's are at /metrics."
    )


async def disable_enhanced_monitoring(
    context: Context, caller: Caller, request: contract.DisableEnhancedMonitoringRequest
) -> contract.EnhancedMonitoringResponse:
    """Answer as done: no metrics are kept."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    return contract.EnhancedMonitoringResponse(
        stream_name=stream.stream_name,
        current_shard_level_metrics=[],
        desired_shard_level_metrics=[],
        stream_arn=spell_arn(context.settings, stream.stream_name),
    )


async def put_resource_policy(
    context: Context, caller: Caller, request: contract.PutResourcePolicyRequest
) -> None:
    """Refuse a policy: it would keep nobody out."""
    await get_resource(context, request.resource_arn)
    raise InvalidArgumentException(
        "PutResourcePolicy is not available: developers' keys may call every operation "
        "of a stream, and nobody else may."
    )


async def get_resource_policy(
    context: Context, caller: Caller, request: contract.GetResourcePolicyRequest
) -> contract.GetResourcePolicyResponse:
    """Tell the policy that nothing has."""
    await get_resource(context, request.resource_arn)
    return contract.GetResourcePolicyResponse(policy="{}")


async def delete_resource_policy(
    context: Context, caller: Caller, request: contract.DeleteResourcePolicyRequest
) -> None:
    """Say that there is none to delete."""
    await get_resource(context, request.resource_arn)
    raise ResourceNotFoundException(
        f"No resource policy found for resource ARN {request.resource_arn}."
    )
