"""`receiver sandbox`: the provider's API on loopback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from receiver.cli.behaviour import FaultOrder, Knob, Reading, Teaching, dialect_of

if TYPE_CHECKING:
    from receiver.sandbox import Knobs
    from receiver.sandbox.controls import QueuedFault

_RATE = click.FloatRange(0, 1)
_SECONDS = click.FloatRange(0)


@click.command(cls=Teaching)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8900,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--seed",
    type=int,
    help="Same seed, same keys, ids and random choices.  [default: those of 1, with new ids]",
)
@click.option(
    "--dialect",
    type=Reading(),
    multiple=True,
    metavar="default|random|NAME=VALUE",
    help="Readings of what the document leaves open: all of them (random uses --seed), or one switch, "
    "as in order=oldest_first. Repeatable.  [default: default]",
)
@click.option("--delay", type=_SECONDS, default=1.0, show_default=True, help="Seconds an image takes.")
@click.option(
    "--progression",
    type=click.Choice(["timed", "immediate", "manual"]),
    default="timed",
    show_default=True,
    help="What finishes a generation.",
)
@click.option(
    "--manual-clock",
    is_flag=True,
    help="Stop the clock; POST /__sandbox__/clock moves it.",
)
@click.option("--failure-rate", type=_RATE, default=0.0, show_default=True)
@click.option("--credits", type=click.IntRange(0), default=1_000_000, show_default=True)
@click.option(
    "--rate-limit",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Requests per minute and API key.",
)
@click.option("--loss-rate", type=_RATE, default=0.0, show_default=True, help="Share of webhooks never sent.")
@click.option(
    "--duplicate-rate", type=_RATE, default=0.05, show_default=True, help="Share of webhooks sent twice."
)
@click.option(
    "--reorder-rate",
    type=_RATE,
    default=0.0,
    show_default=True,
    help="Share of webhooks overtaken by the next one.",
)
@click.option(
    "--late-rate",
    type=_RATE,
    default=0.0,
    show_default=True,
    help="Share of webhooks first sent with an expired signature.",
)
@click.option("--asset-ttl", type=_SECONDS, help="Seconds a link to a file works.  [default: no limit]")
@click.option(
    "--knob",
    type=Knob(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Any knob, such as webhook_retries_s=1,2. Repeatable; overrides the options above.",
)
@click.option(
    "--fault",
    type=FaultOrder(),
    multiple=True,
    metavar="OPERATION:KIND[,NAME=VALUE]...",
    help="Make the next calls fail, such as generate.image:status=503,times=2. Repeatable.",
)
@click.option(
    "--webhook-secret",
    envvar="AVS_SANDBOX_WEBHOOK_SECRET",
    help="Signing secret of the webhooks.  [default: a public one]",
)
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the settings for a shell to this file.",
)
def sandbox(
    *,
    port: int,
    seed: int | None,
    dialect: tuple[str | tuple[str, Any], ...],
    manual_clock: bool,
    fault: "tuple[QueuedFault, ...]",
    webhook_secret: str | None,
    env_file: Path | None,
    **knobs: Any,
) -> None:
    """Run a stand-in for the provider on loopback.

    It answers API requests, creates real image and video files, and sends signed webhooks. A prompt that
    contains [fail] fails. You can change everything while it runs, under /__sandbox__. docs/sandbox.md
    explains that, and each name below.
    """
    from receiver.sandbox import DEFAULT_WEBHOOK_SECRET, ManualClock, Sandbox
    from receiver.telemetry import logs

    logs.configure(level="WARNING")
    secret = webhook_secret or DEFAULT_WEBHOOK_SECRET
    clock = ManualClock() if manual_clock else None
    running = Sandbox(
        port=port,
        seed=seed,
        knobs=_knobs(**knobs),
        dialect=dialect_of(dialect, 1 if seed is None else seed),
        webhook_secret=secret,
        clock=clock,
    )
    for queued in fault:
        running.fail(queued.operation, queued.fault, times=queued.times)
    with _held_signals() as stopped, running:
        session = running.session_cookie()
        exports = _EXPORTS.format(url=running.url, key=running.key(), secret=secret)
        if env_file:
            env_file.write_text(exports)
        settings = f". {env_file.resolve()}\n" if env_file else exports
        click.echo(_ADVICE.format(url=running.url, settings=indent(settings, "  "), session=session))
        stopped()


def _knobs(
    *, delay: float, asset_ttl: float | None, knob: tuple[tuple[str, Any], ...], **named: Any
) -> "Knobs":
    from receiver.sandbox import Knobs

    times = {"image_delay_s": delay, "video_delay_s": 2 * delay, "asset_ttl_s": asset_ttl}
    return Knobs(**{**named, **times, **dict(knob)})


@contextmanager
def _held_signals() -> Iterator[Callable[[], object]]:
    """Block the stop signals; yield a function that waits for one."""
    import signal

    asking = {signal.SIGINT, signal.SIGTERM}
    # Block them before any thread starts: a thread that does not block them would receive them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, asking)
    try:
        yield lambda: signal.sigwait(asking)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_EXPORTS = """\
export RECEIVER_WEBHOOK_SECRETS={secret}
export RECEIVER_FETCH_ALLOW=127.0.0.1
export RECEIVER_API_BASE_URL={url}
export RECEIVER_API_KEY={key}
"""

_ADVICE = """\
The sandbox listens on {url}. Stop it with Ctrl-C. In another terminal:

{settings}  receiver serve

and in a third, after the same settings:

  receiver image "a lighthouse" --wait --webhook-url http://127.0.0.1:8000/webhooks/photoverse

To manage API keys, send this session instead of a key:  Cookie: {session}
"""
