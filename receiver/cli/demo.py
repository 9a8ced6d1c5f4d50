"""`receiver demo`: the whole pipeline on a laptop, in one command."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/demo"),
    show_default=True,
    help="Folder for database, assets, messages and log.",
)
def demo(folder: Path) -> None:
    """Run the whole pipeline once, without an account.

    Starts the sandbox (a stand-in for the provider), the receiver, and a client that requests images and a
    video. It shows when each generation was submitted, when its webhook arrived, and that the repeat was
    deduped. It also shows when the asset was mirrored and the message forwarded. Exits with status 1 if a
    step failed.
    """
    from receiver.cli.demonstration import run

    raise SystemExit(run(folder))
