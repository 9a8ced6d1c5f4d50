"""One of each network in turn."""

from receiver.web.fair_queue import FairQueue


def taken(*put: tuple[str, str]) -> str:
    queue: FairQueue[str] = FairQueue()
    for address, item in put:
        queue.put(address, item)
    return "".join(queue.take() for _ in range(len(queue)))


def test_each_network_in_turn() -> None:
    """Three of one address, then one of each of two others."""
    flood = [("192.0.2.1", item) for item in "abc"]
    assert taken(*flood, ("192.0.2.2", "X"), ("2001:db8::1", "Y")) == "aXYbc"


def test_an_ipv6_network_is_one_customer() -> None:
    """Whoever has a /64 gains nothing by using many addresses of it."""
    flood = [("2001:db8::1", "a"), ("2001:db8::2", "b"), ("2001:db8::3%eth0", "c")]
    assert taken(*flood, ("2001:db8:0:1::1", "X")) == "aXbc"


def test_ipv4_on_an_ipv6_listener() -> None:
    """Mapped addresses share their first bytes, and are of different networks all the same."""
    assert taken(("::ffff:192.0.2.1", "a"), ("::ffff:192.0.2.1", "b"), ("::ffff:192.0.2.2", "X")) == "aXb"


def test_nobody_stands_in_line_twice() -> None:
    """Who is there already keeps its place."""
    assert taken(("192.0.2.1", "a"), ("192.0.2.1", "b"), ("192.0.2.1", "a")) == "ab"


def test_drops_the_first_of_the_network_that_has_most() -> None:
    """Others keep their places."""
    queue: FairQueue[str] = FairQueue()
    for address, item in (("192.0.2.2", "X"), ("192.0.2.1", "a"), ("192.0.2.1", "b"), ("192.0.2.1", "c")):
        queue.put(address, item)
    assert queue.drop() == "a"
    assert [queue.take() for _ in range(len(queue))] == ["X", "b", "c"]
