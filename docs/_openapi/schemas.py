"""
The shapes of the contract as JSON Schemas, the dialect of OpenAPI 3.1.

A schema says what the server takes and sends, not what a tidy client would. So what is
given to it and what it tells differ: it takes null for an optional member, and a text
for a time. A structure that travels both ways then has a second name, with `Input`.
Unknown members are passed over, so no schema forbids them.

Patterns are in ECMA-262, as JSON Schema wants them, in a spelling that Python and Rust
read alike: a class is written out where they differ about it.
"""

from __future__ import annotations

import json
import typing
from typing import Any, Final

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.shapes import (
    InHeader,
    InPath,
    InQuery,
    Location,
    Shape,
    bare_pattern,
    summary_of,
    unwrap,
)
from millpond.wire.decoding import LIMITED_ELSEWHERE

JsonObject = dict[str, Any]

SCHEMAS: Final = "#/components/schemas/"
NO_NUL: Final = r"^[^\u0000]*$"
_GIVEN: Final = "@given"  # at the end of a name until `finish`
_INPUT: Final = "Input"
_NUL: Final = r"\u0000"  # in no member, whatever its pattern says
_SPACES: Final = r" \t\n\r\f\v"
_CLASSES: Final = {
    "w": "A-Za-z0-9_",
    "d": "0-9",
    "s": _SPACES,
}
_BASE64: Final = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_EPOCH: Final = {
    "type": "number",
    "minimum": limits.EPOCH_S_MIN,
    "maximum": limits.EPOCH_S_MAX,
}
# From -59,999,999,999 to 249,999,999,999, and no further than times can be.
_TEXT_SECONDS: Final = (
    r"^(?:-?[0-5]?[0-9]{1,10}|[0-9]{11}|1[0-9]{11}|2[0-4][0-9]{10})(?:\.[0-9]{1,9})?$"
)
_TEXT_TIMES: Final = (
    {"type": "string", "pattern": _TEXT_SECONDS},
    {"type": "string", "format": "date-time"},
)


def portable_pattern(pattern: str) -> str:
    """Spell a pattern of the contract so that it means the same everywhere."""
    made, at, in_class = "", 0, False
    pattern = pattern.replace(r"\ud800-\uf8ff", r"\ue000-\uf8ff")  # no half characters
    while at < len(pattern):
        each = pattern[at]
        if each == "\\":
            escaped = pattern[at + 1]
            at += 2
            chars = _CLASSES.get(escaped.lower())
            if escaped == "/":
                made += "/"
            elif chars is None:
                made += each + escaped
            elif escaped.isupper():
                alone = made.endswith("[") and pattern[at : at + 1] == "]"
                assert not in_class or alone, f"not of one class: {pattern}"
                made += f"^{_NUL}{chars}" if in_class else f"[^{_NUL}{chars}]"
            else:
                made += chars if in_class else f"[{chars}]"
            continue
        at += 1
        in_class = each == "[" or (in_class and each != "]")
        made += rf"[^{_NUL}\n]" if each == "." and not in_class else each
    return f"^(?:{made})$"


class Schemas:
    """The schemas of a document, each under its name."""

    def __init__(self, *, xml: bool = False) -> None:
        """
        Args:
            xml: answers are XML, in which a time is a text.
        """
        self._xml = xml
        self._made: dict[str, JsonObject] = {}

    def put(self, name: str, schema: JsonObject) -> JsonObject:
        """Add a schema that is of no shape; give a reference to it."""
        known = self._made.setdefault(name, schema)
        assert known == schema, f"two things are called {name}"
        return {"$ref": SCHEMAS + name}

    def find(self, reference: str) -> JsonObject:
        """Find what a reference leads to."""
        return self._made[reference.removeprefix(SCHEMAS)]

    def structure(self, shape: type[Shape], *, given: bool) -> JsonObject:
        """Add a structure and all that it is made of; give a reference to it."""
        name = shape.__name__ + (_GIVEN if given else "")
        if name not in self._made:
            self._made[name] = {}  # for the members, which may come back to it
            self._made[name] = {
                "type": "object",
                "description": summary_of(shape),
                **self.members(shape, given=given),
            }
        return {"$ref": SCHEMAS + name}

    def members(self, shape: type[Shape], *, given: bool) -> JsonObject:
        """Describe the members of a structure that travel in a body."""
        hints = typing.get_type_hints(shape, include_extras=True)
        properties: JsonObject = {}
        required: list[str] = []
        for field in msgspec.structs.fields(shape):
            hint = hints[field.name]
            if location_of(hint) is not None:
                continue
            schema = self.member(hint, given=given)
            if given and shape.__name__.endswith("Request"):
                _bound(schema, field.encode_name)
            if given and not field.required:
                schema = _or_null(schema)
            properties[field.encode_name] = schema
            if field.required:
                required.append(field.encode_name)
        made: JsonObject = {"properties": properties} if properties else {}
        return {**made, "required": required} if required else made

    def member(self, hint: Any, *, given: bool) -> JsonObject:
        """Describe a member: its schema, and what it means at its place."""
        schema = self.value(hint, given=given)
        _, notes = unwrap(hint)
        said = [n.description for n in notes if isinstance(n, Meta) and not n.title]
        return {**schema, "description": said[-1]} if said else schema

    def value(self, hint: Any, *, given: bool) -> JsonObject:
        """Describe what a type may hold; what has a name is added and referred to."""
        core, notes = unwrap(hint)
        if isinstance(core, type) and issubclass(core, Shape):
            return self.structure(core, given=given)
        meta = next(n for n in notes if isinstance(n, Meta) and n.title is not None)
        assert meta.title is not None
        schema = self._plain(core, meta, given=given)
        if meta.description:
            schema["description"] = meta.description
        if meta.examples:
            schema["examples"] = list(meta.examples)
        is_named = core is str or typing.get_origin(core) is typing.Literal
        if is_named and (meta.description or meta.pattern):
            return self.put(meta.title, schema)
        return schema

    def _plain(self, core: Any, meta: Meta, *, given: bool) -> JsonObject:
        origin, arguments = typing.get_origin(core), typing.get_args(core)
        if origin is typing.Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin is list:
            items = self.value(arguments[0], given=given)
            bounds = _bounds(meta, "Items", given=given)
            return {"type": "array", "items": items, **bounds}
        if origin is dict:
            keys, values = (self.value(each, given=given) for each in arguments)
            made = {"type": "object", "additionalProperties": values}
            bounds = _bounds(meta, "Properties", given=given)
            return {**made, "propertyNames": keys, **bounds}
        if core is str:
            pattern = NO_NUL
            if meta.pattern is not None:
                pattern = portable_pattern(bare_pattern(meta.pattern))
            return {"type": "string", **_bounds(meta, "Length"), "pattern": pattern}
        if core is bytes:
            return _blob(meta)
        if core is bool:
            return {"type": "boolean"}
        if core is int:
            return {"type": "integer", "minimum": meta.ge, "maximum": meta.le}
        return self._number(meta, given=given)

    def _number(self, meta: Meta, *, given: bool) -> JsonObject:
        if meta.title == "Double":
            return {"type": "number"}
        if given:
            return {"anyOf": [dict(_EPOCH), *map(dict, _TEXT_TIMES)]}
        if self._xml:
            return {"type": "string", "format": "date-time"}
        return dict(_EPOCH)

    def finish(self, document: JsonObject) -> JsonObject:
        """Put the schemas into a document that refers to them, all by their names."""
        split = self._split()
        names = {name: _final(name, split) for name in self._made}
        components = document.setdefault("components", {})
        components["schemas"] = {
            names[name]: schema for name, schema in sorted(self._made.items())
        }
        renamed: JsonObject = _renamed(document, names)
        return renamed

    def _split(self) -> set[str]:
        """Which structures differ by whether they are given or told."""
        pairs = {
            name: (
                json.dumps(self._made[name + _GIVEN], sort_keys=True),
                json.dumps(schema, sort_keys=True),
            )
            for name, schema in self._made.items()
            if name + _GIVEN in self._made
        }
        split = {n for n, (a, b) in pairs.items() if a.replace(_GIVEN, "") != b}
        while True:
            more = {
                name
                for name, (_, told) in pairs.items()
                if any(f'"{SCHEMAS}{each}"' in told for each in split)
            } - split
            if not more:
                return split
            split |= more


def _final(name: str, split: set[str]) -> str:
    bare = name.removesuffix(_GIVEN)
    return bare + _INPUT if name != bare and bare in split else bare


def location_of(hint: Any) -> Location | None:
    """Say where a member travels; None: in the body."""
    _, notes = unwrap(hint)
    kinds = InPath | InQuery | InHeader
    return next((note for note in notes if isinstance(note, kinds)), None)


def _bounds(meta: Meta, noun: str, *, given: bool = True) -> JsonObject:
    """Give the bounds of a length; a list that is told may be empty, as at AWS."""
    bounds = {f"min{noun}": meta.min_length, f"max{noun}": meta.max_length}
    if not given:
        bounds.pop(f"min{noun}")
    return {name: value for name, value in bounds.items() if value is not None}


def _bound(schema: JsonObject, name: str) -> None:
    """Bound a list or a map of a request to which its API gives no maximum."""
    noun = {"array": "maxItems", "object": "maxProperties"}.get(schema.get("type", ""))
    if noun is not None and name not in LIMITED_ELSEWHERE:
        schema.setdefault(noun, limits.ITEMS_MAX)


def _blob(meta: Meta) -> JsonObject:
    made: JsonObject = {"type": "string", "contentEncoding": "base64"}
    if meta.max_length is not None:
        made["maxLength"] = -(-meta.max_length // 3) * 4
    return {**made, "pattern": _BASE64}


def _or_null(schema: JsonObject) -> JsonObject:
    """Let a null stand for a member that is absent."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    outside = {name: schema[name] for name in ("description",) if name in schema}
    inside = {name: value for name, value in schema.items() if name not in outside}
    options = inside["anyOf"] if [*inside] == ["anyOf"] else [inside]
    return {"anyOf": [*options, {"type": "null"}], **outside}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, str) and value.startswith(SCHEMAS):
        name = value.removeprefix(SCHEMAS)
        return SCHEMAS + names.get(name, name)
    return value
