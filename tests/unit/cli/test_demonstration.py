"""The demo's own judgement of what happened."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from receiver.cli.demonstration import Submitted, _conclude
from receiver.contract import COMPLETED, FAILED
from receiver.store.progress import Progress

ASKED = Submitted("gen_1", "image", 1_000)


def seen(folder: Path) -> Progress:
    """Return a generation that came all the way, with its files."""
    asset = folder / "gen_1.png"
    asset.write_bytes(b"x")
    (folder / "messages.jsonl").write_text(json.dumps({"subject": "gen_1"}) + "\n")
    return Progress("id", "gen_1", COMPLETED, 2_000, 1, "mirrored", f"file://{asset}", 3_000, 1, 4_000)


def conclude(folder: Path, found: dict[str, Progress]) -> tuple[int, str]:
    """Return the exit code and what is printed."""
    with (folder / "printed").open("w+") as printed:
        code = _conclude(folder, [ASKED], found, Console(file=printed, width=200))
        printed.seek(0)
        return code, printed.read()


class TestConclude:
    def test_all_steps(self, tmp_path: Path) -> None:
        """Everything happened: exit 0."""
        assert conclude(tmp_path, {"gen_1": seen(tmp_path)})[0] == 0

    def test_failed_generation_needs_no_asset(self, tmp_path: Path) -> None:
        """A failed generation is through without an asset."""
        failed = replace(
            seen(tmp_path), type=FAILED, asset_status=None, asset_url=None, asset_settled_ms=None
        )
        assert conclude(tmp_path, {"gen_1": failed})[0] == 0

    @pytest.mark.parametrize(
        ("change", "step"),
        [
            ({"repeats": 0}, "deduped"),
            ({"asset_status": "failed"}, "mirrored"),
            ({"delivered": 0}, "forwarded"),
        ],
    )
    def test_missing_step(self, tmp_path: Path, change: dict[str, object], step: str) -> None:
        """A step that did not happen is named, and the exit code is 1."""
        code, printed = conclude(tmp_path, {"gen_1": replace(seen(tmp_path), **change)})  # type: ignore[arg-type]
        assert code == 1
        assert f"gen_1: not {step}" in printed

    def test_no_webhook(self, tmp_path: Path) -> None:
        """A generation that was never heard of again is named."""
        seen(tmp_path)
        code, printed = conclude(tmp_path, {})
        assert (code, "gen_1: not webhook" in printed) == (1, True)

    def test_second_message(self, tmp_path: Path) -> None:
        """A generation forwarded twice is a fault, whatever the store says."""
        found = {"gen_1": seen(tmp_path)}
        path = tmp_path / "messages.jsonl"
        path.write_text(path.read_text() * 2)
        code, printed = conclude(tmp_path, found)
        assert (code, "2 messages, not 1" in printed) == (1, True)

    def test_missing_file(self, tmp_path: Path) -> None:
        """An asset that is not on disk is a fault, whatever the store says."""
        found = {"gen_1": seen(tmp_path)}
        (tmp_path / "gen_1.png").unlink()
        code, printed = conclude(tmp_path, found)
        assert (code, "no such file" in printed) == (1, True)
