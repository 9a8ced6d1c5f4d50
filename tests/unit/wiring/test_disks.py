"""Which disks are watched."""

from pathlib import Path

from receiver.wiring.disks import watched_folders
from tests.unit.wiring.configured import settings


class TestWatchedFolders:
    def test_everything_that_is_written_here(self, tmp_path: Path) -> None:
        """The spool folder, each folder of assets, and the folder of an SQLite file."""
        found = watched_folders(
            settings(
                spool_dir=str(tmp_path / "spool"),
                assets_url=f"file:{tmp_path}/assets",
                database_url=f"sqlite:///{tmp_path}/db/receiver.db",
                sources={
                    "acme": {"secrets": "whsec_0123456789abcdef", "assets_url": f"file:{tmp_path}/acme"}
                },
            )
        )
        assert found == {
            "spool": tmp_path / "spool",
            "assets": tmp_path / "assets",
            "assets of acme": tmp_path / "acme",
            "database": tmp_path / "db",
        }

    def test_what_is_elsewhere(self) -> None:
        """A bucket and a server have disks of their own."""
        found = watched_folders(
            settings(assets_url="s3://bucket", database_url="postgresql://me@db.example.com/receiver")
        )
        assert list(found) == ["spool"]
