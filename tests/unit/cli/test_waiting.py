"""Where a download goes is checked before anything is paid."""

from pathlib import Path

import click
import pytest

from receiver.cli.waiting import DownloadPath


class TestDownloadPath:
    def test_takes_a_new_file_and_a_folder(self, tmp_path: Path) -> None:
        """As they are."""
        for path in (tmp_path, tmp_path / "new.png"):
            assert DownloadPath().convert(str(path), None, None) == path
        assert not (tmp_path / "new.png").exists()

    def test_makes_a_folder_that_ends_in_a_slash(self, tmp_path: Path) -> None:
        """With those above it; a second time it is there."""
        for _ in range(2):
            assert DownloadPath().convert(f"{tmp_path}/a/b/", None, None) == tmp_path / "a/b"
        assert (tmp_path / "a/b").is_dir()

    @pytest.mark.parametrize("path", ["none/x.png", "file/x.png", "file/x/", "file/"])
    def test_refuses_what_cannot_be_written(self, tmp_path: Path, path: str) -> None:
        """The message names the path."""
        (tmp_path / "file").touch()
        with pytest.raises(click.BadParameter, match=r"none|file"):
            DownloadPath().convert(f"{tmp_path}/{path}", None, None)
