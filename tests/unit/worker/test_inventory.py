"""Taking stock: what the store says was mirrored, against what the bucket holds."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from receiver.assets import Held
from receiver.assets.by_source import BucketsBySource
from receiver.events import Asset
from receiver.store.inventory import KnownAsset, Scope
from receiver.worker.inventory import Finding, Inventory, compare
from receiver.worker.repair import NotRepaired, Repair, Repaired
from tests.servers.assets import PNG
from tests.unit.worker.stocked import Stock, stock

__all__ = ["stock"]


@dataclass
class Seen:
    """What an inventory told while it was taken."""

    findings: list[Finding] = field(default_factory=list)
    ticks: int = 0

    async def take(self, inventory: Inventory, scope: Scope | None = None) -> dict[str, int]:
        return dict(await inventory.take(scope or Scope(), report=self.findings.append, tick=self._tick))

    @property
    def problems(self) -> dict[str, str]:
        return {finding.known.generation_id: finding.problem for finding in self.findings}

    def _tick(self) -> None:
        self.ticks += 1


@pytest.fixture
def seen() -> Seen:
    return Seen()


def cut(path: Path) -> None:
    path.write_bytes(PNG[:-1])


def alter(path: Path) -> None:
    path.write_bytes(b"x" * len(PNG))


class TestTake:
    async def test_everything_is_there(self, stock: Stock, seen: Seen) -> None:
        """Where store and bucket agree there is nothing to report."""
        for number in range(3):
            await stock.add(f"gen_{number}")
        assert await seen.take(Inventory(stock.store, BucketsBySource(stock.bucket))) == {
            "checked": 3,
            "ok": 3,
        }
        assert (seen.findings, seen.ticks) == ([], 3)

    @pytest.mark.parametrize(
        ("damage", "deep", "problem"),
        [
            (Path.unlink, False, "missing"),
            (cut, False, "wrong_size"),
            (alter, True, "wrong_checksum"),
        ],
    )
    async def test_finds_the_damaged_one(
        self, stock: Stock, seen: Seen, damage: Callable[[Path], None], deep: bool, problem: str
    ) -> None:
        """Only what was touched is reported, by what is wrong with it."""
        for number in range(3):
            await stock.add(f"gen_{number}")
        damage(stock.file("gen_1"))
        tally = await seen.take(Inventory(stock.store, BucketsBySource(stock.bucket), deep))
        assert tally == {"checked": 3, "ok": 2, problem: 1}
        assert seen.problems == {"gen_1": problem}

    async def test_a_folder_tells_no_checksum_unread(self, stock: Stock, seen: Seen) -> None:
        """Without `deep` a file of the right size passes: that is what `deep` is for."""
        await stock.add("gen_1")
        alter(stock.file("gen_1"))
        assert await seen.take(Inventory(stock.store, BucketsBySource(stock.bucket))) == {
            "checked": 1,
            "ok": 1,
        }

    async def test_in_another_bucket(self, stock: Stock, seen: Seen) -> None:
        """What lies in another bucket cannot be looked at, which is not the same as being in order."""
        await stock.add("gen_1", Asset("mirrored", "s3://older/k.png", "image/png", 3, "0" * 64))
        assert await seen.take(Inventory(stock.store, BucketsBySource(stock.bucket))) == {
            "checked": 1,
            "elsewhere": 1,
        }

    async def test_failing_bucket(self, stock: Stock, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bucket that fails for one object does not end the inventory, nor is the object called missing."""
        stat = os.stat

        def fail(path: Any, *more: Any, **options: Any) -> object:
            if ".db" in str(path):
                return stat(path, *more, **options)
            raise OSError(5, "Input/output error")

        await stock.add("gen_1")
        monkeypatch.setattr(os, "stat", fail)
        tally = await seen.take(Inventory(stock.store, BucketsBySource(stock.bucket)))
        monkeypatch.undo()
        assert tally == {"checked": 1, "unavailable": 1}

    async def test_given_up_only_when_asked_for(self, stock: Stock, seen: Seen) -> None:
        """Assets that were given up are reported with their code, if they are in the scope."""
        await stock.add("gen_1", Asset("failed", error="http_404"))
        inventory = Inventory(stock.store, BucketsBySource(stock.bucket))
        assert await seen.take(inventory) == {}
        assert await seen.take(inventory, Scope(with_failed=True)) == {"checked": 1, "failed": 1}
        assert seen.findings[0].detail == "http_404"


class FakeRepairer:
    """Repairs some."""

    def __init__(self, **repairs: Repair) -> None:
        self._repairs = repairs

    async def restore(self, known: KnownAsset, key: str, problem: str) -> Repair:
        assert key.endswith(f"{known.generation_id}.png")
        assert problem == "missing"
        return self._repairs[known.generation_id]

    async def try_again(self, known: KnownAsset) -> Repair:
        return self._repairs[known.generation_id]


class TestTakeAndRepair:
    async def test_counts_what_was_repaired(self, stock: Stock, seen: Seen) -> None:
        """Each finding carries what came of its repair."""
        repairs: dict[str, Repair] = {
            "gen_1": Repaired("file:///1"),
            "gen_2": NotRepaired("http_404"),
            "gen_3": Repaired("file:///3", "told"),
        }
        for name in ("gen_1", "gen_2"):
            await stock.add(name)
            stock.file(name).unlink()
        await stock.add("gen_3", Asset("failed", error="timeout"))
        fake = FakeRepairer(**repairs)
        inventory = Inventory(stock.store, BucketsBySource(stock.bucket), repairer=fake)  # type: ignore[arg-type]
        tally = await seen.take(inventory, Scope(with_failed=True))
        assert tally == {"checked": 3, "missing": 2, "failed": 1, "repaired": 2}
        assert {one.known.generation_id: one.repair for one in seen.findings} == repairs


class TestCompare:
    ASSET = Asset("mirrored", "s3://b/k", "image/png", 3, "0" * 64)

    @pytest.mark.parametrize(
        ("held", "problem"),
        [
            (None, "missing"),
            (Held(4, "0" * 64), "wrong_size"),
            (Held(3, "1" * 64), "wrong_checksum"),
            (Held(3, ""), "wrong_checksum"),
            (Held(3, None), None),
            (Held(3, "0" * 64), None),
        ],
    )
    def test_difference(self, held: Held | None, problem: str | None) -> None:
        """Absence, then size, then checksum; one that only reading would tell is no difference."""
        assert compare(self.ASSET, held) == problem
