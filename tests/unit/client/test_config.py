"""What a client is made with."""

from typing import Any

import pytest

from receiver.client.config import Config, configure, configure_session
from receiver.client.wire import Timeout
from receiver.errors import ConfigError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECEIVER_API_KEY", raising=False)
    monkeypatch.delenv("RECEIVER_API_BASE_URL", raising=False)


def configured(api_key: str | None = "avs_live_x", **given: Any) -> Config:
    defaults: dict[str, Any] = {"base_url": None, "webhook_url": None, "timeout": None, "max_retries": 4}
    return configure(api_key, **defaults | given)


class TestConfigure:
    def test_defaults_to_the_document(self) -> None:
        """Without anything else, the provider's own address."""
        assert configured().base_url == "https://aivisualstudio.co/api/v1"

    def test_environment_fills_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is not given comes from the environment; what is given wins."""
        monkeypatch.setenv("RECEIVER_API_KEY", "avs_live_env")
        monkeypatch.setenv("RECEIVER_API_BASE_URL", "http://127.0.0.1:9/api/v1/")
        assert configured(None).credential == ("Authorization", "Bearer avs_live_env")
        assert configured(None).base_url == "http://127.0.0.1:9/api/v1"
        assert configured("mine", base_url="https://x/v2").headers()["Authorization"] == "Bearer mine"

    @pytest.mark.parametrize("key", [None, ""])
    def test_names_the_missing_key(self, key: str | None) -> None:
        """The message says where to put it."""
        with pytest.raises(ConfigError, match="RECEIVER_API_KEY"):
            configured(key)

    @pytest.mark.parametrize("key", ["a b", "a\nb", "é", "a\r\nHost: evil"])
    def test_refuses_a_key_that_is_no_header(self, key: str) -> None:
        """And does not repeat it in the message."""
        with pytest.raises(ConfigError) as refused:
            configured(key)
        assert key not in str(refused.value)

    @pytest.mark.parametrize("key", ['"avs_live_x"', "'avs_live_x'", '""'])
    def test_refuses_a_key_in_quotes(self, key: str) -> None:
        """An env file's quotes that were kept are not part of it."""
        with pytest.raises(ConfigError, match="in quotes"):
            configured(key)

    @pytest.mark.parametrize(
        "url",
        [
            *("http://example.com/api", "ftp://x", "x", "https://", "https://u:p@x/", "https://x/?q"),
            *("http://[x", "https://x:99999", "https://x:y", "https://x:0"),
        ],
    )
    def test_refuses_an_address_the_key_should_not_go_to(self, url: str) -> None:
        """The key travels over TLS, or stays on this machine."""
        with pytest.raises(ConfigError, match="RECEIVER_API_BASE_URL"):
            configured(base_url=url)

    def test_refuses_negative_retries(self) -> None:
        """Zero is the least."""
        with pytest.raises(ConfigError, match="max_retries"):
            configured(max_retries=-1)

    @pytest.mark.parametrize(
        ("given", "timeout"),
        [
            (None, Timeout()),
            (Timeout(1, 2, 3), Timeout(1, 2, 3)),
            (10, Timeout(5, 10, 10)),
            (2, Timeout(2, 2, 2)),
        ],
    )
    def test_timeouts(self, given: Any, timeout: Timeout) -> None:
        """One number is for the whole exchange."""
        assert configured(timeout=given).timeout == timeout

    def test_shows_no_secret(self) -> None:
        """Neither the key nor a token in the webhook's address."""
        assert "hush" not in repr(configured("hush", webhook_url="https://x/?token=hush"))

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("priority", "urgent"),
            ("proxy", "proxy:3128"),
            ("proxy", "socks5://127.0.0.1:1080"),
            ("proxy", "http://x:99999"),
        ],
    )
    def test_refuses_what_cannot_work(self, option: str, value: str) -> None:
        """And names it."""
        with pytest.raises(ConfigError, match=option):
            configured(**{option: value})

    def test_shows_no_password(self) -> None:
        """Neither the key's nor the proxy's."""
        assert "hush" not in repr(configured("avs_live_hush", proxy="http://me:hush@127.0.0.1:3128"))


class TestChanged:
    def test_changes_what_is_given(self) -> None:
        """And leaves the rest."""
        config = configured(webhook_url="https://x/1")
        changed = config.changed(timeout=3, max_retries=0, priority="background")
        assert (changed.timeout.read_s, changed.max_retries, changed.priority) == (3, 0, "background")
        assert (changed.webhook_url, changed.base_url) == ("https://x/1", config.base_url)
        assert config.changed(webhook_url=None).webhook_url is None
        assert config.changed() == config

    def test_refuses_what_cannot_work(self) -> None:
        """Just like making it."""
        with pytest.raises(ConfigError, match="max_retries"):
            configured().changed(max_retries=-1)


class TestConfigureSession:
    def test_sends_the_cookie_and_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even where there is one."""
        monkeypatch.setenv("RECEIVER_API_KEY", "avs_live_env")
        config = configure_session("a=b; c=d", base_url=None, timeout=None, max_retries=0)
        assert config.headers().items() >= {"Cookie": "a=b; c=d", "Accept": "application/json"}.items()
        assert "Authorization" not in config.headers()

    @pytest.mark.parametrize(
        ("url", "origin"),
        [(None, "https://aivisualstudio.co"), ("http://127.0.0.1:8900/api/v1/", "http://127.0.0.1:8900")],
    )
    def test_comes_from_the_providers_own_pages(self, url: str | None, origin: str) -> None:
        """A provider that guards its cookie against other sites lets it in; a key is no cookie."""
        config = configure_session("a=b", base_url=url, timeout=None, max_retries=0)
        assert config.headers()["Origin"] == origin
        assert "Origin" not in configured("mine").headers()
