"""The shapes of what the API takes and answers, as JSON Schema, in the default dialect."""

from typing import Any, Final

from receiver.contract import (
    COMPLETED,
    DEFAULT_IMAGE_FORMAT,
    DEFAULT_IMAGE_MODEL,
    DEFAULT_VIDEO_ASPECT_RATIO,
    DEFAULT_VIDEO_MODEL,
    DEFAULT_VIDEO_SECONDS,
    ERROR_STATUS,
    EVENT_TYPES,
    IMAGE_ASPECT_RATIOS,
    IMAGE_FORMATS,
    KINDS,
    SCOPES,
    STATUSES,
    VIDEO_ASPECT_RATIOS,
    VIDEO_SECONDS,
)

Schema = dict[str, Any]


def words(*allowed: str) -> Schema:
    """Return a string that is one of these."""
    return {"type": "string", "enum": list(allowed)}


def reference(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    properties = required | (optional or {})
    return {"type": "object", "required": list(required), "properties": properties}


def _list_of(item: Schema, **bounds: Any) -> Schema:
    return {"type": "array", "items": item, **bounds}


def _page_of(name: str) -> Schema:
    return _object({"data": _list_of(reference(name)), "total": {"type": "integer", "minimum": 0}})


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_TEXT: Final = {"type": "string"}
_SOME_TEXT: Final = {"type": "string", "minLength": 1, "pattern": r"\S"}
_TIME: Final = {"type": "string", "format": "date-time"}
_URL: Final = {"type": "string", "format": "uri", "pattern": "^https?://"}
_HTTPS_URL: Final = {"type": "string", "format": "uri", "pattern": "^https://"}
_CREDITS: Final = {"type": "integer", "minimum": 0}
_EVENTS: Final = _list_of(words(*EVENT_TYPES), minItems=1)
_SCOPES: Final = _list_of(words(*SCOPES), minItems=1)

_ACCEPTED: Final[Schema] = {
    "id": {"type": "string", "pattern": "^gen_"},
    "status": words(*STATUSES),
    "prompt": _TEXT,
    "model": _TEXT,
    "type": words(*KINDS),
    "credits_charged": _CREDITS,
    "created_at": _TIME,
}
_WEBHOOK: Final[Schema] = {"id": _TEXT, "url": _URL, "events": _EVENTS, "created_at": _TIME}
_KEY: Final[Schema] = {
    "id": _TEXT,
    "name": _TEXT,
    "scopes": _SCOPES,
    "ip_allowlist": _list_of(_TEXT),
    "expires_at": _nullable(_TIME),
    "created_at": _TIME,
}
_ENDING: Final[Schema] = {"output_url": _nullable(_URL), "completed_at": _nullable(_TIME)}

SCHEMAS: Final[dict[str, Schema]] = {
    "ImageOrder": _object(
        {"prompt": _SOME_TEXT},
        {
            "model": {"type": "string", "default": DEFAULT_IMAGE_MODEL},
            "aspect_ratio": words(*IMAGE_ASPECT_RATIOS),
            "output_format": words(*IMAGE_FORMATS) | {"default": DEFAULT_IMAGE_FORMAT},
            "webhook_url": _nullable(_URL),
        },
    ),
    "VideoOrder": _object(
        {"prompt": _SOME_TEXT},
        {
            "model": {"type": "string", "default": DEFAULT_VIDEO_MODEL},
            "aspect_ratio": words(*VIDEO_ASPECT_RATIOS) | {"default": DEFAULT_VIDEO_ASPECT_RATIO},
            "duration": {
                "type": "integer",
                "minimum": VIDEO_SECONDS[0],
                "maximum": VIDEO_SECONDS[-1],
                "default": DEFAULT_VIDEO_SECONDS,
            },
            "first_frame_image": _nullable(_URL),
            "webhook_url": _nullable(_URL),
        },
    ),
    "Accepted": _object(_ACCEPTED),
    "Generation": _object(_ACCEPTED | _ENDING, {"error": _TEXT}),
    "GenerationPage": _page_of("Generation"),
    "Model": _object(
        {
            "id": _TEXT,
            "name": _TEXT,
            "type": words(*KINDS),
            "credits_per_generation": _CREDITS,
            "description": _TEXT,
            "category": _TEXT,
        }
    ),
    "ModelList": _page_of("Model"),
    "WebhookOrder": _object({"url": _HTTPS_URL}, {"events": _nullable(_EVENTS)}),
    "WebhookChange": _object({}, {"url": _HTTPS_URL, "events": _nullable(_EVENTS)}),
    "Webhook": _object(_WEBHOOK),
    "NewWebhook": _object(_WEBHOOK | {"secret": _TEXT}),
    "WebhookList": _page_of("Webhook"),
    "KeyOrder": _object(
        {"name": _SOME_TEXT},
        {
            "scopes": _nullable(_SCOPES) | {"default": ["read"]},
            "ip_allowlist": _nullable(_list_of(_TEXT)),
            "expires_at": _nullable(_TIME),
        },
    ),
    "Key": _object(_KEY),
    "NewKey": _object(_KEY | {"key": {"type": "string", "pattern": "^avs_live_"}}),
    "KeyList": _page_of("Key"),
    "Event": _object(
        {
            "event": words(*EVENT_TYPES) | {"examples": [COMPLETED]},
            "data": _object(
                {name: _ACCEPTED[name] for name in ("id", "type", "status", "prompt", "created_at")}
                | _ENDING,
                {"error": _TEXT},
            ),
            "created_at": _TIME,
        }
    ),
    "Error": _object(
        {"error": _object({"code": words(*ERROR_STATUS), "message": _TEXT}, {"details": {"type": "object"}})}
    ),
}
