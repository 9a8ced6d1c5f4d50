"""The private application, and the token that guards it."""

from pathlib import Path

import pytest

from receiver.errors import ConfigError
from receiver.wiring.admin import build_token
from receiver.wiring.stores import build_store
from tests.unit.wiring.configured import SECRET, settings


class TestBuildToken:
    def test_is_kept_beside_the_sqlite_file(self, folder: Path) -> None:
        """The next start finds the same one."""
        store = build_store(settings())
        assert build_token(settings(), store).text == build_token(settings(), store).text
        assert (folder / "data/admin-token").exists()
        store.close()

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "192.0.2.1"])
    def test_the_configured_one_counts_everywhere(self, folder: Path, host: str) -> None:
        """And no file is made."""
        store = build_store(settings())
        chosen = settings(admin_token=SECRET, admin_host=host)
        assert build_token(chosen, store).text == SECRET
        assert not (folder / "data/admin-token").exists()
        store.close()

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "receiver.internal"])
    def test_one_of_our_making_protects_only_loopback(self, host: str) -> None:
        """Somebody must have chosen what protects an address that others reach."""
        store = build_store(settings())
        with pytest.raises(ConfigError, match="RECEIVER_ADMIN_HOST"):
            build_token(settings(admin_host=host, admin_token=""), store)
        store.close()

    def test_postgres_has_no_place_for_one(self) -> None:
        """There must be a setting."""
        chosen = settings(database_url="postgresql://u@127.0.0.1:1/nowhere")
        store = build_store(chosen)
        with pytest.raises(ConfigError, match="RECEIVER_ADMIN_TOKEN is not set"):
            build_token(chosen, store)
        store.close()
