"""`receiver image` and `receiver video`: request generations, which cost credits."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from receiver.cli import records
from receiver.cli.advice import on_interruption
from receiver.cli.connection import load_settings_and_warn, open_client, open_ledger
from receiver.cli.filtering import with_options
from receiver.cli.output import Record, json_option, say, show_record
from receiver.cli.waiting import DownloadPath, finish, timeout_option
from receiver.contract import (
    IMAGE_ASPECT_RATIOS,
    IMAGE_FORMATS,
    VIDEO_ASPECT_RATIOS,
    VIDEO_SECONDS,
    Kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receiver.client import Client, Generation
    from receiver.settings import Settings

Parameters = dict[str, Any]
"""Options for the request's body, by the API document's names."""


@dataclass(frozen=True, slots=True)
class AskManner:
    """How to request, and what to do afterwards."""

    wait: bool
    timeout: float | None
    download: Path | None
    ref: str | None
    recover: bool
    max_credits: int | None
    dry_run: bool
    as_json: bool


_SHARED = (
    click.option("--model", metavar="ID", help="Model id, see `receiver models`."),
    click.option("--webhook-url", metavar="URL", help="URL the provider calls when it finishes."),
    click.option("--wait", is_flag=True, help="Wait until it finishes."),
    timeout_option,
    click.option(
        "--download",
        type=DownloadPath(),
        metavar="PATH",
        help="Wait, then save the file at PATH, or in PATH if it is a folder.",
    ),
    click.option(
        "--ref",
        metavar="REF",
        help="Your idempotency key, saved in the database before anything is sent. "
        "Using REF again returns the first generation.",
    ),
    click.option(
        "--recover",
        is_flag=True,
        help="If the answer is lost, search the provider's list for the generation.",
    ),
    click.option(
        "--max-credits", type=click.IntRange(min=0), metavar="N", help="Send nothing if the price is higher."
    ),
    click.option("--dry-run", is_flag=True, help="Print the request and its price; send nothing."),
    json_option,
)


@click.command()
@click.argument("prompt")
@click.option("--aspect-ratio", type=click.Choice(IMAGE_ASPECT_RATIOS))
@click.option("--format", "output_format", type=click.Choice(IMAGE_FORMATS), help="File format.")
@with_options(_SHARED)
def image(prompt: str, aspect_ratio: str | None, output_format: str | None, **given: Any) -> None:
    """Request an image of PROMPT.

    The provider chooses what you leave out. Requires RECEIVER_API_KEY.
    """
    _generate(
        "image", {"prompt": prompt, "aspect_ratio": aspect_ratio, "output_format": output_format}, given
    )


@click.command()
@click.argument("prompt")
@click.option("--aspect-ratio", type=click.Choice(VIDEO_ASPECT_RATIOS))
@click.option(
    "--duration",
    type=click.IntRange(VIDEO_SECONDS[0], VIDEO_SECONDS[-1]),
    metavar="SECONDS",
    help=f"{VIDEO_SECONDS[0]} to {VIDEO_SECONDS[-1]} seconds.",
)
@click.option("--first-frame", "first_frame_image", metavar="URL", help="URL of an image to start from.")
@with_options(_SHARED)
def video(
    prompt: str, aspect_ratio: str | None, duration: int | None, first_frame_image: str | None, **given: Any
) -> None:
    """Request a video of PROMPT.

    The provider chooses what you leave out. Requires RECEIVER_API_KEY.
    """
    wanted = {
        "prompt": prompt,
        "aspect_ratio": aspect_ratio,
        "duration": duration,
        "first_frame_image": first_frame_image,
    }
    _generate("video", wanted, given)


def _generate(kind: Kind, wanted: Parameters, given: Parameters) -> None:
    from receiver.telemetry.otlp import exporting

    wanted |= {"model": given.pop("model"), "webhook_url": given.pop("webhook_url")}
    parameters = {name: value for name, value in wanted.items() if value is not None}
    manner = AskManner(**given)
    settings = load_settings_and_warn()
    with exporting(), _client(settings, manner) as client:
        if manner.dry_run:
            request = _request(client, settings.api_base_url, kind, parameters)
            show_record(request, as_json=manner.as_json)
            return
        asked = _ask(client, kind, parameters, manner)
        if not (manner.wait or manner.download):
            show_record(records.generation(asked), as_json=manner.as_json)
            return
        cost = "" if asked.credits_charged is None else f": {asked.credits_charged} credits"
        say(f"{asked.id} was requested{cost}")
        finish(client, asked, timeout=manner.timeout, download=manner.download, as_json=manner.as_json)


@contextmanager
def _client(settings: "Settings", manner: AskManner) -> "Iterator[Client]":
    """Offer a client; it needs a database only to record REF."""
    if manner.ref is None or manner.dry_run:
        with open_client(settings) as client:
            yield client
        return
    with open_ledger(settings) as ledger, open_client(settings, ledger=ledger) as client:
        yield client


def _ask(client: "Client", kind: Kind, parameters: Parameters, manner: AskManner) -> "Generation":
    send = client.generate.image if kind == "image" else client.generate.video
    try:
        return send(
            **parameters,
            client_ref=manner.ref,
            on_unknown="recover" if manner.recover else "raise",
            max_credits=manner.max_credits,
        )
    except KeyboardInterrupt:
        say(on_interruption(manner.ref))
        raise


def _request(client: "Client", base_url: str, kind: Kind, parameters: Parameters) -> Record:
    """Return the request without the key, and its price."""
    from receiver.client import requests
    from receiver.client.paid_calls import model_of
    from receiver.client.parameters import image_body, video_body

    body = (image_body if kind == "image" else video_body)(**parameters)
    request = requests.generate(kind, body)
    model = model_of(kind, body)
    found = next((one for one in client.models.list(kind) if one.id == model), None)
    if found is None:
        say(f"The provider lists no {kind} model {model}: it would probably refuse.")
    return {
        "method": request.method,
        "url": request.url(base_url.rstrip("/")),
        "body": body,
        "credits": None if found is None else found.credits_per_generation,
    }
