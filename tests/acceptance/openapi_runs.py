"""
One operation of an OpenAPI document, tried on a server by schemathesis.

Three rounds: what the document lets through, made up; the same, about what there is;
what it does not let through. And the bounds of all that is sent, one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from acceptance.openapi_world import JsonObject, World, alone
from millpond.testing.deadlines import seconds

_AWS_JSON: Final = "application/x-amz-json-1.1"

load_all_checks()
schemathesis.serializer.alias(_AWS_JSON, "application/json")


@schemathesis.deserializer(_AWS_JSON)
def read_json(context: Any, response: Any) -> Any:
    """Read an answer of AWS JSON."""
    return json.loads(response.content)


CHECKS: Final = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
)
# What is valid may be refused for what it asks, never for how it is written.
_OF_FORM: Final = (b"validation error", b"SerializationException", b"MalformedInput")
_STREAMS: Final = ("text/event-stream", "application/vnd.amazon.eventstream")
_CONFIG: Final = {
    "generation": {"with-security-parameters": False},
    "phases": {"coverage": {"unexpected-methods": []}},
}
_TIMEOUT_S: Final = 60.0


class Run:
    """Calls one operation, and notes what is not as its document says."""

    def __init__(self, world: World, name: str, operation_id: str) -> None:
        self._world = world
        self._name = name
        self.operation_id = operation_id
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.faults: Counter[str] = Counter()
        self.valid: Any = None
        """The last request that the document lets through."""
        world.renew()
        self._session = requests.Session()
        self._session.trust_env = False

    def rounds(self, examples: int) -> None:
        """Do the three rounds, with so many examples in each."""
        made_up, known = self._load({}), self._load(self._world.known)
        self._choose(made_up, GenerationMode.POSITIVE, examples)
        self._choose(known, GenerationMode.POSITIVE, examples)
        self._choose(made_up, GenerationMode.NEGATIVE, examples)

    def bounds(self) -> None:
        """Try the bounds of all that is sent, one by one."""
        made_up = self._load({})
        for case in made_up.schema.iter_coverage_cases(
            made_up,
            generation_modes=list(GenerationMode),
            generation_config=made_up.schema.config.generation,
        ):
            self.call(case)

    def _load(self, known: dict[str, list[Any]]) -> Any:
        document = alone(self._name, self.operation_id, known)
        (self.definition,) = (
            each for item in document["paths"].values() for each in item.values()
        )
        config = SchemathesisConfig.from_dict(_CONFIG)
        schema = schemathesis.openapi.from_dict(document, config=config)
        (found,) = schema.get_all_operations()
        assert isinstance(found, Ok)
        return found.ok()

    def _choose(self, operation: Any, mode: GenerationMode, examples: int) -> None:
        strategy = operation.as_strategy(generation_mode=mode)
        try:
            _quietly(examples)(given(case=strategy)(lambda case: self.call(case)))()
        except Unsatisfiable:
            assert mode.is_negative, "what takes anything can be sent nothing wrong"

    def call(self, case: Any) -> None:
        """Make a call and look at the answer."""
        answer = self.send(case)
        mode = case.meta.generation.mode
        if mode.is_positive:
            self.valid = case
        self.statuses[mode.value, answer.status_code] += 1
        if mode.is_positive and any(each in answer.content for each in _OF_FORM):
            self._note("valid, and refused for its form", case, answer)
        if answer.status_code == 403 and b"ignature" in answer.content:
            self._note("the signature is not believed", case, answer)
        for check in CHECKS:
            try:
                case.validate_response(answer, checks=[check])
            except FailureGroup as failures:
                self._note(str(failures.exceptions[0]), case, answer)

    def send(self, case: Any, auth: Any = None) -> requests.Response:
        """Send a request, signed by whoever may call; of a stream only the head."""
        asked = case.as_transport_kwargs(self._world.server.endpoint)
        if isinstance(asked.get("json"), dict):
            asked["json"] = _as_written(asked["json"])
            self._continue_session(case, asked["json"])
        asked["auth"] = auth or self._world.auth(self._name, self.definition)
        wait_s = seconds(_TIMEOUT_S)
        answer = self._session.request(**asked, stream=True, timeout=wait_s)
        if answer.headers.get("content-type", "").startswith(_STREAMS):
            answer._content = b""
            answer.close()
        assert answer.content is not None
        return answer

    def _continue_session(self, case: Any, body: JsonObject) -> None:
        """Give an update what no schema has: the token of a listing."""
        is_known = case.path_parameters.get("DatasetName") == "prefs"
        if (
            is_known
            and case.meta.generation.mode.is_positive
            and "SyncSessionToken" in body
        ):
            body["SyncSessionToken"] = self._world.fresh_token()

    def _note(self, fault: str, case: Any, answer: requests.Response) -> None:
        asked = answer.request
        body = str(asked.body)[:500]
        self.faults[
            f"{self.operation_id}, {case.meta.phase.name.value}: {fault[:600]}\n"
            f"{asked.method} {str(asked.url)[:500]} {body}\n"
            f"{answer.status_code} {answer.content[:300]!r}"
        ] += 1


def _quietly(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )


def _as_written(value: Any) -> Any:
    """Write integers as such: to JSON Schema 1.0 is one, to the API it is not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _as_written(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_written(each) for each in value]
    return value


def faults_of(run: Run) -> Iterator[str]:
    """List a few of the faults, each with how often it came."""
    for fault, count in run.faults.most_common(4):
        yield f"{count}x {fault}"
