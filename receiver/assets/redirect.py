"""Where a redirect leads: to a URL that passes the same gates as any other, or nowhere.

A redirect comes from the owner of the host, so it may do less than a signed URL.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urljoin

from receiver.assets.allowlist import parse_address
from receiver.assets.guard import BlockedUrl, Target
from receiver.assets.response import Headers, NotAcceptable, require_small, values

MAX_REDIRECTS: Final = 5

_STATUSES: Final = frozenset((301, 302, 303, 307, 308))


def next_url(status: int, headers: Headers, at: Target) -> str | None:
    """Return the URL that a response from *at* redirects to; None if it is not a redirect.

    Raises:
        NotAcceptable: it is a redirect that cannot be followed.
    """
    if status not in _STATUSES:
        return None
    require_small(headers)
    locations = set(values(headers, b"location"))
    if len(locations) != 1 or b"" in locations:
        raise NotAcceptable("redirect_location")
    try:
        return urljoin(at.url, locations.pop().decode())
    except ValueError as error:  # not UTF-8, or brackets without an address
        raise NotAcceptable("redirect_location") from error


def require_followable(target: Target, hops: Sequence[Target]) -> None:
    """Refuse *target*, which passed the URL gate, if it leads back, too far, or down from the last of *hops*.

    Raises:
        NotAcceptable: in a circle, or after too many others.
        BlockedUrl: it leaves https, or a name for an address.
    """
    if target in hops:
        raise NotAcceptable("redirect_loop")
    if len(hops) > MAX_REDIRECTS:
        raise NotAcceptable("redirect_limit")
    if hops[-1].scheme == "https" and target.scheme != "https":
        raise BlockedUrl("a redirect must not leave https")
    if parse_address(target.host) and not parse_address(hops[-1].host):
        raise BlockedUrl("a redirect must not lead from a name to an address")
