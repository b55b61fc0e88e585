"""
The server's side of a synchronization: effects of `core.client_sync` become calls, and
their answers its events.

Rule: what does not look like an answer of this API is none. A portal that says 200 with
a page, a proxy with errors of its own, a cut body: `Lost`, and the copy stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from millpond.client.api.times import Exact
from millpond.client.failures import CallError, Rejected, Unanswered
from millpond.core.client_sync.copies import RecordPatch, RemoteRecord, Sent
from millpond.core.client_sync.session import (
    CONFLICT,
    INVALID,
    Delete,
    Deleted,
    Event,
    List,
    Listed,
    Lost,
    Push,
    Pushed,
    Refused,
)

if TYPE_CHECKING:
    from millpond.client.callers import Caller
    from millpond.client.calls import Calls

API: Final = "cognito-sync"
NEXT_SESSION: Final = "millpond-next-session"
"""What asks for the token of the next update, as the server's contract has it."""
_TOKEN: Final = "SyncSessionToken"
IDENTITY_CHANGED: Final = "IdentityChanged"
_PAGE_MAX: Final = 1024  # records; as the archived clients ask for
_PAGES_MAX: Final = 10_000
_DATASETS_PAGE_MAX: Final = 64
_LISTINGS_MAX: Final = 3
_SESSION_OVER: Final = "SyncSessionToken"  # how the server's texts on it begin
_COUNT_MAX: Final = 2**63 - 1


class RefusedBecause(Refused, frozen=True, tag="refused", tag_field="is"):
    """A refusal, with what is known of it."""

    error: CallError


class LostBecause(Lost, frozen=True, tag="lost", tag_field="is"):
    """No answer, with what is known of that."""

    error: CallError


class Described(NamedTuple):
    """A dataset that the server has."""

    name: str
    num_records: int
    data_bytes: int
    modified_ms: int


class Remote:
    """
    The datasets of one identity at the server.

    A session of synchronization is an identity's: should the caller turn out to be
    another one (a guest who became an account), nothing is called any more, and each
    event is a refusal with the code "IdentityChanged".

    Args:
        device_id: what RegisterDevice gave; the server then notifies the others.
    """

    def __init__(
        self,
        calls: Calls,
        pool: str,
        caller: Caller,
        identity_id: str,
        *,
        device_id: str | None = None,
    ) -> None:
        self.identity_id = identity_id
        self._calls = calls
        self._pool = pool
        self._caller = caller
        self._device_id = device_id

    def __repr__(self) -> str:
        return f"<Remote {self._calls.endpoint or 'AWS'}, {self._pool}>"

    def perform(self, dataset_name: str, effect: List | Push | Delete) -> Event:
        """Carry out what a session asks for."""
        if isinstance(effect, List):
            return self.list_records(effect.dataset_name, effect.since)
        if isinstance(effect, Push):
            return self.update_records(dataset_name, effect.sent)
        return self.delete_dataset(effect.dataset_name)

    def list_records(
        self, dataset_name: str, since: int
    ) -> Listed | RefusedBecause | LostBecause:
        """
        List what changed after a sync count: all pages, as of one moment.

        The server pins the pages of a listing to its first. Where they do not fit
        together all the same, or the server takes a page back (records that it would
        list have expired), the listing begins anew; the last time without pages.
        Source: ruling 4.
        """
        asked = {"DatasetName": dataset_name, "LastSyncCount": since}
        try:
            for number in range(1, _LISTINGS_MAX + 1):
                size = _PAGE_MAX if number < _LISTINGS_MAX else None
                listed = self._list_once({**asked, "MaxResults": size})
                if listed is not None:
                    return listed
        except CallError as error:
            return _event(error)
        return _event(
            Unanswered(
                "The dataset kept changing between the pages of its listing.",
                operation="ListRecords",
            )
        )

    def update_records(
        self, dataset_name: str, sent: Sent
    ) -> Pushed | RefusedBecause | LostBecause:
        """
        Send an update; sent again, the server gives the answer that it gave.

        A server of ours may answer with a token for the next update (decision 49).
        """
        asked = {
            "DatasetName": dataset_name,
            "DeviceId": self._device_id,
            "RecordPatches": [_patch(each) for each in sent.patches],
            "SyncSessionToken": sent.token,
            "ClientContext": NEXT_SESSION,
        }
        try:
            answer = self._call("UpdateRecords", asked, beside=[_TOKEN])
            records = _records(answer, "UpdateRecords")
        except CallError as error:
            over = error.code == INVALID and error.text.startswith(_SESSION_OVER)
            error.hide(each.value or "" for each in sent.patches)
            # Nothing is wrong with the records then: list anew, and push again.
            return RefusedBecause(CONFLICT, error) if over else _event(error)
        token = answer.get(_TOKEN)
        return Pushed(records, token if isinstance(token, str) and token else None)

    def delete_dataset(
        self, dataset_name: str
    ) -> Deleted | RefusedBecause | LostBecause:
        """Delete a dataset."""
        try:
            answer = self._call("DeleteDataset", {"DatasetName": dataset_name})
        except CallError as error:
            return _event(error)
        if not isinstance(answer.get("Dataset"), dict):
            return _event(_no_answer("DeleteDataset"))
        return Deleted()

    def list_datasets(self) -> tuple[Described, ...]:
        """
        List the datasets of the identity, by name.

        Raises:
            CallError: there is no such answer.
        """
        found: list[Described] = []
        asked: dict[str, Any] = {"MaxResults": _DATASETS_PAGE_MAX}
        for answer in self._pages("ListDatasets", asked):
            datasets = answer.get("Datasets")
            if not isinstance(datasets, list):
                raise _no_answer("ListDatasets")
            found += [_described(each) for each in datasets]
        return tuple(found)

    def _list_once(self, asked: dict[str, Any]) -> Listed | None:
        """List once; `None` when the pages do not belong together."""
        first: Listed | None = None
        records: list[RemoteRecord] = []
        try:
            for answer in self._pages("ListRecords", asked):
                page = _listed(answer)
                records += page.records
                if first is None:
                    first = page
                elif _moment(page) != _moment(first):
                    return None
                last = page
        except Rejected as error:
            if first is None or error.code != INVALID:
                raise
            return None
        by_key = {each.key: each for each in sorted(records, key=_by_count)}
        return Listed(
            last.token,
            last.sync_count,
            last.exists,
            last.deleted,
            tuple(by_key.values()),
            last.merged_names,
        )

    def _pages(self, operation: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        page: dict[str, Any] = {}
        while len(seen) < _PAGES_MAX:
            answer = self._call(operation, {**asked, **page})
            yield answer
            token = answer.get("NextToken")
            if not token:
                return
            if not isinstance(token, str) or token in seen:
                break
            seen.add(token)
            page = {"NextToken": token}
        raise Unanswered("The pages of a listing do not end.", operation=operation)

    def _call(
        self, operation: str, asked: dict[str, Any], *, beside: Collection[str] = ()
    ) -> dict[str, Any]:
        if self._caller.identity_id() != self.identity_id:
            raise _changed(operation)
        ids = {"IdentityPoolId": self._pool, "IdentityId": self.identity_id}
        try:
            return self._calls.call_as(
                self._caller, API, operation, {**ids, **asked}, beside=beside
            )
        except CallError:
            known = self._caller.known()
            if known is None or known.id != self.identity_id:
                raise _changed(operation) from None  # and so it was no wonder
            raise


def _changed(operation: str) -> CallError:
    return Rejected(
        "The identity is another one by now.",
        code=IDENTITY_CHANGED,
        operation=operation,
    )


def _event(error: CallError) -> RefusedBecause | LostBecause:
    if isinstance(error, Unanswered):
        return LostBecause(error)
    return RefusedBecause(error.code, error)


def _patch(patch: RecordPatch) -> dict[str, Any]:
    given: dict[str, Any] = {
        "Op": patch.op,
        "Key": patch.key,
        "SyncCount": patch.sync_count,
    }
    if patch.op == "replace":
        given["Value"] = patch.value
    if patch.modified_ms > 0:
        given["DeviceLastModifiedDate"] = Exact(patch.modified_ms / 1000)
    return given


def _listed(answer: dict[str, Any]) -> Listed:
    """
    Read a page.

    Raises:
        Unanswered: it is none.
    """
    token = answer.get("SyncSessionToken")
    names = answer.get("MergedDatasetNames", [])
    if not isinstance(token, str) or not token or not _is_strings(names):
        raise _no_answer("ListRecords")
    return Listed(
        token,
        _count(answer.get("DatasetSyncCount"), "ListRecords"),
        answer.get("DatasetExists") is True,
        answer.get("DatasetDeletedAfterRequestedSyncCount") is True,
        _records(answer, "ListRecords"),
        tuple(names),
    )


def _moment(page: Listed) -> tuple[int, bool, bool]:
    return page.sync_count, page.exists, page.deleted


def _by_count(record: RemoteRecord) -> int:
    return record.sync_count


def _records(answer: dict[str, Any], operation: str) -> tuple[RemoteRecord, ...]:
    records = answer.get("Records")
    if not isinstance(records, list):
        raise _no_answer(operation)
    return tuple(_record(each, operation) for each in records)


def _record(raw: object, operation: str) -> RemoteRecord:
    if not isinstance(raw, dict):
        raise _no_answer(operation)
    key, value = raw.get("Key"), raw.get("Value")
    if not isinstance(key, str) or not isinstance(value, str | None):
        raise _no_answer(operation)
    modified_s = raw.get("DeviceLastModifiedDate", raw.get("LastModifiedDate"))
    return RemoteRecord(
        key, value, _count(raw.get("SyncCount"), operation), _to_ms(modified_s)
    )


def _described(raw: object) -> Described:
    if not isinstance(raw, dict) or not isinstance(raw.get("DatasetName"), str):
        raise _no_answer("ListDatasets")
    return Described(
        raw["DatasetName"],
        _count(raw.get("NumRecords", 0), "ListDatasets"),
        _count(raw.get("DataStorage", 0), "ListDatasets"),
        _to_ms(raw.get("LastModifiedDate")),
    )


def _count(value: object, operation: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _no_answer(operation)
    if not 0 <= value <= _COUNT_MAX:
        raise _no_answer(operation)
    return value


def _to_ms(epoch_s: object) -> int:
    """Read epoch seconds as whole milliseconds; what is none counts as long ago."""
    if isinstance(epoch_s, bool) or not isinstance(epoch_s, int | float):
        return 0
    try:
        return max(0, round(epoch_s * 1000))
    except (OverflowError, ValueError):
        return 0


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _no_answer(operation: str) -> Unanswered:
    return Unanswered(
        "What came back is no answer of this API. Is there a proxy or a login page in "
        "between?",
        operation=operation,
    )
