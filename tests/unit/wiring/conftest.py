"""Every test starts without settings, in a folder of its own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(clean_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path
