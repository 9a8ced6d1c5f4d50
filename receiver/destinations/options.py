"""A destination's options: strings from the settings, read into a frozen dataclass per system.

Every mistake is a `ConfigError` that names the setting and says what it accepts. It never repeats the value,
because an option, or one mistyped as another, may be a secret.
"""

import math
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from receiver.errors import ConfigError, variable

T = TypeVar("T")


def setting(name: str, option: str) -> str:
    """Return the environment variable that holds *option* of the destination called *name*."""
    return variable("destinations", name, option)


def option(parse: Callable[[str], T], default: T, *, secret: bool = False) -> T:
    """Declare a dataclass field that `read_options` fills with *parse*.

    *parse* raises ValueError, saying what it accepts ("a whole number above 0"), without the value.
    A *secret* stays out of the dataclass's repr.
    """
    return field(default=default, repr=not secret, metadata={"parse": parse})


def read_options(
    kind: type[T], name: str, options: Mapping[str, str], *, query: Mapping[str, str] = MappingProxyType({})
) -> T:
    """Build *kind*, a dataclass whose fields are all `option`s, from the *options* of destination *name*.

    *query* holds options from the URL; *options* win, whatever the case of their names.

    Raises:
        ConfigError: *kind* has no such option, or cannot parse a value.
    """
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]  # T is one
    asked = {**query, **{key.lower(): text for key, text in options.items()}}
    values = {}
    for key, text in asked.items():
        declared = known.get(key.lower())
        if declared is None:
            accepted = ", ".join(sorted(known))
            raise ConfigError(
                f"{setting(name, key)} is not an option of this destination; it has: {accepted}, "
                "and the options of every destination (docs/destinations/README.md)"
            )
        values[declared.name] = _read(declared, name, text)
    return kind(**values)


def _read(declared: "Field[Any]", name: str, text: str) -> object:
    try:
        return declared.metadata["parse"](text.strip())
    except ValueError as error:
        raise ConfigError(f"{setting(name, declared.name)} must be {error}") from None


def number(of: str, *, at_most: float) -> Callable[[str], float]:
    """Return a reader of numbers *of* something, above 0."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value <= at_most:
            raise ValueError(f"a number of {of}, above 0 and at most {at_most}")
        return value

    return read


def count(*, at_least: int = 1, at_most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers."""

    def read(text: str) -> int:
        is_short = text.isascii() and text.isdigit() and len(text) <= len(str(at_most))
        if not (is_short and at_least <= int(text) <= at_most):
            raise ValueError(f"a whole number from {at_least} to {at_most}")
        return int(text)

    return read


def matching(pattern: str, accepted: str) -> Callable[[str], str]:
    """Return a reader of text that matches *pattern*; *accepted* describes it in words."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(accepted)
        return text

    return read


def one_of(known: Mapping[str, T], accepted: str | None = None) -> Callable[[str], T]:
    """Return a reader of the *known* words, in any case."""
    by_word = {each.lower(): value for each, value in known.items()}

    def read(text: str) -> T:
        if text.lower() not in by_word:
            raise ValueError(accepted or f"one of: {', '.join(known)}")
        return by_word[text.lower()]

    return read


seconds: Final = number("seconds", at_most=3600)
flag: Final = one_of(
    {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}, "true or false"
)
word: Final = matching("[!-~]+", "printable ASCII without spaces, and not empty")


def existing_file(text: str) -> str:
    """Read the path of an existing file.

    Raises:
        ValueError: there is none, or it is a folder.
    """
    if not Path(text).is_file():
        raise ValueError("the path of an existing file")
    return text


def authorities(text: str) -> str:
    """Read the path of a PEM file that holds certificates.

    Raises:
        ValueError: there is no such file, it is not readable, or it holds none.
    """
    try:
        ssl.create_default_context(cafile=existing_file(text))
    except (ssl.SSLError, PermissionError):
        raise ValueError("the path of a PEM file with certificates, which is readable") from None
    return text


@dataclass(frozen=True, slots=True)
class SendingOptions:
    """Options of every destination that we send to."""

    timeout_s: float = option(seconds, 10.0)


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
