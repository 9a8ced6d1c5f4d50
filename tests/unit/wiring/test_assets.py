"""Where assets come from, go to, and what they are called there."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from receiver.assets import Fetched, NotFetched
from receiver.assets.digests import PART_BYTES
from receiver.assets.folder import FolderBucket
from receiver.assets.guard import BlockedUrl
from receiver.assets.object_keys import KeyTemplate
from receiver.assets.s3 import S3Bucket
from receiver.errors import ConfigError
from receiver.wiring.assets import build_fetcher, build_key_template, open_bucket, watched_folders
from tests.unit.wiring.configured import SECRET, settings


class TestOpenBucket:
    @pytest.mark.parametrize("url", ["file:data/assets", "file:///tmp/assets"])
    def test_folder(self, url: str) -> None:
        """`file:` is a folder."""
        assert isinstance(open_bucket(settings(assets_url=url)).default, FolderBucket)

    async def test_s3(self) -> None:
        """`s3:` is a bucket, at the endpoint that is set; nothing is dialled."""
        bucket = open_bucket(
            settings(assets_url="s3://bucket/p", s3_endpoint_url="http://127.0.0.1:1", s3_region="eu-west-1")
        )
        assert isinstance(bucket.default, S3Bucket)
        await bucket.aclose()

    @pytest.mark.parametrize("url", ["", "assets", "ftp://x", "s3://", "file:", "file://host/x"])
    def test_unusable(self, url: str) -> None:
        """Anything else is refused by the name of the setting."""
        with pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
            open_bucket(settings(assets_url=url))

    async def test_s3_options(self) -> None:
        """Every option of S3 reaches the requests."""
        bucket = open_bucket(
            settings(
                assets_url="s3://bucket",
                s3_region="eu-west-1",
                s3_addressing_style="path",
                s3_sse="aws:kms",
                s3_kms_key_id="alias/media",
                s3_storage_class="STANDARD_IA",
                s3_tags="team=media,of={source}",
            )
        )
        assert isinstance(bucket.default, S3Bucket)
        assert bucket.default.options.parameters({"source": "acme"}) == {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "alias/media",
            "StorageClass": "STANDARD_IA",
            "Tagging": "team=media&of=acme",
        }
        config: Any = bucket.default.client.meta.config
        assert config.s3 == {"addressing_style": "path"}
        await bucket.aclose()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("s3_kms_key_id", "alias/media"),
            ("s3_storage_class", "cold storage"),
            ("s3_tags", "team"),
            ("s3_endpoint_url", "minio:9000"),
            ("s3_region", "eu west"),
        ],
    )
    def test_unusable_s3_option(self, field: str, value: str) -> None:
        """A wrong option is refused by the name of its setting, before anything is dialled."""
        with pytest.raises(ConfigError, match=f"RECEIVER_{field.upper()}"):
            open_bucket(settings(assets_url="s3://bucket", **{field: value}))

    async def test_source_with_a_bucket_of_its_own(self, folder: Path) -> None:
        """A source may keep its assets elsewhere; the others stay where they were."""
        acme = {"secrets": SECRET, "assets_url": "file:acme"}
        bucket = open_bucket(settings(sources={"acme": acme, "other": {"secrets": SECRET}}))
        (folder / "spooled").write_bytes(b"png")
        asset = Fetched(folder / "spooled", 3, hashlib.sha256(b"png").hexdigest(), "image/png")
        for source, root in (("acme", "acme"), ("other", "data/assets"), ("photoverse", "data/assets")):
            stored = await bucket.put(f"{source}.png", asset, metadata={"source": source})
            assert stored.url == (folder / root / f"{source}.png").as_uri()

    @pytest.mark.parametrize("url", ["assets", "s3://", "file:"])
    def test_unusable_bucket_of_a_source(self, url: str) -> None:
        """It is refused by its own variable, not by the common one."""
        acme = {"secrets": SECRET, "assets_url": url}
        with pytest.raises(ConfigError) as refused:
            open_bucket(settings(sources={"acme": acme}))
        assert str(refused.value).startswith("RECEIVER_SOURCES__ACME__ASSETS_URL")


class TestBuildKeyTemplate:
    def test_default(self) -> None:
        """Unless set, names are those of every release before."""
        assert build_key_template(settings()) == KeyTemplate()

    def test_unusable(self) -> None:
        """A template that cannot name assets is refused by its variable, with the fields there are."""
        with pytest.raises(ConfigError, match=r"RECEIVER_ASSETS_KEY: .*\{generation_id\}"):
            build_key_template(settings(assets_key="{source}.png"))


class TestBuildFetcher:
    def test_unusable_spool_folder(self, folder: Path) -> None:
        """A folder that cannot be made is refused by its variable."""
        (folder / "file").touch()
        with pytest.raises(ConfigError, match="RECEIVER_SPOOL_DIR: cannot write to file/spool"):
            build_fetcher(settings(spool_dir="file/spool"))

    @pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "http://x"])
    @pytest.mark.parametrize("field", ["fetch_allow", "fetch_deny"])
    def test_unusable_list(self, field: str, entry: str) -> None:
        """A network that cannot be read is refused by its variable, never ignored."""
        with pytest.raises(ConfigError, match=f"RECEIVER_{field.upper()}"):
            build_fetcher(settings(**{field: entry}))

    @pytest.mark.parametrize("prefix", ["", "fd00::/95", "10.0.0.0/8"])
    def test_unusable_nat64_prefix(self, prefix: str) -> None:
        """What is no prefix of NAT64 is refused by its variable."""
        with pytest.raises(ConfigError, match="RECEIVER_NAT64_PREFIXES"):
            build_fetcher(settings(nat64_prefixes=prefix))

    @pytest.mark.parametrize(
        "hosts",
        [
            *("b\u2044c.de", "cdn.example.com,\u212a.de", "*.example.com", "https://cdn.example.com"),
            *("cdn.example.com:443", "cdn.example.com/x", "a..b"),
        ],
    )
    def test_unusable_asset_host(self, hosts: str) -> None:
        """A host that is no name, and would let nothing through, is refused by its variable."""
        with pytest.raises(ConfigError, match="RECEIVER_ASSET_HOSTS"):
            build_fetcher(settings(asset_hosts=hosts))

    @pytest.mark.parametrize("types", ["", "image/svg+xml", "png"])
    def test_unusable_types(self, types: str) -> None:
        """A type that is never kept is refused by its variable, and so is an empty list."""
        with pytest.raises(ConfigError, match="RECEIVER_ASSET_TYPES"):
            build_fetcher(settings(asset_types=types))

    async def test_parts(self) -> None:
        """Only what goes to S3 is hashed in its parts, too."""
        for url, part_bytes in (("file:data/assets", None), ("s3://my-bucket/x", PART_BYTES)):
            fetcher = build_fetcher(settings(assets_url=url))
            assert fetcher._part_bytes == part_bytes
            await fetcher.aclose()

    @pytest.mark.parametrize("hosts", ["", ()], ids=["environment", "file"])
    async def test_no_host_at_all(self, hosts: object) -> None:
        """A list that is set and empty lets no public host through, wherever it was set."""
        fetcher = build_fetcher(settings(asset_hosts=hosts))
        assert await fetcher.fetch("https://example.com/x") == NotFetched("blocked_url", permanent=True)
        await fetcher.aclose()

    async def test_international_asset_host(self) -> None:
        """A name may be written as people write it; what is allowed goes on to the name servers."""
        fetcher = build_fetcher(settings(asset_hosts="Bücher.invalid-cdn.com.,.example.org"))
        for name in ("bücher.invalid-cdn.com", "example.org", "a.example.org"):
            fetcher._admit(f"https://{name}/x")
        with pytest.raises(BlockedUrl):
            fetcher._admit("https://invalid-cdn.com/x")
        await fetcher.aclose()

    async def test_own_names_are_never_fetched_from(self) -> None:
        """What the operator says is ours is refused before anyone is asked for its address."""
        fetcher = build_fetcher(settings(fetch_deny="hooks.example.com,my-bucket.s3.amazonaws.com"))
        for host in ("hooks.example.com", "my-bucket.s3.amazonaws.com"):
            assert await fetcher.fetch(f"https://{host}/x") == NotFetched("blocked_url", permanent=True)
        await fetcher.aclose()


class TestWatchedFolders:
    def test_everything_that_is_written_here(self, tmp_path: Path) -> None:
        """The spool folder, each folder of assets, and the folder of an SQLite file."""
        found = watched_folders(
            settings(
                spool_dir=str(tmp_path / "spool"),
                assets_url=f"file:{tmp_path}/assets",
                database_url=f"sqlite:///{tmp_path}/db/receiver.db",
                sources={
                    "acme": {"secrets": "whsec_0123456789abcdef", "assets_url": f"file:{tmp_path}/acme"}
                },
            )
        )
        assert found == {
            "spool": tmp_path / "spool",
            "assets": tmp_path / "assets",
            "assets of acme": tmp_path / "acme",
            "database": tmp_path / "db",
        }

    def test_what_is_elsewhere(self) -> None:
        """A bucket and a server have disks of their own."""
        found = watched_folders(
            settings(assets_url="s3://bucket", database_url="postgresql://me@db.example.com/receiver")
        )
        assert list(found) == ["spool"]
