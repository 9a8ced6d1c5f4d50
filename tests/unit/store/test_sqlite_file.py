"""What is read through a descriptor that somebody else opened."""

import os
from pathlib import Path

from receiver.store.sqlite_file import Held


class TestHeld:
    def test_only_while_it_is_open(self, tmp_path: Path) -> None:
        """A file that this process has not open, or not any more, is left alone."""
        path = tmp_path / "file"
        path.write_bytes(b"content")
        held = Held(str(path))
        assert held.read(4) == b""
        held.sync()
        descriptor = os.open(path, os.O_RDWR)
        assert (held.read(4), held.read(7)) == (b"cont", b"content")
        held.sync()
        os.close(descriptor)
        assert held.read(4) == b""
