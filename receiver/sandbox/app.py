"""The emulated provider as an ASGI application."""

from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from receiver.contract import BASE_URL
from receiver.sandbox.access import authenticate, authorize, caller, session_account
from receiver.sandbox.admin import admin_routes
from receiver.sandbox.faults import misbehave
from receiver.sandbox.letters import Answer
from receiver.sandbox.openapi import describe
from receiver.sandbox.operations import KEY_OPERATIONS, OPERATIONS, Operation
from receiver.sandbox.provider import Provider
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Seen

API_PATH: Final = urlsplit(BASE_URL).path
_MAX_BODY_BYTES: Final = 1024 * 1024
_EXTRA_HEADERS: Final = {"X-API-Version": "1", "Access-Control-Allow-Origin": "*"}

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(provider: Provider) -> Starlette:
    """Return an app with the API under `/api/v1`, its description, the asset host and the controls."""
    api = [
        Route(
            API_PATH + operation.path, _endpoint(provider, operation), methods=_methods(provider, operation)
        )
        for operation in (*OPERATIONS, *KEY_OPERATIONS)
    ]
    app = Starlette(
        routes=[
            *api,
            Route("/assets/{name}", _assets(provider), methods=["GET"]),
            Route("/openapi.json", _description, methods=["GET"]),
            *admin_routes(provider),
        ],
        exception_handlers={HTTPException: _unrouted(provider)},
        max_body_size=_MAX_BODY_BYTES,
    )
    app.router.redirect_slashes = False
    return app


def _methods(provider: Provider, operation: Operation) -> list[str]:
    verb = provider.dialect.update_verb
    return [verb] if operation.name == "webhooks.update" and verb != "both" else list(operation.methods)


def _endpoint(provider: Provider, operation: Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        async def act() -> Response:
            try:
                account = _admitted(provider, operation, request)
                return await operation.handle(provider, request, account)
            except Refusal as refusal:
                return refusal.response(provider.dialect)

        name = caller(request, provider.state, provider.dialect)
        response = await _perhaps_misbehaving(provider, operation.name, act)
        provider.state.seen.append(Seen(operation.name, response.status_code))
        return _stamped(provider, response, name)

    return endpoint


async def _perhaps_misbehaving(
    provider: Provider, operation: str, act: Callable[[], Awaitable[Response]]
) -> Response:
    fault = provider.faults.take(operation)
    return await act() if fault is None else await misbehave(fault, act)


def _admitted(provider: Provider, operation: Operation, request: Request) -> str:
    """Return the caller's account, or refuse the request for the first thing that is wrong."""
    state, dialect, now = provider.state, provider.dialect, provider.clock.now()
    if operation.scope is None:
        account = session_account(request, state, dialect)
        provider.limits.take(caller(request, state, dialect), now)
        return account
    key = authenticate(request, state, now)
    if dialect.rate_checked == "before_scope":
        provider.limits.take(key.key, now)
    authorize(request, key, operation.scope, networks=dialect.ip_networks)
    if dialect.rate_checked == "after_scope":
        provider.limits.take(key.key, now)
    return key.account


def _assets(provider: Provider) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        async def act() -> Response:
            return await provider.assets.serve(request)

        return await _perhaps_misbehaving(provider, "asset.get", act)

    return endpoint


async def _description(request: Request) -> Response:
    return Answer(describe(str(request.base_url).rstrip("/") + API_PATH))


def _unrouted(provider: Provider) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
        if status == HTTPStatus.METHOD_NOT_ALLOWED and provider.dialect.wrong_verb_status != status:
            return _stamped(provider, PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND), "")
        code = "not_found" if status == HTTPStatus.NOT_FOUND else "invalid_request"
        refusal = Refusal(code, "No such endpoint", status=status)
        answer = refusal.response()
        answer.headers.update(getattr(error, "headers", None) or {})
        return _stamped(provider, answer, "")

    return handler


def _stamped(provider: Provider, response: Response, name: str) -> Response:
    now, dialect = provider.clock.now(), provider.dialect
    response.headers.update(provider.limits.headers(name, now))
    response.headers["Date"] = formatdate(now, usegmt=True)
    if dialect.extra_headers:
        response.headers.update(_EXTRA_HEADERS)
    if dialect.request_id_header != "absent":
        response.headers[dialect.request_id_header] = f"req_{len(provider.state.seen)}"
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and dialect.retry_after != "absent":
        response.headers["Retry-After"] = _retry_after(provider, name, now)
    return response


def _retry_after(provider: Provider, name: str, now: float) -> str:
    ends_at = provider.limits.ends_at(name, now)
    if provider.dialect.retry_after == "date":
        return formatdate(ends_at, usegmt=True)
    return str(max(1, -int(now - ends_at)))
