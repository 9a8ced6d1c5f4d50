"""The tree of errors."""

from importlib import import_module

import pytest

from receiver import errors
from receiver.errors import ConfigError, ReceiverError, SignatureError

_OUTSIDE = ("receiver.assets.guard", "receiver.client.errors")
for _module in _OUTSIDE:
    import_module(_module)

TREE: list[type[ReceiverError]] = ReceiverError.__subclasses__()


class TestReceiverError:
    @pytest.mark.parametrize("error", TREE)
    def test_is_drawn(self, error: type[ReceiverError]) -> None:
        """The tree at the top of the module names every branch."""
        assert errors.__doc__ is not None
        assert f"── {error.__name__}" in errors.__doc__

    def test_codes_differ(self) -> None:
        """A code, being a metric label, tells the errors apart."""
        codes = [ReceiverError.code, *(error.code for error in TREE)]
        assert len(set(codes)) == len(codes)

    @pytest.mark.parametrize("error", [error for error in TREE if error.retryable])
    def test_retryable_is_our_fault(self, error: type[ReceiverError]) -> None:
        """What may succeed later is answered 503: some senders give up on a 4xx."""
        assert error.status == 503


class TestConfigError:
    @pytest.mark.parametrize(
        ("setting", "text"),
        [
            ((), "wrong"),
            (("assets_url",), "RECEIVER_ASSETS_URL: wrong"),
            (("sources", "acme", "assets_url"), "RECEIVER_SOURCES__ACME__ASSETS_URL: wrong"),
        ],
    )
    def test_names_the_variable(self, setting: tuple[str, ...], text: str) -> None:
        """The message opens with the variable to change; the problem alone is at hand, too."""
        error = ConfigError("wrong", *setting)
        assert (str(error), error.problem, error.setting) == (text, "wrong", setting)


class TestSignatureError:
    def test_says_only_the_reason(self) -> None:
        """Its text is the metric label and nothing that a caller sent."""
        error = SignatureError("mismatch")
        assert (error.reason, str(error), error.status) == ("mismatch", "mismatch", 401)
