"""A table of events as years leave it, written by the database itself: about 30 µs a row on SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, LiteralString

import psycopg

_COLUMNS: Final = (
    "id, source, generation_id, type, asset_host, body, via, received_ms, repeats, state, due_ms, attempts"
)
_CACHE_KIB: Final = 2 * 1024 * 1024
# Fibonacci hashing: each number once, in an order like that of random ids, so that the index grows as in use.
_SCATTERED: Final = "((n * 2654435761) & 4294967295)"

_SQLITE: Final = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO event ({_COLUMNS})
    SELECT printf('01800000-0000-7000-8000-%012x', n), 'photoverse', printf('gen_%08x%08x', {_SCATTERED}, n),
        'generation.completed', 'cdn.example.com', randomblob(364), 'webhook', n, 0, 'settled', n, 1
    FROM numbers
"""
_POSTGRES: Final[LiteralString] = f"""
    INSERT INTO event ({_COLUMNS})
    SELECT '01800000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), 'photoverse',
        'gen_' || lpad(to_hex({_SCATTERED}), 8, '0') || lpad(to_hex(n), 8, '0'),
        'generation.completed', 'cdn.example.com', decode(repeat('6d', 364), 'hex'), 'webhook', n, 0,
        'settled', n, 1
    FROM generate_series(1, %s::bigint) AS n
"""
_LOGGED: Final = """
    SELECT pg_logical_emit_message(false, 'benchmark', repeat('x', 1048576)) FROM generate_series(1, 512)
"""
_KEY: Final = "uq_event_source_generation_id_type"


def fill_sqlite(path: Path, events: int) -> None:
    """Add so many settled events to the migrated database at *path*."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute(_SQLITE, (events,))
        connection.execute("PRAGMA journal_mode = WAL")


def fill_postgres(url: str, events: int) -> None:
    """Add so many settled events to the migrated database at *url*, and let it tidy up."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE event DROP CONSTRAINT {_KEY}")
        connection.execute(_POSTGRES, (events,))
        connection.execute(f"ALTER TABLE event ADD CONSTRAINT {_KEY} UNIQUE (source, generation_id, type)")
        connection.execute("VACUUM ANALYZE event")
        connection.execute("CHECKPOINT")


def write_log(url: str) -> None:
    """Have the cluster at *url* write 512 MB to its log, so that later writes go to files that are there.

    A new cluster makes each of them while a commit waits; one in use takes those that it needs no more.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_LOGGED)
        connection.execute("CHECKPOINT")
