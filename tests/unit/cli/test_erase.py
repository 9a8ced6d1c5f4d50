"""`receiver erase`, with files in a folder and downloads on disk."""

from dataclasses import replace
from pathlib import Path

from receiver.store import audit
from tests.stored import ASSET, an_event, delivered
from tests.unit.cli.running import Run
from tests.unit.cli.stored import in_store


class TestErase:
    def test_with_its_file(self, run: Run, tmp_path: Path) -> None:
        """A dry run only tells; then body, file and download go, and the audit log says who did it."""
        path = tmp_path / "data/assets/gen_1.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        path.with_name(".receiver-bucket").touch()
        event = an_event()
        asset = replace(ASSET, url=path.as_uri())
        in_store(tmp_path, lambda store: delivered(store, event, asset=asset))
        kept = tmp_path / "data/spool/kept" / event.id[-2:] / f"{event.id}.00.png"
        kept.parent.mkdir(parents=True)
        kept.touch()
        told = run("erase", "gen_1", "--asset", "--dry-run", "--json").object
        assert told["outcome"] == "would be erased"
        assert (told["bodies"], told["deliveries"], told["assets"]) == (1, 2, 1)
        assert path.exists()
        assert run("erase", "gen_1", "--asset", "--json").object["outcome"] == "erased"
        assert not path.exists()
        assert not kept.exists()
        assert run("events", "show", event.id, "--json").object["body"] is None
        [deed] = in_store(tmp_path, lambda store: store.transact(audit.deeds, limit=9)).rows
        assert (deed.what, "gen_1" in deed.on, "@" in deed.who) == ("erase", True, True)

    def test_unknown(self, run: Run) -> None:
        """It says so, and ends with status 1."""
        ended = run("erase", "gen_9", "--json")
        assert (ended.object["outcome"], ended.status) == ("unknown", 1)
