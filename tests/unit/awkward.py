"""Rows as nobody wants them: of others' choice, of a wrong clock, of settings that are gone."""

import json
from typing import Final

from sqlalchemy import Connection, insert, update

from receiver.clock import now_ms
from receiver.store import Store
from receiver.store.audit import Deed, write_down
from receiver.store.destinations import note_breaker, pause
from receiver.store.outages import note_outages
from receiver.store.record import NewQuarantine
from receiver.store.spools import Process, see_spool
from receiver.store.tables import ASSET, DELIVERY, EVENT, LATE_ASSET, PACE, SUBMISSION
from tests.stored import NOW, an_event, dead, settled

EVIL: Final = "<script>\u202e'\"\n\r\t\x1b[31m&amp;%s{{7*7}}"
LONG: Final = "g" * 128
GONE: Final = "gone"
"""A destination, and a source, that the settings have no more."""
_BEYOND_MS: Final = 10**15
"""In the year 33658."""


async def fill(store: Store) -> None:
    """Put some of each kind into *store*."""
    [late] = await dead(store, an_event(LONG, source=GONE), error=EVIL * 50)
    earlier = Store(store.engine.url.render_as_string(), destinations=(GONE,))
    await settled(earlier, an_event("gen_1"))
    earlier.close()
    await store.record(NewQuarantine(an_event(at=0).id, GONE, "0" * 64, EVIL[:20], b"\xff\xfe\0", 0))
    await store.transact(_change, late)
    await store.transact_promptly(pause, "orders", reason=EVIL, now_ms=_BEYOND_MS)
    await store.transact_promptly(note_breaker, "audit", probe_ms=_BEYOND_MS)
    down = {("asset_host", f"h{EVIL}"): EVIL, ("bucket", GONE): EVIL}
    await store.transact(note_outages, down, now_ms=now_ms())
    await store.transact(see_spool, "0" * 32, now_ms=_BEYOND_MS, process=Process(EVIL, 10**9))
    await store.transact(write_down, Deed(an_event(at=5).id, _BEYOND_MS, EVIL, EVIL, EVIL))


def _change(connection: Connection, late: str) -> None:
    many = {"settled_ms": _BEYOND_MS, "size_bytes": 10**15, "width": 10**9, "duration_s": 1e300}
    connection.execute(update(ASSET).values(many))
    connection.execute(update(EVENT).values(repeats=10**12, attempts=10**9))
    ended = update(DELIVERY).where(DELIVERY.c.settled_ms.is_not(None))
    connection.execute(ended.values(settled_ms=_BEYOND_MS, attempts=10**9))
    waits = {"event_id": late, "until_ms": _BEYOND_MS, "due_ms": 0, "attempts": 10**9, "last_error": EVIL}
    connection.execute(insert(LATE_ASSET).values(waits))
    pace = {"most": 10**9, "remaining": -5, "reset_ms": _BEYOND_MS, "skew_ms": _BEYOND_MS}
    connection.execute(insert(PACE).values(name="of-key", opened_ms=0, paused_ms=0, **pace))
    for number, (prompt, sent_ms) in enumerate(
        (({"a": "b" * 500}, _BEYOND_MS), (10**18, -_BEYOND_MS), (None, 0), (EVIL * 99, NOW))
    ):
        asked = {
            "client_ref": f"{EVIL.replace(chr(10), '')}{number}",
            "request": json.dumps({"prompt": prompt}),
        }
        said = {"source": GONE, "kind": "image", "told": "{}", "state": "unknown", "error": EVIL}
        connection.execute(insert(SUBMISSION).values(sent_ms=sent_ms, **asked, **said))
