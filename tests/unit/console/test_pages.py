"""What the pages show and their buttons do, without a browser."""

import asyncio
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import pytest
from sqlalchemy import Connection
from sqlalchemy.event import listen, remove

from receiver.assets.folder import FolderBucket
from receiver.clock import now_ms
from receiver.console import media
from receiver.errors import BucketUnavailable, StoreUnavailable
from receiver.events import Asset
from receiver.store import Store
from receiver.store.destinations import note_breaker, pause
from receiver.store.outages import note_outages
from receiver.store.spools import Process, see_spool, sign_off
from receiver.store.tables import PACE
from tests.contract.test_console_views import a_submission, submit, with_asset
from tests.stored import FAR, NOW, a_body, an_event, claimed, dead, delivered, settled
from tests.unit.admin.given import Desk
from tests.unit.awkward import EVIL, GONE, LONG, fill
from tests.unit.console.conftest import Browser
from tests.unit.console.test_guard import PAGES

PNG = b"\x89PNG\r\n\x1a\n" + bytes(600)


async def said(browser: Browser, path: str, **form: str) -> str:
    """Press a button; return the page that it leads to."""
    answer = await browser.post(path, **form)
    assert answer.status == 303, answer.body
    return (await browser.get(answer.headers["location"].removeprefix("/console"))).body.decode()


async def shows(browser: Browser, path: str, part: bytes, *, gone: bool = False) -> bytes:
    """Load a page until it shows *part*, or does so no more; return it."""
    async with asyncio.timeout(60):
        while (part in (page := (await browser.get(path)).body)) == gone:  # noqa: ASYNC110  as a person does
            await asyncio.sleep(0.05)
    return page


async def followed(browser: Browser, link: str) -> str:
    """Return the page that *link* leads to, as a browser would ask for it."""
    parts = urlsplit(urljoin("http://console.test/", link))
    answer = await browser.get(f"{unquote(parts.path)}?{parts.query}".removeprefix("/console"))
    assert answer.status == 200, (link, answer.status)
    return answer.body.decode()


async def a_mirrored(store: Store, tmp_path: Path, content: bytes, content_type: str = "image/png") -> str:
    """Keep *content* in the bucket as the asset of a new event; return the event's id."""
    path = tmp_path / "assets" / "a.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.with_name(".receiver-bucket").touch()
    asset = Asset("mirrored", path.as_uri(), content_type, len(content), "0" * 64)
    [id_] = await settled(store, an_event(), asset=asset)
    return id_


class TestLists:
    async def test_an_empty_receiver_says_what_to_do(self, browser: Browser) -> None:
        """Each list that is empty."""
        assert b"No generations yet" in (await browser.get("/generations")).body
        assert b"No dead letters" in (await browser.get("/dead-letters")).body
        assert b"Nothing is in doubt" in (await browser.get("/submissions")).body

    async def test_any_id_leads_to_its_generation(self, browser: Browser, store: Store) -> None:
        """At once, if it is one."""
        [id_] = await delivered(store, an_event("gen_1"))
        for text in ("gen_1", id_):
            answer = await browser.get(f"/generations?q={text}")
            assert answer.headers["location"] == "/console/generations/photoverse?id=gen_1"
        answer = await browser.get(f"/events/{id_}")
        assert answer.headers["location"] == "/console/generations/photoverse?id=gen_1"

    async def test_a_filter_for_what_is_not_configured(self, browser: Browser) -> None:
        """A destination that is gone stays chosen: the next filter is added to it."""
        assert b"<option selected>gone</option>" in (await browser.get("/generations?destination=gone")).body

    async def test_pages_and_filters(self, browser: Browser, store: Store) -> None:
        """Keyset pages, and what the filters leave out."""
        await delivered(store, *(an_event(f"gen_{n:02}", at=NOW + n) for n in range(45)))
        page = (await browser.get("/generations")).body.decode()
        assert "gen_44" in page
        assert "gen_04" not in page
        further = page.partition('<p class="further"><a href="')[2].partition('"')[0].replace("&amp;", "&")
        page = (await browser.get(f"/generations{further}")).body.decode()
        assert "gen_04" in page
        assert "gen_05" not in page
        assert b"Nothing found" in (await browser.get("/generations?kind=video")).body
        assert (await browser.get("/generations?since=tomorrow")).status == 400

    async def test_what_came_is_text(self, browser: Browser, store: Store) -> None:
        """Stored content makes neither elements nor links."""
        evil = '"><script>alert(1)</script><a href="javascript:alert(1)">'
        await store.record(with_asset("gen_1", prompt=evil))
        for path in ("/generations", "/generations/photoverse?id=gen_1"):
            page = (await browser.get(path)).body.decode()
            assert "&lt;script&gt;" in page
            assert "<script>" not in page
            assert 'href="javascript' not in page

    async def test_a_long_prompt_is_folded(self, browser: Browser, store: Store) -> None:
        """It does not push the timeline and the buttons out of sight; all of it can be read."""
        long = "lang <b> " * 1_100
        await store.record(with_asset("gen_1", prompt=long))
        page = (await browser.get("/generations/photoverse?id=gen_1")).body.decode()
        _, _, folded = page.partition('<div class="prompt"><details>')
        start, _, rest = folded.partition("</summary>")
        assert html.unescape(start) == f"<summary>{long[:200]}…"
        assert html.unescape(rest.partition("</details>")[0]) == long

    async def test_failed_attempts_are_in_the_timeline(self, browser: Browser, store: Store) -> None:
        """With how the answer began, as text."""
        await dead(store, an_event("gen_1"), said=b"<b>no such order</b> https://h/x?sig=hush")
        page = (await browser.get("/generations/photoverse?id=gen_1")).body.decode()
        assert "Attempt 1 to orders failed" in page
        assert "&lt;b&gt;no such order&lt;/b&gt; https://h/x?[redacted]" in page
        assert "hush" not in page

    async def test_a_notice_has_to_be_ours(self, browser: Browser) -> None:
        """No link puts words into our mouth."""
        assert b"call this number" not in (await browser.get("/destinations?notice=call+this+number")).body


class TestAwkwardRows:
    async def test_are_shown(self, browser: Browser, store: Store) -> None:
        """Whatever is in the rows, every page shows it, and as text."""
        await fill(store)
        generations = [f"/generations/{GONE}?id={LONG}", "/generations/photoverse?id=gen_1"]
        for path in (*PAGES, "/live", *generations, f"/generations?destination={GONE}"):
            answer = await browser.get(path)
            assert answer.status == (404 if path in ("/assets/x", "/nothing") else 200), path
            assert EVIL[:9] not in answer.body.decode(), path

    async def test_what_nobody_has_configured(self, browser: Browser, store: Store) -> None:
        """A destination that is gone is shown with what waits for it; a prompt that is none, as nothing."""
        await fill(store)
        page = (await browser.get("/generations/photoverse?id=gen_1")).body.decode()
        assert f"waits for {GONE} to be configured" in page
        assert ">None<" not in (await browser.get("/submissions")).body.decode()


class TestAwkwardQueries:
    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/generations?cursor=x", "cursor must be"),
            ("/generations?q=fog&cursor=x", "cursor must be"),
            ("/generations?state=x", "state must be"),
            ("/generations?kind=x", "kind must be"),
            ("/dead-letters?cursor=x", "cursor must be"),
            ("/dead-letters?cursor=a/b", "cursor must be"),
            ("/quarantine?cursor=x%00", "cursor must be"),
            ("/quarantine?state=x", "state must be"),
            ("/audit?cursor=x", "cursor must be"),
            ("/live?span=x", "span must be"),
        ],
    )
    async def test_are_refused(self, browser: Browser, path: str, said: str) -> None:
        """What was mistyped is not taken for an empty list, or for the first page."""
        answer = await browser.get(path)
        assert answer.status == 400
        assert said in answer.body.decode()


class TestAwkwardIds:
    @pytest.mark.parametrize("id_", [".", "..", "a/b", "a?b=c&d#e", "50%2F", "a b", "\u202egnp.", "'\"<b>"])
    async def test_each_link_leads_to_it(self, browser: Browser, store: Store, id_: str) -> None:
        """As a browser follows it: whatever a generation is called, its page opens and its buttons work."""
        [event_id] = await dead(store, an_event(id_))
        await submit(store, a_submission(f"ref {id_}", "submitted", id_))
        for page in ("/generations", "/dead-letters", "/submissions"):
            [link] = set(
                re.findall(r'href="([^"]+photoverse[^"]+)"', (await browser.get(page)).body.decode())
            )
            assert f">{id_}</h1>" in html.unescape(await followed(browser, html.unescape(link)))
        for path in (f"/events/{event_id}", f"/generations?{urlencode({'q': id_})}"):
            to = (await browser.get(path)).headers["location"]
            assert f">{id_}</h1>" in html.unescape(await followed(browser, to))
        assert "Put back" in await said(
            browser, f"/events/{event_id}/retry", destination="orders", state="dead"
        )

    @pytest.mark.parametrize("ref", [".", "..", "a/b", "a?b=c&d#e", "50%2F", "'\"<b>"])
    async def test_each_form_is_about_it(self, browser: Browser, store: Store, desk: Desk, ref: str) -> None:
        """A reference is a client's own; a form names it as it is."""
        await submit(store, a_submission(ref, "unknown"))
        page = (await browser.get("/submissions")).body.decode()
        [named] = set(re.findall(r'name="ref" value="([^"]+)"', page))
        for action in set(re.findall(r'action="/console(/submissions/[^"]+)"', page)):
            await said(browser, action, ref=html.unescape(named), generation_id="gen_1")
        assert {given for given, _ in desk.settled} == {ref}
        assert len(desk.settled) == 2

    async def test_the_page_after_a_login(self, stranger: Browser) -> None:
        """Who has to sign in comes back to where the link leads."""
        to = (await stranger.get("/generations/photoverse?id=a%2Fb%3F%23%25")).headers["location"]
        page = await followed(stranger, to)
        assert 'name="next" value="/console/generations/photoverse?id=a%2Fb%3F%23%25"' in page


class TestOverview:
    async def test_while_the_database_is_down(
        self, browser: Browser, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The part that renews itself says so, and is shown: htmx shows no error's. The page is a 503."""
        assert b"As of " in (await browser.get("/live")).body

        async def away(*_args: object, **_kwargs: object) -> None:
            raise StoreUnavailable("connection refused")

        monkeypatch.setattr(store, "transact", away)
        part = await browser.get("/live", **{"HX-Request": "true"})
        assert (part.status, b"The database does not answer" in part.body) == (200, True)
        assert b"<html" not in part.body
        assert (await browser.get("")).status == 503

    async def test_what_is_down(self, browser: Browser, store: Store) -> None:
        """Buckets and hosts, as workers of any process find them; unknown where none is alive."""
        assert b"not known: no worker is alive" in (await browser.get("")).body
        await store.transact(see_spool, "0" * 32, now_ms=now_ms(), process=Process("web-<1>", 4711))
        assert b"Worker 4711 on web-&lt;1&gt;" in (await browser.get("")).body
        page = (await browser.get("")).body
        assert b"badge up" in page
        assert b"badge alive" in page
        down = {("bucket", "*"): "AccessDenied", ("asset_host", "cdn.example"): "http_503"}
        await store.transact(note_outages, down, now_ms=now_ms())
        page = (await browser.get("")).body
        assert b"badge up" not in page
        assert page.count(b"badge down") == 2
        assert b"AccessDenied" in page
        assert b"cdn.example" in page
        await store.transact(sign_off, "0" * 32, now_ms=now_ms(), process=Process("web-<1>", 4711))
        page = (await browser.get("")).body
        assert b"badge stopped" in page
        assert b"badge alive" not in page

    async def test_tells_what_waits(self, browser: Browser, store: Store) -> None:
        """Stage by stage."""
        await dead(store, an_event("gen_1"))
        await store.record(with_asset("gen_2"))
        page = (await browser.get("")).body.decode()
        assert "cdn.example.com" in page
        assert '/console/dead-letters?destination=orders">1</a>' in page
        for stage in ("Mirroring", "Late assets", "Forwarding to orders"):
            assert f'<th scope="row">{stage}</th>' in page

    async def test_tells_what_happened(self, browser: Browser, store: Store) -> None:
        """In the words of `receiver find`, and in colour: what went well, what did not, what is to come."""
        await dead(store, an_event("gen_1"), error="answered 401")
        page = (await browser.get("/generations/photoverse?id=gen_1")).body.decode()
        for tone, what in (
            ("good", "Asset mirrored"),
            ("bad", "Given up for orders"),
            ("waiting", "To be sent to"),
        ):
            assert re.search(f'<li class="{tone}">.*{what}', page)
        assert "1 attempt: answered 401" in page

    async def test_tells_what_comes_next(self, browser: Browser, store: Store) -> None:
        """Of each delivery, and as the API does: when, or what it waits for."""
        await store.transact(see_spool, "0" * 32, now_ms=now_ms())
        await settled(store, an_event("gen_1"))
        await store.transact_promptly(pause, "orders", reason="a <move>", now_ms=now_ms())
        await store.transact_promptly(note_breaker, "audit", probe_ms=now_ms() + 3_600_000)
        page = (await browser.get("/generations/photoverse?id=gen_1")).body.decode()
        assert "waits for orders to be resumed; it is paused: a &lt;move&gt;" in page
        assert re.search(r">in (1 h|59 min)</time>.*waits for audit, which is down", page)

    async def test_tells_the_rate_limit(self, browser: Browser, store: Store) -> None:
        """Of each API key: what whoever asked the provider last was told, and all of it once that is over."""
        assert "not known before the first request" in (await browser.get("/live")).body.decode()
        row = {"name": "of-key", "most": 60, "remaining": 7, "reset_ms": now_ms() + 30_000}
        row |= {"opened_ms": 0, "paused_ms": 0, "skew_ms": 0}
        await store.transact(lambda connection: connection.execute(PACE.insert(), [row]))
        assert "7 of 60 requests left" in (await browser.get("/live")).body.decode()
        over = PACE.update().values(reset_ms=now_ms() - 1)
        await store.transact(lambda connection: connection.execute(over))
        assert "60 of 60 requests left" in (await browser.get("/live")).body.decode()

    async def test_draws_what_was_done(self, browser: Browser, store: Store) -> None:
        """As soon as it is counted, and lets a page wait no longer than a moment."""
        for span in ("1h", "24h", "30d"):
            page = await shows(browser, f"/live?span={span}", b"<svg")
            assert b"<style" not in page
            assert b" style=" not in page


class TestBounds:
    async def test_no_page_scans_a_table(self, browser: Browser, store: Store) -> None:
        """Whatever is read comes along an index: a page costs as much with two million events."""
        await dead(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(3)))
        await store.record(with_asset("gen_waits"))
        asked: list[tuple[str, Any]] = []

        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        listen(store.engine, "before_cursor_execute", note)
        for path in (*PAGES, "/generations?q=fog", "/generations/photoverse?id=gen_waits", "/live?span=30d"):
            assert (await browser.get(path)).status in (200, 404)
        remove(store.engine, "before_cursor_execute", note)
        reads = [one for one in asked if one[0].lstrip().startswith(("SELECT", "WITH"))]
        assert len(reads) > 50
        plans = await store.transact(_explain, reads)
        assert [plan for plan in plans if _SCAN.search(plan)] == []


_SCAN: Final = re.compile(r"SCAN (event|asset|delivery|quarantine|submission|audit)(?! USING)")


def _explain(connection: Connection, reads: Sequence[tuple[str, Any]]) -> list[str]:
    return [
        f"{row.detail}: {statement}"
        for statement, parameters in reads
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    ]


class TestButtons:
    async def test_replay_and_retry(self, browser: Browser, store: Store) -> None:
        """Deliveries are due again."""
        [id_] = await dead(store, an_event("gen_1"))
        page = await said(browser, f"/events/{id_}/retry", destination="orders", state="dead")
        assert "Put back in the queue: 1 deliveries" in page
        [job] = await claimed(store, at=FAR)
        assert job.event_id == id_
        [other] = await delivered(store, an_event("gen_2"))
        assert "Sent again: 2 deliveries" in await said(browser, f"/events/{other}/replay")

    async def test_mirror_now_and_release(self, browser: Browser, store: Store) -> None:
        """An asset is tried for at once; or its event goes without it, and is told of later."""
        event = with_asset("gen_1")
        await store.record(event)
        assert "A worker is fetching the asset now" in await said(browser, f"/events/{event.id}/mirror-now")
        assert "a follow-up event reports it if it arrives" in await said(
            browser, f"/events/{event.id}/release"
        )
        [job] = await claimed(store, at=FAR)
        assert job.asset is not None
        assert (job.asset.status, job.asset.error) == ("failed", "released")
        assert "is not waiting" in await said(browser, f"/events/{event.id}/release")

    async def test_destinations(self, browser: Browser, store: Store) -> None:
        """Paused, resumed, tried, and told what they missed."""
        await delivered(store, an_event())
        assert "orders is paused" in await said(browser, "/destinations/orders/pause", reason="a move")
        assert b"a move" in (await browser.get("/destinations")).body
        assert "orders is running again" in await said(browser, "/destinations/orders/resume")
        assert "orders took the test message. at 7" in await said(browser, "/destinations/orders/test")
        page = await said(browser, "/destinations/orders/backfill", dry_run="1")
        assert "orders lacks 0 of 1 events" in page
        page = await said(browser, "/destinations/orders/backfill", since="the day it broke")
        assert "neither a time" in page
        await said(browser, "/destinations/orders/backfill", since="1d")
        await shows(browser, "/destinations", b"Backfill done: 0 created of 0 events")
        assert (await browser.post("/destinations/none/pause")).status == 404

    async def test_a_destination_that_is_down(self, browser: Browser, store: Store) -> None:
        """When it is probed next; a probe that is due is under way."""
        for probe_ms, said in (
            (now_ms() + 3_600_000, "probed again <time"),
            (now_ms() - 5, "being probed now"),
        ):
            await store.transact_promptly(note_breaker, "orders", probe_ms=probe_ms)
            assert said in (await browser.get("/destinations")).body.decode()

    async def test_dead_letters(self, browser: Browser, store: Store) -> None:
        """Counted, sent again, or dropped one by one."""
        ids = await dead(store, an_event("gen_1"), an_event("gen_2", at=NOW + 1))
        assert "It would change 2 of 2" in await said(browser, "/dead-letters", order="retry", dry_run="1")
        page = await said(browser, "/dead-letters", order="drop", id=ids[0], destination="orders")
        assert "deliveries.drop" in page
        await shows(browser, "/dead-letters", b"gen_1", gone=True)
        assert b"gen_2" in (await browser.get("/dead-letters?error=http")).body
        assert (await browser.post("/dead-letters", order="burn")).status == 400

    async def test_quarantine(self, browser: Browser, store: Store) -> None:
        """Shown whole, and dropped."""
        body = a_body('{"url": "https://h/x?sig=hush"}')
        await store.record(body)
        page = (await browser.get(f"/quarantine/{body.id}")).body.decode()
        assert "https://h/x?[redacted]" in page
        await said(browser, "/quarantine", order="drop", id=body.id)
        await shows(browser, "/quarantine?state=dropped", body.id.encode())

    async def test_operations(self, browser: Browser, store: Store) -> None:
        """Cancelled, and what was not delivered is as it was."""
        await dead(store, an_event())
        page = await said(browser, "/dead-letters", order="retry")
        id_ = page.partition('action="/console/operations/')[2].partition("/")[0]
        assert "Cancelled" in await said(browser, f"/operations/{id_}/cancel")
        assert "was resumed" in await said(browser, f"/operations/{id_}/resume")
        assert (await browser.post("/operations/none/cancel")).status == 404

    async def test_submissions(self, browser: Browser, store: Store, desk: Desk) -> None:
        """What is in doubt is settled by hand, whatever its name."""
        await submit(store, a_submission("order/7", "unknown"), a_submission("order-8", "submitted", "gen_8"))
        page = (await browser.get("/submissions")).body.decode()
        assert '<input type="hidden" name="ref" value="order/7">' in page
        await said(browser, "/submissions/adopt", ref="order/7", generation_id="gen_7")
        await said(browser, "/submissions/abandon", ref="order/7")
        assert desk.settled == [("order/7", "gen_7"), ("order/7", None)]

    async def test_everything_done_is_in_the_audit_log(self, browser: Browser) -> None:
        """Who, what and on what."""
        await said(browser, "/destinations/orders/pause", reason="a move")
        page = (await browser.get("/audit")).body.decode()
        for part in ("Ada (unknown)", "destinations.pause", "orders a move"):
            assert part in page


class TestAssets:
    async def test_are_served_as_what_they_are(self, browser: Browser, store: Store, tmp_path: Path) -> None:
        """With their own policy, whole or in parts."""
        id_ = await a_mirrored(store, tmp_path, PNG, "video/mp4")
        answer = await browser.get(f"/assets/{id_}")
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PNG, "image/png")
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        part = await browser.get(f"/assets/{id_}", Range="bytes=1-3")
        assert (part.status, part.body, part.headers["content-range"]) == (
            206,
            b"PNG",
            f"bytes 1-3/{len(PNG)}",
        )
        assert (await browser.get(f"/assets/{id_}", Range="bytes=99999-")).status == 200

    async def test_in_pieces(
        self, browser: Browser, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A large file is read piece by piece, and no more of it than the browser asked for."""
        id_ = await a_mirrored(store, tmp_path, PNG)
        monkeypatch.setattr(media, "_PART_BYTES", 100)
        assert (await browser.get(f"/assets/{id_}")).body == PNG
        for wanted in ("0-0", "0-1", "1-3", "7-7", "600-", f"{len(PNG) - 1}-"):
            first, _, last = wanted.partition("-")
            found = await browser.get(f"/assets/{id_}", Range=f"bytes={wanted}")
            assert (found.status, found.body) == (206, PNG[int(first) :][: int(last or FAR) - int(first) + 1])

    async def test_the_head_alone(
        self, browser: Browser, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody reads the whole of a video to tell its size."""
        id_ = await a_mirrored(store, tmp_path, PNG)
        asked: list[int] = []

        async def part(_bucket: FolderBucket, _key: str, start: int, size: int) -> bytes:
            asked.append(start)
            return PNG[start:][:size]

        monkeypatch.setattr(FolderBucket, "part", part)
        path, cookie = f"/console/assets/{id_}", {"Cookie": browser.cookie}
        answer = await browser.caller.ask("HEAD", path, headers=cookie)
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", str(len(PNG)))
        assert asked == [0]

    async def test_what_is_not_there_as_it_was(
        self, browser: Browser, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file that is shorter now is served as it is, an empty one is none; a store that fails: 503."""
        id_ = await a_mirrored(store, tmp_path, PNG)
        file = tmp_path / "assets" / "a.bin"
        file.write_bytes(PNG[:99])
        found = await browser.get(f"/assets/{id_}", Range="bytes=50-")
        assert (found.status, found.body, found.headers["content-range"]) == (
            206,
            PNG[50:99],
            "bytes 50-98/99",
        )
        for content in (b"", None):
            file.write_bytes(content) if content is not None else file.unlink()
            assert (await browser.get(f"/assets/{id_}")).status == 404
        file.write_bytes(PNG)

        async def part(_bucket: FolderBucket, _key: str, start: int, size: int) -> bytes | None:
            if start:
                raise BucketUnavailable("SlowDown")
            return PNG[:size]

        monkeypatch.setattr(FolderBucket, "part", part)
        assert (await browser.get(f"/assets/{id_}", Range="bytes=50-")).status == 503

    async def test_what_could_run_is_not_served(self, browser: Browser, store: Store, tmp_path: Path) -> None:
        """Whatever the row calls it."""
        id_ = await a_mirrored(store, tmp_path, b"?")
        for content in (b"<svg onload=alert(1)>", b"<html><script>", b"plain", b"\0\1\2" * 300):
            (tmp_path / "assets" / "a.bin").write_bytes(content)
            assert (await browser.get(f"/assets/{id_}")).status == 404, content

    async def test_a_file_outside_the_bucket_is_not_served(
        self, browser: Browser, store: Store, tmp_path: Path
    ) -> None:
        """Nor one that is gone."""
        other = tmp_path / "other.png"
        other.write_bytes(PNG)
        [id_] = await settled(
            store, an_event(), asset=Asset("mirrored", other.as_uri(), "image/png", 9, "0" * 64)
        )
        assert (await browser.get(f"/assets/{id_}")).status == 404
        assert (await browser.get("/assets/none")).status == 404
