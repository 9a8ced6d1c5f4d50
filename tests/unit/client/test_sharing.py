"""One pacer for each key."""

import gc
import time
import weakref

from receiver.client import AsyncClient, Client
from receiver.client.config import Config, configure
from receiver.client.sharing import pacer_for
from tests.unit.client.script import ok, row, scripted


def config(key: str = "avs_live_x", url: str = "https://x/api/v1") -> Config:
    return configure(key, base_url=url, webhook_url=None, timeout=None, max_retries=0)


class TestPacerFor:
    def test_same_key_same_pacer(self) -> None:
        """Blocking or not: what one learns the other knows."""
        one, other = Client("avs_live_shared"), AsyncClient("avs_live_shared")
        assert one._caller.pacer is other._caller.pacer

    def test_another_key_place_or_clock_has_its_own(self) -> None:
        """They are counted apart, or cannot be compared."""
        first = pacer_for(config(), time.time)
        others = (
            pacer_for(config("avs_live_y"), time.time),
            pacer_for(config(url="https://y/api/v1"), time.time),
            pacer_for(config(), time.monotonic),
        )
        assert all(other is not first for other in others)
        assert pacer_for(config(), time.time) is first

    def test_is_forgotten_with_its_last_client(self) -> None:
        """A process that makes many clients keeps none of them."""
        gone = weakref.ref(pacer_for(config("avs_live_z"), time.time))
        gc.collect()
        assert gone() is None

    def test_options_share_it_too(self) -> None:
        """The rate limit is the key's, whatever the options."""
        client, _ = scripted(ok(row()))
        assert client.with_options(priority="background")._caller.pacer is client._caller.pacer
