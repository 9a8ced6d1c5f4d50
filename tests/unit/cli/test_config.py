"""`receiver config`."""

from pathlib import Path

from tests.unit.cli.running import Run

SETTINGS = {
    "RECEIVER_WEBHOOK_SECRETS": "whsec_0123456789abcdef",
    "RECEIVER_DATABASE_URL": "postgresql://me:hunter2@db.example.com/receiver?application_name=x",
    "RECEIVER_DESTINATIONS__HOOK__URL": "https://me:hunter2@x.example/?t=hunter2",
    "RECEIVER_DESTINATIONS__HOOK__BEARER_TOKEN": "hunter2hunter2",
    "RECEIVER_DESTINATIONS__HOOK__TYPES": "completed",
}


class TestConfig:
    def test_shows_what_is_set_and_no_secret(self, run: Run, tmp_path: Path) -> None:
        """Where each comes from, secrets by a fingerprint; with --all the defaults, too."""
        (tmp_path / "receiver.toml").write_text("poll_s = 2.5\n")
        ended = run("config", "--json", **SETTINGS)
        found = {one["name"]: one for one in ended.objects}
        assert set(found) == {*SETTINGS, "RECEIVER_POLL_S"}
        assert (found["RECEIVER_POLL_S"]["value"], found["RECEIVER_POLL_S"]["origin"]) == (
            "2.5",
            "receiver.toml",
        )
        assert found["RECEIVER_DATABASE_URL"]["origin"] == "environment"
        assert found["RECEIVER_DESTINATIONS__HOOK__TYPES"]["value"] == "completed"
        assert found["RECEIVER_DESTINATIONS__HOOK__URL"]["value"].startswith("https://x.example/… (sha256:")
        assert found["RECEIVER_DATABASE_URL"]["value"].startswith("postgresql://[redacted]@db.example.com")
        assert found["RECEIVER_WEBHOOK_SECRETS"]["value"].startswith("sha256:")
        assert "hunter2" not in ended.out
        assert "0123456789abcdef" not in ended.out
        everything = {one["name"]: one["origin"] for one in run("config", "--all", "--json").objects}
        assert everything["RECEIVER_LEASE_S"] == "default"
