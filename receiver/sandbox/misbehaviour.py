"""Carries a fault out."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import assert_never

from starlette.responses import HTMLResponse, Response

from receiver.contract import ERROR_STATUS
from receiver.sandbox.connections import CutShort, NoAnswer
from receiver.sandbox.faults import Fault
from receiver.sandbox.refusals import Refusal

_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"


async def misbehave(fault: Fault, act: Callable[[], Awaitable[Response]]) -> Response:
    """Return the response to the client; *act* runs the call properly, and its response may be lost.

    Waits use the machine's clock, because a client's timeouts do.
    """
    match fault.kind:
        case "status" | "reset_before_read" | "html_502":
            return _instead(fault)
        case "latency":
            await asyncio.sleep(fault.seconds)
            return await act()
        case "commit_then_drop" | "commit_then_500" | "stall" | "cut_body" | "bad_json":
            return await _afterwards(fault, await act())
    assert_never(fault.kind)


def _instead(fault: Fault) -> Response:
    if fault.kind == "reset_before_read":
        return NoAnswer("reset")
    if fault.kind == "html_502":
        return HTMLResponse(_BAD_GATEWAY, HTTPStatus.BAD_GATEWAY)
    usual = {status: code for code, status in reversed(ERROR_STATUS.items())}
    code = fault.code or usual.get(fault.status, "internal_error")
    return Refusal(code, f"The sandbox was told to answer {fault.status}", status=fault.status).response()


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
