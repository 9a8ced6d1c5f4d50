"""`client.generations`: get, list, wait for and download generations."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from receiver.client import requests
from receiver.client.aio.caller import Caller
from receiver.client.aio.waiting import Waiting
from receiver.client.downloads import MAX_DOWNLOAD_BYTES, Partial, asset_url
from receiver.client.ledger import Events
from receiver.client.pagination import OVERLAP, Walk
from receiver.client.polling import Group, Watch
from receiver.client.results import Generation, GenerationPage
from receiver.contract import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, Kind, Status


class Generations:
    """Reads generations."""

    def __init__(self, caller: Caller, events: Events | None = None) -> None:
        self._caller = caller
        self._waiting = Waiting(caller, events)

    async def get(self, generation_id: str) -> Generation:
        """Return the current state of one generation.

        Raises:
            NotFound: no such generation, or another account's.
        """
        return await self._caller.call(requests.get_generation(generation_id))

    async def list(
        self,
        *,
        type: Kind | None = None,  # noqa: A002  # the document's word
        status: Status | None = None,
        limit: int = PAGE_SIZE_DEFAULT,
        offset: int = 0,
    ) -> GenerationPage:
        """Return one page: *limit* rows, 1 to 100, after skipping *offset*.

        Raises:
            InvalidParameter: a value the API document does not allow; nothing was sent.
        """
        request = requests.list_generations(kind=type, status=status, limit=limit, offset=offset)
        return await self._caller.call(request)

    async def iter(
        self,
        *,
        type: Kind | None = None,  # noqa: A002  # the document's word
        status: Status | None = None,
        page_size: int = PAGE_SIZE_MAX,
        overlap: int = OVERLAP,
        max_requests: int | None = None,
    ) -> AsyncIterator[Generation]:
        """Yield every generation once, page by page, in the provider's order.

        Each page repeats the last *overlap* rows of the one before, so that rows removed from the list
        meanwhile hide no others. It ends after *max_requests* pages.

        With *status*, rows leave the list while it is read, and some may be missed: filter yourself if that
        matters.

        Raises:
            InvalidParameter: a value the API document does not allow, *overlap* below 0 or *max_requests*
                below 1; at the first row, and nothing was sent.
        """
        walk = Walk(page_size, overlap=overlap, max_pages=max_requests)
        while not walk.finished:
            page = await self.list(type=type, status=status, limit=walk.limit, offset=walk.offset)
            for generation in walk.take(page):
                yield generation

    async def wait(
        self,
        generation: Generation | str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # it ends in WaitTimeout, with what was last seen
        raise_on_failed: bool = True,
    ) -> Generation:
        """Wait until *generation* (or the one with this id) is finished.

        The event from a webhook is enough. If the client has events or a ledger, it checks those first and
        every second, and polls the provider only in between. *timeout* is in seconds; by default 300 for an
        image and 1200 for a video. Pass the generation rather than its id, so that the first poll is not too
        early.

        Raises:
            GenerationFailed: it failed and *raise_on_failed*.
            WaitTimeout: it was still processing; it may finish yet. A poll that the rate limit would delay
                beyond *timeout* is skipped; a running one is finished.
        """
        watch = Watch(generation, now=self._caller.clock(), timeout_s=timeout)
        await self._waiting.for_one(watch)
        return watch.result(raise_on_failed=raise_on_failed)

    async def wait_many(
        self,
        generations: Iterable[Generation | str],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # it ends in WaitTimeout, with what was last seen
    ) -> AsyncIterator[Generation]:
        """Yield each of *generations* (or those with these ids) once it is finished, failed or not.

        However many there are, one request for the list covers all on its newest page.
        *timeout* is in seconds, for each; by default 300 for an image and 1200 for a video.

        Raises:
            NotFound: at the end, if some do not exist; it names them.
            WaitTimeout: at the end, if some were still processing; `pending` names them.
        """
        group = Group(generations, now=self._caller.clock(), timeout_s=timeout)
        async for generation in self._waiting.for_many(group):
            yield generation

    async def download(
        self, generation: Generation | str, dest: str | Path, *, max_bytes: int = MAX_DOWNLOAD_BYTES
    ) -> Path:
        """Download the file of a completed generation, and return its path.

        *dest* is a file, which is replaced, or a folder: one that exists, or a string that ends in `/`, which
        is made. There the file is named after the generation, and replaces no different file. It appears
        complete or not at all. The asset's host never sees the API key.

        Raises:
            DownloadFailed: not completed, gone, cut short, or larger than *max_bytes*.
            NotFound: no such generation, or another account's.
            OSError: the file cannot be written there.
        """
        wanted = await self.get(generation) if isinstance(generation, str) else generation
        url = asset_url(wanted, self._caller.config.base_url)
        with Partial(wanted, dest, max_bytes=max_bytes) as partial:
            content_type = await self._caller.fetch(wanted.id, url, partial)
            return partial.keep(content_type)
