"""The console in a real browser: what a sandbox made, one Chromium, every page and button."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect
from pydantic import SecretStr

from receiver import clock
from receiver.admin.runner import Runner
from receiver.admin.server import build_server
from receiver.cli.process import prepare_web, running_web, running_worker
from receiver.client import AsyncClient
from receiver.contract import COMPLETED
from receiver.listener import listen
from receiver.sandbox import DEFAULT_WEBHOOK_SECRET, Knobs, Sandbox
from receiver.settings import Settings
from receiver.store import Store
from receiver.store.outages import note_outages
from receiver.store.progress import progress
from receiver.store.record import NewEvent
from receiver.store.spools import Process, see_spool
from receiver.telemetry.refusals import Refusals
from receiver.wiring.admin import open_admin
from receiver.wiring.stores import build_store
from tests.contract.test_console_views import a_submission, submit
from tests.servers.require import missing
from tests.stored import a_body, an_event

TOKEN: Final = "admin_0123456789abcdef"
PAGES: Final = (
    "",
    "?span=30d",
    "/generations",
    "/generations?q=lighthouse",
    "/generations?error=none-of-these",
    "/destinations",
    "/dead-letters",
    "/quarantine",
    "/operations",
    "/submissions",
    "/settings",
    "/audit",
)
# axe reads each element, on whatever the machine has left.
pytestmark = pytest.mark.timeout(180)

DARK: Final = ("", "/destinations", "/generations/photoverse?id=gen_waits")
"""Pages that are searched for faults in dark, too."""
CHEAP: Final = ("--no-sandbox", "--disable-gpu", "--disable-extensions", "--renderer-process-limit=1")

LONG: Final = "g" * 128
EVIL: Final = '"><script>document.title = "pwned"</script><img src=x onerror=alert(1)>'


@dataclass
class Site:
    """A running receiver, and a browser that has signed in."""

    url: str
    store: Store
    browser: Browser
    images: list[str]
    video: str
    folder: Path
    faults: list[str] = field(default_factory=list)

    async def open(self, *, width: int = 1280, scheme: Any = "light", scripts: bool = True) -> Page:
        """Sign in from a fresh context; what the browser complains of ends up in `faults`."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        await page.goto(f"{self.url}/console/audit")
        await page.get_by_label("Admin token").fill(TOKEN)
        await page.get_by_label("Your name").fill("Ada")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.location}: {message.text}")


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("chromium", "there is no `chromium`", installer="apt-get install chromium")
    folder = tmp_path_factory.mktemp("console")
    settings = _settings(folder)
    expect.set_options(timeout=60_000)
    async with AsyncExitStack() as stack:
        store = build_store(settings)
        stack.callback(store.close)
        refusals = Refusals()
        await stack.enter_async_context(running_worker(settings, store, asyncio.Event()))
        web = prepare_web(settings, store, refusals)
        await stack.enter_async_context(running_web(web))
        images, video = await _generate(stack, f"{web.origin}/webhooks/photoverse")
        await _seed(store)
        app, _ = await stack.enter_async_context(open_admin(settings, store, refusals, Runner(store)))
        socket = listen("127.0.0.1", 0)
        server = build_server(app)
        serving = asyncio.create_task(server.serve([socket]))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHEAP)
        await _until_mirrored(store, [*images, video])
        yield Site(f"http://127.0.0.1:{socket.getsockname()[1]}", store, browser, images, video, folder)
        await browser.close()
        server.should_exit = True
        await serving


def _settings(folder: Path) -> Settings:
    return Settings.model_construct(
        webhook_secrets=(SecretStr(DEFAULT_WEBHOOK_SECRET),),
        database_url=SecretStr(f"sqlite:///{folder}/receiver.db"),
        assets_url=f"file://{folder}/assets",
        spool_dir=f"{folder}/spool",
        destinations={
            "messages": {"url": f"file://{folder}/messages.jsonl"},
            # Takes no message: everything for it waits.
            "nowhere": {"url": "http://127.0.0.1:9/", "breaker_failures": "10000"},
        },
        fetch_allow=("127.0.0.1",),
        admin_token=SecretStr(TOKEN),
        port=0,
    )


async def _generate(stack: AsyncExitStack, webhook_url: str) -> tuple[list[str], str]:
    knobs = Knobs(image_delay_s=0, video_delay_s=0, duplicate_rate=0)
    sandbox = await stack.enter_async_context(Sandbox(knobs=knobs))
    async with AsyncClient(sandbox.key(), base_url=sandbox.url, webhook_url=webhook_url) as client:
        images = [await client.generate.image(prompt) for prompt in ("a lighthouse in fog", EVIL)]
        video = await client.generate.video("a paper boat", duration=2)
    return [image.id for image in images], video.id


async def _seed(store: Store) -> None:
    """Add what no sandbox does: what waits, what is in doubt, what cannot be read, and long names."""
    await store.record(an_event(LONG, at=1))
    await submit(store, a_submission(f"\u202e{LONG}{LONG}", "submitted", LONG))
    await store.transact(see_spool, "0" * 32, now_ms=clock.now_ms(), process=Process(LONG, 10**9))
    down = {("asset_host", f"{LONG}.example.com"): f"{LONG}\n{LONG}"}
    await store.transact(note_outages, down, now_ms=clock.now_ms())
    await store.record(waiting("gen_waits"))
    await store.record(a_body('{"no": "event"}'))
    await submit(store, a_submission("order-7", "unknown"))


def waiting(generation_id: str) -> NewEvent:
    """An event whose asset host answers to nobody."""
    url = f"http://127.0.0.1:9/{generation_id}.png"
    data = {"id": generation_id, "type": "image", "prompt": "waits for its asset", "output_url": url}
    body = json.dumps({"event": COMPLETED, "data": data}).encode()
    return an_event(generation_id, at=clock.now_ms())._replace(asset_host="127.0.0.1", body=body)


async def _until_mirrored(store: Store, generations: list[str]) -> None:
    async with asyncio.timeout(60):
        while not all(one.delivered for one in await store.transact(progress, generations)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def serious(page: Page) -> list[str]:
    """Return what axe-core finds on a page, but for what it calls minor."""
    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{page.url}: {one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in found.response["violations"]
        if one["impact"] != "minor"
    ]


class TestPages:
    @pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
    async def test_are_whole(self, site: Site, width: int, scheme: str) -> None:
        """No complaint of the browser or of axe, and nothing wider than the screen."""
        page = await site.open(width=width, scheme=scheme)
        wrong = []
        generations = [f"/generations/photoverse?id={id_}" for id_ in (site.video, "gen_waits", LONG)]
        for path in (*PAGES, *generations):
            await page.goto(f"{site.url}/console{path}")
            if path in DARK or (scheme == "light" and ("?" not in path or "?id=" in path)):
                wrong += await serious(page)
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{path} is wider than {width} px")
        assert wrong == []
        assert site.faults == []
        await page.context.close()

    async def test_show_what_was_made(self, site: Site) -> None:
        """The image is drawn, the video plays, and what a stranger wrote is text."""
        page = await site.open()
        await page.goto(f"{site.url}/console/generations?q=lighthouse")
        await page.locator(".card").get_by_role("link").first.click()
        image = page.get_by_role("img", name="Mirrored image: a lighthouse in fog")
        await expect(image).to_have_js_property("complete", value=True)
        assert await image.evaluate("image => image.naturalWidth") > 0
        await page.goto(f"{site.url}/console/generations/photoverse?id={site.video}")
        video = page.locator("video")
        await video.evaluate("video => { video.muted = true; return video.play() }")
        assert await video.evaluate("video => video.duration") > 1
        await page.goto(f"{site.url}/console/generations/photoverse?id={site.images[1]}")
        await expect(page.locator(".pair .prompt")).to_have_text(EVIL)
        assert "pwned" not in await page.title()
        assert site.faults == []
        await page.context.close()

    async def test_an_awkward_id(self, site: Site) -> None:
        """A browser takes such parts out of a path; a generation that is called so is found all the same."""
        page = await site.open()
        await site.store.record(an_event(".."))
        await page.goto(f"{site.url}/console/generations")
        await page.get_by_role("link", name="..", exact=True).click()
        await expect(page.get_by_role("heading", name="..", exact=True)).to_be_visible()
        await page.context.close()

    async def test_the_overview_renews_itself(self, site: Site) -> None:
        """What comes while somebody looks is shown without a click, by one request every few seconds."""
        page = await site.open()
        await page.goto(f"{site.url}/console")
        row = page.get_by_role("row", name="Mirroring")
        await expect(row.get_by_role("cell").first).to_have_text("1")
        await site.store.record(waiting("gen_late"))
        await expect(row.get_by_role("cell").first).to_have_text("2")
        assert site.faults == []
        await page.context.close()


class TestButtons:
    async def test_do_what_they_say(self, site: Site) -> None:
        """By keyboard and mouse, from every page that has some; and the audit log has it all."""
        page = await site.open(scripts=False)
        notice = page.get_by_role("status")

        async def press(path: str, name: str, said: str) -> None:
            await page.goto(f"{site.url}/console{path}")
            await page.get_by_role("button", name=name).first.focus()
            await page.keyboard.press("Enter")
            await expect(notice).to_contain_text(said)

        generation = f"/generations/photoverse?id={site.images[0]}"
        await press(generation, "Replay to all destinations", "Sent again")
        await press(generation, "Retry nowhere", "")
        while "Put back in the queue: 1" not in await notice.inner_text():  # a worker is busy with it
            await press(generation, "Retry nowhere", "")
        await press("/generations/photoverse?id=gen_waits", "Mirror now", "")
        await press("/destinations", "Pause", "is paused")
        await press("/destinations", "Resume", "is running again")
        await press("/destinations", "Send a test message", "messages took the test message")
        await press("/destinations", "Count missing events", "messages lacks 0")
        await press("/quarantine", "Count readable bodies", "It would change 0 of 1")
        await press("/quarantine", "Drop", "Started")
        await press("/submissions", "Abandon: it was never accepted", "order-7 may be requested again")
        assert "A test message" in (site.folder / "messages.jsonl").read_text()
        await page.goto(f"{site.url}/console/audit")
        for deed in ("events.replay", "deliveries.retry", "events.mirror-now", "destinations.pause"):
            await expect(page.get_by_role("cell", name=deed).first).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.context.close()
