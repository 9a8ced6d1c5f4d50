"""`receiver prune`, and what the other commands say of what was pruned."""

import sqlite3
from contextlib import closing
from pathlib import Path

from receiver.clock import now_ms
from receiver.events import Asset
from tests.stored import NOW, an_event, delivered
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store


class TestPrune:
    def test_counts_then_prunes_and_others_say_so(self, run: Run, tmp_path: Path) -> None:
        """A dry run changes nothing; what is old goes, what is not stays; show and replay tell of it."""
        old, young = an_event("gen_old"), an_event("gen_young", at=now_ms())
        in_store(tmp_path, lambda store: delivered(store, old, young))
        expected = {"bodies": 1, "deliveries": 2, "quarantine": 0, "operations": 0, "submissions": 0}
        assert run("prune", "--dry-run", "--json").object == expected
        assert run("prune", "--json").object == expected
        assert run("prune", "--json").object["bodies"] == 0
        found = run("events", "show", old.id, "--json").object
        assert (found["state"], found["body"], found["deliveries"]) == ("pruned", None, [])
        assert "cannot be sent again" in run("events", "show", old.id).out
        replayed = run("events", "replay", old.id, young.id, "--json", **DESTINATIONS)
        assert f"{old.id} is pruned: its body is gone, so it cannot be sent again." in replayed.err
        assert replayed.object["matched"] == 1

    def test_old_files_are_deleted_only_if_a_setting_says_so(self, run: Run, tmp_path: Path) -> None:
        """A dry run counts them; a replay says of which there is no file any more."""
        file = tmp_path / "assets/gen_old.png"
        file.parent.mkdir()
        file.write_bytes(b"a file")
        file.with_name(".receiver-bucket").touch()
        old = an_event("gen_old")
        asset = Asset("mirrored", file.as_uri(), "image/png", 6, "0" * 64)
        in_store(tmp_path, lambda store: delivered(store, old, asset=asset))
        keeping = {f"RECEIVER_KEEP_{what}_DAYS": "0" for what in ("BODIES", "DELIVERIES", "SUBMISSIONS")}
        keeping["RECEIVER_ASSETS_URL"] = f"file:{file.parent}"
        assert "assets" not in run("prune", "--json", **keeping).object
        keeping["RECEIVER_KEEP_ASSETS_DAYS"] = "30"
        assert run("prune", "--dry-run", "--json", **keeping).object["assets"] == 1
        assert file.exists()
        assert run("prune", "--json", **keeping).object["assets"] == 1
        assert not file.exists()
        assert run("events", "show", old.id, "--json").object["asset"]["error"] == "deleted"
        replayed = run("events", "replay", old.id, "--json", **DESTINATIONS)
        assert f"{old.id}: its file was deleted from the bucket" in replayed.err

    def test_a_file_of_an_earlier_release_says_what_it_needs(self, run: Run, tmp_path: Path) -> None:
        """Such a file gives nothing back before a VACUUM."""
        (tmp_path / "data").mkdir()
        with closing(sqlite3.connect(tmp_path / "data/receiver.db")) as connection, connection:
            connection.execute("PRAGMA auto_vacuum=NONE")
            connection.execute("CREATE TABLE other (filler)")
            connection.execute("INSERT INTO other VALUES (zeroblob(100000))")
        run("migrate")
        in_store(tmp_path, lambda store: delivered(store, an_event(at=NOW)))
        with closing(sqlite3.connect(tmp_path / "data/receiver.db")) as connection, connection:
            connection.execute("DROP TABLE other")
        assert "gives none back before one VACUUM" in run("prune").err
