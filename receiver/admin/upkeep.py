"""What else an operator looks at and does: status, history, submissions, settings, audit log, retention."""

from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin import answers
from receiver.admin import parameters as asked
from receiver.admin.deeds import OF_API, note
from receiver.admin.endpoint import Endpoint
from receiver.admin.parameters import path_text
from receiver.admin.parts import Parts
from receiver.client import ClientError, InvalidParameter, NotFound
from receiver.errors import ConfigError
from receiver.operations import records, schemas
from receiver.operations.erasing import Wish
from receiver.operations.finding import history, stories
from receiver.operations.pruning import prune_all
from receiver.operations.stages import overview
from receiver.operations.status import status_record, worker_records
from receiver.store.audit import deeds

T = TypeVar("T")


class Upkeep:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield every endpoint."""
        yield Endpoint("/v1/status", self.status, "Show one screen of what goes on", schemas.Status)
        yield Endpoint("/v1/workers", self.workers, "List workers", schemas.Listed[schemas.Worker])
        yield Endpoint(
            "/v1/find",
            self.find,
            "Show the history of an id, a reference or a URL",
            schemas.Listed[schemas.HistoryEntry],
            query=asked.Search,
        )
        yield Endpoint("/v1/config", self.config, "Show the settings", schemas.Listed[schemas.Setting])
        yield Endpoint(
            "/v1/audit",
            self.audit,
            "List what operators did",
            schemas.Page[schemas.Deed],
            query=asked.Paging,
        )
        yield Endpoint("/v1/prune", self.pruned, "Show how the last prune ended", schemas.Pruning)
        yield Endpoint(
            "/v1/prune",
            self.prune,
            "Remove data that is past its retention",
            schemas.Pruning,
            method="POST",
            body=asked.Prune,
            begun=schemas.Pruning,
        )
        yield Endpoint(
            "/v1/erase",
            self.erase,
            "Erase the personal data of generations",
            schemas.Listed[schemas.Erased],
            method="POST",
            body=asked.Erase,
        )
        yield from self._submissions()

    def _submissions(self) -> Iterator[Endpoint]:
        # A client's reference may hold a slash.
        one = "/v1/submissions/{ref:path}"
        settled: dict[str, Any] = {"answer": schemas.Submission, "method": "POST"}
        yield Endpoint(
            "/v1/submissions",
            self.submissions,
            "List submissions",
            schemas.Listed[schemas.Submission],
            query=asked.Submissions,
        )
        yield Endpoint(
            f"{one}/adopt", self.adopt, "A submission is this generation", body=asked.Adopt, **settled
        )
        yield Endpoint(
            f"{one}/recover", self.recover, "Find what a submission became", body=asked.Nothing, **settled
        )
        yield Endpoint(
            f"{one}/abandon", self.abandon, "A submission was never accepted", body=asked.Nothing, **settled
        )

    async def status(self, _request: Request, _given: None) -> Response:
        """Stages, dead letters, quarantine and workers."""
        names = tuple(self._parts.targets)
        found = await self._store.transact(overview, names, now_ms=clock.now_ms())
        return answers.json(status_record(found, self._parts.watched.paces))

    async def workers(self, _request: Request, _given: None) -> Response:
        """The latest seen first."""
        names = tuple(self._parts.targets)
        found = await self._store.transact(overview, names, now_ms=clock.now_ms())
        return answers.json({"data": worker_records(found)})

    async def find(self, _request: Request, given: asked.Search) -> Response:
        """What happened, and what happens next."""
        found = await self._store.transact(stories, given.q)
        return answers.json({"data": [entry for told in found for entry in history(told)]})

    async def config(self, _request: Request, _given: None) -> Response:
        """Of this process; secrets as fingerprints."""
        names = schemas.Setting.__annotations__
        settings = [{name: getattr(one, name) for name in names} for one in self._parts.settings]
        return answers.json({"data": settings})

    async def audit(self, _request: Request, given: asked.Paging) -> Response:
        """The latest first."""
        page = await self._store.transact(deeds, before=given.cursor, limit=given.limit)
        return answers.json(
            {
                "data": [
                    {
                        "id": one.id,
                        "at": records.moment(one.at_ms),
                        "who": one.who,
                        "what": one.what,
                        "on": one.on,
                    }
                    for one in page.rows
                ],
                "next_cursor": asked.write_cursor(page.cursor),
                "has_more": page.more,
            }
        )

    async def prune(self, request: Request, given: asked.Prune) -> Response:
        """Count, or remove in the background."""
        if given.dry_run:
            counted = await prune_all(self._store, self._parts.retention, dry_run=True)
            return answers.json({"state": "done", "dry_run": True, "rows": counted})
        await note(self._store, request, "prune")
        return answers.json(self._parts.runner.prune(self._parts.retention.at(given.rate)), 202)

    async def pruned(self, _request: Request, _given: None) -> Response:
        """How the one of this process ended."""
        return answers.json(self._parts.runner.pruning)

    async def erase(self, request: Request, given: asked.Erase) -> Response:
        """Erase, or show what would be; the store writes it down itself."""
        address = request.client.host if request.client else "unknown"
        wish = Wish(f"{OF_API} ({address})", given.asset, given.dry_run)
        done = await self._parts.erasing.erase(given.generation_ids, given.source, wish)
        return answers.json({"data": done})

    async def submissions(self, _request: Request, given: asked.Submissions) -> Response:
        """The latest first."""
        found = await self._parts.desk.list(given.state, given.limit)
        return answers.json({"data": [records.submission_record(one) for one in found]})

    async def adopt(self, request: Request, given: asked.Adopt) -> Response:
        """A submission in doubt is this generation."""
        ref = path_text(request, "ref")
        await note(self._store, request, "submissions.adopt", f"{ref} is {given.generation_id}")
        settled = await _settled(self._parts.desk.adopt(ref, given.generation_id, force=given.force))
        return answers.json(records.submission_record(settled))

    async def recover(self, request: Request, _given: asked.Nothing) -> Response:
        """Ask the provider what a submission in doubt became."""
        ref = path_text(request, "ref")
        await note(self._store, request, "submissions.recover", ref)
        return answers.json(records.submission_record(await _settled(self._parts.desk.recover(ref))))

    async def abandon(self, request: Request, _given: asked.Nothing) -> Response:
        """A submission in doubt was never accepted."""
        ref = path_text(request, "ref")
        await note(self._store, request, "submissions.abandon", ref)
        return answers.json(records.submission_record(await _settled(self._parts.desk.abandon(ref))))


async def _settled(work: Awaitable[T]) -> T:
    try:
        return await work
    except NotFound as error:
        raise answers.Refusal(404, "not_found", str(error)) from None
    except (InvalidParameter, ConfigError) as error:
        raise answers.invalid(str(error)) from None
    except ClientError as error:
        raise answers.Refusal(502, "provider_failed", str(error)) from None
