"""What the private listener is made of, over a real store."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from receiver.admin.gauges import Watched
from receiver.admin.parts import BucketAddress, Parts, Target
from receiver.admin.runner import Runner
from receiver.assets.by_source import BucketsBySource
from receiver.assets.folder import FolderBucket
from receiver.assets.kept import KeptDownloads
from receiver.client import NotFound, Submission
from receiver.operations.erasing import Erasing
from receiver.operations.pruning import Retention
from receiver.outcomes import Delivered, Outcome
from receiver.store import Store
from receiver.store.fanout import everywhere
from receiver.telemetry.refusals import Refusals

DAY_MS = 24 * 3600 * 1000


@dataclass
class Desk:
    """Remembers what it was asked for; knows every reference but `none`."""

    settled: list[tuple[str, str | None]] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)

    async def list(self, _state: str | None, _limit: int) -> list[Submission]:
        return [self._submission(ref, id_) for ref, id_ in self.settled]

    async def adopt(self, client_ref: str, generation_id: str, *, force: bool = False) -> Submission:
        self.forced.append(force)
        return self._settle(client_ref, generation_id)

    async def recover(self, client_ref: str) -> Submission:
        return self._settle(client_ref, "gen_found")

    async def abandon(self, client_ref: str) -> Submission:
        return self._settle(client_ref, None)

    def _settle(self, client_ref: str, generation_id: str | None) -> Submission:
        if client_ref == "none":
            raise NotFound("there is no submission none")
        self.settled.append((client_ref, generation_id))
        return self._submission(client_ref, generation_id)

    def _submission(self, client_ref: str, generation_id: str | None) -> Submission:
        state = "submitted" if generation_id else "refused"
        return Submission(client_ref, "image", {}, state, generation_id, sent_at=1.0)  # type: ignore[arg-type]


async def took() -> Outcome:
    """Take a test message."""
    return Delivered("at 7")


def parts_over(store: Store, runner: Runner, folder: Path, desk: Desk) -> Parts:
    """Return parts whose files are in *folder*."""
    buckets = BucketsBySource(FolderBucket(folder / "assets"))
    return Parts(
        store,
        Refusals(),
        runner,
        targets={name: Target("redis", took) for name in ("orders", "audit")},
        route=everywhere,
        buckets=buckets,
        addresses=[BucketAddress("*", "file:assets")],
        desk=desk,
        settings=[{"name": "RECEIVER_PORT", "value": "8000", "origin": "default", "is_secret": False}],
        late_s=3600,
        watched=Watched(paces={"of-key": "photoverse"}, folders={"spool": folder}),
        retention=Retention({"bodies": DAY_MS, "retained": DAY_MS}, per_s=100_000),
        erasing=Erasing(
            store, buckets, partial(KeptDownloads, folder / "spool", max_bytes=1_000), ["photoverse"]
        ),
    )
