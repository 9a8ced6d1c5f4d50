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
    help="Folder for database, assets, messages and log.",
)
def demo(folder: Path) -> None:
    """Run the whole pipeline once, without an account.

    Starts the sandbox (a stand-in for the provider), the receiver, and a client that requests images and a
    video. For each generation it shows when it was submitted, when its webhook arrived, that the repeat was
    deduped, and when its asset was mirrored and its message forwarded. Exits with status 1 if a step failed.
    """
    from receiver.cli.demonstration import run

    raise SystemExit(run(folder))
