"""The URL and address gates: the shared vectors, spellings, and properties."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.assets.allowlist import AllowList
from receiver.assets.guard import BlockedAddress, BlockedUrl, asset_host, check_address, check_url, to_ascii
from receiver.errors import ReceiverError
from tests.unit.assets.conftest import vectors

PUBLIC_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+(?:[a-z]{2,}|xn--[a-z0-9-]+)")


class TestCheckUrl:
    def test_vectors(self, subtests: pytest.Subtests) -> None:
        """Each hostile URL is refused and each honest one let through, as the shared vectors say."""
        for row in vectors("url"):
            with subtests.test(row["why"]):
                if row["must"] == "allow":
                    check_url(row["url"], hosts=row.get("host_allowlist"))
                else:
                    with pytest.raises(BlockedUrl):
                        check_url(row["url"], hosts=row.get("host_allowlist"))

    def test_refuses_every_other_host(self, subtests: pytest.Subtests) -> None:
        """Only a public dotted name, alone or with :443, is a host we fetch from."""
        for authority in [
            *("", "localhost", "cdn", "a.localhost", "x.test", "x.example", "x.invalid", "x.onion", "x.alt"),
            *(
                "metadata.google.internal",
                "1.0.0.127.in-addr.arpa",
                "x.svc",
                "a.b.svc.cluster.local",
                "x.lan",
            ),
            *(
                "2130706433",
                "0177.0.0.1",
                "1.2.3",
                "1.2.3.4",
                "1.2.3.0x4",
                "0x7f.1",
                "127.0.0.1.",
                "x.com..",
                "com.",
            ),
            *("[::1]", "[::ffff:127.0.0.1]", "[::1", "::1", "[fe80::1%25lo]", "[v1.x]", "[]", "[1.2.3.4]"),
            *("user@x.com", "user:pw@x.com", "@x.com", "x.com:443@y.com", "x.com:80", "x.com:", "x.com:0443"),
            *("x.com:443:443", "x.com:65979", "x.com:99999", "x.com:+443", "x.com:443\u0661", "x.com,y.com"),
            *(
                "-x.com",
                "x-.com",
                "x.c",
                "x.c0m",
                "x.xn--",
                "x.xn--a-",
                "x.-com",
                ".x.com",
                ".com",
            ),
            *(
                "x.com%2e",
                "x%2ecom",
                "x.com\u3002",
                "\uff58.com",
                "x.com\0",
                "x.com\x7f",
                "x.com\t",
                "x.com;",
            ),
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}.com",
        ]:
            with subtests.test(authority=authority), pytest.raises(BlockedUrl):
                check_url(f"https://{authority}/x")

    def test_refuses_every_other_form(self, subtests: pytest.Subtests) -> None:
        """Nothing but https://host/path?query, with no control in it, is a URL here."""
        for url in [
            *(
                "https:///x",
                "https:/x.com/",
                "https//x.com",
                "://x.com",
                "https:\\\\x.com",
                "https://x.com\\@y.com",
            ),
            *(
                "https://x.com/\\y",
                "https://x.com/#\\",
                "https://x.com#@y.com/",
                "https://x.com/\ud83d",
                "https://x.com/\n",
            ),
            *(
                "https://x.com/\x85",
                " https://x.com/",
                "https://x.com/\u2028",
                "javascript:alert(1)",
                "ftp://x.com/",
                "HTTP://x.com/",
            ),
            *("http://x.com:443/", "https+x://x.com/", "jar:https://x.com/!/", b"https://x.com/", 1, {}, 1.5),
        ]:
            with subtests.test(url=url), pytest.raises(BlockedUrl):
                check_url(url)

    def test_returns_the_parts_of_the_request(self) -> None:
        """The scheme and host are lowered; path and query are kept byte for byte."""
        target = check_url("HTTPS://CDN.Example.COM:443/a%2Fb/../c;d?X-Sig=%41&y=/?")
        assert (target.scheme, target.host, target.port) == ("https", "cdn.example.com", 443)
        assert target.path_and_query == "/a%2Fb/../c;d?X-Sig=%41&y=/?"
        assert target.authority == "cdn.example.com"

    @pytest.mark.parametrize(("suffix", "path"), [("", "/"), ("?q=/", "/?q=/"), ("/", "/")])
    def test_request_target_begins_with_a_slash(self, suffix: str, path: str) -> None:
        """A URL without a path asks for /."""
        assert check_url(f"https://cdn.example.com{suffix}").path_and_query == path

    def test_what_browsers_take(self, subtests: pytest.Subtests) -> None:
        """What no request may hold is encoded, once and in UTF-8; a fragment is not sent."""
        for written, sent in (
            ("/a b.png", "/a%20b.png"),
            ("/図/é.png?q=ü", "/%E5%9B%B3/%C3%A9.png?q=%C3%BC"),
            ("/\U0001f468\u200d\U0001f467.png", "/%F0%9F%91%A8%E2%80%8D%F0%9F%91%A7.png"),
            ("/a%20b%2Fc.png?sig=%41+/=", "/a%20b%2Fc.png?sig=%41+/="),
            ("/100%.png", "/100%.png"),
            ("/a.mp4?b#t=0.1", "/a.mp4?b"),
            ("/#?@:/", "/"),
            ("?a#b", "/?a"),
            ("/a.png  ", "/a.png"),
        ):
            with subtests.test(written=written):
                assert check_url(f"https://cdn.example.com{written}").path_and_query == sent

    def test_names_that_browsers_take(self, subtests: pytest.Subtests) -> None:
        """A root dot is left out; a name that is not ASCII is what DNS knows it by, and gated as that."""
        for written, host in (
            ("CDN.example.com.", "cdn.example.com"),
            ("my_bucket.s3.amazonaws.com", "my_bucket.s3.amazonaws.com"),
            ("_a_.example.com", "_a_.example.com"),
            ("bücher.example.com", "xn--bcher-kva.example.com"),
            ("BÜCHER.Example.COM.", "xn--bcher-kva.example.com"),
            ("bu\u0308cher.a_b.com", "xn--bcher-kva.a_b.com"),
            ("straße.de", "xn--strae-oqa.de"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ):
            with subtests.test(written=written):
                target = check_url(f"https://{written}/a")
                assert (target.host, target.authority) == (host, host)
                with pytest.raises(BlockedUrl):
                    check_url(f"https://{written}/a", hosts=["example.org"])

    def test_longest_url(self) -> None:
        """8,192 characters are taken, one more is not."""
        url = "https://cdn.example.com/".ljust(8192, "a")
        check_url(url)
        with pytest.raises(BlockedUrl, match="8192"):
            check_url(url + "a")

    @pytest.mark.parametrize(
        "url", ["http://cdn.example.com/x?sig=hunter2", "https://u:hunter2@x.com/", "x?sig=hunter2"]
    )
    def test_says_why_without_secrets(self, url: str) -> None:
        """The message has no query string and no credentials, and neither has a target's repr."""
        with pytest.raises(BlockedUrl) as refusal:
            check_url(url)
        assert "hunter2" not in str(refusal.value)
        assert "hunter2" not in repr(check_url("https://cdn.example.com/x?sig=hunter2"))

    @pytest.mark.parametrize("host", ["example.com", "cdn.example.com", "a.b.example.com"])
    def test_hosts_match_on_a_label_boundary(self, host: str) -> None:
        """A CDN suffix covers itself and its subdomains, however it is written."""
        for suffix in ("example.com", ".example.com", "Example.COM"):
            assert check_url(f"https://{host}/x", hosts=["other.net", suffix]).host == host

    @pytest.mark.parametrize("hosts", [(), ("example.org",), ("com.example",), ("",)])
    def test_hosts_refuse_every_other(self, hosts: tuple[str, ...]) -> None:
        """A list of hosts, even an empty one, is the whole list."""
        with pytest.raises(BlockedUrl):
            check_url("https://cdn.example.com/x", hosts=hosts)

    @pytest.mark.parametrize(
        ("url", "authority"),
        [
            ("http://127.0.0.1:9000/x", "127.0.0.1:9000"),
            ("https://127.9.9.9/x", "127.9.9.9"),
            ("http://[::1]:80/x", "[::1]"),
            ("http://[0:0:0:0:0:0:0:1]:81/x", "[::1]:81"),
            ("http://localhost/x", "localhost"),
            ("https://LOCALHOST:1/x", "localhost:1"),
            ("http://minio_1:9000/x", "minio_1:9000"),
        ],
    )
    def test_allowed_hosts_need_not_be_public(self, url: str, authority: str) -> None:
        """What the operator allows is fetched over http too, on any port, and whatever *hosts* says."""
        allow = AllowList.parse(["127.0.0.0/8", "::1", "localhost", "minio_1:9000"])
        assert check_url(url, allow=allow, hosts=["example.com"]).authority == authority

    @pytest.mark.parametrize(
        "url",
        [
            *("http://128.0.0.1/x", "http://minio_1:9001/x", "http://a.localhost/x", "ftp://localhost/x"),
            *("http://localhost:65536/x", "http://u@localhost/x", "http://0x7f000001/x", "http://127.1/x"),
            *("http://localhost./x", "http://[::2]/x", "https://127.0.0.1.:443/x"),
        ],
    )
    def test_allowing_one_host_allows_no_other(self, url: str) -> None:
        """The list opens exactly what it names, in its plain spelling."""
        with pytest.raises(BlockedUrl):
            check_url(url, allow=AllowList.parse(["127.0.0.0/8", "::1", "localhost", "minio_1:9000"]))

    @given(st.text(string.printable, max_size=80).map("https://".__add__) | st.text(max_size=80))
    def test_passes_only_public_names_and_raises_nothing_else(self, url: str) -> None:
        """Whatever is written, the result is a dotted public name or a BlockedUrl."""
        try:
            target = check_url(url)
        except BlockedUrl:
            return
        assert PUBLIC_NAME.fullmatch(target.host)
        assert (target.scheme, target.port) == ("https", 443)

    @given(st.from_regex(r"\Ahttps://[a-z0-9.:@%\[\]-]{1,30}/?\Z"))
    def test_near_misses(self, url: str) -> None:
        """So it is for strings made of what hosts are made of."""
        try:
            assert PUBLIC_NAME.fullmatch(check_url(url).host)
        except BlockedUrl:
            return


class TestCheckAddress:
    def test_vectors(self, subtests: pytest.Subtests) -> None:
        """Each address is refused or let through as the shared vectors say."""
        for row in vectors("resolve"):
            with subtests.test(row["why"]):
                for address in row["resolves_to"]:
                    if row["must"] == "allow":
                        check_address(address)
                    else:
                        with pytest.raises(BlockedAddress):
                            check_address(address)

    def test_refuses_what_is_not_a_plain_address(self, subtests: pytest.Subtests) -> None:
        """Zones, short forms and anything else than one address are refused, with a short message."""
        for text in ("", "x", "127.1", "010.0.0.1", "8.8.8.8 ", "8.8.8.8/32", "2606:4700::1%eth0", "1" * 500):
            with subtests.test(text=text):
                with pytest.raises(BlockedAddress) as refusal:
                    check_address(text)
                assert len(str(refusal.value)) < 100

    @pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "fd00::1"])
    def test_allowed_networks(self, address: str) -> None:
        """An allowed network lets its addresses through, mapped ones included."""
        check_address(address, allow=AllowList.parse(["10.0.0.0/8", "fd00::/8"]))

    def test_a_zone_is_refused_even_when_allowed(self) -> None:
        """A scoped address names an interface of ours, which no network does."""
        with pytest.raises(BlockedAddress):
            check_address("fe80::1%lo", allow=AllowList.parse(["fe80::/10"]))

    def test_a_host_name_allows_no_address(self) -> None:
        """Allowing a name opens nothing here: only the dialler knows which name was asked for."""
        with pytest.raises(BlockedAddress):
            check_address("127.0.0.1", allow=AllowList.parse(["localhost"]))


class TestErrors:
    def test_codes(self) -> None:
        """The codes are the stable names that metrics and events carry."""
        assert (BlockedUrl.code, BlockedAddress.code) == ("blocked_url", "blocked_address")
        assert issubclass(BlockedUrl, ReceiverError)
        assert issubclass(BlockedAddress, ReceiverError)
        assert not BlockedUrl.retryable


class TestAssetHost:
    @pytest.mark.parametrize(
        ("url", "host"),
        [
            ("https://cdn.example.com/a.png", "cdn.example.com"),
            ("https://CDN.Example.com:8443?x", "cdn.example.com"),
            ("http://127.0.0.1/", "127.0.0.1"),
            ("https://[2001:DB8::1]/a", "[2001:db8::1]"),
            ("https://é.example.com/", "xn--9ca.example.com"),
            ("https://cdn.example.com./a", "cdn.example.com"),
        ],
    )
    def test_of_what_may_be_fetched(self, url: str, host: str) -> None:
        """The host in lower case, without its port."""
        assert asset_host(url) == host

    def test_of_what_may_not(self, subtests: pytest.Subtests) -> None:
        """What can be fetched from nowhere has no host, and never one too long for its column."""
        for url in (
            None,
            7,
            "",
            "cdn.example.com/a",
            "ftp://cdn.example.com/a",
            "https://user@cdn.example.com/a",
            "https:///a",
            "https://c d.example.com/",
            "https://" + "a" * 254 + "/",
            "https://\u212a.example.com/",
            "https://" + "ü" * 250 + "/",
            "https://./",
        ):
            with subtests.test(url=url):
                assert asset_host(url) is None

    @pytest.mark.parametrize(
        "url",
        [
            *("HTTPS://cdn.example.com/a", "http://minio_1:9000/a", "https://cdn.example.com/図 a#b"),
            *("https://cdn.example.com  ", "https://bücher.example.com:443"),
        ],
    )
    def test_agrees_with_the_gate(self, url: str) -> None:
        """Every URL the gate lets through has a host, or its download would be nobody's to spare."""
        host = check_url(url, allow=AllowList.parse(["minio_1"])).host
        assert asset_host(url) == host


class TestToAscii:
    @pytest.mark.parametrize(
        ("written", "name"),
        [
            ("CDN.Example.com", "cdn.example.com"),
            ("a_b.Bücher.de", "a_b.xn--bcher-kva.de"),
            ("ΑΒΓ.gr", "xn--mxacd.gr"),
            ("", ""),
        ],
    )
    def test_what_dns_knows(self, written: str, name: str) -> None:
        """ASCII is lowered, every other label encoded; an underscore beside it is no hindrance."""
        assert to_ascii(written) == name

    def test_refused(self, subtests: pytest.Subtests) -> None:
        """What stands for another name, or for none, is a ValueError."""
        for written in (
            "\u212a.com",
            "examp\xadle.com",
            "127。0。0。1",
            "\uff58.com",
            "a\u2044b.com",
            "é-.com",
            "🦊.com",
            "ü" * 64,
        ):
            with subtests.test(written=written), pytest.raises(ValueError, match=r"."):
                to_ascii(written)
