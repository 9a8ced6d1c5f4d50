"""Every call of the API: its route, the scope it needs, and what it does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from receiver.contract import EVENT_TYPES, KINDS, SCOPES, STATUSES, Kind
from receiver.sandbox import bodies, jobs, views
from receiver.sandbox.catalogue import MODELS
from receiver.sandbox.letters import Answer
from receiver.sandbox.provider import Provider
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import ApiKey, Generation, Webhook

Owned = TypeVar("Owned", ApiKey, Generation, Webhook)
Handler = Callable[[Provider, Request, str], Awaitable[Response]]
"""Also takes the caller's account."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API."""

    name: str
    methods: tuple[str, ...]
    path: str
    scope: str | None
    """The scope that the API key needs; None if a session is required and no key will do."""
    handle: Handler


async def generate(kind: Kind, provider: Provider, request: Request, account: str) -> Response:
    """`POST /generate/image` and `POST /generate/video`."""
    job = jobs.read(kind, await bodies.read_object(request), provider.dialect)
    made = provider.studio.take(job, account=account, origin=provider.origin(request))
    return Answer(views.accepted(made, provider.dialect), provider.dialect.generate_status)


async def list_generations(provider: Provider, request: Request, account: str) -> Response:
    """`GET /generations`."""
    query, dialect = request.query_params, provider.dialect
    kind = bodies.query_choice(query, "type", KINDS)
    status = bodies.query_choice(query, "status", STATUSES)
    limit, offset = bodies.page(query, clamp=dialect.limit_outside == "clamped")
    mine = [row for row in provider.state.generations.values() if row.account == account]
    rows = [row for row in mine if kind in {None, row.job.type} and status in {None, row.status}]
    if dialect.order == "newest_first":
        rows.reverse()
    for row in (page := rows[offset : offset + limit]):
        provider.assets.refresh(row)
    data = [views.generation(row, dialect) for row in page]
    return Answer(views.listed(data, dialect, name="generations", filtered=len(rows), unfiltered=len(mine)))


async def get_generation(provider: Provider, request: Request, account: str) -> Response:
    """`GET /generations/:id`."""
    found = own(provider, provider.state.generations.get(request.path_params["id"]), account)
    provider.assets.refresh(found)
    shown = views.generation(found, provider.dialect)
    return Answer(views.wrapped(shown, provider.dialect.generation_wrapper))


async def list_models(provider: Provider, request: Request, _account: str) -> Response:
    """`GET /models`."""
    kind = bodies.query_choice(request.query_params, "type", KINDS)
    data = [views.model(model, provider.dialect) for model in MODELS if kind in {None, model.type}]
    return Answer(
        views.listed(data, provider.dialect, name="models", filtered=len(data), unfiltered=len(MODELS))
    )


async def create_webhook(provider: Provider, request: Request, account: str) -> Response:
    """`POST /webhooks`."""
    body = await bodies.read_object(request)
    if provider.dialect.unknown_fields == "refused":
        bodies.only(body, "url", "events")
    webhook = Webhook(
        id=f"wh_{provider.state.token(12)}",
        account=account,
        url=bodies.url(body, "url", https=True),
        secret=provider.new_webhook_secret(),
        created_at=provider.clock.now(),
        events=bodies.words(body, "events", EVENT_TYPES, EVENT_TYPES),
    )
    provider.state.webhooks[webhook.id] = webhook
    return _webhook(provider, webhook, provider.dialect.webhook_create_status, new=True)


async def list_webhooks(provider: Provider, _request: Request, account: str) -> Response:
    """`GET /webhooks`."""
    rows = [row for row in provider.state.webhooks.values() if row.account == account]
    return every(provider, "webhooks", [views.webhook(row, provider.dialect) for row in rows])


async def update_webhook(provider: Provider, request: Request, account: str) -> Response:
    """`PATCH` or `PUT /webhooks/:id`."""
    webhook = own(provider, provider.state.webhooks.get(request.path_params["id"]), account)
    body = await bodies.read_object(request)
    url = webhook.url
    if "url" in body or request.method == "PUT":
        url = bodies.url(body, "url", https=True)
    webhook.events = bodies.words(body, "events", EVENT_TYPES, webhook.events)
    webhook.url = url
    webhook.failures_in_a_row = 0
    return _webhook(provider, webhook, 200)


async def delete_webhook(provider: Provider, request: Request, account: str) -> Response:
    """`DELETE /webhooks/:id`."""
    webhook = own(provider, provider.state.webhooks.get(request.path_params["id"]), account)
    del provider.state.webhooks[webhook.id]
    return deleted(provider)


OPERATIONS: Final = (
    Operation("generate.image", ("POST",), "/generate/image", "generate:image", partial(generate, "image")),
    Operation("generate.video", ("POST",), "/generate/video", "generate:video", partial(generate, "video")),
    Operation("generations.list", ("GET",), "/generations", "read", list_generations),
    Operation("generations.get", ("GET",), "/generations/{id}", "read", get_generation),
    Operation("models.list", ("GET",), "/models", "read", list_models),
    Operation("webhooks.create", ("POST",), "/webhooks", "webhooks", create_webhook),
    Operation("webhooks.list", ("GET",), "/webhooks", "webhooks", list_webhooks),
    Operation("webhooks.update", ("PATCH", "PUT"), "/webhooks/{id}", "webhooks", update_webhook),
    Operation("webhooks.delete", ("DELETE",), "/webhooks/{id}", "webhooks", delete_webhook),
)


def own(provider: Provider, found: Owned | None, account: str) -> Owned:
    """Return *found* if it belongs to *account*."""
    if found is None or (found.account != account and provider.dialect.foreign_id == 404):  # noqa: PLR2004  # HTTP's
        raise Refusal("not_found", "Requested resource not found")
    if found.account != account:
        raise Refusal("forbidden", "This belongs to another account", status=403)
    return found


def every(provider: Provider, name: str, data: list[dict[str, Any]]) -> Response:
    """Return a list without filters or pages."""
    return Answer(views.listed(data, provider.dialect, name=name, filtered=len(data), unfiltered=len(data)))


def deleted(provider: Provider) -> Response:
    """Return the response for a deletion."""
    match provider.dialect.delete_answer:
        case "204":
            return Response(status_code=204)
        case "json_200":
            return Answer({"deleted": True})
        case "text_200":
            return PlainTextResponse("OK")
    return Response(status_code=200)


def _webhook(provider: Provider, webhook: Webhook, status: int, *, new: bool = False) -> Response:
    shown = views.webhook(webhook, provider.dialect, new=new)
    return Answer(views.wrapped(shown, provider.dialect.webhook_wrapper), status)


async def create_key(provider: Provider, request: Request, account: str) -> Response:
    """`POST /keys`."""
    body = await bodies.read_object(request)
    if provider.dialect.unknown_fields == "refused":
        bodies.only(body, "name", "scopes", "ip_allowlist", "expires_at")
    key = provider.add_key(
        name=bodies.text(body, "name"),
        account=account,
        scopes=bodies.words(body, "scopes", SCOPES, ("read",)),
        ip_allowlist=bodies.addresses(body, "ip_allowlist", networks=provider.dialect.ip_networks),
        expires_at=bodies.moment(body, "expires_at"),
    )
    shown = views.api_key(key, provider.dialect, new=True)
    return Answer(views.wrapped(shown, provider.dialect.key_wrapper), 201)


async def list_keys(provider: Provider, _request: Request, account: str) -> Response:
    """`GET /keys`."""
    rows = [row for row in list(provider.state.keys.values()) if row.account == account]
    return every(provider, "keys", [views.api_key(row, provider.dialect) for row in rows])


async def revoke_key(provider: Provider, request: Request, account: str) -> Response:
    """`DELETE /keys/:id`."""
    wanted = request.path_params["id"]
    found = next((row for row in list(provider.state.keys.values()) if row.id == wanted), None)
    del provider.state.keys[own(provider, found, account).key]
    return deleted(provider)


KEY_OPERATIONS: Final = (
    Operation("keys.create", ("POST",), "/keys", None, create_key),
    Operation("keys.list", ("GET",), "/keys", None, list_keys),
    Operation("keys.revoke", ("DELETE",), "/keys/{id}", None, revoke_key),
)
