"""A host's name as DNS knows it."""

import unicodedata
from typing import Final

import idna

MAX_HOST_CHARS: Final = 253


def to_ascii(host: str) -> str:
    """Return *host* in lower case, what is not ASCII by IDNA 2008 (RFC 5891).

    The mappings that browsers make before are made only as far as no other name can hide behind them: case,
    and composed characters.

    Raises:
        ValueError: a label is none.
    """
    if host.isascii():
        return host.lower()
    return ".".join(map(_label, host.split(".")))


def _label(written: str) -> str:
    if written.isascii():  # may hold an underscore, which IDNA does not know
        return written.lower()
    label = unicodedata.normalize("NFC", written.lower())
    if label.isascii():
        raise ValueError("a letter that only looks like ASCII")
    return idna.alabel(label).decode()
