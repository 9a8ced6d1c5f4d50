"""A webhook that is lost for ever loses no event, and an expired URL loses no asset."""

import http.client
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from receiver.client import AsyncClient, Client
from receiver.sandbox import Dialect, Knobs, Sandbox
from receiver.sandbox.clock import SystemClock
from receiver.store import Store
from receiver.store.claim import Claim, claim_events
from receiver.worker.cursor import Cursor
from receiver.worker.reconcile_pass import Account, Pass, Report
from tests.acceptance.service import Service, service
from tests.benchmark.lost_webhooks import Run, prove
from tests.stored import migrated
from tests.waiting.blocking import until


class Ahead(SystemClock):
    """The sandbox's time, which a test may put forward."""

    by_s = 0.0

    def now(self) -> float:
        return super().now() + self.by_s


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"))
    yield opened
    opened.close()


class TestLostWebhooks:
    @pytest.mark.timeout(600)
    def test_every_generation_is_forwarded_once(self, tmp_path: Path) -> None:
        """A fifth of the webhooks lost, some doubled, the receiver down for a while: each is forwarded once.

        Each message names the submission it answers.
        """
        figures = prove(Run(generations=90, minute_s=1), tmp_path)
        assert (figures.forwarded_once, figures.forwarded_again, figures.never_forwarded) == (90, 0, 0)
        assert figures.events_by_reconcile >= figures.webhooks_lost > 10
        assert figures.webhooks_repeated > 0


class TestDialects:
    async def test_however_the_provider_reads_its_document(self, store: Store, dialect: Dialect) -> None:
        """Every reading of what the document leaves open gives the same events."""
        knobs = Knobs(progression="immediate", loss_rate=1.0, rate_limit=100_000)
        async with (
            Sandbox(knobs=knobs, dialect=dialect) as sandbox,
            AsyncClient(sandbox.key(), base_url=sandbox.url) as client,
        ):
            made = [await client.generate.image(prompt) for prompt in ("a", "b", "[fail] c")]
            report = await look(store, client)
        assert sorted(report.recorded) == sorted(one.id for one in made)
        assert report.complete
        jobs = await store.claim(claim_events, Claim(2**45, 2**46, secrets.token_hex(8), 10), with_asset=True)
        assert len(jobs) == 2


class TestExpiredUrl:
    def test_asset_is_mirrored_all_the_same(self, tmp_path: Path) -> None:
        """A URL that expires before a worker comes to it costs one more request, and not the asset."""
        knobs = Knobs(image_delay_s=0.01, asset_ttl_s=600, duplicate_rate=0)
        with Sandbox(knobs=knobs, clock=(clock := Ahead())) as sandbox:
            key = sandbox.key()
            settings = {
                "RECEIVER_WEBHOOK_SECRETS": sandbox.webhook_secret,
                "RECEIVER_API_KEY": key,
                "RECEIVER_API_BASE_URL": sandbox.url,
            }
            with service(tmp_path, **settings) as receiver:
                receiver.start("web")
                ask_for_an_image(sandbox, key, f"http://127.0.0.1:{receiver.port}/webhooks/photoverse")
                (url,) = until(lambda: asset_urls(receiver))
                clock.by_s = 601
                until(lambda: is_gone(url))
                receiver.start("worker")
                (message,) = until(receiver.messages)
            looks = [one for one in sandbox.seen if one.operation == "generations.get"]
        assert message["data"]["asset"]["status"] == "mirrored"
        assert len(looks) == 1


async def look(store: Store, client: AsyncClient) -> Report:
    async def save(_cursor: Cursor, _looks: Mapping[str, int]) -> bool:
        return True

    account = Account("photoverse", client.generations)
    return await Pass(store, account, Cursor(0), max_requests=20, save=save).run()


def ask_for_an_image(sandbox: Sandbox, key: str, webhook_url: str) -> None:
    with Client(key, base_url=sandbox.url) as client:
        client.generate.image("a lighthouse", webhook_url=webhook_url)


def asset_urls(receiver: Service) -> list[str]:
    return [json.loads(body)["data"]["output_url"] for (body,) in receiver.rows("SELECT body FROM event")]


def is_gone(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status in {403, 404, 410}
    finally:
        connection.close()
