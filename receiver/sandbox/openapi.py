"""The OpenAPI 3.1 description of the API in the default dialect: `openapi.json`."""

import json
from functools import cache
from pathlib import Path
from typing import Any


def describe(base_url: str) -> dict[str, Any]:
    """Return the description of the API at *base_url*."""
    return {**_document(), "servers": [{"url": base_url}]}


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    return document
