"""The sandbox's models: the document's two, and enough invented ones to match its `total`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from receiver.contract import DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL, Kind


@dataclass(frozen=True, slots=True)
class Model:
    """One model and its price."""

    id: str
    name: str
    type: Kind
    credits_per_generation: int
    description: str
    category: str


def _image(name: str, credits: int, category: str = "image-generation") -> Model:  # noqa: A002  # the document's word
    return Model(_id(name), name, "image", credits, f"Sandbox only: {name}", category)


def _video(name: str, credits: int, category: str = "video-generation") -> Model:  # noqa: A002  # the document's word
    return Model(_id(name), name, "video", credits, f"Sandbox only: {name}", category)


def _id(name: str) -> str:
    return "sandbox/" + name.lower().replace(" ", "-")


MODELS: Final = (
    Model(DEFAULT_IMAGE_MODEL, "Z-Image Turbo", "image", 5, "Fast image generation", "image-generation"),
    Model(DEFAULT_VIDEO_MODEL, "Hailuo 2.3 Fast", "video", 450, "Fast video generation", "video-generation"),
    _image("Watercolour", 8),
    _image("Photograph", 12),
    _image("Line Drawing", 4),
    _image("Oil Painting", 15),
    _image("Poster", 10),
    _image("Pixel Art", 3),
    _image("Portrait", 20),
    _image("Landscape", 18),
    _image("Inpaint", 12, "image-editing"),
    _image("Upscale Four", 6, "image-upscaling"),
    _video("Short Film", 600),
    _video("Time Lapse", 300),
    _video("Cartoon", 400),
    _video("Camera Pan", 350),
    _video("Still In Motion", 500, "image-to-video"),
    _video("Loop", 250),
)
BY_ID: Final[Mapping[str, Model]] = {model.id: model for model in MODELS}
