"""Reloads settings while the process runs: which ones can change, and whether they are valid."""

from collections.abc import Iterator
from typing import Final

from receiver import routing
from receiver.errors import variable
from receiver.settings import Settings, SourceSettings
from receiver.wiring.destinations import build_destination, is_pulled
from receiver.wiring.pull import check_pull
from receiver.wiring.sources import build_sources
from receiver.wiring.stores import build_routings
from receiver.wiring.worker import fingerprints, is_wanted, open_outlet

_RENEWED: Final = ("webhook_secrets", "signature_mode", "destinations", "forward_attempts", "pull_token")
_RENEWED_OF_SOURCES: Final = ("secrets", "signature_header")


def renewed(old: Settings, new: Settings) -> Settings:
    """Return *old* with those settings of *new* that can change while the process runs."""
    sources = {name: _source(old.sources.get(name), one) for name, one in new.sources.items()}
    values = {name: getattr(new, name) for name in _RENEWED}
    return old.model_copy(update={**values, "sources": sources})


def used_by_worker(settings: Settings) -> object:
    """Return the reloadable settings that a worker uses, including secrets if it reports on them."""
    marks = fingerprints(settings) if is_wanted(settings) else None
    return settings.destinations, settings.forward_attempts, sorted(settings.sources), marks


def changed(old: Settings, new: Settings) -> list[str]:
    """Return the variables that differ; for destinations and sources, one per option."""
    found = [
        variable(name)
        for name in Settings.model_fields
        if name not in ("sources", "destinations") and getattr(old, name) != getattr(new, name)
    ]
    return [*found, *_changed_sources(old, new), *_changed_destinations(old, new)]


async def check_renewed(settings: Settings, *, with_web: bool, pulls: bool) -> None:
    """Refuse unusable settings; nothing is dialled.

    Raises:
        ConfigError: a secret, a destination or its routing is wrong; the message names the setting.
    """
    if with_web:
        build_sources(settings)
    build_routings(settings)
    if pulls:
        check_pull(settings)
    for name, options in settings.destinations.items():
        if is_pulled(options):
            build_destination(name, routing.take(name, options)[1])
        else:
            async with open_outlet(settings, name, options):
                pass


def _source(old: SourceSettings | None, new: SourceSettings) -> SourceSettings:
    kept = old or SourceSettings(secrets=())
    return kept.model_copy(update={name: getattr(new, name) for name in _RENEWED_OF_SOURCES})


def _changed_sources(old: Settings, new: Settings) -> Iterator[str]:
    for name in sorted({*old.sources, *new.sources}):
        before, after = old.sources.get(name), new.sources.get(name)
        for field in SourceSettings.model_fields:
            if getattr(before, field, None) != getattr(after, field, None):
                yield variable("sources", name, field)


def _changed_destinations(old: Settings, new: Settings) -> Iterator[str]:
    for name in sorted({*old.destinations, *new.destinations}):
        before, after = old.destinations.get(name, {}), new.destinations.get(name, {})
        for option in sorted({*before, *after}):
            if before.get(option) != after.get(option):
                yield variable("destinations", name, option)
