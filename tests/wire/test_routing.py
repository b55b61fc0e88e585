"""From a request line to an operation."""

from __future__ import annotations

import re

import pytest

from millpond.contract import cognito_sync, kinesis
from millpond.contract.shapes import Operation
from millpond.wire.routing import PATH_BYTES_MAX, Router

ROUTER = Router([cognito_sync.API, kinesis.API])
LABELS = {
    "IdentityPoolId": "us-east-1:0a",
    "IdentityId": "us-east-1:0b",
    "DatasetName": "pre.fs:x",
    "DeviceId": "d e/v",
}
OPERATIONS = cognito_sync.API.operations


def path_of(operation: Operation, colon: str, **changed: str) -> bytes:
    labels = {
        name: value.replace("/", "%2F").replace(" ", "%20").replace(":", colon)
        for name, value in (LABELS | changed).items()
    }
    return operation.uri.format(**labels).encode()


def labels_of(operation: Operation) -> list[str]:
    return re.findall(r"{(\w+)}", operation.uri)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
def test_every_operation_is_found(operation: Operation, colon: str) -> None:
    """By method and path, with its labels decoded, however the colon is written."""
    found = ROUTER.by_path(operation.method, path_of(operation, colon))

    assert found is not None
    route, labels = found
    assert route.operation is operation
    assert route.api is cognito_sync.API
    assert labels == {name: LABELS[name] for name in labels_of(operation)}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_an_empty_label_is_another_path(operation: Operation) -> None:
    """Without one of its labels a path leads nowhere."""
    for name in labels_of(operation):
        path = path_of(operation, ":", **{name: ""})

        assert ROUTER.by_path(operation.method, path) is None


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_other_paths_and_methods_lead_nowhere(operation: Operation) -> None:
    """One segment or one letter more or less, and other methods, find nothing."""
    path = path_of(operation, "%3A")
    wrong = [
        path + b"/",
        b"/" + path,
        path[1:],
        path.replace(b"/identitypools", b"/IdentityPools"),
        path.replace(b"/identitypools", b"/identitypool"),
        path + b"/more/than/that/and/more",
    ]
    for each in wrong:
        assert ROUTER.by_path(operation.method, each) is None
    for method in ("PUT", "HEAD", "PATCH", "OPTIONS", "", operation.method.lower()):
        assert ROUTER.by_path(method, path) is None


def test_methods_part_operations_of_one_path() -> None:
    """Get, update and delete of a dataset share a path and are told apart."""
    path = path_of(cognito_sync.API.by_name["UpdateRecords"], "%3A")
    found = {}
    for method in ("GET", "POST", "DELETE"):
        route = ROUTER.by_path(method, path)
        assert route is not None
        found[method] = route[0].operation.name

    assert found == {
        "GET": "DescribeDataset",
        "POST": "UpdateRecords",
        "DELETE": "DeleteDataset",
    }


def test_devices_are_registered_in_the_singular() -> None:
    """RegisterDevice has `identity` where the others have `identities`."""
    path = b"/identitypools/us-east-1:0a/%s/us-east-1:0b/device"

    assert ROUTER.by_path("POST", path % b"identities") is None
    found = ROUTER.by_path("POST", path % b"identity")
    assert found is not None
    assert found[0].operation.name == "RegisterDevice"


@pytest.mark.parametrize("path", [b"", b"/", b"//", b"/identitypools/", b"*", b"\xff"])
def test_no_path_of_ours(path: bytes) -> None:
    """The root and nonsense are nobody's."""
    for method in ("GET", "POST", "DELETE"):
        assert ROUTER.by_path(method, path) is None


def test_paths_are_bounded() -> None:
    """A path beyond the limit is not looked at."""
    start = b"/identitypools/"
    longest = start + b"x" * (PATH_BYTES_MAX - len(start))

    assert ROUTER.by_path("GET", longest) is not None
    assert ROUTER.by_path("GET", longest + b"x") is None


def test_bytes_that_are_no_text_stay_a_label() -> None:
    """They are found and become U+FFFD, which no pattern of an id allows."""
    found = ROUTER.by_path("GET", b"/identitypools/%FF%00")

    assert found is not None
    assert found[1] == {"IdentityPoolId": "\ufffd\0"}


def test_targets_name_operations_of_json_apis() -> None:
    """Each Kinesis operation is found by its X-Amz-Target, exactly spelt."""
    for operation in kinesis.API.operations:
        route = ROUTER.by_target(f"Kinesis_20131202.{operation.name}")

        assert route is not None
        assert route.operation is operation
        assert ROUTER.by_target(f"kinesis_20131202.{operation.name}") is None
    for target in ("", ".", "Kinesis_20131202.", "Kinesis_20131202.UpdateRecords"):
        assert ROUTER.by_target(target) is None
    assert ROUTER.by_path("POST", b"/") is None
