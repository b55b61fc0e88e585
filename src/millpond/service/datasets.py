"""Datasets: ListDatasets, DescribeDataset, DeleteDataset."""

from __future__ import annotations

from millpond import limits
from millpond.contract.cognito_sync import (
    Dataset,
    DeleteDatasetRequest,
    DeleteDatasetResponse,
    DescribeDatasetRequest,
    DescribeDatasetResponse,
    ListDatasetsRequest,
    ListDatasetsResponse,
)
from millpond.core import streaming, sync
from millpond.core.sync import Changes, DatasetId, DatasetState, Notice, StoredDataset
from millpond.errors import ResourceNotFoundException
from millpond.service.context import Caller, Context
from millpond.service.paging import page_size
from millpond.service.refusals import pool_not_found


async def list_datasets(
    context: Context, caller: Caller, request: ListDatasetsRequest
) -> ListDatasetsResponse:
    """
    List the datasets of an identity by name; one without any has an empty list.

    Without MaxResults everything is in one answer, because the iOS client cannot page.
    """
    names = (request.identity_pool_id, request.identity_id, "ListDatasets")
    after = None
    if request.next_token is not None:
        after = context.pages.read(request.next_token, str, *names)
    limit = page_size(request.max_results, most=limits.PAGE_RECORDS_MAX)
    found = await context.store.list_datasets(
        request.identity_pool_id,
        request.identity_id,
        after=after,
        limit=None if limit is None else limit + 1,
    )
    if found is None:
        raise pool_not_found(request.identity_pool_id)
    next_token = None
    if limit is not None and len(found) > limit:
        del found[limit:]
        next_token = context.pages.seal(found[-1].dataset_name, *names)
    return ListDatasetsResponse(
        datasets=[
            _dataset(request.identity_id, each.dataset_name, each.state)
            for each in found
        ],
        count=len(found),
        next_token=next_token,
    )


async def describe_dataset(
    context: Context, caller: Caller, request: DescribeDatasetRequest
) -> DescribeDatasetResponse:
    """Tell what is known about a dataset."""
    page = await context.store.read_records(_id(request), lambda dataset: None)
    if page is None:
        raise pool_not_found(request.identity_pool_id)
    if page.dataset is None or not page.dataset.exists:
        raise ResourceNotFoundException(f"Dataset '{request.dataset_name}' not found")
    return DescribeDatasetResponse(
        dataset=_dataset(request.identity_id, request.dataset_name, page.dataset)
    )


async def delete_dataset(
    context: Context, caller: Caller, request: DeleteDatasetRequest
) -> DeleteDatasetResponse:
    """Delete a dataset and answer what it was."""
    dataset_id = _id(request)
    now_ms = context.now_ms()
    before: list[DatasetState] = []

    def decide(stored: StoredDataset) -> Changes:
        changes = sync.delete(
            stored.dataset, dataset_name=request.dataset_name, now_ms=now_ms
        )
        assert stored.dataset is not None
        assert changes.dataset is not None
        before.append(stored.dataset)
        if stored.subscribed:
            changes.notice = Notice()
        if stored.streaming:
            changes.event = streaming.deletion_event(
                dataset_id,
                sync_count=changes.dataset.sync_count,
                last_modified_date_ms=now_ms,
            )
        return changes

    changes = await context.store.update_dataset(
        dataset_id, keys=(), session_id=None, decide=decide
    )
    if changes is None:
        raise pool_not_found(request.identity_pool_id)
    if changes.event is not None:
        context.outbox_changed.send()
    if changes.notice is not None:
        context.pushes_changed.send()
    context.changes.publish(dataset_id, changes.dataset)
    return DeleteDatasetResponse(
        dataset=_dataset(request.identity_id, request.dataset_name, before[-1])
    )


def _id(request: DescribeDatasetRequest | DeleteDatasetRequest) -> DatasetId:
    return DatasetId(
        request.identity_pool_id, request.identity_id, request.dataset_name
    )


def _dataset(identity_id: str, dataset_name: str, state: DatasetState) -> Dataset:
    return Dataset(
        identity_id=identity_id,
        dataset_name=dataset_name,
        creation_date=state.creation_date_ms / 1000,
        last_modified_date=state.last_modified_date_ms / 1000,
        last_modified_by=state.last_modified_by,
        data_storage=state.data_storage,
        num_records=state.num_records,
    )
