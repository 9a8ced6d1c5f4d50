"""One trace for each generation, told with OpenTelemetry's own SDK."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio, Sampler
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from receiver import tracing
from receiver.assets import Fetched, NotFetched
from receiver.backoff import Backoff
from receiver.client import Client, NotSent
from receiver.client.wire import Answer, Outgoing, Reply, Unsent
from receiver.deliver import Forward, ForwardRules, message, trace_of
from receiver.destinations import Message
from receiver.events import OPERATOR, Event
from receiver.mirror import Mirror, MirrorRules
from receiver.outcomes import Delivered, GivenUp, Judged, Outcome, Parked, Retry
from receiver.receive import record_delivery, trace_generation
from receiver.routing import take
from receiver.store.record import Duplicate, Entry, NewEvent, NewQuarantine, Recorded, RecordResult
from receiver.tracing import Ended
from tests.acceptance.service import failed
from tests.unit.work import NOW, MemoryBucket, delivery_job, event_job

RECEIVED_MS = 1_736_424_030_000
FIRST = "2025-01-09T12:00:00Z"
FIRST_MS = 1_736_424_000_000
PINNED = "00-f14e347e0f43435edaca9cc0db1baea6-6703f74e19287b12-01"
"""Of gen_a."""


class Spans:
    """What was told within a test."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    @property
    def told(self) -> tuple[ReadableSpan, ...]:
        return self._kept.get_finished_spans()

    def one(self, name: str) -> ReadableSpan:
        [found] = [one for one in self.told if one.name == name]
        return found


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    made = Spans()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made.provider)
    yield made
    made.provider.shutdown()


def event(event_type: str) -> Event:
    return Event("photoverse", "gen_a", event_type, {"id": "gen_a", "type": "image"})


def entry(created_at: object = FIRST, event_type: str = "generation.completed") -> NewEvent:
    data = {"id": "gen_a", "type": "video", "created_at": created_at}
    body = json.dumps({"event": event_type, "data": data}).encode()
    return NewEvent("1", "photoverse", "gen_a", event_type, None, body, "webhook", RECEIVED_MS)


def ids(span: ReadableSpan) -> tuple[int, int | None]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, span.parent.span_id if span.parent else None


def parent_of(traceparent: str | None) -> tuple[int, int]:
    """Read *traceparent* as consumers do."""
    carrier = {"traceparent": traceparent or ""}
    context = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    return context.trace_id, context.span_id


class TestTraceparent:
    def test_is_the_same_everywhere_and_for_ever(self, spans: Spans) -> None:
        """Another release must find the same trace: traces of events that are under way would be torn."""
        assert tracing.traceparent("gen_a") == PINNED
        assert trace_of(event("generation.failed")) == PINNED
        assert tracing.traceparent("gen_b") != PINNED
        assert parent_of(PINNED)[0]

    def test_of_what_is_no_generation(self, spans: Spans) -> None:
        """Operator events are about this service."""
        assert trace_of(event(OPERATOR + "disk_low")) is None

    def test_sampling_is_decided_alike_in_every_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tenth is kept, and every span of it: two processes agree on each generation."""
        names = [f"gen_{number}" for number in range(500)]
        kept = []
        for _ in range(2):
            monkeypatch.setattr(trace, "_TRACER_PROVIDER", Spans(ParentBasedTraceIdRatio(0.1)).provider)
            kept.append({name for name in names if (tracing.traceparent(name) or "").endswith("-01")})
        assert kept[0] == kept[1]
        assert 20 <= len(kept[0]) <= 90


class TestMessage:
    @pytest.mark.parametrize("projection", ["", "{id: generation_id}"])
    def test_carries_its_trace(self, spans: Spans, projection: str) -> None:
        """In the envelope, and beside it for destinations that have headers; on each attempt."""
        routing = take("orders", {"projection": projection} if projection else {})[0]
        attempts = [message(delivery_job(attempts=number), routing) for number in (1, 7)]
        assert attempts[0] == attempts[1]
        sent = attempts[0]
        assert isinstance(sent, Message)
        assert json.loads(sent.body)["traceparent"] == sent.traceparent == tracing.traceparent("gen_1")
        read = JSONFormat().read(CloudEvent, sent.body)
        assert read.get_extension("traceparent") == sent.traceparent

    async def test_a_line_about_a_failure_holds_no_secret(self, spans: Spans) -> None:
        """A destination that is careless with what it says does not tell the collector."""
        said = Retry("https://user:hunter2@host/?key=hunter2 answered 500")
        destination = Scripted(said)
        rules = ForwardRules(Backoff(first_s=8, max_s=60))
        await Forward(destination, rules, lambda: RECEIVED_MS, lambda: 0.5)([delivery_job()])
        told = spans.one("send orders")
        assert (told.attributes or {})["error.type"] == "postponed"
        assert told.status.description
        assert "hunter2" not in told.to_json()


class TestAttempts:
    """A span for each delivery to us, each attempt to mirror and each attempt to forward."""

    @pytest.mark.parametrize("is_new", [True, False])
    async def test_a_delivery_to_us(self, spans: Spans, *, is_new: bool) -> None:
        """The first one also tells of the generation; a repeat does not."""
        one = entry()

        async def record(_: Entry) -> RecordResult:
            return Recorded(one.id) if is_new else Duplicate(one.id)

        await record_delivery(one, record)
        told = spans.one("POST /webhooks/{source}").attributes or {}
        assert told["receiver.outcome"] == ("accepted" if is_new else "duplicate")
        assert len(spans.told) == 1 + is_new

    async def test_what_is_quarantined_has_no_generation(self, spans: Spans) -> None:
        """So it has no trace."""

        async def record(one: Entry) -> RecordResult:
            return Recorded(one.id)

        await record_delivery(
            NewQuarantine("1", "photoverse", "0" * 64, "no_event", b"{}", RECEIVED_MS), record
        )
        assert spans.told == ()

    @pytest.mark.parametrize(
        ("fetched", "error"),
        [
            (None, None),
            (NotFetched("http_404", permanent=True), "http_404"),
            (NotFetched("http_503", permanent=False), "http_503"),
        ],
    )
    async def test_an_asset(
        self, spans: Spans, tmp_path: Path, fetched: NotFetched | None, error: str | None
    ) -> None:
        """With where it went and its size, or with what kept it from there."""
        path = tmp_path / "spooled"
        path.write_bytes(b"png")

        async def fetch(_url: object, _begin: object = None) -> Fetched | NotFetched:
            return fetched or Fetched(path, 3, "0" * 64, "image/png")

        await Mirror(fetch, MemoryBucket(), MirrorRules(), lambda: NOW, lambda: 0.5)(event_job())
        told = spans.one("mirror").attributes or {}
        assert told.get("error.type") == error
        assert told.get("receiver.asset.size") == (None if error else 3)

    async def test_an_event_without_an_asset_is_not_mirrored(self, spans: Spans) -> None:
        """There was no attempt to tell of."""
        job = event_job(body=failed("gen_1"), host=None)
        await Mirror(_no_fetch, MemoryBucket(), MirrorRules(), lambda: NOW, lambda: 0.5)(job)
        assert spans.told == ()

    @pytest.mark.parametrize(
        ("judged", "error"),
        [(Delivered(), None), (GivenUp("http_422"), "dead"), (Parked("connection refused", 5.0), "parked")],
    )
    async def test_a_message(self, spans: Spans, judged: Judged, error: str | None) -> None:
        """Without an error, or with the word that the metric has for it."""
        rules = ForwardRules(Backoff(first_s=8, max_s=60))

        def judge(outcomes: Mapping[str, Outcome]) -> Mapping[str, Judged]:
            return dict.fromkeys(outcomes, judged)

        await Forward(Scripted(Delivered()), rules, lambda: NOW, lambda: 0.5, judge)([delivery_job()])
        assert (spans.one("send orders").attributes or {}).get("error.type") == error

    async def test_a_message_that_could_not_be_made_was_not_sent(self, spans: Spans) -> None:
        """Nor was one that nobody wanted."""
        rules = ForwardRules(Backoff(first_s=8, max_s=60))
        await Forward(Scripted(Delivered()), rules, lambda: NOW, lambda: 0.5)([delivery_job(body=b"{")])
        assert spans.told == ()


async def _no_fetch(_url: object, _begin: object = None) -> Fetched | NotFetched:
    raise AssertionError("nothing to fetch")


class Scripted:
    """Answers every message alike."""

    max_batch = concurrency = 1

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [self._outcome] * len(batch)

    async def check(self) -> Delivered | Retry:
        return Delivered()

    async def aclose(self) -> None:
        """Do nothing."""


class TestTell:
    def test_below_the_root(self, spans: Spans) -> None:
        """Whatever else the process traces at that moment."""
        with spans.provider.get_tracer("other").start_as_current_span("other"):
            tracing.tell("gen_a", Ended("mirror", "INTERNAL", RECEIVED_MS, {"n": 1}, "timeout", "too slow"))
        told = spans.one("mirror")
        assert ids(told) == parent_of(tracing.traceparent("gen_a"))
        assert told.start_time == RECEIVED_MS * 1_000_000
        assert (told.attributes or {}) == {"receiver.generation.id": "gen_a", "n": 1, "error.type": "timeout"}
        assert (told.status.is_ok, told.status.description) == (False, "too slow")

    def test_a_clock_that_was_set_back(self, spans: Spans) -> None:
        """No span ends before it begins."""
        future_ms = 2**42
        tracing.tell("gen_a", Ended("mirror", "INTERNAL", future_ms, {}))
        told = spans.one("mirror")
        assert told.start_time == told.end_time == future_ms * 1_000_000

    def test_never_raises(self, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever OpenTelemetry does is no reason to fail at anything."""

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(TracerProvider, "get_tracer", broken)
        tracing._tracer.cache_clear()
        tracing.tell("gen_a", Ended("mirror", "INTERNAL", RECEIVED_MS, {}))
        trace_generation(entry())
        with tracing.posting("image", "http://127.0.0.1/generate/image") as order:
            order.generation_id = "gen_a"
        assert spans.told == ()

    def test_what_is_not_sampled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is told, and consumers are told so."""
        off = Spans(ALWAYS_OFF)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", off.provider)
        tracing.tell("gen_a", Ended("mirror", "INTERNAL", RECEIVED_MS, {}))
        trace_generation(entry())
        assert off.told == ()
        assert tracing.traceparent("gen_a") == PINNED.removesuffix("01") + "00"


class TestGeneration:
    @pytest.mark.parametrize(
        ("created_at", "began_ms"),
        [
            (FIRST, FIRST_MS),
            ("2025-01-09T13:00:00+01:00", FIRST_MS),
            ("2025-01-09T12:00:00", RECEIVED_MS),  # no offset
            ("2025-01-09T13:00:00Z", RECEIVED_MS),  # later than its end
            ("2020-01-01T00:00:00Z", RECEIVED_MS),
            ("soon", RECEIVED_MS),
            (None, RECEIVED_MS),
            (17, RECEIVED_MS),
        ],
    )
    def test_is_the_root_and_begins_with_the_order(
        self, spans: Spans, created_at: object, began_ms: int
    ) -> None:
        """A time that cannot be true is none."""
        trace_generation(entry(created_at))
        root = spans.one("generate video")
        context = root.get_span_context()
        assert root.parent is None
        assert context is not None
        assert (context.trace_id, context.span_id) == parent_of(tracing.traceparent("gen_a"))
        assert root.start_time == began_ms * 1_000_000

    def test_a_failure_is_an_error(self, spans: Spans) -> None:
        """By the event's type, not the words of the provider."""
        trace_generation(entry(event_type="generation.failed"))
        assert (spans.one("generate video").attributes or {})["error.type"] == "generation.failed"


class Provider:
    """Answers every paid request alike."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def send(self, outgoing: Outgoing, *, sink: object = None) -> Reply:
        return self._reply

    def close(self) -> None:
        """Do nothing."""


def client(reply: Reply) -> Client:
    return Client("avs_test_0123456789", base_url="https://api.test/v1", transport=Provider(reply))


MADE = Answer(200, {}, json.dumps({"id": "gen_a", "type": "image", "status": "processing"}).encode())


class TestOrdering:
    def test_the_paid_request_is_in_the_trace_of_its_generation(self, spans: Spans) -> None:
        """It is linked with the caller's span, and that with it."""
        with spans.provider.get_tracer("app").start_as_current_span("checkout") as caller:
            client(MADE).generate.image("a city")
        posted, checkout = spans.one("POST /generate/image"), spans.one("checkout")
        assert ids(posted) == parent_of(tracing.traceparent("gen_a"))
        assert [link.context for link in posted.links] == [caller.get_span_context()]
        assert [link.context for link in checkout.links] == [posted.get_span_context()]
        assert (posted.attributes or {})["url.full"] == "https://api.test/v1/generate/image"
        assert "avs_test" not in posted.to_json()
        assert "a city" not in posted.to_json()

    def test_without_a_span_of_the_caller(self, spans: Spans) -> None:
        """Nothing is linked."""
        client(MADE).generate.image("a city")
        assert spans.one("POST /generate/image").links == ()

    def test_what_was_refused_stays_with_the_caller(self, spans: Spans) -> None:
        """It became no generation, so it has no other trace."""
        with (
            spans.provider.get_tracer("app").start_as_current_span("checkout") as caller,
            pytest.raises(NotSent),
        ):
            client(Unsent("no route")).generate.image("a city")
        posted, context = spans.one("POST /generate/image"), caller.get_span_context()
        assert ids(posted) == (context.trace_id, context.span_id)
        assert (posted.attributes or {})["error.type"] == "NotSent"


class TestOff:
    def test_nothing_is_imported(self) -> None:
        """A program that has not set OpenTelemetry up does not pay for it, nor does it need it."""
        program = (
            "import sys; from receiver import receive, mirror, deliver, tracing;"
            "import receiver.cli.process, receiver.client;"
            "assert not tracing.is_on();"
            "assert tracing.traceparent('gen_a') is None;"
            "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

    def test_a_placeholder_is_not_set_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program that imported the SDK and set up nothing is not traced."""
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        assert not tracing.is_on()
        tracing.tell("gen_a", Ended("mirror", "INTERNAL", RECEIVED_MS, {}))
