"""The provider's words, as its API document writes them (https://aivisualstudio.co/docs/api).

It holds only words and numbers. The modules that import them decide what they mean for us.
"""

from typing import Final, Literal, get_args

BASE_URL: Final = "https://aivisualstudio.co/api/v1"

Kind = Literal["image", "video"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Status = Literal["processing", "completed", "failed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
Scope = Literal["read", "generate:image", "generate:video", "webhooks"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

EventType = Literal["generation.completed", "generation.failed"]
COMPLETED: Final = "generation.completed"
FAILED: Final = "generation.failed"
EVENT_TYPES: Final[tuple[EventType, ...]] = (COMPLETED, FAILED)

DEFAULT_IMAGE_MODEL: Final = "prunaai/z-image-turbo"
DEFAULT_VIDEO_MODEL: Final = "minimax/hailuo-2.3-fast"
ImageAspectRatio = Literal["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"]
IMAGE_ASPECT_RATIOS: Final[tuple[ImageAspectRatio, ...]] = get_args(ImageAspectRatio)
VideoAspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4"]
VIDEO_ASPECT_RATIOS: Final[tuple[VideoAspectRatio, ...]] = get_args(VideoAspectRatio)
DEFAULT_VIDEO_ASPECT_RATIO: Final = "16:9"
ImageFormat = Literal["webp", "png", "jpg"]
IMAGE_FORMATS: Final[tuple[ImageFormat, ...]] = get_args(ImageFormat)
DEFAULT_IMAGE_FORMAT: Final = "webp"
VIDEO_SECONDS: Final = range(1, 11)
DEFAULT_VIDEO_SECONDS: Final = 5

PAGE_SIZE_DEFAULT: Final = 20
PAGE_SIZE_MAX: Final = 100

REQUESTS_PER_MINUTE: Final = 60
RATE_LIMIT_HEADERS: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

SIGNATURE_HEADER: Final = "X-Webhook-Signature"
SIGNATURE_TOLERANCE_S: Final = 300

ERROR_STATUS: Final[dict[str, int]] = {
    "missing_api_key": 401,
    "invalid_api_key": 401,
    "expired_api_key": 401,
    "insufficient_scope": 403,
    "ip_not_allowed": 403,
    "insufficient_credits": 403,
    "rate_limited": 429,
    "invalid_request": 400,
    "not_found": 404,
    "internal_error": 500,
}
"""Every error code of the document with its HTTP status."""
