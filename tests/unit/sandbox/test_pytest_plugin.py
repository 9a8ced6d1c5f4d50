"""The fixtures that users get, in a run of pytest as theirs."""

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "receiver.sandbox.pytest_plugin"
USES = """
import httpx2
from receiver.sandbox import Fault

def test_it_serves(receiver_sandbox):
    headers = {"Authorization": f"Bearer {receiver_sandbox.key()}"}
    assert httpx2.get(receiver_sandbox.url + "/models", headers=headers).json()["total"] == 18

def test_two_at_once(make_receiver_sandbox):
    assert make_receiver_sandbox().url != make_receiver_sandbox(seed=2).url

def test_a_fault_that_nothing_met(receiver_sandbox):
    receiver_sandbox.fail("models.list", Fault("html_502"))
"""


class TestReceiverSandbox:
    def test_in_a_run_of_pytest(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        """It serves, it can be made several times, and a forgotten fault is an error."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makeconftest(f"pytest_plugins = [{PLUGIN!r}]")
        pytester.makepyfile(USES)
        outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
        outcome.assert_outcomes(passed=3, errors=1)
        outcome.stdout.fnmatch_lines(["*the test queued faults that nothing met*"])


class TestImport:
    def test_only_for_those_who_ask(self) -> None:
        """Installing the package adds nothing to anybody's pytest."""
        assert not [one for one in entry_points(group="pytest11") if one.value.startswith("receiver")]
