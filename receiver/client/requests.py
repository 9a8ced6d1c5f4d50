"""Every call of the API document, as a value: what to send, whether twice is safe, how to read the answer."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from receiver.client import parse
from receiver.client.errors import InvalidParameter
from receiver.client.parameters import (
    OMIT,
    Omit,
    api_key_body,
    kind_query,
    page_query,
    path_segment,
    webhook_body,
)
from receiver.client.results import (
    ApiKey,
    ApiKeyList,
    Generation,
    GenerationPage,
    ModelList,
    Webhook,
    WebhookList,
)
from receiver.client.wire import Request


def generate(kind: str, body: Mapping[str, Any]) -> Request[Generation]:
    """Request a generation. It costs credits, so it is never repeatable."""
    return Request("POST", f"/generate/{kind}", parse.accepted, body=body, repeatable=False)


def kind_of(request: Request[Any]) -> str:
    """Return the kind of generation of *request*.

    Raises:
        InvalidParameter: it is another request.
    """
    start, _, kind = request.path.rpartition("/")
    if start != "/generate":
        raise InvalidParameter("unknown", f"is about {request.method} {request.path}, not about a generation")
    return kind


def get_generation(generation_id: str) -> Request[Generation]:
    """Get one generation."""
    path = f"/generations/{path_segment(generation_id)}"
    return Request("GET", path, parse.About(generation_id, parse.generation))


def list_generations(
    *, kind: str | None, status: str | None, limit: int, offset: int
) -> Request[GenerationPage]:
    """Get one page of generations."""
    query = page_query(kind=kind, status=status, limit=limit, offset=offset)
    return Request("GET", "/generations", parse.generations, query=query)


def list_models(kind: str | None) -> Request[ModelList]:
    """Get the models."""
    return Request("GET", "/models", parse.models, query=kind_query(kind))


def create_webhook(url: str, events: Iterable[str] | None) -> Request[Webhook]:
    """Register a webhook. Twice would create two, so it is not repeatable."""
    body = webhook_body(url=url, events=events)
    return Request("POST", "/webhooks", parse.webhook, body=body, repeatable=False)


def list_webhooks() -> Request[WebhookList]:
    """Get the registered webhooks."""
    return Request("GET", "/webhooks", parse.webhooks)


def update_webhook(
    webhook_id: str, *, url: str | Omit = OMIT, events: Iterable[str] | Omit = OMIT
) -> Request[Webhook]:
    """Change the given values of a webhook.

    Raises:
        InvalidParameter: no value is given, or one that the API document does not allow.
    """
    body = webhook_body(url=url, events=events)
    if not body:
        raise InvalidParameter("url", "or events must be given: there is nothing to change")
    path = f"/webhooks/{path_segment(webhook_id)}"
    return Request("PATCH", path, parse.About(webhook_id, parse.webhook), body=body)


def replace_webhook(
    current: Webhook, *, url: str | Omit = OMIT, events: Iterable[str] | Omit = OMIT
) -> Request[Webhook]:
    """Replace a webhook completely, for a provider without PATCH."""
    body = {"url": current.url, "events": list(current.events)} | webhook_body(url=url, events=events)
    path = f"/webhooks/{path_segment(current.id)}"
    return Request("PUT", path, parse.About(current.id, parse.webhook), body=body)


def delete_webhook(webhook_id: str) -> Request[None]:
    """Remove a webhook."""
    path = f"/webhooks/{path_segment(webhook_id)}"
    return Request("DELETE", path, parse.nothing, body_expected=False)


def create_api_key(
    name: str,
    *,
    scopes: Iterable[str] | Omit = OMIT,
    ip_allowlist: Iterable[str] | Omit = OMIT,
    expires_at: datetime | str | Omit = OMIT,
) -> Request[ApiKey]:
    """Create an API key. Twice would create two, so it is not repeatable."""
    body = api_key_body(name, scopes=scopes, ip_allowlist=ip_allowlist, expires_at=expires_at)
    return Request("POST", "/keys", parse.api_key, body=body, repeatable=False)


def list_api_keys() -> Request[ApiKeyList]:
    """Get the API keys."""
    return Request("GET", "/keys", parse.api_keys)


def revoke_api_key(key_id: str) -> Request[None]:
    """Revoke an API key."""
    path = f"/keys/{path_segment(key_id)}"
    return Request("DELETE", path, parse.nothing, body_expected=False)
