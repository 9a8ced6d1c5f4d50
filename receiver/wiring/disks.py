"""The folders on this machine whose disks may fill up."""

from pathlib import Path

from receiver.assets.folder import open_folder
from receiver.settings import Settings
from receiver.store.database_url import sqlite_file
from receiver.wiring.assets import own_bucket_urls


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
