"""Types by content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.assets.media import HEAD_BYTES, MEDIA_TYPES, sniff


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + b"\0\0\2\0" + b"".join(compatible)
    return (len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x08free"


def ebml(
    doc_type: bytes, *, wide: bool = False, before: bytes = b"\x42\x86\x81\x01\x42\xf7\x81\x01"
) -> bytes:
    header = before + b"\x42\x82" + bytes([0x80 | len(doc_type)]) + doc_type + b"\x42\x87\x81\x04"
    size = b"\x01" + len(header).to_bytes(7, "big") if wide else bytes([0x80 | len(header)])
    return b"\x1a\x45\xdf\xa3" + size + header + b"\x18\x53\x80\x67" + b"\xff" * 40


class TestSniff:
    @pytest.mark.parametrize(
        ("head", "content_type"),
        [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"\xff\xd8\xff\xdb\0C", "image/jpeg"),
            (b"RIFF\n\n\0\0WEBPVP8 ", "image/webp"),
            (b"GIF87a", "image/gif"),
            (b"GIF89a\1\0", "image/gif"),
            (ftyp(b"isom", b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
            (ftyp(b"iso6", b"dash"), "video/mp4"),
            (ftyp(b"mp42"), "video/mp4"),
            (ftyp(b"M4V ", b"mp42"), "video/mp4"),
            (ebml(b"webm"), "video/webm"),
            (ebml(b"webm", wide=True), "video/webm"),
            (ebml(b"webm\0\0"), "video/webm"),
        ],
    )
    def test_what_we_keep(self, head: bytes, content_type: str) -> None:
        """Each type we keep is known by its first bytes, and has an extension."""
        assert sniff(head) == content_type
        assert content_type in MEDIA_TYPES

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"\x89PNG\r\n\x1a",
            b"\x89PNG\n\x1a\n",
            b" \x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"\xff\xd8\xff\x00",
            b"GIF88a",
            b"RIFF\0\0\0\0WAVE",
            b"RIFF\0\0\0WEBP",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            b"<!doctype html><meta http-equiv=refresh>",
            b"%PDF-1.7",
            b"PK\x03\x04",
            ftyp(b"avif", b"mif1", b"miaf"),
            ftyp(b"avis", b"iso8"),
            ftyp(b"heic", b"mif1", b"heic"),
            ftyp(b"isom", b"mp41", b"avif"),
            ftyp(b"qt  "),
            ftyp(b"M4A ", b"mp42"),
            ftyp(b"iso\0"),
            b"\0\0\0\x08ftypmp42",
            b"\0\0\0\x15ftypmp42\0\0\0\0mp42i",
            ebml(b"matroska"),
            ebml(b"webmx"),
            ebml(b"webm")[:18],
            b"\x1a\x45\xdf\xa3",
            b"\x1a\x45\xdf\xa3\x80webm\x42\x82\x84webm",
            b"\x1a\x45\xdf\xa3\x00" + b"\x00" * 40,
            ebml(b"webm", before=b"\xec\x84\x42\x82\x84w").replace(b"\x84webm", b"\x84mkv0"),
        ],
    )
    def test_what_we_refuse(self, head: bytes) -> None:
        """Neighbours in the same containers, documents with scripts, and broken heads are nothing we keep."""
        assert sniff(head) is None

    @given(st.binary(max_size=HEAD_BYTES) | st.binary(max_size=HEAD_BYTES).map(b"\x1a\x45\xdf\xa3".__add__))
    def test_never_raises(self, head: bytes) -> None:
        """Any bytes have an answer."""
        assert sniff(head) is None or sniff(head) in MEDIA_TYPES
