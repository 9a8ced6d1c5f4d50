"""Builds what erases the personal data of generations."""

from functools import partial

from receiver.assets.by_source import BucketsBySource
from receiver.operations.erasing import Erasing
from receiver.settings import Settings
from receiver.store import Store
from receiver.wiring.assets import open_kept
from receiver.wiring.sources import source_names


def build_erasing(settings: Settings, store: Store, buckets: BucketsBySource) -> Erasing:
    """Return what erases generations of every configured source."""
    return Erasing(store, buckets, partial(open_kept, settings), source_names(settings))
