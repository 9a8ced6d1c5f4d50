"""Who may send: the sources and their secrets."""

import pytest

from receiver.errors import ConfigError
from receiver.wiring.sources import build_sources
from tests.unit.wiring.configured import SECRET, settings


class TestBuildSources:
    def test_none(self) -> None:
        """Without a secret there is nothing to receive, and the message says which to set."""
        with pytest.raises(ConfigError, match="RECEIVER_WEBHOOK_SECRETS is not set"):
            build_sources(settings())

    def test_default_and_further(self) -> None:
        """The default source is called photoverse; each further one has its own header and the same mode."""
        acme = {"secrets": SECRET, "signature_header": "X-Acme"}
        sources = build_sources(
            settings(webhook_secrets=f"{SECRET},{SECRET}2", sources={"acme": acme}, signature_mode="raw")
        )
        assert sources["photoverse"].secrets == (SECRET.encode(), f"{SECRET}2".encode())
        assert sources["photoverse"].signature_header == "X-Webhook-Signature"
        assert (sources["acme"].name, sources["acme"].signature_header) == ("acme", "X-Acme")
        assert {source.mode for source in sources.values()} == {"raw"}

    @pytest.mark.parametrize("secrets", ["", "short", f"{SECRET},", f"{SECRET},short", f"{SECRET}\n{SECRET}"])
    def test_weak_secret(self, secrets: str) -> None:
        """An empty or short secret lets anyone sign: refused by its setting and place, never by its value."""
        with pytest.raises(ConfigError, match="RECEIVER_WEBHOOK_SECRETS: signing secret") as refused:
            build_sources(settings(webhook_secrets=secrets))
        assert SECRET not in str(refused.value)
        with pytest.raises(ConfigError, match="RECEIVER_SOURCES__ACME__SECRETS"):
            build_sources(settings(sources={"acme": {"secrets": secrets}}))

    def test_default_source_named_twice(self) -> None:
        """Two places for the secrets of one source contradict each other; neither wins silently."""
        with pytest.raises(ConfigError, match="photoverse"):
            build_sources(
                settings(webhook_secrets=SECRET, sources={"photoverse": {"secrets": f"other{SECRET}"}})
            )
