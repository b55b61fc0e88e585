"""
Where the SDKs for Android, iOS, .NET and Unity look for an error's type and message.

Source: `JsonErrorResponseHandler` (aws-sdk-android at f514a35e7573),
`AWSCognitoSyncService.m` (aws-sdk-ios 2.8.4), `JsonErrorResponseUnmarshaller`
(aws-sdk-net), the core of aws-sdk-unity 2.x.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from acceptance.raw_http import Answer


@dataclass(frozen=True)
class SdkError:
    """An error as an SDK understands it."""

    type: str
    message: str


def android_error(answer: Answer) -> SdkError:
    """Read an error as the Android SDK does."""
    # It looks the header up by this very spelling, which servers and proxies may
    # change; here all names are in lower case. Then the body has to say it.
    kind = answer.headers.get("x-amzn-ErrorType") or answer.json["__type"]
    return SdkError(kind.partition(":")[0].rpartition("#")[2], answer.json["message"])


def ios_error(answer: Answer) -> SdkError:
    """Read an error as the iOS SDK does: the header alone, beside a JSON object."""
    assert isinstance(answer.json, dict)
    kind = answer.headers["x-amzn-errortype"]
    return SdkError(kind.partition(":")[0], answer.json["message"])


def dot_net_error(answer: Answer) -> SdkError:
    """Read an error as the SDK for .NET does: the body first."""
    kind = answer.json.get("__type") or answer.headers["x-amzn-errortype"]
    message = answer.headers.get("x-amzn-error-message") or answer.json["message"]
    return SdkError(kind.rpartition("#")[2].partition(":")[0], message)


def unity_error(answer: Answer) -> SdkError:
    """Read an error as Unity does, which sees no body of an error."""
    # It looks up the words of the status line among the names of an enumeration.
    assert answer.reason == HTTPStatus(answer.status).phrase
    return SdkError(
        answer.headers["x-amzn-errortype"], answer.headers["x-amzn-errormessage"]
    )
