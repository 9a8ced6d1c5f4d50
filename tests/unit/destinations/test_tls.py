"""Client certificates: every mistake is found at start, whatever the system."""

from pathlib import Path

import pytest
import trustme

from receiver.destinations import open_destination
from receiver.errors import ConfigError
from tests.servers.relay import client_files

ENCRYPTED = ["https://a/x", "rediss://a/0", "kafka://a?security_protocol=SSL", "nats+tls://a", "amqps://a"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return client_files(trustme.CA(), tmp_path)


class TestCheckCertificate:
    @pytest.mark.parametrize("url", ENCRYPTED)
    async def test_it_is_read_at_start(self, url: str, files: dict[str, str], tmp_path: Path) -> None:
        """A certificate and its key pass; another key does not, nor does a file without one."""
        await open_destination("queue", url, files).aclose()
        for key_file in (
            client_files(trustme.CA(), _folder(tmp_path, "other"))["key_file"],
            files["ca_file"],
        ):
            with pytest.raises(ConfigError, match="QUEUE__CERT_FILE and RECEIVER_DESTINATIONS__QUEUE__KEY"):
                open_destination("queue", url, files | {"key_file": key_file})

    @pytest.mark.parametrize("url", ENCRYPTED)
    def test_a_key_needs_its_certificate(self, url: str, files: dict[str, str]) -> None:
        """A key alone is half a setting."""
        with pytest.raises(ConfigError, match=r"QUEUE__KEY_FILE needs .*QUEUE__CERT_FILE"):
            open_destination("queue", url, {"key_file": files["key_file"]})

    @pytest.mark.parametrize(
        "url", ["http://a/x", "redis://a/0", "kafka://a", "amqp://a", "postgresql://a/b?sslmode=disable"]
    )
    def test_it_is_shown_to_nobody_in_the_clear(self, url: str, files: dict[str, str]) -> None:
        """Without TLS there is nobody to show it to, and the event would go unencrypted."""
        with pytest.raises(ConfigError, match="QUEUE__CERT_FILE needs TLS"):
            open_destination("queue", url, files)


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir(exist_ok=True)
    return parent / name
