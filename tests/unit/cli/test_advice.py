"""What to do about a refusal: the setting to change, or the command to run next."""

import pytest

from receiver.cli.advice import add_advice, on_interruption
from receiver.client import ClientError, errors, parse, requests

PAID = requests.generate("image", {"prompt": "x"})
HOOK = requests.create_webhook("https://example.com", None)


def advised(error: ClientError, *, noted: bool = False) -> str:
    """Return what is added to an error."""
    add_advice(error, "RECEIVER_API_KEY", noted=noted)
    return "\n".join(getattr(error, "__notes__", ()))


class TestAddAdvice:
    @pytest.mark.parametrize(
        "error", [errors.InvalidApiKey("x"), errors.InsufficientScope("x"), errors.IpNotAllowed("x")]
    )
    def test_names_the_credential(self, error: ClientError) -> None:
        """Whichever was used."""
        assert "RECEIVER_API_KEY" in advised(error)

    @pytest.mark.parametrize("error", [errors.NotSent("x"), errors.NoAnswer("x")])
    def test_names_the_address(self, error: ClientError) -> None:
        """It may be wrong."""
        assert "RECEIVER_API_BASE_URL" in advised(error)

    def test_names_the_list_to_look_at(self) -> None:
        """By what was asked for."""
        unknown = errors.OutcomeUnknown(PAID, sent_at=0, reason="x", client_ref="a")
        assert "receiver generations list" in advised(unknown)
        assert "submissions" not in advised(unknown)
        assert "receiver webhooks list" in advised(errors.OutcomeUnknown(HOOK, sent_at=0, reason="x"))

    def test_names_the_submission_if_it_was_noted(self) -> None:
        """Only then can it be settled."""
        unknown = errors.OutcomeUnknown(PAID, sent_at=0, reason="x", client_ref="a")
        assert "receiver submissions adopt a ID" in advised(unknown, noted=True)

    def test_quotes_what_others_named(self) -> None:
        """A command that is copied is about that name, and does nothing else."""
        unknown = errors.OutcomeUnknown(PAID, sent_at=0, reason="x", client_ref="a b; c")
        late = errors.WaitTimeout("$(x)", last=None, waited_s=1, pending=("$(x)",))
        said = [advised(unknown, noted=True), on_interruption("a b; c"), advised(late)]
        assert "recover 'a b; c'`" in said[0]
        assert "adopt 'a b; c' ID`" in said[0]
        assert "recover 'a b; c'`" in said[1]
        assert "wait '$(x)'`" in said[2]

    def test_names_what_it_could_be(self) -> None:
        """All of it, unless that is too much to choose from."""
        unknown = errors.OutcomeUnknown(PAID, sent_at=0, reason="x", client_ref="a")
        unknown.candidates = tuple(parse.generation({"id": f"gen_{n}"}) for n in range(2))
        assert "It could be gen_0 or gen_1." in advised(unknown)
        unknown.candidates = tuple(parse.generation({"id": f"gen_{n}"}) for n in range(99))
        assert "gen_8 or gen_9 or 89 more." in advised(unknown)

    def test_names_all_that_are_waited_for(self) -> None:
        """So that the command can be copied."""
        late = errors.WaitTimeout("gen_1", last=None, waited_s=1, pending=("gen_1", "gen_2"))
        assert "receiver generations wait gen_1 gen_2" in advised(late)

    def test_adds_nothing_to_what_speaks_for_itself(self) -> None:
        """As a parameter that is wrong."""
        assert advised(errors.InvalidParameter("prompt", "must not be empty")) == ""


class TestOnInterruption:
    def test_names_the_list_to_look_at(self) -> None:
        """And the submission, if it was noted."""
        assert "receiver generations list" in on_interruption(None)
        assert "submissions" not in on_interruption(None)
        assert "receiver submissions recover a" in on_interruption("a")
