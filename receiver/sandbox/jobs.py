"""Requests to `POST /generate/…`, with every default filled in."""

from typing import Any, Final
from urllib.parse import urlsplit

from receiver.contract import (
    DEFAULT_IMAGE_FORMAT,
    DEFAULT_IMAGE_MODEL,
    DEFAULT_VIDEO_ASPECT_RATIO,
    DEFAULT_VIDEO_MODEL,
    DEFAULT_VIDEO_SECONDS,
    IMAGE_ASPECT_RATIOS,
    IMAGE_FORMATS,
    VIDEO_ASPECT_RATIOS,
    VIDEO_SECONDS,
    Kind,
)
from receiver.sandbox import bodies
from receiver.sandbox.catalogue import Model
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Job

_IMAGE_FIELDS: Final = ("prompt", "model", "aspect_ratio", "output_format", "webhook_url")
_VIDEO_FIELDS: Final = ("prompt", "model", "aspect_ratio", "duration", "first_frame_image", "webhook_url")


def read(kind: Kind, body: bodies.Body, dialect: Dialect) -> Job:
    """Return what *body* requests, or refuse it."""
    return _image(body, dialect) if kind == "image" else _video(body, dialect)


def _image(body: bodies.Body, dialect: Dialect) -> Job:
    if dialect.unknown_fields == "refused":
        bodies.only(body, *_IMAGE_FIELDS)
    if dialect.jpeg_is_jpg and body.get("output_format") == "jpeg":
        body = {**body, "output_format": "jpg"}
    prompt = _prompt(body, dialect)
    model = _model(body, "image", DEFAULT_IMAGE_MODEL, dialect)
    return Job(
        "image",
        prompt,
        model.id,
        model.credits_per_generation,
        bodies.choice(body, "aspect_ratio", IMAGE_ASPECT_RATIOS, dialect.default_image_ratio),
        _webhook_url(body, dialect),
        output_format=bodies.choice(body, "output_format", IMAGE_FORMATS, DEFAULT_IMAGE_FORMAT),
    )


def _video(body: bodies.Body, dialect: Dialect) -> Job:
    if dialect.unknown_fields == "refused":
        bodies.only(body, *_VIDEO_FIELDS)
    prompt = _prompt(body, dialect)
    model = _model(body, "video", DEFAULT_VIDEO_MODEL, dialect)
    frame: Any = body.get("first_frame_image")
    if not (dialect.data_uri_frames and isinstance(frame, str) and frame.startswith("data:image/")):
        bodies.optional_url(body, "first_frame_image")
    forms = dialect.duration_forms
    seconds = bodies.whole_number(body, "duration", VIDEO_SECONDS, DEFAULT_VIDEO_SECONDS, forms=forms)
    return Job(
        "video",
        prompt,
        model.id,
        _price(model, seconds, dialect),
        bodies.choice(body, "aspect_ratio", VIDEO_ASPECT_RATIOS, DEFAULT_VIDEO_ASPECT_RATIO),
        _webhook_url(body, dialect),
        duration=seconds,
    )


def _prompt(body: bodies.Body, dialect: Dialect) -> str:
    prompt = bodies.text(body, "prompt")
    limit = dialect.prompt_max_chars
    if limit and len(prompt) > limit:
        raise Refusal("invalid_request", f"prompt must have at most {limit} characters", field="prompt")
    return prompt


def _model(body: bodies.Body, kind: Kind, default: str, dialect: Dialect) -> Model:
    return bodies.model(body, kind, default, other_kinds=dialect.model_of_other_kind == "accepted")


def _price(model: Model, seconds: int, dialect: Dialect) -> int:
    if dialect.video_price == "each":
        return model.credits_per_generation
    # The listed price is for a video of the default length; fractions of a credit are rounded up.
    return -(-model.credits_per_generation * seconds // DEFAULT_VIDEO_SECONDS)


def _webhook_url(body: bodies.Body, dialect: Dialect) -> str | None:
    url = bodies.optional_url(body, "webhook_url", https=dialect.webhook_url_https)
    if url is not None and dialect.webhook_url_query == "dropped":
        url = urlsplit(url)._replace(query="").geturl()
    if url is not None and dialect.webhook_url_userinfo == "dropped":
        url = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
    return url
