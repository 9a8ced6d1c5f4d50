"""The databases that tests of the store are lent (tests/databases.py)."""

from typing import Final, LiteralString

import psycopg
import pytest

from tests.databases import Spares

FILL: Final = "INSERT INTO notice VALUES ('any', true, 0, 0)"
CHANGES: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE notice RENAME TO elsewhere",
    "ALTER TABLE notice ADD COLUMN further text",
    "DROP TABLE notice CASCADE",
    "CREATE INDEX further ON notice (well_ms)",
    "CREATE VIEW further AS SELECT * FROM notice",
    "ALTER TABLE notice SET (fillfactor = 50)",
    "REVOKE INSERT ON notice FROM receiver",
    "UPDATE alembic_version SET version_num = '9999'",
    "ANALYZE notice",
    "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET timezone = UTC'; END $$",
)


class TestSpares:
    def test_come_back_empty(self, spares: Spares) -> None:
        """Whoever had one may still be in the middle of a transaction."""
        url = spares.take()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL)
        left = psycopg.connect(url)
        left.execute("UPDATE notice SET is_wrong = false")
        spares.put_back(url)
        left.close()
        assert spares.take() == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM notice").fetchone() == (0,)
        spares.put_back(url)

    def test_of_another_shape_do_not(self, spares: Spares, subtests: pytest.Subtests) -> None:
        """What a test did to the schema, the settings or the statistics reaches no other."""
        for change in CHANGES:
            with subtests.test(change):
                url = spares.take()
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(FILL)
                    connection.execute(change)
                spares.put_back(url)
                other = spares.take()
                spares.put_back(other)
                assert other != url
