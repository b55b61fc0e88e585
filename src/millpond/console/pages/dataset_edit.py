"""
Edits of a dataset: staged in the form, sent as one UpdateRecords, met with others'.

Whoever sends names the sync count of each record as it was when its edit began. Where
somebody else wrote meanwhile, nothing is written; what was, what is and what was typed
stand side by side, and it is chosen for each record which one stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from millpond.console import places, staging
from millpond.console.base import (
    Ask,
    Console,
    Done,
    Refused,
    Shown,
    Viewer,
    action,
    link,
    page,
)
from millpond.console.staging import Staged
from millpond.contract import cognito_sync
from millpond.core.sync import DatasetId, DatasetState, StoredRecord
from millpond.errors import (
    LimitExceededException,
    ResourceConflictException,
    ServiceException,
)
from millpond.service.looking.datasets import find_records

_PATH: Final = "/identities/{identity}/datasets/{dataset}"
_LIST: Final = cognito_sync.API.by_name["ListRecords"]
_UPDATE: Final = cognito_sync.API.by_name["UpdateRecords"]
_FORM_BYTES_MAX: Final = 16 * 1_048_576  # a full dataset, each byte spelt with three


async def begin_edits(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Begin to edit records: those named in the query, or none yet."""
    if not viewer.may_change:
        raise Refused(403, "This key may only read.")
    desk = _Desk(console, viewer, ask, await _dataset(console, viewer, ask))
    keys = staging.read_keys(ask.query.many("key"))
    return await desk.show(await desk.add([], keys))


async def act_on_edits(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Do what a button of the form says."""
    desk = _Desk(console, viewer, ask, await _dataset(console, viewer, ask))
    staged = staging.read(ask.form)
    do, _, which = ask.form.text("do", "send").partition("-")
    if do == "open":
        keys = staging.read_keys(ask.form.many("key"))
        if not keys:
            return await desk.show(staged, {"": "Tick the records to be edited first."})
        return await desk.show(await desk.add(staged, keys))
    if do == "add":
        return await desk.add_typed(staged, ask.form.long_text("new_key"))
    if do in ("drop", "format"):
        return await desk.change_one(staged, do, which)
    if do != "send":
        raise Refused(400, "There is no such button.")
    return await desk.send(staged)


async def _dataset(console: Console, viewer: Viewer, ask: Ask) -> DatasetId:
    return await places.find_dataset_id(console, viewer, ask)


class _Desk:
    """Where the edits of a dataset are worked on, for one request."""

    def __init__(
        self, console: Console, viewer: Viewer, ask: Ask, dataset_id: DatasetId
    ) -> None:
        self._console = console
        self._viewer = viewer
        self._of_pool = ask.query.text("pool")
        self._typed_key = ask.form.long_text("new_key")
        self._dataset_id = dataset_id

    async def _find(
        self, keys: Sequence[str]
    ) -> tuple[DatasetState | None, dict[str, StoredRecord]]:
        store = self._console.context.store
        return await find_records(store, self._dataset_id, keys)

    async def add(self, staged: list[Staged], keys: Sequence[str]) -> list[Staged]:
        """Put records on the stage as they are now; those that are there stay."""
        there = {each.seen.key for each in staged}
        wanted = [key for key in keys if key not in there]
        if len(there) + len(wanted) > staging.STAGED_MAX:
            raise Refused(
                400, f"At most {staging.STAGED_MAX} records are edited at a time."
            )
        _, records = await self._find(wanted)
        return [*staged, *(staging.begin(key, records.get(key)) for key in wanted)]

    async def add_typed(self, staged: list[Staged], key: str) -> Shown:
        """Put a record on the stage whose key was typed; there may be none yet."""
        limits = self._console.context.limits
        errors = {}
        if any(each.seen.key == key for each in staged):
            errors["new_key"] = "That record is being edited already."
        else:
            wrong = staging.check([staging.begin(key, None)], limits)
            if wrong:
                errors["new_key"] = wrong["value-0"]
        if errors:
            return await self.show(staged, errors)
        self._typed_key = ""
        return await self.show(await self.add(staged, [key]))

    async def change_one(self, staged: list[Staged], do: str, which: str) -> Shown:
        """Take an edit off the stage, or set its value out as JSON."""
        if not which.isascii() or not which.isdigit() or int(which) >= len(staged):
            raise Refused(400, "There is no such edit.")
        number = int(which)
        if do == "drop":
            del staged[number]
            return await self.show(staged)
        formatted = staging.format_json(staged[number].value)
        if formatted is None:
            return await self.show(staged, {f"value-{number}": "This is not JSON."})
        staged[number] = msgspec.structs.replace(staged[number], value=formatted)
        return await self.show(staged)

    async def send(self, staged: list[Staged]) -> Done | Shown:
        """Send all edits as one UpdateRecords, unless something is wrong."""
        errors = staging.check(staged, self._console.context.limits)
        if errors:
            return await self.show(staged, errors)
        left = staging.settle(staged)
        changed = [each for each in left if each.is_changed]
        page_url = link(
            _PATH,
            {"pool": self._of_pool},
            identity=self._dataset_id.identity_id,
            dataset=self._dataset_id.dataset_name,
        )
        if not changed:
            if len(left) < len(staged):
                return Done(page_url, "Nothing was sent: what the others wrote stays.")
            return await self.show(staged, {"": "Nothing is changed yet."})
        try:
            sync_count = await self._update(changed)
        except ResourceConflictException as error:
            return await self._meet(left, error)
        except ServiceException as error:
            return await self.show(left, self._explain(error), error.http_status)
        what = "1 record" if len(changed) == 1 else f"{len(changed)} records"
        return Done(
            page_url,
            f"Changed {what} with one UpdateRecords. The sync count is {sync_count} "
            "now; devices get it when they synchronize.",
        )

    async def _update(self, changed: Sequence[Staged]) -> int:
        """Synchronize as a developer's program does; give the new sync count."""
        names = msgspec.structs.asdict(self._dataset_id)
        listed = await self._console.call(
            self._viewer,
            _LIST,
            cognito_sync.ListRecordsRequest(**names, max_results=1),
        )
        now_ms = self._console.context.now_ms()
        answer = await self._console.call(
            self._viewer,
            _UPDATE,
            cognito_sync.UpdateRecordsRequest(
                **names,
                sync_session_token=listed.sync_session_token,
                record_patches=[each.to_patch(now_ms) for each in changed],
            ),
        )
        return int(answer.records[0].sync_count)

    async def _meet(
        self, left: Sequence[Staged], error: ResourceConflictException
    ) -> Shown:
        """Show what somebody else wrote beside what was typed."""
        _, records = await self._find([each.seen.key for each in left])
        met = [each for each, _ in staging.meet(left, records)]
        if any(each.seen.theirs is not None for each in met):
            sentence = (
                "Somebody else wrote meanwhile, so nothing was sent. Choose for each "
                "record which one is to stay, then send again."
            )
        else:
            sentence = f"{error.message}. Nothing was sent; send again."
        return await self.show(met, {"": sentence}, 409)

    def _explain(self, error: ServiceException) -> dict[str, str]:
        sentence = f"Nothing was sent. {error.message}"
        if isinstance(error, LimitExceededException):
            sentence += " Remove records, or make values shorter."
        return {"": sentence}

    async def show(
        self,
        staged: Sequence[Staged],
        errors: Mapping[str, str] | None = None,
        status: int = 0,
    ) -> Shown:
        """Show the form with its stage, and what is wrong with it."""
        met = any(each.seen.theirs is not None for each in staged)
        keys = [each.seen.key for each in staged if each.seen.theirs is not None]
        state, now = await self._find(keys)
        context = self._console.context
        records, size = staging.measure(staged)
        pool = await context.store.find_identity_pool(self._dataset_id.identity_pool_id)
        of_pool = self._of_pool
        dataset_url = link(
            _PATH,
            {"pool": of_pool},
            identity=self._dataset_id.identity_id,
            dataset=self._dataset_id.dataset_name,
        )
        limits = context.limits
        return Shown(
            title="Changed by somebody else" if met else "Edit records",
            crumbs=[
                *places.crumbs_to_identity(self._dataset_id, of_pool),
                (self._dataset_id.dataset_name, dataset_url),
            ],
            status=status or (400 if errors else 200),
            form={"new_key": self._typed_key},
            errors=errors or {},
            data={
                **msgspec.structs.asdict(self._dataset_id),
                "of_pool": of_pool,
                "exists": state is not None and state.exists,
                "sync_count": state.sync_count if state else 0,
                "has_sync_trigger": pool is not None and pool.sync_trigger is not None,
                "num_records": max(0, (state.num_records if state else 0) + records),
                "num_records_max": limits.records_per_dataset,
                "data_storage": max(0, (state.data_storage if state else 0) + size),
                "data_storage_max": limits.dataset_bytes,
                "key_chars_max": limits.record_key_chars,
                "value_chars_max": limits.record_value_chars,
                "staged_max": staging.STAGED_MAX,
                "in_conflict": met,
                "changed": sum(each.is_changed for each in staged),
                "edits": [_edit(each, now) for each in staged],
            },
        )


def _edit(staged: Staged, now: Mapping[str, StoredRecord]) -> dict[str, Any]:
    """Give what the form shows of an edit."""
    seen = staged.seen
    theirs = None
    if seen.theirs is not None:
        record = now.get(seen.key)
        # What is shown is what is chosen, though it may be newer by now.
        seen = msgspec.structs.replace(seen, theirs=record.sync_count if record else 0)
        theirs = {
            "value": record.value if record else None,
            "spelt_key": staging.spell_key(seen.key),
            "sync_count": record.sync_count if record else 0,
            "last_modified_date_ms": record.last_modified_date_ms if record else None,
            "last_modified_by": record.last_modified_by if record else None,
        }
    return {
        "seen": msgspec.json.encode(seen).decode(),
        "key": seen.key,
        "is_new": staged.is_new,
        "base": seen.value,
        "base_chars": seen.chars,
        "sync_count": seen.count,
        "op": staged.op,
        "value": staged.value,
        "choice": staged.choice,
        "theirs": theirs,
    }


ROUTES: Final = (
    page(f"{_PATH}/edit", begin_edits, "dataset_edit.html"),
    action(f"{_PATH}/edit", act_on_edits, form_bytes_max=_FORM_BYTES_MAX),
)
