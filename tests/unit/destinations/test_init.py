"""The table of URL schemes."""

import subprocess
import sys
from importlib import import_module

import pytest

from receiver.destinations import SCHEMES, open_destination
from receiver.destinations.redis import RedisStream
from receiver.errors import ConfigError


class TestSchemes:
    def test_every_scheme_leads_to_a_factory(self, subtests: pytest.Subtests) -> None:
        """No row names a module that is not there."""
        for scheme in SCHEMES:
            with subtests.test(scheme=scheme):
                assert callable(import_module(SCHEMES[scheme].module).connect)

    def test_importing_the_table_imports_no_client_library(self) -> None:
        """Optional libraries stay optional, and a start-up pays only for what it uses."""
        libraries = {"aiormq", "boto3", "confluent_kafka", "httpx2", "nats", "psycopg", "redis"}
        code = f"import sys, receiver.destinations; print(*{libraries} & set(sys.modules))"
        printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
        assert printed.stdout.strip() == ""


class TestOpenDestination:
    @pytest.mark.parametrize("url", ["", "kafka2://host", "//host/x", "hunter2"])
    def test_an_unknown_scheme_lists_the_known_ones(self, url: str) -> None:
        """The message names the setting and every scheme, and does not repeat the URL."""
        with pytest.raises(ConfigError) as refused:
            open_destination("billing", url, {})
        assert "RECEIVER_DESTINATIONS__BILLING__URL" in str(refused.value)
        assert all(f"{scheme}:" in str(refused.value) for scheme in SCHEMES)
        assert "hunter2" not in str(refused.value)

    def test_an_unusable_url_names_the_setting_and_no_secret(self, subtests: pytest.Subtests) -> None:
        """Every malformed URL is refused at start, with its setting, without its password."""
        for url in [
            "redis:",
            "redis://user:hunter2@",
            "redis://user:hunter2@host:notaport/0",
            "redis://user:hunter2@host/zero",
            "redis://user:hunter2@host/0?strem=x",
            "redis://host/0?password=hunter2",
            "redis://user:hunter2@[::1/0",
            "amqp:",
            "amqp://user:hunter2@",
            "amqp://user:hunter2@host:notaport",
            "amqp://user:hunter2@host:0",
            "amqp://user:hunter2@host/vhost#fragment",
            "amqps://user:hunter2@host?no_verify_ssl=1",
            "amqp://user:hunter2@host?queue=a&exchange=b",
            "amqp://user:hunter2@host?routing_key=a",
            "kafka:",
            "kafka://user:hunter2@",
            "kafka://user:hunter2@host:notaport",
            "kafka://user:hunter2@host/topic",
            "kafka://user:hunter2@host,",
            "kafka://hunter2@host",
            "kafka://user:hunter2@host?security_protocol=PLAINTEXT",
            "kafka://host?security_protocol=SASL_SSL",
            "kafka://host?acks=0",
            "nats:",
            "nats://user:hunter2@host:99999999",
            "nats://user:hunter2@host/stream",
            "nats://user:hunter2@host?subject=a.*",
            "http://",
            "https://user:hunter2@:80/x",
            "https://user:hunter2@host:99999999/x",
            "https://user:hunter2@host/x#fragment",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/hunter2",
            "file:",
            "file:data/",
            "file://host/hunter2",
            "file:data/events.jsonl?x=hunter2",
            "stdout:hunter2",
            "sqs:",
            "sqs:hunter2",
            "sqs://key:hunter2@sqs.eu-west-1.amazonaws.com/123456789012/q",
            "sqs://sqs.eu-west-1.amazonaws.com/hunter2",
            "sqs:ftp://sqs.eu-west-1.amazonaws.com/123456789012/q",
            "sns:",
            "sns:hunter2",
            "eventbridge:",
            "eventbridge:hunter2@bus",
            "postgresql:",
            "postgresql:hunter2",
            "postgresql://user:hunter2@host/db?strem=x",
            "postgres://user:hunter2@[::1/db",
        ]:
            with subtests.test(url=url):
                with pytest.raises(ConfigError) as refused:
                    open_destination("billing", url, {})
                assert "RECEIVER_DESTINATIONS__BILLING__" in str(refused.value)
                assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize(
        ("scheme", "library"),
        [
            ("amqp", "aiormq"),
            ("amqps", "aiormq"),
            ("kafka", "confluent_kafka"),
            ("nats", "nats"),
            ("nats+tls", "nats"),
            ("postgresql", "psycopg"),
            ("redis", "redis"),
        ],
    )
    def test_a_missing_extra_says_how_to_install_it(
        self, monkeypatch: pytest.MonkeyPatch, scheme: str, library: str
    ) -> None:
        """Without the client library the message gives the command that installs it."""
        back_end = SCHEMES[scheme]
        for module in [name for name in sys.modules if name.startswith((back_end.module, f"{library}."))]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ConfigError) as refused:
            open_destination("billing", f"{scheme}://user:hunter2@host", {})
        assert f"pip install 'avs-receiver[{back_end.extra}]'" in str(refused.value)
        assert "RECEIVER_DESTINATIONS__BILLING__URL" in str(refused.value)
        assert "hunter2" not in str(refused.value)

    async def test_the_scheme_may_be_upper_case(self) -> None:
        """Schemes are case-insensitive (RFC 3986), which must not turn TLS off."""
        destination = open_destination("billing", " REDISS://host/0 ", {})
        assert isinstance(destination, RedisStream)
        assert destination._target.encrypted
        await destination.aclose()

    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("redis://user:hunter2@host/0", {}),
            ("amqp://user:hunter2@host", {}),
            ("nats://user:hunter2@host", {}),
            ("kafka://user:hunter2@host", {}),
            ("https://user:hunter2@host/x?key=hunter2", {"secrets": "hunter2hunter2hunter2"}),
            ("https://host/x", {"bearer_token": "hunter2"}),
            ("postgresql://user:hunter2@host/db", {}),
        ],
    )
    async def test_no_secret_in_a_repr(self, url: str, options: dict[str, str]) -> None:
        """Printing a destination prints none of its secrets."""
        destination = open_destination("billing", url, options)
        assert "hunter2" not in repr(destination)
        await destination.aclose()
