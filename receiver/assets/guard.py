"""The two gates of every asset download: its URL, then each address it would dial.

A URL is read by the small grammar below and by nothing else, and the request is built from the parts found
here, so that no second parser can disagree about the host. It accepts what a browser accepts, unless some
parser could read that differently.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address, IPv6Network
from typing import Final, Literal

import idna

from receiver.assets.addresses import is_public
from receiver.assets.allowlist import Address, AllowList, parse_address
from receiver.assets.nat64 import embedded
from receiver.errors import ReceiverError

MAX_URL_CHARS: Final = 8192
MAX_HOST_CHARS: Final = 253

_URL: Final = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?]*)(?P<path>/[^?]*)?(?P<query>\?.*)?")
_NEVER_IN_A_URL: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ud800-\udfff\\\\]")
"""Control characters, line ends, lone surrogates, and the backslash, which some read as a slash."""
_TO_BE_ENCODED: Final = re.compile(r"[^!-~]")
_NAME: Final = r"(?:[A-Za-z0-9._-]|[^\x00-\x7f])+"
_IPV6: Final = r"[0-9A-Fa-f:.]+"
_AUTHORITY: Final = re.compile(
    rf"(?:(?P<name>{_NAME})|\[(?P<ipv6>{_IPV6})\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)
_HOST: Final = re.compile(
    rf"https?://({_NAME}|\[{_IPV6}\])(?::[0-9]{{1,5}})?(?:[/?#]| *$)", re.IGNORECASE | re.ASCII
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_TOP_LEVEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9]")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MAX_PORT: Final = 65535

# RFC 2606, 6761, 6762 (appendix G), 7686, 9476; ICANN's never-to-be-delegated names; and the names that
# routers, clusters and service meshes use internally.
_NOT_PUBLIC_TOP_LEVEL: Final = frozenset(
    (
        *("alt", "arpa", "example", "invalid", "local", "localhost", "onion", "test"),
        *("corp", "home", "internal", "intranet", "lan", "localdomain", "mail", "private", "workgroup"),
        *("cluster", "consul", "docker", "kubernetes", "svc"),
    )
)


class BlockedUrl(ReceiverError):
    """An asset URL that we refuse to fetch. The message says why, and never contains the query string."""

    code = "blocked_url"
    status = 422


class BlockedAddress(ReceiverError):
    """An address that we refuse to dial."""

    code = "blocked_address"
    status = 422


NOTHING_ALLOWED: Final = AllowList()


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be fetched, as the parts of a request."""

    scheme: Literal["https", "http"]
    host: str
    """In lower case and ASCII, without the root's dot; an IPv6 address without its brackets."""
    port: int
    path_and_query: str = field(repr=False)
    """The request target (RFC 9112), in ASCII; its query may be a credential."""

    @property
    def url(self) -> str:
        """The whole URL; its query may be a credential."""
        return f"{self.scheme}://{self.authority}{self.path_and_query}"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(
    url: object, *, allow: AllowList = NOTHING_ALLOWED, hosts: Sequence[str] | None = None
) -> Target:
    """Parse *url*, which may be any value that a sender chose.

    Args:
        url: https on port 443 of a public dotted name; over http or on other ports only what *allow* names.
        allow: networks and hosts that need not be public.
        hosts: allowed names, each with its subdomains; None for any public name.

    Raises:
        BlockedUrl: we refuse to fetch it.
    """
    match = _match(url)
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise BlockedUrl("only https is fetched")
    written, port = _host_and_port(match["authority"], _DEFAULT_PORTS[scheme])
    path_and_query = _encoded((match["path"] or "/") + (match["query"] or ""))
    target = Target("http" if scheme == "http" else "https", written.removesuffix("."), port, path_and_query)
    if not allow.matches(written, port):
        _require_public(target, hosts)
    return target


def asset_host(url: object) -> str | None:
    """Return the host that `check_url` would find in *url*, or None if nothing can be fetched from there.

    This runs for every accepted webhook, so it parses no further than the host.
    """
    found = _HOST.match(url) if isinstance(url, str) else None
    if found is None or len(found[1]) > MAX_HOST_CHARS + 1:
        return None
    try:
        host = to_ascii(found[1]).removesuffix(".")
    except ValueError:
        return None
    return host if 0 < len(host) <= MAX_HOST_CHARS else None


def to_ascii(host: str) -> str:
    """Return *host* as DNS knows it: in lower case, what is not ASCII by IDNA 2008 (RFC 5891).

    The mappings that browsers make before are made only as far as no other name can hide behind them: case,
    and composed characters.

    Raises:
        ValueError: a label is none.
    """
    if host.isascii():
        return host.lower()
    return ".".join(map(_label, host.split(".")))


def check_address(
    address: str, *, allow: AllowList = NOTHING_ALLOWED, nat64: Sequence[IPv6Network] = ()
) -> None:
    """Refuse *address*, as returned by a resolver, unless it is public or in *allow*.

    Within a prefix of *nat64*, the embedded IPv4 address decides.

    Raises:
        BlockedAddress: we refuse to dial it.
    """
    parsed = parse_address(address)
    if parsed is None or getattr(parsed, "scope_id", None):
        raise BlockedAddress(f"{address[:64]!r} is not a plain address")
    if not is_public(parsed, nat64=nat64) and not _is_allowed(parsed, allow, nat64):
        raise BlockedAddress(f"{parsed} is not a public address")


def _is_allowed(address: Address, allow: AllowList, nat64: Sequence[IPv6Network]) -> bool:
    inside = embedded(address, nat64) if isinstance(address, IPv6Address) else ()
    return allow.covers(address) or (len(inside) == 1 and allow.covers(inside[0]))


def _match(url: object) -> re.Match[str]:
    if not isinstance(url, str):
        raise BlockedUrl(f"a URL is text, not {type(url).__name__}")
    if len(url) > MAX_URL_CHARS:
        raise BlockedUrl(f"longer than {MAX_URL_CHARS} characters")
    if _NEVER_IN_A_URL.search(url):
        raise BlockedUrl("contains control characters or a backslash")
    sent, fragment, _ = url.rstrip(" ").partition("#")
    match = _URL.fullmatch(sent)
    if match is None:
        raise BlockedUrl("not of the form https://host/path")
    if fragment and not (match["path"] or match["query"]):
        raise BlockedUrl("a fragment directly follows the host")
    return match


def _encoded(text: str) -> str:
    """Percent-encode what a request may not contain, as browsers do; existing encoding stays."""
    return _TO_BE_ENCODED.sub(lambda char: "".join(f"%{octet:02X}" for octet in char[0].encode()), text)


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise BlockedUrl("the authority is not a plain host, or host:port")
    port = int(match["port"] or default_port)
    if port > _MAX_PORT:
        raise BlockedUrl("the port is out of range")
    try:
        return str(IPv6Address(match["ipv6"])) if match["ipv6"] else to_ascii(match["name"]), port
    except AddressValueError as error:
        raise BlockedUrl("malformed IPv6 address") from error
    except ValueError as error:
        raise BlockedUrl("the host is not a valid international name") from error


def _require_public(target: Target, hosts: Sequence[str] | None) -> None:
    if target.scheme != "https" or target.port != _DEFAULT_PORTS["https"]:
        raise BlockedUrl("only https on port 443 is fetched")
    if parse_address(target.host):
        raise BlockedUrl("a CDN has a name, not an address")
    labels = target.host.split(".")
    well_formed = len(target.host) <= MAX_HOST_CHARS and all(map(_LABEL.fullmatch, labels))
    if not well_formed or not _TOP_LEVEL.fullmatch(labels[-1]):
        raise BlockedUrl("the host is not a well-formed DNS name")
    if len(labels) == 1 or labels[-1] in _NOT_PUBLIC_TOP_LEVEL:
        raise BlockedUrl(f"{target.host} is not a public name")
    if hosts is not None and not any(_is_within(target.host, suffix) for suffix in hosts):
        raise BlockedUrl(f"{target.host} is not one of the CDN hosts allowed")


def _is_within(host: str, suffix: str) -> bool:
    name = suffix.lower().removeprefix(".")
    return host == name or host.endswith(f".{name}")


def _label(written: str) -> str:
    if written.isascii():  # may hold an underscore, which IDNA does not know
        return written.lower()
    label = unicodedata.normalize("NFC", written.lower())
    if label.isascii():
        raise ValueError("a letter that only looks like ASCII")
    return idna.alabel(label).decode()
