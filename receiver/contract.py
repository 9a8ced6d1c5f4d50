"""The provider's words, as its API document writes them (https://aivisualstudio.co/docs/api).

Only words and numbers live here; what they mean for us is decided in the modules that import them.
"""

from typing import Final, Literal

BASE_URL: Final = "https://aivisualstudio.co/api/v1"

Kind = Literal["image", "video"]
KINDS: Final[tuple[Kind, ...]] = ("image", "video")
STATUSES: Final = ("processing", "completed", "failed")
SCOPES: Final = ("read", "generate:image", "generate:video", "webhooks")

COMPLETED: Final = "generation.completed"
FAILED: Final = "generation.failed"
EVENT_TYPES: Final = (COMPLETED, FAILED)

DEFAULT_IMAGE_MODEL: Final = "prunaai/z-image-turbo"
DEFAULT_VIDEO_MODEL: Final = "minimax/hailuo-2.3-fast"
IMAGE_ASPECT_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
VIDEO_ASPECT_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4")
DEFAULT_VIDEO_ASPECT_RATIO: Final = "16:9"
IMAGE_FORMATS: Final = ("webp", "png", "jpg")
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
