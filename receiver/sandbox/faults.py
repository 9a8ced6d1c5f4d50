"""What can go wrong with one call, queued until that call comes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, assert_never

from starlette.responses import HTMLResponse, Response

from receiver.contract import ERROR_STATUS
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.server import CutShort, NoAnswer

FaultKind = Literal[
    "status",
    "latency",
    "reset_before_read",
    "commit_then_drop",
    "commit_then_500",
    "stall",
    "cut_body",
    "html_502",
    "bad_json",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, once.

    | kind                | is the call acted on? | answer                                                 |
    | ------------------- | --------------------- | ------------------------------------------------------ |
    | `status`            | no                    | `status` in the document's envelope, with `code`       |
    | `latency`           | yes                   | the right one, *seconds* late                          |
    | `reset_before_read` | no                    | a TCP reset                                            |
    | `commit_then_drop`  | yes                   | the connection is closed without a word                |
    | `commit_then_500`   | yes                   | 500 `internal_error`                                   |
    | `stall`             | yes                   | after *seconds*; with 0 none, until the client leaves  |
    | `cut_body`          | yes                   | the right one, closed half way through                 |
    | `html_502`          | no                    | a proxy's HTML page                                    |
    | `bad_json`          | yes                   | the right status, with half of the JSON                |
    """

    kind: FaultKind
    status: int = 500
    code: str | None = None
    """For a `status` fault; by default the code that the document pairs with that status."""
    seconds: float = 0.0


class FaultQueues:
    """A queue of faults for each operation; each call takes one from the front."""

    def __init__(self, operations: Collection[str]) -> None:
        self._queues: dict[str, deque[Fault]] = {operation: deque() for operation in operations}

    def add(self, operation: str, fault: Fault, times: int) -> None:
        """Queue *fault* that many times.

        Raises:
            ValueError: there is no such operation, or *times* is below 1.
        """
        if operation not in self._queues:
            raise ValueError(f"no such operation: {operation}; there are {', '.join(self._queues)}")
        if times < 1:
            raise ValueError("times must be 1 or more")
        self._queues[operation].extend([fault] * times)

    def take(self, operation: str) -> Fault | None:
        """Remove and return the next fault of *operation*."""
        try:
            return self._queues[operation].popleft()
        except IndexError:
            return None

    def pending(self) -> Mapping[str, tuple[Fault, ...]]:
        """Return the faults still queued; empty if there are none."""
        return {operation: tuple(queue) for operation, queue in self._queues.items() if queue}

    def clear(self) -> None:
        """Remove all queued faults."""
        for queue in self._queues.values():
            queue.clear()


_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"


async def misbehave(fault: Fault, act: Callable[[], Awaitable[Response]]) -> Response:
    """Return the response to the client; *act* runs the call properly, and its response may be lost.

    Waits use the machine's clock, because a client's timeouts do.
    """
    match fault.kind:
        case "reset_before_read":
            return NoAnswer("reset")
        case "html_502":
            return HTMLResponse(_BAD_GATEWAY, HTTPStatus.BAD_GATEWAY)
        case "status":
            usual = {status: code for code, status in reversed(ERROR_STATUS.items())}
            code = fault.code or usual.get(fault.status, "internal_error")
            return Refusal(
                code, f"The sandbox was told to answer {fault.status}", status=fault.status
            ).response()
        case "latency":
            await asyncio.sleep(fault.seconds)
            return await act()
        case "commit_then_drop" | "commit_then_500" | "stall" | "cut_body" | "bad_json":
            return await _afterwards(fault, await act())
    assert_never(fault.kind)


async def _afterwards(fault: Fault, answer: Response) -> Response:
    match fault.kind:
        case "commit_then_drop":
            return NoAnswer("close")
        case "cut_body":
            return CutShort(answer)
        case "bad_json":
            half = bytes(answer.body)[: len(answer.body) // 2]
            return Response(half, answer.status_code, media_type="application/json")
        case "stall" if fault.seconds:
            await asyncio.sleep(fault.seconds)
            return answer
        case "stall":
            return NoAnswer("hang")
    return Refusal("internal_error", "Unexpected server error").response()
