"""The client's errors: their tree, and that nothing is lost on the way between processes."""

import pickle

import pytest

from receiver.client import errors, parse, requests
from receiver.contract import ERROR_STATUS
from receiver.errors import ClientError, GenerationClaimed, ReceiverError

GENERATION = parse.generation({"id": "gen_1", "status": "failed", "error": "too dark"})
REQUEST = requests.generate("image", {"prompt": "a fox"})
ONE_OF_EACH: list[ClientError] = [
    errors.InsufficientCredits("You need 5", details={"required": 5, "available": 2}, request_id="r1"),
    errors.InvalidParameter("duration", "must be 1"),
    errors.RateLimited("slow down"),
    errors.NotSent("refused"),
    errors.NoAnswer("cut"),
    errors.OutcomeUnknown(REQUEST, sent_at=7.0, reason="cut", cause=errors.ServerError("oops", status=502)),
    GenerationClaimed("gen_1 belongs to another submission"),
    errors.GenerationFailed(GENERATION),
    errors.WaitTimeout("gen_1", last=GENERATION, waited_s=300.0),
    errors.DownloadFailed("gone"),
]


def every_class(root: type[ClientError] = ClientError) -> set[type[ClientError]]:
    return {root}.union(*(every_class(child) for child in root.__subclasses__()))


class TestTree:
    def test_one_class_for_each_code_of_the_document(self) -> None:
        """Each documented code has its own class, with the documented status."""
        classes = {kind.code: kind.status for kind in every_class()}
        assert ERROR_STATUS.items() <= classes.items()

    def test_one_root(self) -> None:
        """Catching ClientError catches everything, and it belongs to the package's own tree."""
        assert issubclass(ClientError, ReceiverError)

    def test_local_refusals_and_timeouts_are_also_the_builtin_ones(self) -> None:
        """`except ValueError` and `except TimeoutError` work as one would guess."""
        assert issubclass(errors.InvalidParameter, ValueError)
        assert issubclass(errors.WaitTimeout, TimeoutError)


class TestPickle:
    @pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
    def test_survives_whole(self, error: ClientError) -> None:
        """Nothing is lost on the way between processes."""
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert {k: str(v) for k, v in vars(copy).items()} == {k: str(v) for k, v in vars(error).items()}


class TestApiError:
    def test_received_code_and_status_win(self) -> None:
        """A code newer than this package is shown as it came."""
        error = errors.Forbidden("no", code="model_disabled", status=418)
        assert (error.code, error.status) == ("model_disabled", 418)
        assert (errors.Forbidden.code, errors.Forbidden.status) == ("forbidden", 403)

    def test_fields_have_defaults(self) -> None:
        """What the provider left out is empty, not missing."""
        error: errors.ApiError = errors.NotFound("no")
        assert (error.message, error.details, error.request_id, error.status) == ("no", {}, None, 404)


class TestInsufficientCredits:
    def test_amounts(self) -> None:
        """The two numbers are read from the details."""
        error = errors.InsufficientCredits("no", details={"required": 5, "available": 2})
        assert (error.required, error.available) == (5, 2)

    def test_amounts_may_be_missing(self) -> None:
        """Details are optional, and may be nonsense."""
        error = errors.InsufficientCredits("no", details={"required": "five", "available": True})
        assert (error.required, error.available) == (None, None)


class TestOutcomeUnknown:
    def test_says_what_to_look_for(self) -> None:
        """It carries the request and the time, but shows no prompt in its text."""
        error = ONE_OF_EACH[5]
        assert isinstance(error, errors.OutcomeUnknown)
        assert error.request.body == {"prompt": "a fox"}
        assert error.sent_at == 7.0
        assert "fox" not in str(error) + repr(error.request)

    def test_keeps_what_recovery_found(self) -> None:
        """Also between processes."""
        error = errors.OutcomeUnknown(REQUEST, sent_at=7.0, reason="cut", client_ref="r")
        error.candidates = (GENERATION,)
        copy = pickle.loads(pickle.dumps(error))
        assert (copy.client_ref, copy.candidates, copy.request.body) == (
            "r",
            (GENERATION,),
            {"prompt": "a fox"},
        )
