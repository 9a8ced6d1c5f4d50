"""What systemd is told, and when."""

import os
import socket
from pathlib import Path

import pytest

from receiver.cli.listener import announce_ready
from tests.acceptance.service import service

NAME = f"receiver-{os.getpid()}"
WITHIN_S = 100


class TestAnnounceReady:
    def test_once_it_listens(self, tmp_path: Path) -> None:
        """A service manager, here at an abstract address, hears of a process that takes deliveries."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{NAME}")
            manager.settimeout(WITHIN_S)
            with service(tmp_path, NOTIFY_SOCKET=f"@{NAME}") as receiver:
                receiver.start()
                assert manager.recv(100) == b"READY=1"
                assert receiver.logged("listening")

    def test_nobody_there(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A name left over from another service does no harm."""
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
        announce_ready()
