"""One trace from the paid request to the message: real processes, a real provider's emulation, real OTLP."""

import socket
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from receiver.sandbox import Knobs, Sandbox
from tests.acceptance.service import Service, completed, failed, service
from tests.servers.assets import AssetHost
from tests.servers.collector import Collector, Told, collector
from tests.waiting.blocking import until

SENDERS_OWN = "00-11111111111111111111111111111111-2222222222222222-01"


def traced(url: str, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def parents(message: dict[str, Any]) -> tuple[str, str]:
    """Return trace and span of a message's traceparent."""
    version, trace_id, span_id, _ = message["traceparent"].split("-")
    assert version == "00"
    return trace_id, span_id


def ask(receiver: Service, *words: str) -> None:
    receiver.run(
        "image", "a city", "--webhook-url", f"http://127.0.0.1:{receiver.port}/webhooks/photoverse", *words
    )


class TestOneTrace:
    def test_from_the_paid_request_to_the_message(self, tmp_path: Path) -> None:
        """Command, webhook, mirroring and sending are told of by three processes, in one trace."""
        knobs = Knobs(image_delay_s=0.2, duplicate_rate=0)
        with collector() as spans, Sandbox(knobs=knobs) as sandbox:
            settings = {
                "RECEIVER_WEBHOOK_SECRETS": sandbox.webhook_secret,
                "RECEIVER_API_KEY": sandbox.key(),
                "RECEIVER_API_BASE_URL": sandbox.url,
                **traced(spans.url),
            }
            with service(tmp_path, **settings) as receiver:
                receiver.start("web")
                receiver.start("worker")
                ask(receiver)
                (message,) = until(receiver.messages)
                until(lambda: len({one.name for one in spans.spans}) == 5)
                # The first of each: on a busy machine the provider may repeat the webhook.
                told = {one.name: one for one in reversed(spans.spans)}
        trace_id, root_id = parents(message)
        assert {one.trace_id for one in told.values()} == {trace_id}
        root = told.pop("generate image")
        assert (root.span_id, root.parent_id, root.is_error) == (root_id, "", False)
        assert {one.parent_id for one in told.values()} == {root_id}
        assert {name: one.kind for name, one in told.items()} == {
            "POST /generate/image": "CLIENT",
            "POST /webhooks/{source}": "SERVER",
            "mirror": "INTERNAL",
            "send messages": "PRODUCER",
        }
        assert {one.service for one in told.values()} == {"receiver"}
        assert {one.attributes["receiver.generation.id"] for one in told.values()} == {message["subject"]}
        assert told["mirror"].attributes["receiver.asset.url"] == message["data"]["asset"]["url"]
        assert told["send messages"].attributes["messaging.message.id"] == message["id"]
        assert told["POST /webhooks/{source}"].attributes["receiver.outcome"] == "accepted"
        took_s = (root.ended_ns - root.began_ns) / 1e9
        assert 0.1 <= took_s < 100
        assert all(one.began_ns <= one.ended_ns <= time.time_ns() for one in told.values())

    def test_a_lost_webhook_and_a_replay(self, tmp_path: Path) -> None:
        """What reconciling finds, and what an operator sends again, is in the trace of the paid request."""
        with collector() as spans, Sandbox(knobs=Knobs(image_delay_s=0.1, loss_rate=1.0)) as sandbox:
            settings = {
                "RECEIVER_API_KEY": sandbox.key(),
                "RECEIVER_API_BASE_URL": sandbox.url,
                "RECEIVER_RECONCILE_INTERVAL_S": "1",
                **traced(spans.url),
            }
            with service(tmp_path, **settings) as receiver:
                ask(receiver)
                receiver.start()
                (message,) = until(receiver.messages)
                until(lambda: spans.named("send messages") and receiver.delivered())
                receiver.run("events", "replay", message["id"])
                until(lambda: len(spans.named("send messages")) == 2)
                repeated = until(lambda: receiver.messages()[1:])
        assert repeated == [message]
        assert {one.trace_id for one in spans.spans} == {parents(message)[0]}
        assert {one.name for one in spans.spans} == {
            "POST /generate/image",
            "generate image",
            "mirror",
            "send messages",
        }

    def test_each_attempt_and_each_repeat(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """What failed is in the trace beside what worked at last; a sender's own trace is left alone."""
        with collector() as spans, service(tmp_path, **traced(spans.url)) as receiver:
            receiver.start()
            asset_host.status = 404
            url = f"{asset_host.url}/a.png?sig=secret"
            for _ in range(2):
                assert receiver.deliver(completed("gen_a", url), traceparent=SENDERS_OWN).status == 200
            missed, *_ = until(lambda: spans.named("mirror"))
            asset_host.status = 200
            (message,) = until(receiver.messages)
            until(lambda: spans.named("send messages"))
            receiver.deliver(failed("gen_b"))
            (failure,) = until(lambda: spans.named("generate image")[1:])
        assert missed.is_error
        assert missed.attributes["error.type"] == missed.why == "expired"
        last = spans.named("mirror")[-1]
        assert not last.is_error
        outcomes = [one.attributes["receiver.outcome"] for one in spans.named("POST /webhooks/{source}")]
        assert outcomes[:2] == ["accepted", "duplicate"]
        of_a = [one for one in spans.spans if one.attributes["receiver.generation.id"] == "gen_a"]
        assert {one.trace_id for one in of_a} == {parents(message)[0]}
        assert failure.is_error
        assert failure.trace_id != parents(message)[0]
        assert "secret" not in repr(spans.spans)


class TestOff:
    @pytest.mark.parametrize(
        "variables",
        [
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        ],
        ids=["no endpoint", "disabled", "no exporter", "protocol that is not installed"],
    )
    def test_messages_are_as_they_were(self, tmp_path: Path, variables: dict[str, str]) -> None:
        """Where tracing is not set up, nothing says anything of it but a line about what is wrong."""
        with service(tmp_path, **variables) as receiver:
            receiver.start()
            receiver.deliver(failed("gen_a"))
            (message,) = until(receiver.messages)
            complaints = receiver.logged("tracing is off")
        assert "traceparent" not in message
        assert len(complaints) == ("OTEL_EXPORTER_OTLP_PROTOCOL" in variables)
        assert all("OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in one["error"] for one in complaints)

    def test_what_is_not_sampled_says_so(self, tmp_path: Path) -> None:
        """Consumers learn that nobody else keeps the trace, and nothing is sent to the collector."""
        off = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
        with collector() as spans, service(tmp_path, **traced(spans.url, **off)) as receiver:
            process = receiver.start()
            receiver.deliver(failed("gen_a"))
            (message,) = until(receiver.messages)
            process.terminate()
            assert process.wait(60) == 0
        assert message["traceparent"].endswith("-00")
        assert spans.spans == []


class TestCollectorAway:
    @pytest.mark.parametrize("how", ["refuses", "hangs"])
    def test_nothing_else_suffers(self, tmp_path: Path, how: str) -> None:
        """Events are answered and forwarded, one line tells of the spans that are lost, and the end comes."""
        with socket.socket() as port:
            port.bind(("127.0.0.1", 0))
            if how == "hangs":
                port.listen()
            url = f"http://127.0.0.1:{port.getsockname()[1]}"
            settings = traced(url, OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_BSP_MAX_QUEUE_SIZE="16")
            settings["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = "4"
            with service(tmp_path, **settings) as receiver:
                process = receiver.start()
                took_s = []
                for number in range(60):
                    began = time.monotonic()
                    assert receiver.deliver(failed(f"gen_{number}")).status == 200
                    took_s.append(time.monotonic() - began)
                assert statistics.median(took_s) < 1, "what an export may take"
                until(lambda: len(receiver.messages()) == 60)
                (lost,) = until(lambda: receiver.logged("span export failed"))
                process.terminate()
                assert process.wait(60) == 0
                lines = [line for line in receiver.log().splitlines() if "export" in line]
        assert lost["error"]
        assert len(lines) == 1

    def test_the_last_spans_do_not_hold_up_the_end(self, tmp_path: Path) -> None:
        """The SDK by itself would wait for half a minute."""
        with socket.socket() as port:
            port.bind(("127.0.0.1", 0))
            port.listen()
            url = f"http://127.0.0.1:{port.getsockname()[1]}"
            with service(tmp_path, **traced(url, OTEL_EXPORTER_OTLP_TIMEOUT="60")) as receiver:
                process = receiver.start()
                receiver.deliver(failed("gen_a"))
                until(receiver.messages)
                process.terminate()
                assert process.wait(20) == 0


def service_names(spans: Collector) -> set[str]:
    return {one.service for one in spans.spans}


def roots(spans: Collector) -> list[Told]:
    return [one for one in spans.spans if not one.parent_id]


class TestStandardVariables:
    def test_name_and_attributes_of_the_service(self, tmp_path: Path) -> None:
        """OTEL_SERVICE_NAME wins over ours; the last spans are sent when the process ends."""
        with collector() as spans:
            settings = traced(spans.url, OTEL_SERVICE_NAME="photos", OTEL_BSP_SCHEDULE_DELAY="60000")
            with service(tmp_path, **settings) as receiver:
                process = receiver.start()
                receiver.deliver(failed("gen_a"))
                until(receiver.messages)
                process.terminate()
                assert process.wait(60) == 0
        assert service_names(spans) == {"photos"}
        assert [one.name for one in roots(spans)] == ["generate image"]
