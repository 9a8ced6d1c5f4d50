"""Searches the bodies of events for words, a bounded number of the latest at a time."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from receiver.store.filters import Filter
from receiver.store.search import ReadEvent, event_rows, read_rows
from receiver.store.tables import ASSET, EVENT
from receiver.store.window import Page, Reach

LOOKED_AT: Final = 2_000
"""Events read for one page. Their words are in no index."""
_CHUNK: Final = 500


def find_words(connection: Connection, words: str, *, after: str | None, limit: int) -> Page[ReadEvent]:
    """Return up to *limit* events whose body or mirrored URL has all *words* in any case, latest first.

    Reads `LOOKED_AT` events before *after*. The cursor of the page is where it stopped.
    """
    wanted = words.casefold().split()
    matching: list[str] = []
    last, looked_at = after, 0
    while looked_at < LOOKED_AT and len(matching) < limit:
        rows = _bodies(connection, last)
        for row in rows:
            last, looked_at = row.id, looked_at + 1
            if _has(row, wanted):
                matching.append(row.id)
            if len(matching) == limit:
                break
        if len(rows) < _CHUNK:
            break
    more = last is not None and bool(_bodies(connection, last, limit=1))
    found = _read(connection, matching)
    return Page(found, None if last is None else (last,), more)


def _bodies(connection: Connection, before: str | None, *, limit: int = _CHUNK) -> Sequence[Any]:
    latest = (
        select(EVENT.c.id, EVENT.c.body, ASSET.c.url)
        .outerjoin(ASSET, ASSET.c.event_id == EVENT.c.id)
        .order_by(EVENT.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        latest = latest.where(EVENT.c.id < before)
    return connection.execute(latest).all()


def _has(row: Any, words: Sequence[str]) -> bool:
    text = f"{_plain(row.body)} {row.url or ''}".casefold()
    return all(word in text for word in words)


def _plain(body: bytes) -> str:
    """Return a body with its escape sequences decoded."""
    if b"\\" in body:
        with suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):
            body = orjson.dumps(orjson.loads(body)).replace(b"\\/", b"/")
    return body.decode("utf-8", "replace")


def _read(connection: Connection, ids: Sequence[str]) -> list[ReadEvent]:
    if not ids:
        return []
    reach = Reach(None, len(ids), newest_first=True)
    return read_rows(connection, event_rows(connection, Filter(ids=tuple(ids)), reach, with_body=True).rows)
