"""The response gate, without a network."""

from datetime import UTC, datetime

import pytest

from receiver.assets import NotFetched
from receiver.assets.guard import BlockedUrl, Target
from receiver.assets.response import (
    MAX_HEAD_BYTES,
    MAX_REDIRECTS,
    RETRYABLE,
    Headers,
    NotAcceptable,
    declared_length,
    next_url,
    require_followable,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
AT = Target("https", "cdn.example.com", 443, "/a/b.png?sig=1")


def refused(status: int, *headers: tuple[bytes, bytes], said: bytes = b"") -> NotFetched:
    with pytest.raises(NotAcceptable) as refusal:
        declared_length(status, headers, max_bytes=1000, now=NOW, said=said)
    return refusal.value.outcome


class TestDeclaredLength:
    def test_content_length(self) -> None:
        """The declared length is returned, up to and including the cap."""
        headers: Headers = [(b"CONTENT-length", b"1000"), (b"Content-Encoding", b"Identity")]
        assert declared_length(200, headers, max_bytes=1000, now=NOW) == 1000

    def test_chunked(self) -> None:
        """A chunked body declares none."""
        assert declared_length(200, [(b"transfer-encoding", b"Chunked")], max_bytes=1, now=NOW) is None

    def test_uncertain_end(self, subtests: pytest.Subtests) -> None:
        """Anything but one plain length, or chunked alone, is refused: a cut body could look whole."""
        for headers in (
            (),
            ((b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")),
            ((b"Content-Length", b"5"), (b"Content-Length", b"5")),
            ((b"Transfer-Encoding", b"gzip, chunked"),),
            ((b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")),
            ((b"Content-Length", b"-5"),),
            ((b"Content-Length", b"+5"),),
            ((b"Content-Length", b"5, 5"),),
            ((b"Content-Length", b""),),
            ((b"Content-Length", b"9" * 5000),),
        ):
            with subtests.test(headers=headers):
                assert refused(200, *headers) == NotFetched("framing", permanent=True, may_appear=True)

    def test_head_too_large(self) -> None:
        """All header names and values together are bounded."""
        many = [(b"x", b"y" * 1000)] * (MAX_HEAD_BYTES // 1000 + 1)
        assert refused(200, *many, (b"Content-Length", b"5")).code == "framing"

    def test_over_the_cap(self) -> None:
        """A declared length over the cap is refused, however many digits it has."""
        for length in (b"1001", b"9" * 19):
            assert refused(200, (b"Content-Length", length)) == NotFetched("too_large", permanent=True)

    def test_declared_empty(self) -> None:
        """Zero bytes are no asset."""
        assert refused(200, (b"Content-Length", b"0")) == NotFetched("empty", permanent=True, may_appear=True)

    def test_compressed(self) -> None:
        """Any coding but identity is refused, wherever it stands."""
        ok = (b"Content-Length", b"5")
        assert refused(200, ok, (b"Content-Encoding", b"gzip")).code == "encoding"
        assert (
            refused(200, ok, (b"Content-Encoding", b"identity"), (b"content-encoding", b"br")).code
            == "encoding"
        )

    @pytest.mark.parametrize(
        "value", [b"", b" ", b"aws-chunked", b"AWS-chunked, identity", b"identity,identity", b",", b"utf-8"]
    )
    def test_not_compressed(self, value: bytes) -> None:
        """What names no coding codes nothing: stores replay such values as they were uploaded."""
        headers = ((b"Content-Length", b"5"), (b"Content-Encoding", value))
        assert declared_length(200, headers, max_bytes=5, now=NOW) == 5

    @pytest.mark.parametrize("value", [b"X-GZIP", b"aws-chunked,gzip", b"identity, zstd", b"br", b"deflate"])
    def test_compressed_among_others(self, value: bytes) -> None:
        """One coding among the tokens is enough."""
        assert refused(200, (b"Content-Length", b"5"), (b"Content-Encoding", value)).code == "encoding"

    @pytest.mark.parametrize("status", [200, 203, 218, 299])
    def test_successes(self, status: int) -> None:
        """What a proxy transformed is a file, too, and a success that nobody knows is one."""
        assert declared_length(status, [(b"Content-Length", b"5")], max_bytes=5, now=NOW) == 5

    @pytest.mark.parametrize("framing", [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")])
    def test_all_as_a_part(self, framing: tuple[bytes, bytes]) -> None:
        """A part that nobody asked for, and that holds all, is a file; its length is what the range says."""
        headers = [framing, (b"Content-Range", b"bytes 0-4/5")]
        assert declared_length(206, headers, max_bytes=5, now=NOW) == 5

    @pytest.mark.parametrize(
        "ranges",
        [
            (),
            (b"bytes 0-4/6",),
            (b"bytes 1-5/6",),
            (b"bytes 0-4/*",),
            (b"bytes 0-5/6",),
            (b"bytes 0-4/5",) * 2,
        ],
    )
    def test_a_part(self, ranges: tuple[bytes, ...]) -> None:
        """Any other part is none, nor is one whose length and range differ."""
        headers = [(b"Content-Range", each) for each in ranges]
        assert refused(206, (b"Content-Length", b"5"), *headers) == NotFetched(
            "http_206", permanent=True, may_appear=True
        )

    @pytest.mark.parametrize("status", [204, 205, 304])
    def test_no_content(self, status: int) -> None:
        """Statuses that mean no body are empty, not successes."""
        assert refused(status) == NotFetched("empty", permanent=True, may_appear=True)

    @pytest.mark.parametrize("status", [403, 404])
    def test_not_there(self, status: int) -> None:
        """What a URL gives that is not valid, or not yet, has one name, and says when to come back."""
        assert refused(status, (b"Retry-After", b"5")) == NotFetched(
            "expired", permanent=True, after_s=5, may_appear=True
        )

    def test_gone(self) -> None:
        """410 is final at once: no host says so of a file that is still to come."""
        assert refused(410, (b"Retry-After", b"5")) == NotFetched("expired", permanent=True)

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
    def test_said_to_have_expired(self, status: int) -> None:
        """The words of a refusal decide, and not its status; Azure has them in a header, too."""
        expired = NotFetched("expired", permanent=True)
        assert refused(status, said=b"<Code>ExpiredToken</Code>") == expired
        assert refused(status, (b"x-ms-error-code", b"AuthenticationFailed")) == expired

    @pytest.mark.parametrize("status", [400, 401])
    def test_said_to_be_denied(self, status: int) -> None:
        """So do those of a file that may only not be there yet."""
        assert refused(status, said=b"<Code>AccessDenied</Code>").code == "expired"
        assert refused(status, said=b"<Code>AccessDenied</Code>").may_appear

    def test_other_statuses(self, subtests: pytest.Subtests) -> None:
        """What no other row has carries its status, and holds once the file had time to appear."""
        for status in (101, 201, 202, 207, 208, 226, 300, 305, 400, 401, 409, 423, 451, 499):
            with subtests.test(status=status):
                assert refused(status, (b"Retry-After", b"5")) == NotFetched(
                    f"http_{status}", permanent=True, after_s=5, may_appear=True
                )

    def test_statuses_to_try_again(self, subtests: pytest.Subtests) -> None:
        """What a busy or broken server gives is retryable, when it asks for it."""
        for status in (408, 425, 429, 500, 502, 503, 504, 599):
            with subtests.test(status=status):
                assert refused(status, (b"Retry-After", b"5")) == NotFetched(
                    f"http_{status}", permanent=False, after_s=5
                )
                assert refused(status).after_s is None

    def test_when_to_try_again(self) -> None:
        """The first Retry-After counts, in any case: seconds, or a date counted from now."""
        twice = ((b"RETRY-after", b" 120 "), (b"Retry-After", b"5"))
        assert refused(503, *twice).after_s == 120
        assert refused(503, (b"Retry-After", b"Sun, 22 Nov 2026 12:01:00 GMT")).after_s == 60
        assert refused(503, (b"Retry-After", b"\xb2")).after_s is None

    def test_a_date_counts_from_the_servers_own(self) -> None:
        """How far its clock is from ours makes no difference."""
        dated = (b"date", b"Sun, 22 Nov 2020 12:00:30 GMT"), (b"retry-after", b"Sun, 22 Nov 2020 12:01:00")
        assert refused(503, *dated).after_s == 30


class TestNotAcceptable:
    def test_permanence_follows_the_code(self) -> None:
        """Only the codes in the table's retryable rows may succeed later."""
        assert all(not NotAcceptable(code).outcome.permanent for code in RETRYABLE)
        assert NotAcceptable("wrong_type").outcome.permanent

    @pytest.mark.parametrize(
        ("code", "may_appear"), [("wrong_type", True), ("too_large", False), ("dns", False)]
    )
    def test_what_time_may_mend(self, code: str, may_appear: bool) -> None:
        """A page in the place of a file may give way to it; a file that is too large is there already."""
        assert NotAcceptable(code).outcome.may_appear is may_appear


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
