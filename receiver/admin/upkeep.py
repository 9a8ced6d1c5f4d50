"""The other routes for operators: status, history, submissions, settings, audit log, retention."""

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin import answers
from receiver.admin import parameters as asked
from receiver.admin.deeds import OF_API, note
from receiver.admin.endpoint import get, post
from receiver.admin.parts import Parts
from receiver.client import ClientError, InvalidParameter, NotFound
from receiver.errors import ConfigError
from receiver.operations import records, schemas
from receiver.operations.erasing import Wish
from receiver.operations.next_try import circumstances
from receiver.operations.pruning import prune_all
from receiver.operations.status import status_record, worker_records
from receiver.operations.timeline import history, stories
from receiver.store.audit import deeds
from receiver.submissions import Submission


class Upkeep:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    @get("/v1/status", schemas.Status)
    async def status(self, _request: Request, _given: None) -> Response:
        """Show the state of everything on one screen."""
        found = await self._parts.overview(clock.now_ms())
        return answers.json(status_record(found, self._parts.watched.paces))

    @get("/v1/workers", schemas.Listed[schemas.Worker])
    async def workers(self, _request: Request, _given: None) -> Response:
        """List workers."""
        found = await self._parts.overview(clock.now_ms())
        return answers.json({"data": worker_records(found)})

    @get("/v1/find", schemas.Listed[schemas.HistoryEntry], query=asked.Search)
    async def find(self, _request: Request, given: asked.Search) -> Response:
        """Show the history of an id, a reference or a URL."""
        found = await self._store.transact(stories, given.q)
        seen = await self._store.transact(circumstances, self._parts.configured, now_ms=clock.now_ms())
        return answers.json({"data": [entry for told in found for entry in history(told, seen)]})

    @get("/v1/config", schemas.Listed[schemas.Setting])
    async def config(self, _request: Request, _given: None) -> Response:
        """Show the settings."""
        return answers.json({"data": self._parts.settings})

    @get("/v1/audit", schemas.Page[schemas.Deed], query=asked.Paging)
    async def audit(self, _request: Request, given: asked.Paging) -> Response:
        """List what operators did."""
        after = asked.read_cursor(given.cursor, 1)
        page = await self._store.transact(deeds, after=after, limit=given.limit)
        return answers.page([records.record(schemas.Deed, one) for one in page.rows], page)

    @post("/v1/prune", schemas.Pruning, body=asked.Prune, begun=schemas.Pruning)
    async def prune(self, request: Request, given: asked.Prune) -> Response:
        """Remove data that is past its retention."""
        if given.dry_run:
            counted = await prune_all(self._store, self._parts.retention, dry_run=True)
            return answers.json({"state": "done", "dry_run": True, "rows": counted})
        await note(self._store, request, "prune")
        return answers.json(self._parts.runner.prune(self._parts.retention.at(given.rate)), 202)

    @get("/v1/prune", schemas.Pruning)
    async def pruned(self, _request: Request, _given: None) -> Response:
        """Show the progress of pruning."""
        return answers.json(self._parts.runner.pruning)

    @post("/v1/erase", schemas.Listed[schemas.Erased], body=asked.Erase)
    async def erase(self, request: Request, given: asked.Erase) -> Response:
        """Erase the personal data of generations.

        The store writes it down itself.
        """
        address = request.client.host if request.client else "unknown"
        wish = Wish(f"{OF_API} ({address})", given.asset, given.dry_run)
        done = await self._parts.erasing.erase(given.generation_ids, given.source, wish)
        return answers.json({"data": done})

    @get("/v1/submissions", schemas.Listed[schemas.Submission], query=asked.Submissions)
    async def submissions(self, _request: Request, given: asked.Submissions) -> Response:
        """List submissions."""
        found = await self._parts.desk.list(given.state, given.limit)
        return answers.json({"data": [records.submission_record(one) for one in found]})

    @post("/v1/submissions/adopt", schemas.Submission, body=asked.Adopt)
    async def adopt(self, request: Request, given: asked.Adopt) -> Response:
        """Settle a submission as this generation."""
        ref, id_ = given.client_ref, given.generation_id
        await note(self._store, request, "submissions.adopt", f"{ref} is {id_}")
        return await _settled(self._parts.desk.adopt(ref, id_, force=given.force))

    @post("/v1/submissions/recover", schemas.Submission, body=asked.Referred)
    async def recover(self, request: Request, given: asked.Referred) -> Response:
        """Find the generation of a submission."""
        await note(self._store, request, "submissions.recover", given.client_ref)
        return await _settled(self._parts.desk.recover(given.client_ref))

    @post("/v1/submissions/abandon", schemas.Submission, body=asked.Referred)
    async def abandon(self, request: Request, given: asked.Referred) -> Response:
        """Settle a submission as never accepted."""
        await note(self._store, request, "submissions.abandon", given.client_ref)
        return await _settled(self._parts.desk.abandon(given.client_ref))


async def _settled(work: Awaitable[Submission]) -> Response:
    try:
        return answers.json(records.submission_record(await work))
    except NotFound as error:
        raise answers.Refusal(404, "not_found", str(error)) from None
    except (InvalidParameter, ConfigError) as error:
        raise answers.invalid(str(error)) from None
    except ClientError as error:
        raise answers.Refusal(502, "provider_failed", str(error)) from None
