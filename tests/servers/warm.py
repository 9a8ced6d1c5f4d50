"""Run our commands in forks of an interpreter that has imported everything, which takes two seconds of CPU.

A fork becomes what `python -m MODULE WORDS` would be, with its own folder, environment, files and signals.
Only what depends on importing needs an interpreter of its own.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Final, NoReturn, Self, cast

_ROOT: Final = Path(__file__).parents[2]
_IMPORTED: Final = (
    "boto3.session",
    "psycopg",
    "receiver.assets.s3",
    "receiver.cli.process",
    "receiver.client",
    "receiver.sandbox",
    "receiver.console.app",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "tests.acceptance.crashing",
    "uvicorn.protocols.http.httptools_impl",
)
_LONGEST: Final = 1 << 20
_statuses: Final[list[int]] = []
"""How this fork ends, once it does."""


class Process:
    """A command that runs: what tests use of `subprocess.Popen`."""

    def __init__(self, end: socket.socket, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self.pid = int(end.recv(16))
        self.returncode: int | None = None
        self.stdout = stdout
        self.stderr = stderr
        self._end = end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.001)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, once it has: a negative number is the signal that killed it."""
        if self.returncode is None:
            self._end.settimeout(timeout)
            try:
                told = self._end.recv(16)
            except TimeoutError as late:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from late
            self._end.close()
            self.returncode = int(told)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return the little that is left in its pipes, once it has ended."""
        self.wait(timeout)
        return self.stdout.read() if self.stdout else "", self.stderr.read() if self.stderr else ""

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> Process:
    """Start `python -m WORDS`; what it writes goes to these descriptors, or into a pipe if asked for."""
    asked = json.dumps({"words": words, "cwd": os.fspath(cwd), "env": dict(env)}).encode()
    assert len(asked) < _LONGEST
    end, keepers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.ExitStack() as stack:
        stack.callback(keepers_end.close)
        nothing = stack.enter_context(Path(os.devnull).open("r+b")).fileno()
        files, pipes = [nothing], list[IO[str] | None]()
        for each in (stdout, stderr):
            reading, writing = os.pipe() if each == subprocess.PIPE else (None, each)
            if reading is not None:
                stack.callback(os.close, writing)
            pipes.append(None if reading is None else os.fdopen(reading))
            files.append(nothing if writing == subprocess.DEVNULL else writing)
        socket.send_fds(_interpreter(), [asked], [*files, keepers_end.fileno()])
    return Process(end, *pipes)


def run(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m WORDS` to its end."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with start(words, cwd=cwd, env=env, stdout=out.fileno(), stderr=err.fileno()) as process:
            status = process.wait(timeout)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*words], status, out.read(), err.read())


@functools.cache
def _interpreter() -> socket.socket:
    """Start the interpreter of this process that runs tests; it ends when that does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.fileno()
    theirs.set_inheritable(True)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tests.servers.warm", str(number)],
        {**os.environ, "PYTHONPATH": str(_ROOT)},
        file_actions=[(os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_RDWR, 0) for each in (0, 1)],
    )
    theirs.close()
    atexit.register(ours.close)
    return ours


def _serve(control: socket.socket) -> None:
    """Fork at each request; return in a fork, or when nobody can ask any more."""
    atexit.register(_leave)  # the first to be registered is the last to be called
    for name in _IMPORTED:
        import_module(name)
    gc.freeze()  # what a fork's collector looked at would have to be copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
        if not asked:
            return
        if os.fork() == 0:
            break
        for each in files:
            os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    _keep(json.loads(asked), files)


def _keep(asked: dict[str, object], files: list[int]) -> None:
    """Fork once more; return in the fork as the command, and say how it ended in the one that stays."""
    *files, end = files
    pid = os.fork()
    if pid:
        os.write(end, f"{pid}".encode())
        for each in files:
            os.close(each)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(end, f"{os.waitstatus_to_exitcode(status)}".encode())
        os._exit(0)
    os.close(end)
    for number, each in enumerate(files):
        os.dup2(each, number)
        os.close(each)
    _become(cast("list[str]", asked["words"]), str(asked["cwd"]), cast("dict[str, str]", asked["env"]))


def _become(words: list[str], cwd: str, env: dict[str, str]) -> NoReturn:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    # Whoever runs the tests in the background of a script has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, *sys.argv[1:] = words
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        sys.exit(0)
    except SystemExit as ended:
        _statuses.append(int(ended.code or 0))
        raise


def _leave() -> None:
    """End a fork without taking apart all that was imported, which takes half a second of processor time."""
    for status in _statuses:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
