"""Webhooks: whom they reach, how often, and signed when."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from receiver.contract import COMPLETED, FAILED, SIGNATURE_HEADER
from receiver.sandbox import Dialect, Knobs, ManualClock
from receiver.sandbox.courier import Courier
from receiver.sandbox.state import Generation, Job, State, Webhook
from receiver.signatures import SignatureError, Verified, verify
from tests.servers.require import free_ports
from tests.unit.client.raw_server import RawServer, answer, close, raw_server, stall

SECRET = "whsec_courier_0123456789"
OTHER = "whsec_another_0123456789"
QUIET = partial(Knobs, duplicate_rate=0)


class SteppingClock(ManualClock):
    """A clock that moves whenever somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


def generation(url: str | None, status: str = "completed", prompt: str = "é") -> Generation:
    return Generation(
        id="gen_1",
        account="default",
        job=Job("image", prompt, "m", 5, "1:1", url, output_format="png"),
        credits_charged=5,
        created_at=0,
        origin="http://127.0.0.1:9",
        status=status,
        completed_at=15,
    )


def webhook(url: str, *events: str, account: str = "default") -> Webhook:
    return Webhook(f"wh_{url}{account}", account, url, OTHER, 0, events or (COMPLETED, FAILED))


async def announced(
    told: Generation, *webhooks: Webhook, knobs: Knobs | None = None, dialect: Dialect | None = None
) -> tuple[State, ManualClock]:
    state, clock = State(knobs or Knobs(duplicate_rate=0), seed=1), SteppingClock()
    state.webhooks = {row.id: row for row in webhooks}
    courier = Courier(state, clock, dialect or Dialect(), secret=SECRET)
    await courier.announce(told)
    await courier.close()
    return state, clock


def signature(request: bytes) -> bytes:
    head = request.partition(b"\r\n\r\n")[0].lower()
    (line,) = [line for line in head.split(b"\r\n") if line.startswith(SIGNATURE_HEADER.lower().encode())]
    return line.partition(b": ")[2]


def verified(request: bytes, secret: str, now: float) -> Verified:
    body = request.partition(b"\r\n\r\n")[2]
    return verify([signature(request)], body, secrets=[secret.encode()], now=now)


def check(server: RawServer, secret: str, now: float) -> None:
    assert verified(server.requests[-1], secret, now).via == "raw"


class TestAnnounce:
    async def test_reaches_its_own_url(self) -> None:
        """Signed with the account's secret, over the very bytes that are sent."""
        with raw_server(answer()) as server:
            state, clock = await announced(generation(server.url))
            check(server, SECRET, clock.now())
        assert [(sent.attempt, sent.status, sent.event) for sent in state.sent] == [(1, 200, COMPLETED)]

    async def test_reaches_everyone_who_subscribed(self) -> None:
        """The account's webhooks, by event, each signed with its own secret; and its own URL besides."""
        with raw_server(answer()) as server:
            url = server.url
            hooks = [
                webhook(f"{url}/both"),
                webhook(f"{url}/failed", FAILED),
                webhook(f"{url}/completed", COMPLETED),
                webhook(f"{url}/stranger", account="stranger"),
            ]
            state, clock = await announced(generation(f"{url}/own"), *hooks)
            assert {sent.url.rsplit("/", 1)[1] for sent in state.sent} == {"own", "both", "completed"}
            await announced(generation(None, "failed"), webhook(f"{url}/failed", FAILED))
            check(server, OTHER, clock.now())

    async def test_tries_again_and_signs_anew(self) -> None:
        """After anything but a 2xx: later, with the time of that attempt; the body stays the same."""
        with raw_server(answer(500), answer(302, b"", "Location: /x"), close, answer(204)) as server:
            state, clock = await announced(generation(server.url))
            check(server, SECRET, clock.now())
            assert [sent.status for sent in state.sent] == [500, 302, None, 204]
            assert [sent.at - state.sent[0].at for sent in state.sent] == [0, 1, 3, 7]
            assert len({signature(request) for request in server.requests}) == 4
            assert len({request.partition(b"\r\n\r\n")[2] for request in server.requests}) == 1

    async def test_gives_up_at_the_end_of_the_schedule(self) -> None:
        """As many attempts as are configured, and the first."""
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        knobs = Knobs(duplicate_rate=0, webhook_retries_s=(1.0, 2.0))
        state, _ = await announced(generation(url), knobs=knobs)
        assert [sent.status for sent in state.sent] == [None] * 3

    async def test_does_not_wait_for_ever(self) -> None:
        """A receiver that says nothing has not received it."""
        with raw_server(stall, answer()) as server:
            state, _ = await announced(generation(server.url), knobs=QUIET(webhook_timeout_s=1))
        assert [sent.status for sent in state.sent] == [None, 200]

    async def test_sends_twice_now_and_then(self) -> None:
        """As often as the knob says, the same event arrives again."""
        with raw_server(answer()) as server:
            await announced(generation(server.url), knobs=Knobs(duplicate_rate=1))
            bodies = Counter(request.partition(b"\r\n\r\n")[2] for request in server.requests)
        assert list(bodies.values()) == [2]

    async def test_loses_some(self) -> None:
        """A lost one is never sent, and it is known which."""
        state, _ = await announced(generation("http://127.0.0.1:9"), knobs=Knobs(loss_rate=1))
        assert (state.sent, state.lost) == ([], ["gen_1"])

    async def test_waits_first(self) -> None:
        """As long as the knob says."""
        with raw_server(answer()) as server:
            state, _ = await announced(generation(server.url), knobs=QUIET(webhook_delay_s=7))
        assert state.sent[0].at == ManualClock().now() + 7

    async def test_a_late_one_comes_again_in_time(self) -> None:
        """First with a signature older than the window, then, refused, with a fresh one."""
        with raw_server(answer(401), answer()) as server:
            state, _ = await announced(generation(server.url), knobs=QUIET(late_rate=1))
            (late, fresh), (first, second) = server.requests, state.sent
            with pytest.raises(SignatureError, match="timestamp_outside_window"):
                verified(late, SECRET, first.at)
            verified(fresh, SECRET, second.at)

    async def test_a_wrong_secret_is_only_used_first(self) -> None:
        """The next attempt has the right one."""
        with raw_server(answer(401), answer()) as server:
            _, clock = await announced(generation(server.url), knobs=QUIET(wrong_secret_rate=1))
            wrong, right = server.requests
            with pytest.raises(SignatureError, match="mismatch"):
                verified(wrong, SECRET, clock.now())
            verified(right, SECRET, clock.now())

    async def test_one_held_back_passes_after_another(self) -> None:
        """The held one goes once the next was sent, or when its patience ends."""
        state, clock = State(QUIET(reorder_rate=1), seed=1), ManualClock()
        courier = Courier(state, clock, Dialect(), secret=SECRET)
        with raw_server(answer()) as server:
            held = asyncio.create_task(courier.announce(generation(f"{server.url}/held")))
            await asyncio.sleep(0.01)
            assert state.sent == []
            state.knobs = QUIET()
            await courier.announce(generation(f"{server.url}/next"))
            await held
            assert [sent.url.rsplit("/", 1)[1] for sent in state.sent] == ["next", "held"]
        await courier.close()

    async def test_one_held_back_for_nothing_goes_all_the_same(self) -> None:
        """No other came."""
        with raw_server(answer()) as server:
            state, _ = await announced(generation(server.url), knobs=QUIET(reorder_rate=1))
        assert len(state.sent) == 1

    async def test_the_attempts_may_keep_their_first_signature(self) -> None:
        """In that dialect a late attempt has an old one."""
        with raw_server(answer(500), answer()) as server:
            await announced(generation(server.url), dialect=Dialect(retries_signed="as_first"))
            assert len({signature(request) for request in server.requests}) == 1

    async def test_failures_may_not_be_sent_to_its_own_url(self) -> None:
        """The document speaks of completion there."""
        state, _ = await announced(
            generation("http://127.0.0.1:9", "failed"), dialect=Dialect(webhook_url_failures=False)
        )
        assert state.sent == []

    async def test_its_own_url_may_have_a_secret_that_nobody_was_told(self) -> None:
        """The largest hole in the document."""
        with raw_server(answer()) as server:
            dialect = Dialect(webhook_url_secret="untold")
            _, clock = await announced(generation(server.url), dialect=dialect)
            with pytest.raises(SignatureError, match="mismatch"):
                verified(server.requests[0], SECRET, clock.now())

    async def test_its_own_url_may_stand_in_for_the_others(self) -> None:
        """One delivery instead of two."""
        with raw_server(answer()) as server:
            hook, dialect = webhook(f"{server.url}/all"), Dialect(webhook_and_url="url_only")
            state, _ = await announced(generation(f"{server.url}/own"), hook, dialect=dialect)
            assert [sent.url.rsplit("/", 1)[1] for sent in state.sent] == ["own"]
            state, _ = await announced(generation(None), hook, dialect=dialect)
            assert [sent.url.rsplit("/", 1)[1] for sent in state.sent] == ["all"]

    async def test_redirects_may_be_followed(self) -> None:
        """To wherever the receiver points."""
        with raw_server(answer(307, b"", "Location: /moved"), answer()) as server:
            state, _ = await announced(generation(server.url), dialect=Dialect(webhook_redirects="followed"))
            assert [sent.status for sent in state.sent] == [200]
            assert server.requests[1].startswith(b"POST /moved ")

    async def test_a_webhook_that_keeps_failing_may_be_disabled(self) -> None:
        """After three events in a row that no attempt delivered; one that arrives starts the count anew."""
        dialect, answers = Dialect(webhook_disabled_after=3), [500, 500, 200, 500, 500, 500, 200]
        state, knobs = State(Knobs(duplicate_rate=0), seed=1), QUIET(webhook_retries_s=())
        state.knobs = knobs
        with raw_server(*(answer(status) for status in answers)) as server:
            state.webhooks = {"wh_1": (hook := webhook(server.url))}
            courier = Courier(state, SteppingClock(), dialect, secret=SECRET)
            for _ in range(8):
                await courier.announce(generation(None))
            assert [sent.status for sent in state.sent] == answers[:-1]
            hook.failures_in_a_row = 0
            await courier.announce(generation(None))
            await courier.close()
        assert state.sent[-1].status == 200


class TestResend:
    async def test_goes_once_and_right(self) -> None:
        """Whatever the knobs say, so that a person can wait for it."""
        knobs = Knobs(loss_rate=1, duplicate_rate=1, late_rate=1, wrong_secret_rate=1)
        state, clock = State(knobs, seed=1), SteppingClock()
        courier = Courier(state, clock, Dialect(), secret=SECRET)
        with raw_server(answer()) as server:
            await courier.resend(generation(server.url))
            (request,) = server.requests
            verified(request, SECRET, clock.now())
        await courier.close()
