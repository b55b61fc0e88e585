"""
Both error families, told apart by their suffix.

`...Exception`: the caller sees it. The class name *is* the API's error code, so there
is no table between the two that could rot; `http_status` is the API's. `...Error`:
ours (store, sink, hook, settings). It never reaches the wire as itself.

    ServiceException
    |-- AccessDeniedException                 403  these credentials may not do this
    |-- AlreadyStreamedException              400  bulk publish succeeded < 24 h ago
    |-- ConcurrentModificationException       400  configuration changed meanwhile
    |-- DeveloperUserAlreadyRegisteredException 400 the user has another identity
    |-- DuplicateRequestException             400  a bulk publish is in progress
    |-- ExpiredIteratorException              400  Kinesis: shard iterator too old
    |-- ExpiredNextTokenException             400  Kinesis: next token too old
    |-- ExpiredTokenException                 403  temporary credentials have expired
    |-- ExternalServiceException              400  a login provider does not answer
    |-- IncompleteSignatureException          400  the Authorization header is not whole
    |-- InternalErrorException                500  our fault; the log has the detail
    |-- InternalFailureException              500  Kinesis: the same, in a subscription
    |-- InvalidArgumentException              400  Kinesis: a value makes no sense
    |-- InvalidConfigurationException         400  the pool is not set up for this
    |-- InvalidIdentityPoolConfigurationException 400 the pool has no role for this
    |-- InvalidIdentityTokenException         400  STS: the token is not good
    |-- InvalidLambdaFunctionOutputException  400  the sync trigger answered badly
    |-- InvalidParameterException             400  a value is wrong
    |-- InvalidSignatureException             403  wrong signature, scope or clock
    |-- LambdaSocketTimeoutException          400  the sync trigger did not answer
    |-- LambdaThrottledException              429  the sync trigger is over its rate
    |-- LimitExceededException                400  a limit would be passed
    |-- MalformedPolicyDocumentException      400  STS: a policy that is not applied
    |-- MissingAuthenticationTokenException   403  the request is not signed
    |-- NotAuthorizedException                403  these credentials may not do this
    |-- NotImplementedException               501  known, and not built yet
    |-- ProvisionedThroughputExceededException 400 Kinesis: retry later
    |-- RequestEntityTooLargeException        413  the body is over the limit
    |-- RequestTimeoutException               408  the body did not come in time
    |-- ResourceConflictException             409  the record changed meanwhile
    |-- ResourceInUseException                400  Kinesis: the name is taken
    |-- ResourceNotFoundException             404  there is no such thing
    |-- SerializationException                400  the body cannot be read
    |-- ServiceUnavailableException           503  the store cannot answer; retry
    |-- TooManyRequestsException              429  retry later
    |-- UnknownOperationException             404  no such path, target or action
    |-- UnrecognizedClientException           403  no such access key
    `-- ValidationException                   400  constraint broken (JSON 1.1 APIs)

    MillpondError
    |-- AwsError                 an AWS API refuses a call, or does not answer
    |-- SettingsError            a setting cannot be read or is out of bounds
    |-- StoreError               op, hint, retryable
    |   |-- DamagedStoreError    what is stored cannot be read
    |   |-- NoStoreError         there is no store where one was looked for
    |   |-- StoreInUseError      another server holds the embedded store
    |   |-- StoreUnavailableError  busy, full or gone for now (retryable)
    |   `-- StoreVersionError    the schema is newer than this program
    |-- HookError                a hook fails, or does not answer as one
    |   |-- HookThrottledError     it is over its rate
    |   |-- HookTimeoutError       it did not answer in time
    |   `-- HookUnreachableError   nobody answers there, or not in HTTP
    |-- AmbiguousError           what was asked for may be one of several things
    |-- NotFoundError            what was asked for is not there
    |-- LeaseLostError           another worker took the bulk-publish slice over
    |-- LoginProviderError       the keys of a login provider cannot be read
    |-- PushError                a push service cannot take a message now
    |   `-- EndpointGoneError    the device must register again first
    |-- SourceError              op, hint; what moves in cannot be read
    |   `-- SourceRefusedError     it may not be read; names the missing right
    `-- SinkError                op, hint, retryable
        |-- SinkUnavailableError   the stream cannot be reached for now (retryable)
        |-- StreamGoneError        the stream does not exist
        `-- StreamUnfitError       it would not keep what it acknowledges

Source: the error shapes of the models of Cognito Sync and Cognito Identity
(2014-06-30), Kinesis (2013-12-02) and STS (2011-06-15); the signature errors of the AWS
front end.
"""

from __future__ import annotations


class ServiceException(Exception):
    """An error that the caller sees, under the name of its class."""

    http_status = 400

    def __init__(
        self,
        message: str = "",
        *,
        retry_after_s: int | None = None,
        logged: str = "",
    ) -> None:
        """
        Args:
            retry_after_s: when it may go better; None where nobody can say.
            logged: the message for the log, when the caller's has what is not for it,
                such as the key of a record.
        """
        super().__init__(message or self.__class__.__doc__ or "")
        self.retry_after_s = retry_after_s
        self.logged = logged or self.message

    @property
    def code(self) -> str:
        """The API's error code: the name of the class."""
        return type(self).__name__

    @property
    def message(self) -> str:
        """The text that the caller reads."""
        return str(self.args[0])


class AccessDeniedException(ServiceException):
    """These credentials are not valid for accessing this resource"""

    http_status = 403


class AlreadyStreamedException(ServiceException):
    """The identity pool was published in bulk less than 24 hours ago."""


class ConcurrentModificationException(ServiceException):
    """The configuration changed while this request was working on it."""


class DeveloperUserAlreadyRegisteredException(ServiceException):
    """The developer user identifier belongs to another identity."""


class DuplicateRequestException(ServiceException):
    """A bulk publish of this identity pool is already in progress."""


class ExpiredIteratorException(ServiceException):
    """The shard iterator has expired."""


class ExpiredNextTokenException(ServiceException):
    """The next token has expired."""


class ExpiredTokenException(ServiceException):
    """The security token included in the request is expired"""

    http_status = 403


class ExternalServiceException(ServiceException):
    """A login provider does not answer."""


class IncompleteSignatureException(ServiceException):
    """The request signature is not complete."""


class InternalFailureException(ServiceException):
    """The processing of the request failed because of an unknown error."""

    http_status = 500


class InternalErrorException(ServiceException):
    """An internal error occurred."""

    http_status = 500


class InvalidArgumentException(ServiceException):
    """A specified parameter is not valid."""


class InvalidConfigurationException(ServiceException):
    """The identity pool is not configured for this."""


class InvalidIdentityPoolConfigurationException(ServiceException):
    """Invalid identity pool configuration. Check assigned IAM roles for this pool."""


class InvalidIdentityTokenException(ServiceException):
    """The web identity token is not valid."""


class InvalidLambdaFunctionOutputException(ServiceException):
    """The sync trigger returned invalid output or an exception."""


class InvalidParameterException(ServiceException):
    """A parameter is not valid."""


class InvalidSignatureException(ServiceException):
    """The request signature is not valid."""

    http_status = 403


class LambdaSocketTimeoutException(ServiceException):
    """SyncTrigger failed due to error Socket timeout while invoking Lambda function."""


class LambdaThrottledException(ServiceException):
    """The sync trigger is throttled, try again later."""

    http_status = 429


class LimitExceededException(ServiceException):
    """A limit would be exceeded."""


class MalformedPolicyDocumentException(ServiceException):
    """The policy is not valid."""


class MissingAuthenticationTokenException(ServiceException):
    """Missing Authentication Token"""

    http_status = 403


class NotAuthorizedException(ServiceException):
    """These credentials are not valid for accessing this resource"""

    http_status = 403


class NotImplementedException(ServiceException):
    """This operation is not available yet."""

    http_status = 501


class ProvisionedThroughputExceededException(ServiceException):
    """The rate is too high, try again later."""


class RequestEntityTooLargeException(ServiceException):
    """The request body is too large."""

    http_status = 413


class RequestTimeoutException(ServiceException):
    """The request body did not arrive in time."""

    http_status = 408


class ResourceConflictException(ServiceException):
    """What the request builds on changed meanwhile, or belongs to another identity."""

    http_status = 409


class ResourceInUseException(ServiceException):
    """The resource exists already."""


class ResourceNotFoundException(ServiceException):
    """The resource does not exist."""

    http_status = 404


class SerializationException(ServiceException):
    """The request body cannot be read."""


class ServiceUnavailableException(ServiceException):
    """The service cannot answer for the moment, try again."""

    http_status = 503


class TooManyRequestsException(ServiceException):
    """Rate exceeded"""

    http_status = 429

    def __init__(self, message: str = "", *, retry_after_s: int = 1) -> None:
        """
        Args:
            retry_after_s: when the caller may try again, in whole seconds.
        """
        super().__init__(message, retry_after_s=retry_after_s)


class UnknownOperationException(ServiceException):
    """There is no operation at this address."""

    http_status = 404


class UnrecognizedClientException(ServiceException):
    """The security token included in the request is invalid."""

    http_status = 403

    def __init__(self, message: str = "", *, access_key_id: str | None = None) -> None:
        """
        Args:
            access_key_id: what nobody here knows; None where something else is wrong.
        """
        super().__init__(message)
        self.access_key_id = access_key_id


class ValidationException(ServiceException):
    """The input breaks a constraint."""


class MillpondError(Exception):
    """The base of our own errors; the wire never shows one as itself."""


class AwsError(MillpondError):
    """An AWS API refuses a call, or cannot be reached."""

    def __init__(
        self, message: str, *, op: str = "", code: str = "", retryable: bool = False
    ) -> None:
        """
        Args:
            op: the operation that was refused; empty: no answer came.
            code: of the refusal, without the `Exception` at the end of some.
            retryable: whether the same call may succeed later.
        """
        super().__init__(message)
        self.op = op
        self.code = code
        self.retryable = retryable

    def __str__(self) -> str:
        text = str(self.args[0])
        return f"{self.op} answers {self.code}: {text}" if self.op else text


class SettingsError(MillpondError):
    """A setting cannot be read, is unknown or is out of bounds."""


class _HintedError(MillpondError):
    """An error that says in which step it arose and what to do next."""

    retryable = False

    def __init__(self, message: str, *, op: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.op = op
        self.hint = hint

    def __str__(self) -> str:
        text = str(self.args[0])
        if self.op:
            text = f"{self.op}: {text}"
        if not self.hint:
            return text
        return f"{text} {self.hint}" if text.endswith(".") else f"{text}. {self.hint}"


class StoreError(_HintedError):
    """The store failed in a way that a repeat does not mend."""


class DamagedStoreError(StoreError):
    """What is stored cannot be read: a row, or more."""


class NoStoreError(StoreError):
    """There is no store where one was looked for."""


class StoreInUseError(StoreError):
    """Another server holds this embedded store."""


class StoreUnavailableError(StoreError):
    """The store is busy, full or gone for now; nothing was written."""

    retryable = True


class StoreVersionError(StoreError):
    """The store was written by a newer version of the program."""


class SourceError(_HintedError):
    """What a pool moves in from cannot be read, or is not what it should be."""


class SourceRefusedError(SourceError):
    """The source says no: a right is missing, or the keys are not known there."""

    def __init__(
        self, message: str, *, op: str = "", hint: str = "", action: str = ""
    ) -> None:
        """
        Args:
            action: that is not allowed, as policies name it.
        """
        super().__init__(message, op=op, hint=hint)
        self.action = action


class HookError(MillpondError):
    """A hook fails, cannot be reached, or does not answer as a hook does."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """
        Args:
            hint: what to do about it, for whoever runs the server.
        """
        super().__init__(message)
        self.hint = hint


class HookThrottledError(HookError):
    """The hook is over its rate."""


class HookUnreachableError(HookError):
    """Nobody answers where the hook is said to be, or not as a web server does."""


class HookTimeoutError(HookError):
    """The hook did not answer in time."""


class AmbiguousError(MillpondError):
    """What was asked for may be one of several things; the message names some."""


class NotFoundError(MillpondError):
    """What was asked for is not there."""


class LeaseLostError(MillpondError):
    """The slice of a bulk publish belongs to another worker by now."""


class LoginProviderError(MillpondError):
    """The keys of a login provider cannot be read."""


class PushError(MillpondError):
    """A push service cannot take a message for now, or as it is set up."""


class EndpointGoneError(PushError):
    """The push service has given a device up; it must register again first."""


class SinkError(_HintedError):
    """The sink refused records in a way that a repeat does not mend."""


class SinkUnavailableError(SinkError):
    """The stream cannot be reached for now."""

    retryable = True


class StreamGoneError(SinkError):
    """The stream does not exist."""


class StreamUnfitError(SinkError):
    """
    The stream is set up so that it would not keep what it acknowledges.

    People mend that by changing the stream, so what waits for it goes on waiting.
    """
