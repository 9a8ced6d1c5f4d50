"""Every real sender that this machine has, at its defaults, against the real service."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, service
from tests.senders.drive import CASES, SENDERS, Sender, send
from tests.senders.installed import TOOLCHAINS, Toolchain, build

IDLE_S = 1.0
INSTALLED = [(toolchain, sender) for toolchain in TOOLCHAINS for sender in toolchain.senders]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("senders")) as offered:
        offered.start("web")
        yield offered


@pytest.mark.timeout(180)  # a first run compiles Go's library
@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_sender(receiver: Service, tmp_path: Path, sender: Sender) -> None:
    """Its deliveries are accepted on a fresh connection, a reused and an idle one, chunked, and large."""
    sent = send(sender, receiver.port, tmp_path, idle_s=IDLE_S)
    assert sent.statuses == dict.fromkeys((*CASES, *sender.others), "200")
    assert sent.connections <= sender.connections


if os.environ.get("RECEIVER_TEST_SENDERS") == "all":

    @pytest.mark.timeout(900)
    @pytest.mark.parametrize(("toolchain", "sender"), INSTALLED, ids=[sender.name for _, sender in INSTALLED])
    def test_installed_sender(
        receiver: Service, tmp_path: Path, toolchain: Toolchain, sender: Sender
    ) -> None:
        """The same of those that `make senders` installs from other package indexes."""
        build(toolchain)
        test_sender(receiver, tmp_path, sender)
