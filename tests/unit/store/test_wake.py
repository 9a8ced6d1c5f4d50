"""Waking workers."""

import asyncio

import pytest

from receiver.store.wake import FORWARD, MIRROR, TOPICS, Wake


class TestWake:
    def test_reaches_every_subscriber_of_the_topic(self) -> None:
        """All who wait for the topic are woken, and nobody else."""
        wake = Wake()
        one, two, other = wake.subscribe(MIRROR), wake.subscribe(MIRROR), wake.subscribe(FORWARD)
        wake.signal(MIRROR)
        assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)

    async def test_is_kept_until_the_next_wait(self) -> None:
        """A signal that comes while nobody waits is not lost."""
        wake = Wake()
        woken = wake.subscribe(MIRROR)
        wake.signal(MIRROR)
        async with asyncio.timeout(10):
            await woken.wait()

    def test_clearing_is_ones_own(self) -> None:
        """One subscriber's going back to sleep keeps no other asleep."""
        wake = Wake()
        one, two = wake.subscribe(MIRROR), wake.subscribe(MIRROR)
        wake.signal(MIRROR)
        one.clear()
        assert two.is_set()

    def test_all(self) -> None:
        """Every topic's subscribers are woken at once."""
        wake = Wake()
        events = [wake.subscribe(topic) for topic in TOPICS]
        wake.signal_all()
        assert all(event.is_set() for event in events)

    @pytest.mark.parametrize("topic", ["", "something else", "x" * 8000])
    def test_unknown_topic(self, topic: str) -> None:
        """What another release or a stranger signals wakes nobody and hurts nobody."""
        wake = Wake()
        woken = wake.subscribe(MIRROR)
        wake.signal(topic)
        assert not woken.is_set()
