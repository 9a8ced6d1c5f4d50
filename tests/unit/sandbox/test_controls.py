"""What can be turned and queued; as JSON it is tested with the admin route that takes it."""

from typing import Any

import pytest

from receiver.sandbox.controls import (
    KNOB_NAMES,
    QueuedFault,
    fault_in_words,
    knob_in_words,
    switch_in_words,
)
from receiver.sandbox.dialect import Dialect, switches
from receiver.sandbox.faults import Fault
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Knobs


class TestKnobInWords:
    def test_takes_every_knob(self, subtests: pytest.Subtests) -> None:
        """Its default can be written in words."""
        for name in KNOB_NAMES:
            with subtests.test(name=name):
                default = getattr(Knobs(), name)
                words = {"None": "none", "False": "no"}
                text = (
                    ",".join(map(str, default))
                    if isinstance(default, tuple)
                    else words.get(str(default), str(default))
                )
                assert knob_in_words(f"{name}={text}") == (name, default)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("webhook_retries_s=1,2.5", (1, 2.5)),
            ("webhook_retries_s=", ()),
            ("refund_failures=true", True),
            ("asset_ttl_s=60", 60),
            ("asset_fault=none", "none"),
        ],
    )
    def test_takes_other_values(self, text: str, value: Any) -> None:
        """Each kind of knob in the plainest form it has."""
        assert knob_in_words(text)[1] == value

    def test_refuses_others(self, subtests: pytest.Subtests) -> None:
        """The message says what it must be."""
        for text, message in (
            ("loss_rate", "NAME=VALUE"),
            ("los_rate=1", "did you mean loss_rate?"),
            ("loss-rate=1", "did you mean loss_rate?"),
            ("colour=red", "there are: progression, "),
            ("loss_rate=7", "a number from 0 to 1"),
            ("rate_limit=1.5", "a whole number of 1 or more"),
            ("webhook_retries_s=1,soon", "a list of numbers"),
            ("asset_delay_s=none", "a number of 0 or more"),
            ("asset_delay_s=NaN", "a number of 0 or more"),
            ("refund_failures=1", "true or false"),
            ("progression=slow", "one of: timed, immediate, manual"),
        ):
            with subtests.test(text=text):
                with pytest.raises(Refusal) as refused:
                    knob_in_words(text)
                assert message in str(refused.value)


class TestSwitchInWords:
    def test_takes_every_reading(self, subtests: pytest.Subtests) -> None:
        """Spelled as in the documentation, where an empty one is `none` and a truth is `yes`."""
        for name in switches():
            with subtests.test(name=name):
                words = {"": "none", "True": "yes", "False": "no"}
                for reading in switches()[name]:
                    spelled = words.get(str(reading), str(reading))
                    assert switch_in_words(f"{name}={spelled}") == (name, reading)
                    assert type(switch_in_words(f"{name}={spelled}")[1]) is type(reading)

    def test_takes_other_spellings(self) -> None:
        """Those that a programmer would try."""
        read = dict(map(switch_in_words, ("extra_fields=true", "ip_networks=false", "list_wrapper=")))
        assert read == {"extra_fields": True, "ip_networks": False, "list_wrapper": ""}
        assert Dialect(**read).list_wrapper == ""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("order", "NAME=VALUE"),
            ("oder=newest_first", "did you mean order?"),
            ("order=up", "order must be one of: newest_first, oldest_first"),
            ("generate_status=204", "generate_status must be one of: 200, 201, 202"),
        ],
    )
    def test_refuses_others(self, text: str, message: str) -> None:
        """The message says what there is."""
        with pytest.raises(Refusal) as refused:
            switch_in_words(text)
        assert message in str(refused.value)


class TestFaultInWords:
    @pytest.mark.parametrize(
        ("text", "queued"),
        [
            (
                "generate.image:status=503,times=2",
                QueuedFault("generate.image", Fault("status", status=503), 2),
            ),
            (
                "keys.list:status=403,code=ip_not_allowed",
                QueuedFault("keys.list", Fault("status", status=403, code="ip_not_allowed"), 1),
            ),
            ("asset.get:cut_body", QueuedFault("asset.get", Fault("cut_body"), 1)),
            ("asset.get:latency=1.5", QueuedFault("asset.get", Fault("latency", seconds=1.5), 1)),
            ("asset.get:stall,seconds=2", QueuedFault("asset.get", Fault("stall", seconds=2.0), 1)),
        ],
    )
    def test_takes_all_that_json_can_say(self, text: str, queued: QueuedFault) -> None:
        """The value of a kind is what that kind is about."""
        assert fault_in_words(text) == queued

    def test_refuses_others(self, subtests: pytest.Subtests) -> None:
        """The message says which part is wrong."""
        for text, message in (
            ("generate.image", "does not say what goes wrong"),
            ("generate.imag:stall", "did you mean generate.image?"),
            ("generate.image:stal", "did you mean stall?"),
            ("generate.image:", "kind must be"),
            ("generate.image:status=200", "status must be"),
            ("generate.image:html_502=3", "html_502 has no value"),
            ("generate.image:status=503,time=2", "did you mean times?"),
            ("generate.image:status=503,2", "NAME=VALUE"),
            ("generate.image:status=503,times=0", "times must be"),
            ("generate.image:latency=long", "seconds must be"),
        ):
            with subtests.test(text=text):
                with pytest.raises(Refusal) as refused:
                    fault_in_words(text)
                assert message in str(refused.value)
