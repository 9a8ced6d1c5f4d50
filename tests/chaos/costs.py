"""What refusing malformed posts costs beside accepting genuine ones, in processor time of the receiver."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.acceptance.service import Service
from tests.benchmark.cpu import cpu_s
from tests.benchmark.load import FORGED, NEW, Answers, deliveries, send

_CONNECTIONS: Final = 64
_AT_ONCE: Final = 10_000
_HEAD: Final = b"POST /webhooks/photoverse HTTP/1.1\r\nHost: h\r\n"
_KEEP: Final = "kept connections"
_CLOSE: Final = "a connection each"


@dataclass(frozen=True)
class Cost:
    """What one kind of refusal costs, and an acceptance on connections used alike; CPU seconds for 10,000."""

    kind: str
    refused_s: float
    accepted_s: float


def _closing(request: bytes) -> bytes:
    return request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def _same(request: bytes) -> Callable[[int], list[bytes]]:
    return lambda count: [request] * count


REFUSALS: Final[dict[str, tuple[int, str, Callable[[int], list[bytes]]]]] = {
    "forged": (401, _KEEP, lambda count: deliveries(FORGED, "forged", count)),
    "unsigned": (401, _KEEP, _same(_HEAD + b"Content-Length: 2\r\n\r\n{}")),
    "no such signature": (
        401,
        _KEEP,
        _same(_HEAD + b"X-Webhook-Signature: t=,v1=\r\nContent-Length: 3\r\n\r\n{]}"),
    ),
    "malformed head": (400, _CLOSE, _same(_HEAD + b"Content-Length: x\r\n\r\n")),
    "malformed chunks": (400, _CLOSE, _same(_HEAD + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")),
}
"""Each with its status."""


def costs(web: Service, posts: int) -> list[Cost]:
    """Send so many *posts* that are refused, as many of each kind, and genuine ones beside them."""
    accepted = {
        _KEEP: _cost(web, 200, deliveries(NEW, "keep", _AT_ONCE)),
        _CLOSE: _cost(web, 200, [_closing(each) for each in deliveries(NEW, "close", _AT_ONCE)]),
    }
    found = []
    for kind, (status, how, write) in REFUSALS.items():
        rounds = max(1, posts // len(REFUSALS) // _AT_ONCE)
        spent = sum(_cost(web, status, write(_AT_ONCE)) for _ in range(rounds))
        found.append(Cost(kind, spent / rounds, accepted[how]))
    return found


def _cost(web: Service, status: int, requests: list[bytes]) -> float:
    pid = web.processes[-1].pid
    began = cpu_s(pid)
    send(web.port, requests, Answers(status), connections=_CONNECTIONS)
    return (cpu_s(pid) - began) * _AT_ONCE / len(requests)
