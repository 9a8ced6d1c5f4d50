"""Where the token comes from."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from receiver.admin.token import FILE_NAME, configured, kept
from receiver.errors import ConfigError


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
