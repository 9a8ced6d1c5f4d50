"""A real server as a child process on a loopback port, which tests may kill, freeze and start again."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final

_POLL_S: Final = 0.02


class ServerProcess:
    """One server on one port; every start uses the same command line."""

    def __init__(self, argv: Sequence[str], port: int, *, env: Mapping[str, str] | None = None) -> None:
        self._argv = list(argv)
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def pid(self) -> int:
        """The process; what it forked are its children."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, *, within_s: float = 60.0) -> None:
        """Start it and return once it is ready."""
        assert self._process is None, "already started"
        self._process = subprocess.Popen(
            self._argv, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + within_s
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._argv[0]} did not come up on port {self.port}")
            time.sleep(_POLL_S)

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it with SIGKILL; do nothing if it does not run."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end and wait until it has; do nothing if it does not run."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let the kernel accept connections for it, and the process answer none of them."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Its threads stop one by one: on a busy machine some answer for a while.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Undo `freeze`; do nothing if it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
