"""JSON Lines files: whole lines only, on disk before we say so."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from receiver.destinations import open_destination
from receiver.destinations.jsonlines import JsonLinesFile, append
from receiver.outcomes import Delivered, Retry
from tests.messages import message

ROOT = Path(__file__).parents[3]


_LEASE = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def leased(path: Path) -> Iterator[None]:
    """Let whoever opens *path* hang, as on a network drive that is away."""
    with subprocess.Popen(
        [sys.executable, "-c", _LEASE, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        yield
        holder.communicate()


class TestConnect:
    @pytest.mark.parametrize("url", ["file:data/events.jsonl", "file:./data/events.jsonl"])
    async def test_a_relative_path_starts_at_the_working_directory(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`file:` without slashes is relative, and its folders are created."""
        monkeypatch.chdir(tmp_path)
        assert await open_destination("q", url, {}).send([message(1)]) == [Delivered()]
        assert (tmp_path / "data/events.jsonl").read_bytes() == message(1).body + b"\n"

    async def test_percent_escapes_are_decoded(self, tmp_path: Path) -> None:
        """A path with a space can be written as a URL."""
        await open_destination("q", f"file://{tmp_path}/a%20b.jsonl", {}).send([message(1)])
        assert (tmp_path / "a b.jsonl").exists()


class TestSend:
    async def test_something_that_is_no_file_is_a_retry(self) -> None:
        """A device is not a file: nothing is written to it, and the error names the setting."""
        destination = open_destination("q", "file:///dev/full", {})
        assert isinstance(destination, JsonLinesFile)
        [outcome] = await destination.send([message(1)])
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__Q__URL" in outcome.error
        assert "not a regular file" in outcome.error

    async def test_a_renamed_file_is_started_again(self, tmp_path: Path) -> None:
        """Log rotation by renaming needs no signal."""
        path = tmp_path / "events.jsonl"
        destination = open_destination("q", f"file:{path}", {})
        await destination.send([message(1)])
        path.rename(tmp_path / "events.jsonl.1")
        await destination.send([message(2)])
        assert path.read_bytes() == message(2).body + b"\n"

    async def test_a_disk_that_hangs_is_a_retry_within_the_timeout(self, tmp_path: Path) -> None:
        """Opening hangs while another process has a lease on the file; nothing waits for it but the message.

        Once the disk answers again, the same destination goes on.
        """
        path = tmp_path / "events.jsonl"
        path.touch()
        destination = open_destination("q", f"file:{path}", {"timeout_s": "0.5"})
        with leased(path):
            began = time.monotonic()
            [outcome] = await destination.send([message(1)])
            assert isinstance(outcome, Retry)
            assert "did not answer within 0.5 s" in outcome.error
            assert "RECEIVER_DESTINATIONS__Q__URL" in outcome.error
            assert time.monotonic() - began < 20
        async with asyncio.timeout(20):
            while await destination.send([message(2)]) != [Delivered()]:
                pass
        await destination.aclose()


class TestAppend:
    def test_a_torn_last_line_is_left_alone(self, tmp_path: Path) -> None:
        """After a crash in the middle of a line, the next one starts on its own."""
        path = tmp_path / "events.jsonl"
        path.write_bytes(b'{"id": 1}\n{"id": 2, "da')
        append(path, b'{"id": 3}\n', timeout_s=1)
        append(path, b'{"id": 4}\n', timeout_s=1)
        assert path.read_bytes() == b'{"id": 1}\n{"id": 2, "da\n{"id": 3}\n{"id": 4}\n'

    def test_lines_that_do_not_fit_are_taken_back(self, tmp_path: Path) -> None:
        """When the disk takes only a part, the file is as it was, and can be appended to later."""
        path = tmp_path / "events.jsonl"
        append(path, b"x" * 99 + b"\n", timeout_s=1)
        script = (
            "import resource, sys\nfrom pathlib import Path\n"
            "from receiver.destinations.jsonlines import append\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))\n"
            "try: append(Path(sys.argv[1]), b'y' * 99 + b'\\n', timeout_s=1)\n"
            "except OSError as error: print(error.strerror)"
        )
        told = subprocess.run(
            [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, check=True, text=True
        )
        assert told.stdout.strip() == "File too large"
        assert path.read_bytes() == b"x" * 99 + b"\n"

    def test_it_is_on_disk_before_it_returns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file is forced to disk after the write, and so is the folder that names a new file."""
        path = tmp_path / "new/events.jsonl"
        synced: list[tuple[bool, int]] = []
        fsync = os.fsync

        def recording(fd: int) -> None:
            synced.append((Path(f"/proc/self/fd/{fd}").resolve() == path, os.fstat(fd).st_size))
            fsync(fd)

        monkeypatch.setattr(os, "fsync", recording)
        append(path, b"line\n", timeout_s=1)
        assert synced[-1] == (True, 5), "the file, last, with the line in it"
        assert len(synced) == 3, "the parent of the new folder, the new folder, the file"

    def test_a_failed_fsync_takes_the_lines_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What may not be on disk is not left to be read either: it will be sent again."""
        path = tmp_path / "events.jsonl"
        append(path, b"kept\n", timeout_s=1)

        def failing(fd: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output"):
            append(path, b"lost\n", timeout_s=1)
        assert path.read_bytes() == b"kept\n"

    async def test_many_processes_may_append_at_once(self, tmp_path: Path) -> None:
        """No line of one process ends up inside another's."""
        path = tmp_path / "events.jsonl"
        script = (
            "import sys\nfrom pathlib import Path\nfrom receiver.destinations.jsonlines import append\n"
            "line = sys.argv[2].encode() * 20000 + b'\\n'\n"
            "for _ in range(50): append(Path(sys.argv[1]), line, timeout_s=30)"
        )
        writers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path), letter, cwd=ROOT)
            for letter in "abc"
        ]
        assert [await writer.wait() for writer in writers] == [0, 0, 0]
        lines = path.read_bytes().splitlines()
        assert sorted(lines) == sorted(letter * 20000 for letter in (b"a", b"b", b"c") for _ in range(50))
