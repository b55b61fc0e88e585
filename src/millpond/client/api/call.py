"""
One call: settle where and as whom, check, sign, send, try again, read the answer.

`prepare` does all that comes before the network, in the order in which the AWS CLI
finds fault: region, credentials, endpoint, retries, then the input. It serves the
sample of an answer too, which checks everything and sends nothing.
"""

from __future__ import annotations

from millpond.client.api import binary, endpoints, validation
from millpond.client.api.credentials import Elsewhere, NoCredentialsFault, find
from millpond.client.api.faults import Fault, PlainFault
from millpond.client.api.retries import Policy, check_defaults_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, Protocol

    from millpond.client.api.answers import ServiceError
    from millpond.client.api.configuration import Configuration
    from millpond.client.api.credentials import Credentials
    from millpond.client.api.idle import Idle
    from millpond.client.api.model import OperationModel
    from millpond.client.api.transport import Lines, Request, Response, Settings
    from millpond.client.api.ways import Ways

    Tell = Callable[[str], None]

    class Options(Protocol):
        """
        What is said for one call, and goes before the settings; `None` says nothing.

        A timeout is in seconds, and `None` waits for ever. `debug` has what is sent and
        received told on standard error.
        """

        ca_bundle: str | None
        cli_binary_format: str | None
        connect_timeout: float | None
        debug: bool
        endpoint_url: str | None
        read_timeout: float | None
        region: str | None
        sign_request: bool
        verify_ssl: bool


# Errors that have to do with how something is set up, and not with what is asked.
_EXAMINED: Final = frozenset(
    {
        *("AccessDeniedException", "ExpiredTokenException", "InternalErrorException"),
        *("ExternalServiceException", "InvalidLambdaFunctionOutputException"),
        *("IncompleteSignatureException", "InvalidSignatureException"),
        *("LambdaSocketTimeoutException", "LambdaThrottledException"),
        *("MissingAuthenticationTokenException", "NotAuthorizedException"),
        *("ServiceUnavailableException", "UnknownOperationException"),
        "UnrecognizedClientException",
    }
)
_PATH_UNTOUCHED: Final = "/%:@!$&'()*+,;=-._~"


class RefusedFault(Fault):
    """
    The service answered with an error.

    Args:
        headers: of the answer; names are in lower case.
    """

    exit_code_v2 = 254

    def __init__(
        self, message: str, error: ServiceError, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.error = error
        self.headers = headers or {}
        self.can_be_examined = error.code in _EXAMINED


class Call:
    """
    A call that is settled and checked, and not yet made.

    `skew_s` is how far the clock of the service is ahead of ours, where that is known;
    `idle` has connections to use again.
    """

    skew_s = 0.0
    idle: Idle | None = None

    def __init__(
        self,
        operation: OperationModel,
        parameters: dict[str, Any],
        *,
        endpoint_url: str,
        region: str,
        credentials: Credentials | Elsewhere | None,
        signed: bool,
        policy: Policy,
        ca_bundle: str | None,
        ways: Ways,
    ) -> None:
        self.operation = operation
        self.parameters = parameters
        self.endpoint_url = endpoint_url
        self.region = region
        self.credentials = credentials
        self.signed = signed
        self.policy = policy
        self.ca_bundle = ca_bundle
        self.ways = ways


def prepare(
    operation: OperationModel,
    parameters: dict[str, Any],
    options: Options,
    configuration: Configuration,
) -> Call:
    """Settle where a call goes and as whom, and check its input."""
    binary_format = binary.settle(options.cli_binary_format, configuration)
    region = options.region
    if region is None:
        region = configuration.get("region")
    endpoints.check_region(region)
    signed = options.sign_request and operation.signed
    credentials = find(configuration, region) if signed else None
    check_defaults_mode(configuration)
    if region is None:
        raise PlainFault(
            "You must specify a region. You can also configure your region by running "
            '"aws configure".'
        )
    region, is_fips = endpoints.settle_region(region)
    service = operation.service
    url = options.endpoint_url or configuration.endpoint_url(service.snake_name)
    if url is None:
        url = endpoints.default_url(
            service.metadata["endpointPrefix"],
            region,
            fips=is_fips or configuration.is_on("use_fips_endpoint"),
            dual_stack=configuration.is_on("use_dualstack_endpoint"),
        )
    policy = Policy.configured(configuration)
    endpoints.check_url(url)
    ca_bundle = find_ca_bundle(options, configuration)
    if binary_format == binary.BASE64:
        parameters = binary.decode(parameters, operation.input)
    if configuration.is_on("parameter_validation", default=True):
        validation.check(parameters, operation.input)
    return Call(
        operation,
        parameters,
        endpoint_url=url,
        region=region,
        credentials=credentials,
        signed=signed,
        policy=policy,
        ca_bundle=ca_bundle,
        ways=configuration.ways,
    )


def make(call: Call, options: Options) -> Response:
    """
    Make a call, as often as the policy says.

    Raises:
        RefusedFault: the service answered with an error.
        ConnectionFault: it could not be reached.
    """
    from millpond.client.api import answers, transport

    tell = _narrator(options)
    credentials = _fetch(call)
    request = _build_request(call)
    settings = _settings(call, options)
    attempts = 0
    while True:
        attempts += 1
        try:
            response = _attempt(call, request, credentials, settings, tell)
        except transport.ConnectionFault as fault:
            tell(f"attempt {attempts}: {fault}")
            if attempts >= call.policy.attempts_max:
                raise
        else:
            if not answers.is_error(response):
                return response
            error = answers.parse_error(response, call.operation.service.protocol)
            again = call.policy.applies_to(error)
            if attempts >= call.policy.attempts_max:
                # AWS: "standard" says so even where it would not have tried again.
                again = again or call.policy.mode != "legacy"
                retried = attempts - 1 if again else None
                raise _refusal(call, error, response, retried=retried)
            if not again:
                raise _refusal(call, error, response, retried=None)
        _sleep(call.policy.pause_s(attempts))


def listen(call: Call, options: Options) -> Lines:
    """
    Make a call whose answer goes on, once.

    Raises:
        RefusedFault: the service answered with an error.
        ConnectionFault: it could not be reached.
    """
    from millpond.client.api import answers, transport

    request = _build_request(call)
    _sign(call, request, _fetch(call))
    answer = transport.listen(request, _settings(call, options))
    if isinstance(answer, transport.Lines):
        return answer
    error = answers.parse_error(answer, call.operation.service.protocol)
    raise _refusal(call, error, answer, retried=None)


def _refusal(
    call: Call, error: ServiceError, response: Response, *, retried: int | None
) -> RefusedFault:
    retries = "" if retried is None else f" (reached max retries: {retried})"
    return RefusedFault(
        f"An error occurred ({error.code}) when calling the {call.operation.name} "
        f"operation{retries}: {error.message}",
        error,
        response.headers,
    )


def _fetch(call: Call) -> Credentials | None:
    if not call.signed:
        return None
    if isinstance(call.credentials, Elsewhere):
        return call.credentials.fetch()
    if call.credentials is None:
        raise NoCredentialsFault
    return call.credentials


def _build_request(call: Call) -> Request:
    from urllib.parse import quote, urlsplit, urlunsplit

    from millpond import __version__
    from millpond.client.api import serializing, transport

    parts = serializing.serialize(call.operation, call.parameters, call.ways)
    base = urlsplit(call.endpoint_url)
    # AWS: the path and the query of an endpoint are kept, and made fit to be sent.
    path = quote(base.path.removesuffix("/"), safe=_PATH_UNTOUCHED) + parts.path
    pairs = (
        f"{serializing.percent_encode(name)}={serializing.percent_encode(value)}"
        for name, value in parts.query.items()
    )
    query = "&".join(filter(None, (base.query, *pairs)))
    url = urlunsplit((base.scheme, base.netloc, path, query, ""))
    headers = {"User-Agent": f"millpond/{__version__}", **parts.headers}
    return transport.Request(call.operation.method, url, headers, parts.body)


def find_ca_bundle(options: Options, configuration: Configuration) -> str | None:
    """Find the file of certificates to trust, where one is named."""
    bundle: str | None = options.ca_bundle
    if bundle is None:
        bundle = configuration.get("ca_bundle")
    if bundle is None:
        bundle = configuration.environment.get("REQUESTS_CA_BUNDLE")
    if bundle is not None and not bundle.strip() and options.verify_ssl:
        raise Fault(
            "Invalid CA bundle: the configured value (ca_bundle, AWS_CA_BUNDLE, "
            "REQUESTS_CA_BUNDLE, or verify) resolved to an empty or whitespace-only "
            "string. Provide a valid path to a CA bundle file."
        )
    return bundle


def _settings(call: Call, options: Options) -> Settings:
    from millpond.client.api import transport

    for name in ("connect", "read"):
        timeout_s = getattr(options, f"{name}_timeout")
        if timeout_s is not None and timeout_s < 0:
            raise Fault(
                f"Attempted to set {name} timeout to {timeout_s}, but the timeout "
                "cannot be set to a value less than or equal to 0."
            )
    return transport.Settings(
        connect_timeout_s=options.connect_timeout,
        read_timeout_s=options.read_timeout,
        verify=options.verify_ssl,
        ca_bundle=call.ca_bundle,
        idle=call.idle,
    )


def _attempt(
    call: Call,
    request: Request,
    credentials: Credentials | None,
    settings: Settings,
    tell: Tell,
) -> Response:
    from millpond.client.api import transport

    _sign(call, request, credentials)
    tell(f"{request.method} {request.url}, {len(request.body)} bytes")
    response = transport.send(request, settings)
    request_id = response.headers.get("x-amzn-requestid", "none")
    tell(f"{response.status}, {len(response.body)} bytes, request id {request_id}")
    return response


def _sign(call: Call, request: Request, credentials: Credentials | None) -> None:
    import time

    from millpond.client.api import signing

    if credentials is not None:
        signing.sign(
            request,
            credentials,
            region=call.region,
            service=call.operation.service.metadata["endpointPrefix"],
            now_s=time.time() + call.skew_s,
        )


def _narrator(options: Options) -> Tell:
    """What --debug writes. Ours: neither values nor secrets, which AWS shows."""
    if not options.debug:
        return lambda _: None
    import sys

    return lambda text: print(f"millpond: debug: {text}", file=sys.stderr)


def _sleep(pause_s: float) -> None:
    import time

    time.sleep(pause_s)
