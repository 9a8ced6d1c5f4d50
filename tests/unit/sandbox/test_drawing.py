"""Small real files that show their prompt."""

import importlib.util
from io import BytesIO
from itertools import cycle

import av
import pytest
from PIL import Image, ImageChops

from receiver.contract import IMAGE_ASPECT_RATIOS, IMAGE_FORMATS, VIDEO_ASPECT_RATIOS
from receiver.errors import ConfigError
from receiver.sandbox.drawing import draw_image, draw_video, require_libraries

PROMPTS = ["x", "a fox in the snow " * 40, "x" * 500, "日本 é 🦊", "\ud800", "a\nb\tc"]


def opened(content: bytes) -> Image.Image:
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture


class TestDrawImage:
    @pytest.mark.parametrize(("ratio", "output_format"), [*zip(IMAGE_ASPECT_RATIOS, cycle(IMAGE_FORMATS))])
    def test_every_format_and_ratio(self, output_format: str, ratio: str) -> None:
        """The longer side is 512 pixels; the file stays small."""
        content = draw_image("a fox", aspect_ratio=ratio, output_format=output_format)
        assert max(opened(content).size) == 512
        assert len(content) < 30_000

    @pytest.mark.parametrize("prompt", PROMPTS, ids=ascii)
    def test_any_prompt_can_be_drawn(self, prompt: str) -> None:
        """Long, foreign, or not even text."""
        assert opened(draw_image(prompt, aspect_ratio="1:1", output_format="png")).size == (512, 512)

    def test_shows_the_prompt(self) -> None:
        """Two prompts of one colour still look different, and one always looks the same."""
        drawn = {p: draw_image(p, aspect_ratio="1:1", output_format="png") for p in map(str, range(8))}
        assert len(set(drawn.values())) == len(drawn)
        again = draw_image("0", aspect_ratio="1:1", output_format="png")
        assert ImageChops.difference(opened(drawn["0"]), opened(again)).getbbox() is None


class TestDrawVideo:
    @pytest.mark.parametrize("ratio", VIDEO_ASPECT_RATIOS)
    def test_lasts_as_long_as_asked_in_every_ratio(self, ratio: str) -> None:
        """Eight frames a second, at most 320 pixels, and it moves."""
        content = draw_video("a fox", aspect_ratio=ratio, seconds=2)
        with av.open(BytesIO(content), "r") as container:
            frames = [frame.to_image() for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]
            assert container.duration == 2_000_000
        assert len(frames) == 16
        assert max(frames[0].size) == 320
        assert ImageChops.difference(frames[0], frames[-1]).getbbox() is not None
        assert len(content) < 50_000


class TestRequireLibraries:
    def test_they_are_here(self) -> None:
        """Nothing to say then."""
        require_libraries()

    def test_names_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Said when the sandbox is made, not when the first file is asked for."""
        monkeypatch.setattr("receiver.sandbox.drawing.find_spec", lambda _name: None)
        assert importlib.util.find_spec("PIL") is not None
        with pytest.raises(ConfigError, match=r"pip install 'avs-receiver\[sandbox\]'"):
            require_libraries()
