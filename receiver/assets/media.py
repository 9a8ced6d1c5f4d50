"""What an asset is, decided by its first bytes and never by what a server calls it.

Source: https://mimesniff.spec.whatwg.org, narrowed to what the provider generates.
SVG and HTML are absent on purpose: a public bucket would run their scripts.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image/png": "png",
        "image/jpeg": "jpg",
        "image/webp": "webp",
        "image/gif": "gif",
        "video/mp4": "mp4",
        "video/webm": "webm",
    }
)
"""Content type → file name extension, for everything we keep."""

HEAD_BYTES: Final = 512
"""How many leading bytes `sniff` wants; fewer only when the file is shorter."""

_SIGNATURES: Final = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
)
_MP4_BRAND: Final = re.compile(rb"iso[m1-9a-c]|mp4[12]|avc1|M4V[ HP]|dash|cmf[c2]|MSNV")
# HEIF and AVIF share MP4's container; a file that also claims to be one of them is not a plain video.
_IMAGE_BRANDS: Final = frozenset(
    (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
)
_MIN_FTYP: Final = 16
_EBML_MAGIC: Final = b"\x1a\x45\xdf\xa3"
_DOC_TYPE: Final = b"\x42\x82"


def sniff(head: bytes) -> str | None:
    """Return the content type that *head*, the first `HEAD_BYTES` of a file, proves; else None."""
    for content_type, signature in _SIGNATURES:
        if signature.match(head):
            return content_type
    if _is_mp4(head):
        return "video/mp4"
    return "video/webm" if _ebml_doc_type(head) == b"webm" else None


def _is_mp4(head: bytes) -> bool:
    size = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp" or size < _MIN_FTYP or size % 4:
        return False
    compatible = head[_MIN_FTYP:size]
    brands = {compatible[i : i + 4] for i in range(0, len(compatible), 4)}
    return _MP4_BRAND.fullmatch(head[8:12]) is not None and not brands & _IMAGE_BRANDS


def _ebml_doc_type(head: bytes) -> bytes | None:
    """Walk the EBML header's elements to its DocType (RFC 8794, section 11.2)."""
    if not head.startswith(_EBML_MAGIC):
        return None
    size, at = _vint(head, len(_EBML_MAGIC))
    end = min(at + size, len(head))
    while at < end:
        element = head[at : at + _vint_width(head, at)]
        size, at = _vint(head, at + len(element))
        if element == _DOC_TYPE:
            return head[at : at + size].rstrip(b"\0")
        at += size
    return None


def _vint_width(data: bytes, at: int) -> int:
    """Return the width in bytes, 1 to 9, of the variable-size integer at *at* (RFC 8794, section 4)."""
    return 9 - data[at].bit_length() if at < len(data) else 1


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Return the value of the variable-size integer at *at*, and where it ends."""
    end = at + _vint_width(data, at)
    raw = data[at:end]
    return int.from_bytes(raw, "big") & ((1 << 7 * len(raw)) - 1), end
