"""`receiver verify` and `receiver sign`: explain a failed signature, and create a valid one."""

import shlex
import time
from typing import TYPE_CHECKING

import click

from receiver.cli.connection import load_settings
from receiver.cli.moments import Moment
from receiver.cli.output import json_option, printable, show_json
from receiver.contract import SIGNATURE_TOLERANCE_S

if TYPE_CHECKING:
    from receiver.cli.diagnosis import Diagnosis
    from receiver.receive import Source
    from receiver.settings import Settings

_file_option = click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    default="-",
    metavar="BODY",
    help="File with the body.  [default: standard input]",
)
_at_option = click.option("--at", type=Moment(), metavar="TIME", help="Use this as the current time.")
_source_option = click.option(
    "--source",
    "name",
    metavar="NAME",
    help="Use this source.  [default: photoverse, else the first]",
)


@click.command()
@click.option(
    "--header",
    "headers",
    multiple=True,
    required=True,
    metavar="VALUE",
    help="The signature header, t=…,v1=…; repeatable.",
)
@_file_option
@_at_option
@click.option(
    "--tolerance",
    "tolerance_s",
    type=click.IntRange(min=0),
    default=SIGNATURE_TOLERANCE_S,
    show_default=True,
    metavar="SECONDS",
    help="Maximum seconds between signing time and current time.",
)
@_source_option
@json_option
def verify(
    *,
    headers: tuple[str, ...],
    file: str,
    at: float | None,
    tolerance_s: int,
    name: str | None,
    as_json: bool,
) -> None:
    """Check whether a webhook delivery is genuine.

    If not, names the signature rule that failed and its usual cause. The secrets come from
    RECEIVER_WEBHOOK_SECRETS. Exits with status 0 if it is genuine, else 1.
    """
    from receiver.cli.diagnosis import Delivery, diagnose

    sources = _sources(load_settings())
    source = _chosen(sources, name)
    delivery = Delivery(
        headers=[_value(header, source.signature_header) for header in headers],
        body=_read(file),
        secrets=source.secrets,
        now=time.time() if at is None else at,
        tolerance_s=tolerance_s,
        mode=source.mode,
        others=_others(sources, source),
    )
    diagnosis = diagnose(delivery)
    _show(diagnosis, as_json=as_json)
    raise SystemExit(0 if diagnosis.genuine else 1)


@click.command()
@_file_option
@_at_option
@_source_option
@click.option("--curl", is_flag=True, help="Print a curl command that sends the signed body.")
@click.option("--url", metavar="URL", help="URL for curl.  [default: the receiver on this machine]")
def sign(*, file: str, at: float | None, name: str | None, curl: bool, url: str | None) -> None:
    """Sign a body as the provider does, and print the header.

    Uses the first of RECEIVER_WEBHOOK_SECRETS.
    """
    from receiver.signatures import sign as signed

    settings = load_settings()
    source = _chosen(_sources(settings), name)
    body = _read(file)
    value = signed(body, secret=source.secrets[0], timestamp=int(time.time() if at is None else at))
    if not curl:
        click.echo(value)
        return
    target = url or f"http://127.0.0.1:{settings.port}/webhooks/{source.name}"
    click.echo(_curl(target, f"{source.signature_header}: {value}", file, body))


def _read(file: str) -> bytes:
    with click.open_file(file, "rb") as stream:
        body: bytes = stream.read()
        return body


def _sources(settings: "Settings") -> "dict[str, Source]":
    from receiver.wiring.sources import build_sources

    return build_sources(settings)


def _chosen(sources: "dict[str, Source]", name: str | None) -> "Source":
    from receiver.wiring.sources import DEFAULT_SOURCE

    wanted = name or (DEFAULT_SOURCE if DEFAULT_SOURCE in sources else next(iter(sources)))
    if wanted not in sources:
        raise click.BadParameter(
            f"there is no source {wanted}; there is {', '.join(sources)}", param_hint="--source"
        )
    return sources[wanted]


def _others(sources: "dict[str, Source]", chosen: "Source") -> dict[str, bytes]:
    return {
        f"secret {place} of the source {source.name}": secret
        for source in sources.values()
        if source is not chosen
        for place, secret in enumerate(source.secrets, start=1)
    }


def _value(header: str, name: str) -> str:
    """Return the value of a header that may have been copied with its name, and with blanks around it."""
    before, colon, after = header.partition(":")
    is_named = colon and before.strip().lower() == name.lower()
    return (after if is_named else header).strip(" \t")


def _show(diagnosis: "Diagnosis", *, as_json: bool) -> None:
    if as_json:
        shown = {"genuine": diagnosis.genuine, "rule": diagnosis.rule, "remarks": diagnosis.remarks}
        show_json(shown)
        return
    verdict = "genuine" if diagnosis.genuine else f"not genuine: {diagnosis.rule}"
    click.echo(printable("\n".join([verdict, *(f"  {remark}" for remark in diagnosis.remarks)])))


def _curl(url: str, header: str, file: str, body: bytes) -> str:
    data = _inline(body) if file == "-" else f"@{file}"
    words = ["curl", "-sS", url, "-H", "Content-Type: application/json", "-H", header, "--data-binary", data]
    return shlex.join(words)


def _inline(body: bytes) -> str:
    """Return *body* as an argument of curl."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or text.startswith("@"):
        raise click.UsageError("This body cannot be part of a command: save it to a file, and use --file.")
    return text
