"""The parameters of a PostgreSQL URL: libpq's own, and those that other tools write."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL

from receiver.errors import ConfigError
from receiver.store.database_url import unknown_parameter

DEFAULTS: Final = {
    "connect_timeout": "5",
    "application_name": "receiver",
    # A dead machine is detected within 19 s on an idle connection, and sooner on a busy one. The kernel's own
    # interval is 75 s.
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_ALIASES: Final = {
    "ApplicationName": "application_name",
    "currentSchema": "search_path",
    "prepared_statement_cache_size": "statement_cache_size",
    "preparedStatementCacheQueries": "statement_cache_size",
    "charset": "client_encoding",
    "encoding": "client_encoding",
    "pool_size": "connection_limit",
    "pool": "connection_limit",
}
_LIBPQ: Final = frozenset(each.keyword.decode() for each in pq.Conninfo.get_defaults()) - {"replication"}
_SESSION: Final = frozenset(
    {
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "jit",
        "lock_timeout",
        "search_path",
        "statement_timeout",
        "synchronous_commit",
        "timezone",
        "work_mem",
    }
)
"""Server settings that some drivers accept in a URL."""
_TRUE: Final = {"true", "1", "on", "yes", "t", "y"}
_FALSE: Final = {"false", "0", "off", "no", "f", "n"}
_SSL: Final = dict.fromkeys(_TRUE, "require") | dict.fromkeys(_FALSE, "disable") | {"no-verify": "require"}
_UTF8: Final = {"utf8", "utf-8", "unicode", "auto", "utf8mb4"}
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_OPTION: Final = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=((?:\\.|[^\s\\])*)\s*")
_BY_HOST: Final = ("host", "hostaddr", "port")
_PORT: Final = "5432"
_NOWHERE: Final = "/nonexistent"
_UNPREPARED: Final = {"prepare_threshold": None}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a PostgreSQL server is, and how its URL says to use it."""

    parameters: Mapping[str, Any]
    """For libpq."""
    settings: Mapping[str, str]
    """For the session, in addition to ours."""
    prepare_threshold: int | None = 5
    """How often a statement is used before it is prepared; None: never prepared."""
    is_pooled: bool = False
    """Whether the URL says that each transaction may run on a different server connection."""
    most_connections: int | None = None
    pool_timeout_s: float = 30.0

    def with_last(self, address: tuple[str, str] | None) -> Mapping[str, Any]:
        """Return the parameters, with the host and port of *address* moved to the end."""
        hosts = self.parameters.get("host", "").split(",")
        lists = {name: str(self.parameters.get(name, "")).split(",") for name in _BY_HOST}
        ports = lists["port"] * (len(hosts) if len(lists["port"]) == 1 else 1)
        if len(hosts) == 1 or len(ports) != len(hosts):
            return self.parameters
        order = sorted(
            range(len(hosts)), key=lambda number: (hosts[number], ports[number] or _PORT) == address
        )
        moved = {
            name: ",".join(values[number] for number in order)
            for name, values in lists.items()
            if len(values) == len(hosts)
        }
        return {**self.parameters, **moved}


@dataclass(slots=True)
class _Reading:
    libpq: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def read_target(url: URL) -> Target:
    """Read a URL that `database_url.parse` has parsed.

    Raises:
        ConfigError: a parameter or its value is unknown; the message names it.
    """
    reading = _Reading()
    for name, value in url.query.items():
        _take(reading, name, str(value).strip())
    where = {
        "host": url.host,
        "port": str(url.port) if url.port else None,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    given = {name: value for name, value in where.items() if value}
    parameters = {**DEFAULTS, **given, **reading.libpq, "client_encoding": "UTF8"}
    if "," in parameters.get("host", ""):
        # Of several hosts, use the one that accepts writes.
        parameters.setdefault("target_session_attrs", "read-write")
    _check(parameters)
    if int(parameters["connect_timeout"] or 0) <= 0:  # no limit: a silent host would hang us
        parameters["connect_timeout"] = DEFAULTS["connect_timeout"]
    return Target(parameters, reading.session, **reading.more)


def _take(reading: _Reading, name: str, value: str) -> None:
    known = _ALIASES.get(name, name)
    if known == "client_encoding":
        if value.lower() not in _UTF8:
            raise unknown_parameter(name, "must be UTF8: leave it out")
    elif known == "ssl":
        reading.libpq.setdefault("sslmode", _SSL.get(value.lower(), value))
    elif known == "sslmode":
        reading.libpq["sslmode"] = "require" if value == "no-verify" else value
    elif known == "options":
        _take_options(reading, value)
    elif known == "schema":
        reading.session["search_path"] = '"' + value.replace('"', '""') + '"'
    elif known in _SESSION:
        reading.session[known] = value
    elif known in _LIBPQ:
        reading.libpq[known] = value
    else:
        reading.more |= _ours(name, known, value)


def _take_options(reading: _Reading, text: str) -> None:
    """Extract settings that would be in the startup packet, which poolers reject or ignore."""
    for name, value in _OPTION.findall(text):
        reading.session[name.replace("-", "_")] = re.sub(r"\\(.)", r"\1", value)
    left = _OPTION.sub("", text).strip()
    if left:
        reading.libpq["options"] = left


def _ours(name: str, known: str, value: str) -> dict[str, Any]:
    read = _OURS.get(known)
    if read is None:
        raise unknown_parameter(
            name,
            "is unknown to libpq and the receiver: leave it out. Write server settings as"
            " options=-c%20name%3Dvalue",
        )
    return read(name, value)


def _flag(name: str, value: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise unknown_parameter(name, "must be true or false")
    return value.lower() in _TRUE


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise unknown_parameter(name, "must be a whole number")
    return int(value)


def _check(parameters: Mapping[str, str]) -> None:
    """Have libpq find values it rejects, without connecting."""
    for name in (
        "connect_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
    ):
        if name in parameters and not re.fullmatch(r"-?\d{1,6}", parameters[name]):
            raise unknown_parameter(name, "must be a whole number")
    for name in _FILES:
        path = parameters.get(name)
        if path and path != "system" and not Path(path).expanduser().exists():
            raise unknown_parameter(name, "names a file that does not exist")
    if "service" in parameters:  # the rest is in a file
        return
    hosts = parameters.get("host", "").split(",")
    kept = {name: value for name, value in parameters.items() if name not in {"hostaddr", "password"}}
    nowhere = {**kept, "host": ",".join([_NOWHERE] * len(hosts))}
    attempt = pq.PGconn.connect_start(make_conninfo(**nowhere).encode())
    said = attempt.error_message.decode(errors="replace").strip()
    attempt.finish()
    if _NOWHERE not in said.partition("\n")[0]:
        raise ConfigError(said.partition("\n")[0], "database_url")


_OURS: Final[Mapping[str, Callable[[str, str], dict[str, Any]]]] = {
    "pgbouncer": lambda name, value: {"is_pooled": True} if _flag(name, value) else {},
    "prepared_statements": lambda name, value: {} if _flag(name, value) else _UNPREPARED,
    "prepare_threshold": lambda name, value: (
        _UNPREPARED if value.lower() == "none" else {"prepare_threshold": _number(name, value)}
    ),
    # Here 0 is never; in psycopg, prepare_threshold=0 means at once.
    "prepareThreshold": lambda name, value: {} if _number(name, value) else _UNPREPARED,
    "statement_cache_size": lambda name, value: {} if _number(name, value) else _UNPREPARED,
    "connection_limit": lambda name, value: {"most_connections": max(_number(name, value), 1)},
    "pool_timeout": lambda name, value: {"pool_timeout_s": float(_number(name, value) or 30)},
    "uselibpqcompat": lambda name, value: {},  # noqa: ARG005
}
"""Parameters that are not libpq's, by what they are translated to."""
