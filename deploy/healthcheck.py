"""Tell whether the process in this container runs: by its public port, its private one, or that of pull."""

import os
import sys
import urllib.request

PUBLIC = os.environ.get("RECEIVER_PORT") or os.environ.get("PORT") or "8000"
PRIVATE = os.environ.get("RECEIVER_ADMIN_PORT") or "8001"
PULL = os.environ.get("RECEIVER_PULL_PORT") or "8002"


def answers(port: str) -> bool:
    """Return whether its health check succeeds."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except OSError:
        return False


sys.exit(not any(map(answers, (PUBLIC, PRIVATE, PULL))))
