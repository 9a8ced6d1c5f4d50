"""`python -m tests.acceptance.crashing POINT COMMAND`: the service, killed at one instruction of its work."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from receiver.__main__ import main
from receiver.assets.fetch import Fetcher
from receiver.assets.folder import FolderBucket
from receiver.destinations.jsonlines import JsonLinesFile
from receiver.store import EventSettled, Store

_POINTS: dict[str, tuple[type, str, Callable[[tuple[Any, ...], Any], bool]]] = {
    "commit": (Store, "record", lambda _args, _result: True),
    "claim": (Store, "claim_events", lambda _args, jobs: bool(jobs)),
    "fetch": (Fetcher, "fetch", lambda _args, _result: True),
    "upload": (FolderBucket, "put", lambda _args, _result: True),
    "settle": (Store, "settle", lambda args, _held: isinstance(args[1], EventSettled)),
    "send": (JsonLinesFile, "send", lambda _args, _outcomes: True),
}
"""Where to die: a method, and whether a call of it was the one; after its work, before anyone knows."""


def main_crashing_at(point: str) -> None:
    """Break the service at *point* and run it."""
    owner, name, is_it = _POINTS[point]
    method = getattr(owner, name)

    async def dying(*args: Any, **kwargs: Any) -> Any:
        result = await method(*args, **kwargs)
        if is_it(args, result):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)
    main()


if __name__ == "__main__":
    main_crashing_at(sys.argv.pop(1))
