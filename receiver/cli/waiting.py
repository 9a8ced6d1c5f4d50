"""The common part of `image`, `video` and `generations`: wait, download, and print the outcome."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from receiver.cli import records
from receiver.cli.output import progress, say, show_record

if TYPE_CHECKING:
    from receiver.client import Client, Generation

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Maximum seconds to wait for one generation.  [default: 300; video: 1200]",
)


class DownloadPath(click.Path):
    """The target of a download. If it is not writable, it is refused before anything is requested or paid."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path. One that ends in a slash is a folder, made if it is not there."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            if str(value).endswith(os.sep):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.fail(f"{path}: {error.strerror}", param, ctx)
        folder = path if path.is_dir() else path.parent
        if not folder.is_dir():
            self.fail(f"{folder} is not a folder", param, ctx)
        if not os.access(folder, os.W_OK | os.X_OK):
            self.fail(f"{folder} cannot be written", param, ctx)
        return path


def finish(
    client: "Client",
    target: "Generation | str",
    *,
    timeout: float | None,
    download: Path | None,
    as_json: bool,
) -> None:
    """Wait for *target*, download its file if requested, and print the outcome.

    Raises:
        GenerationFailed: the provider could not make it.
        WaitTimeout: it was still processing; it was printed as last seen.
        DownloadFailed: it is completed, and was printed, but its file could not be downloaded.
    """
    from receiver.client import GenerationFailed

    done = _wait(client, target, timeout=timeout, as_json=as_json)
    if done.status == "failed":
        show_record(records.generation(done), as_json=as_json)
        raise GenerationFailed(done)
    file = None if download is None else fetch(client, done, download, as_json=as_json)
    show_record(records.generation(done, file), as_json=as_json)


def fetch(client: "Client", done: "Generation", download: Path, *, as_json: bool) -> Path:
    """Download the file of *done*. If that fails, print *done* without it.

    Raises:
        DownloadFailed: there is no file, or it was incomplete.
        click.ClickException: it cannot be written to *download*.
    """
    from receiver.client import DownloadFailed

    try:
        with progress(f"downloading {done.id}"):
            return client.generations.download(done, download)
    except DownloadFailed:
        show_record(records.generation(done), as_json=as_json)
        raise
    except OSError as error:
        show_record(records.generation(done), as_json=as_json)
        raise click.ClickException(f"{download}: {error.strerror}") from error


def _wait(
    client: "Client", target: "Generation | str", *, timeout: float | None, as_json: bool
) -> "Generation":
    from receiver.client import WaitTimeout

    name = target if isinstance(target, str) else target.id
    try:
        with progress(f"waiting for {name}"):
            return client.generations.wait(target, timeout=timeout, raise_on_failed=False)
    except WaitTimeout as error:
        if error.last is not None:
            show_record(records.generation(error.last), as_json=as_json)
        raise
    except KeyboardInterrupt:
        say(f"{name} continues at the provider: `receiver generations wait {shlex.quote(name)}`")
        raise
