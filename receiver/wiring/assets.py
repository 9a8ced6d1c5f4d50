"""Where assets come from, where they go, and what they are called there."""

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar

from receiver.assets import ReadableBucket
from receiver.assets.allowlist import AllowList
from receiver.assets.by_source import BucketsBySource, own_mistake
from receiver.assets.digests import PART_BYTES
from receiver.assets.fetch import Fetcher
from receiver.assets.folder import WasUsed, open_folder
from receiver.assets.guard import to_ascii
from receiver.assets.kept import KeptDownloads
from receiver.assets.media import MEDIA_TYPES, parse_types
from receiver.assets.nat64 import parse_prefixes
from receiver.assets.object_keys import KeyTemplate
from receiver.assets.trust import require_certificate, trusting
from receiver.errors import ConfigError
from receiver.settings import Settings
from receiver.store import Store
from receiver.store.assets import has_assets_below
from receiver.store.database_url import sqlite_file

Value = TypeVar("Value")
Result = TypeVar("Result")

_SUFFIX: Final = re.compile(r"(?:\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)?")
"""A host with its subdomains; empty if the list is set but empty."""


def open_bucket(settings: Settings, store: Store | None = None) -> BucketsBySource:
    """Return the configured bucket, and the sources' own buckets; nothing is dialled yet.

    Their checks need *store*, which knows whether a folder should be empty.

    Raises:
        ConfigError: a bucket's address or option is malformed.
    """
    was_used = (lambda url: store.transact(has_assets_below, url)) if store else None
    default = _open_bucket(settings, settings.assets_url, was_used)
    own = {name: _open_own(settings, name, url, was_used) for name, url in own_bucket_urls(settings).items()}
    return BucketsBySource(default, own)


def own_bucket_urls(settings: Settings) -> dict[str, str]:
    """Return the address of each source's own bucket, by the source's name."""
    return {name: url for name, account in settings.sources.items() if (url := account.assets_url)}


def _open_own(settings: Settings, source: str, url: str, was_used: WasUsed | None) -> ReadableBucket:
    try:
        return _open_bucket(settings, url, was_used)
    except ConfigError as error:
        raise own_mistake(source, error) from error


def _open_bucket(settings: Settings, url: str, was_used: WasUsed | None) -> ReadableBucket:
    match url.partition(":")[0]:
        case "file":
            return open_folder(url, was_used=was_used)
        case "s3":
            from receiver.assets.s3 import open_s3  # noqa: PLC0415  boto3 is slow to import
            from receiver.assets.s3_options import Dialect, ObjectOptions  # noqa: PLC0415  of the same part

            _read(require_certificate, settings.ca_file, "ca_file")
            return open_s3(
                url,
                endpoint_url=settings.s3_endpoint_url or None,
                region=settings.s3_region,
                addressing_style=settings.s3_addressing_style,
                options=ObjectOptions.parse(
                    sse=settings.s3_sse,
                    kms_key_id=settings.s3_kms_key_id,
                    storage_class=settings.s3_storage_class,
                    tags=settings.s3_tags,
                ),
                dialect=Dialect(
                    conditional=settings.s3_conditional_writes, md5=settings.s3_checksums == "md5"
                ),
                ca_file=settings.ca_file,
                threads=8,
            )
        case _:
            raise ConfigError("write file:dir or s3://bucket/prefix", "assets_url")


def build_key_template(settings: Settings) -> KeyTemplate:
    """Return how assets are named.

    Raises:
        ConfigError: an asset could get an unsafe name, or the name of another.
    """
    return _read(KeyTemplate.parse, settings.assets_key, "assets_key")


def build_fetcher(settings: Settings) -> Fetcher:
    """Return the downloader of assets.

    Raises:
        ConfigError: an allowed or denied entry is not a network or host, a type or NAT64 prefix is unknown, a
            certificate is missing, or the spool folder cannot be created.
    """
    try:
        urls = (settings.assets_url, *own_bucket_urls(settings).values())
        return Fetcher(
            allow=_read(AllowList.parse, settings.fetch_allow, "fetch_allow"),
            deny_hosts=_read(AllowList.parse, settings.fetch_deny, "fetch_deny"),
            hosts=_asset_hosts(settings),
            types=_types(settings),
            spool_dir=Path(settings.spool_dir),
            max_bytes=settings.asset_max_bytes,
            part_bytes=PART_BYTES if any(url.startswith("s3:") for url in urls) else None,
            nat64_prefixes=_read(parse_prefixes, settings.nat64_prefixes, "nat64_prefixes"),
            total_timeout_s=settings.fetch_timeout_s,
            ssl_context=_read(trusting, settings.ca_file, "ca_file"),
            unnamed_ssl_context=cache(partial(trusting, settings.ca_file, check_name=False)),
        )
    except OSError as error:
        raise _unusable_spool(settings, error) from error


def open_kept(settings: Settings) -> KeptDownloads:
    """Return the downloads kept in the spool folder, which gets its id if it has none.

    Raises:
        ConfigError: the folder cannot be read or written.
    """
    kept = KeptDownloads(Path(settings.spool_dir), max_bytes=settings.spool_max_bytes)
    try:
        assert kept.spool
    except OSError as error:
        raise _unusable_spool(settings, error) from error
    return kept


def _unusable_spool(settings: Settings, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write to {settings.spool_dir}: {error.strerror}", "spool_dir")


def _read(parse: Callable[[Value], Result], value: Value, setting: str) -> Result:
    """Return the result of *parse* on a setting; errors name the setting."""
    try:
        return parse(value)
    except ValueError as error:
        raise ConfigError(str(error), setting) from error


def _types(settings: Settings) -> frozenset[str]:
    if settings.asset_types is None:
        return frozenset(MEDIA_TYPES)
    return _read(parse_types, settings.asset_types, "asset_types")


def _asset_hosts(settings: Settings) -> tuple[str, ...] | None:
    if settings.asset_hosts is None:
        return None
    return tuple(_asset_host(entry) for entry in settings.asset_hosts)


def _asset_host(entry: str) -> str:
    try:
        name = to_ascii(entry).removesuffix(".")
    except ValueError:
        name = "?"
    if not _SUFFIX.fullmatch(name):
        raise ConfigError(
            f"{entry!r} is not a host name; write cdn.example.com, which includes its subdomains",
            "asset_hosts",
        )
    return name


def watched_folders(settings: Settings) -> dict[str, Path]:
    """Return the folders that are written to, by their purpose.

    Raises:
        ConfigError: the address of the database or of a folder is wrong.
    """
    folders = {"spool": Path(settings.spool_dir)}
    own = {f"assets of {source}": url for source, url in own_bucket_urls(settings).items()}
    for use, url in {"assets": settings.assets_url, **own}.items():
        if url.startswith("file:"):
            folders[use] = open_folder(url).root
    if database := sqlite_file(settings.database_url.get_secret_value()):
        folders["database"] = database.parent
    return {use: folder.resolve() for use, folder in folders.items()}
