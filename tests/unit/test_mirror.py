"""From a durable event to its asset in the bucket."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets import Begin, Fetched, NotFetched, Part
from receiver.assets.kept import KeptDownloads
from receiver.assets.object_keys import KeyTemplate
from receiver.assets.response import EXPIRED
from receiver.backoff import Backoff
from receiver.errors import BucketUnavailable
from receiver.events import ASSET_MIRRORED, Asset, Event, event_id, follow_up
from receiver.mirror import (
    Mirror,
    MirrorLate,
    MirrorResult,
    MirrorRules,
    NoteKept,
    Refresh,
)
from receiver.outcomes import FailedAttempt, Retry
from receiver.store.jobs import EventJob, Keeper, LateJob
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, LateSettlement
from receiver.store.settlements import EventPostponed, EventSettled
from receiver.telemetry import metrics
from tests.acceptance.service import failed
from tests.unit.work import BODY, NOW, URL, MemoryBucket, event_job, late_job

HOUR_MS = 3_600_000
GRACE_MS = 300_000
LATER = NOW + 5_000
RULES = MirrorRules(Backoff(first_s=8, max_s=300), patience_s=3600)
LATE_RULES = replace(RULES, late_s=24 * 3600, late_backoff=Backoff(first_s=40, max_s=300))
ENTROPY = bytes(10)


@pytest.fixture
def fetched(tmp_path: Path) -> Fetched:
    path = tmp_path / "spooled"
    path.write_bytes(b"png")
    return Fetched(path, 3, "0" * 64, "image/png")


async def run_mirror(
    job: EventJob,
    fetch: Callable[[object, Begin | None], Awaitable[Fetched | NotFetched]],
    bucket: MemoryBucket,
    *,
    at: int = LATER,
    rules: MirrorRules = RULES,
    kept: KeptDownloads | None = None,
    note_kept: NoteKept | None = None,
) -> MirrorResult:
    mirror = Mirror(fetch, bucket, rules, lambda: at, lambda: 0.5, kept=kept, note_kept=note_kept)
    return await mirror(job)


async def run_late(
    job: LateJob,
    fetch: Callable[[object, Begin | None], Awaitable[Fetched | NotFetched]],
    bucket: MemoryBucket | None = None,
    *,
    at: int = LATER,
    refresh: Refresh | None = None,
    rules: MirrorRules = LATE_RULES,
) -> LateSettlement:
    mirror = Mirror(fetch, bucket or MemoryBucket(), rules, lambda: at, lambda: 0.5, refresh)
    return await MirrorLate(mirror, lambda: ENTROPY)(job)


class Begun:
    """An upload that began."""

    def __init__(self) -> None:
        self.was_abandoned = False

    def send(self, path: Path, part: Part) -> None:
        raise AssertionError("the fetcher sends")

    def abandon(self) -> None:
        self.was_abandoned = True


def fetching(
    result: Fetched | NotFetched | Exception,
) -> Callable[[object, Begin | None], Awaitable[Fetched | NotFetched]]:
    async def fetch(url: object, _begin: object = None) -> Fetched | NotFetched:
        assert url == URL
        if isinstance(result, Exception):
            raise result
        return result

    return fetch


class TestMirror:
    async def test_keeps_the_asset_under_its_key(self, fetched: Fetched) -> None:
        """A fetched asset is kept under a name made of what we know, and the event is settled with it."""
        bucket = MemoryBucket()
        job = event_job()
        result = await run_mirror(job, fetching(fetched), bucket)
        key = "photoverse/image/2025/01/09/gen_1.png"
        assert result == EventSettled(
            job, Asset("mirrored", f"memory:{key}", "image/png", 3, "0" * 64), LATER
        )
        ids = {"event-id": "event-1", "generation-id": "gen_1", "source": "photoverse"}
        assert bucket.kept == {key: (fetched, ids)}

    @pytest.mark.parametrize("error", [None, BucketUnavailable("disk full"), RuntimeError("bug")])
    async def test_leaves_no_file_behind(self, fetched: Fetched, error: Exception | None) -> None:
        """The spooled download is deleted whatever became of it."""
        await run_mirror(event_job(), fetching(fetched), MemoryBucket(error))
        assert fetched.path
        assert not fetched.path.exists()

    async def test_says_how_large_and_how_long(self, fetched: Fetched) -> None:
        """What the file told of itself is settled with it."""
        film = replace(fetched, content_type="video/mp4", width=None, height=None, duration_s=5.042)
        for told in (replace(fetched, width=640, height=480), film):
            assert told.path
            told.path.write_bytes(b"png")
            result = await run_mirror(event_job(), fetching(told), MemoryBucket())
            assert isinstance(result, EventSettled)
            assert result.asset is not None
            assert (result.asset.width, result.asset.height) == (told.width, told.height)
            assert result.asset.duration_s == told.duration_s

    async def test_is_called_what_the_rules_say(self, fetched: Fetched) -> None:
        """The operator's template names the asset."""
        bucket, rules = MemoryBucket(), replace(RULES, keys=KeyTemplate.parse("{event_id}/{sha256}"))
        await run_mirror(event_job(), fetching(fetched), bucket, rules=rules)
        assert list(bucket.kept) == [f"event-1/{'0' * 64}"]

    @pytest.mark.parametrize("fate", ["kept", "refused by the bucket", "not fetched", "a bug"])
    async def test_begins_while_it_is_downloaded(self, fetched: Fetched, fate: str) -> None:
        """The bucket may begin under the asset's name; what it began is let go of, whatever became of it."""
        fates: dict[str, Fetched | NotFetched | Exception] = {
            "not fetched": NotFetched("truncated", permanent=False),
            "a bug": RuntimeError("bug"),
        }
        early = Begun()
        bucket = MemoryBucket(BucketUnavailable("down") if "bucket" in fate else None, early=early)
        coming = Fetched(None, 3, "", "image/png")

        async def fetch(url: object, begin: Begin | None) -> Fetched | NotFetched:
            assert begin
            assert begin(coming) is early
            return await fetching(fates.get(fate, fetched))(url, begin)

        await run_mirror(event_job(), fetch, bucket)
        ids = {"event-id": "event-1", "generation-id": "gen_1", "source": "photoverse"}
        assert bucket.begun == [("photoverse/image/2025/01/09/gen_1.png", coming, ids)]
        assert early.was_abandoned

    async def test_does_not_begin(self, fetched: Fetched) -> None:
        """A bucket may want the whole first; a name with a digest is not known before."""
        coming = Fetched(None, 3, "", "image/png")
        for keys, begun in ((KeyTemplate(), 1), (KeyTemplate.parse("{event_id}/{sha256}"), 0)):

            async def fetch(_url: object, begin: Begin | None) -> Fetched | NotFetched:
                assert begin
                assert begin(coming) is None
                return fetched

            bucket = MemoryBucket()
            await run_mirror(event_job(), fetch, bucket, rules=replace(RULES, keys=keys))
            assert len(bucket.begun) == begun

    async def test_conflict_is_reported(self, fetched: Fetched) -> None:
        """An asset that stands beside other bytes is one line and one count, and settled where it stands."""
        counter = metrics.ASSET_CONFLICTS.labels("photoverse")
        before = counter._value.get()
        with structlog.testing.capture_logs() as lines:
            result = await run_mirror(event_job(), fetching(fetched), MemoryBucket(conflict=True))
        assert isinstance(result, EventSettled)
        assert [(line["event"], line["log_level"], line["event_id"]) for line in lines] == [
            ("asset conflict", "warning", "event-1")
        ]
        assert counter._value.get() == before + 1

    async def test_kept_download_outlives_bucket_and_url(self, fetched: Fetched, tmp_path: Path) -> None:
        """What was downloaded before the bucket failed is stored when it is back, though the URL is dead."""
        fetched = replace(fetched, sha256=hashlib.sha256(b"png").hexdigest())
        kept = KeptDownloads(tmp_path / "spool", max_bytes=1000)
        down, up = MemoryBucket(BucketUnavailable("down")), MemoryBucket()
        first = await run_mirror(event_job(), fetching(fetched), down, kept=kept)
        assert isinstance(first, EventPostponed)
        expired = fetching(NotFetched("expired", permanent=True))
        result = await run_mirror(event_job(attempts=2), expired, up, kept=kept)
        assert isinstance(result, EventSettled)
        assert result.asset is not None
        assert result.asset.status == "mirrored"
        ((asset, _),) = up.kept.values()
        assert asset.path
        assert asset.path.read_bytes() == b"png"

    async def test_tells_who_has_the_download(self, fetched: Fetched, tmp_path: Path) -> None:
        """It is noted before the bucket is asked, and stands with the event until the file goes."""
        fetched = replace(fetched, sha256=hashlib.sha256(b"png").hexdigest())
        kept = KeptDownloads(tmp_path / "spool", max_bytes=1000)
        noted: list[bool] = []

        async def note(job: EventJob) -> None:
            noted.append(await kept.has(job.id))

        down = MemoryBucket(BucketUnavailable("down"))
        others = replace(event_job(), kept_by=Keeper("theirs", None))
        for job in (others, event_job(attempts=2), replace(event_job(), kept_by=Keeper(kept.spool, NOW))):
            result = await run_mirror(job, fetching(fetched), down, kept=kept, note_kept=note)
            assert isinstance(result, EventPostponed)
            assert result.kept_by == kept.spool
        assert noted == [True]
        await kept.discard("event-1")
        slow = fetching(NotFetched("timeout", permanent=False))
        assert await run_mirror(job, slow, down, kept=kept) == EventPostponed(job, LATER + 4_000, "timeout")

    @pytest.mark.parametrize(
        "answer",
        [
            *(NotFetched(code, permanent=True) for code in ("expired", "http_400", "redirect", "wrong_type")),
            NotFetched("http_503", permanent=False, after_s=600),
            RuntimeError("bug"),
        ],
        ids=str,
    )
    async def test_another_machine_has_it(self, answer: NotFetched | Exception, tmp_path: Path) -> None:
        """While another machine has the download, no answer of the URL ends the wait."""
        job = replace(event_job(), last_error="http_503", kept_by=Keeper("theirs", NOW))
        kept = KeptDownloads(tmp_path / "spool", max_bytes=1000)
        code = answer.code if isinstance(answer, NotFetched) else "internal_error"
        at = NOW + HOUR_MS
        result = await run_mirror(job, fetching(answer), MemoryBucket(), at=at, kept=kept)
        why = f"waits for the worker that has its download: {code}"
        assert result == EventPostponed(job, at + 4_000, why, kept_by="theirs")

    async def test_the_other_machine_never_comes_back(self) -> None:
        """Unseen for as long as an asset is waited for, it does not count any more; the log says so."""
        expired = fetching(NotFetched("expired", permanent=True))
        for keeper in (Keeper("theirs", NOW), Keeper("unknown", None)):
            job = replace(event_job(), kept_by=keeper)
            with structlog.testing.capture_logs() as lines:
                result = await run_mirror(job, expired, MemoryBucket(), at=NOW + HOUR_MS + 1)
            assert result == EventSettled(job, Asset("failed", error="expired"), NOW + HOUR_MS + 1)
            assert [(line["event"], line["spool"]) for line in lines] == [
                ("kept download lost", keeper.spool)
            ]

    async def test_parked(self, fetched: Fetched, tmp_path: Path) -> None:
        """While bucket or host are away as a whole, nothing counts against one event."""
        job, kept = event_job(attempts=9), KeptDownloads(tmp_path / "spool", max_bytes=1000)
        away = MemoryBucket(BucketUnavailable("down", parked_s=2.5))
        put_off = await run_mirror(job, fetching(fetched), away, kept=kept)
        assert put_off == EventPostponed(job, LATER + 2_500, "bucket: down", kept.spool, parked=True)
        gone = fetching(NotFetched("connect", permanent=False, parked_s=2.5))
        assert await run_mirror(job, gone, away) == EventPostponed(job, LATER + 2_500, "connect", parked=True)
        asked = fetching(NotFetched("http_429", permanent=False, after_s=60, parked_s=2.5))
        later = await run_mirror(job, asked, away)
        assert later == EventPostponed(job, LATER + 60_000, "http_429", parked=True)

    async def test_not_parked_without_its_file(self, fetched: Fetched) -> None:
        """Where each attempt downloads anew it is put off for longer and longer, bucket or not."""
        away = MemoryBucket(BucketUnavailable("down", parked_s=2.5))
        result = await run_mirror(event_job(), fetching(fetched), away)
        assert result == EventPostponed(event_job(), LATER + 4_000, "bucket: down")

    async def test_host_that_is_down_ends_no_patience(self) -> None:
        """However long a host is away, no event waits longer for it than for any other."""
        away = fetching(NotFetched("connect", permanent=False, parked_s=2.5))
        result = await run_mirror(event_job(), away, MemoryBucket(), at=NOW + HOUR_MS + 1)
        assert result == EventSettled(event_job(), Asset("failed", error="connect"), NOW + HOUR_MS + 1)

    async def test_our_own_copy_is_gone(self, tmp_path: Path) -> None:
        """Where this machine itself was to have the file and has not, the URL's answer counts."""
        kept = KeptDownloads(tmp_path / "spool", max_bytes=1000)
        job = replace(event_job(), kept_by=Keeper(kept.spool, NOW))
        expired = fetching(NotFetched("expired", permanent=True))
        result = await run_mirror(job, expired, MemoryBucket(), kept=kept)
        assert result == EventSettled(job, Asset("failed", error="expired"), LATER)

    async def test_nothing_to_mirror(self) -> None:
        """An event without an asset is settled without fetching anything."""
        job = event_job(body=failed("gen_1"))
        result = await run_mirror(job, fetching(RuntimeError("not to be called")), MemoryBucket())
        assert result == EventSettled(job, None, LATER)

    async def test_gone_for_good(self) -> None:
        """What can never be fetched is settled at once, with the reason."""
        job = event_job()
        result = await run_mirror(job, fetching(NotFetched("expired", permanent=True)), MemoryBucket())
        assert result == EventSettled(job, Asset("failed", error="expired"), LATER)

    async def test_not_there_yet(self) -> None:
        """In the minutes after the event no answer is final that may only mean: not yet."""
        missing = fetching(NotFetched("expired", permanent=True, may_appear=True))
        job = event_job(attempts=2)
        assert await run_mirror(job, missing, MemoryBucket()) == EventPostponed(job, LATER + 8_000, "expired")
        after = NOW + GRACE_MS
        gone = await run_mirror(job, missing, MemoryBucket(), at=after)
        assert gone == EventSettled(job, Asset("failed", error="expired"), after)

    async def test_last_look(self) -> None:
        """However long the backoff, the file is looked for once more when its time to appear is over."""
        missing = fetching(NotFetched("wrong_type", permanent=True, may_appear=True))
        for at in (NOW + GRACE_MS - 1_000, NOW + GRACE_MS - 1):
            result = await run_mirror(event_job(attempts=9), missing, MemoryBucket(), at=at)
            assert isinstance(result, EventPostponed)
            assert result.due_ms == NOW + GRACE_MS

    async def test_host_says_when(self) -> None:
        """A host that names a time is asked again then, also when that is later."""
        slow = NotFetched("http_202", permanent=True, after_s=900, may_appear=True)
        result = await run_mirror(event_job(), fetching(slow), MemoryBucket())
        assert isinstance(result, EventPostponed)
        assert result.due_ms == LATER + 900_000

    async def test_without_grace(self) -> None:
        """Who sets no time for it gets the first answer's verdict."""
        missing = fetching(NotFetched("expired", permanent=True, may_appear=True))
        result = await run_mirror(event_job(), missing, MemoryBucket(), rules=replace(RULES, grace_s=0))
        assert isinstance(result, EventSettled)

    @pytest.mark.parametrize("is_permanent", [True, False])
    async def test_what_is_kept_of_a_failure(self, fetched: Fetched, *, is_permanent: bool) -> None:
        """When it began, how long it took and what the host said; nothing of the bucket but its error."""
        times = iter((NOW, NOW + 1, NOW + 250) * 2)
        refused = fetching(NotFetched("http_403", is_permanent, said=b"go away"))
        mirror = Mirror(refused, MemoryBucket(), RULES, lambda: next(times), lambda: 0.5)
        result = await mirror(event_job())
        assert result.attempt == FailedAttempt(NOW, 250, "http_403", b"go away")
        full = MemoryBucket(BucketUnavailable("full"))
        result = await replace(mirror, fetch=fetching(fetched), bucket=full)(event_job())
        assert result.attempt == FailedAttempt(NOW, 250, "bucket: full")

    async def test_may_still_come(self) -> None:
        """What failed for now is put off by the backoff of its attempts."""
        job = event_job(attempts=2)
        result = await run_mirror(job, fetching(NotFetched("http_503", permanent=False)), MemoryBucket())
        assert result == EventPostponed(job, LATER + 8_000, "http_503")

    async def test_waits_as_long_as_asked(self) -> None:
        """Retry-After lengthens the wait and never shortens it."""
        for asked_s, wait_ms in [(100.0, 100_000), (0.0, 4_000)]:
            slow = NotFetched("http_429", permanent=False, after_s=asked_s)
            result = await run_mirror(event_job(), fetching(slow), MemoryBucket())
            assert isinstance(result, EventPostponed)
            assert result.due_ms == LATER + wait_ms

    async def test_patience_ends(self) -> None:
        """An hour after its arrival, here, an event goes on without its asset, and not before."""
        failing = fetching(NotFetched("timeout", permanent=False))
        at_the_end = await run_mirror(event_job(), failing, MemoryBucket(), at=NOW + HOUR_MS)
        assert isinstance(at_the_end, EventPostponed)
        after = await run_mirror(event_job(), failing, MemoryBucket(), at=NOW + HOUR_MS + 1)
        assert isinstance(after, EventSettled)
        assert after.asset == Asset("failed", error="timeout")

    @pytest.mark.parametrize("after_s", [None, 7200.0])
    async def test_the_last_look_is_when_patience_ends(self, after_s: float | None) -> None:
        """Neither a long backoff nor the host's Retry-After keeps the event back for longer."""
        failing = fetching(NotFetched("timeout", permanent=False, after_s=after_s))
        job = event_job(attempts=99)
        result = await run_mirror(job, failing, MemoryBucket(), at=NOW + HOUR_MS - 1)
        assert result == EventPostponed(job, NOW + HOUR_MS + 1, "timeout")

    async def test_failing_bucket_never_gives_up(self, fetched: Fetched) -> None:
        """A fault of ours costs no event its asset, however long it lasts."""
        bucket = MemoryBucket(BucketUnavailable("disk full"))
        result = await run_mirror(event_job(attempts=999), fetching(fetched), bucket, at=NOW + 999 * HOUR_MS)
        assert isinstance(result, EventPostponed)
        assert result.error == "bucket: disk full"

    async def test_bug_is_put_off(self) -> None:
        """A bug in fetching is named without its text, and the event waits for the release that mends it."""
        result = await run_mirror(event_job(), fetching(RuntimeError("secret")), MemoryBucket())
        assert result == EventPostponed(event_job(), LATER + 4_000, "internal_error")

    async def test_goes_without_and_is_tried_for_on(self) -> None:
        """After the patience a completion goes without its asset, says so, and waits for another attempt."""
        slow = fetching(NotFetched("http_503", permanent=False, after_s=600))
        at = NOW + HOUR_MS + 1
        result = await run_mirror(event_job(), slow, MemoryBucket(), at=at, rules=LATE_RULES)
        until_ms = at + 24 * HOUR_MS
        asset = Asset("failed", error="http_503", retried_until_ms=until_ms)
        assert result == EventSettled(event_job(), asset, at, retry_ms=at + 600_000)

    @pytest.mark.parametrize(
        ("job", "failure"),
        [
            (event_job(), NotFetched("http_404", permanent=True)),
            (event_job(), RuntimeError("bug")),
            (event_job(body=failed("gen_1", output_url=URL)), NotFetched("timeout", permanent=False)),
        ],
    )
    async def test_given_up_for_good(self, job: EventJob, failure: NotFetched | Exception) -> None:
        """Permanent failures, bugs, and files of anything but a completion are not tried for any more."""
        at = NOW + HOUR_MS + 1
        result = await run_mirror(job, fetching(failure), MemoryBucket(), at=at, rules=LATE_RULES)
        assert isinstance(result, EventSettled)
        assert result.asset is not None
        assert (result.asset.status, result.asset.retried_until_ms, result.retry_ms) == ("failed", None, None)


class TestMirrorLate:
    async def test_arrives(self, fetched: Fetched) -> None:
        """The asset is kept under the name it would have had, and a follow-up of its own tells of it."""
        bucket = MemoryBucket()
        result = await run_late(late_job(), fetching(fetched), bucket)
        assert isinstance(result, LateArrived)
        assert list(bucket.kept) == ["photoverse/image/2025/01/09/gen_1.png"]
        assert result.asset.status == "mirrored"
        told = result.event
        assert (told.id, told.type, told.received_ms) == (event_id(LATER, ENTROPY), ASSET_MIRRORED, LATER)
        assert told.body == follow_up(BODY, now_ms=LATER)

    async def test_is_named_as_configured(self, fetched: Fetched) -> None:
        """The template of names holds for late files, too."""
        rules = replace(LATE_RULES, keys=KeyTemplate.parse("{generation_id}.{extension}"))
        bucket = MemoryBucket()
        await run_late(late_job(), fetching(fetched), bucket, rules=rules)
        assert list(bucket.kept) == ["gen_1.png"]

    async def test_may_still_come(self) -> None:
        """It is put off by the long backoff until its own bound, however long the patience has passed."""
        slow = fetching(NotFetched("http_503", permanent=False))
        until_ms = NOW + 5 * HOUR_MS
        job = late_job(attempts=2, until_ms=until_ms)
        before = until_ms - HOUR_MS
        assert await run_late(job, slow, at=before) == LatePostponed(job, before + 40_000, "http_503")
        assert await run_late(job, slow, at=until_ms) == LatePostponed(job, until_ms + 1, "http_503")
        assert await run_late(job, slow, at=until_ms + 1) == LateGivenUp(job, "http_503")

    async def test_host_that_is_down(self) -> None:
        """What is late has time: it is not tried every few seconds for a week."""
        away = fetching(NotFetched("connect", permanent=False, parked_s=2.5))
        result = await run_late(late_job(), away)
        assert result == LatePostponed(late_job(), LATER + 20_000, "connect")

    async def test_gone_for_good(self) -> None:
        """A file that has gone meanwhile is not tried for any more."""
        gone = fetching(NotFetched("http_410", permanent=True))
        given_up = await run_late(late_job(), gone)
        assert given_up == LateGivenUp(late_job(), "http_410")
        assert isinstance(given_up, LateGivenUp)
        assert given_up.attempt == FailedAttempt(LATER, 0, "http_410")

    async def test_failing_bucket_never_gives_up(self, fetched: Fetched) -> None:
        """A fault of ours ends no attempt for good."""
        bucket = MemoryBucket(BucketUnavailable("disk full"))
        result = await run_late(late_job(until_ms=NOW), fetching(fetched), bucket)
        assert isinstance(result, LatePostponed)

    async def test_refreshes_an_expired_url(self, fetched: Fetched) -> None:
        """After days the URL has most likely expired: another one is asked for, and uploaded early alike."""

        async def fetch(url: object, begin: object = None) -> Fetched | NotFetched:
            assert begin
            return fetched if url == "https://cdn.example.com/new" else NotFetched(EXPIRED, permanent=True)

        async def refresh(_event: Event) -> str:
            return "https://cdn.example.com/new"

        assert isinstance(await run_late(late_job(), fetch, refresh=refresh), LateArrived)

    @pytest.mark.parametrize(
        ("answer", "due_ms"), [(Retry("rate limited", after_s=600), NOW + 600_000 + 5_000), (None, None)]
    )
    async def test_provider_gives_no_other_url(self, answer: Retry | None, due_ms: int | None) -> None:
        """It is asked again when it says so, and an expired URL without another ends it."""

        async def refresh(_event: Event) -> Retry | None:
            return answer

        result = await run_late(late_job(), fetching(NotFetched(EXPIRED, permanent=True)), refresh=refresh)
        assert getattr(result, "due_ms", None) == due_ms
        assert isinstance(result, LateGivenUp) == (answer is None)

    async def test_provider_says_that_the_file_is_there(self) -> None:
        """A host that does not have it yet will."""
        missing = NotFetched("http_404", permanent=True, may_appear=True)

        async def refresh(_event: Event) -> str:
            return URL

        result = await run_late(late_job(), fetching(missing), refresh=refresh, at=NOW + GRACE_MS)
        assert isinstance(result, LatePostponed)

    async def test_bug_ends_it(self, fetched: Fetched) -> None:
        """Work that nothing can come of does not come back for ever."""

        def entropy() -> bytes:
            raise RuntimeError

        mirror = Mirror(fetching(fetched), MemoryBucket(), RULES, lambda: LATER, lambda: 0.5)
        assert await MirrorLate(mirror, entropy)(late_job()) == LateGivenUp(late_job(), "internal_error")
