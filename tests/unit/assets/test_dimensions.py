"""How large an image is and how long a video lasts, on real files and on hostile ones."""

import functools
import io
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from receiver.assets.dimensions import Dimensions, measure
from receiver.sandbox.drawing import draw_image, draw_video

NOTHING = Dimensions()
FRAME = (320, 180)
SECONDS = 2
INFO = "1549a966 92 2ad7b1 83 0f4240 4489 88 40b3880000000000"
"""The information of a WebM segment of five seconds."""


def picture(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "navy").save(buffer, kind, **options)
    return buffer.getvalue()


def box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def fragmented(seconds: int, flags: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"movflags": flags}) as container:
        stream = container.add_stream("mpeg4", rate=8, options={"g": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(seconds * 8):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 48)))))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))
    return buffer.getvalue()


def webm(seconds: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(seconds * 8):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 64)))))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))
    return buffer.getvalue()


MAKES: dict[str, Callable[[], bytes]] = {
    "image/png": lambda: draw_image("a", aspect_ratio="16:9", output_format="png"),
    "image/jpeg": lambda: draw_image("a", aspect_ratio="16:9", output_format="jpg"),
    "image/webp": lambda: draw_image("a", aspect_ratio="16:9", output_format="webp"),
    "image/gif": lambda: picture("GIF", (512, 288)),
    "video/mp4": lambda: draw_video("a", aspect_ratio="16:9", seconds=SECONDS),
    "video/webm": lambda: webm(SECONDS),
}


@functools.cache
def real(content_type: str) -> bytes:
    return MAKES[content_type]()


@pytest.fixture
def measured() -> Callable[[bytes, str], Dimensions]:
    def measured(data: bytes, content_type: str) -> Dimensions:
        return measure(io.BytesIO(data), content_type)

    return measured


Measured = Callable[[bytes, str], Dimensions]


class TestMeasure:
    @pytest.mark.parametrize("content_type", [each for each in MAKES if each.startswith("image/")])
    def test_images(self, measured: Measured, content_type: str) -> None:
        """Each format of image tells its pixels."""
        assert measured(real(content_type), content_type) == Dimensions(512, 288)

    @pytest.mark.parametrize("content_type", ["video/mp4", "video/webm"])
    def test_videos(self, measured: Measured, content_type: str) -> None:
        """Each kind of video tells its pixels and its seconds."""
        found = measured(real(content_type), content_type)
        assert found.duration_s == pytest.approx(SECONDS, abs=0.2)
        assert (found.width, found.height) == ((64, 64) if content_type == "video/webm" else FRAME)

    @pytest.mark.parametrize(
        ("matrix", "turned"),
        [
            ((0, 1, -1, 0), True),
            ((0, -1, 1, 0), True),
            ((-1, 0, 0, -1), False),
            ((1, 0, 0, 1), False),
            ((0, 0, 0, 0), False),
        ],
    )
    def test_turned_video(self, measured: Measured, matrix: tuple[int, ...], turned: bool) -> None:
        """A video that its matrix turns, as telephones do, is as large as it is shown."""
        data = bytearray(real("video/mp4"))
        at = data.index(b"tkhd") + 4 + 40
        for place, number in zip((0, 1, 3, 4), matrix, strict=True):
            data[at + 4 * place : at + 4 * place + 4] = (number * 2**16).to_bytes(4, "big", signed=True)
        found = measured(bytes(data), "video/mp4")
        assert (found.width, found.height) == (FRAME[::-1] if turned else FRAME)

    @pytest.mark.parametrize("flags", ["frag_keyframe", "frag_keyframe+empty_moov", "cmaf+frag_keyframe"])
    def test_fragments(self, measured: Measured, flags: str) -> None:
        """A file in fragments does not tell its first one's duration for the whole."""
        data = fragmented(10, flags)
        assert b"mvex" in data
        found = measured(data, "video/mp4")
        assert found.duration_s is None or found.duration_s == pytest.approx(10, abs=0.2)
        assert (found.width, found.height) == (64, 48)

    @pytest.mark.parametrize(
        ("mehd", "seconds"),
        [
            ("00000000 00002710", 10.0),
            ("01000000 0000000000002710", 10.0),
            ("00000000 00000000", None),
            ("", None),
        ],
    )
    def test_duration_of_fragments(self, measured: Measured, mehd: str, seconds: float | None) -> None:
        """The header of their extension tells it, in either form."""
        mvhd = box(b"mvhd", b"\0" * 12 + (1000).to_bytes(4, "big") * 2)
        extends = box(b"mvex", box(b"mehd", bytes.fromhex(mehd)) if mehd else b"")
        assert measured(box(b"moov", mvhd + extends), "video/mp4").duration_s == seconds

    def test_sound_beside_pictures(self, measured: Measured) -> None:
        """A track of sound has no size; QuickTime and 3GPP are read as MP4 is."""

        def track(kind: bytes, width: int, height: int) -> bytes:
            sides = (width << 16).to_bytes(4, "big") + (height << 16).to_bytes(4, "big")
            hdlr = box(b"hdlr", b"\0" * 8 + kind + b"\0" * 12)
            return box(b"trak", box(b"tkhd", b"\0" * 76 + sides) + box(b"mdia", hdlr))

        moov = box(b"moov", track(b"soun", 9, 9) + track(b"vide", 0, 0) + track(b"vide", 320, 240))
        for kind in ("video/quicktime", "video/3gpp", "video/mp4"):
            assert measured(moov, kind) == Dimensions(320, 240)
        assert measured(box(b"moov", track(b"soun", 9, 9)), "audio/mp4") == NOTHING

    @pytest.mark.parametrize(
        ("shown", "size"),
        [
            ("", (384, 288)),
            ("54b0 82 0200 54ba 82 0120", (512, 288)),
            ("54b0 81 04 54ba 81 03", (384, 288)),
            ("54b0 81 04 54ba 81 03 54b2 81 03", (384, 288)),
        ],
    )
    def test_shape_of_pixels(self, measured: Measured, shown: str, size: tuple[int, int]) -> None:
        """A WebM is as large as it is shown, unless it tells no more than a ratio."""
        video = bytes.fromhex(f"b0 82 0180 ba 82 0120 {shown}")
        entry = b"\xe0" + bytes([0x80 | len(video)]) + video
        tracks = b"\xae" + bytes([0x80 | len(entry)]) + entry
        data = bytes.fromhex("18538067 ff 1654ae6b") + bytes([0x80 | len(tracks)]) + tracks
        for kind in ("video/webm", "video/x-matroska"):
            assert measured(data, kind) == Dimensions(*size)

    @pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0"}], ids=["VP8L", "VP8X"])
    def test_every_kind_of_webp(self, measured: Measured, options: dict[str, Any]) -> None:
        """Lossless and extended files are read as lossy ones are."""
        assert measured(picture("WEBP", (300, 200), **options), "image/webp") == Dimensions(300, 200)

    def test_scaled_webp(self, measured: Measured) -> None:
        """The two bits by which a decoder may scale are no part of the size."""
        data = bytearray(picture("WEBP", (300, 200)))
        data[27] |= 0xC0
        assert measured(bytes(data), "image/webp") == Dimensions(300, 200)

    def test_wide_gif(self, measured: Measured) -> None:
        """A side over 32767 is not taken for a negative one."""
        data = bytearray(real("image/gif"))
        data[6:10] = (40_000).to_bytes(2, "little") + (65_535).to_bytes(2, "little")
        assert measured(bytes(data), "image/gif") == Dimensions(40_000, 65_535)

    def test_what_others_misread(self, measured: Measured) -> None:
        """Fill bytes may stand before a marker of a JPEG, and a BMP may begin with its topmost row."""
        jpeg, bmp = picture("JPEG", (300, 200)), picture("BMP", (300, 200))
        filled = jpeg[:2] + b"\xff\xff" + jpeg[2:].replace(b"\xff\xc0", b"\xff\xff\xff\xc0", 1)
        assert measured(filled, "image/jpeg") == Dimensions(300, 200)
        topdown = bmp[:22] + struct.pack("<i", -200) + bmp[26:]
        assert measured(topdown, "image/bmp") == Dimensions(300, 200)

    def test_turned_jpeg(self, measured: Measured) -> None:
        """A photograph turned by its EXIF orientation is as large as it is shown."""
        exif = Image.Exif()
        exif[0x0112] = 6
        assert measured(picture("JPEG", (300, 200), exif=exif), "image/jpeg") == Dimensions(200, 300)

    @pytest.mark.parametrize(
        ("orientation", "kind", "content_type"),
        [*((one, "PNG", "image/png") for one in range(10)), *((one, "WEBP", "image/webp") for one in (1, 6))],
    )
    def test_turned_by_exif(self, measured: Measured, kind: str, content_type: str, orientation: int) -> None:
        """So is a PNG or a WebP: four of the eight orientations lie on their side."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        size = (200, 300) if orientation in (5, 6, 7, 8) else (300, 200)
        assert measured(picture(kind, (300, 200), exif=exif), content_type) == Dimensions(*size)

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
    def test_exif_behind_the_picture(self, measured: Measured, order: str, prefix: bytes) -> None:
        """A PNG may tell its orientation behind its pixels, in either order of bytes."""
        tiff = struct.pack(
            f"{order}2sHIHHHIHH", b"II" if order == "<" else b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0
        )
        data = picture("PNG", (300, 200))
        turned = data[:-12] + chunk(b"eXIf", prefix + tiff) + data[-12:]
        assert measured(turned, "image/png") == Dimensions(200, 300)

    @pytest.mark.parametrize("exif", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"])
    def test_broken_exif(self, measured: Measured, exif: bytes) -> None:
        """EXIF data that cannot be read turn nothing."""
        data = picture("PNG", (300, 200))
        assert measured(data[:33] + chunk(b"eXIf", exif) + data[33:], "image/png") == Dimensions(300, 200)

    def test_png_of_apple(self, measured: Measured) -> None:
        """Xcode's PNGs have a chunk of their own before the header."""
        data = picture("PNG", (300, 200))
        assert measured(data[:8] + chunk(b"CgBI", b"\x50\0\x20\x06") + data[8:], "image/png") == Dimensions(
            300, 200
        )

    @pytest.mark.parametrize(
        ("kind", "content_type"), [("BMP", "image/bmp"), ("TIFF", "image/tiff"), ("AVIF", "image/avif")]
    )
    def test_further_images(self, measured: Measured, kind: str, content_type: str) -> None:
        """Formats that the library knows are told, too; what it does not know has no size."""
        assert measured(picture(kind, (300, 200)), content_type) == Dimensions(300, 200)
        assert measured(b"\xff\x0a" + bytes(100), "image/jxl") == NOTHING

    def test_old_bitmap(self, measured: Measured) -> None:
        """The bitmaps of OS/2 have sides of 16 bits."""
        assert measured(b"BM" + bytes(12) + b"\x0c\0\0\0\x2c\1\xc8\0\1\0", "image/bmp") == Dimensions(
            300, 200
        )

    @pytest.mark.parametrize("kind", ["audio/mpeg", "model/gltf-binary", "application/octet-stream"])
    def test_no_dimensions(self, measured: Measured, kind: str) -> None:
        """Nothing is told of what has no size, or of what is not known."""
        assert measured(bytes(1000), kind) == NOTHING

    def test_long_header_of_a_jpeg(self, measured: Measured) -> None:
        """A colour profile of a megabyte is seeked over, not read."""
        data = picture("JPEG", (300, 200), icc_profile=b"\0" * 1024 * 1024)
        assert measured(data, "image/jpeg") == Dimensions(300, 200)

    def test_moov_at_the_end(self, measured: Measured) -> None:
        """What lies before the header of an MP4 is seeked over, whatever its size."""
        free = (1).to_bytes(4, "big") + b"free" + (16 + 4 * 1024 * 1024).to_bytes(8, "big")
        data = real("video/mp4")
        head = int.from_bytes(data[:4], "big")
        spread = data[:head] + free + b"\0" * 4 * 1024 * 1024 + data[head:]
        assert measured(spread, "video/mp4").duration_s == pytest.approx(SECONDS, abs=0.2)

    def test_long_mp4(self, measured: Measured) -> None:
        """The wide form of the movie header is read; one that is not known, or rounds to nothing, is none."""
        ticks = 10_000
        for units, seconds in ((900_615_000, 90_061.5), (2**64 - 1, None), (0, None), (1, None)):
            header = b"\x01" + b"\0" * 19 + ticks.to_bytes(4, "big") + units.to_bytes(8, "big")
            mvhd = (8 + len(header)).to_bytes(4, "big") + b"mvhd" + header
            moov = (8 + len(mvhd)).to_bytes(4, "big") + b"moov" + mvhd
            assert measured(moov, "video/mp4").duration_s == seconds

    @pytest.mark.parametrize("size", ["ff", "01ffffffffffffff", "97"], ids=["open", "open, wide", "known"])
    def test_segments_of_any_size(self, measured: Measured, size: str) -> None:
        """A WebM's segment may say how long it is, or not."""
        assert measured(bytes.fromhex(f"18538067 {size} {INFO}"), "video/webm").duration_s == 5.0

    @pytest.mark.parametrize("segment", ["ff 1f43b675 80" + INFO, "ff 1549a966 80", "80" + INFO])
    def test_webm_that_does_not_say(self, measured: Measured, segment: str) -> None:
        """Information after the first cluster, empty, or outside the segment is not looked for."""
        assert measured(bytes.fromhex(f"18538067 {segment}"), "video/webm") == NOTHING

    @pytest.mark.parametrize("content_type", MAKES)
    def test_every_beginning(self, measured: Measured, content_type: str) -> None:
        """A file cut anywhere in its headers is told right or not at all."""
        whole = measured(real(content_type), content_type)
        for length in range(0, min(len(real(content_type)), 600), 7):
            assert measured(real(content_type)[:length], content_type) in (NOTHING, whole)

    @pytest.mark.parametrize("content_type", MAKES)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
    @given(st.data())
    def test_mutated(self, measured: Measured, content_type: str, data: st.DataObject) -> None:
        """Whatever bytes are changed, nothing is raised and nothing absurd is told."""
        changed = bytearray(real(content_type))
        places = st.integers(0, min(len(changed), 400) - 1) | st.integers(0, len(changed) - 1)
        for place, byte in data.draw(
            st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)
        ):
            changed[place] = byte
        found = measured(bytes(changed), content_type)
        assert found.duration_s is None or 0 < found.duration_s <= 7 * 24 * 3600
        assert (found.width is None) == (found.height is None)
        assert all(side is None or 0 < side < 2**31 for side in (found.width, found.height))

    @pytest.mark.parametrize("content_type", MAKES)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
    @given(st.binary(max_size=200))
    def test_nonsense(self, measured: Measured, content_type: str, tail: bytes) -> None:
        """Nor does a file that only begins like one."""
        measured(real(content_type)[:24] + tail, content_type)

    def test_is_quick_on_hostile_files(self, tmp_path: Path) -> None:
        """A JPEG without markers, and containers of empty elements, cost a moment and not a scan."""
        hostile = {
            "image/jpeg": b"\xff\xd8\xff\xe0\x00\x02",
            "video/mp4": ((8).to_bytes(4, "big") + b"free") * 1024 * 1024,
            "video/webm": bytes.fromhex("18538067 ff") + b"\xec\x80" * 4 * 1024 * 1024,
        }
        started = time.process_time()
        for content_type, data in hostile.items():
            path = tmp_path / "asset"
            path.write_bytes(data)
            os.truncate(path, 512 * 1024 * 1024)
            with path.open("rb") as file:
                assert measure(file, content_type) == NOTHING
        assert time.process_time() - started < 2
