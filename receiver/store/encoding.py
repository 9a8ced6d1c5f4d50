"""Keeps text intact in a PostgreSQL database that is not in UTF-8.

A character that the database's encoding lacks is written as `<SUB>hex;`, where SUB is U+001A. SUB itself is
written that way too. Reading reverses this, so the rest of the code need not know.
"""

import codecs
import re
from typing import Any, Final

from psycopg import Connection
from psycopg.adapt import Buffer
from psycopg.types.string import StrBinaryDumper, StrDumperUnknown, TextLoader

UNIVERSAL: Final = {"UTF8", "SQL_ASCII"}
"""Database encodings that can hold any text: SQL_ASCII keeps the bytes as they are."""
_CODECS: Final = {
    **{f"LATIN{n}": f"iso8859-{part}" for n, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), 1)},
    **{f"ISO_8859_{n}": f"iso8859-{n}" for n in (5, 6, 7, 8)},
    **{f"WIN{n}": f"cp{n}" for n in (866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)},
}
"""The encodings with one byte per character. In others everything but ASCII is escaped."""
_SUB: Final = "\x1a"
_ESCAPED: Final = re.compile(r"\x1a([0-9a-f]{1,6});")
_TEXT_TYPES: Final = ("text", "varchar", "bpchar")


def escape(text: str, codec: str) -> str:
    """Escape the characters that *codec* cannot encode."""
    whole = text.replace(_SUB, f"{_SUB}1a;")
    if whole.isascii():
        return whole
    return whole.encode(codec, "receiver-escape").decode(codec)


def unescape(text: str) -> str:
    """Reverse `escape`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if _SUB in text else text


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # nothing decodes with it
    lacking = error.object[error.start : error.end]
    return "".join(f"{_SUB}{ord(each):x};" for each in lacking), error.end


codecs.register_error("receiver-escape", _replace)


def escape_text(connection: Connection[Any]) -> None:
    """Have *connection* escape what its database cannot store, if there is anything it cannot."""
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding in UNIVERSAL:
        return
    codec = _CODECS.get(encoding, "ascii")

    class EscapingBinary(StrBinaryDumper):  # in arrays
        def dump(self, obj: str) -> Buffer | None:
            return super().dump(escape(obj, codec))

    class Escaping(StrDumperUnknown):
        def dump(self, obj: str) -> Buffer | None:
            return super().dump(escape(obj, codec))

    class Unescaping(TextLoader):
        def load(self, data: Buffer) -> str | bytes:
            loaded = super().load(data)
            return unescape(loaded) if isinstance(loaded, str) else loaded

    for dumper in (EscapingBinary, Escaping):
        connection.adapters.register_dumper(str, dumper)
    for name in _TEXT_TYPES:
        connection.adapters.register_loader(name, Unescaping)
