"""The ports that the settings have by default: the settings themselves are slow to import."""

from typing import Final

PORT: Final = 8000
ADMIN_PORT: Final = 8001
