"""Genuine deliveries for as long as processes come and go, and what became of each."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from receiver.signatures import sign
from tests.acceptance.service import SECRET, completed, failed

PATH: Final = "/webhooks/photoverse"
REFUSED: Final = "refused"
"""Nobody listened, so that nothing was lost: a sender tries again."""
UNANSWERED: Final = "unanswered"
"""Connected, and then reset or closed without an answer."""
_PAUSE_S: Final = 0.02


@dataclass
class Load:
    """Deliveries of distinct events, each tried again until it is answered 200; half have an asset."""

    port: int
    origin: str
    senders: int = 4
    """Every second one keeps its connection for as long as the receiver does."""
    accepted: dict[str, str] = field(default_factory=dict)
    """The generation of each event id."""
    answers: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver meanwhile."""
        threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(self.senders)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def _run(self, sender: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            for number in itertools.count():
                if self.stop.wait(_PAUSE_S):
                    return
                name = f"gen_{sender}_{number}"
                url = f"{self.origin}/{name}.png"
                self._deliver(connection, name, completed(name, url) if number % 2 else failed(name))
                if sender % 2:
                    connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, name: str, body: bytes) -> None:
        while not self.stop.is_set():
            answer, id_ = _post(connection, body)
            self.answers[answer] += 1
            if id_ is not None:
                self.accepted[id_] = name
                return
            connection.close()
            self.stop.wait(0.05)


def _post(connection: http.client.HTTPConnection, body: bytes) -> tuple[str, str | None]:
    """Deliver *body*; return what came of it, and the id of the event if it was accepted."""
    signature = sign(body, secret=SECRET, timestamp=int(time.time()))
    try:
        if connection.sock is None:
            connection.connect()
    except OSError:
        return REFUSED, None
    try:
        connection.request("POST", PATH, body, {"X-Webhook-Signature": signature})
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException):
        return UNANSWERED, None
    if answer.status != http.HTTPStatus.OK:
        return str(answer.status), None
    return "200", json.loads(said)["event_id"]
