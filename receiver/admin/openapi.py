"""The OpenAPI 3.1 description of the private API, from its endpoints and their models."""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final

from pydantic import TypeAdapter

from receiver.admin.endpoint import Endpoint
from receiver.admin.parameters import Referred
from receiver.admin.token import OPEN_PATHS
from receiver.operations import schemas

Described = dict[str, Any]

_NAMES: Final = re.compile(r"\{(\w+)\}")
_REFUSALS: Final = {
    400: "The message names the field.",
    401: "The token is missing or wrong.",
    403: "The request has an Origin header.",
    404: "No such row.",
    413: "The body is larger than 64 KiB.",
    415: "The body has a Content-Encoding.",
    500: "A bug; the log says more.",
    502: "The provider does not answer, or refused our key.",
    503: "The database does not answer, or its schema belongs to another release.",
}


def describe(endpoints: Sequence[Endpoint]) -> Described:
    """Return the description of *endpoints*."""
    kinds = [kind for one in endpoints for kind in (one.body, one.answer, one.begun) if kind is not None]
    adapters = {repr(kind): TypeAdapter(kind) for kind in [*kinds, schemas.Error]}
    made, shared = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters.items()],
        ref_template="#/components/schemas/{model}",
    )
    known: dict[str, Any] = {name: schema for (name, _), schema in made.items()}
    paths: dict[str, Described] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "receiver, the admin API", "version": version("avs-receiver")},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": shared.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Endpoint, known: dict[str, Any]) -> Described:
    answers: Described = {}
    if one.answer is not None:
        answers["200"] = _answer("Done", _json(known[repr(one.answer)]))
    elif one.begun is None:
        answers["200"] = _answer("Done", {"text/plain": {"schema": {"type": "string"}}})
    if one.begun is not None:
        answers["202"] = _answer("It goes on in the background", _json(known[repr(one.begun)]))
    refusal = _json(known[repr(schemas.Error)])
    answers |= {str(status): _answer(_REFUSALS[status], refusal) for status in _statuses(one)}
    described: Described = {
        "operationId": f"{one.method.lower()} {one.path}",
        "summary": one.summary,
        "parameters": [*_in_path(one), *_in_query(one)],
        "responses": answers,
    }
    if one.body is not None:
        described["requestBody"] = {"content": _json(known[repr(one.body)])}
    if one.path in OPEN_PATHS:
        described["security"] = []
    return described


def _statuses(one: Endpoint) -> Iterator[int]:
    if one.query or one.body:
        yield 400
    if one.path not in OPEN_PATHS:
        yield 401
    yield 403
    settles = one.body is not None and issubclass(one.body, Referred)
    if settles or _NAMES.search(one.path):
        yield 404
    if one.body:
        yield from (413, 415)
    yield from (500, 502, 503) if settles else (500, 503)


def _in_path(one: Endpoint) -> Iterator[Described]:
    for name in _NAMES.findall(one.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(one: Endpoint) -> Iterator[Described]:
    if one.query is None:
        return
    schema = one.query.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, described in schema["properties"].items():
        # A value that may be left out: a query has no null.
        kinds = [kind for kind in described.get("anyOf", ()) if kind != {"type": "null"}]
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": kinds[0] if len(kinds) == 1 else described,
        }


def _json(schema: Described) -> Described:
    return {"application/json": {"schema": schema}}


def _answer(text: str, content: Described) -> Described:
    return {"description": text, "content": content}
