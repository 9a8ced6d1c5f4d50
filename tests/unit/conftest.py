"""What many unit tests start from."""

import os

import hypothesis
import pytest

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every setting out of the environment."""
    for name in list(os.environ):
        if name.startswith("RECEIVER_") or name in {"PORT", "DATABASE_URL"}:
            monkeypatch.delenv(name)
