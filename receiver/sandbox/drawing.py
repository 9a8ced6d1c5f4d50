"""Small real files that show their prompt, so that people can tell which generation they are looking at."""

import hashlib
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

from receiver.errors import ConfigError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SIDE_PX: Final = 512
VIDEO_SIDE_PX: Final = 320
FRAMES_PER_SECOND: Final = 8
_PILLOW_FORMATS: Final = {"webp": "WEBP", "png": "PNG", "jpg": "JPEG"}
_PALETTE: Final = 6  # hues, chosen so that neighbours in a list differ


def require_libraries() -> None:
    """Refuse now if files could not be made later.

    Raises:
        ConfigError: Pillow or PyAV is not installed.
    """
    missing = [name for name, module in (("Pillow", "PIL"), ("PyAV", "av")) if find_spec(module) is None]
    if missing:
        raise ConfigError(f"the sandbox needs {' and '.join(missing)}: pip install 'avs-receiver[sandbox]'")


def draw_image(prompt: str, *, aspect_ratio: str, output_format: str) -> bytes:
    """Return an image file, 512 pixels on its longer side."""
    buffer = BytesIO()
    picture = _picture(prompt, _size(aspect_ratio, IMAGE_SIDE_PX))
    picture.save(buffer, _PILLOW_FORMATS[output_format])
    return buffer.getvalue()


def draw_video(prompt: str, *, aspect_ratio: str, seconds: int) -> bytes:
    """Return an MP4 file of *seconds*, 320 pixels on its longer side."""
    import av  # noqa: PLC0415  # an extra, and heavy

    width, height = _size(aspect_ratio, VIDEO_SIDE_PX)
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(_encoder(), rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in _frames(prompt, (width, height), seconds * FRAMES_PER_SECOND):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _encoder() -> Literal["libx264", "mpeg4"]:
    from av.codec import codecs_available  # noqa: PLC0415

    return "libx264" if "libx264" in codecs_available else "mpeg4"


def _frames(prompt: str, size: tuple[int, int], count: int) -> Iterator["Image"]:
    from PIL import ImageDraw  # noqa: PLC0415

    still = _picture(prompt, size)
    for number in range(count):
        frame = still.copy()
        done = size[0] * (number + 1) // count
        ImageDraw.Draw(frame).rectangle((0, size[1] - 6, done, size[1]), fill="white")
        yield frame


def _picture(prompt: str, size: tuple[int, int]) -> "Image":
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    hue = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[0] % _PALETTE * 360 // _PALETTE
    picture = Image.new("RGB", size, f"hsl({hue}, 45%, 30%)")
    font = ImageFont.load_default(size=max(size) // 18)
    columns = max(size[0] // (max(size) // 32), 8)
    lines = textwrap.wrap(prompt.encode("utf-8", "replace").decode(), columns, max_lines=8, placeholder=" …")
    ImageDraw.Draw(picture).multiline_text(
        (size[0] / 2, size[1] / 2), "\n".join(lines), fill="white", font=font, anchor="mm", align="center"
    )
    return picture


def _size(aspect_ratio: str, side: int) -> tuple[int, int]:
    across, down = map(int, aspect_ratio.split(":"))
    longer = max(across, down)
    # Video encoders need even dimensions.
    return side * across // longer // 2 * 2, side * down // longer // 2 * 2
