"""URLs of clusters: `scheme://user:password@host:port,host:port?option=value`."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's servers, and our credentials."""

    servers: tuple[str, ...]
    """Each as `host:port`."""
    username: str | None
    password: str | None = field(repr=False)
    query: dict[str, str] = field(repr=False)


def read_cluster(url: str, *, default_port: int) -> Cluster:
    """Parse *url*, which has neither path nor fragment.

    Raises:
        ValueError: it is not such a URL.
    """
    parts = urlsplit(url)
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, has_password, password = userinfo.partition(":")
    if parts.path.strip("/") or parts.fragment:
        raise ValueError("neither a path nor a fragment")
    return Cluster(
        tuple(_server(host, default_port) for host in hosts.split(",")),
        unquote(username) or None,
        unquote(password) if has_password else None,
        dict(parse_qsl(parts.query, keep_blank_values=True)),
    )


def _server(text: str, default_port: int) -> str:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0:
        raise ValueError("the address of a server")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or default_port}"
