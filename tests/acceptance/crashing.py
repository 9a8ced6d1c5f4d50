"""`python -m tests.acceptance.crashing POINT COMMAND`: the service, killed at one instruction of its work."""

import os
import signal
import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from receiver.assets.fetch import Fetcher
from receiver.assets.folder import FolderBucket
from receiver.assets.s3 import S3Bucket
from receiver.assets.s3_early import EarlyUpload
from receiver.assets.s3_upload import Upload
from receiver.cli.main import main
from receiver.destinations import Message
from receiver.destinations.jsonlines import JsonLinesFile
from receiver.events import ASSET_MIRRORED
from receiver.store import Store
from receiver.store.claim import claim_events
from receiver.store.committer import Committer
from receiver.store.late import LateArrived, claim_late
from receiver.store.record import Arrival
from receiver.store.settlements import Closing, DeliveryConfirmed, EventSettled
from receiver.worker.forwarding import Forwarding
from receiver.worker.mirroring import Mirroring


def _is_late(message: Message) -> bool:
    return message.type.endswith(ASSET_MIRRORED)


def _is_confirmed(item: object) -> bool:
    return isinstance(item, Closing) and isinstance(item.settlement, DeliveryConfirmed)


_POINTS: dict[str, tuple[type, str, Callable[[tuple[Any, ...], Any], bool]]] = {
    "commit": (Store, "record", lambda _args, _result: True),
    "claim": (Store, "claim", lambda args, jobs: args[1] is claim_events and bool(jobs)),
    "settled as found": (Store, "settle_due", lambda _args, due: bool(due.settled)),
    "event taken": (Mirroring, "take", lambda _args, _result: True),
    "delivery taken": (Forwarding, "take", lambda _args, _result: True),
    "recording put off": (Committer, "_enter", lambda args, _answer: isinstance(args[2], Arrival)),
    "confirming put off": (Committer, "_enter", lambda args, _answer: _is_confirmed(args[2])),
    "fetch": (Fetcher, "fetch", lambda _args, _result: True),
    "upload": (FolderBucket, "put", lambda _args, _result: True),
    "settle": (Store, "settle", lambda args, _held: isinstance(args[1], EventSettled)),
    # The check at start uploads a marker of its own in parts.
    "part": (Upload, "send_part", lambda args, _result: type(args[0]) is Upload),
    "early part": (EarlyUpload, "_send_part", lambda _args, _result: True),
    "early end": (EarlyUpload, "finish", lambda _args, _result: True),
    "stored": (S3Bucket, "put", lambda _args, _result: True),
    "send": (JsonLinesFile, "send", lambda _args, _outcomes: True),
    "late claim": (Store, "claim", lambda args, jobs: args[1] is claim_late and bool(jobs)),
    "late settle": (Store, "settle", lambda args, _held: isinstance(args[1], LateArrived)),
    "late send": (JsonLinesFile, "send", lambda args, _outcomes: any(_is_late(one) for one in args[1])),
}
"""Where to die: a method, and whether a call of it was the one; after its work, before anyone knows."""


def main_crashing_at(point: str) -> None:
    """Break the service at *point* and run it."""
    owner, name, is_it = _POINTS[point]
    method = getattr(owner, name)

    def die_if_it_is(args: tuple[Any, ...], result: Any) -> Any:
        if is_it(args, result):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    async def dying(*args: Any, **kwargs: Any) -> Any:
        return die_if_it_is(args, await method(*args, **kwargs))

    def dying_in_a_thread(*args: Any, **kwargs: Any) -> Any:
        return die_if_it_is(args, method(*args, **kwargs))

    setattr(owner, name, dying if iscoroutinefunction(method) else dying_in_a_thread)
    main()


if __name__ == "__main__":
    main_crashing_at(sys.argv.pop(1))
