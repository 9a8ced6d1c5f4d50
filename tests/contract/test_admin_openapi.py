"""The private API against its own description: nothing that is sent gets an answer that is not in it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from receiver.admin.app import endpoints
from receiver.admin.openapi import describe
from tests.acceptance.service import failed, service, until
from tests.servers.require import free_ports

TOKEN = "admin_0123456789abcdef"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
BOUNDED = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NOWHERE: Any = SimpleNamespace(store=None)
SCHEMA = schemathesis.openapi.from_dict(describe(endpoints(NOWHERE)))


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


@SCHEMA.parametrize()
@BOUNDED
def test_with_the_token(case: Case[Any], url: str) -> None:
    """Good and bad input, by whoever may do everything."""
    case.call_and_validate(base_url=url, headers=KNOWN, checks=CHECKS)
