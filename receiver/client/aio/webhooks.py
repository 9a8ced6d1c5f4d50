"""`client.webhooks`: register webhooks, and verify those that arrive."""

from collections.abc import Iterable
from http import HTTPStatus

from receiver.client import requests
from receiver.client.aio.caller import Caller
from receiver.client.errors import ApiError, NotFound
from receiver.client.parameters import OMIT, Omit
from receiver.client.results import Webhook, WebhookEvent, WebhookList
from receiver.client.webhooks import Body, Headers, Secrets, unwrap
from receiver.contract import EventType


class Webhooks:
    """Manages webhooks."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self, url: str, events: Iterable[EventType] | None = None) -> Webhook:
        """Register *url* for *events*, by default all. Store `.secret` at once: it may not be shown again.

        Raises:
            InvalidParameter: *url* is not https, or an event is not in the API document; nothing was sent.
            OutcomeUnknown: it may have been registered; check `list` before you retry.
        """
        return await self._caller.call(requests.create_webhook(url, events))

    async def list(self) -> WebhookList:
        """Return every registered webhook."""
        return await self._caller.call(requests.list_webhooks())

    async def update(
        self, webhook_id: str, *, url: str | Omit = OMIT, events: Iterable[EventType] | Omit = OMIT
    ) -> Webhook:
        """Change the given values and keep the rest.

        The API document does not name the verb: PATCH is tried first, then PUT with the whole webhook.

        Raises:
            InvalidParameter: no value is given, *url* is not https, or an event is not in the API document;
                nothing was sent.
            NotFound: no such webhook, or another account's.
        """
        chosen = events if isinstance(events, Omit) else tuple(events)
        try:
            return await self._caller.call(requests.update_webhook(webhook_id, url=url, events=chosen))
        except ApiError as error:
            if not _unknown_verb(error):
                raise
        current = await self._find(webhook_id)
        return await self._caller.call(requests.replace_webhook(current, url=url, events=chosen))

    async def delete(self, webhook_id: str) -> None:
        """Remove a webhook.

        Raises:
            NotFound: no such webhook, or another account's.
        """
        await self._caller.call(requests.delete_webhook(webhook_id))

    def unwrap(
        self,
        body: Body,
        headers: Headers,
        *,
        secrets: Secrets,
        now: float | None = None,
    ) -> WebhookEvent:
        """Like `receiver.client.webhooks.unwrap`, with the client's clock."""
        return unwrap(body, headers, secrets=secrets, now=self._caller.clock() if now is None else now)

    async def _find(self, webhook_id: str) -> Webhook:
        for webhook in await self.list():
            if webhook.id == webhook_id:
                return webhook
        raise NotFound(f"no webhook {webhook_id}")


def _unknown_verb(error: ApiError) -> bool:
    return error.status == HTTPStatus.METHOD_NOT_ALLOWED or (
        error.status == HTTPStatus.NOT_FOUND and not error.documented
    )
