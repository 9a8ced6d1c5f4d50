"""The client against the sandbox of every dialect: one suite for either kind of client, over real sockets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import av
import pytest
from PIL import Image

from receiver.client import Client, Forbidden, GenerationFailed, InvalidRequest, NotFound, WaitTimeout, parse
from receiver.client.errors import DownloadFailed
from receiver.contract import (
    EVENT_TYPES,
    IMAGE_ASPECT_RATIOS,
    IMAGE_FORMATS,
    VIDEO_ASPECT_RATIOS,
)
from receiver.errors import SignatureError
from receiver.sandbox import Sandbox
from tests.contract.provider_clients import QUICK, Make, clients, shown_secret
from tests.contract.sandbox_dialects import Reading
from tests.unit.client import raw_server
from tests.unit.client.raw_server import RawServer, answer
from tests.waiting.blocking import until

SECRET = "whsec_contract_0123456789"
ENVELOPE = ["event", "data", "created_at"]
DATA = ["id", "type", "status", "prompt", "output_url", "created_at", "completed_at"]
PROMPT = "A futuristic city at sunset, cyberpunk style — été 日本"


@pytest.fixture(scope="module")
def make(reading: Reading) -> Iterator[Make]:
    with clients(reading.kind) as make:
        yield make


@pytest.fixture(scope="module")
def sandbox(reading: Reading) -> Iterator[Sandbox]:
    with Sandbox(knobs=QUICK, webhook_secret=SECRET, dialect=reading.dialect) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox, make: Make) -> Client:
    return make(sandbox.key(), sandbox.url)


def delivered(hook: RawServer) -> list[tuple[bytes, dict[str, str]]]:
    """Return the body and headers of each webhook that arrived."""
    arrived = []
    for request in list(hook.requests):
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[1:]
        arrived.append((body, dict(line.split(": ", 1) for line in lines)))
    return arrived


def signer(sandbox: Sandbox) -> str:
    """Return what signs the webhooks to the URL of one generation, though it may be told nobody."""
    untold = sandbox._provider.courier._untold
    return SECRET if sandbox.dialect.webhook_url_secret == "account" else untold


def has_ratio(width: int, height: int, ratio: str) -> bool:
    across, down = map(int, ratio.split(":"))
    return abs(width * down - height * across) < 2 * max(across, down)


class TestGenerate:
    def test_image_is_accepted_as_the_document_shows(self, client: Client, sandbox: Sandbox) -> None:
        """Id, status, prompt, model, type, price and time come back at once."""
        before = sandbox.credits()
        made = client.generate.image(PROMPT, aspect_ratio="16:9")
        assert made.id.startswith("gen_")
        assert (made.status, made.prompt, made.type) == ("processing", PROMPT, "image")
        assert (made.model, made.credits_charged) == ("prunaai/z-image-turbo", 5)
        assert made.created_at is not None
        assert abs((datetime.now(UTC) - made.created_at).total_seconds()) < 5
        assert sandbox.credits() == before - 5

    def test_video_is_accepted(self, client: Client) -> None:
        """The default model and its price, which is that of the default duration."""
        made = client.generate.video("x", duration=5, first_frame_image="https://example.com/a.png")
        assert (made.type, made.model, made.credits_charged) == ("video", "minimax/hailuo-2.3-fast", 450)

    def test_image_is_a_real_file(self, client: Client, tmp_path: Path) -> None:
        """Every format opens as what it claims to be, in all seven ratios of the document, to the pixel."""
        asked = [*zip(IMAGE_ASPECT_RATIOS, cycle(IMAGE_FORMATS), strict=False)]
        made = [client.generate.image(PROMPT, aspect_ratio=r, output_format=form) for r, form in asked]
        for (ratio, form), one in zip(asked, made, strict=True):
            path = client.generations.download(client.generations.wait(one), tmp_path)
            assert path.name == f"{one.id}.{form}"
            with Image.open(path) as picture:
                picture.load()
                assert picture.format == {"webp": "WEBP", "png": "PNG", "jpg": "JPEG"}[form]
                assert has_ratio(picture.width, picture.height, ratio)

    def test_image_has_the_providers_ratio(self, client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
        """Unless another is asked for."""
        made = client.generations.wait(client.generate.image("x"))
        with Image.open(client.generations.download(made, tmp_path)) as picture:
            assert has_ratio(picture.width, picture.height, sandbox.dialect.default_image_ratio)

    def test_video_is_a_real_file(self, client: Client, tmp_path: Path) -> None:
        """An MP4 that lasts as long as was asked, in each ratio that can be asked for."""
        asked = [*zip(VIDEO_ASPECT_RATIOS, (1, 2, 1, 3, 1), strict=True)]
        made = [client.generate.video(PROMPT, duration=s, aspect_ratio=ratio) for ratio, s in asked]
        for (ratio, seconds), one in zip(asked, made, strict=True):
            path = client.generations.download(client.generations.wait(one), tmp_path)
            assert path.suffix == ".mp4"
            with av.open(path) as container:
                frames = list(container.decode(video=0))
                assert container.duration == seconds * 1_000_000
                assert len(frames) == seconds * 8
                assert has_ratio(frames[0].width, frames[0].height, ratio)

    def test_failure_is_told_with_its_reason(self, client: Client, sandbox: Sandbox) -> None:
        """A prompt can ask to fail; some providers have no place for the reason."""
        told = "too dark" if sandbox.dialect.failure_field else "no reason given"
        with pytest.raises(GenerationFailed, match=told) as failed:
            client.generations.wait(client.generate.image("x [fail: too dark]"))
        assert failed.value.generation.status == "failed"
        assert failed.value.generation.output_url is None


class TestGenerations:
    def test_get_shows_how_it_ended(self, client: Client) -> None:
        """The finished generation has an address and a time."""
        made = client.generations.wait(client.generate.image("x"))
        seen = client.generations.get(made.id)
        assert seen == made
        assert seen.output_url is not None
        assert seen.completed_at is not None

    def test_list_filters_and_pages(self, sandbox: Sandbox, make: Make) -> None:
        """In one order; type, status, limit and offset do what they say."""
        client = make(sandbox.key(account=f"lister {sandbox.key()}"), sandbox.url)
        made = [client.generate.image(f"x {n}").id for n in range(5)]
        failed = client.generate.video("[fail]", duration=1)
        client.generations.wait(failed, raise_on_failed=False)
        for name in made:
            client.generations.wait(name)
        newest_first = [failed.id, *reversed(made)]
        listed = newest_first[::-1] if sandbox.dialect.order == "oldest_first" else newest_first
        assert [g.id for g in client.generations.list()] == listed
        assert [g.id for g in client.generations.list(limit=2, offset=1)] == listed[1:3]
        assert [g.id for g in client.generations.list(type="video")] == [failed.id]
        assert [g.id for g in client.generations.list(status="failed")] == [failed.id]
        assert len(client.generations.list(status="processing")) == 0

    def test_iter_walks_every_page(self, sandbox: Sandbox, make: Make) -> None:
        """All of them, once, over as many pages as it takes."""
        client = make(sandbox.key(account=f"walker {sandbox.key()}"), sandbox.url)
        made = {client.generate.image(f"x {n}").id for n in range(45)}
        walked = [g.id for g in client.generations.iter(page_size=20)]
        assert len(walked) == len(made)
        assert set(walked) == made

    def test_wait_runs_out_of_patience(self, sandbox: Sandbox, client: Client) -> None:
        """It says what it saw last; the generation may finish yet."""
        sandbox.knobs = replace(QUICK, image_delay_s=60)
        try:
            made = client.generate.image("x")
            with pytest.raises(WaitTimeout) as timeout:
                client.generations.wait(made, timeout=0.1)
        finally:
            sandbox.knobs = QUICK
        assert timeout.value.last is not None
        assert timeout.value.last.status == sandbox.dialect.unfinished_status

    def test_missing_is_not_found(self, client: Client) -> None:
        """An id that never was."""
        with pytest.raises(NotFound):
            client.generations.get("gen_missing")

    def test_another_accounts_is_refused(self, sandbox: Sandbox, make: Make, client: Client) -> None:
        """Accounts do not see each other."""
        made = client.generate.image("x")
        stranger = make(sandbox.key(account="stranger"), sandbox.url)
        with pytest.raises({404: NotFound, 403: Forbidden}[sandbox.dialect.foreign_id]):
            stranger.generations.get(made.id)

    def test_download_needs_a_finished_generation(self, client: Client, tmp_path: Path) -> None:
        """There is nothing to fetch, and no file is made."""
        made = client.generations.wait(client.generate.image("[fail]"), raise_on_failed=False)
        with pytest.raises(DownloadFailed, match="failed"):
            client.generations.download(made, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_download_needs_the_signature(self, client: Client, tmp_path: Path) -> None:
        """The asset host believes its own links only."""
        made = client.generations.wait(client.generate.image("x"))
        forged = {**made.raw, "output_url": f"{made.output_url}0"}
        with pytest.raises(DownloadFailed, match="403"):
            client.generations.download(parse.generation(forged), tmp_path)

    def test_download_has_a_limit(self, client: Client, tmp_path: Path) -> None:
        """A file larger than asked for is not kept."""
        made = client.generations.wait(client.generate.image("x"))
        with pytest.raises(DownloadFailed, match="larger than 100 bytes"):
            client.generations.download(made.id, tmp_path, max_bytes=100)
        assert list(tmp_path.iterdir()) == []


class TestModels:
    def test_eighteen_of_both_kinds(self, client: Client, sandbox: Sandbox) -> None:
        """As many as the document's total says, each with a price."""
        models, dialect = client.models.list(), sandbox.dialect
        told = dialect.list_wrapper != "" and dialect.total != "absent"
        assert (len(models), models.total) == (18, 18 if told else None)
        assert all(model.credits_per_generation for model in models)
        assert {m.type for m in client.models.list("video")} == {"video"}
        assert client.models.list("image").data[0].id == "prunaai/z-image-turbo"

    def test_each_can_be_asked_for(self, client: Client, sandbox: Sandbox) -> None:
        """And charges its own price; the wrong kind is refused by most."""
        model = next(m for m in client.models.list("video") if m.credits_per_generation == 600)
        assert client.generate.video("x", model=model.id, duration=5).credits_charged == 600
        if sandbox.dialect.model_of_other_kind == "accepted":
            assert client.generate.image("x", model=model.id).model == model.id
            return
        with pytest.raises(InvalidRequest, match="model") as refused:
            client.generate.image("x", model=model.id)
        named = {"field": {"field": "model"}, "fields": {"fields": {"model": refused.value.message}}}
        assert refused.value.details == named.get(sandbox.dialect.invalid_details, {})


class TestWebhooks:
    def test_create_list_update_delete(self, sandbox: Sandbox, make: Make) -> None:
        """The whole life of a webhook; the secret is shown once, or as the provider likes."""
        client = make(sandbox.key(account=f"hooks {sandbox.key()}"), sandbox.url)
        made = client.webhooks.create("https://example.com/hook")
        told = shown_secret(sandbox, made)
        assert (made.url, made.events, made.secret) == ("https://example.com/hook", EVENT_TYPES, told)
        (listed,) = client.webhooks.list()
        assert (listed.id, listed.secret) == (made.id, told if sandbox.dialect.webhook_secret_again else None)
        changed = client.webhooks.update(made.id, events=["generation.failed"])
        assert (changed.url, changed.events) == (made.url, ("generation.failed",))
        assert client.webhooks.update(made.id, url="https://example.com/2").events == changed.events
        client.webhooks.delete(made.id)
        assert len(client.webhooks.list()) == 0
        with pytest.raises(NotFound):
            client.webhooks.delete(made.id)

    def test_update_falls_back_on_put(self, make: Make) -> None:
        """The verb is unsaid: a provider without PATCH gets the whole webhook by PUT."""
        listed = json.dumps([{"id": "wh_1", "url": "https://x/1", "events": ["generation.failed"]}]).encode()
        with raw_server.raw_server(answer(405), answer(200, listed), answer(200, b'{"id":"wh_1"}')) as server:
            make("avs_live_x", server.url).webhooks.update("wh_1", url="https://x/2")
        assert [r.split(b" ")[0] for r in server.requests] == [b"PATCH", b"GET", b"PUT"]
        body = json.loads(server.requests[2].partition(b"\r\n\r\n")[2])
        assert body == {"url": "https://x/2", "events": ["generation.failed"]}

    def test_delivery_can_be_verified(self, client: Client, sandbox: Sandbox) -> None:
        """The webhook of one generation: signed, complete, and refused if a byte differs."""
        with raw_server.raw_server(answer()) as hook:
            made = client.generate.image(PROMPT, webhook_url=f"{hook.url}/w?token=x")
            until(lambda: hook.requests)
            ((body, headers),) = delivered(hook)
        path = b"/w?token=x" if sandbox.dialect.webhook_url_query == "kept" else b"/w"
        assert hook.requests[0].startswith(b"POST " + path + b" HTTP/1.1\r\n")
        event = client.webhooks.unwrap(body, headers, secrets=["whsec_another_0123456789", signer(sandbox)])
        assert (event.event, event.generation.id) == ("generation.completed", made.id)
        assert event.generation.output_url == client.generations.get(made.id).output_url
        with pytest.raises(SignatureError):
            client.webhooks.unwrap(body.replace(b"image", b"video"), headers, secrets=[signer(sandbox)])

    def test_payload_is_the_documents(self, client: Client, sandbox: Sandbox) -> None:
        """The same keys in the same order, compact, with every letter raw; there may be others among them."""
        with raw_server.raw_server(answer()) as hook:
            client.generate.image(PROMPT, webhook_url=hook.url)
            until(lambda: hook.requests)
            ((body, headers),) = delivered(hook)
        payload = json.loads(body)
        others = sandbox.dialect.extra_fields
        assert [key for key in payload if key in ENVELOPE or not others] == ENVELOPE
        assert [key for key in payload["data"] if key in DATA or not others] == DATA
        assert headers["Content-Type"] == "application/json"
        assert body == json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()

    def test_failure_is_delivered(self, client: Client, sandbox: Sandbox) -> None:
        """With the reason, and without a file; some send no failures to the URL of one generation."""
        with raw_server.raw_server(answer()) as hook:
            failed = client.generate.image("[fail: too dark]", webhook_url=hook.url)
            if not sandbox.dialect.webhook_url_failures:
                client.generations.wait(failed, raise_on_failed=False)
                assert hook.requests == []
                return
            until(lambda: hook.requests)
            ((body, headers),) = delivered(hook)
        event = client.webhooks.unwrap(body, headers, secrets=[signer(sandbox)])
        told = "too dark" if sandbox.dialect.failure_field else None
        assert (event.event, event.generation.error) == ("generation.failed", told)
        assert json.loads(body)["data"].get("output_url") is None

    def test_registered_webhook_gets_what_it_subscribed_to(self, sandbox: Sandbox, make: Make) -> None:
        """Every generation of the account, and only those events."""
        client = make(sandbox.key(account=f"subscriber {sandbox.key()}"), sandbox.url)
        with raw_server.raw_server(answer()) as hook:
            webhook = client.webhooks.create(f"{hook.url}/all", events=["generation.failed"])
            secret = sandbox.secret_of(webhook.id)
            fine = client.generations.wait(client.generate.image("x"))
            client.generate.image("[fail]")
            until(lambda: hook.requests)
            ((body, headers),) = delivered(hook)
            client.webhooks.delete(webhook.id)
        assert client.webhooks.unwrap(body, headers, secrets=[secret]).generation.id != fine.id

    def test_client_sends_its_own_url_unless_told_otherwise(self, sandbox: Sandbox, make: Make) -> None:
        """INHERIT by default, another if given, none for None."""
        with raw_server.raw_server(answer()) as hook:
            client = make(sandbox.key(), sandbox.url, webhook_url=f"{hook.url}/mine")
            client.generations.wait(client.generate.image("x", webhook_url=None))
            client.generate.image("x", webhook_url=f"{hook.url}/other")
            until(lambda: len(hook.requests) == 1)
            client.generate.image("x")
            until(lambda: len(hook.requests) == 2)
        assert [request.split(b" ")[1] for request in hook.requests] == [b"/other", b"/mine"]
