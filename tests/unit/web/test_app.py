"""The three public routes, and nothing else."""

import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from tests.unit.web.serving import FakeStore, Site


class TestPublicApp:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/webhooks",
            "/webhooks/",
            "/webhooks/photoverse/",
            "/webhooks/photoverse/x",
            "/webhooks/photoverse%2Fx",
            "//webhooks/photoverse",
            "/WEBHOOKS/photoverse",
            "/healthz/",
            "/metrics",
            "/admin",
            "/docs",
            "/openapi.json",
        ],
    )
    async def test_nothing_else_exists(self, site: Site, path: str) -> None:
        """Any other path is 404 in our envelope, with no redirect to an address the caller made up."""
        for method in ("GET", "POST"):
            answer = await site.request(method, path)
            assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
            assert "location" not in answer.headers

    @pytest.mark.parametrize(
        ("path", "method", "allow"),
        [
            ("/webhooks/photoverse", "GET", {"POST"}),
            ("/webhooks/photoverse", "PUT", {"POST"}),
            ("/webhooks/nobody", "DELETE", {"POST"}),
            ("/healthz", "POST", {"GET", "HEAD"}),
            ("/readyz", "PATCH", {"GET", "HEAD"}),
        ],
    )
    async def test_other_methods(self, site: Site, path: str, method: str, allow: set[str]) -> None:
        """Another method is 405 and says which ones there are."""
        answer = await site.request(method, path)
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, allow)
        assert answer.json["error"]["code"] == "method_not_allowed"

    async def test_server_is_not_named(self, site: Site) -> None:
        """Answers do not advertise what they are served by."""
        assert "server" not in (await site.request("GET", "/healthz")).headers

    async def test_a_bug_is_our_fault(self, site: Site, store: FakeStore) -> None:
        """What nobody foresaw is 503, never a 4xx that some senders would take for final."""
        store.error = RuntimeError("secret")
        answer = await site.deliver(b"{}", now=int(time.time()))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"secret" not in answer.body

    @rules(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["X-Webhook-Signature", "X-Other", "Content-Type", "Accept", "Cookie", "Expect"]
                ),
                st.binary(max_size=80),
            ),
            max_size=4,
        ),
        st.binary(max_size=400),
    )
    async def test_never_a_5xx(self, site: Site, headers: list[tuple[str, bytes]], body: bytes) -> None:
        """Whatever the bytes of headers and body, the fault is the sender's: a 4xx, or the line goes dead."""
        lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
        head = b"POST /webhooks/photoverse HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
        async with site.wire() as wire:
            await wire.say(head + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = await wire.rest()
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 4"))
