"""The default ports, apart from the settings, which are slow to import."""

from typing import Final

PORT: Final = 8000
ADMIN_PORT: Final = 8001
