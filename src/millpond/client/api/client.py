"""
Calls whose answers are looked at.

A command of the API makes one call and prints it. `doctor` and a watched bulk publish
make several, so a client is settled once (endpoint, region, credentials, certificates),
makes each call as often as it is told to, and never tries again by itself.
"""

from __future__ import annotations

from millpond.client.api import answers, call
from millpond.client.api.retries import Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from millpond.client.api.call import Call, Options
    from millpond.client.api.configuration import Configuration
    from millpond.client.api.model import ServiceModel
    from millpond.client.api.transport import Lines, Response

_ONCE: Final = Policy("legacy", attempts_max=1)


class Answer:
    """What came back: the result, and the response that carried it."""

    def __init__(self, result: dict[str, Any], response: Response) -> None:
        self.result = result
        self.response = response


class Client:
    """
    Calls operations of one API.

    Args:
        options: what goes before the settings.
    """

    def __init__(
        self, options: Options, configuration: Configuration, service: ServiceModel
    ) -> None:
        self._options = options
        self._configuration = configuration
        self._service = service
        self._prepared: dict[str, call.Call] = {}

    def call(self, operation: str, **parameters: Any) -> Answer:
        """
        Make one call of an operation, by its name on the command line.

        Raises:
            RefusedFault: the service answered with an error.
            ConnectionFault: it could not be reached.
            Fault: the call cannot be made at all.
        """
        prepared = self._prepare(operation, parameters)
        response = call.make(prepared, self._options)
        return Answer(
            answers.parse_result(response, prepared.operation, lambda value: value),
            response,
        )

    def listen(self, operation: str, **parameters: Any) -> Lines:
        """
        Make a call of an operation whose answer goes on: its lines, to be closed.

        Raises:
            RefusedFault, ConnectionFault, Fault: as `call` does.
        """
        return call.listen(self._prepare(operation, parameters), self._options)

    def _prepare(self, operation: str, parameters: dict[str, Any]) -> Call:
        model = self._service.operation(operation)
        prepared = self._prepared.get(operation)
        if prepared is None or prepared.parameters != parameters:
            prepared = call.prepare(
                model, parameters, self._options, self._configuration
            )
            prepared.policy = _ONCE
            self._prepared[operation] = prepared
        return prepared
