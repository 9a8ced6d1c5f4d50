"""The provider's API as the settings name it, in the environment or in the file."""

from pathlib import Path

import pytest

from receiver.cli.connection import wait_aloud
from receiver.sandbox import Sandbox
from tests.unit.cli.running import Run, nothing_is_sent


class TestOpenClient:
    def test_goes_by_the_file(self, run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
        """Key and address may stand in receiver.toml."""
        (tmp_path / "receiver.toml").write_text(
            f'api_key = "{sandbox.key()}"\napi_base_url = "{sandbox.url}"\n'
        )
        assert run("models").status == 0

    def test_the_environment_wins(self, run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
        """As for every setting."""
        (tmp_path / "receiver.toml").write_text('api_key = "avs_live_wrong"\n')
        ended = run("models", RECEIVER_API_KEY=sandbox.key(), RECEIVER_API_BASE_URL=sandbox.url)
        assert ended.status == 0

    def test_refuses_an_empty_key(self, run: Run) -> None:
        """It is as good as none."""
        assert run("models", RECEIVER_API_KEY="").status == 2


class TestOpenSession:
    def test_goes_by_the_file(self, run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
        """The cookie is sent nowhere but to the configured address."""
        (tmp_path / "receiver.toml").write_text(f'api_base_url = "{sandbox.url}"\n')
        assert run("keys", "list", RECEIVER_SESSION_COOKIE=sandbox.session_cookie()).status == 0


class TestOpenLedger:
    @nothing_is_sent
    def test_refuses_a_database_it_cannot_use(self, ask: Run, sandbox: Sandbox) -> None:
        """The message names the setting; nothing is sent."""
        ended = ask("image", "x", "--ref", "a", RECEIVER_DATABASE_URL="mysql://x")
        assert ended.status == 2
        assert "RECEIVER_DATABASE_URL" in ended.err
        assert not sandbox.seen

    @nothing_is_sent
    def test_refuses_a_database_that_cannot_be_written(self, ask: Run, sandbox: Sandbox) -> None:
        """Nothing is sent that could not be noted."""
        ended = ask("image", "x", "--ref", "a", RECEIVER_DATABASE_URL="sqlite:////dev/null/x.db")
        assert ended.status in {1, 2}
        assert "Traceback" not in ended.err
        assert not sandbox.seen


class TestWaitAloud:
    def test_says_what_takes_long(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A pause between two polls is short, and says nothing."""
        waited: list[float] = []
        for seconds in (15.0, 59.7):
            wait_aloud(seconds, sleep=waited.append)
        assert waited == [15.0, 59.7]
        said = "The rate limit is used up: waiting 60 s.\n"
        assert capsys.readouterr().err == said
