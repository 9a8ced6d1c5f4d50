"""Who sees the console, and what their browser is bound to."""

from receiver.console.guard import MAX_FORM_BYTES
from tests.unit.admin.asking import TOKEN
from tests.unit.console.conftest import Browser

PAGES = (
    "",
    "/live",
    "/generations",
    "/destinations",
    "/dead-letters",
    "/quarantine",
    "/operations",
    "/submissions",
    "/settings",
    "/audit",
    "/assets/x",
    "/nothing",
)
WRITES = (
    "/logout",
    "/events/x/replay",
    "/events/x/retry",
    "/events/x/mirror-now",
    "/events/x/release",
    "/destinations/orders/pause",
    "/destinations/orders/resume",
    "/destinations/orders/test",
    "/destinations/orders/backfill",
    "/dead-letters",
    "/quarantine",
    "/operations/x/resume",
    "/operations/x/cancel",
    "/submissions/adopt",
    "/submissions/abandon",
)


class TestStrangers:
    async def test_are_sent_to_the_login(self, stranger: Browser) -> None:
        """From every page, and nothing of it is shown."""
        for path in PAGES:
            answer = await stranger.get(path)
            assert (answer.status, answer.body) == (303, b""), path
            assert answer.headers["location"].startswith("/console/login")

    async def test_write_nothing(self, stranger: Browser) -> None:
        """Not even with a form that looks right."""
        for path in WRITES:
            answer = await stranger.post(path, order="retry")
            assert (answer.status, answer.headers["location"]) == (303, "/console/login"), path

    async def test_a_part_of_a_page_sends_the_whole_page(self, stranger: Browser) -> None:
        """A page left open over night goes to the login, and shows no login inside itself."""
        answer = await stranger.get("/live", **{"HX-Request": "true"})
        assert (answer.status, answer.headers["hx-redirect"]) == (204, "/console/login")

    async def test_no_cookie_of_theirs_will_do(self, stranger: Browser) -> None:
        """It has to be signed."""
        for cookie in ("", "receiver_console=x", "receiver_console=WyJBZGEiLCJ4Il0.abc.def"):
            stranger.cookie = cookie
            assert (await stranger.get("/audit")).status == 303


class TestWrites:
    async def test_need_the_word_of_the_session(self, browser: Browser) -> None:
        """A form of another site lacks it."""
        browser.csrf = "guessed"
        for path in WRITES:
            assert (await browser.post(path, order="retry")).status == 403, path

    async def test_come_from_our_own_pages(self, browser: Browser) -> None:
        """Whatever the form says."""
        foreign = ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"})
        for headers in foreign:
            assert (await browser.post("/destinations/orders/pause", headers)).status == 403, headers
        own = {"Origin": "http://console.test", "Sec-Fetch-Site": "same-origin"}
        assert (await browser.post("/destinations/orders/pause", own)).status == 303

    async def test_are_bounded(self, browser: Browser) -> None:
        """A form is no upload."""
        assert (await browser.post("/dead-letters", error="x" * MAX_FORM_BYTES)).status == 413


class TestHeaders:
    async def test_bind_the_browser(self, browser: Browser) -> None:
        """No inline script or style, no frame, no guessing of types; nothing is kept."""
        for path in ("", "/login", "/static/console.css", "/nothing"):
            headers = (await browser.get(path)).headers
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"


class TestLogin:
    async def test_gives_a_cookie_that_scripts_and_other_sites_do_not_get(self, stranger: Browser) -> None:
        """And that holds the name, but not the token."""
        answer = await stranger.sign_in()
        cookie = answer.headers["set-cookie"]
        assert (answer.status, answer.headers["location"]) == (303, "/console")
        assert all(
            part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=43200")
        )
        assert TOKEN not in cookie
        assert b"Ada" in (await stranger.get("/audit")).body

    async def test_behind_tls_the_cookie_is_for_tls(self, stranger: Browser) -> None:
        """The proxy says so."""
        answer = await stranger.post("/login", {"X-Forwarded-Proto": "https"}, token=TOKEN)
        assert "Secure" in answer.headers["set-cookie"]

    async def test_wrong_tokens_are_bounded(self, stranger: Browser) -> None:
        """After five in a minute even the right one has to wait."""
        for _ in range(5):
            assert (await stranger.sign_in("wrong")).status == 401
        answer = await stranger.sign_in()
        assert (answer.status, stranger.cookie) == (429, "")
        assert 0 < int(answer.headers["retry-after"]) <= 61

    async def test_leads_nowhere_else(self, stranger: Browser) -> None:
        """A link to the login cannot send a signed-in person to another site."""
        for wanted in (
            "https://evil.example",
            "//evil.example",
            "/console/\\evil",
            "/consoles",
            "/v1/events",
        ):
            answer = await stranger.post("/login", token=TOKEN, next=wanted)
            assert answer.headers["location"] == "/console", wanted

    async def test_goes_on_where_it_was(self, stranger: Browser) -> None:
        """With the query."""
        to = (await stranger.get("/quarantine?state=dropped")).headers["location"]
        assert to == "/console/login?next=/console/quarantine%3Fstate%3Ddropped"
        answer = await stranger.post("/login", token=TOKEN, next="/console/quarantine?state=dropped")
        assert answer.headers["location"] == "/console/quarantine?state=dropped"

    async def test_is_in_the_audit_log(self, browser: Browser) -> None:
        """As is every sign-out."""
        page = (await browser.get("/audit")).body
        assert b"login" in page
        await browser.post("/logout")
        assert b"logout" in (await browser.get("/audit")).body
