"""`receiver demo`, as the README promises it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run the demo once, in an empty folder, with a setting in the environment that must not touch it."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "receiver", "demo"],
        cwd=folder,
        env={**os.environ, "RECEIVER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/elsewhere"},
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    return done, folder / "data/demo"


class TestDemo:
    def test_every_step_happens(self, demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
        """It exits 0 and shows each generation submitted, told of twice, mirrored and forwarded."""
        done, _ = demo
        assert done.returncode == 0, done.stdout + done.stderr
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith("gen_")]
        assert len(rows) == 5
        assert all("deduped" in row and "…" not in row for row in rows)

    def test_leaves_real_files(self, demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
        """The assets it names exist, one message per generation lies beside them."""
        _, folder = demo
        messages = [json.loads(line) for line in (folder / "messages.jsonl").read_text().splitlines()]
        assets = {path.suffix for path in (folder / "assets").rglob("gen_*")}
        assert assets == {".webp", ".png", ".jpg", ".mp4"}
        assert len({message["subject"] for message in messages}) == len(messages) == 5

    def test_says_where_they_are(self, demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
        """The last lines say where things lie and what to run next."""
        done, folder = demo
        for place in ("assets", "messages.jsonl", "receiver.db", "log.jsonl"):
            assert str(folder.resolve() / place) in done.stdout
        assert "receiver serve" in done.stdout
