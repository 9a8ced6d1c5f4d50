"""Parses `RECEIVER_DATABASE_URL`, in the spellings of the tools that write such URLs.

No error repeats a part of the URL that may belong to a password.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from receiver.errors import ConfigError

_POSTGRES: Final = {"postgres", "postgresql"}
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REPEATABLE: Final = {"host", "port", "options"}
_ENCODE: Final = "percent-encode each of / ? # @ : % and , in user name and password"
_MAX_PORT: Final = 65535


def parse(text: str) -> URL:
    """Parse the URL of a database.

    Raises:
        ConfigError: it is neither `sqlite:///path` nor `postgresql://…`.
    """
    scheme, found, rest = text.strip().partition("://")
    kind = scheme.lower().partition("+")[0]
    if not found or not kind or "\0" in unquote(rest):
        raise bad_url("it is not a URL")
    if kind in _POSTGRES:
        return _postgres(rest)
    if kind == "sqlite":
        try:
            url = make_url(f"sqlite://{rest}")
        except (ArgumentError, ValueError):
            raise bad_url("it is not a URL") from None
        if url.host or url.username:
            raise bad_url("a path follows three slashes, an absolute one four")
        for name in url.query:
            raise unknown_parameter(_shown(name, rest), "is unknown: for SQLite there are none")
        return url
    raise bad_url(f"{kind!r} is not supported" if _PLAIN_NAME.fullmatch(kind) else "it is not a URL")


def sqlite_file(text: str) -> Path | None:
    """Return the file of an embedded database; None if *text* is the URL of a server.

    Raises:
        ConfigError: as for `parse`.
    """
    url = parse(text)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def bad_url(why: str) -> ConfigError:
    """Return the error for the setting, with an example of what is accepted."""
    return ConfigError(
        f"{why}; write sqlite:///data/receiver.db or postgresql://user@host/name", "database_url"
    )


def unknown_parameter(name: str, why: str) -> ConfigError:
    """Return the error for the query parameter *name*."""
    return ConfigError(f"the parameter {name} {why}", "database_url")


def _postgres(rest: str) -> URL:
    place, _, query = rest.partition("?")
    authority, _, database = place.partition("/")
    if "@" in database:
        raise bad_url(_ENCODE)
    user, found, hosts = authority.rpartition("@")
    name, _, password = user.partition(":")
    host, port = _hosts(hosts)
    parameters = _query(query) | ({"host": host, "port": port} if "," in host else {})
    return URL.create(
        "postgresql+psycopg",
        username=unquote(name) or None,
        password=unquote(password) or None if found else None,
        host=host if host and "," not in host else None,
        port=int(port) if port and "," not in host else None,
        database=unquote(database) or None,
        query={key: value for key, value in parameters.items() if value},
    )


def _hosts(text: str) -> tuple[str, str]:
    """Return hosts and ports as libpq lists them, from `host`, `host:port`, `[::1]:port` or a list."""
    hosts, ports = [], []
    for each in text.split(","):
        found = re.fullmatch(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d*))?", each)
        if found is None or int(found["port"] or 1) not in range(1, _MAX_PORT + 1):
            raise bad_url(f"a host or its port cannot be read: an IPv6 address stands in [ ], and {_ENCODE}")
        hosts.append(unquote(found["v6"] or found["host"] or ""))
        ports.append(found["port"] or "")
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _query(text: str) -> dict[str, str]:
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    for name, values in parameters.items():
        if _shown(name, text) != name:
            raise bad_url(f"the part after the question mark is not a list of parameters: {_ENCODE}")
        if len(values) > 1 and name not in _REPEATABLE:
            raise unknown_parameter(name, "appears twice")
    joined = {name: (" " if name == "options" else ",").join(values) for name, values in parameters.items()}
    if "host" in joined and "port" not in joined and ":" in joined["host"].replace("::", ""):
        joined["host"], joined["port"] = _hosts(joined["host"])
    return joined


def _shown(name: str, text: str) -> str:
    """Return *name* if it can be shown: a real name, not part of a password that was not encoded."""
    return name if _PLAIN_NAME.fullmatch(name) and "@" not in text.partition("=")[0] else "?"
