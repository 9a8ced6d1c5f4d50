"""The type that a container declares in its first bytes.

Sources: ISO/IEC 14496-12 and https://mp4ra.org/registered-types/brands (`ftyp`), Apple's QuickTime File
Format, RFC 8794 and 9559 (EBML, Matroska), RFC 3533 (Ogg), ISO/IEC 11172-3 (MPEG audio), 13818-1 (packets).
"""

import re
from typing import Final

_MIN_BOX: Final = 8
_MIN_FTYP: Final = 16
_BRANDS: Final = (
    (b"avif|avis", "image/avif"),
    (b"hei[cxms]|hev[cx]", "image/heic"),
    (b"mif[12]|msf1|miaf", "image/heif"),
    (b"jp2 ", "image/jp2"),
    (b"crx |jp[mx] |mjp2", None),
    (b"M4[ABP] |F4[AB] ", "audio/mp4"),
    (b"qt  ", "video/quicktime"),
    (b"3g[efghmprstv].", "video/3gpp"),
    (b"3g2.", "video/3gpp2"),
    (
        b"iso[m1-9a-c]|mp4[12]|mp71|mmp4|avc1|hvc1|hev1|av01|M4V[ HP]|F4[VP] |dash|cmf.|MSNV|XAVC|piff|dby1",
        "video/mp4",
    ),
)
"""None: not one of our media types, although it claims to be compatible with one (Canon's raw photos)."""
_KNOWN_BRANDS: Final = tuple((re.compile(brands, re.DOTALL), kind) for brands, kind in _BRANDS)
_MORE_THAN_HEIF: Final = frozenset(("image/avif", "image/heic"))
_PADDING: Final = frozenset((b"free", b"skip", b"wide", b"junk"))
_QUICKTIME: Final = frozenset((b"moov", b"mdat", b"pnot"))
"""How QuickTime files begin that are older than `ftyp`."""
_EBML_MAGIC: Final = b"\x1a\x45\xdf\xa3"
_DOC_TYPE: Final = b"\x42\x82"
_DOC_TYPES: Final = {b"webm": "video/webm", b"matroska": "video/x-matroska"}
_THEORA: Final = b"\x80theora"
_RESERVED_BIT_RATE, _RESERVED_SAMPLE_RATE, _RESERVED_VERSION = 15, 3, 1
_LAYERS: Final = (1, 2)
"""The codes of layers III and II."""
_PACKET_BYTES: Final = 188
_PACKET_MARK: Final = 0x47


def iso_type(head: bytes) -> str | None:
    """Return the type of a file of boxes: by its major brand, else the first known compatible one."""
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    if name in _PADDING and size >= _MIN_BOX:
        return iso_type(head[size:])
    if name in _QUICKTIME:
        return "video/quicktime"
    if name != b"ftyp" or size < _MIN_FTYP or size % 4:
        return None
    brands = [head[8:12], *(head[at : at + 4] for at in range(_MIN_FTYP, min(size, len(head)), 4))]
    kinds = [kind for brand in brands for known, kind in _KNOWN_BRANDS if known.fullmatch(brand)]
    if kinds[:1] == ["image/heif"]:  # the brand that its whole family carries
        kinds = [*(kind for kind in kinds if kind in _MORE_THAN_HEIF), *kinds]
    return kinds[0] if kinds else None


def ebml_type(head: bytes) -> str | None:
    """Return the type in a header of Matroska's family."""
    return _DOC_TYPES.get(_ebml_doc_type(head) or b"")


def ogg_type(head: bytes) -> str | None:
    """Whether an Ogg file has video; its first pages list the streams."""
    if not head.startswith(b"OggS\0"):
        return None
    return "video/ogg" if _THEORA in head else "audio/ogg"


def is_mpeg_audio(head: bytes) -> bool:
    """Whether *head* begins with a frame of MPEG audio, layer II or III."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:  # noqa: PLR2004  eleven bits of synchronisation
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sample_rate = head[2] >> 4, head[2] >> 2 & 3
    is_valid = bit_rate != _RESERVED_BIT_RATE and sample_rate != _RESERVED_SAMPLE_RATE
    return layer in _LAYERS and version != _RESERVED_VERSION and is_valid


def is_transport_stream(head: bytes) -> bool:
    """Whether each of the first packets of *head* begins with the sync byte."""
    marks = head[::_PACKET_BYTES]
    return len(marks) > 2 and set(marks) == {_PACKET_MARK}  # noqa: PLR2004  three are no accident


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
