"""Asking an ASGI application, as a client with the token or as anybody else."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import ASGIApp, Message

from tests.answer import Answer

TOKEN: Final = "admin_0123456789abcdef"
KNOWN: Final = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Caller:
    """Sends requests to an application in this process."""

    app: ASGIApp

    async def get(self, path: str, headers: Mapping[str, str] = KNOWN) -> Answer:
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, content: object, headers: Mapping[str, str] = KNOWN) -> Answer:
        return await self.ask("POST", path, orjson.dumps(content), headers)

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = KNOWN
    ) -> Answer:
        """Send one request; return the answer, also where the application raised behind it."""
        path, _, query = path.partition("?")
        sent: list[Message] = []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }

        rest = [body]

        async def receive() -> Message:
            if not rest:
                await asyncio.Event().wait()  # the client neither sends more nor goes away
            return {"type": "http.request", "body": rest.pop(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *chunks = sent
        named = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], named, b"".join(one.get("body", b"") for one in chunks))

    async def ended(self, operation: Any) -> Any:
        """Return the operation once nothing more happens to it by itself."""
        async with asyncio.timeout(20):
            while (found := (await self.get(f"/v1/operations/{operation['id']}")).json)["state"] == "running":  # noqa: ASYNC110  the store has no event for it
                await asyncio.sleep(0.01)
        return found
