"""Where events go, and how each destination is to be sent to."""

import pytest

from receiver.destinations.http import HttpEndpoint
from receiver.destinations.policy import DeliveryPolicy
from receiver.errors import ConfigError
from receiver.wiring.destinations import build_destination, delivery_policy


class TestBuildDestination:
    async def test_passes_the_options_on(self) -> None:
        """Everything but the URL is the destination's own."""
        destination = build_destination("orders", {"url": "https://h.example/x", "timeout_s": "5"})
        assert isinstance(destination, HttpEndpoint)
        await destination.aclose()

    def test_without_url(self) -> None:
        """A destination must say where it is."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__ORDERS__URL is not set"):
            build_destination("orders", {"timeout_s": "5"})

    async def test_keeps_the_common_options(self) -> None:
        """What every destination has is none of a destination's own options, unless it has it itself."""
        options = {"url": "https://h.example/x", "RATE_LIMIT": "5", "concurrency": "3"}
        destination = build_destination("orders", options)
        assert destination.concurrency == 3
        assert delivery_policy("orders", options) == DeliveryPolicy(rate_limit=5.0)
        await destination.aclose()

    def test_mistyped_option(self) -> None:
        """An option of no use is refused by its variable."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__ORDERS__TIMEOUT"):
            build_destination("orders", {"url": "https://h.example/x", "timeout": "5"})
