"""Types by content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.assets.media import HEAD_BYTES, MEDIA_TYPES, OCTETS, parse_types, sniff


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + b"\0\0\2\0" + b"".join(compatible)
    return (len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x08free"


def ebml(
    doc_type: bytes, *, wide: bool = False, before: bytes = b"\x42\x86\x81\x01\x42\xf7\x81\x01"
) -> bytes:
    header = before + b"\x42\x82" + bytes([0x80 | len(doc_type)]) + doc_type + b"\x42\x87\x81\x04"
    size = b"\x01" + len(header).to_bytes(7, "big") if wide else bytes([0x80 | len(header)])
    return b"\x1a\x45\xdf\xa3" + size + header + b"\x18\x53\x80\x67" + b"\xff" * 40


MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(500)
OGG_PAGE = b"OggS\0\x02" + bytes(20) + b"\x01\x1e"
JUNK = bytes(range(256)) * 2


class TestSniff:
    def test_what_is_known(self, subtests: pytest.Subtests) -> None:
        """Each type is known by its first bytes, and has an extension."""
        for head, content_type in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"\xff\xd8\xff\xdb\0C", "image/jpeg"),
            (b"RIFF\n\n\0\0WEBPVP8 ", "image/webp"),
            (b"GIF87a", "image/gif"),
            (b"GIF89a\1\0", "image/gif"),
            (ftyp(b"avif", b"mif1", b"miaf"), "image/avif"),
            (ftyp(b"avis", b"iso8"), "image/avif"),
            (ftyp(b"mif1", b"miaf", b"avif"), "image/avif"),
            (ftyp(b"heic", b"mif1", b"heic"), "image/heic"),
            (ftyp(b"mif1", b"heic"), "image/heic"),
            (ftyp(b"mif1", b"miaf"), "image/heif"),
            (b"\xff\x0a\xfa\x1f", "image/jxl"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
            (b"BM\x9a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
            (b"II*\0\x08\0\0\0", "image/tiff"),
            (b"MM\0+\0\x08\0\0", "image/tiff"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
            (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
            (b"\0\0\1\0\1\0\x10\x10\0\0", "image/vnd.microsoft.icon"),
            (ftyp(b"isom", b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
            (ftyp(b"iso6", b"dash"), "video/mp4"),
            (ftyp(b"mp42"), "video/mp4"),
            (ftyp(b"M4V ", b"mp42"), "video/mp4"),
            (ftyp(b"NEWX", b"zzzz", b"mp42"), "video/mp4"),
            (ftyp(b"XAVC", b"XAVC", b"mp42"), "video/mp4"),
            (b"\0\0\0\x08free" + ftyp(b"isom"), "video/mp4"),
            (ftyp(b"qt  "), "video/quicktime"),
            (b"\0\0\0\x08wide\0\0\x10\0mdat", "video/quicktime"),
            (b"\0\0\x10\0moov\0\0\0lmvhd", "video/quicktime"),
            (ftyp(b"3gp5", b"isom"), "video/3gpp"),
            (ftyp(b"3gr6", b"isom"), "video/3gpp"),
            (ftyp(b"3gh9", b"isom"), "video/3gpp"),
            (ftyp(b"crx ", b"crx ", b"isom"), OCTETS),
            (ftyp(b"jpx ", b"jp2 "), OCTETS),
            (b"RIFX\0\0\0\0WAVEfmt ", "audio/wav"),
            (ftyp(b"3g2a"), "video/3gpp2"),
            (ftyp(b"M4A ", b"mp42"), "audio/mp4"),
            (ebml(b"webm"), "video/webm"),
            (ebml(b"webm", wide=True), "video/webm"),
            (ebml(b"webm\0\0"), "video/webm"),
            (ebml(b"matroska"), "video/x-matroska"),
            (b"\0\0\1\xba\x44", "video/mpeg"),
            ((b"G" + bytes(187)) * 3, "video/mp2t"),
            (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
            (b"FLV\1\5\0\0\0\x09", "video/x-flv"),
            (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "video/x-ms-asf"),
            (OGG_PAGE + b"\x80theora", "video/ogg"),
            (OGG_PAGE + b"\x01vorbis", "audio/ogg"),
            (OGG_PAGE + b"OpusHead", "audio/ogg"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
            (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
            (b"ID3\3\0\0\0\0\0\0", "audio/mpeg"),
            (MP3_FRAME, "audio/mpeg"),
            (b"\xff\xf3\x40\xc0" + bytes(40), "audio/mpeg"),
            (b"fLaC\0\0\0\x22", "audio/flac"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (b"FORM\0\0\0\0AIFF", "audio/aiff"),
            (b"#!AMR\n\x3c", "audio/amr"),
            (b"MThd\0\0\0\x06\0\1", "audio/midi"),
            (b"glTF\2\0\0\0", "model/gltf-binary"),
        ]:
            with subtests.test(head=head, content_type=content_type):
                assert sniff(head) == content_type
                assert content_type in MEDIA_TYPES

    def test_what_is_not_known(self, subtests: pytest.Subtests) -> None:
        """Any other binary, broken heads among them, is a stream of octets: it was paid for."""
        for head in [
            JUNK,
            b"\0",
            b"\x89PNG\r\n\x1a",
            b"RIFF\0\0\0\0CDDA",
            b"%PDF-1.7\n1 0 obj",
            b"SIMPLE  =                    T".ljust(512),
            b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
            b"P6\n2 1\n255\nabcdef",
            b"ply\nformat binary_little_endian 1.0\n",
            b"\xff\xfe\x00\xa3\x11\xaf\x0a\x00\x00\x10\x00\x00" + bytes(40),
            b"PK\x03\x04",
            b"\x1f\x8b\x08\0",
            ftyp(b"iso\0"),
            b"\0\0\0\x08ftypmp42",
            b"\0\0\0\x15ftypmp42\0\0\0\0mp42i",
            ebml(b"webmx"),
            ebml(b"webm")[:18],
            b"\x1a\x45\xdf\xa3",
            b"\x1a\x45\xdf\xa3\x80webm\x42\x82\x84webm",
            b"\x1a\x45\xdf\xa3\x00" + b"\x00" * 40,
            ebml(b"webm", before=b"\xec\x84\x42\x82\x84w").replace(b"\x84webm", b"\x84mkv0"),
            b"G" + bytes(187),
            b"\xff\xfb\xf0\0" + bytes(40),
            b"\0<z" + JUNK,
        ]:
            with subtests.test(head=head):
                assert sniff(head) == OCTETS

    def test_what_is_refused(self, subtests: pytest.Subtests) -> None:
        """Text of any kind, and what a browser might run as a page, is never an asset."""
        for head in [
            b"",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            b"<?xml version='1.0'?><svg/>",
            b"<!doctype html><meta http-equiv=refresh>",
            b"\r\n\t <HTML>" + JUNK,
            b"<!-- -->" + JUNK,
            b"<script>\0",
            b"\xef\xbb\xbf<html>" + JUNK,
            "<html>".encode("utf-16"),
            "<svg >".encode("utf-16-le"),
            "<svg/>".encode("utf-16-be"),
            "\ufeffnot found".encode("utf-16-be"),
            b'{"error":"not found"}',
            b"Not Found",
            "nicht verfügbar".encode("latin-1"),
            "まだです".encode(),
            b"\x1b[31mno\r\n\f",
            b"BMW is a car, and this is text, whatever it begins with",
            b"GIF88a",
            "\ufeffnicht da\r\n".encode("utf-16-le") + b"x",
            b"FORM of text",
        ]:
            with subtests.test(head=head):
                assert sniff(head) is None

    @given(st.binary(max_size=HEAD_BYTES) | st.binary(max_size=HEAD_BYTES).map(b"\x1a\x45\xdf\xa3".__add__))
    def test_never_raises(self, head: bytes) -> None:
        """Any bytes have an answer."""
        assert sniff(head) is None or sniff(head) in MEDIA_TYPES

    @given(st.binary(max_size=200), st.sampled_from([b"<svg ", b"<html>", b"<!DOCTYPE html", b"<script>"]))
    def test_pages_never_pass(self, tail: bytes, tag: bytes) -> None:
        """No bytes that follow make an asset of a page."""
        assert sniff(b" " + tag + tail) is None


class TestMediaTypes:
    def test_extensions_are_unique(self) -> None:
        """A kept download tells its type by its extension."""
        assert len(set(MEDIA_TYPES.values())) == len(MEDIA_TYPES)


class TestParseTypes:
    def test_patterns(self) -> None:
        """A list may name types, and whole families."""
        found = parse_types(["video/mp4", "IMAGE/*"])
        assert found == {"video/mp4", *(each for each in MEDIA_TYPES if each.startswith("image/"))}
        assert parse_types(["*"]) == set(MEDIA_TYPES)

    @pytest.mark.parametrize("entries", [["image/svg+xml"], ["png"], ["video/mp4", ""], []])
    def test_refused(self, entries: list[str]) -> None:
        """What names nothing that is ever kept is a mistake."""
        with pytest.raises(ValueError, match=r"type|nor one of"):
            parse_types(entries)
