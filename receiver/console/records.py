"""Pages with lists: submissions, settings in effect, and the audit log."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from receiver.admin.parameters import query_cursor
from receiver.console.pages import Group, get, post
from receiver.errors import ReceiverError
from receiver.store.audit import deeds
from receiver.store.submitted import IN_DOUBT, open_submissions, submissions_by_name

_ROWS: Final = 50


class Records(Group):
    """The pages without queues."""

    @get("/submissions")
    async def submissions(self, request: Request) -> Response:
        """Those in doubt; all, by name, if requested."""
        store = self._parts.store
        doubtful = await store.transact(open_submissions, IN_DOUBT, limit=_ROWS)
        after = request.query_params.get("after", "").replace("\0", "") or None
        page = await store.transact(submissions_by_name, after=after, limit=_ROWS)
        return self._pages.page(request, "submissions.html", doubtful=doubtful, page=page, after=after)

    @post("/submissions/adopt")
    async def adopt(self, request: Request) -> Response:
        """Record that a submission in doubt became this generation."""
        ref, id_ = request.state.form.get("ref", ""), request.state.form.get("generation_id", "").strip()
        await self._note(request, "submissions.adopt", f"{ref} is {id_}")
        try:
            await self._parts.desk.adopt(ref, id_)
        except ReceiverError as error:
            return self._pages.back("/submissions", f"{ref} was not settled: {error}")
        return self._pages.back("/submissions", f"{ref} is {id_}.")

    @post("/submissions/abandon")
    async def abandon(self, request: Request) -> Response:
        """Record that a submission in doubt was never accepted."""
        ref = request.state.form.get("ref", "")
        await self._note(request, "submissions.abandon", ref)
        try:
            await self._parts.desk.abandon(ref)
        except ReceiverError as error:
            return self._pages.back("/submissions", f"{ref} was not settled: {error}")
        return self._pages.back("/submissions", f"{ref} may be requested again, and is then charged.")

    @get("/settings")
    async def settings(self, request: Request) -> Response:
        """The settings of this process."""
        return self._pages.page(request, "settings.html", settings=self._parts.settings)

    @get("/audit")
    async def audit(self, request: Request) -> Response:
        """What operators did, latest first."""
        after = query_cursor(request, 1)
        page = await self._parts.store.transact(deeds, after=after, limit=_ROWS)
        return self._pages.page(request, "audit.html", page=page)
