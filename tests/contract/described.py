"""Ask every operation of an OpenAPI description, well and badly, and hold each answer against it.

The requests are made when a test runs. Where schemathesis parametrizes a test, it makes all of them while
tests are collected, and each test process collects every test.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

CHECKS: Final[list[Any]] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
BOUNDED: Final = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def ask_everything(
    schema: BaseSchema, ask: Callable[[Case[Any]], None], subtests: pytest.Subtests, *, examples: int
) -> None:
    """Call *ask* with the edge cases of every operation of *schema*, and with so many random *examples*."""

    def asks(case: Case[Any]) -> None:
        ask(case)

    bounded = settings(BOUNDED, max_examples=examples)
    for made in get_all_tests(schema=schema, test_func=asks, settings=bounded, given_kwargs=None):
        assert isinstance(made, Ok), made
        operation, test = made.ok()
        with subtests.test(operation.label):
            test()
