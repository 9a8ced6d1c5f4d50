"""`receiver demo`: the whole main job on a laptop, in one command."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/demo"),
    show_default=True,
    help="Where the demo keeps its database, assets, messages and log.",
)
def demo(folder: Path) -> None:
    """Show the whole main job, without an account.

    Starts the sandbox (it stands in for the provider), the receiver, and a client that asks for some images
    and a video. Shows per generation when it was submitted, when its webhook came, that the repeat was not
    acted on, when its asset was mirrored and its message forwarded. Exits 1 if any step did not happen.
    """
    from receiver.cli.demonstration import run

    raise SystemExit(run(folder))
