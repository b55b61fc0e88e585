"""The examples of the help pages can be run as they stand."""

from __future__ import annotations

import importlib
import json
import shlex
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli.stub import Received
from millpond.cli.api.examples import examples, sample
from millpond.client.api import models
from millpond.client.api.model import ServiceModel
from millpond.contract.shapes import Api
from millpond.wire import query
from millpond.wire.query import QueryRoute, QueryRouter
from millpond.wire.routing import Route, Router


def api_of(name: str) -> Api:
    """The contract behind a command."""
    found: Api = importlib.import_module(models.CONTRACTS[name]).API
    return found


NOTHING = {"sts": "<Response/>"}  # an answer with nothing in it, where it is not {}
OPERATIONS = [
    (api, command)
    for api in models.CONTRACTS
    for command in ServiceModel.load(api).commands
]


@pytest.mark.parametrize(("api", "command"), OPERATIONS)
def test_every_operation_has_examples(api, command):
    """There are at least two, each named, each of this operation."""
    found = [*examples(ServiceModel.load(api).operation(command))]

    assert len(found) >= 2
    for each in found:
        assert each.words[:3] == ["millpond", api, command]
        assert each.caption.endswith(":")


@pytest.mark.parametrize(("api", "command"), OPERATIONS)
def test_every_example_is_on_its_page(run, api, command):
    """The page shows them as they are typed; a shell reads them as they are meant."""
    page = run(api, command, "help").out.partition("\nExamples\n")[2]

    for example in examples(ServiceModel.load(api).operation(command)):
        indented = "".join(f"{'':11}{line}\n" for line in example.text.splitlines())
        assert f"       {example.caption}\n\n{indented}" in page
        one_line = example.text.replace("\\\n", "")  # as a shell does
        assert example.words == shlex.split(one_line)


@pytest.mark.parametrize(("api", "command"), OPERATIONS)
def test_what_an_example_sends_is_valid(run, stub, home, api, command):
    """Our own parser takes each, and the contract takes the request that it makes."""
    router = Router([api_of(api)])
    stub.will_answer(NOTHING.get(api))

    for example in examples(ServiceModel.load(api).operation(command)):
        if "file://input.json" in example.words:
            continue
        result = run(*example.words[1:], "--endpoint-url", stub.url)

        assert (result.code, result.err) == (0, "")
        decoded, route = decode(router, stub.received[-1])
        assert type(decoded) is route.operation.request


def decode(router: Router, sent: Received) -> tuple[Any, Route | QueryRoute]:
    """Read a request as the server does."""
    form = query.read_form(sent.body) if sent.body.startswith(b"Action=") else None
    if form is not None:
        asked = QueryRouter([api_of("sts")]).by_action(form["Action"], form["Version"])
        return asked.decoder.decode(form), asked
    parts = urlsplit(sent.target)
    target = sent.headers.get("x-amz-target")
    if target:
        found, labels = router.by_target(target), None
        assert found is not None
    else:
        by_path = router.by_path(sent.method, parts.path.encode())
        assert by_path is not None
        found, labels = by_path
    headers = {name.encode(): each.encode() for name, each in sent.headers.items()}
    parameters = parts.query.encode()
    return found.decoder.decode(sent.body, labels, parameters, headers), found


@pytest.mark.parametrize(("api", "command"), OPERATIONS)
def test_the_example_with_a_file_sends_what_is_in_it(run, stub, home, api, command):
    """A skeleton, filled in with the values of an example, sends what that sends."""
    operation = ServiceModel.load(api).operation(command)
    stub.will_answer(NOTHING.get(api))
    first, *_, from_file = examples(operation)
    run(*first.words[1:], "--endpoint-url", stub.url)
    skeleton = json.loads(run(api, command, "--generate-cli-skeleton").out)
    filled = {
        name: sample(name, operation.input.members[name])
        for name in skeleton
        if name in operation.input.required
    }
    (home / "input.json").write_text(json.dumps(filled))

    result = run(*from_file.words[1:], "--endpoint-url", stub.url)

    assert (result.code, result.err) == (0, "")
    by_options, by_file = stub.received
    assert by_options.target == by_file.target
    if api == "sts":
        assert by_options.body == by_file.body
    else:
        assert json.loads(by_options.body or "{}") == json.loads(by_file.body or "{}")
