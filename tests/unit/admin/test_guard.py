"""Who may speak to the private API."""

import pytest

from tests.unit.admin.asking import KNOWN, TOKEN, Caller

PATHS = ("/metrics", "/v1/events", "/v1/events/x", "/v1/operations", "/nothing", "/", "/healthz/")


class TestGuard:
    async def test_without_the_token_nothing_is_told(self, caller: Caller, subtests: pytest.Subtests) -> None:
        """The same bytes whatever is wrong, also for routes that are not there."""
        for headers in [
            {},
            {"Authorization": ""},
            {"Authorization": TOKEN},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer é"},
        ]:
            for path in PATHS:
                with subtests.test(headers=headers, path=path):
                    answer = await caller.get(path, headers)
                    assert (answer.status, answer.code) == (401, "unauthorized")
                    assert answer.body == (await caller.get("/v1/events", {})).body
                    assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        ("method", "origin"),
        [("GET", "https://evil.example"), ("POST", "null"), ("OPTIONS", "http://127.0.0.1:8001")],
    )
    async def test_web_pages_are_refused(self, caller: Caller, method: str, origin: str) -> None:
        """Even with the token, and for health: nothing is done, and no header invites them."""
        for path in ("/healthz", "/v1/events/replay"):
            answer = await caller.ask(method, path, headers={**KNOWN, "Origin": origin})
            assert (answer.status, answer.code) == (403, "origin_refused")
            assert not [name for name in answer.headers if name.startswith("access-control")]

    async def test_health_needs_no_token(self, caller: Caller) -> None:
        """A supervisor asks for it."""
        assert (await caller.get("/healthz", {})).json == {"status": "ok"}

    @pytest.mark.parametrize(
        ("path", "headers"),
        [("/healthz", {}), ("/v1/events", KNOWN), ("/v1/events/none", KNOWN), ("/nothing", {})],
    )
    async def test_nothing_is_cached(self, caller: Caller, path: str, headers: dict[str, str]) -> None:
        """Answers and refusals alike."""
        assert (await caller.get(path, headers)).headers["cache-control"] == "no-store"

    async def test_the_word_bearer_has_no_case(self, caller: Caller) -> None:
        """As HTTP has it."""
        assert (await caller.get("/v1/events", {"Authorization": f"bearer {TOKEN}"})).status == 200

    def test_the_token_is_not_in_its_repr(self, caller: Caller) -> None:
        """A traceback or a log line may show the application."""
        assert TOKEN not in repr(caller.app)
