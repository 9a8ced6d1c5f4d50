"""A site that tests of the public side share the shape of."""

from collections.abc import AsyncIterator

import pytest

from receiver.telemetry.refusals import Refusals
from receiver.web.app import PublicApp
from tests.unit.web.serving import SOURCES, FakeStore, Site, served


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def site(store: FakeStore) -> AsyncIterator[Site]:
    async with served(PublicApp(SOURCES, store.record, store.check, Refusals())) as offered:
        yield offered
