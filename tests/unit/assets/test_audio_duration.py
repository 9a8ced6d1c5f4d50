"""How long a sound lasts, on real files and on those whose headers claim what is not so."""

import io
import random
import time
from pathlib import Path

import av
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from receiver.assets.dimensions import measure
from receiver.assets.media import sniff

RATE = 48_000
SECONDS = 20
CBR = {"b": "128000"}
VBR = {"flags": "+qscale", "global_quality": "472"}
NO_TABLE = {"write_xing": "0"}


def sound(
    kind: str,
    codec: str,
    *,
    seconds: int = SECONDS,
    quality: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Return silence for a while, and then noise, so that no part stands for the others."""
    buffer, noise = io.BytesIO(), random.Random(1)
    with av.open(buffer, "w", format=kind, options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono", options=quality or {})
        assert isinstance(stream, AudioStream)
        for second in range(seconds):
            frame = AudioFrame("s16", "mono", RATE)
            frame.rate, frame.pts = RATE, second * RATE
            frame.planes[0].update(bytes(2 * RATE) if second < seconds // 2 else noise.randbytes(2 * RATE))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def told(data: bytes) -> float | None:
    content_type = sniff(data[:512])
    assert content_type is not None
    return measure(io.BytesIO(data), content_type).duration_s


@pytest.fixture(scope="module")
def wav() -> bytes:
    return sound("wav", "pcm_s16le")


@pytest.fixture(scope="module")
def opus() -> bytes:
    return sound("ogg", "libopus")


class TestAudioDuration:
    def test_whole_files(self, subtests: pytest.Subtests) -> None:
        """Each format tells its seconds."""
        for kind, codec, options in (
            ("wav", "pcm_s16le", {}),
            ("wav", "pcm_f32le", {}),
            ("wav", "adpcm_ima_wav", {}),
            ("flac", "flac", {}),
            ("aiff", "pcm_s16be", {}),
            ("ogg", "libopus", {}),
            ("ogg", "libopus", {"page_duration": "20000"}),
            ("ipod", "aac", {}),
        ):
            with subtests.test(kind=kind):
                assert told(sound(kind, codec, options=options)) == pytest.approx(SECONDS, abs=0.1)

    @pytest.mark.parametrize(
        ("quality", "options"),
        [(CBR, {}), (VBR, {}), (CBR, {**NO_TABLE, "id3v2_version": "0"}), (CBR, NO_TABLE)],
    )
    def test_mp3(self, quality: dict[str, str], options: dict[str, str]) -> None:
        """MP3 tells its seconds by its table, or by its bit rate where that is the same everywhere."""
        found = told(sound("mp3", "libmp3lame", quality=quality, options=options))
        assert found == pytest.approx(SECONDS, abs=0.1)

    def test_mp3_behind_a_picture(self) -> None:
        """A cover before the first frame, and a tag behind the last, are no sound."""
        size = 150_000
        tag = b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)
        frames = sound("mp3", "libmp3lame", quality=CBR, options={**NO_TABLE, "id3v2_version": "0"})
        assert told(tag + frames + b"TAG" + bytes(125)) == pytest.approx(SECONDS, abs=0.1)

    def test_mp3_that_varies_without_a_table(self) -> None:
        """A bit rate that varies, and no table: the first frames stand for nothing."""
        assert told(sound("mp3", "libmp3lame", quality=VBR, options=NO_TABLE)) is None

    @pytest.mark.parametrize("length", [b"\xff" * 4, b"\xff\xff\xff\x7f", bytes(4)])
    def test_wav_that_was_streamed(self, wav: bytes, length: bytes) -> None:
        """A program that writes to a pipe cannot know how much will come: what it claims is not believed."""
        undated = wav.index(b"data") + 4
        assert told(wav[:undated] + length + wav[undated + 4 :]) is None

    def test_flac_that_was_streamed(self) -> None:
        """A stream that does not tell how many samples it has lasts for no known time."""
        flac = bytearray(sound("flac", "flac"))
        flac[21] &= 0xF0
        flac[22:26] = bytes(4)
        assert told(bytes(flac)) is None

    def test_ogg_of_several_streams(self, opus: bytes) -> None:
        """Two streams one after the other: the last page tells of the second alone."""
        assert told(opus + sound("ogg", "flac", seconds=2)) is None

    def test_long_ogg(self) -> None:
        """Only the ends of a long file are read."""
        minutes = sound("ogg", "libopus", seconds=120, quality={"b": "64000"})
        assert len(minutes) > 384 * 1024
        assert told(minutes) == pytest.approx(120, abs=0.1)

    def test_cut_and_mutated(self, wav: bytes, opus: bytes) -> None:
        """Whatever is cut off or changed, nothing is raised."""
        chance = random.Random(7)
        for whole in (wav, opus, sound("mp3", "libmp3lame", quality=CBR), sound("flac", "flac")):
            for _ in range(60):
                data = bytearray(whole[: chance.choice((chance.randrange(600, 4000), len(whole)))])
                for place in chance.sample(range(12, 600), 8):
                    data[place] = chance.randrange(256)
                found = told(bytes(data))
                assert found is None or 0 < found <= 7 * 24 * 3600

    def test_is_quick_on_hostile_files(self, wav: bytes, opus: bytes, tmp_path: Path) -> None:
        """Files of 512 MB in which nothing can be found, or too much, cost a moment."""
        hostile = (
            b"ID3\x04\0\0\0\0\0\0\xff\xfb",
            b"fLaC\x04\0\0\0\0\0\0\0\xff\xff\xff\x7f",
            wav[:44],
            opus[:100],
        )
        path = tmp_path / "asset"
        started = time.process_time()
        for head in hostile:
            path.write_bytes(head + b"OggS\0\xff\x01" * 100_000)
            with path.open("r+b") as file:
                file.truncate(512 * 1024 * 1024)
                measure(file, sniff(head) or "")
        assert time.process_time() - started < 2
