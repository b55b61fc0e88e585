"""A browser lets pages use the server when their origin is allowed, and no others."""

from __future__ import annotations

import json

import pytest

from clients.devices import Device, DeviceError


@pytest.fixture
def one(in_chromium, server):
    """A device whose origin the server allows."""
    return Device(in_chromium[0], server)


@pytest.fixture
def stranger(in_chromium, server):
    """A device whose origin the server does not allow."""
    return Device(in_chromium[2], server)


def get_id(server, pool, **headers):
    """Write a call of GetId, as arguments of a page's `fetch`."""
    return {
        "url": server.endpoint,
        "options": {
            "method": "POST",
            "headers": {
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": "AWSCognitoIdentityService.GetId",
                **headers,
            },
            "body": json.dumps({"IdentityPoolId": pool}),
        },
    }


def test_restart(one, pool):
    """A page that is loaded again goes on with what the browser kept of it."""
    one.start(pool)
    identity_id = one.identity_id
    one.put({"a": "1"})
    one.synchronize_well()

    one.start(pool)
    done = one.synchronize_well()

    assert one.identity_id == identity_id
    assert one.values() == {"a": "1"}
    assert done.sent == ["listRecords"]


def test_origins_apart(in_chromium, server, pool):
    """Pages of two origins share nothing in the browser, so they are two devices."""
    one, other = (Device(page, server) for page in in_chromium[:2])
    one.start(pool)
    other.start(pool)

    assert one.identity_id != other.identity_id


def test_stranger(stranger, pool):
    """A page of another origin gets no identity, and sees a network error alone."""
    with pytest.raises(DeviceError) as error:
        stranger.start(pool)

    assert error.value.code == "NetworkingError"


def test_without_asking_first(one, stranger, server):
    """Answers that a browser fetches without a preflight are not shown to it either."""
    url = f"{server.endpoint}/identitypools"

    assert one.do("fetch", url=url)["status"] == 403
    with pytest.raises(DeviceError) as error:
        stranger.do("fetch", url=url)
    assert (error.value.code, error.value.message) == ("TypeError", "Failed to fetch")


def test_readable_headers(one, server, pool):
    """A page reads the request id and the date, which clients set their clock by."""
    answer = one.do("fetch", **get_id(server, pool))

    assert answer["status"] == 200
    assert answer["headers"]["x-amzn-requestid"]
    assert answer["headers"]["date"].endswith("GMT")


def test_readable_errors(one, server):
    """A page reads the type and the message of an error from its headers."""
    unknown = "us-east-1:00000000-0000-0000-0000-000000000000"

    answer = one.do("fetch", **get_id(server, unknown))

    assert answer["status"] == 400
    assert answer["headers"]["x-amzn-errortype"] == "ResourceNotFoundException"
    assert unknown in answer["headers"]["x-amzn-errormessage"]
    assert answer["body"]["__type"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "header",
    [
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-user-agent",
    ],
)
def test_headers_of_the_sdks(one, server, pool, header):
    """A page may send each of the headers that the SDKs send."""
    answer = one.do("fetch", **get_id(server, pool, **{header: "1"}))

    assert answer["status"] == 200


def test_another_header(one, server, pool):
    """A header that no SDK sends is not let through."""
    with pytest.raises(DeviceError) as error:
        one.do("fetch", **get_id(server, pool, **{"x-another": "1"}))

    assert error.value.code == "TypeError"
