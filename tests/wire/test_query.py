"""The AWS Query protocol: what botocore sends is read, and it reads what we answer."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

import published
from millpond import errors
from millpond.contract import cognito_identity, sts
from millpond.errors import (
    ExpiredTokenException,
    InvalidIdentityTokenException,
    RequestEntityTooLargeException,
    SerializationException,
    ServiceException,
    UnknownOperationException,
    ValidationException,
)
from millpond.wire.query import (
    FORM_BYTES_MAX,
    PARAMETERS_MAX,
    QueryRoute,
    QueryRouter,
    encode_error,
    encode_response,
    read_form,
)

STEADY = settings(derandomize=True, database=None, deadline=None)
ROUTER = QueryRouter([cognito_identity.API, sts.API])
ASSUME = ROUTER.by_action("AssumeRoleWithWebIdentity", sts.API.version)
WHO = ROUTER.by_action("GetCallerIdentity", sts.API.version)
ROLE = "arn:aws:iam::000000000000:role/Cognito_PlayersAuth_Role"
TOKEN = "eyJhbGciOiJSUzUxMiJ9.e30.secret-signature"
REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
GOOD = {"RoleArn": ROLE, "RoleSessionName": "phone", "WebIdentityToken": TOKEN}
ANSWER = sts.AssumeRoleWithWebIdentityResponse(
    credentials=sts.Credentials(
        access_key_id="ASIAEXAMPLEEXAMPLE00",
        secret_access_key="a/secret+key=",
        session_token="a-session-token",
        expiration=1414191623.75,
    ),
    subject_from_web_identity_token="us-east-1:0b",
    assumed_role_user=sts.AssumedRoleUser(
        assumed_role_id="AROAEXAMPLE:phone",
        arn="arn:aws:sts::000000000000:assumed-role/Cognito_PlayersAuth_Role/phone",
    ),
    provider="https://cognito-identity.amazonaws.com",
    audience="us-east-1:0a",
)
EXCEPTIONS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type)
    and issubclass(each, ServiceException)
    and each is not ServiceException
]


def published_operation(operation: str) -> OperationModel:
    """Give the operation of the model that botocore brings along."""
    model = ServiceModel(published.load("sts"), "sts")
    return model.operation_model(operation)


def decode(form: Mapping[str, str]) -> Any:
    """Send parameters as a form, and read it as AssumeRoleWithWebIdentity."""
    return ASSUME.decoder.decode(read_form(urlencode(form).encode()))


def refused(error: type[ServiceException], form: Mapping[str, str]) -> str:
    """Read a form that must be refused; return the message."""
    with pytest.raises(error) as caught:
        decode(form)
    return caught.value.message


def parsed(body: bytes, operation: str, status: int = 200) -> dict[str, Any]:
    """Read an answer with botocore."""
    response = {"status_code": status, "headers": {}, "body": body}
    shape = published_operation(operation).output_shape
    result: dict[str, Any] = create_parser("query").parse(response, shape)
    return result


# --- Requests -------------------------------------------------------------------------


def test_a_request_of_botocore_is_read():
    """What the official serializer sends arrives member by member."""
    given = {
        **GOOD,
        "PolicyArns": [{"arn": f"arn:aws:iam::aws:policy/{n}"} for n in range(11)],
        "Policy": '{"Statement": ["a + b & c=%"]}',
        "DurationSeconds": 900,
    }
    serializer = create_serializer("query")
    sent = serializer.serialize_to_request(
        given, published_operation(ASSUME.operation.name)
    )
    form = read_form(urlencode(sent["body"]).encode())

    assert ROUTER.by_action(form["Action"], form["Version"]) is ASSUME
    assert ASSUME.decoder.decode(form) == sts.AssumeRoleWithWebIdentityRequest(
        role_arn=ROLE,
        role_session_name="phone",
        web_identity_token=TOKEN,
        policy_arns=[
            sts.PolicyDescriptorType(arn=f"arn:aws:iam::aws:policy/{n}")
            for n in range(11)
        ],
        policy='{"Statement": ["a + b & c=%"]}',
        duration_seconds=900,
    )


def test_an_empty_list_of_botocore_is_an_empty_list():
    """A list without items travels as a bare name."""
    serializer = create_serializer("query")
    sent = serializer.serialize_to_request(
        {**GOOD, "PolicyArns": []}, published_operation(ASSUME.operation.name)
    )

    assert decode(sent["body"]).policy_arns == []


def test_a_plus_is_a_space():
    """It is a form: '+' and %20 are spaces, %2B is a plus."""
    assert read_form(b"a=1+2%203%2B4&b%2Bc=d") == {"a": "1 2 3+4", "b+c": "d"}


def test_a_form_is_read_as_browsers_read_one():
    """Empty pairs do not count, a bare name has an empty value, '=' may be in one."""
    assert read_form(b"&a&b=&c=d=e&") == {"a": "", "b": "", "c": "d=e"}
    assert read_form(b"") == {}


def test_what_is_not_utf_8_is_replaced():
    """Broken bytes and broken escapes are no reason to fail."""
    assert read_form(b"a=%ff&b=%zz&c=\xc3\xa4") == {"a": "\ufffd", "b": "%zz", "c": "ä"}


def test_unknown_parameters_are_passed_over():
    """AWS does so too; those of a signed URL are among them."""
    extra = {"X-Amz-Date": "20260101T000000Z", "RoleArn.more": "x", "Unknown": ""}

    assert decode({**GOOD, **extra}) == decode(GOOD)


def test_items_come_in_the_order_of_their_numbers():
    """Ten comes after two, wherever it stands in the form."""
    arns = {n: f"arn:aws:iam::aws:policy/{n}" for n in (10, 2, 1)}
    form = {f"PolicyArns.member.{n}.arn": arn for n, arn in arns.items()}

    found = [each.arn for each in decode({**GOOD, **form}).policy_arns]

    assert found == [arns[1], arns[2], arns[10]]


@pytest.mark.parametrize(
    "item",
    [
        *(f"member.{n}" for n in ("0", "01", "-1", "x", "", "٣", "9" * 10, "1e3")),
        "1",
        "Member.1",
        "entry.1",
        "member",
    ],
)
def test_an_item_has_a_number(item):
    """A list whose items are named in another way is refused, not passed over."""
    name = f"PolicyArns.{item}.arn"

    message = refused(SerializationException, {**GOOD, name: ROLE})

    assert message == (
        f"Parameter '{name}' must be named 'PolicyArns.member.NUMBER', with numbers "
        "from 1 on."
    )


def test_an_item_of_another_form_is_not_lost():
    """A text in the place of a structure is an item, with nothing in it."""
    form = {**GOOD, "PolicyArns.member.1": ROLE}

    assert decode(form).policy_arns == [sts.PolicyDescriptorType()]


@pytest.mark.parametrize(
    "form", [{"PolicyArns": ROLE}, {"PolicyArns": "", "PolicyArns.member.1.arn": ROLE}]
)
def test_a_list_is_not_a_text(form):
    """A text in the place of a list is refused, and a list that is empty and is not."""
    message = refused(SerializationException, {**GOOD, **form})

    assert message == "Parameter 'PolicyArns' must be a list."


@pytest.mark.parametrize(
    "text", ["", "x", "1_0", " 900", "9e2", "900.0", "٩٠٠", "+", "9" * 21, "0x384"]
)
def test_an_integer_is_digits(text):
    """What Python would take for a number is not one here."""
    message = refused(SerializationException, {**GOOD, "DurationSeconds": text})

    assert message == "Parameter 'DurationSeconds' must be an integer."


@pytest.mark.parametrize(("text", "number"), [("900", 900), ("+0900", 900)])
def test_an_integer_may_have_a_sign_and_zeros(text, number):
    """A number is a number in each of its spellings."""
    assert decode({**GOOD, "DurationSeconds": text}).duration_seconds == number


@pytest.mark.parametrize(
    ("form", "faults"),
    [
        (
            {},
            [
                "Value null at 'roleArn' failed to satisfy constraint: "
                "Member must not be null",
                "Value null at 'roleSessionName' failed to satisfy constraint: "
                "Member must not be null",
                "Value null at 'webIdentityToken' failed to satisfy constraint: "
                "Member must not be null",
            ],
        ),
        (
            {**GOOD, "DurationSeconds": "43201"},
            [
                "Value '43201' at 'durationSeconds' failed to satisfy constraint: "
                "Member must have value less than or equal to 43200"
            ],
        ),
        (
            {**GOOD, "RoleArn": "short", "RoleSessionName": "a b"},
            [
                "Value 'short' at 'roleArn' failed to satisfy constraint: "
                "Member must have length greater than or equal to 20",
                "Value 'a b' at 'roleSessionName' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\w+=,.@-]*",
            ],
        ),
        (
            {**GOOD, "PolicyArns.member.1.arn": "short"},
            [
                "Value 'short' at 'policyArns.1.member.arn' failed to satisfy "
                "constraint: Member must have length greater than or equal to 20"
            ],
        ),
    ],
)
def test_constraints_are_reported_as_aws_does(form, faults):
    """All that is broken is named in one message, under the name ValidationError."""
    message = refused(ValidationException, form)
    noun = "error" if len(faults) == 1 else "errors"

    assert message == f"{len(faults)} validation {noun} detected: {'; '.join(faults)}"


@pytest.mark.parametrize("token", ["abc", "secret" * 4000, "secret\0secret"])
def test_a_token_is_not_repeated(token):
    """The refusal of a web identity token does not show it."""
    message = refused(ValidationException, {**GOOD, "WebIdentityToken": token})

    assert "'webIdentityToken'" in message
    assert token[:6] not in message


@pytest.mark.parametrize("form", [b"RoleArn=a%00b", b"RoleArn=a\0b", b"Role%00Arn=a"])
def test_a_nul_is_refused(form):
    """It is refused wherever it stands and however it is written."""
    with pytest.raises(ValidationException, match="must not contain a NUL character"):
        read_form(form)


@pytest.mark.parametrize("form", [b"a=1&a=1", b"a=1&b=2&%61=3"])
def test_a_parameter_stands_once(form):
    """A signature does not say which of two is meant."""
    with pytest.raises(SerializationException, match="'a' is given more than once"):
        read_form(form)


def test_a_form_is_bounded():
    """Too long, or too many parameters: refused; up to there it is read."""
    many = "&".join(f"p{n}=" for n in range(PARAMETERS_MAX))

    assert len(read_form(many.encode())) == PARAMETERS_MAX
    assert len(read_form(b"a=".ljust(FORM_BYTES_MAX, b"x"))["a"]) == FORM_BYTES_MAX - 2
    with pytest.raises(SerializationException, match="has 257 parameters"):
        read_form(f"{many}&more=".encode())
    with pytest.raises(RequestEntityTooLargeException, match="131072 bytes"):
        read_form(b"a=".ljust(FORM_BYTES_MAX + 1, b"x"))


def test_the_largest_good_request_is_read():
    """A token and a policy of full length fit, however they are escaped."""
    form = {**GOOD, "WebIdentityToken": "t" * 20_000, "Policy": "p" * 2048}
    raw = "&".join(
        f"{name}={''.join(f'%{ord(c):02X}' for c in value)}"
        for name, value in form.items()
    )

    assert ASSUME.decoder.decode(read_form(raw.encode())) == decode(form)


@STEADY
@given(
    st.one_of(
        st.binary(), st.text(alphabet="=&%+.member019PolicyArnsar").map(str.encode)
    )
)
def test_garbage_is_refused_or_read(raw):
    """Whatever comes, the answer is a request or an exception of the API."""
    with contextlib.suppress(ServiceException):
        ASSUME.decoder.decode(read_form(raw + b"&" + urlencode(GOOD).encode()))


@STEADY
@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_every_form_comes_back(form):
    """Reading undoes escaping, for all names and values."""
    if any("\0" in each for pair in form.items() for each in pair):
        return

    assert read_form(urlencode(form).encode()) == form
    assert read_form(urlencode(form, quote_via=quote).encode()) == form


# --- Routing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "version", "named"),
    [
        ("AssumeRole", "2011-06-15", "2011-06-15"),
        ("GetCallerIdentity", "2000-01-01", "2000-01-01"),
        ("GetCallerIdentity", "", ""),
        ("GetCallerIdentity", None, "NO_VERSION_SPECIFIED"),
        ("", "2011-06-15", "2011-06-15"),
        ("GetId", "2014-06-30", "2014-06-30"),
    ],
)
def test_an_unknown_action_is_refused(action, version, named):
    """Action and version are both needed; other protocols have no actions."""
    with pytest.raises(UnknownOperationException) as caught:
        ROUTER.by_action(action, version)

    assert caught.value.message == (
        f"Could not find operation {action} for version {named}"
    )


def test_a_long_action_is_not_repeated_whole():
    """The refusal is short, however long the name is."""
    with pytest.raises(UnknownOperationException) as caught:
        ROUTER.by_action("a" * 100_000, "b" * 100_000)

    assert len(caught.value.message) < 400


# --- Answers --------------------------------------------------------------------------


def test_botocore_reads_an_answer():
    """Every member arrives, times are whole seconds in UTC, absent ones are absent."""
    body = encode_response(sts.API, ASSUME.operation, ANSWER, REQUEST_ID)
    result = parsed(body, ASSUME.operation.name)
    result["ResponseMetadata"].pop("HTTPHeaders")

    assert result == {
        "Credentials": {
            "AccessKeyId": "ASIAEXAMPLEEXAMPLE00",
            "SecretAccessKey": "a/secret+key=",
            "SessionToken": "a-session-token",
            "Expiration": datetime.datetime(
                2014, 10, 24, 23, 0, 23, tzinfo=datetime.UTC
            ),
        },
        "SubjectFromWebIdentityToken": "us-east-1:0b",
        "AssumedRoleUser": {
            "AssumedRoleId": "AROAEXAMPLE:phone",
            "Arn": "arn:aws:sts::000000000000:assumed-role/Cognito_PlayersAuth_Role/"
            "phone",
        },
        "Provider": "https://cognito-identity.amazonaws.com",
        "Audience": "us-east-1:0a",
        "ResponseMetadata": {"RequestId": REQUEST_ID, "HTTPStatusCode": 200},
    }


def test_an_answer_has_the_form_of_aws():
    """Response, result and metadata are nested and named as old clients expect."""
    answer = sts.GetCallerIdentityResponse(
        user_id="AIDAEXAMPLE", account="000000000000", arn="arn:aws:iam::0:user/x"
    )

    assert encode_response(sts.API, WHO.operation, answer, REQUEST_ID) == (
        b"<GetCallerIdentityResponse "
        b'xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        b"<GetCallerIdentityResult>"
        b"<UserId>AIDAEXAMPLE</UserId><Account>000000000000</Account>"
        b"<Arn>arn:aws:iam::0:user/x</Arn>"
        b"</GetCallerIdentityResult>"
        b"<ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef"
        b"</RequestId></ResponseMetadata>"
        b"</GetCallerIdentityResponse>"
    )


def test_times_end_in_z_and_have_no_fraction():
    """The clients of phones know one form of a time."""
    body = encode_response(sts.API, ASSUME.operation, ANSWER, REQUEST_ID)

    assert b"<Expiration>2014-10-24T23:00:23Z</Expiration>" in body


def test_lists_numbers_and_nothing_can_be_answered():
    """What the API has no use for yet is encoded as the protocol wants it."""
    request = sts.AssumeRoleWithWebIdentityRequest(
        role_arn="r",
        role_session_name="s",
        web_identity_token="t",
        policy_arns=[sts.PolicyDescriptorType(arn="a"), sts.PolicyDescriptorType()],
        duration_seconds=900,
    )
    body = encode_response(sts.API, ASSUME.operation, request, REQUEST_ID)
    nothing = encode_response(sts.API, WHO.operation, None, REQUEST_ID)

    assert b"<PolicyArns><member><arn>a</arn></member><member></member>" in body
    assert b"<DurationSeconds>900</DurationSeconds>" in body
    assert b"Result" not in nothing


@STEADY
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_can_be_answered(text):
    """XML is well-formed whatever is in it; what it can hold comes back unharmed."""
    answer = sts.GetCallerIdentityResponse(user_id=text, account="a", arn="b")
    body = encode_response(sts.API, WHO.operation, answer, REQUEST_ID)
    error = encode_error(ServiceException(f"<{text}>"), REQUEST_ID, WHO)[2]
    found = ElementTree.fromstring(body).findtext(".//{*}UserId") or ""
    message = ElementTree.fromstring(error).findtext(".//{*}Message") or ""

    assert len(found) == len(text)
    assert message == f"<{found}>"
    assert all(
        read == sent or read == "\ufffd" for read, sent in zip(found, text, strict=True)
    )
    fits = {each for each in text if each.isprintable() or each in "\t\n\r"}
    assert fits <= set(found)


# --- Errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("AccessDeniedException", "AccessDenied", 403),
        ("IncompleteSignatureException", "IncompleteSignature", 400),
        ("InternalErrorException", "InternalFailure", 500),
        ("InvalidIdentityTokenException", "InvalidIdentityToken", 400),
        ("InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("MalformedPolicyDocumentException", "MalformedPolicyDocument", 400),
        ("MissingAuthenticationTokenException", "MissingAuthenticationToken", 403),
        ("NotAuthorizedException", "AccessDenied", 403),
        ("NotImplementedException", "NotImplemented", 501),
        ("RequestEntityTooLargeException", "RequestEntityTooLarge", 413),
        ("SerializationException", "MalformedInput", 400),
        ("ServiceUnavailableException", "ServiceUnavailable", 503),
        ("TooManyRequestsException", "Throttling", 400),
        ("UnknownOperationException", "InvalidAction", 400),
        ("UnrecognizedClientException", "InvalidClientTokenId", 403),
        ("ValidationException", "ValidationError", 400),
    ],
)
@pytest.mark.parametrize("route", [None, ASSUME, WHO], ids=["none", "assume", "who"])
def test_an_error_has_the_name_of_the_query_services(
    name: str, code: str, status: int, route: QueryRoute | None
) -> None:
    """botocore finds code, message, sender and request id; the status fits."""
    error = getattr(errors, name)("What is <wrong> & why.")
    found, headers, body = encode_error(error, REQUEST_ID, route)
    result = parsed(body, ASSUME.operation.name, found)

    assert found == status
    assert headers == [(b"content-type", b"text/xml")]
    assert result["Error"] == {
        "Type": "Sender" if status < 500 else "Receiver",
        "Code": code,
        "Message": "What is <wrong> & why.",
    }
    assert result["ResponseMetadata"]["RequestId"] == REQUEST_ID


@pytest.mark.parametrize(
    ("route", "code", "status"),
    [
        (ASSUME, "ExpiredTokenException", 400),
        (WHO, "ExpiredToken", 403),
        (None, "ExpiredToken", 403),
    ],
)
def test_two_kinds_of_token_expire(route, code, status):
    """A web identity token has another error than a session token."""
    found, _, body = encode_error(ExpiredTokenException(), REQUEST_ID, route)

    assert (found, parsed(body, "GetCallerIdentity", found)["Error"]["Code"]) == (
        status,
        code,
    )


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda each: each.__name__)
def test_no_error_keeps_the_name_of_another_protocol(
    kind: type[ServiceException],
) -> None:
    """Only the expired web identity token is called an exception on this wire."""
    status, _, body = encode_error(kind(), REQUEST_ID, WHO)
    code = parsed(body, "GetCallerIdentity", status)["Error"]["Code"]

    assert not code.endswith("Exception")
    assert 400 <= status < 600
    assert (status >= 500) is (kind.http_status >= 500)


def test_errors_of_the_published_model_have_its_codes():
    """The operation's own errors have code and status as the model says."""
    for error in ASSUME.operation.errors:
        model = published_operation(ASSUME.operation.name).service_model
        metadata = model.shape_for(error.__name__).metadata["error"]
        status, _, body = encode_error(error(), REQUEST_ID, ASSUME)
        code = parsed(body, ASSUME.operation.name, status)["Error"]["Code"]

        assert (code, status) == (metadata["code"], metadata["httpStatusCode"])


def test_an_error_has_the_form_of_aws():
    """The namespace is the API's, and a general one where no operation was found."""
    known = encode_error(InvalidIdentityTokenException("No."), "id", ASSUME)[2]
    unknown = encode_error(UnknownOperationException("No."), "id")[2]

    assert known == (
        b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        b"<Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>"
        b"<Message>No.</Message></Error><RequestId>id</RequestId></ErrorResponse>"
    )
    assert unknown.startswith(
        b'<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09">'
    )
