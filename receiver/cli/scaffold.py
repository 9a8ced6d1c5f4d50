"""Files that `receiver init` writes: settings, secrets in separate files, and files to run the service."""

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Final, Literal
from urllib.parse import urlsplit

import receiver
from receiver.cli.ports import ADMIN_PORT, PORT
from receiver.client.parameters import is_loopback

SETTINGS: Final = "receiver.toml"
SECRETS: Final = "secrets"
ADMIN_TOKEN: Final = f"{SECRETS}/admin_token"
RunWith = Literal["shell", "systemd", "compose"]

_PACKAGE: Final = Path(receiver.__file__).parent
_EXAMPLE_HOST: Final = "hooks.example.com"
_PUBLISHED: Final = f'"127.0.0.1:{ADMIN_PORT}:{ADMIN_PORT}"'
_EXAMPLE_UPSTREAMS: Final = "127.0.0.1:8000 127.0.0.1:8002"


@dataclass(frozen=True, slots=True)
class Answers:
    """The user's answers."""

    webhook_secrets: str = field(repr=False)
    """Newest first, comma-separated."""
    api_key: str | None = field(repr=False)
    database_url: str = field(repr=False)
    assets_url: str
    s3_endpoint_url: str | None
    destinations: Mapping[str, str] = field(repr=False)
    """URLs by name."""
    host_name: str | None
    """The public host name; None: no Caddyfile."""
    run_with: RunWith
    port: int = PORT
    admin_port: int = ADMIN_PORT
    further: Mapping[str, str | list[str]] = field(default_factory=dict)
    """Further settings for the file: those of a sandbox."""


def files(answers: Answers) -> dict[str, str]:
    """Return the content of each file by its path; those below `secrets/` are private."""
    kept = dict(_secrets(answers))
    written = {f"{SECRETS}/{name}": text + "\n" for name, text in kept.items()}
    written[SETTINGS] = _settings(answers, kept)
    if answers.host_name:
        upstream = "web:8000" if answers.run_with == "compose" else f"127.0.0.1:{answers.port}"
        written["Caddyfile"] = _caddyfile(answers.host_name, upstream)
    if answers.run_with == "systemd":
        written["receiver.service"] = shipped("systemd/receiver.service")
    if answers.run_with == "compose":
        published = f'"127.0.0.1:{answers.admin_port}:{ADMIN_PORT}"'
        written["compose.yaml"] = shipped("compose.small.yaml").replace(_PUBLISHED, published)
        written[".env"] = f"# Who owns the files in this folder.\nOWNER={os.getuid()}:{os.getgid()}\n"
    return written


def shipped(path: str) -> str:
    """Return a file of `deploy/`: from the wheel, or from the checkout that this runs in."""
    in_wheel = _PACKAGE / "deploy" / path
    return (in_wheel if in_wheel.exists() else _PACKAGE.parent / "deploy" / path).read_text()


def _secrets(answers: Answers) -> Iterator[tuple[str, str]]:
    yield "webhook_secrets", answers.webhook_secrets
    yield "admin_token", secrets.token_urlsafe(32)
    if answers.api_key:
        yield "api_key", answers.api_key
    if _is_secret(answers.database_url):
        yield "database_url", answers.database_url
    for name, url in answers.destinations.items():
        if _is_secret(url):
            yield f"{name}_url", url
    if any(url.startswith("pull:") for url in answers.destinations.values()):
        yield "pull_token", secrets.token_urlsafe(32)


def _is_secret(url: str) -> bool:
    """Whether *url* has a password, or a query that may hold one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(parts.password or parts.query)


def _settings(answers: Answers, kept: Mapping[str, str]) -> str:
    text = _TOML.substitute(
        api_key=("" if answers.api_key else "# ") + f'api_key_file = "{SECRETS}/api_key"',
        database=_line("database_url", answers.database_url, kept, "database_url"),
        assets=_value("assets_url", answers.assets_url),
        admin_port=answers.admin_port,
    )
    further = {**_ports(answers), **answers.further}
    if answers.assets_url.startswith("s3:"):
        text += _S3
        further |= {"s3_endpoint_url": answers.s3_endpoint_url} if answers.s3_endpoint_url else {}
    if answers.host_name and answers.run_with != "compose":
        further["trusted_proxies"] = ["127.0.0.1"]
    text += "".join(f"{_COMMENTS[name]}{_value(name, value)}\n" for name, value in further.items())
    if "pull_token" in kept:
        text += (
            f'\n# What consumers of pull: destinations must send.\npull_token_file = "{SECRETS}/pull_token"\n'
        )
    text += _DESTINATIONS if answers.destinations else _NO_DESTINATIONS
    for name, url in answers.destinations.items():
        text += f"\n[destinations.{name}]\n{_line('url', url, kept, f'{name}_url')}\n"
    return text


def _ports(answers: Answers) -> dict[str, int]:
    """Return the ports that differ from the default; in a container, none do."""
    chosen = {"port": (answers.port, PORT), "admin_port": (answers.admin_port, ADMIN_PORT)}
    if answers.run_with == "compose":
        return {}
    return {name: port for name, (port, usual) in chosen.items() if port != usual}


def _line(setting: str, value: str, kept: Mapping[str, str], name: str) -> str:
    return f'{setting}_file = "{SECRETS}/{name}"' if name in kept else _value(setting, value)


def _value(setting: str, value: str | int | list[str]) -> str:
    # A TOML basic string has the escapes of JSON.
    return f"{setting} = {json.dumps(value, ensure_ascii=False)}"


def _caddyfile(host_name: str, upstream: str) -> str:
    _, brace, rest = shipped("Caddyfile").partition("\n{\n")
    rest = rest.replace(_EXAMPLE_HOST, host_name)
    rest = rest.replace(_EXAMPLE_UPSTREAMS, upstream)
    return (
        f"# Caddy in front of `receiver serve`. It gets the certificate of {host_name} itself.{brace}{rest}"
    )


_TOML: Final = Template(f"""\
# Settings of `receiver`. Environment variables win over this file. `receiver config` shows what is in effect,
# `receiver check` tests it. Send SIGHUP after a change of secrets or destinations; others need a restart.

# The signing secret of the provider's webhook, in a file that only its owner can read.
# To rotate it, write both into that file: new,old
webhook_secrets_file = "{SECRETS}/webhook_secrets"

# The provider's API key. With it, workers find generations whose webhook never arrived.
$api_key

# The token to sign in to the console with, at http://127.0.0.1:$admin_port/console
admin_token_file = "{SECRETS}/admin_token"

# Everything that was acknowledged: sqlite:///path, or postgresql://user@host/name for several machines.
$database

# Where assets are copied to: file:folder, or s3://bucket/prefix
$assets
""")

_S3: Final = "# Credentials come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a role.\n"

_COMMENTS: Final = {
    "port": "\n# Port for webhooks.\n",
    "admin_port": "\n# Port of the console.\n",
    "s3_endpoint_url": "# Endpoint of an S3-compatible store.\n",
    "trusted_proxies": "\n# The proxy in front; its X-Forwarded-For is trusted.\n",
    "api_base_url": "\n# The sandbox instead of the provider. Remove both lines for a real account.\n",
    "fetch_allow": "",
}

_NO_DESTINATIONS: Final = """
# No destinations yet: events are kept. Add one like this, and send SIGHUP:
#
# [destinations.queue]
# url = "redis://127.0.0.1:6379/0"
"""

_DESTINATIONS: Final = """
# Where events are forwarded to. docs/destinations/ lists the options of each kind.
"""


_HOSTS: Final = re.compile(r"//(?:[^/?#]*@)?([^/?#]+)")
_HOST: Final = re.compile(r"\[([^\]]*)\]|([^:]+)")


def is_own_machine(url: str) -> bool:
    """Whether a host of *url* means the local machine."""
    return any(is_loopback(host) or host == "0.0.0.0" for host in _hosts(url))  # noqa: S104  it binds nothing


def _hosts(url: str) -> Iterator[str]:
    """Yield each host: some URLs name several, or are prefixed by another scheme."""
    for several in _HOSTS.findall(url):
        for one in several.split(","):
            if found := _HOST.match(one):
                yield (found[1] or found[2] or "").lower()
