"""What tests of the worker's duties start from."""

from typing import cast

import pytest

from receiver.store import Store
from receiver.worker.leases import Leases
from tests.unit.worker.scripted import ScriptedStore


@pytest.fixture
def scripted() -> ScriptedStore:
    return ScriptedStore()


@pytest.fixture
def store(scripted: ScriptedStore) -> Store:
    """The same, as the worker calls it."""
    return cast("Store", scripted)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try to settle twice, without a pause."""
    monkeypatch.setattr("receiver.worker.leases.PAUSES_S", (0.0,))


@pytest.fixture
def leases(store: Store) -> Leases:
    return Leases(store, lease_s=60)
