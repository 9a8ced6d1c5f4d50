"""The private application over a real store, asked without a network."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from receiver.admin.app import build_app
from receiver.admin.runner import Runner
from receiver.store import Store
from tests.stored import migrated
from tests.unit.admin.asking import TOKEN, Caller
from tests.unit.admin.given import Desk, parts_over


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"), destinations=("orders", "audit"))
    yield opened
    opened.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def caller(store: Store, tmp_path: Path, desk: Desk) -> AsyncIterator[Caller]:
    runner = Runner(store)
    yield Caller(build_app(parts_over(store, runner, tmp_path, desk), TOKEN))
    await runner.aclose()
