"""Pages and API on one listener."""

from starlette.responses import PlainTextResponse

from receiver.admin.beside import beside
from tests.unit.admin.asking import Caller

API, PAGES = PlainTextResponse("api"), PlainTextResponse("pages")


class TestBeside:
    async def test_pages_are_below_console_and_the_rest_is_the_api(self) -> None:
        """And the bare address leads to the pages."""
        caller = Caller(beside(PAGES, API))
        for path in ("/console", "/console/generations"):
            assert (await caller.get(path)).body == b"pages"
        for path in ("/v1/events", "/metrics", "/consoles"):
            assert (await caller.get(path)).body == b"api"
        assert (await caller.get("/")).headers["location"] == "/console"

    async def test_without_the_extra_the_api_works_and_the_page_says_what_to_install(self) -> None:
        """With the command."""
        caller = Caller(beside(None, API))
        answer = await caller.get("/console")
        assert (answer.status, b"pip install 'avs-receiver[console]'" in answer.body) == (404, True)
        assert (await caller.get("/v1/events")).body == b"api"
