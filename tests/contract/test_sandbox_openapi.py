"""The sandbox against its own description: nothing that anybody sends gets an answer that is not in it."""

from itertools import count
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import schemathesis
from hypothesis import settings
from schemathesis import Case
from schemathesis.schemas import BaseSchema

from receiver.contract import (
    ERROR_STATUS,
    EVENT_TYPES,
    IMAGE_ASPECT_RATIOS,
    IMAGE_FORMATS,
    KINDS,
    SCOPES,
    STATUSES,
    VIDEO_ASPECT_RATIOS,
    VIDEO_SECONDS,
)
from receiver.sandbox import Knobs, Sandbox
from receiver.sandbox.openapi import describe
from receiver.sandbox.operations import KEY_OPERATIONS, OPERATIONS
from tests.contract.described import BOUNDED, CHECKS, ask_everything

# By hand, so that no webhook is sent to the addresses that schemathesis invents.
SANDBOX = Sandbox(knobs=Knobs(progression="manual", rate_limit=1_000_000_000, credits=1_000_000_000))
RIGHTS = {"Authorization": f"Bearer {SANDBOX.key()}", "Cookie": SANDBOX.session_cookie("keys")}
NUMBERS = count()


class TestDescription:
    def test_describes_every_operation(self) -> None:
        """Each with its verbs, and nothing besides."""
        described = {(path, verb.upper()) for path, item in describe("")["paths"].items() for verb in item}
        served = {(one.path, verb) for one in (*OPERATIONS, *KEY_OPERATIONS) for verb in one.methods}
        assert described == served

    def test_knows_every_error_code(self) -> None:
        """All ten of the document."""
        schema = describe("")["components"]["schemas"]["Error"]
        assert schema["properties"]["error"]["properties"]["code"]["enum"] == list(ERROR_STATUS)
        assert len(ERROR_STATUS) == 10

    def test_has_the_contracts_words(self) -> None:
        """The same values as everywhere else."""
        schemas = describe("")["components"]["schemas"]
        image, video, key, event = (
            schemas[name]["properties"] for name in ("ImageOrder", "VideoOrder", "Key", "Event")
        )
        generation = schemas["Generation"]["properties"]
        assert [
            tuple(each["enum"])
            for each in (
                image["aspect_ratio"],
                image["output_format"],
                video["aspect_ratio"],
                generation["type"],
                generation["status"],
                key["scopes"]["items"],
                event["event"],
            )
        ] == [IMAGE_ASPECT_RATIOS, IMAGE_FORMATS, VIDEO_ASPECT_RATIOS, KINDS, STATUSES, SCOPES, EVENT_TYPES]
        assert range(video["duration"]["minimum"], video["duration"]["maximum"] + 1) == VIDEO_SECONDS

    def test_the_documents_examples_fit(self) -> None:
        """What the document shows is what is described."""
        whole = describe("")
        for name, example in EXAMPLES.items():
            jsonschema.validate(example, {"$ref": f"#/components/schemas/{name}", **whole})


def described() -> BaseSchema:
    """Read the description from the sandbox itself."""
    return schemathesis.openapi.from_asgi("/openapi.json", SANDBOX.app)


def test_with_every_right(subtests: pytest.Subtests) -> None:
    """Good and bad input, by somebody who may do everything."""

    def ask(case: Case[Any]) -> None:
        case.call_and_validate(headers=RIGHTS, checks=CHECKS)

    ask_everything(described(), ask, subtests, examples=25)


def test_without_any_right(subtests: pytest.Subtests) -> None:
    """Whatever is sent, the answer is 401 and as described."""

    def ask(case: Case[Any]) -> None:
        response = case.call(headers={"Authorization": "", "Cookie": ""})
        case.validate_response(response, checks=CHECKS)
        assert response.status_code in {401, 405}  # a verb that is not described may be refused first

    ask_everything(described(), ask, subtests, examples=3)


def test_sequences() -> None:
    """Calls that follow from each other: what was made is looked at, changed and removed."""

    class Sequences(described().as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            # Each sequence as an account of its own, so that none depends on what others left behind.
            account = f"account {next(NUMBERS)}"
            key, cookie = SANDBOX.key(account=account), SANDBOX.session_cookie(f"{account}, keys")
            self.rights = {"Authorization": f"Bearer {key}", "Cookie": cookie}

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"headers": self.rights}

        def validate_response(self, response: Any, case: Case[Any], **_options: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    Sequences.run(settings=settings(BOUNDED, max_examples=15, stateful_step_count=8))


EXAMPLES: dict[str, Any] = {
    "Accepted": {
        "id": "gen_abc123def456",
        "status": "processing",
        "prompt": "A futuristic city at sunset, cyberpunk style",
        "model": "prunaai/z-image-turbo",
        "type": "image",
        "credits_charged": 5,
        "created_at": "2025-01-09T12:00:00Z",
    },
    "Event": {
        "event": "generation.completed",
        "data": {
            "id": "gen_abc123def456",
            "type": "image",
            "status": "completed",
            "prompt": "A futuristic city at sunset",
            "output_url": "https://cdn.example.com/image.png",
            "created_at": "2025-01-09T12:00:00Z",
            "completed_at": "2025-01-09T12:00:15Z",
        },
        "created_at": "2025-01-09T12:00:15Z",
    },
    "Error": {
        "error": {
            "code": "insufficient_credits",
            "message": "You need 5 credits but only have 2",
            "details": {"required": 5, "available": 2},
        }
    },
}
