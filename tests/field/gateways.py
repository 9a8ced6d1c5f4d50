"""Proxies before a store: each writes the names of headers in a case of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports


@dataclass(frozen=True)
class _Gateway:
    file: str
    config: Callable[[int, int, Path], str]
    run: Sequence[str]


def _caddy(port: int, store: int, _folder: Path) -> str:
    return (
        "{\n\tadmin off\n\tauto_https off\n}\n"
        f"http://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\treverse_proxy 127.0.0.1:{store}\n}}\n"
    )


def _nginx(port: int, store: int, folder: Path) -> str:
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"user root; pid {folder}/pid; events {{}} http {{ access_log off; {temporary}"
        f" server {{ listen 127.0.0.1:{port}; client_max_body_size 0; location / {{ proxy_pass http://127.0.0.1:{store};"
        " proxy_set_header Host $http_host; proxy_http_version 1.1; } } }\n"
    )


def _haproxy(port: int, store: int, _folder: Path) -> str:
    return (
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"
        f"listen s3\n    bind 127.0.0.1:{port}\n    server store 127.0.0.1:{store}\n"
    )


_GATEWAYS: Final[Mapping[str, _Gateway]] = {
    "caddy": _Gateway("Caddyfile", _caddy, ("run", "--adapter", "caddyfile", "--config")),
    "nginx": _Gateway("nginx.conf", _nginx, ("-e", "stderr", "-g", "daemon off;", "-c")),
    "haproxy": _Gateway("haproxy.cfg", _haproxy, ("-db", "-f")),
}


@contextmanager
def before(kind: str, program: str, store: int, folder: Path) -> Iterator[int]:
    """Run a proxy before the port *store*; return its own."""
    gateway, (port,) = _GATEWAYS[kind], free_ports(1)
    config = folder / gateway.file
    config.write_text(gateway.config(port, store, folder))
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    process = ServerProcess([program, *gateway.run, str(config)], port, env=home)
    process.start()
    try:
        yield port
    finally:
        process.stop()
