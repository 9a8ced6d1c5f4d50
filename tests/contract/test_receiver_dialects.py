"""The whole receiver against the whole provider, in every dialect: from an order to a message with its asset.

Everything runs in this process, over real connections: sandbox, endpoint, SQLite, worker, folder, file.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from receiver.cli.process import prepare_web, running_web, running_worker
from receiver.client import AsyncClient
from receiver.sandbox import Dialect, Sandbox
from receiver.settings import Settings
from receiver.store import Store
from receiver.store.tables import EVENT
from receiver.telemetry.refusals import Refusals
from receiver.wiring.stores import build_store
from tests.contract.provider_clients import QUICK
from tests.stored import migrated
from tests.waiting.aio import until

COMPLETED: Final = "co.aivisualstudio.generation.completed"
FAILED: Final = "co.aivisualstudio.generation.failed"


@dataclass(frozen=True, slots=True)
class Journey:
    """An account with a registered webhook, and a receiver that knows its secret and has no worker yet."""

    sandbox: Sandbox
    client: AsyncClient
    store: Store
    settings: Settings
    folder: Path
    webhook_url: str

    async def order(self, prompt: str, **how: Any) -> str:
        """Ask for an image, and return once it is made; its webhook may still be under way."""
        made = await self.client.generate.image(prompt, output_format="png", **how)
        return (await self.client.generations.wait(made, raise_on_failed=False)).id

    async def arrived(self, generation_id: str) -> None:
        """Return once the event of a generation is recorded."""
        await until(lambda: generation_id in {row.generation_id for row in self.events()})

    def events(self) -> list[Any]:
        with self.store.engine.begin() as connection:
            return list(connection.execute(select(EVENT)).all())

    def messages(self) -> list[dict[str, Any]]:
        path = self.folder / "messages.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def work(self, *, messages: int) -> dict[str, dict[str, Any]]:
        """Let a worker run until so many messages are out; return them by generation, each there once."""
        async with running_worker(self.settings, self.store, asyncio.Event()):
            await until(lambda: len(self.messages()) >= messages)
        told = self.messages()
        assert len(told) == len({one["subject"] for one in told}) == messages
        return {one["subject"]: one for one in told}

    async def asset_is_whole(self, message: dict[str, Any]) -> None:
        """Check that the mirrored file is the provider's, byte for byte."""
        asset = message["data"]["asset"]
        assert asset["status"] == "mirrored", asset
        content = content_of(asset["url"])
        theirs = await self.client.generations.download(message["subject"], self.folder)
        assert content == theirs.read_bytes()
        assert asset["sha256"] == hashlib.sha256(content).hexdigest()
        assert (asset["size_bytes"], asset["content_type"]) == (len(content), "image/png")


@pytest.fixture
async def journey(dialect: Dialect, tmp_path: Path) -> AsyncIterator[Journey]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(knobs=QUICK, dialect=dialect))
        key = sandbox.key()
        client = await stack.enter_async_context(AsyncClient(key, base_url=sandbox.url, sleep=briefly))
        hook = await client.webhooks.create("https://example.com/later")
        # Where the API does not show it, the provider's web page does.
        secret = hook.secret or sandbox.secret_of(hook.id)
        migrated(tmp_path / "receiver.db")
        settings = settings_of(tmp_path, secret=secret, key=key, base_url=sandbox.url)
        store = build_store(settings)
        stack.callback(store.close)
        web = prepare_web(settings, store, Refusals())
        await stack.enter_async_context(running_web(web))
        url = f"{web.origin}/webhooks/photoverse"
        await client.webhooks.update(hook.id, url=url)
        yield Journey(sandbox, client, store, settings, tmp_path, url)


def content_of(url: str) -> bytes:
    return Path(unquote(urlsplit(url).path)).read_bytes()


async def briefly(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.02))


def settings_of(folder: Path, *, secret: str, key: str, base_url: str) -> Settings:
    return Settings.model_construct(
        webhook_secrets=(SecretStr(secret),),
        api_key=SecretStr(key),
        api_base_url=base_url,
        database_url=SecretStr(f"sqlite:///{folder}/receiver.db"),
        assets_url=f"file://{folder}/assets",
        spool_dir=f"{folder}/spool",
        destinations={"messages": {"url": f"file://{folder}/messages.jsonl"}},
        fetch_allow=("127.0.0.1",),
        port=0,
    )


class TestReceiver:
    async def test_every_generation_becomes_one_message(self, journey: Journey) -> None:
        """By a registered webhook, by its own URL or by both, failed, lost, or with a URL that has expired.

        Each is told of once, with its file.
        """
        sandbox = journey.sandbox
        own_url = journey.webhook_url.replace("://", "://me:pw@") + "?order=7"
        sandbox.knobs = replace(QUICK, asset_ttl_s=0)
        expired = await journey.order("a fox")
        await journey.arrived(expired)
        sandbox.knobs = replace(QUICK, asset_ttl_s=3600)
        own = await journey.order("a heron", webhook_url=own_url)
        failed = await journey.order("[fail: too dark]")
        await journey.arrived(failed)
        await until(lambda: own in {sent.generation_id for sent in sandbox.sent})
        sandbox.knobs = replace(sandbox.knobs, loss_rate=1.0)
        lost = await journey.order("a lynx", webhook_url=own_url)
        await until(lambda: lost in sandbox.lost)
        looks = operations(sandbox).count("generations.get")

        told = await journey.work(messages=4)

        made = (expired, own, lost)
        assert {id_: one["type"] for id_, one in told.items()} == {
            failed: FAILED,
            **dict.fromkeys(made, COMPLETED),
        }
        assert {row.generation_id: row.via for row in journey.events()} == {
            expired: "webhook",
            own: "webhook" if may_verify_both(sandbox.dialect) else "reconcile",
            failed: "webhook",
            lost: "reconcile",
        }
        assert operations(sandbox).count("generations.get") == looks + 1, "for the fresh URL"
        for id_ in made:
            await journey.asset_is_whole(told[id_])
        assert told[own]["data"]["prompt"] == "a heron"
        failure = told[failed]["data"]
        assert failure["asset"] is None
        assert (failure["error"] or {}).get("message") == (
            "too dark" if sandbox.dialect.failure_field else None
        )


def may_verify_both(dialect: Dialect) -> bool:
    """Whether a generation with a URL of its own has a webhook whose secret the receiver knows."""
    whose = (dialect.webhook_secrets, dialect.webhook_url_secret)
    return whose == ("account", "account") or dialect.webhook_and_url == "both"


def operations(sandbox: Sandbox) -> list[str]:
    return [seen.operation for seen in sandbox.seen]
