"""The store, and which destination wants an event."""

from pathlib import Path

import pytest

from receiver.errors import ConfigError
from receiver.wiring.stores import build_routings, build_store
from tests.unit.wiring.configured import SECRET, settings


class TestBuildStore:
    async def test_embedded_database_is_ready_at_once(self, folder: Path) -> None:
        """SQLite needs no command: its folder is made and its schema is there."""
        store = build_store(settings())
        await store.check()
        store.close()
        assert (folder / "data/receiver.db").exists()

    def test_postgres_is_not_migrated_by_starting(self) -> None:
        """A shared database is migrated by the release, so nothing is dialled here."""
        store = build_store(settings(database_url="postgresql://u@127.0.0.1:1/nowhere"))
        assert not store.is_embedded
        store.close()

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "nonsense",
            "mysql://h/d",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:////proc/none/receiver.db",
        ],
    )
    def test_unusable_url(self, url: str) -> None:
        """What is no durable database is refused by the name of its setting."""
        with pytest.raises(ConfigError, match="RECEIVER_DATABASE_URL"):
            build_store(settings(database_url=url))

    def test_wrong_routing(self) -> None:
        """Whatever runs, an expression that cannot be read stops its start."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__FILTER must be"):
            build_store(settings(destinations={"a": {"url": "stdout:", "filter": "kind ="}}))


class TestBuildRoutings:
    def test_one_per_destination(self) -> None:
        """Each destination has its own, in the order of the settings; without options it wants everything."""
        routings = build_routings(
            settings(destinations={"b": {"url": "stdout:", "kinds": "video"}, "a": {"url": "stdout:"}})
        )
        assert list(routings) == ["b", "a"]
        assert routings["b"].kinds == {"video"}
        assert not routings["a"].chooses

    def test_sources_that_there_are(self) -> None:
        """The default source may always be named, a further one where it is configured, no other."""
        acme = {"acme": {"secrets": SECRET}}
        named = {"a": {"url": "stdout:", "sources": "photoverse,acme"}}
        assert build_routings(settings(sources=acme, destinations=named))
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__SOURCES names acme"):
            build_routings(settings(destinations=named))
