"""Pages that list: submissions, settings in effect, and the audit log."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.admin.parameters import path_text
from receiver.admin.parts import Parts
from receiver.console.deeds import Deeds
from receiver.console.guard import HOME
from receiver.console.pages import Pages
from receiver.errors import ReceiverError
from receiver.store.audit import deeds
from receiver.store.submitted import IN_DOUBT, open_submissions, submissions_by_name

_ROWS: Final = 50


class Records:
    """The pages without queues."""

    def __init__(self, parts: Parts, pages: Pages, log: Deeds) -> None:
        self._parts = parts
        self._pages = pages
        self._log = log

    def routes(self) -> list[Route]:
        """Return every route."""
        # A client's reference may hold a slash.
        one = f"{HOME}/submissions/{{ref:path}}"
        return [
            Route(f"{HOME}/submissions", self.submissions, methods=["GET"]),
            Route(f"{one}/adopt", self.adopt, methods=["POST"]),
            Route(f"{one}/abandon", self.abandon, methods=["POST"]),
            Route(f"{HOME}/settings", self.settings, methods=["GET"]),
            Route(f"{HOME}/audit", self.audit, methods=["GET"]),
        ]

    async def submissions(self, request: Request) -> Response:
        """Those in doubt; all, by name, if asked for."""
        store = self._parts.store
        doubtful = await store.transact(open_submissions, IN_DOUBT, limit=_ROWS)
        after = request.query_params.get("after", "").replace("\0", "") or None
        page = await store.transact(submissions_by_name, after=after, limit=_ROWS)
        return self._pages.page(request, "submissions.html", doubtful=doubtful, page=page, after=after)

    async def adopt(self, request: Request) -> Response:
        """A submission in doubt is this generation."""
        ref, id_ = path_text(request, "ref"), request.state.form.get("generation_id", "").strip()
        await self._log.note(request, "submissions.adopt", f"{ref} is {id_}")
        try:
            await self._parts.desk.adopt(ref, id_)
        except ReceiverError as error:
            return self._pages.back("/submissions", f"{ref} was not settled: {error}")
        return self._pages.back("/submissions", f"{ref} is {id_}.")

    async def abandon(self, request: Request) -> Response:
        """A submission in doubt was never accepted."""
        ref = path_text(request, "ref")
        await self._log.note(request, "submissions.abandon", ref)
        try:
            await self._parts.desk.abandon(ref)
        except ReceiverError as error:
            return self._pages.back("/submissions", f"{ref} was not settled: {error}")
        return self._pages.back("/submissions", f"{ref} may be asked for again, and is charged then.")

    async def settings(self, request: Request) -> Response:
        """The settings of this process."""
        return self._pages.page(request, "settings.html", settings=self._parts.settings)

    async def audit(self, request: Request) -> Response:
        """What operators did, the latest first."""
        before = request.query_params.get("before", "").replace("\0", "") or None
        page = await self._parts.store.transact(deeds, before=before, limit=_ROWS)
        return self._pages.page(request, "audit.html", page=page)
