"""A destination's options: strings from the settings, read into a frozen dataclass per system.

Every mistake is a `ConfigError` that names the setting and says what it accepts. It never repeats the value:
an option, or one mistyped as another, may be a secret.
"""

import math
import ssl
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from receiver.errors import ConfigError, variable

T = TypeVar("T")


def setting(name: str, option: str) -> str:
    """Return the environment variable that holds *option* of the destination called *name*."""
    return variable("destinations", name, option)


def option(parse: Callable[[str], T], default: T, *, secret: bool = False) -> T:
    """Declare a dataclass field that `read_options` fills through *parse*.

    *parse* raises ValueError, saying what it accepts ("a whole number above 0"), without the value.
    A *secret* stays out of the dataclass's repr.
    """
    return field(default=default, repr=not secret, metadata={"parse": parse})


def read_options(
    kind: type[T], name: str, options: Mapping[str, str], *, query: Mapping[str, str] = MappingProxyType({})
) -> T:
    """Build *kind*, a dataclass whose fields are all `option`s, from the *options* of destination *name*.

    *query* holds options too, those of the URL; *options* win, whatever the case of their names.

    Raises:
        ConfigError: an option *kind* does not have, or a value it cannot read.
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
    assert declared.default is not MISSING, "every option has a default"
    try:
        return declared.metadata["parse"](text.strip())
    except ValueError as error:
        raise ConfigError(f"{setting(name, declared.name)} must be {error}") from None


def seconds(text: str) -> float:
    """Read a duration in seconds, above 0 and at most an hour.

    Raises:
        ValueError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 3600:  # noqa: PLR2004  # the sentence below names it
        raise ValueError("a number of seconds, above 0 and at most 3600")
    return value


def count(*, at_most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from 1 to *at_most*."""

    def read(text: str) -> int:
        if not (
            text.isascii() and text.isdigit() and len(text) <= len(str(at_most)) and 1 <= int(text) <= at_most
        ):
            raise ValueError(f"a whole number from 1 to {at_most}")
        return int(text)

    return read


def flag(text: str) -> bool:
    """Read a yes or no.

    Raises:
        ValueError: it is neither true, yes or 1 nor false, no or 0, in any case.
    """
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def existing_file(text: str) -> str:
    """Read the path of a file that is there.

    Raises:
        ValueError: there is none, or it is a folder.
    """
    if not Path(text).is_file():
        raise ValueError("the path of an existing file")
    return text


def authorities(text: str) -> str:
    """Read the path of a PEM file that holds certificates.

    Raises:
        ValueError: there is no such file, it may not be read, or it holds none.
    """
    try:
        ssl.create_default_context(cafile=existing_file(text))
    except (ssl.SSLError, PermissionError):
        raise ValueError("the path of a PEM file with certificates, which is readable") from None
    return text


def word(text: str) -> str:
    """Read one word of printable ASCII: no spaces, no control characters.

    Raises:
        ValueError: it is empty, or holds anything else.
    """
    if not text or not all("!" <= character <= "~" for character in text):
        raise ValueError("printable ASCII without spaces, and not empty")
    return text
