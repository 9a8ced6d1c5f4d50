"""Calls that manage API keys: only for a session of the web interface, never with a key."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from receiver.contract import SCOPES
from receiver.sandbox import bodies, views
from receiver.sandbox.answers import Answer
from receiver.sandbox.operations import Operation, deleted, every, own
from receiver.sandbox.provider import Provider


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
