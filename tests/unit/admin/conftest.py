"""The private application over a real store, asked without a network."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from receiver.admin.app import build_app
from receiver.admin.runner import Runner
from receiver.store import Store
from receiver.telemetry.refusals import Refusals
from tests.stored import migrated
from tests.unit.admin.asking import TOKEN, Caller


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"), destinations=("orders", "audit"))
    yield opened
    opened.close()


@pytest.fixture
async def caller(store: Store) -> AsyncIterator[Caller]:
    runner = Runner(store)
    app = build_app(store, Refusals(), destinations=("orders", "audit"), token=TOKEN, runner=runner)
    yield Caller(app)
    await runner.aclose()
