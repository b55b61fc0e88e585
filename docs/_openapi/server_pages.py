"""
The plain pages of a server: health, metrics, keys, payloads, and what tests are given.

They are no operations, so no contract has them; `server.pages` and `server.controls`
are their source. A test holds this list to theirs.
"""

from __future__ import annotations

from typing import Any, Final

from _openapi.operations import LICENSE, OPENAPI, SERVERS
from millpond.server.controls import PATH as CONTROLS
from millpond.server.pages import DISCOVERY_PATH, JWKS_PATH
from millpond.service.token_keys import ALGORITHM
from millpond.sinks.embedded_payloads import PAYLOAD_PATH

JsonObject = dict[str, Any]

WATCH: Final = "Watching"
READ: Final = "Reading along"
TESTS: Final = "Tests of apps"
_INTEGER: Final = {"type": "integer"}
_TEXT: Final = {"type": "string"}
_MESSAGE: Final = {
    "type": "object",
    "properties": {"message": _TEXT},
    "required": ["message"],
}
_STORE_AWAY: Final = "The store does not answer; `Retry-After` says when to try again."


def document() -> JsonObject:
    """Describe the pages."""
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Millpond: pages of the server",
            "version": "1",
            "description": "What a server offers beside the APIs of AWS. None of it "
            "is signed. The console is for people and is not described here.",
            "license": LICENSE,
        },
        "servers": SERVERS,
        "tags": [{"name": each} for each in (WATCH, READ, TESTS)],
        "paths": {**_watching(), **_reading_along(), **_tests_of_apps()},
        "components": {
            "schemas": {"Message": _MESSAGE},
            "securitySchemes": {
                "developer_key": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The id and the secret of a developer key that may "
                    "do all.",
                }
            },
        },
    }


def _watching() -> JsonObject:
    return {
        "/healthz": _get(
            "healthz",
            WATCH,
            "Tell that the process answers.",
            {"200": _plain("It does.")},
        ),
        "/readyz": _get(
            "readyz",
            WATCH,
            "Tell whether requests can be sent here.",
            {
                "200": _plain("They can. A second line tells of damage in the store."),
                "503": _plain("They cannot: it drains, or its store is away."),
            },
        ),
        "/version": _get(
            "version",
            WATCH,
            "Tell what runs.",
            {
                "200": _json(
                    "The version of Millpond and of Python, and the kind of store.",
                    _object(version=_TEXT, python=_TEXT, store=_TEXT),
                )
            },
        ),
        "/metrics": _get(
            "metrics",
            WATCH,
            "Tell the figures of the server, for Prometheus.",
            {"200": _plain("The text format of Prometheus.")},
        ),
    }


def _reading_along() -> JsonObject:
    away = {"503": _refused(_STORE_AWAY), "500": _refused("What is stored is damaged.")}
    key = _object(kty=_TEXT, kid=_TEXT, use=_TEXT, alg=_TEXT, n=_TEXT, e=_TEXT)
    keys = _object(keys={"type": "array", "items": key})
    configuration = _object(
        issuer=_TEXT,
        jwks_uri=_TEXT,
        response_types_supported=_list_of("id_token"),
        subject_types_supported=_list_of("public"),
        id_token_signing_alg_values_supported=_list_of(ALGORITHM),
    )
    payload = _get(
        "stream_payload",
        READ,
        "Fetch the records of a stream record that was too large to hold them.",
        {
            "200": _json(
                "The records, as a JSON array.",
                {"type": "array", "items": {"type": "object"}},
            ),
            "404": _refused("There is no such payload, or it has expired."),
            **away,
        },
    )
    payload["get"]["parameters"] = [
        {
            "name": "payload_id",
            "in": "path",
            "required": True,
            "description": "The last part of `S3Url`. Who knows it may read.",
            "schema": {"type": "string", "pattern": "^[^/]+$"},
        }
    ]
    return {
        DISCOVERY_PATH: _get(
            "openid_configuration",
            READ,
            "Tell who signs the OpenID tokens of identities.",
            {"200": _json("OpenID Connect discovery.", configuration), **away},
        ),
        JWKS_PATH: _get(
            "jwks",
            READ,
            "Give the keys that verify the OpenID tokens of identities.",
            {"200": _json("A JSON Web Key Set.", keys), **away},
        ),
        PAYLOAD_PATH + "{payload_id}": payload,
    }


def _tests_of_apps() -> JsonObject:
    """Describe what `serve --ephemeral` has, and no other server."""
    clock = _object(now_ms=_INTEGER, ahead_ms=_INTEGER)
    refused = {
        "400": _refused("A parameter is wrong."),
        "401": _refused("No developer key was shown that may do all."),
    }
    return {
        f"{CONTROLS}clock": {
            **_get(
                "show_clock",
                TESTS,
                "Tell the time of the server, and how far ahead it is.",
                {"200": _json("The clock.", clock), **refused},
                guarded=True,
            ),
            "post": {
                **_operation(
                    "move_clock",
                    TESTS,
                    "Let time pass: what expires by then is gone.",
                    {"200": _json("The clock.", clock), **refused},
                    guarded=True,
                ),
                "parameters": [
                    _number("advance_ms", "How many ms pass.", required=True)
                ],
            },
        },
        f"{CONTROLS}reset": {
            "post": _operation(
                "reset",
                TESTS,
                "Drop all data and calls, and set the clock right.",
                {"200": _json("Done.", {"type": "object"}), **refused},
                guarded=True,
            )
        },
        f"{CONTROLS}calls": {
            "get": {
                **_operation(
                    "list_calls",
                    TESTS,
                    "List the calls that apps made.",
                    {
                        "200": _json(
                            "The calls, the oldest first.",
                            _object(
                                calls={"type": "array", "items": {"type": "object"}}
                            ),
                        ),
                        **refused,
                    },
                    guarded=True,
                ),
                "parameters": [
                    _number("after", "Those after the call of this number.")
                ],
            }
        },
    }


def _get(
    name: str, tag: str, summary: str, responses: JsonObject, *, guarded: bool = False
) -> JsonObject:
    return {"get": _operation(name, tag, summary, responses, guarded=guarded)}


def _operation(
    name: str, tag: str, summary: str, responses: JsonObject, *, guarded: bool = False
) -> JsonObject:
    described = {"operationId": name, "tags": [tag], "summary": summary}
    security = [{"developer_key": []}] if guarded else []
    return {**described, "responses": responses, "security": security}


def _number(name: str, description: str, *, required: bool = False) -> JsonObject:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
    }


def _plain(description: str) -> JsonObject:
    return {"description": description, "content": {"text/plain": {"schema": _TEXT}}}


def _json(description: str, schema: JsonObject) -> JsonObject:
    content = {"application/json": {"schema": schema}}
    return {"description": description, "content": content}


def _refused(description: str) -> JsonObject:
    return _json(description, {"$ref": "#/components/schemas/Message"})


def _object(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _list_of(value: str) -> JsonObject:
    return {"type": "array", "items": {"const": value}}
