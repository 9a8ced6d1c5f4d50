"""Who was refused, through proxies, and how much of it is remembered."""

import tracemalloc
from ipaddress import ip_network

import pytest
import structlog.testing

from receiver.telemetry.refusals import MINUTES, Refusals, client_address

TRUSTED = tuple(ip_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "fd00::/8"))


class TestClientAddress:
    def test_client(self, subtests: pytest.Subtests) -> None:
        """The last address that no trusted proxy reported of itself; anything left of it may be made up."""
        for peer, forwarded_for, client in (
            ("192.0.2.1", (), "192.0.2.1"),
            ("192.0.2.1", (b"198.51.100.7",), "192.0.2.1"),
            ("127.0.0.1", (b"198.51.100.7",), "198.51.100.7"),
            ("127.0.0.1", (b"1.1.1.1, 198.51.100.7, 10.1.2.3",), "198.51.100.7"),
            ("127.0.0.1", (b"1.1.1.1", b"198.51.100.7"), "198.51.100.7"),
            ("127.0.0.1", (b"198.51.100.7:4711",), "198.51.100.7"),
            ("127.0.0.1", (b"[2001:db8:1:2::3]:80",), "2001:db8:1:2::/64"),
            ("fd00::1", (b"2001:db8:1:2::3",), "2001:db8:1:2::/64"),
            ("::ffff:127.0.0.1", (b"::ffff:198.51.100.7",), "198.51.100.7"),
            ("127.0.0.1", (b"10.0.0.9",), "10.0.0.9"),
            ("127.0.0.1", (b"unknown",), "127.0.0.1"),
            ("127.0.0.1", (b"198.51.100.7, \xff<script>",), "127.0.0.1"),
            ("127.0.0.1", (b"",), "127.0.0.1"),
            ("", (), ""),
        ):
            with subtests.test(peer=peer):
                assert client_address(peer, forwarded_for, TRUSTED) == client


class TestRefusals:
    def test_most_first(self) -> None:
        """The most refused come first, whatever the reason."""
        refusals = Refusals()
        for peer, reason in (("192.0.2.1", "malformed"), ("192.0.2.2", "method"), ("192.0.2.2", "no_route")):
            refusals.note(reason, peer)
        assert refusals.most(9) == [("192.0.2.2", 2), ("192.0.2.1", 1)]
        assert refusals.most(1) == [("192.0.2.2", 2)]

    def test_forgets(self) -> None:
        """After ten minutes an address is forgotten."""
        now = [0.0]
        refusals = Refusals(monotonic=lambda: now[0])
        refusals.note("malformed", "192.0.2.1")
        now[0] = 60.0 * (MINUTES - 1)
        assert refusals.most(9) == [("192.0.2.1", 1)]
        now[0] = 60.0 * MINUTES
        assert refusals.most(9) == []

    def test_memory_is_bounded(self) -> None:
        """Any number of addresses takes the same memory, and the loudest stays."""
        refusals = Refusals(monotonic=lambda: 0.0)
        for number in range(5000):
            refusals.note("malformed", f"198.51.{number // 250}.{number % 250}")
            refusals.note("malformed", "192.0.2.1")
        assert refusals.most(1) == [("192.0.2.1", 5000)]
        assert len(refusals.most(10_000)) <= 1024

    def test_long_headers_are_not_kept(self) -> None:
        """However much X-Forwarded-For says, and however it changes, only its end counts."""
        for trusted, client in (((), "127.0.0.1"), (TRUSTED, "198.51.100.7")):
            client_address.cache_clear()
            refusals = Refusals(trusted=trusted)
            tracemalloc.start()
            for number in range(1000):
                made_up = b"%d.%b, 198.51.100.7, 10.0.0.1" % (number, b"x" * 10_000)
                refusals.note("malformed", "127.0.0.1", (made_up,))
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert kept < 2_000_000
            assert refusals.most(9) == [(client, 1000)]

    def test_one_line_each_ten_seconds(self) -> None:
        """A flood is one line for each reason, with one address and how many were held back."""
        now = [0.0]
        refusals = Refusals(monotonic=lambda: now[0])
        with structlog.testing.capture_logs() as lines:
            for _ in range(100):
                refusals.note("malformed", "192.0.2.1")
            now[0] = 10.0
            refusals.note("malformed", "192.0.2.2")
        assert [(line["client"], line["held_back"]) for line in lines] == [
            ("192.0.2.1", 0),
            ("192.0.2.2", 99),
        ]
