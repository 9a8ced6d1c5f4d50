"""The receiver's reading of webhooks, in every dialect and every form that the sandbox can send."""

from itertools import product
from typing import get_args

import pytest

from receiver.contract import EVENT_TYPES, SIGNATURE_HEADER
from receiver.events import Event, normalize
from receiver.sandbox import Dialect, letters, views
from receiver.sandbox.state import Generation, Job
from receiver.signatures import verify
from tests.contract.sandbox_dialects import DIALECTS

NOW = 1_736_424_015
SECRET = "whsec_deliveries_0123456789"
FORMS = [*product(get_args(letters.BodyForm), get_args(letters.SignatureForm))]


def generation(status: str) -> Generation:
    made = Generation(
        id="gen_abc123def456",
        account="default",
        job=Job("image", "été 日本 \u2028 \U0001f600", "m", 5, "1:1", None, output_format="png"),
        credits_charged=5,
        created_at=NOW - 15,
        origin="http://127.0.0.1:9",
        status=status,
        completed_at=NOW,
    )
    made.output_url = "http://127.0.0.1:9/assets/a.png" if status == "completed" else None
    made.error = "too dark" if status == "failed" else None
    return made


def received(
    made: Generation, dialect: Dialect, form: tuple[letters.BodyForm, letters.SignatureForm]
) -> Event:
    """Return what the receiver makes of a webhook: verified, then read from the bytes that verified."""
    payload = views.event(made, dialect)
    headers = letters.headers(payload, secret=SECRET, former=SECRET[::-1], timestamp=NOW, form=form[1])
    body, header = letters.body(payload, form[0]), headers[SIGNATURE_HEADER].encode()
    verified = verify([header], body, secrets=[SECRET.encode()], now=NOW)
    event = normalize(verified.body, source="photoverse")
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
class TestReceived:
    def test_every_form_is_the_same_event(self, dialect: Dialect) -> None:
        """Verified however it is printed and signed; the pair that dedupes it never changes."""
        for form, (status, type_) in product(FORMS, zip(("completed", "failed"), EVENT_TYPES, strict=True)):
            event = received(generation(status), dialect, form)
            assert (event.type, event.generation_id, event.kind) == (type_, "gen_abc123def456", "image"), form

    def test_what_it_tells_survives(self, dialect: Dialect) -> None:
        """The file and the time, and so the key of its copy, are those of the plainest dialect."""
        plain, event = (received(generation("completed"), each, FORMS[0]) for each in (Dialect(), dialect))
        assert event.output_url == plain.output_url == "http://127.0.0.1:9/assets/a.png"
        days = {each.occurred_at(0)[:10] for each in (plain, event)}
        assert days == {"2025-01-09"}
