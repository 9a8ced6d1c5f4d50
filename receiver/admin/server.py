"""The private listener: uvicorn, which leaves signals to whoever runs it beside other things."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_LONGEST_GRACE_S: Final = 15
_KEEP_ALIVE_S: Final = 75


class Server(uvicorn.Server):
    """A uvicorn server that captures no signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


def build_server(app: ASGIApp) -> Server:
    """Prepare to serve *app* privately."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Its warnings are about what strangers send, one for each.
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LONGEST_GRACE_S,
    )
    return Server(config)
