"""The settings in effect, for people."""

import pytest

from receiver.operations.schemas import Setting
from receiver.wiring.effective import effective
from tests.unit.wiring.configured import settings


def shown(**values: object) -> dict[str, Setting]:
    return {one["name"]: one for one in effective(settings(**values))}


class TestEffective:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://hooks.slack.com/services/T0/B0/hunter2", "https://hooks.slack.com/…"),
            ("https://me:hunter2@x.example/?token=hunter2", "https://x.example/…"),
            ("amqps://me:hunter2@mq.example/vhost", "amqps://[redacted]@mq.example/vhost"),
            ("redis://me:hunter2/@mq.example/0", "redis:…"),
        ],
    )
    def test_addresses(self, url: str, expected: str) -> None:
        """Enough to see where it leads and whether two are the same, and nothing secret."""
        one = shown(destinations={"hook": {"url": url}})["RECEIVER_DESTINATIONS__HOOK__URL"]
        assert one["value"].startswith(f"{expected} (sha256:")
        assert "hunter2" not in one["value"]
        assert one["is_secret"]

    @pytest.mark.parametrize("url", ["pull:", "file:out.jsonl", "redis://mq.example:6379/0"])
    def test_addresses_without_a_secret(self, url: str) -> None:
        """These are shown as they are."""
        one = shown(destinations={"jobs": {"url": url}})["RECEIVER_DESTINATIONS__JOBS__URL"]
        assert one["value"] == url

    def test_options(self) -> None:
        """Only what may be a secret is hidden."""
        options = {
            "url": "pull:",
            "token": "hunter2hunter2hunter2",
            "visibility_s": "30",
            "types": "completed",
        }
        found = shown(destinations={"jobs": options})
        name = "RECEIVER_DESTINATIONS__JOBS__"
        assert found[f"{name}TOKEN"]["value"].startswith("sha256:")
        assert (found[f"{name}VISIBILITY_S"]["value"], found[f"{name}TYPES"]["value"]) == ("30", "completed")

    def test_where_each_comes_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment, also by the name of a file or of a platform; the file; or nowhere."""
        loaded = settings(poll_s=2, sources={"acme": {"secrets": "whsec_0123456789abcdef"}})
        monkeypatch.setenv("RECEIVER_API_KEY_FILE", "key")
        monkeypatch.setenv("PORT", "8080")
        found = {one["name"]: one for one in effective(loaded)}
        origins = {
            name: found[f"RECEIVER_{name}"]["origin"]
            for name in (
                "API_KEY",
                "PORT",
                "POLL_S",
                "LEASE_S",
                "SOURCES__ACME__SECRETS",
                "SOURCES__ACME__API_KEY",
            )
        }
        assert list(origins.values()) == [
            "environment",
            "environment",
            "receiver.toml",
            "default",
            "receiver.toml",
            "default",
        ]
