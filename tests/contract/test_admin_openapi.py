"""The private API against its own description: nothing that is sent gets an answer that is not in it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from schemathesis import Case

from receiver.admin.app import endpoints
from receiver.admin.openapi import describe
from tests.acceptance.service import failed, service
from tests.contract.described import CHECKS, ask_everything
from tests.servers.require import free_ports
from tests.waiting.blocking import until

TOKEN = "admin_0123456789abcdef"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
NOWHERE: Any = SimpleNamespace(store=None)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The private API of a receiver that has a little of everything."""
    [port] = free_ports(1)
    private = {"RECEIVER_ADMIN_PORT": str(port), "RECEIVER_ADMIN_TOKEN": TOKEN}
    with service(tmp_path_factory.mktemp("admin"), **private) as running:
        running.start()
        running.deliver(failed("gen_1"))
        running.deliver(b"{")
        until(running.messages)
        yield f"http://127.0.0.1:{port}"


def test_with_the_token(url: str, subtests: pytest.Subtests) -> None:
    """Good and bad input, by whoever may do everything."""

    def ask(case: Case[Any]) -> None:
        case.call_and_validate(base_url=url, headers=KNOWN, checks=CHECKS)

    schema = schemathesis.openapi.from_dict(describe(endpoints(NOWHERE)))
    ask_everything(schema, ask, subtests, examples=5)
