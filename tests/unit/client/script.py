"""A provider by script: a transport that answers as written, and a clock that only sleeping moves."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from receiver.client import Client, Ledger
from receiver.client.wire import Answer, Outgoing, Reply, Sink

NOW: Final = 1_736_424_000.0

Line = Reply | BaseException | Callable[[Outgoing], Reply]


class Script:
    """Answers as written, and notes what it was given and when."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = list(lines)
        self.sent: list[Outgoing] = []
        self.times: list[float] = []
        self.now = NOW

    def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        """Send once."""
        assert sink is None
        self.sent.append(outgoing)
        self.times.append(self.now - NOW)
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line(outgoing) if callable(line) else line

    def close(self) -> None:
        """Close nothing."""

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds

    @property
    def asked(self) -> list[str]:
        """What was asked for, in short."""
        return [f"{sent.method} {sent.url.removeprefix('https://x/api/v1')}" for sent in self.sent]


def scripted(*lines: Line, ledger: Ledger | None = None, **options: Any) -> tuple[Client, Script]:
    """Return a client and the script it plays."""
    script = Script(lines)
    client = Client(
        "avs_live_x",
        base_url="https://x/api/v1",
        transport=script,
        clock=lambda: script.now,
        sleep=script.sleep,
        chance=lambda: 0.0,
        ledger=ledger,
        **options,
    )
    return client, script


def ok(payload: Any, **headers: str) -> Answer:
    """Return a 200 with this JSON."""
    return Answer(200, headers, json.dumps(payload).encode())


def refused(status: int, code: str) -> Answer:
    """Return the document's error envelope."""
    return Answer(status, {}, json.dumps({"error": {"code": code, "message": "no"}}).encode())


def row(name: str = "gen_1", *, at: Any = NOW, **fields: Any) -> dict[str, Any]:
    """Return a generation as the provider shows it."""
    return {
        "id": name,
        "status": "processing",
        "type": "image",
        "prompt": "a fox",
        "model": "prunaai/z-image-turbo",
        "created_at": datetime.fromtimestamp(at, UTC).isoformat(),
        **fields,
    }


def page(*rows: dict[str, Any], **fields: Any) -> Answer:
    """Return a page of the list."""
    return ok({"data": list(rows), **fields})
