"""From a raw delivery to a durable event."""

import hashlib
import json

import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.samples import Sample

from receiver.errors import SignatureError, StoreUnavailable
from receiver.events import OUR_TYPES, Event, Unreadable
from receiver.receive import Receipt, Source, entry_of, read_delivery, record_delivery
from receiver.signatures import sign
from receiver.store.record import Duplicate, Entry, Late, NewEvent, NewQuarantine, Recorded, RecordResult
from receiver.telemetry import metrics
from tests.acceptance.service import completed, failed

NOW = 1_736_424_015.25
SECRET = b"whsec_0123456789abcdef"
OLD_SECRET = b"whsec_older_0123456789"
SOURCE = Source("photoverse", (SECRET, OLD_SECRET))
ENTROPY = b"\x00" * 10
ID = "01944af0-7f92-7000-8000-000000000000"


class FakeStore:
    """Remembers what it was given and says what it was told to."""

    def __init__(self, answer: RecordResult | StoreUnavailable | None = None) -> None:
        self.entries: list[Entry] = []
        self._answer = answer

    async def record(self, entry: Entry) -> RecordResult:
        self.entries.append(entry)
        if isinstance(self._answer, StoreUnavailable):
            raise self._answer
        return self._answer or Recorded(entry.id)


async def take(
    body: bytes,
    store: FakeStore,
    *,
    signed: bytes | None = None,
    secret: bytes = SECRET,
    source: Source = SOURCE,
) -> Receipt:
    header = sign(body if signed is None else signed, secret=secret, timestamp=int(NOW)).encode()
    entry = read_delivery([header], body, source=source, now=NOW, entropy=ENTROPY)
    return await record_delivery(entry, store.record)


def samples(metric: Counter | Histogram, source: str) -> list[Sample]:
    (family,) = metric.collect()
    return [sample for sample in family.samples if sample.labels["source"] == source]


class TestReceive:
    async def test_records_what_was_signed(self) -> None:
        """A genuine delivery is one row: the signed bytes, the moment, and the host of its asset."""
        store = FakeStore()
        body = completed("gen_1", "https://CDN.example.com:443/a.png?sig=x")
        receipt = await take(body, store)
        assert store.entries == [
            NewEvent(
                receipt.event_id,
                "photoverse",
                "gen_1",
                "generation.completed",
                "cdn.example.com",
                body,
                "webhook",
                1_736_424_015_250,
            )
        ]
        assert receipt == Receipt("accepted", receipt.event_id, "gen_1")

    async def test_id_holds_the_time_and_the_entropy(self) -> None:
        """The event id is a UUIDv7 of the moment of receipt."""
        receipt = await take(failed("gen_1"), FakeStore())
        assert int(receipt.event_id.replace("-", "")[:12], 16) == 1_736_424_015_250
        assert receipt.event_id.endswith("-7000-8000-000000000000")

    @pytest.mark.parametrize(
        ("answer", "receipt"),
        [
            (Duplicate("first"), Receipt("duplicate", "first", "gen_1")),
            (Late("this"), Receipt("late", "this", "gen_1")),
        ],
    )
    async def test_says_what_the_store_said(self, answer: RecordResult, receipt: Receipt) -> None:
        """A repeat names the first event; a failure after the completion is late."""
        assert await take(failed("gen_1"), FakeStore(answer)) == receipt

    async def test_unreadable_is_kept(self) -> None:
        """A genuine body that names no generation is quarantined whole, under its digest, with the reason."""
        store = FakeStore()
        receipt = await take(b"not json", store)
        (entry,) = store.entries
        assert isinstance(entry, NewQuarantine)
        assert (entry.body, entry.sha256) == (b"not json", hashlib.sha256(b"not json").hexdigest())
        assert receipt == Receipt("quarantined", entry.id, None, "not_json")

    @pytest.mark.parametrize("type_", sorted(OUR_TYPES))
    async def test_our_own_types_are_not_the_senders_to_tell(self, type_: str) -> None:
        """A genuine body with a type of ours is quarantined, where it cannot pass for our own event."""
        store = FakeStore()
        body = json.dumps({"event": type_, "data": {"id": "gen_1"}}).encode()
        receipt = await take(body, store)
        assert [type(entry) for entry in store.entries] == [NewQuarantine]
        assert (receipt.status, receipt.reason) == ("quarantined", "reserved_event_type")

    async def test_repeated_unreadable_names_the_first(self) -> None:
        """The same unreadable bytes again are quarantined under the first one's id."""
        receipt = await take(b"not json", FakeStore(Duplicate("first")))
        assert (receipt.status, receipt.event_id) == ("quarantined", "first")

    async def test_keeps_the_form_that_verified(self) -> None:
        """Where the JSON.stringify form was signed, that form is recorded, never the bytes around it."""
        store = FakeStore()
        received = b'{ "event": "generation.failed", "data": {"id": "gen_1", "n": 1.0} }'
        signed = b'{"event":"generation.failed","data":{"id":"gen_1","n":1}}'
        await take(received, store, signed=signed)
        assert [entry.body for entry in store.entries] == [signed]

    async def test_raw_mode_takes_only_the_bytes(self) -> None:
        """A source in raw mode refuses a signature over another form, and writes nothing."""
        store = FakeStore()
        with pytest.raises(SignatureError, match="mismatch"):
            await take(b"[ ]", store, signed=b"[]", source=Source("photoverse", (SECRET,), mode="raw"))
        assert store.entries == []

    async def test_any_secret_of_the_source(self) -> None:
        """While a secret is rotated, deliveries signed with the older one are genuine too."""
        assert (await take(failed("gen_1"), FakeStore(), secret=OLD_SECRET)).status == "accepted"

    async def test_counts_which_secret_verified(self) -> None:
        """Whoever rotates a secret sees when the older one is no longer used."""
        source = Source("rotating", (SECRET, OLD_SECRET))
        await take(failed("gen_1"), FakeStore(), source=source)
        for _ in range(2):
            await take(failed("gen_1"), FakeStore(), source=source, secret=OLD_SECRET)
        counted = {
            sample.labels["secret"]: sample.value
            for sample in samples(metrics.VERIFIED, "rotating")
            if sample.name.endswith("_total")
        }
        assert counted == {"1": 1, "2": 2}

    @pytest.mark.parametrize(("late_s", "bucket"), [(-299, "-120.0"), (0.25, "1.0"), (299, "300.0")])
    async def test_measures_the_skew(self, late_s: float, bucket: str) -> None:
        """How far the sender's clock is from ours is seen long before deliveries are refused for it."""
        source = Source(f"skewed by {late_s}", (SECRET,))
        body, signed_at = failed("gen_1"), int(NOW)
        header = sign(body, secret=SECRET, timestamp=signed_at).encode()
        read_delivery([header], body, source=source, now=signed_at + late_s, entropy=ENTROPY)
        counted = [one for one in samples(metrics.SKEW, source.name) if one.name.endswith("_bucket")]
        assert next(one.labels["le"] for one in counted if one.value) == bucket

    async def test_not_genuine_writes_nothing(self) -> None:
        """Invariant 6: nothing unsigned reaches the store."""
        store = FakeStore()
        with pytest.raises(SignatureError):
            await take(failed("gen_1"), store, secret=b"whsec_of_someone_else")
        assert store.entries == []

    async def test_failing_store_is_not_counted(self) -> None:
        """Where nothing was promised nothing is counted as received."""
        counter = metrics.DELIVERIES.labels("photoverse", "accepted")
        before = counter._value.get()
        with pytest.raises(StoreUnavailable):
            await take(failed("gen_1"), FakeStore(StoreUnavailable("down")))
        assert counter._value.get() == before
        await take(failed("gen_1"), FakeStore())
        assert counter._value.get() == before + 1


class TestEntryOf:
    @pytest.mark.parametrize(
        ("type_", "data", "host"),
        [
            ("generation.completed", {"output_url": "https://cdn.example.com/a"}, "cdn.example.com"),
            ("generation.completed", {}, None),
            ("generation.failed", {}, None),
            ("generation.failed", {"output_url": "https://cdn.example.com/a"}, "cdn.example.com"),
        ],
    )
    def test_host_only_where_there_is_something_to_fetch(
        self, type_: str, data: dict[str, object], host: str | None
    ) -> None:
        """The mirror spares hosts by this column; without one there is nothing to fetch."""
        event = Event("photoverse", "gen_1", type_, data)
        entry = entry_of(event, b"{}", source="photoverse", now_ms=1, entropy=ENTROPY, via="reconcile")
        assert isinstance(entry, NewEvent)
        assert (entry.asset_host, entry.via) == (host, "reconcile")

    def test_unreadable(self) -> None:
        """The reason is kept."""
        entry = entry_of(Unreadable("no_data"), b"{}", source="acme", now_ms=1, entropy=ENTROPY)
        assert isinstance(entry, NewQuarantine)
        assert (entry.source, entry.reason) == ("acme", "no_data")


class TestSource:
    def test_repr_keeps_the_secret(self) -> None:
        """A source that ends up in a message or a log gives nothing away."""
        assert "whsec" not in repr(Source("photoverse", (b"whsec_0123456789abcdef",)))
