"""The API as OpenAPI 3.1 describes it, in the default dialect."""

from typing import Any, Final

from receiver.contract import (
    KINDS,
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    RATE_LIMIT_HEADERS,
    SIGNATURE_HEADER,
    STATUSES,
)
from receiver.sandbox.schemas import SCHEMAS, Schema, reference, words

_KEY: Final[list[Any]] = [{"apiKey": []}]
_SESSION: Final[list[Any]] = [{"session": []}]
_REFUSALS: Final = {"401": "Unauthorized", "403": "Forbidden", "429": "RateLimited", "500": "InternalError"}
_WRITE_REFUSALS: Final = {"400": "InvalidRequest", "413": "InvalidRequest"}
_MISSING: Final = {"404": "NotFound"}
_GENERATION: Final = ("generations.get",)
_ONE_WEBHOOK: Final = ("webhooks.update", "webhooks.replace", "webhooks.delete")


def describe(base_url: str) -> dict[str, Any]:
    """Return the description of the API at *base_url*."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AI Visual Studio, emulated",
            "version": "1",
            "description": "As https://aivisualstudio.co/docs/api says; where that is silent, one way.",
        },
        "servers": [{"url": base_url}],
        "paths": _PATHS,
        "webhooks": {"generation": {"post": _WEBHOOK}},
        "components": {
            "schemas": SCHEMAS,
            "responses": {
                name: _refusal(name) for name in {**_REFUSALS, **_WRITE_REFUSALS, **_MISSING}.values()
            },
            "headers": {name: _limit_header(name) for name in RATE_LIMIT_HEADERS},
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }


def _limit_header(name: str) -> Schema:
    return {
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
        "description": f"{name}, per API key",
    }


def _limit_headers() -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS}


def _json(schema: str) -> Schema:
    return {"application/json": {"schema": reference(schema)}}


def _refusal(name: str) -> Schema:
    return {"description": name, "headers": _limit_headers(), "content": _json("Error")}


def _operation(
    name: str,
    *,
    answer: tuple[str, str | None],
    body: str | None = None,
    parameters: tuple[Schema, ...] = (),
    missing: bool = False,
    leads_to: tuple[str, ...] = (),
    security: list[Any] = _KEY,
) -> Schema:
    status, schema = answer
    refusals = _REFUSALS | (_WRITE_REFUSALS if body else {}) | (_MISSING if missing else {})
    if parameters and not missing:
        refusals = refusals | {"400": "InvalidRequest"}
    answers = {code: {"$ref": f"#/components/responses/{refusal}"} for code, refusal in refusals.items()}
    request = {"requestBody": {"required": True, "content": _json(body)}} if body else {}
    return {
        "operationId": name,
        "security": security,
        "parameters": list(parameters),
        "responses": {status: _success(schema, leads_to), **answers},
        **request,
    }


def _success(schema: str | None, leads_to: tuple[str, ...]) -> Schema:
    content = {"content": _json(schema)} if schema else {}
    links = {name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in leads_to}
    return {"description": "Done", "headers": _limit_headers(), "links": links, **content}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_TYPE: Final = _query("type", words(*KINDS))
_PAGE: Final = (
    _TYPE,
    _query("status", words(*STATUSES)),
    _query(
        "limit", {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE_DEFAULT}
    ),
    _query("offset", {"type": "integer", "minimum": 0, "default": 0}),
)
_WEBHOOK: Final = {
    "description": "A generation has ended.",
    "parameters": [
        {"name": SIGNATURE_HEADER, "in": "header", "required": True, "schema": {"type": "string"}},
    ],
    "requestBody": {"required": True, "content": _json("Event")},
    "responses": {"200": {"description": "Received"}, "401": {"description": "Invalid signature"}},
}
_PATHS: Final = {
    "/generate/image": {
        "post": _operation(
            "generate.image", answer=("200", "Accepted"), body="ImageOrder", leads_to=_GENERATION
        ),
    },
    "/generate/video": {
        "post": _operation(
            "generate.video", answer=("200", "Accepted"), body="VideoOrder", leads_to=_GENERATION
        ),
    },
    "/generations": {
        "get": _operation("generations.list", answer=("200", "GenerationPage"), parameters=_PAGE),
    },
    "/generations/{id}": {
        "get": _operation("generations.get", answer=("200", "Generation"), parameters=(_ID,), missing=True),
    },
    "/models": {
        "get": _operation("models.list", answer=("200", "ModelList"), parameters=(_TYPE,)),
    },
    "/webhooks": {
        "get": _operation("webhooks.list", answer=("200", "WebhookList")),
        "post": _operation(
            "webhooks.create", answer=("201", "NewWebhook"), body="WebhookOrder", leads_to=_ONE_WEBHOOK
        ),
    },
    "/webhooks/{id}": {
        "patch": _operation(
            "webhooks.update",
            answer=("200", "Webhook"),
            body="WebhookChange",
            parameters=(_ID,),
            missing=True,
        ),
        "put": _operation(
            "webhooks.replace",
            answer=("200", "Webhook"),
            body="WebhookOrder",
            parameters=(_ID,),
            missing=True,
        ),
        "delete": _operation("webhooks.delete", answer=("204", None), parameters=(_ID,), missing=True),
    },
    "/keys": {
        "get": _operation("keys.list", answer=("200", "KeyList"), security=_SESSION),
        "post": _operation(
            "keys.create",
            answer=("201", "NewKey"),
            body="KeyOrder",
            security=_SESSION,
            leads_to=("keys.revoke",),
        ),
    },
    "/keys/{id}": {
        "delete": _operation(
            "keys.revoke", answer=("204", None), parameters=(_ID,), missing=True, security=_SESSION
        ),
    },
}
