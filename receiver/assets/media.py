"""The type of an asset, decided by its first bytes, never by the server's word.

Unknown binaries are kept too, as a stream of octets: they were paid for. Text is refused: it is usually an
error page, and SVG and HTML could run scripts in a public bucket.

Sources: https://mimesniff.spec.whatwg.org; the formats' own documents in `receiver.assets.containers`.
"""

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from receiver.assets.containers import ebml_type, is_mpeg_audio, is_transport_stream, iso_type, ogg_type

OCTETS: Final = "application/octet-stream"

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image/png": "png",
        "image/jpeg": "jpg",
        "image/webp": "webp",
        "image/gif": "gif",
        "image/avif": "avif",
        "image/heic": "heic",
        "image/heif": "heif",
        "image/jxl": "jxl",
        "image/bmp": "bmp",
        "image/tiff": "tiff",
        "image/jp2": "jp2",
        "image/vnd.adobe.photoshop": "psd",
        "image/vnd.microsoft.icon": "ico",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/3gpp": "3gp",
        "video/3gpp2": "3g2",
        "video/mpeg": "mpg",
        "video/mp2t": "ts",
        "video/ogg": "ogv",
        "video/x-msvideo": "avi",
        "video/x-flv": "flv",
        "video/x-ms-asf": "asf",
        "audio/mpeg": "mp3",
        "audio/mp4": "m4a",
        "audio/wav": "wav",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/aac": "aac",
        "audio/aiff": "aiff",
        "audio/amr": "amr",
        "audio/midi": "mid",
        "model/gltf-binary": "glb",
        OCTETS: "bin",
    }
)
"""Content type → file name extension, for everything we keep. No two share one."""

HEAD_BYTES: Final = 512
"""How many leading bytes `sniff` wants; fewer only when the file is shorter."""

_SIGNATURES: Final = tuple(
    (content_type, re.compile(signature, re.DOTALL))
    for content_type, signature in (
        ("image/png", rb"\x89PNG\r\n\x1a\n"),
        ("image/jpeg", rb"\xff\xd8\xff[\xc0-\xfe]"),
        ("image/gif", rb"GIF8[79]a"),
        ("image/webp", rb"RIFF.{4}WEBP"),
        ("image/jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
        ("image/bmp", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        ("image/tiff", rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"),
        ("image/jp2", rb"\0\0\0\x0cjP  \r\n\x87\n"),
        ("image/vnd.adobe.photoshop", rb"8BPS\0[\x01\x02]"),
        ("image/vnd.microsoft.icon", rb"\0\0\x01\0[^\0]\0.{3}\0"),
        ("video/mpeg", rb"\0\0\x01[\xba\xb3]"),
        ("video/x-msvideo", rb"RIFF.{4}AVI "),
        ("video/x-flv", rb"FLV\x01"),
        ("video/x-ms-asf", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),
        ("audio/wav", rb"(?:RIFF|RIFX|RF64|BW64).{4}WAVE"),
        ("audio/flac", rb"fLaC"),
        ("audio/mpeg", rb"ID3[\x02-\x04]"),
        ("audio/aac", rb"\xff[\xf0\xf1\xf8\xf9]|ADIF"),
        ("audio/aiff", rb"FORM.{4}AIF[FC]"),
        ("audio/amr", rb"#!AMR(?:-WB)?\n"),
        ("audio/midi", rb"MThd\0\0\0\x06"),
        ("model/gltf-binary", rb"glTF[\x01\x02]\0\0\0"),
    )
)
_UTF_16: Final = (b"\xfe\xff", b"\xff\xfe")
"""Byte order marks; some binaries begin with them too."""
_NEVER_IN_TEXT: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_MARKUP: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|\?xml|(?:a|b|body|br|div|font|h1|head|html|iframe|math|p|script|style|svg|table|title)"
    rb"[\s/>])",
    re.IGNORECASE,
)
_BEGINS_LIKE_TEXT: Final = re.compile(
    rb"%PDF-|SIMPLE  =|#\?RADIANCE|#\?RGBE|P[4-6]\s|P[Ff]\s|ply\r?\nformat binary"
)
"""Binaries with a text header: PDF, FITS, HDR, the Portable Maps, PLY."""


def sniff(head: bytes) -> str | None:
    """Return the content type that *head*, the first `HEAD_BYTES` of a file, proves.

    `OCTETS` for unknown binaries, None for text or nothing.
    """
    if not head or _is_markup(head):
        return None
    for content_type, signature in _SIGNATURES:
        if signature.match(head):
            return content_type
    found = iso_type(head) or ebml_type(head) or ogg_type(head)
    if found:
        return found
    if is_mpeg_audio(head):
        return "audio/mpeg"
    if is_transport_stream(head):
        return "video/mp2t"
    return None if _is_text(head) else OCTETS


def parse_types(entries: Collection[str]) -> frozenset[str]:
    """Return the types that *entries* such as `video/mp4`, `image/*` and `*` name.

    Raises:
        ValueError: an entry names no known type; the message quotes it.
    """
    found: set[str] = set()
    for entry in entries:
        named = {each for each in MEDIA_TYPES if fnmatchcase(each, entry.lower())}
        if not named:
            raise ValueError(
                f"{entry!r} is neither a pattern like image/* nor one of {', '.join(MEDIA_TYPES)}"
            )
        found |= named
    if not found:
        raise ValueError("it names no type; leave it unset to keep all")
    return frozenset(found)


def _is_markup(head: bytes) -> bool:
    """Whether a browser might run *head* as a page, also in UTF-16, whatever follows."""
    return _MARKUP.match(head.replace(b"\0", b"")) is not None


def _is_text(head: bytes) -> bool:
    if head.startswith(_UTF_16):
        head = head[: len(head) // 2 * 2].decode("utf-16", "replace").encode("utf-8", "replace")
    return not _BEGINS_LIKE_TEXT.match(head) and not _NEVER_IN_TEXT.search(head)
