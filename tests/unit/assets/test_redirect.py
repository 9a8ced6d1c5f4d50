"""Where redirects lead, without a network."""

import pytest

from receiver.assets.guard import BlockedUrl, Target
from receiver.assets.redirect import MAX_REDIRECTS, next_url, require_followable
from receiver.assets.response import MAX_HEAD_BYTES, NotAcceptable

AT = Target("https", "cdn.example.com", 443, "/a/b.png?sig=1")


def target(host: str = "cdn.example.com", path: str = "/", *, scheme: str = "https") -> Target:
    return Target("http" if scheme == "http" else "https", host, 443, path)


class TestNextUrl:
    def test_resolves_as_browsers_do(self, subtests: pytest.Subtests) -> None:
        """A Location may be a whole URL or any part of one; the gates say if it may be followed."""
        for location, url in [
            (b"https://other.com/x?y=%41", "https://other.com/x?y=%41"),
            (b"//other.com/x", "https://other.com/x"),
            (b"/x", "https://cdn.example.com/x"),
            (b"c.png?sig=2", "https://cdn.example.com/a/c.png?sig=2"),
            (b"../c.png", "https://cdn.example.com/c.png"),
            (b"?sig=2", "https://cdn.example.com/a/b.png?sig=2"),
            ("/図.png".encode(), "https://cdn.example.com/図.png"),
            (b"http://other.com/", "http://other.com/"),
            (b"javascript:alert(1)", "javascript:alert(1)"),
        ]:
            for status in [301, 302, 303, 307, 308]:
                with subtests.test(location=location, status=status):
                    assert next_url(status, [(b"LOCATION", location)], AT) == url

    @pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 306, 404])
    def test_no_redirect(self, status: int) -> None:
        """No other status redirects, whatever it says."""
        assert next_url(status, [(b"Location", b"/x")], AT) is None

    @pytest.mark.parametrize("locations", [(), (b"",), (b"/a", b"/b"), (b"/\xff",), (b"https://[::1/",)])
    def test_leads_nowhere(self, locations: tuple[bytes, ...]) -> None:
        """Without one Location that can be read there is nowhere to go."""
        with pytest.raises(NotAcceptable) as refusal:
            next_url(302, [(b"Location", each) for each in locations], AT)
        assert refusal.value.outcome.code == "redirect_location"
        assert refusal.value.outcome.may_appear

    def test_said_twice(self) -> None:
        """The same Location twice is one."""
        assert next_url(302, [(b"Location", b"/x")] * 2, AT) == "https://cdn.example.com/x"

    def test_large_head(self) -> None:
        """A redirect's head is bounded as any other."""
        with pytest.raises(NotAcceptable, match="framing"):
            next_url(302, [(b"Location", b"/"), (b"x", b"y" * MAX_HEAD_BYTES)], AT)


class TestRequireFollowable:
    def test_another_place(self) -> None:
        """Another path, another host, and https after http are followed, five times."""
        hops = [target(path=f"/{n}", scheme="http") for n in range(MAX_REDIRECTS)]
        require_followable(target(), hops)
        require_followable(target("other.com"), hops)

    def test_circle(self) -> None:
        """A URL that was asked before would lead on as it did."""
        with pytest.raises(NotAcceptable, match="redirect_loop"):
            require_followable(target(path="/1"), [target(path="/1"), target(path="/2")])

    def test_too_far(self) -> None:
        """The sixth is not followed."""
        hops = [target(path=f"/{n}") for n in range(MAX_REDIRECTS + 1)]
        with pytest.raises(NotAcceptable, match="redirect_limit"):
            require_followable(target(), hops)

    @pytest.mark.parametrize(
        ("hop", "last"),
        [
            (target(scheme="http"), target(path="/x")),
            (target("10.0.0.5"), target()),
            (target("::1"), target("10.0.0.5.example.com")),
        ],
    )
    def test_down(self, hop: Target, last: Target) -> None:
        """No redirect leaves https, or a name for an address, whatever the operator allows."""
        with pytest.raises(BlockedUrl):
            require_followable(hop, [last])

    def test_from_address_to_address(self) -> None:
        """An allowed address may redirect to another one, which the URL gate has let through."""
        require_followable(target("10.0.0.6"), [target("10.0.0.5")])
