"""The consumer examples of docs/destinations/, run as they stand there."""

import ast
import contextlib
import inspect
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parents[3] / "docs/destinations"


async def consume(page: str, **given: Any) -> list[dict[str, Any]]:
    """Run the Python example of *page* with the names *given*; return what it handled until nothing came."""
    [example] = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    code = compile(example, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    handled: list[dict[str, Any]] = []
    with contextlib.closing(sqlite3.connect(":memory:")) as db, contextlib.suppress(TimeoutError):
        db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY)")
        running = eval(code, {"db": db, "json": json, "handle": handled.append, **given})
        if inspect.isawaitable(running):
            await running
    return handled
