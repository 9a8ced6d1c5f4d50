"""Removes files that others may share: while a removal is announced, no event is settled with that file.

A file that is named by its content alone may be found in the bucket for another event just before it is
removed, and recorded for that event just after. So whoever removes a file announces that, then checks again
who has it. Whoever settles locks the announcement. Either that check sees the new event, or settling sees the
announcement and uploads the file again.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import unquote

from sqlalchemy import Connection, and_, select, update

from receiver.store.rows import insert_new
from receiver.store.tables import REMOVAL

_ID: Final = 1
"""There is one row: one removal at a time."""
_IN_WORD: Final = re.compile("[A-Za-z0-9_]")
_ANY: Final = "*"
"""Stands for several files: everyone who may share one waits."""
_LEASE_MS: Final = 300_000
"""Longer than any check and removal takes; a crash in between blocks other files no longer than this."""
_PLACE: Final = select(REMOVAL.c.mark, REMOVAL.c.until_ms).where(REMOVAL.c.id == _ID)


def is_its_own(url: str, ids: Iterable[str]) -> bool:
    """Whether the file name at *url* contains one of *ids*: then it belongs to no other event."""
    name = f"/{unquote(url)}/"
    return any(_stands_in(name, id_) for id_ in ids)


def _stands_in(name: str, id_: str) -> bool:
    """Whether *id_* is a word of *name*. A regular expression would be compiled anew for each event."""
    at = name.find(id_)
    while at > 0:
        if not (_IN_WORD.match(name, at - 1) or _IN_WORD.match(name, at + len(id_))):
            return True
        at = name.find(id_, at + 1)
    return False


def announce(connection: Connection, urls: Collection[str], *, now_ms: int) -> bool:
    """Announce the removal of *urls* once nobody is settling; False while others are announced."""
    _make_place(connection)
    row = connection.execute(_PLACE.with_for_update()).one()
    mark = _mark(urls)
    if row.until_ms > now_ms and row.mark != mark:
        return False
    _write(connection, mark, now_ms + _LEASE_MS, row.mark)
    return True


def announced(connection: Connection, urls: Collection[str], *, now_ms: int) -> set[str]:
    """Return which of *urls* are being removed. No new removal is announced before the transaction ends."""
    row = connection.execute(_PLACE.with_for_update(read=True)).one_or_none()
    if row is None:
        _make_place(connection)
        row = connection.execute(_PLACE.with_for_update(read=True)).one()
    if row.until_ms <= now_ms:
        return set()
    return {url for url in urls if row.mark in (_ANY, _mark([url]))}


def end_removal(connection: Connection, urls: Collection[str]) -> None:
    """Withdraw the announcement of *urls*: the store has forgotten them."""
    _write(connection, "", 0, _mark(urls))


def _mark(urls: Collection[str]) -> str:
    if len(urls) > 1:
        return _ANY
    return hashlib.sha256("".join(urls).encode()).hexdigest()[:32]


def _make_place(connection: Connection) -> None:
    insert_new(connection, REMOVAL, ("id",), [{"id": _ID, "mark": "", "until_ms": 0}])


def _write(connection: Connection, mark: str, until_ms: int, instead_of: str) -> None:
    ours = and_(REMOVAL.c.id == _ID, REMOVAL.c.mark == instead_of)
    connection.execute(update(REMOVAL).where(ours).values(mark=mark, until_ms=until_ms))
