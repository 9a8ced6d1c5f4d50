"""A site that tests of the public side share the shape of."""

from collections.abc import AsyncIterator

import pytest

from receiver.telemetry.refusals import Refusals
from receiver.web.app import build_app
from tests.unit.web.serving import SOURCES, FakeStore, Site, served


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def site(store: FakeStore) -> AsyncIterator[Site]:
    async with served(build_app(SOURCES, store, Refusals())) as offered:
        yield offered
