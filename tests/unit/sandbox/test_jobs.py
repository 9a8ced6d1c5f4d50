"""What each call to generate accepts, and in which dialect."""

from typing import Any

import pytest

from receiver.sandbox import Dialect, jobs
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Job

LENIENT = Dialect(
    jpeg_is_jpg=True,
    duration_forms="string",
    data_uri_frames=True,
    model_of_other_kind="accepted",
    default_image_ratio="16:9",
    video_price="per_second",
    webhook_url_query="dropped",
    webhook_url_userinfo="dropped",
)
STRICT = Dialect(unknown_fields="refused", prompt_max_chars=4000, webhook_url_https=True)
WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ("image", {"prompt": ""}, "prompt"),
    ("image", {"model": "minimax/hailuo-2.3-fast"}, "model"),
    ("image", {"model": "unknown"}, "model"),
    ("image", {"aspect_ratio": "5:4"}, "aspect_ratio"),
    ("image", {"output_format": "gif"}, "output_format"),
    ("image", {"output_format": "jpeg"}, "output_format"),
    ("image", {"webhook_url": "x"}, "webhook_url"),
    ("video", {"aspect_ratio": "3:2"}, "aspect_ratio"),
    ("video", {"duration": 11}, "duration"),
    ("video", {"duration": 5.0}, "duration"),
    ("video", {"first_frame_image": "data:image/png;base64,AA"}, "first_frame_image"),
    ("video", {"model": "prunaai/z-image-turbo"}, "model"),
]


def read(kind: Any, dialect: Dialect | None = None, **body: Any) -> Job:
    return jobs.read(kind, {"prompt": "x", **body}, dialect or Dialect())


class TestRead:
    @pytest.mark.parametrize(("kind", "wrong", "field"), WRONG)
    def test_refuses_what_the_document_does_not_allow(
        self, kind: Any, wrong: dict[str, Any], field: str
    ) -> None:
        """By the name of the field."""
        with pytest.raises(Refusal, match=field):
            read(kind, **wrong)

    def test_fills_in_the_defaults(self) -> None:
        """Those of the document."""
        image, video = read("image"), read("video")
        assert (image.model, image.credits, image.output_format) == ("prunaai/z-image-turbo", 5, "webp")
        assert (video.model, video.credits, video.duration) == ("minimax/hailuo-2.3-fast", 450, 5)
        assert (image.aspect_ratio, video.aspect_ratio) == ("1:1", "16:9")

    def test_ignores_what_it_does_not_know(self) -> None:
        """Most APIs do; a video has no output format, and ignores one."""
        assert read("image", seed=7) == read("image")
        assert read("video", output_format="gif") == read("video")

    def test_the_lenient_dialect_takes_more(self) -> None:
        """Each switch by itself would, too."""
        assert read("image", LENIENT, output_format="jpeg").output_format == "jpg"
        assert read("image", LENIENT).aspect_ratio == "16:9"
        assert read("image", LENIENT, model="minimax/hailuo-2.3-fast").credits == 450
        assert read("image", LENIENT, webhook_url="http://me:pw@h:1/p?token=x").webhook_url == "http://h:1/p"
        video = read("video", LENIENT, duration="7", first_frame_image="data:image/png;base64,AA")
        assert (video.duration, video.credits) == (7, 630)

    @pytest.mark.parametrize(
        ("kind", "wrong"),
        [
            ("image", {"seed": 7}),
            ("video", {"output_format": "png"}),
            ("image", {"prompt": "x" * 4001}),
            ("image", {"webhook_url": "http://example.com/"}),
        ],
    )
    def test_the_strict_dialect_takes_less(self, kind: Any, wrong: dict[str, Any]) -> None:
        """Unknown fields, long prompts and plain http are all refused."""
        assert read(kind, **wrong).type == kind
        with pytest.raises(Refusal):
            read(kind, STRICT, **wrong)
