"""`receiver.client.blocking` is `receiver.client.aio` with the awaiting removed.

To carry a change over: `python tests/unit/client/test_twins.py`, then `ruff format` and `ruff check --fix`.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import receiver.client
from receiver.client import AsyncClient, Client

PACKAGE = Path(receiver.client.__file__).parent
MODULES = sorted(path.name for path in (PACKAGE / "aio").glob("*.py") if path.name != "__init__.py")
AWAITING_REMOVED = (
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[None\]", "None"),
    (r"\bawaits\b", "blocks"),
    (r"\basyncio\.to_thread\(\s*([\w.]+), ", r"\1("),
    (r"\bAsync(Client|SessionClient|Transport|Iterator|Connections)\b", r"\1"),
    (r"\bhandle_async_request\b", "handle_request"),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\baclose\b", "close"),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\n", ""),
    (r"  # noqa: ASYNC.*", ""),
    (r"\bfrom collections.abc import Awaitable, ", "from collections.abc import "),
    (r"\bfor (\w+) in (.+):\n +yield \1\b", r"yield from \2"),
    (r"\breceiver\.client\.aio\b", "receiver.client.blocking"),
)


def without_awaiting(source: str) -> str:
    for pattern, replacement in AWAITING_REMOVED:
        source = re.sub(pattern, replacement, source)
    return source


def structure(source: str) -> str:
    """Everything but layout and the order of imports, which the formatter owns."""
    tree = ast.parse(source)
    imports, rest = list[str](), list[str]()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            node.names.sort(key=lambda imported: imported.name)
        (imports if isinstance(node, ast.Import | ast.ImportFrom) else rest).append(ast.dump(node))
    return "\n".join(sorted(imports) + rest)


def public_methods(client: object) -> Iterator[tuple[str, object]]:
    for name, part in [("", client), *vars(client).items()]:
        if not name.startswith("_"):
            for method, value in inspect.getmembers(part, callable):
                if not method.startswith("_"):
                    yield f"{name}.{method}", value


class TestModules:
    @pytest.mark.parametrize("name", MODULES)
    def test_blocking_module_is_the_awaiting_one_without_awaiting(self, name: str) -> None:
        """Neither half can be changed alone."""
        awaiting, blocking = (PACKAGE / half / name for half in ("aio", "blocking"))
        assert structure(without_awaiting(awaiting.read_text())) == structure(blocking.read_text())

    def test_neither_half_has_a_module_of_its_own(self) -> None:
        """Both packages list the same files."""
        assert [path.name for path in sorted((PACKAGE / "blocking").glob("*.py"))] == [
            "__init__.py",
            *MODULES,
        ]


class TestSignatures:
    def test_same_names_and_parameters(self) -> None:
        """What can be asked of one client can be asked of the other, in the same words."""
        blocking = dict(public_methods(Client("avs_live_x")))
        awaiting = dict(public_methods(AsyncClient("avs_live_x")))
        assert blocking.keys() == awaiting.keys()
        for name, method in blocking.items():
            ours = inspect.signature(method).parameters  # type: ignore[arg-type]
            theirs = inspect.signature(awaiting[name]).parameters  # type: ignore[arg-type]
            assert ours == theirs, name


if __name__ == "__main__":
    for module in MODULES:
        rewritten = without_awaiting((PACKAGE / "aio" / module).read_text())
        (PACKAGE / "blocking" / module).write_text(rewritten)
