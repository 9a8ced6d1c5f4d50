"""`receiver generations`: requested generations and their outcome."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from receiver.cli import records
from receiver.cli.advice import add_advice
from receiver.cli.connection import load_settings, open_client
from receiver.cli.output import json_option, progress, say, show_record, show_rows
from receiver.cli.waiting import DownloadPath, fetch, timeout_option
from receiver.contract import KINDS, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, STATUSES, Kind, Status

if TYPE_CHECKING:
    from receiver.client import ClientError, Generation

_ids = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.group()
def generations() -> None:
    """List generations, wait for them, download their files."""


@generations.command("list")
@click.option("--type", "kind", type=click.Choice(KINDS), help="Only this kind.")
@click.option("--status", type=click.Choice(STATUSES), help="Only this status.")
@click.option(
    "--limit", type=click.IntRange(1, PAGE_SIZE_MAX), help=f"Page size.  [default: {PAGE_SIZE_DEFAULT}]"
)
@click.option("--offset", type=click.IntRange(min=0), help="Number of rows to skip.")
@click.option("--all", "whole", is_flag=True, help="List every generation, page by page.")
@json_option
def list_(
    *,
    kind: Kind | None,
    status: Status | None,
    limit: int | None,
    offset: int | None,
    whole: bool,
    as_json: bool,
) -> None:
    """List generations, in the provider's order."""
    if whole and (limit is not None or offset is not None):
        raise click.UsageError("--all takes neither --limit nor --offset.")
    wanted, skipped = limit or PAGE_SIZE_DEFAULT, offset or 0
    with open_client(load_settings()) as client:
        found: Iterable[Generation] = (
            client.generations.iter(type=kind, status=status)
            if whole
            else client.generations.list(type=kind, status=status, limit=wanted, offset=skipped)
        )
        rows = (records.generation(one) for one in found)
        show_rows(rows, columns=records.GENERATION_COLUMNS, as_json=as_json)


@generations.command()
@_ids
@json_option
def get(*, ids: tuple[str, ...], as_json: bool) -> None:
    """Show the current state of generations."""
    with open_client(load_settings()) as client:
        _each(ids, lambda one: show_record(records.generation(client.generations.get(one)), as_json=as_json))


@generations.command()
@_ids
@timeout_option
@json_option
def wait(*, ids: tuple[str, ...], timeout: float | None, as_json: bool) -> None:
    """Wait for generations, and show each as it finishes."""
    from receiver.client import ClientError, GenerationFailed, NotFound, WaitTimeout

    failures: list[ClientError] = []
    with open_client(load_settings()) as client:
        try:
            for done in _watched(client.generations.wait_many(ids, timeout=timeout)):
                show_record(records.generation(done), as_json=as_json)
                if done.status == "failed":
                    failures.append(GenerationFailed(done))
        except (NotFound, WaitTimeout) as error:  # after all others
            if failures:  # else it is the one raised, and gets its advice there
                add_advice(error, "RECEIVER_API_KEY")
            failures.append(error)
        _raise_first(failures)


@generations.command()
@_ids
@click.option(
    "--to",
    "path",
    type=DownloadPath(),
    default=".",
    show_default=True,
    help="Folder, or a file name for a single generation.",
)
@json_option
def download(*, ids: tuple[str, ...], path: Path, as_json: bool) -> None:
    """Download the files of completed generations.

    In a folder, files are named after their generation. A file appears complete or not at all.
    """
    if len(ids) > 1 and not path.is_dir():
        raise click.BadParameter(
            f"{path} is not a folder, and {len(ids)} files would go there", param_hint="--to"
        )

    with open_client(load_settings()) as client:

        def keep(one: str) -> None:
            found = client.generations.get(one)
            file = fetch(client, found, path, as_json=as_json)
            show_record(records.generation(found, file), as_json=as_json)

        _each(ids, keep)


def _each(ids: Iterable[str], act: Callable[[str], None]) -> None:
    """Process every id, even after an error; then raise the first error."""
    from receiver.client import ClientError, DownloadFailed, NotFound

    failures: list[ClientError] = []
    for one in ids:
        try:
            act(one)
        except NotFound as error:
            error.add_note(f"There is no generation {one} in this account.")
            failures.append(error)
        except DownloadFailed as error:
            failures.append(error)
    _raise_first(failures)


def _raise_first(failures: "Sequence[ClientError]") -> None:
    """Raise the first of *failures*, having printed the others."""
    for failure in failures[1:]:
        say("\n".join([f"receiver: {failure}", *getattr(failure, "__notes__", ())]))
    if failures:
        raise failures[0]


def _watched(found: "Iterator[Generation]") -> "Iterator[Generation]":
    """Yield *found*, with a spinner while waiting for the next."""
    while True:
        with progress("waiting"):
            done = next(found, None)
        if done is None:
            return
        yield done
