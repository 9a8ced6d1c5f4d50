"""Processor time of other processes, from the operating system's accounting. Linux."""

import ctypes
import os
import time
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_USER_KERNEL: Final = slice(11, 13)
_REAPED: Final = slice(13, 15)
"""`utime`, `stime`, `cutime` and `cstime` in proc_pid_stat(5), counted from the state."""


def cpu_s(pid: int) -> float:
    """Return the seconds that *pid* has used in all its threads, with its children, also those that ended.

    A process that ended and was waited for counts to the tick (10 ms), all else to the nanosecond.
    """
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _own_s(pid) + sum(_if_alive_s(int(child)) for child in children) + _reaped_s(pid)


def _if_alive_s(child: int) -> float:
    try:
        return cpu_s(child)
    except (ProcessLookupError, FileNotFoundError):  # its parent has it among those that ended
        return 0.0


def _own_s(pid: int) -> float:
    clock = ctypes.c_int()
    error = _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise ProcessLookupError(error, os.strerror(error))
    return time.clock_gettime(clock.value)


def user_and_kernel_s(pid: int) -> tuple[float, float]:
    """Return the seconds of *pid* itself in its own code and in the kernel, to the tick."""
    user, kernel = _ticks(pid, _USER_KERNEL)
    return user / _TICKS_PER_S, kernel / _TICKS_PER_S


def _reaped_s(pid: int) -> float:
    return sum(_ticks(pid, _REAPED)) / _TICKS_PER_S


def _ticks(pid: int, fields: slice) -> list[int]:
    return [int(ticks) for ticks in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[fields]]


def machine_busy_s() -> float:
    """Return the seconds for which the processors of this machine have worked, for whomever."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _iowait, irq, softirq = (int(ticks) for ticks in fields[1:8])
    return (user + nice + system + irq + softirq) / _TICKS_PER_S
