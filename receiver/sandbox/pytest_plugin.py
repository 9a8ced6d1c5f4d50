"""Fixtures for tests of programs that use the provider.

Opt in from the `conftest.py` at the top of your tests:

pytest_plugins = ["receiver.sandbox.pytest_plugin"]
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from receiver.sandbox import Knobs, Sandbox


@pytest.fixture
def make_receiver_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes with the arguments of `Sandbox`; they stop at the end of the test.

    The test fails if a fault that it queued was never used.
    """
    started: list[Sandbox] = []
    with ExitStack() as running:

        def make(**options: Any) -> Sandbox:
            started.append(running.enter_context(Sandbox(**options)))
            return started[-1]

        yield make
    for sandbox in started:
        assert not sandbox.pending_faults(), "the test queued faults that nothing met"


@pytest.fixture
def receiver_sandbox(make_receiver_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """Start a sandbox that finishes every generation at once and sends each webhook once."""
    knobs = Knobs(image_delay_s=0, video_delay_s=0, duplicate_rate=0, webhook_retries_s=(0.1, 0.2, 0.4))
    return make_receiver_sandbox(knobs=knobs)
