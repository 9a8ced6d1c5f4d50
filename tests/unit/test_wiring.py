"""The composition root: settings in, running parts out."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from receiver import wiring
from receiver.assets import Fetched, NotFetched
from receiver.assets.folder import FolderBucket
from receiver.assets.key_template import KeyTemplate
from receiver.assets.s3 import S3Bucket
from receiver.destinations.http import HttpEndpoint
from receiver.destinations.policy import DeliveryPolicy
from receiver.errors import BucketUnavailable, ConfigError
from receiver.settings import Settings
from receiver.store import Store
from tests.unit.work import MemoryBucket

SECRET = "whsec_0123456789abcdef"

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**fields: Any) -> Settings:
    return Settings(**fields)


class TestBuildStore:
    async def test_embedded_database_is_ready_at_once(self, folder: Path) -> None:
        """SQLite needs no command: its folder is made and its schema is there."""
        store = wiring.build_store(settings())
        await store.check()
        store.close()
        assert (folder / "data/receiver.db").exists()

    def test_postgres_is_not_migrated_by_starting(self) -> None:
        """A shared database is migrated by the release, so nothing is dialled here."""
        store = wiring.build_store(settings(database_url="postgresql://u@127.0.0.1:1/nowhere"))
        assert not store.is_embedded
        store.close()

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "nonsense",
            "mysql://h/d",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:////proc/none/receiver.db",
        ],
    )
    def test_unusable_url(self, url: str) -> None:
        """What is no durable database is refused by the name of its setting."""
        with pytest.raises(ConfigError, match="RECEIVER_DATABASE_URL"):
            wiring.build_store(settings(database_url=url))

    def test_wrong_routing(self) -> None:
        """Whatever runs, an expression that cannot be read stops its start."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__FILTER must be"):
            wiring.build_store(settings(destinations={"a": {"url": "stdout:", "filter": "kind ="}}))


class TestBuildRoutings:
    def test_one_per_destination(self) -> None:
        """Each destination has its own, in the order of the settings; without options it wants everything."""
        routings = wiring.build_routings(
            settings(destinations={"b": {"url": "stdout:", "kinds": "video"}, "a": {"url": "stdout:"}})
        )
        assert list(routings) == ["b", "a"]
        assert routings["b"].kinds == {"video"}
        assert not routings["a"].chooses

    def test_sources_that_there_are(self) -> None:
        """The default source may always be named, a further one where it is configured, no other."""
        acme = {"acme": {"secrets": SECRET}}
        named = {"a": {"url": "stdout:", "sources": "photoverse,acme"}}
        assert wiring.build_routings(settings(sources=acme, destinations=named))
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__SOURCES names acme"):
            wiring.build_routings(settings(destinations=named))


class TestBuildSources:
    def test_none(self) -> None:
        """Without a secret there is nothing to receive, and the message says which to set."""
        with pytest.raises(ConfigError, match="RECEIVER_WEBHOOK_SECRETS is not set"):
            wiring.build_sources(settings())

    def test_default_and_further(self) -> None:
        """The default source is called photoverse; each further one has its own header and the same mode."""
        acme = {"secrets": SECRET, "signature_header": "X-Acme"}
        sources = wiring.build_sources(
            settings(webhook_secrets=f"{SECRET},{SECRET}2", sources={"acme": acme}, signature_mode="raw")
        )
        assert sources["photoverse"].secrets == (SECRET.encode(), f"{SECRET}2".encode())
        assert sources["photoverse"].signature_header == "X-Webhook-Signature"
        assert (sources["acme"].name, sources["acme"].signature_header) == ("acme", "X-Acme")
        assert {source.mode for source in sources.values()} == {"raw"}

    @pytest.mark.parametrize("secrets", ["", "short", f"{SECRET},", f"{SECRET},short"])
    def test_weak_secret(self, secrets: str) -> None:
        """An empty or short secret lets anyone sign: refused by its setting and place, never by its value."""
        with pytest.raises(ConfigError, match="RECEIVER_WEBHOOK_SECRETS: signing secret") as refused:
            wiring.build_sources(settings(webhook_secrets=secrets))
        assert SECRET not in str(refused.value)
        with pytest.raises(ConfigError, match="RECEIVER_SOURCES__ACME__SECRETS"):
            wiring.build_sources(settings(sources={"acme": {"secrets": secrets}}))

    def test_default_source_named_twice(self) -> None:
        """Two places for the secrets of one source contradict each other; neither wins silently."""
        with pytest.raises(ConfigError, match="photoverse"):
            wiring.build_sources(
                settings(webhook_secrets=SECRET, sources={"photoverse": {"secrets": f"other{SECRET}"}})
            )


class TestOpenBucket:
    @pytest.mark.parametrize("url", ["file:data/assets", "file:///tmp/assets"])
    def test_folder(self, url: str) -> None:
        """`file:` is a folder."""
        assert isinstance(wiring.open_bucket(settings(assets_url=url)).default, FolderBucket)

    async def test_s3(self) -> None:
        """`s3:` is a bucket, at the endpoint that is set; nothing is dialled."""
        bucket = wiring.open_bucket(
            settings(assets_url="s3://bucket/p", s3_endpoint_url="http://127.0.0.1:1", s3_region="eu-west-1")
        )
        assert isinstance(bucket.default, S3Bucket)
        await bucket.aclose()

    @pytest.mark.parametrize("url", ["", "assets", "ftp://x", "s3://", "file:", "file://host/x"])
    def test_unusable(self, url: str) -> None:
        """Anything else is refused by the name of the setting."""
        with pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
            wiring.open_bucket(settings(assets_url=url))

    async def test_s3_options(self) -> None:
        """Every option of S3 reaches the requests."""
        bucket = wiring.open_bucket(
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
        ],
    )
    def test_unusable_s3_option(self, field: str, value: str) -> None:
        """A wrong option is refused by the name of its setting, before anything is dialled."""
        with pytest.raises(ConfigError, match=f"RECEIVER_{field.upper()}"):
            wiring.open_bucket(settings(assets_url="s3://bucket", **{field: value}))

    async def test_source_with_a_bucket_of_its_own(self, folder: Path) -> None:
        """A source may keep its assets elsewhere; the others stay where they were."""
        acme = {"secrets": SECRET, "assets_url": "file:acme"}
        bucket = wiring.open_bucket(settings(sources={"acme": acme, "other": {"secrets": SECRET}}))
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
            wiring.open_bucket(settings(sources={"acme": acme}))
        assert str(refused.value).startswith("RECEIVER_SOURCES__ACME__ASSETS_URL")


class TestBuildKeyTemplate:
    def test_default(self) -> None:
        """Unless set, names are those of every release before."""
        assert wiring.build_key_template(settings()) == KeyTemplate()

    def test_unusable(self) -> None:
        """A template that cannot name assets is refused by its variable, with the fields there are."""
        with pytest.raises(ConfigError, match=r"RECEIVER_ASSETS_KEY: .*\{generation_id\}"):
            wiring.build_key_template(settings(assets_key="{source}.png"))


class TestBuildFetcher:
    def test_unusable_spool_folder(self, folder: Path) -> None:
        """A folder that cannot be made is refused by its variable."""
        (folder / "file").touch()
        with pytest.raises(ConfigError, match="RECEIVER_SPOOL_DIR: cannot write to file/spool"):
            wiring.build_fetcher(settings(spool_dir="file/spool"))

    @pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "http://x"])
    @pytest.mark.parametrize("field", ["fetch_allow", "fetch_deny"])
    def test_unusable_list(self, field: str, entry: str) -> None:
        """A network that cannot be read is refused by its variable, never ignored."""
        with pytest.raises(ConfigError, match=f"RECEIVER_{field.upper()}"):
            wiring.build_fetcher(settings(**{field: entry}))

    async def test_own_names_are_never_fetched_from(self) -> None:
        """What the operator says is ours is refused before anyone is asked for its address."""
        fetcher = wiring.build_fetcher(settings(fetch_deny="hooks.example.com,my-bucket.s3.amazonaws.com"))
        for host in ("hooks.example.com", "my-bucket.s3.amazonaws.com"):
            assert await fetcher.fetch(f"https://{host}/x") == NotFetched("blocked_url", permanent=True)
        await fetcher.aclose()


class TestBuildDestination:
    async def test_passes_the_options_on(self) -> None:
        """Everything but the URL is the destination's own."""
        destination = wiring.build_destination("orders", {"url": "https://h.example/x", "timeout_s": "5"})
        assert isinstance(destination, HttpEndpoint)
        await destination.aclose()

    def test_without_url(self) -> None:
        """A destination must say where it is."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__ORDERS__URL is not set"):
            wiring.build_destination("orders", {"timeout_s": "5"})

    async def test_keeps_the_common_options(self) -> None:
        """What every destination has is none of a destination's own options, unless it has it itself."""
        options = {"url": "https://h.example/x", "RATE_LIMIT": "5", "concurrency": "3"}
        destination = wiring.build_destination("orders", options)
        assert destination.max_batch == 3
        assert wiring.delivery_policy("orders", options) == DeliveryPolicy(rate_limit=5.0)
        await destination.aclose()

    def test_mistyped_option(self) -> None:
        """An option of no use is refused by its variable."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__ORDERS__TIMEOUT"):
            wiring.build_destination("orders", {"url": "https://h.example/x", "timeout": "5"})


class TestOpenWorker:
    async def test_one_outlet_per_destination(self, folder: Path) -> None:
        """Each configured destination is forwarded to, at the size of its batches."""
        configured = settings(destinations={"a": {"url": "stdout:"}, "b": {"url": f"file:{folder}/b.jsonl"}})
        store = wiring.build_store(configured)
        async with wiring.open_worker(configured, store) as worker:
            assert [outlet.name for outlet in worker.outlets] == ["a", "b"]
            assert all(outlet.max_batch > 0 for outlet in worker.outlets)
        store.close()

    async def test_each_outlet_has_its_policy(self) -> None:
        """Batches, concurrency and rate are as configured; each destination has a breaker of its own."""
        options = {"url": "stdout:", "batch_size": "7", "concurrency": "3", "rate_limit": "0.5"}
        configured = settings(destinations={"a": options, "b": {"url": "stdout:"}})
        store = wiring.build_store(configured)
        async with wiring.open_worker(configured, store) as worker:
            a, b = worker.outlets
        store.close()
        assert (a.max_batch, a.concurrency, b.concurrency, b.rate) == (7, 3, 1, None)
        assert a.rate
        assert a.rate.take(10) == 1
        assert a.breaker is not b.breaker

    async def test_too_large_a_batch_is_refused(self) -> None:
        """A batch that the destination does not take stops the start, by the name of the setting."""
        configured = settings(destinations={"a": {"url": "https://h.example/x", "batch_size": "9"}})
        store = wiring.build_store(configured)
        with pytest.raises(ConfigError, match="DESTINATIONS__A__BATCH_SIZE must be at most 8"):
            async with wiring.open_worker(configured, store):
                pass
        store.close()

    async def test_common_options_are_not_the_destinations_own(self, folder: Path) -> None:
        """Routing is taken out before the destination reads its own options, and refuses others."""
        common = {"url": "stdout:", "kinds": "image", "filter": "data.asset", "projection": "asset"}
        configured = settings(destinations={"a": common})
        store = wiring.build_store(configured)
        async with wiring.open_worker(configured, store) as worker:
            assert [outlet.name for outlet in worker.outlets] == ["a"]
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__KIND is not an option"):
            async with wiring.open_worker(settings(destinations={"a": {**common, "kind": "image"}}), store):
                pass
        store.close()

    async def test_short_patience_is_short_for_late_assets_too(self, folder: Path) -> None:
        """The first pause of a late asset is ten minutes, or the patience if that is shorter."""
        for patience_s, first_s in [(3.0, 3.0), (24 * 3600.0, 600.0)]:
            configured = settings(asset_patience_s=patience_s, asset_late_s=60.0)
            store = wiring.build_store(configured)
            async with wiring.open_worker(configured, store) as worker:
                rules = getattr(worker.mirror_late, "keywords", {})["rules"]
            store.close()
            assert (rules.patience_s, rules.late_s, rules.late_backoff.first_s) == (patience_s, 60.0, first_s)

    async def test_unwritable_bucket_is_refused(self, folder: Path) -> None:
        """A folder that cannot be written stops the start, by the name of its setting."""
        (folder / "taken").write_text("a file")
        configured = settings(assets_url=f"file:{folder}/taken/assets")
        store = Store(f"sqlite:///{folder}/receiver.db")
        with pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
            async with wiring.open_worker(configured, store):
                pass
        store.close()

    async def test_silent_bucket_is_waited_for(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bucket that does not answer now may answer later: the start goes on, with a warning."""
        monkeypatch.setattr(wiring, "open_bucket", lambda _: MemoryBucket(BucketUnavailable("no answer")))
        store = Store(f"sqlite:///{folder}/receiver.db")
        with structlog.testing.capture_logs() as lines:
            async with wiring.open_worker(settings(), store):
                pass
        store.close()
        assert [line["log_level"] for line in lines] == ["warning"]

    async def test_closes_what_it_opened(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mistake in the second destination leaves the first one closed."""
        closed: list[str] = []

        class Opened:
            max_batch = 1

            def __init__(self, name: str) -> None:
                self.name = name

            async def aclose(self) -> None:
                closed.append(self.name)

        def open_first(name: str, _options: object) -> Opened:
            if name == "b":
                raise ConfigError("no")
            return Opened(name)

        monkeypatch.setattr(wiring, "build_destination", open_first)
        store = Store(f"sqlite:///{folder}/receiver.db")
        both = {"a": {"url": "stdout:"}, "b": {"url": "stdout:"}}
        with pytest.raises(ConfigError):
            async with wiring.open_worker(settings(destinations=both), store):
                pass
        store.close()
        assert closed == ["a"]


class TestBuildToken:
    def test_is_kept_beside_the_sqlite_file(self, folder: Path) -> None:
        """The next start finds the same one."""
        store = wiring.build_store(settings())
        assert wiring.build_token(settings(), store).text == wiring.build_token(settings(), store).text
        assert (folder / "data/admin-token").exists()
        store.close()

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "192.0.2.1"])
    def test_the_configured_one_counts_everywhere(self, folder: Path, host: str) -> None:
        """And no file is made."""
        store = wiring.build_store(settings())
        chosen = settings(admin_token=SECRET, admin_host=host)
        assert wiring.build_token(chosen, store).text == SECRET
        assert not (folder / "data/admin-token").exists()
        store.close()

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "receiver.internal"])
    def test_one_of_our_making_protects_only_loopback(self, host: str) -> None:
        """Somebody must have chosen what protects an address that others reach."""
        store = wiring.build_store(settings())
        with pytest.raises(ConfigError, match="RECEIVER_ADMIN_HOST"):
            wiring.build_token(settings(admin_host=host, admin_token=""), store)
        store.close()

    def test_postgres_has_no_place_for_one(self) -> None:
        """There must be a setting."""
        chosen = settings(database_url="postgresql://u@127.0.0.1:1/nowhere")
        store = wiring.build_store(chosen)
        with pytest.raises(ConfigError, match="RECEIVER_ADMIN_TOKEN is not set"):
            wiring.build_token(chosen, store)
        store.close()
