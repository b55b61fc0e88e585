"""A server does what the OpenAPI documents say, and refuses the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from botocore.credentials import Credentials

from acceptance.openapi_runs import Run, faults_of
from acceptance.openapi_world import DOCUMENTS, SigV4, World, operations, unsigned
from millpond.testing.ephemeral import EphemeralServer

EXAMPLES = int(os.environ.get("MILLPOND_TEST_SCHEMATHESIS_EXAMPLES", "2"))
EVERY = [(name, each) for name, made in DOCUMENTS.items() for each in operations(made)]
IDS = [f"{name}-{each}" for name, each in EVERY]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A server for tests, in a process of its own."""
    with EphemeralServer() as server:
        yield World(server)


@pytest.mark.timeout(max(120, 30 * EXAMPLES))
@pytest.mark.parametrize(("name", "operation_id"), EVERY, ids=IDS)
def test_a_server_does_what_is_described(
    name: str, operation_id: str, world: World
) -> None:
    """
    What is valid is not refused for its form, what is not is refused, and answers are
    of the statuses, headers, types and schemas that are described.

        MILLPOND_TEST_SCHEMATHESIS_EXAMPLES=100 pytest tests/acceptance/test_openapi.py

    With more examples than one asks for here, the bounds are tried as well.
    """
    run = Run(world, name, operation_id)
    run.rounds(EXAMPLES)
    if "MILLPOND_TEST_SCHEMATHESIS_EXAMPLES" in os.environ:
        run.bounds()

    assert [*faults_of(run)] == []
    assert run.statuses
    if any("sigv4" in option for option in run.definition["security"]):
        _check_signed(run, name, world)


def _check_signed(run: Run, name: str, world: World) -> None:
    """What is to be signed is refused otherwise, with a status that is described."""
    wrong = Credentials(world.server.access_key_id, "wrong")
    for auth, said in ((unsigned, b"Missing"), (SigV4(wrong, name), b"Signature")):
        answer = run.send(run.valid, auth)

        assert said in answer.content, answer.content
        assert answer.status_code in (400, 403)
        assert str(answer.status_code) in run.definition["responses"]
