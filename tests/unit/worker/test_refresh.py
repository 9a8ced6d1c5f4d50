"""A fresh URL for an asset whose own has expired."""

from pathlib import Path

import pytest

from receiver.assets import Fetched, NotFetched
from receiver.client import InvalidApiKey, NoAnswer
from receiver.client.results import Generation
from receiver.errors import ClientError
from receiver.events import Asset, Event, normalize
from receiver.mirror import Mirror, MirrorResult, MirrorRules, Refresh
from receiver.outcomes import Retry
from receiver.store.settlements import EventPostponed, EventSettled
from receiver.worker.reconcile_pass import Account
from receiver.worker.refresh import Refresher
from tests.acceptance.service import completed
from tests.unit.work import NOW, MemoryBucket, event_job
from tests.unit.worker.listing import Listing, row

NEW = "https://cdn.example.com/a.png?expires=2"
GRACE_MS = 300_000
OLD = "https://cdn.example.com/a.png?expires=1"


class Failing(Listing):
    """Answers every look with *error*."""

    async def get(self, generation_id: str) -> Generation:
        assert self.error is not None
        raise self.error


def event(source: str = "photoverse") -> Event:
    read = normalize(completed("gen_1", OLD), source=source)
    assert isinstance(read, Event)
    return read


def refresher(listing: Listing) -> Refresher:
    return Refresher([Account("photoverse", listing)])


class Host:
    """An asset host on which only some URLs still work."""

    def __init__(
        self, fetched: Fetched, *, good: str = "", code: str = "expired", may_appear: bool = False
    ) -> None:
        self.urls: list[object] = []
        self._fetched = fetched
        self._good = good
        self._failure = NotFetched(code, permanent=True, may_appear=may_appear)

    async def fetch(self, url: object, _begin: object = None) -> Fetched | NotFetched:
        self.urls.append(url)
        return self._fetched if url == self._good else self._failure


@pytest.fixture
def fetched(tmp_path: Path) -> Fetched:
    path = tmp_path / "spooled"
    path.write_bytes(b"png")
    return Fetched(path, 3, "0" * 64, "image/png")


async def mirrored(host: Host, refresh: Refresh, *, at: int = NOW) -> MirrorResult:
    mirror = Mirror(host.fetch, MemoryBucket(), MirrorRules(), lambda: at, lambda: 0.5, refresh)
    return await mirror(event_job(body=completed("gen_1", OLD)))


def answering(answer: str | Retry | None) -> Refresh:
    async def refresh(event: Event) -> str | Retry | None:
        assert event.generation_id == "gen_1"
        return answer

    return refresh


class TestMirror:
    async def test_expired_url_is_replaced_once(self, fetched: Fetched) -> None:
        """An asset whose URL has expired is fetched under the fresh one."""
        host = Host(fetched, good=NEW)
        result = await mirrored(host, answering(NEW))
        assert host.urls == [OLD, NEW]
        assert isinstance(result, EventSettled)
        assert result.asset is not None
        assert result.asset.status == "mirrored"

    @pytest.mark.parametrize(("answer", "urls"), [(None, [OLD]), (NEW, [OLD, NEW])])
    async def test_gives_up_when_that_fails_too(
        self, fetched: Fetched, answer: str | None, urls: list[str]
    ) -> None:
        """Without a fresh URL, or with one that does not work either, the asset is given up."""
        host = Host(fetched)
        result = await mirrored(host, answering(answer))
        assert host.urls == urls
        assert isinstance(result, EventSettled)
        assert result.asset == Asset("failed", error="expired")

    async def test_waits_for_a_silent_provider(self, fetched: Fetched) -> None:
        """While the provider cannot be asked the asset is not given up."""
        result = await mirrored(Host(fetched), answering(Retry("silent", after_s=100.0)))
        assert result == EventPostponed(result.job, NOW + 100_000, "expired")

    async def test_new_file_costs_no_request(self, fetched: Fetched) -> None:
        """While the file may only not be there yet, nobody is asked for another URL; then somebody is."""
        host = Host(fetched, good=NEW, may_appear=True)
        assert isinstance(await mirrored(host, answering(NEW)), EventPostponed)
        assert host.urls == [OLD]
        assert isinstance(await mirrored(host, answering(NEW), at=NOW + GRACE_MS), EventSettled)
        assert host.urls == [OLD, OLD, NEW]

    @pytest.mark.parametrize(
        ("code", "answer"), [("expired", NEW), ("http_202", OLD), ("wrong_type", NEW), ("empty", OLD)]
    )
    async def test_provider_vouches_for_it(self, fetched: Fetched, code: str, answer: str) -> None:
        """A file that the provider still names is tried for on, until the patience ends."""
        host, at = Host(fetched, code=code, may_appear=True), NOW + GRACE_MS
        result = await mirrored(host, answering(answer), at=at)
        assert result == EventPostponed(result.job, at + 1_000, code)
        over = await mirrored(host, answering(answer), at=NOW + 24 * 3_600_000 + 1)
        assert isinstance(over, EventSettled)

    async def test_host_knows_better(self, fetched: Fetched) -> None:
        """A URL that has run out does not live because the provider repeats it."""
        result = await mirrored(Host(fetched), answering(OLD))
        assert isinstance(result, EventSettled)

    async def test_other_failures_ask_nobody(self, fetched: Fetched) -> None:
        """What no fresh URL can mend costs no request."""

        async def never(event: Event) -> None:
            raise AssertionError(event)

        result = await mirrored(Host(fetched, code="too_large"), never)
        assert isinstance(result, EventSettled)


class TestCall:
    async def test_asks_for_the_generation(self) -> None:
        """The URL that the provider gives now is returned."""
        listing = Listing([row(1, output_url=NEW)])
        assert await refresher(listing)(event()) == NEW
        assert listing.got == ["gen_1"]

    async def test_same_again(self) -> None:
        """The event's own URL is an answer, too: the provider says that it lives."""
        assert await refresher(Listing([row(1, output_url=OLD)]))(event()) == OLD

    @pytest.mark.parametrize("rows", [[], [row(1, output_url=None)]])
    async def test_nothing_fresh(self, rows: list[dict[str, object]]) -> None:
        """A generation that is gone, or has no URL, gives nothing."""
        assert await refresher(Listing(rows))(event()) is None

    async def test_other_account(self) -> None:
        """A source without an API key cannot be asked."""
        listing = Listing([row(1)])
        assert await refresher(listing)(event("acme")) is None
        assert listing.got == []

    @pytest.mark.parametrize(
        ("error", "answer"), [(NoAnswer("silent"), Retry("silent")), (InvalidApiKey("who?"), None)]
    )
    async def test_provider_fails(self, error: ClientError, answer: Retry | None) -> None:
        """A silent provider is asked again later; one that refuses for good is not."""
        assert await refresher(Failing(error=error))(event()) == answer
