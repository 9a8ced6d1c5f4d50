"""`receiver config`: the settings in effect, without what is secret."""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.connection import load_settings
from receiver.cli.output import Record, json_option, show_rows

if TYPE_CHECKING:
    from receiver.settings import Settings

_COLUMNS: Final = {"setting": "setting", "value": "value", "origin": "from"}


@click.command()
@click.option("--all", "with_defaults", is_flag=True, help="Include settings at their default.")
@json_option
def config(*, with_defaults: bool, as_json: bool) -> None:
    """Show the settings in effect and where each comes from.

    Secrets appear as the first digits of their SHA-256, so you can compare two machines. URLs appear without
    password and query.
    """
    records = [one for one in _records(load_settings()) if with_defaults or one["origin"] != "default"]
    show_rows(records, columns=_COLUMNS, as_json=as_json)


def _records(settings: "Settings") -> Iterator[Record]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "sources":
            for source, account in value.items():
                for field in sorted(account.model_fields_set):
                    yield _record(settings, (name, source, field), getattr(account, field))
        elif name == "destinations":
            for destination, options in value.items():
                for option, text in options.items():
                    yield _record(settings, (name, destination, option), _option(option, text))
        else:
            yield _record(settings, (name,), value)


def _record(settings: "Settings", path: tuple[str, ...], value: Any) -> Record:
    from receiver.errors import variable
    from receiver.settings import CONFIG_FILE

    name = variable(*path)
    in_environment = name in os.environ or path[0].upper() in _platform_names(settings)
    is_set = path[0] in settings.model_fields_set
    origin = "environment" if in_environment else CONFIG_FILE if is_set else "default"
    return {"setting": name, "value": _shown(value), "origin": origin}


def _platform_names(settings: "Settings") -> set[str]:
    """Return the variables without our prefix that are read, too, and are set."""
    return {"PORT", "DATABASE_URL"} & os.environ.keys() if settings.model_fields_set else set()


def _option(name: str, text: str) -> Any:
    """Return an option of a destination; all but those that every destination has may be secret."""
    from receiver.wiring.destinations import common_options

    is_open = name == "url" or name in common_options() or not _may_be_secret(text)
    return text if is_open else _Secret(text)


def _may_be_secret(text: str) -> bool:
    """Whether *text* is more than a number or a flag."""
    return not text.isdigit() and text.lower() not in {"true", "false"}


class _Secret:
    """A text that is not shown."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return it, as pydantic's does."""
        return self._text


def _shown(value: Any) -> Any:
    from receiver.telemetry.redact import fingerprint, redact

    if hasattr(value, "get_secret_value"):
        text = value.get_secret_value()
        return redact(text) if "://" in text else f"sha256:{fingerprint(text)}"
    if isinstance(value, Mapping):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return redact(value) if isinstance(value, str) else value
