"""Which store does what an asset needs: starts each that is on this machine, and lets our check judge it.

    python -m tests.field.stores            prints the table of docs/stores.md

A store that is not there is skipped, loudly. FIELD_BIN names a folder with their programs: `minio` and
`versitygw` (`go install github.com/minio/minio@latest`, `github.com/versity/versitygw/cmd/versitygw@latest`),
`garage` and `s3s-fs` (`cargo install garage`; `cargo install s3s-fs --features binary`), `s3rver` (npm).
SeaweedFS comes with `make setup`. `caddy`, `nginx` and `haproxy` are tried before it.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from receiver.assets import Fetched, Held
from receiver.assets.s3 import MIN_PART_BYTES, S3Bucket, open_s3
from receiver.assets.s3_options import Dialect, ObjectOptions
from receiver.errors import BucketUnavailable, ConfigError
from tests.field import gateways
from tests.servers import seaweedfs
from tests.servers.process import ServerProcess
from tests.servers.require import free_ports

KEY: Final = "GK111111111111111111111111"
SECRET: Final = "2222222222222222222222222222222222222222222222222222222222222222"
_BUCKET: Final = "field"
_WORKS: Final = "works"
_NO_KEY: Final = "GK999999999999999999999999"
_WRONG_CREDENTIALS: Final = ("wrong secret", "no such key")
_ASKED: Final = {
    "SSE": ObjectOptions.parse(sse="AES256"),
    "KMS": ObjectOptions.parse(sse="aws:kms", kms_key_id="field-key"),
    "class": ObjectOptions.parse(storage_class="STANDARD_IA"),
    "tags": ObjectOptions.parse(tags=("team=media",)),
}


@dataclass(frozen=True, slots=True)
class Store:
    """A store under way."""

    endpoint_url: str
    access_key: str = KEY
    secret_key: str = SECRET
    region: str = "us-east-1"


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('FIELD_BIN', '')}:{os.environ['PATH']}")


@contextmanager
def _started(argv: list[str], port: int, **env: str) -> Iterator[None]:
    process = ServerProcess(argv, port, env=env)
    process.start()
    try:
        yield
    finally:
        process.kill()


@contextmanager
def _minio(program: str, folder: Path) -> Iterator[Store]:
    port, console = free_ports(2)
    listen = ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}"]
    argv = [program, "server", *listen, str(folder)]
    with _started(argv, port, MINIO_ROOT_USER=KEY, MINIO_ROOT_PASSWORD=SECRET, MINIO_UPDATE="off"):
        yield Store(f"http://127.0.0.1:{port}")


@contextmanager
def _versitygw(program: str, folder: Path) -> Iterator[Store]:
    (port,) = free_ports(1)
    argv = [program, "--port", f"127.0.0.1:{port}", "posix", str(folder)]
    with _started(argv, port, ROOT_ACCESS_KEY=KEY, ROOT_SECRET_KEY=SECRET):
        yield Store(f"http://127.0.0.1:{port}")


@contextmanager
def _s3s_fs(program: str, folder: Path) -> Iterator[Store]:
    (port,) = free_ports(1)
    keys = ["--access-key", KEY, "--secret-key", SECRET]
    with _started([program, "--host", "127.0.0.1", "--port", str(port), *keys, str(folder)], port):
        yield Store(f"http://127.0.0.1:{port}")


@contextmanager
def _s3rver(program: str, folder: Path) -> Iterator[Store]:
    (port,) = free_ports(1)
    with _started([program, "-d", str(folder), "-a", "127.0.0.1", "-p", str(port)], port):
        yield Store(f"http://127.0.0.1:{port}", "S3RVER", "S3RVER")


@contextmanager
def _moto(program: str, _folder: Path) -> Iterator[Store]:
    (port,) = free_ports(1)
    with _started([program, "-H", "127.0.0.1", "-p", str(port)], port):
        yield Store(f"http://127.0.0.1:{port}")


@contextmanager
def _garage(program: str, folder: Path) -> Iterator[Store]:
    rpc, port = free_ports(2)
    config = folder / "garage.toml"
    config.write_text(
        f'metadata_dir = "{folder}/meta"\ndata_dir = "{folder}/data"\ndb_engine = "sqlite"\n'
        f'replication_factor = 1\nrpc_bind_addr = "127.0.0.1:{rpc}"\nrpc_public_addr = "127.0.0.1:{rpc}"\n'
        f'rpc_secret = "{"17" * 32}"\n[s3_api]\ns3_region = "garage"\napi_bind_addr = "127.0.0.1:{port}"\n'
    )

    def garage(*args: str) -> str:
        argv = [program, "-c", str(config), *args]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout

    with _started([program, "-c", str(config), "server"], port):
        node = garage("node", "id", "-q")[:16]
        garage("layout", "assign", "-z", "dc1", "-c", "1G", node)
        garage("layout", "apply", "--version", "1")
        garage("key", "import", "--yes", "-n", "field", KEY, SECRET)
        garage("key", "allow", "--create-bucket", KEY)
        yield Store(f"http://127.0.0.1:{port}", region="garage")


@contextmanager
def _seaweedfs(_program: str, _folder: Path) -> Iterator[Store]:
    with seaweedfs.running() as weed:
        yield Store(weed.s3.endpoint_url, weed.s3.access_key, weed.s3.secret_key)


@contextmanager
def _behind(gateway: str, program: str, folder: Path) -> Iterator[Store]:
    with seaweedfs.running() as weed:
        store = int(weed.s3.endpoint_url.rpartition(":")[2])
        with gateways.before(gateway, program, store, folder) as port:
            yield Store(f"http://127.0.0.1:{port}", weed.s3.access_key, weed.s3.secret_key)


_STORES: Final[dict[str, Callable[[str, Path], AbstractContextManager[Store]]]] = {
    "weed": _seaweedfs,
    # Before SeaweedFS:
    **{gateway: partial(_behind, gateway) for gateway in ("caddy", "nginx", "haproxy")},
    "minio": _minio,
    "versitygw": _versitygw,
    "garage": _garage,
    "s3s-fs": _s3s_fs,
    "s3rver": _s3rver,
    "moto_server": _moto,
}


def _create_bucket(store: Store) -> None:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=store.endpoint_url,
        region_name=store.region,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        config=Config(retries={"total_max_attempts": 10, "mode": "standard"}),
    )
    client.create_bucket(Bucket=_BUCKET)
    client.close()


def _opened(
    store: Store,
    *,
    bucket: str = _BUCKET,
    options: ObjectOptions | None = None,
    dialect: Dialect | None = None,
) -> S3Bucket:
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = store.access_key, store.secret_key
    return open_s3(
        f"s3://{bucket}/pre",
        endpoint_url=store.endpoint_url,
        region=store.region,
        options=options or ObjectOptions(),
        dialect=dialect or Dialect(),
        part_bytes=MIN_PART_BYTES,
    )


async def _verdict(bucket: S3Bucket) -> str:
    try:
        await bucket.check()
    except (ConfigError, BucketUnavailable) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await bucket.aclose()
    return _WORKS


def _asset(size_bytes: int) -> Fetched:
    data = secrets.token_bytes(size_bytes)
    return Fetched(None, size_bytes, hashlib.sha256(data).hexdigest(), "image/png", content=data)


async def _mirrored(bucket: S3Bucket) -> str:
    """Keep an asset, the same again, another under its name, and a large one; read what is there."""
    kept: list[tuple[str, Fetched]] = []
    asset = _asset(1000)
    try:
        for key, each in (
            ("a", asset),
            ("a", asset),
            ("a", _asset(1000)),
            ("b", _asset(2 * MIN_PART_BYTES + 7)),
        ):
            stored = await bucket.put(f"event-{key}.png", each, metadata={"event-id": f"event-{key}"})
            kept.append((bucket.key_of(stored.url) or "", each))
        for key, each in kept:
            if await bucket.read(key) != Held(each.size_bytes, each.sha256):
                return f"{key} holds other bytes"
            if (await bucket.look(key) or Held(0, "")).sha256 != each.sha256:
                return f"{key} tells another checksum"
    except BucketUnavailable as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await bucket.aclose()
    names = [key for key, _ in kept]
    return _WORKS if names[0] == names[1] and len(set(names)) == 3 else f"kept as {names}"


async def _judge(store: Store) -> dict[str, str]:
    found = {"conditional": await _verdict(_opened(store))}
    dialect = Dialect(conditional=found["conditional"] == _WORKS)
    for name, options in _ASKED.items():
        found[name] = await _verdict(_opened(store, options=options, dialect=dialect))
    found["then"] = await _verdict(_opened(store, dialect=dialect))
    found["mirrors"] = await _mirrored(_opened(store, dialect=dialect))
    wrong_secret = replace(store, secret_key=store.secret_key[::-1] + "x")
    found["wrong secret"] = await _verdict(_opened(wrong_secret, dialect=dialect))
    found["no such key"] = await _verdict(_opened(replace(store, access_key=_NO_KEY), dialect=dialect))
    found["no bucket"] = await _verdict(_opened(store, bucket="nowhere", dialect=dialect))
    return found


def _is_right(asked: str, said: str) -> bool:
    """Whether the store does what every store must, or we say that it does not."""
    if asked in ("then", "mirrors"):
        return said == _WORKS
    if asked in _WRONG_CREDENTIALS and said == _WORKS:
        return True  # a store for development that takes any (s3rver, moto)
    return asked not in (*_WRONG_CREDENTIALS, "no bucket") or said.startswith(ConfigError.__name__)


def main() -> int:
    """Judge every store that is there; return how many did not start, and rows that are wrong."""
    failed = 0
    for name, start in _STORES.items():
        program = _program(name) or _program(str(Path(sys.executable).with_name(name)))
        if program is None:
            sys.stderr.write(f"SKIPPED {name}: no such program on the path or in FIELD_BIN\n")
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"field-{name}-"))
        try:
            with start(program, folder) as store:
                _create_bucket(store)
                for asked, said in asyncio.run(_judge(store)).items():
                    sys.stdout.write(f"{name:10} {asked:12} {said}\n")
                    failed += not _is_right(asked, said)
        except (RuntimeError, subprocess.SubprocessError, ClientError, BotoCoreError) as error:
            failed += 1
            sys.stderr.write(f"FAILED {name}: {error}\n")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
