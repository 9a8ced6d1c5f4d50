"""`receiver assets`, over a store and a folder that a test breaks."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.assets.folder import FolderBucket
from receiver.events import Asset
from receiver.store import Store
from tests.servers.assets import PNG
from tests.stored import migrated
from tests.unit.cli.running import Run
from tests.unit.worker.stocked import Stock

GONE = Asset("failed", error="http_404")


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Stock]:
    """What the default settings name, with three assets in it."""
    store = Store(migrated(tmp_path / "data/receiver.db"))
    (tmp_path / "spool").mkdir()
    stocked = Stock(store, FolderBucket(tmp_path / "data/assets"), tmp_path / "spool")

    async def fill() -> None:
        for number in range(3):
            await stocked.add(f"gen_{number}")

    asyncio.run(fill())
    yield stocked
    store.close()


class TestVerify:
    def test_in_order(self, run: Run, stock: Stock) -> None:
        """Nothing is printed as a result, the count for a person, and the status is 0."""
        ended = run("assets", "verify")
        assert (ended.status, ended.out, ended.err) == (0, "", "3 checked: 3 ok\n")

    def test_nothing_to_verify(self, run: Run) -> None:
        """An empty store is in order."""
        run("migrate")
        ended = run("assets", "verify")
        assert (ended.status, ended.err) == (0, "0 checked\n")

    def test_table(self, run: Run, stock: Stock) -> None:
        """Each problem is a line; the status tells that there is one."""
        stock.file("gen_1").unlink()
        ended = run("assets", "verify")
        heading, line = ended.out.splitlines()
        assert heading.split("\t")[:3] == ["problem", "source", "generation id"]
        assert line.split("\t")[:3] == ["missing", "photoverse", "gen_1"]
        assert (ended.status, ended.err) == (1, "3 checked: 2 ok, 1 missing\n")

    def test_json(self, run: Run, stock: Stock) -> None:
        """One object for each problem, and the counts last."""
        stock.file("gen_2").write_bytes(PNG[:-1])
        found, counts = run("assets", "verify", "--json").objects
        assert (found["generation_id"], found["problem"], found["outcome"]) == ("gen_2", "wrong_size", None)
        assert found["detail"] == f"{len(PNG) - 1} bytes"
        assert (counts["checked"], counts["ok"], counts["wrong_size"], counts["missing"]) == (3, 2, 1, 0)

    def test_deep(self, run: Run, stock: Stock) -> None:
        """Only reading shows that bytes of the same number are others."""
        stock.file("gen_0").write_bytes(b"x" * len(PNG))
        assert run("assets", "verify").status == 0
        ended = run("assets", "verify", "--deep", "--json")
        assert (ended.status, ended.objects[0]["problem"]) == (1, "wrong_checksum")

    @pytest.mark.parametrize(
        ("options", "checked"),
        [
            (["--since", "1h"], 3),
            (["--since", "99999d"], 3),
            (["--until", "1960-01-01"], 0),
            (["--until", "1h"], 0),
            (["--source", "photoverse"], 3),
        ],
    )
    def test_scope(self, run: Run, stock: Stock, options: list[str], checked: int) -> None:
        """Time and source narrow it down."""
        assert run("assets", "verify", "--json", *options).object["checked"] == checked

    def test_failed(self, run: Run, stock: Stock) -> None:
        """What was given up is reported with its code when asked for."""
        asyncio.run(_add_failed(stock))
        assert run("assets", "verify").status == 0
        found, counts = run("assets", "verify", "--failed", "--json").objects
        assert (found["problem"], found["detail"], counts["failed"]) == ("failed", "http_404", 1)

    def test_dry_run_changes_nothing(self, run: Run, stock: Stock) -> None:
        """Told not to repair, or not told at all, it leaves everything as it is."""
        stock.file("gen_1").unlink()
        for options in ([], ["--dry-run"], ["--repair", "--dry-run"]):
            assert run("assets", "verify", *options).status == 1
        assert not stock.file("gen_1").exists()

    def test_repair_that_fails(self, run: Run, stock: Stock) -> None:
        """Where the source cannot be had either, the reason is in the line and the status stays."""
        stock.file("gen_1").unlink()
        ended = run("assets", "verify", "--repair", "--json", RECEIVER_ASSET_HOSTS="nowhere.example")
        assert (ended.status, ended.objects[0]["outcome"]) == (1, "not_repaired")
        assert ended.objects[0]["reason"] == "blocked_url"

    @pytest.mark.parametrize("url", ["s3://", "gopher://x"])
    def test_wrong_setting(self, run: Run, url: str) -> None:
        """A bucket that cannot be one is refused by the name of its setting."""
        ended = run("assets", "verify", RECEIVER_ASSETS_URL=url)
        assert (ended.status, "RECEIVER_ASSETS_URL" in ended.err) == (2, True)


async def _add_failed(stock: Stock) -> None:
    await stock.add("gen_gone", GONE)
