"""
Requests as the SDKs for Android, iOS, .NET and Unity write them.

These SDKs do not run here, so their requests are written by hand: `RequestForm` is the
table of what they do differently. Each signs in its own way. The signer below shares no
code with the server: it is "Create a signed AWS API request" (IAM user guide), with
what each SDK leaves out of it or puts into it.

Source: the SDKs' own code, and requests of theirs that were reported: aws-sdk-android
at f514a35e7573, aws-sdk-ios 2.8.4, aws-sdk-net, amazon-cognito-unity 2.1.0.1;
aws-sdk-android#3515, aws-sdk-unity#44.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from acceptance.raw_http import Answer, RawClient, Request
from acceptance.users import UserCredentials
from clients.sdk_errors import (
    SdkError,
    android_error,
    dot_net_error,
    ios_error,
    unity_error,
)

Headers = tuple[tuple[str, str], ...]

JSON_1_1: Final = ("Content-Type", "application/x-amz-json-1.1")


@dataclass(frozen=True, kw_only=True)
class RequestForm:
    """
    How an SDK writes a request and signs it.

    Args:
        headers: those it sends with every request, and what they say.
        signed: the names, in lower case, of the headers it signs; all by default.
        path_safe: what it does not encode in a segment of a path.
        host_has_port: whether it signs the Host header as it is sent, with the port.
        date: how it writes a time in epoch milliseconds; None when it sends none.
        read_error: how it reads an error.
        sends_hash: whether it sends x-amz-content-sha256.
        hash_of_nothing: what it hashes when there is no body.
        deletes_by_post: whether it sends a POST that overrides its method.
    """

    name: str
    headers: Headers
    signed: frozenset[str] | None = None
    path_safe: str = ""
    host_has_port: bool = True
    date: Callable[[int], str] | None
    read_error: Callable[[Answer], SdkError]
    sends_hash: bool = False
    hash_of_nothing: bytes = b""
    deletes_by_post: bool = False


ANDROID: Final = RequestForm(
    name="Android",
    headers=(
        JSON_1_1,  # on a GET too, and never signed
        ("User-Agent", "aws-sdk-android/2.6.9 Linux/3.18.91 Dalvik/2.1.0/0 de_DE"),
        ("aws-sdk-invocation-id", "5e4d3a6b-6b3a-4c6f-9d1e-0f6a6a2b8c11"),
        ("Accept-Encoding", "identity"),
    ),
    signed=frozenset(
        {"host", "x-amz-client-context", "x-amz-date", "x-amz-security-token"}
    ),
    date=lambda ms: f"{ms / 1000:.3f}",
    read_error=android_error,
)
IOS: Final = RequestForm(
    name="iOS",
    headers=(
        JSON_1_1,
        # Runs of blanks are signed as one blank.
        ("User-Agent", "aws-sdk-iOS/2.8.4  iOS/12.1  de_DE"),
    ),
    host_has_port=False,
    date=None,
    read_error=ios_error,
)
DOT_NET: Final = RequestForm(
    name=".NET",
    headers=(
        ("Content-Type", "application/json"),
        ("User-Agent", "aws-sdk-dotnet-45/3.3.0.3 .NET_Runtime/4.0 OS/Windows_8"),
    ),
    path_safe=":",
    date=lambda ms: str(ms // 1000),
    read_error=dot_net_error,
    sends_hash=True,
)
UNITY: Final = RequestForm(
    name="Unity",
    headers=(JSON_1_1, ("User-Agent", "aws-sdk-unity/2.1.0.1 Unity/5.3 OS/Android")),
    path_safe=":",
    date=lambda ms: str(ms // 1000),
    read_error=unity_error,
    sends_hash=True,
    hash_of_nothing=b"{}",  # though nothing is sent
    deletes_by_post=True,
)
FORMS: Final = (ANDROID, IOS, DOT_NET, UNITY)


@dataclass(frozen=True)
class Patch:
    """A change to a record; a value of None removes it."""

    key: str
    value: str | None
    sync_count: int = 0


@dataclass(frozen=True)
class Call:
    """What a request is to say, before an SDK has written it."""

    method: str
    segments: Sequence[str]  # of the path
    query: Mapping[str, str | int]
    body: bytes = b""
    headers: Headers = ()


class SyncApi:
    """Cognito Sync for one user, in requests of one form."""

    def __init__(
        self, form: RequestForm, raw: RawClient, pool: str, user: UserCredentials
    ) -> None:
        self.form = form
        self.clock_offset = datetime.timedelta()  # of the device, from the true time
        self._raw = raw
        self._user = user
        self.identity = ("identitypools", pool, "identities", user.identity_id)

    def list_datasets(self, **query: str | int) -> Answer:
        """ListDatasets."""
        return self.call("GET", (*self.identity, "datasets"), query)

    def list_records(self, dataset: str, **query: str | int) -> Answer:
        """ListRecords; names in the query are those of the wire."""
        return self.call("GET", (*self._dataset(dataset), "records"), query)

    def update_records(
        self,
        dataset: str,
        token: str,
        patches: Sequence[Patch],
        *,
        now_ms: int,
        headers: Headers = (),
    ) -> Answer:
        """UpdateRecords; times are written as the SDK writes them."""
        records = ",".join(self._write(patch, now_ms) for patch in patches)
        body = f'{{"RecordPatches":[{records}],"SyncSessionToken":{json.dumps(token)}}}'
        return self.call(
            "POST", self._dataset(dataset), body=body.encode(), headers=headers
        )

    def describe_dataset(self, dataset: str) -> Answer:
        """DescribeDataset."""
        return self.call("GET", self._dataset(dataset))

    def delete_dataset(self, dataset: str) -> Answer:
        """DeleteDataset."""
        return self.call("DELETE", self._dataset(dataset))

    def call(
        self,
        method: str,
        segments: Sequence[str],
        query: Mapping[str, str | int] | None = None,
        body: bytes = b"",
        headers: Headers = (),
    ) -> Answer:
        """Send a request to a path, given segment by segment."""
        call = Call(method, segments, query or {}, body, headers)
        return self._raw.send(self.write(call))

    def write(self, call: Call) -> Request:
        """Write a request, signed for the time of the device."""
        at = datetime.datetime.now(datetime.UTC) + self.clock_offset
        return write_request(self.form, call, self._raw.host, self._user, at)

    def _dataset(self, name: str) -> tuple[str, ...]:
        return (*self.identity, "datasets", name)

    def _write(self, patch: Patch, now_ms: int) -> str:
        """Write a patch; what it does not have is left out, not null."""
        members: dict[str, str] = {
            "Op": '"remove"' if patch.value is None else '"replace"',
            "Key": json.dumps(patch.key, ensure_ascii=False),
        }
        if patch.value is not None:
            members["Value"] = json.dumps(patch.value, ensure_ascii=False)
        members["SyncCount"] = str(patch.sync_count)
        if self.form.date is not None:
            members["DeviceLastModifiedDate"] = self.form.date(now_ms)
        return "{" + ",".join(f'"{k}":{v}' for k, v in members.items()) + "}"


def write_request(
    form: RequestForm,
    call: Call,
    host: str,
    user: UserCredentials,
    at: datetime.datetime,
) -> Request:
    """Write a request in the form of an SDK, signed for a time."""
    path = "".join("/" + quote(each, safe=form.path_safe) for each in call.segments)
    query = [f"{name}={quote(str(v), safe='')}" for name, v in call.query.items()]
    method, body, headers = call.method, call.body, call.headers
    if method == "DELETE" and form.deletes_by_post:
        # It is signed as what it means, and then sent as something else.
        method, body = "POST", b"{}"
        headers = (*headers, ("X-HTTP-Method-Override", call.method))
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    payload_hash = hashlib.sha256(body or form.hash_of_nothing).hexdigest()
    headers = (
        ("Host", host),
        *form.headers,
        *headers,
        ("X-Amz-Date", stamp),
        ("x-amz-security-token", user.session_token),
        *((("x-amz-content-sha256", payload_hash),) if form.sends_hash else ()),
    )
    signed = _signed_headers(form, headers)
    canonical = _canonical_request(call.method, path, query, signed, payload_hash)
    scope = f"{stamp[:8]}/us-east-1/cognito-sync/aws4_request"
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={user.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(signed)}, "
        f"Signature={_signature(user.secret_key, scope, stamp, canonical)}"
    )
    return Request(
        method=method,
        target=(path + ("?" + "&".join(query) if query else "")).encode(),
        headers=(*headers, ("Authorization", authorization)),
        body=body,
    )


def _signed_headers(form: RequestForm, headers: Headers) -> dict[str, str]:
    """Give the headers that an SDK signs, as it signs them, in the order of names."""
    values = {name.lower(): " ".join(value.split()) for name, value in headers}
    if not form.host_has_port:
        values["host"] = values["host"].partition(":")[0]
    names = sorted(values if form.signed is None else form.signed & values.keys())
    return {name: values[name] for name in names}


def _canonical_request(
    method: str,
    path: str,
    query: Sequence[str],
    signed: Mapping[str, str],
    payload_hash: str,
) -> str:
    """Spell a request as its signature covers it."""
    lines = [
        method,
        quote(path, safe="/-_.~"),  # once more: what was encoded is encoded twice
        "&".join(sorted(query)),
        *(f"{name}:{value}" for name, value in signed.items()),
        "",
        ";".join(signed),
        payload_hash,
    ]
    return "\n".join(lines)


def _signature(secret: str, scope: str, stamp: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for element in (*scope.split("/"), to_sign):
        key = hmac.digest(key, element.encode(), "sha256")
    return key.hex()
