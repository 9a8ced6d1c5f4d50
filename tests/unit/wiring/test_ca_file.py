"""A private certificate authority, for a real asset host and a real store that no other has signed."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, nullcontext
from pathlib import Path

import httpcore2
import pytest
import trustme
from botocore.exceptions import SSLError

from receiver.assets import Fetched, NotFetched
from receiver.assets.s3 import S3Bucket
from receiver.errors import ConfigError
from receiver.wiring.assets import build_fetcher, open_bucket
from tests.servers.assets import PNG
from tests.unit.wiring.configured import settings


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PNG)))
        self.end_headers()
        self.wfile.write(PNG)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a handshake that the client ended."""


@pytest.fixture
def host(folder: Path) -> Iterator[str]:
    """Serve over TLS under the name localhost, signed by the authority in `ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    server = Server(("127.0.0.1", 0), Answers)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class TestAssetHost:
    async def test_is_trusted(self, host: str) -> None:
        """An asset is fetched from a host that only the operator's authority has signed."""
        for ca_file, expected in ((None, NotFetched("tls", permanent=False)), ("ca.pem", None)):
            fetcher = build_fetcher(settings(fetch_allow=host, ca_file=ca_file))
            found = await fetcher.fetch(f"https://{host}/a.png")
            assert isinstance(found, Fetched) if expected is None else found == expected
            await fetcher.aclose()

    async def test_by_the_environment(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """`SSL_CERT_FILE` replaces the system's authorities, and a file of ours comes on top of it."""
        other = trustme.CA()
        other.cert_pem.write_to_path("other.pem")
        for ssl_cert_file, ca_file, is_trusted in (
            ("ca.pem", None, True),
            ("other.pem", None, False),
            ("other.pem", "ca.pem", True),
            ("ca.pem", "other.pem", True),
        ):
            monkeypatch.setenv("SSL_CERT_FILE", ssl_cert_file)
            fetcher = build_fetcher(settings(fetch_allow=host, ca_file=ca_file))
            assert isinstance(await fetcher.fetch(f"https://{host}/a.png"), Fetched) == is_trusted
            await fetcher.aclose()


class TestStore:
    @pytest.fixture
    def place(self, host: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        """Return the settings of a store at *host*, for which there is a key."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        return {
            "assets_url": "s3://bucket",
            "s3_endpoint_url": f"https://{host}",
            "s3_region": "eu-west-1",
        }

    async def test_is_trusted(self, place: dict[str, str]) -> None:
        """So is a store."""
        private = open_bucket(settings(**place, ca_file="ca.pem"))
        assert isinstance(private.default, S3Bucket)
        private.default.client.head_bucket(Bucket="bucket")
        await private.aclose()
        stranger = open_bucket(settings(**place))
        assert isinstance(stranger.default, S3Bucket)
        with pytest.raises(SSLError):
            stranger.default.client.head_bucket(Bucket="bucket")
        await stranger.aclose()

    async def test_by_the_environment(self, place: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        """`AWS_CA_BUNDLE` is boto3's own, until a file of ours is set."""
        trustme.CA().cert_pem.write_to_path("other.pem")
        for bundle, ca_file, is_trusted in (
            ("ca.pem", None, True),
            ("other.pem", None, False),
            ("other.pem", "ca.pem", True),
            ("ca.pem", "other.pem", False),
        ):
            monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
            bucket = open_bucket(settings(**place, ca_file=ca_file))
            assert isinstance(bucket.default, S3Bucket)
            with nullcontext() if is_trusted else pytest.raises(SSLError):
                bucket.default.client.head_bucket(Bucket="bucket")
            await bucket.aclose()


class TestWrongFile:
    def test_is_named_at_start(self, folder: Path) -> None:
        """A file that is missing, or holds something else, is refused by its variable."""
        (folder / "key.pem").write_text("no certificate")
        for ca_file in ("missing.pem", "key.pem", "."):
            with pytest.raises(ConfigError, match=r"RECEIVER_CA_FILE: .*(cannot read|holds no)"):
                build_fetcher(settings(ca_file=ca_file))
            with pytest.raises(ConfigError, match="RECEIVER_CA_FILE"):
                open_bucket(settings(assets_url="s3://bucket", s3_region="x", ca_file=ca_file))


class TestLoading:
    async def test_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The system's authorities take a while to load, and a process that starts is waited for."""
        loaded: list[ssl.SSLContext] = []

        def load(default: Callable[[], ssl.SSLContext] = httpcore2.default_ssl_context) -> ssl.SSLContext:
            loaded.append(default())
            return loaded[-1]

        monkeypatch.setattr(httpcore2, "default_ssl_context", load)
        trustme.CA().cert_pem.write_to_path(folder / "ca.pem")
        given = settings(ca_file="ca.pem", assets_url="s3://bucket")
        async with aclosing(open_bucket(given)), aclosing(build_fetcher(given)):
            assert len(loaded) == 1
