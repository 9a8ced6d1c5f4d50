"""Where the token comes from."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from receiver.admin.token import FILE_NAME, configured, kept
from receiver.errors import ConfigError
from tests.unit.admin.asking import KNOWN, TOKEN, Caller


class TestConfigured:
    def test_is_taken_as_it_is(self) -> None:
        """And is in no repr."""
        token = configured("0123456789abcdef")
        assert (token.text, token.path, token.is_new) == ("0123456789abcdef", None, False)
        assert token.text not in repr(token)

    @pytest.mark.parametrize(
        "text", ["short", "x" * 15, "0123456789abcde é", "0123456789 abcdef", "0123456789abcdef\n"]
    )
    def test_what_cannot_be_one(self, text: str) -> None:
        """Too easily guessed, or no header carries it; the message does not repeat it."""
        with pytest.raises(ConfigError, match="RECEIVER_ADMIN_TOKEN") as refused:
            configured(text)
        assert text not in str(refused.value)


class TestKept:
    def test_is_made_once(self, tmp_path: Path) -> None:
        """Only its owner reads the file; the next start finds it there."""
        made, found = kept(tmp_path), kept(tmp_path)
        assert (made.is_new, found.is_new) == (True, False)
        assert made.text == found.text
        assert len(made.text) >= 32
        assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600

    def test_processes_that_start_at_once_agree(self, tmp_path: Path) -> None:
        """Whoever comes second reads what the first wrote, whole, and nothing else is left in the folder."""
        with ThreadPoolExecutor(8) as pool:
            tokens = list(pool.map(kept, [tmp_path] * 50))
        assert {one.text for one in tokens} == {(tmp_path / FILE_NAME).read_text().strip()}
        assert sum(one.is_new for one in tokens) == 1
        assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]

    def test_differs_from_any_other(self, tmp_path: Path) -> None:
        """It is random."""
        (tmp_path / "other").mkdir()
        assert kept(tmp_path).text != kept(tmp_path / "other").text

    def test_others_may_not_read_it(self, tmp_path: Path) -> None:
        """A file that is open to others is refused, with what to do."""
        kept(tmp_path)
        (tmp_path / FILE_NAME).chmod(0o640)
        with pytest.raises(ConfigError, match="chmod 600"):
            kept(tmp_path)

    def test_an_empty_file_is_no_token(self, tmp_path: Path) -> None:
        """An empty token would let everybody in."""
        path = tmp_path / FILE_NAME
        path.touch(0o600)
        with pytest.raises(ConfigError, match="has no token"):
            kept(tmp_path)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """The message names the setting and the file."""
        with pytest.raises(ConfigError, match=r"RECEIVER_ADMIN_TOKEN is not set.*admin-token"):
            kept(tmp_path / "none")


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
