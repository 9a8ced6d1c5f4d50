"""How botocore sends uploads, so that others can do the same without its call.

It shows the address of requests, the region they are signed for, and the credentials. One PutObject must go
through it first; the check at start does that.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.httpsession import create_urllib3_context
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SIGNATURE: Final = "s3v4"


class Address(NamedTuple):
    """The address of a store."""

    host: str
    port: int
    is_encrypted: bool


class Signed(NamedTuple):
    """A request's first line without the method, and its headers."""

    target: str
    headers: dict[str, str]


class _Signer(S3SigV4Auth):
    """Signs a body whose digest is known; the store refuses any other."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["sha256"])


@dataclass(frozen=True, slots=True)
class Way:
    """How one request was sent."""

    base_url: str
    """The URL of the bucket, before the key."""
    address: Address
    authority: str
    region: str
    service: str
    agent: str
    credentials: Credentials

    @property
    def is_stale(self) -> bool:
        """Whether credentials must be renewed, which blocks."""
        return isinstance(self.credentials, RefreshableCredentials) and self.credentials.refresh_needed()

    def signed(self, key: str, query: Mapping[str, str], headers: Mapping[str, str], sha256: str) -> Signed:
        """Return the PUT of a body with that digest.

        Raises:
            BotoCoreError: there are no credentials left.
        """
        keys: ReadOnlyCredentials = self.credentials.get_frozen_credentials()
        asked = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query.items())
        target = f"{_quoted(key)}?{asked}" if asked else _quoted(key)
        own = {"Host": self.authority, "User-Agent": self.agent}
        request = AWSRequest("PUT", f"{self.base_url}{target}", {**own, **headers})
        request.context["sha256"] = sha256
        _Signer(keys, self.service, self.region).add_auth(request)
        made: Any = request.headers
        return Signed(f"{urlsplit(self.base_url).path or '/'}{target}", dict(made.items()))


class ObservedWay:
    """How botocore sent the last PutObject; None if only botocore can do that."""

    def __init__(self, client: "S3Client", credentials: Callable[[], Credentials | None]) -> None:
        self.way: Way | None = None
        self._credentials = credentials
        client.meta.events.register("before-sign.s3.PutObject", self._observe)

    def _observe(self, request: Any, signature_version: str, **_named: Any) -> None:
        """Learn from a request; botocore calls this in the sending thread."""
        key = _quoted(str(request.context.get("input_params", {}).get("Key")))
        base_url, credentials = request.url.removesuffix(key), self._credentials()
        url, signing = urlsplit(base_url), request.context.get("signing", {})
        is_plain = (
            signature_version == _SIGNATURE
            and request.url == f"{base_url}{key}"
            and not url.query
            and not url.username
            and url.scheme not in get_environ_proxies(base_url)
        )
        if not (is_plain and credentials and url.hostname and "region" in signing):
            self.way = None
            return
        is_encrypted = url.scheme == "https"
        address = Address(url.hostname, url.port or (443 if is_encrypted else 80), is_encrypted)
        service, agent = signing.get("signing_name", "s3"), str(request.headers["User-Agent"])
        self.way = Way(base_url, address, url.netloc, signing["region"], service, agent, credentials)


def trusting(ca_file: str) -> ssl.SSLContext:
    """Return botocore's own context, with host names checked too, as urllib3 would.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    context: ssl.SSLContext = create_urllib3_context()
    context.check_hostname = True
    context.load_verify_locations(cafile=ca_file)
    return context


def _quoted(key: str) -> str:
    return quote(key, safe="/~")
