"""The name of a folder."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from receiver.assets.folder_marker import folder_id
from receiver.assets.kept import KeptDownloads
from tests.unit.assets.conftest import files


class TestFolderId:
    def test_stays(self, tmp_path: Path) -> None:
        """Every process that uses the folder, now and later, gives it one name; others have others."""
        first = folder_id(tmp_path / "one/id")
        assert folder_id(tmp_path / "one/id") == first == KeptDownloads(tmp_path / "one", max_bytes=0).spool
        assert folder_id(tmp_path / "two/id") != first
        assert files(tmp_path / "one") == ["id"]

    def test_several_at_once(self, tmp_path: Path) -> None:
        """Processes that start together agree."""
        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(lambda _: folder_id(tmp_path / "id"), range(64)))) == 1

    @pytest.mark.parametrize("spoilt", ["", "0" * 31, "0" * 33, "\ufffd" * 32])
    def test_spoilt_by_a_power_cut(self, tmp_path: Path, spoilt: str) -> None:
        """A file that holds no name is replaced."""
        (tmp_path / "id").write_text(spoilt, "utf-8")
        assert folder_id(tmp_path / "id") == folder_id(tmp_path / "id")

    def test_file_system_without_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder that knows no hard links has a name all the same."""

        def refuse(_path: Path, _target: Path) -> None:
            raise PermissionError

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        assert folder_id(tmp_path / "id") == folder_id(tmp_path / "id")
        assert files(tmp_path) == ["id"]
