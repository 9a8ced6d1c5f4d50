"""Connections that wait for their next request."""

import pytest

from receiver.assets import s3_idle
from receiver.assets.s3_idle import IdleConnections
from receiver.assets.s3_way import Address

STORE = Address("store.example", 443, True)


class Line:
    """A connection."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class TestIdleConnections:
    def test_used_again(self) -> None:
        """The last one first; each for one at a time."""
        idle, lines = IdleConnections[Line](), [Line(), Line()]
        for line in lines:
            idle.keep(STORE, line)
        assert [idle.take(STORE) for _ in range(3)] == [lines[1], lines[0], None]
        assert not any(line.is_closed for line in lines)

    def test_elsewhere(self) -> None:
        """One to an address that is not asked any more is hung up."""
        idle, line = IdleConnections[Line](), Line()
        idle.keep(STORE._replace(host="moved.example"), line)
        assert idle.take(STORE) is None
        assert line.is_closed

    def test_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that its server may be hanging up just now is not used."""
        idle, line = IdleConnections[Line](), Line()
        idle.keep(STORE, line)
        monkeypatch.setattr(s3_idle, "KEPT_S", 0.0)
        assert idle.take(STORE) is None
        assert line.is_closed

    def test_close(self) -> None:
        """All are hung up."""
        idle, lines = IdleConnections[Line](), [Line(), Line()]
        for line in lines:
            idle.keep(STORE, line)
        idle.close()
        assert all(line.is_closed for line in lines)
