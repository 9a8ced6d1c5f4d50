"""An asset, between its table and what the rest of the code has."""

from dataclasses import fields
from types import SimpleNamespace

from receiver.events import Asset
from receiver.store.assets import ASSET_COLUMNS, asset_if_any, asset_of, asset_row
from receiver.store.tables import ASSET as TABLE
from tests.stored import WHOLE_ASSET


class TestAssetRow:
    def test_fills_the_table(self) -> None:
        """A value for every column."""
        row = asset_row("event-1", WHOLE_ASSET, settled_ms=5)
        assert set(row) == set(TABLE.c.keys())
        assert (row["event_id"], row["settled_ms"]) == ("event-1", 5)


class TestAssetOf:
    def test_reads_what_was_written(self) -> None:
        """Every field of an asset has a column."""
        row = asset_row("event-1", WHOLE_ASSET, settled_ms=5)
        read = SimpleNamespace(**{column.name: row[column.name] for column in ASSET_COLUMNS})
        assert asset_of(read) == asset_if_any(read) == WHOLE_ASSET
        assert all(getattr(WHOLE_ASSET, field.name) is not None for field in fields(Asset))


class TestAssetIfAny:
    def test_none(self) -> None:
        """Where the join found no row."""
        assert asset_if_any(SimpleNamespace(**{column.name: None for column in ASSET_COLUMNS})) is None
