"""`receiver events mirror-now` and `release`: retry an asset now, or stop waiting for it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from receiver.cli.connection import load_settings_and_warn
from receiver.cli.console import events_of, note, use_store
from receiver.cli.exit_codes import ExitCode
from receiver.cli.output import say

if TYPE_CHECKING:
    from receiver.store import Store

Act = Callable[["Store", str, int], Awaitable[str | None]]
"""Act on an event, given how long to retry its asset; return what was done, or None."""

ids = click.argument("names", nargs=-1, required=True, metavar="ID...")


@click.command("mirror-now")
@ids
def mirror_now(*, names: tuple[str, ...]) -> None:
    """Make a worker retry the asset of each event or generation ID now.

    Also works if it was given up: it is retried for RECEIVER_ASSET_LATE_S, and a follow-up event is sent.
    """
    from receiver.operations import interventions

    async def act(store: "Store", id_: str, late_ms: int) -> str | None:
        return await interventions.hurry(store, id_, late_ms=late_ms) and "a worker retries its asset now"

    _each(names, act, "events.mirror-now", otherwise="it has no asset to mirror, or a worker is at it")


@click.command()
@ids
def release(*, names: tuple[str, ...]) -> None:
    """Forward each event or generation ID now, without waiting for the asset.

    The asset of a completion is retried for RECEIVER_ASSET_LATE_S; a follow-up event is sent if it arrives.
    """
    from receiver.operations import interventions

    async def act(store: "Store", id_: str, late_ms: int) -> str | None:
        done = await interventions.release(store, id_, late_ms=late_ms)
        return "it is forwarded without its asset" if done else None

    _each(names, act, "events.release", otherwise="it waits for no asset, or a worker is at it")


def _each(names: tuple[str, ...], act: Act, what: str, *, otherwise: str) -> None:
    """Apply *act* to the events in *names*; end with status 1 if there was nothing to do."""
    settings = load_settings_and_warn()
    late_ms = int(settings.asset_late_s * 1000)

    async def noted(store: "Store", id_: str) -> str | None:
        await note(store, what, id_)
        return await act(store, id_, late_ms)

    async def acting(store: "Store") -> bool:
        did_all = True
        for name in names:
            said = [(id_, await noted(store, id_)) for id_ in await events_of(store, name)]
            for id_, done in said:
                say(f"{id_}: {done or otherwise}")
            did_all &= any(done for _, done in said)
        return did_all

    if not use_store(settings, acting, records=True):
        raise SystemExit(ExitCode.FAILED)
