"""Reverse proxies from Debian, run with the files of `deploy/`: only ports and paths are exchanged.

FIELD_BIN names a folder with others, which come first.
"""

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

HOST: Final = "hooks.example.com"
DEPLOY: Final = Path(__file__).parents[2] / "deploy"


@dataclass(frozen=True)
class Proxy:
    """One that listens on loopback, under a certificate for `HOST`."""

    port: int
    trust: ssl.SSLContext


def _caddy(text: str, port: int, folder: Path) -> str:
    site = f"https://{HOST}:{port}"
    text = text.replace(
        f"{HOST} {{", f"{site} {{\n\tbind 127.0.0.1\n\ttls {folder}/hooks.crt {folder}/hooks.key"
    )
    return text.replace("{\n\tservers", "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers", 1)


def _nginx(text: str, port: int, folder: Path) -> str:
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("/etc/nginx/", f"{folder}/")
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"user root;\npid {folder}/pid;\n" + text.replace("http {", f"http {{\n{temporary}", 1)


def _haproxy(text: str, port: int, folder: Path) -> str:
    return text.replace("bind :443", f"bind 127.0.0.1:{port}").replace("/etc/haproxy/", f"{folder}/")


@dataclass(frozen=True)
class _Kind:
    file: str
    adapt: Callable[[str, int, Path], str]
    check: tuple[str, ...]
    run: tuple[str, ...]


KINDS: Final = {
    "caddy": _Kind(
        "Caddyfile",
        _caddy,
        ("validate", "--adapter", "caddyfile", "--config"),
        ("run", "--adapter", "caddyfile", "--config"),
    ),
    "nginx": _Kind(
        "nginx.conf", _nginx, ("-e", "stderr", "-t", "-c"), ("-e", "stderr", "-g", "daemon off;", "-c")
    ),
    "haproxy": _Kind("haproxy.cfg", _haproxy, ("-c", "-f"), ("-db", "-f")),
}


@contextmanager
def running(kind: str, upstreams: tuple[int, int], folder: Path) -> Iterator[Proxy]:
    """Check the file that `deploy/` has for *kind*, and run it before two *upstreams*."""
    program = shutil.which(kind, path=f"{os.environ.get('FIELD_BIN', '')}:/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        missing(kind, "no such program", installer=f"apt-get install {kind}")
    (port,) = free_ports(1)
    trust = _certify(folder)
    one = KINDS[kind]
    text = (DEPLOY / one.file).read_text()
    for ours, theirs in zip(("127.0.0.1:8000", "127.0.0.1:8002"), upstreams, strict=True):
        assert ours in text
        text = text.replace(ours, f"127.0.0.1:{theirs}")
    config = folder / one.file
    config.write_text(one.adapt(text, port, folder))
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    checked = subprocess.run(
        [program, *one.check, str(config)], check=False, capture_output=True, text=True, env=environment
    )
    assert checked.returncode == 0, checked.stderr
    process = ServerProcess([program, *one.run, str(config)], port, env=environment)
    process.start()
    try:
        yield Proxy(port, trust)
    finally:
        process.stop()


def _certify(folder: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    key, chain = certificate.private_key_pem, certificate.cert_chain_pems[0]
    key.write_to_path(folder / "hooks.key")
    chain.write_to_path(folder / "hooks.crt")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "hooks.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trust
