"""Every real sender that this machine has, at its defaults, against the real service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, service
from tests.senders.drive import CASES, SENDERS, Sender, send

IDLE_S = 1.0


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("senders")) as offered:
        offered.start("web")
        yield offered


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_sender(receiver: Service, tmp_path: Path, sender: Sender) -> None:
    """Its deliveries are accepted on a fresh connection, a reused and an idle one, chunked, and large."""
    sent = send(sender, receiver.port, tmp_path, idle_s=IDLE_S)
    assert sent.statuses == dict.fromkeys((*CASES, *sender.others), "200")
    assert sent.connections <= sender.connections
