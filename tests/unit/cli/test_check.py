"""`receiver check`."""

from pathlib import Path

import pytest

from receiver.store.destinations import pause
from tests.servers.require import free_ports
from tests.unit.cli.running import Ended, Run
from tests.unit.cli.stored import DESTINATIONS, in_store

SETTINGS = {"RECEIVER_WEBHOOK_SECRETS": "whsec_0123456789abcdef", **DESTINATIONS}


def parts(ended: Ended) -> dict[str, tuple[str, str]]:
    return {one["part"]: (one["state"], one["detail"]) for one in ended.objects}


class TestCheck:
    def test_all_is_well(self, run: Run) -> None:
        """A line for each part; what is not needed is not missed."""
        ended = run("check", "--json", **SETTINGS)
        assert ended.status == 0
        found = parts(ended)
        assert list(found) == ["settings", "store", "orders", "audit", "bucket", "provider", "disk"]
        assert "orders.jsonl can be written" in found["orders"][1]
        assert {state for state, _ in found.values()} == {"ok"}

    def test_names_what_to_change(self, run: Run, tmp_path: Path) -> None:
        """The setting, or the command, of each part that does not work; the others are looked at, too."""
        in_store(tmp_path, lambda store: store.transact_promptly(pause, "orders", reason=None, now_ms=1))
        (tmp_path / "file").touch()
        wrong = {"RECEIVER_WEBHOOK_SECRETS": "", "RECEIVER_ASSETS_URL": "file:file/assets"}
        ended = run("check", "--json", **{**SETTINGS, **wrong})
        assert ended.status == 1
        found = parts(ended)
        assert found["settings"][1].startswith("RECEIVER_WEBHOOK_SECRETS: ")
        assert "RECEIVER_ASSETS_URL" in found["bucket"][1]
        assert ("orders", "wrong", "paused: receiver destinations resume orders") in [
            (one["part"], one["state"], one["detail"]) for one in ended.objects
        ]
        assert found["store"][0] == "ok"

    def test_everything_that_serve_refuses(self, run: Run) -> None:
        """Whatever keeps it from starting has a line here, all of them at once."""
        wrong = {
            "RECEIVER_DESTINATIONS__JOBS__URL": "pull:",
            "RECEIVER_TRUSTED_PROXIES": "proxy",
            "RECEIVER_FETCH_ALLOW": "",
            "RECEIVER_ASSETS_KEY": "x",
            "RECEIVER_KEEP_DELIVERIES_DAYS": "10",
            "RECEIVER_ADMIN_TOKEN": "short",
        }
        ended = run("check", "--json", **{**SETTINGS, **wrong})
        assert ended.status == 1
        told = " ".join(one["detail"] for one in ended.objects if one["part"] == "settings")
        for name in ("PULL_TOKEN", *(name.removeprefix("RECEIVER_") for name in list(wrong)[1:])):
            assert f"RECEIVER_{name}" in told
        for name, value in {"CA_FILE": "nowhere.pem", "NAT64_PREFIXES": "x", "ASSET_TYPES": "x"}.items():
            found = parts(run("check", "--json", **SETTINGS, **{f"RECEIVER_{name}": value}))
            assert found["settings"][1].startswith(f"RECEIVER_{name}: ")

    def test_settings_that_cannot_be_read(self, run: Run) -> None:
        """Nothing else can be looked at."""
        ended = run("check", "--json", RECEIVER_POLL_S="soon")
        assert ended.status == 1
        assert list(parts(ended)) == ["settings"]

    def test_a_provider_that_refuses(self, ask: Run) -> None:
        """The key is tried by what the work would do."""
        refused = ask("check", "--json", **SETTINGS, RECEIVER_API_KEY="avs_live_wrong")
        assert refused.status == 1
        assert parts(refused)["provider"][0] == "wrong"
        found = parts(ask("check", "--json", **SETTINGS))
        assert found["provider"] == ("ok", "the API key is accepted")
        assert {state for state, _ in found.values()} == {"ok"}

    def test_dials_destinations_and_proxies(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is not there is found, with the variable to change; a proxy with no port in use, too."""
        [port, proxy] = free_ports(2)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
        gone = {"RECEIVER_DESTINATIONS__ORDERS__URL": f"redis://127.0.0.1:{port}"}
        ended = run("check", "--json", **{**SETTINGS, **gone})
        assert ended.status == 1
        found = parts(ended)
        assert found["orders"][0] == "wrong"
        assert "RECEIVER_DESTINATIONS__ORDERS__URL" in found["orders"][1]
        assert found["HTTPS_PROXY"][0] == "wrong"
        assert "unset it" in found["HTTPS_PROXY"][1]
        assert found["audit"][0] == "ok"
