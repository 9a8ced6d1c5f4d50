"""The client against many readings of the provider's document: the default dialect, and others at random."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from receiver.client import (
    ApiError,
    Client,
    Forbidden,
    GenerationFailed,
    InsufficientCredits,
    InvalidApiKey,
    InvalidRequest,
    MemoryLedger,
    NotFound,
    OutcomeUnknown,
    SessionClient,
    Unauthorized,
)
from receiver.contract import EVENT_TYPES
from receiver.errors import SignatureError
from receiver.sandbox import Fault, Sandbox
from tests.contract.provider_clients import KINDS, QUICK, Make, clients, session_clients, shown_secret
from tests.contract.sandbox_dialects import DIALECTS
from tests.contract.test_provider import delivered
from tests.unit.client import raw_server
from tests.unit.client.raw_server import answer
from tests.waiting.blocking import until

SECRET: Final = "whsec_dialects_0123456789"


@pytest.fixture(scope="module", params=range(len(DIALECTS)), ids=list(DIALECTS))
def turn(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def sandbox(turn: int) -> Iterator[Sandbox]:
    with Sandbox(knobs=QUICK, dialect=[*DIALECTS.values()][turn], webhook_secret=SECRET) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def make(turn: int) -> Iterator[Make]:
    """Make clients, of one kind with one dialect and of the other with the next."""
    with clients(KINDS[turn % 2]) as make:
        yield make


@pytest.fixture
def client(sandbox: Sandbox, make: Make) -> Client:
    return make(sandbox.key(account=f"account {sandbox.key()}"), sandbox.url, ledger=MemoryLedger())


@pytest.fixture
def session(sandbox: Sandbox, turn: int) -> Iterator[SessionClient]:
    with session_clients(KINDS[turn % 2]) as make:
        yield make(sandbox.session_cookie(), sandbox.url)


class TestGenerate:
    def test_is_accepted_and_ends(self, client: Client, tmp_path: Path) -> None:
        """An image with everything that can be asked for: accepted, waited for, fetched."""
        made = client.generate.image(
            "a fox", model="prunaai/z-image-turbo", aspect_ratio="16:9", output_format="png"
        )
        assert (made.type, made.prompt, made.model, made.finished) == (
            "image",
            "a fox",
            "prunaai/z-image-turbo",
            False,
        )
        assert made.credits_charged == 5
        assert abs((made.created_at or datetime.min.replace(tzinfo=UTC)) - datetime.now(UTC)) < timedelta(
            seconds=30
        )
        done = client.generations.wait(made)
        assert (done.id, done.status) == (made.id, "completed")
        assert client.generations.download(done, tmp_path).stat().st_size > 0

    def test_video_is_accepted(self, client: Client) -> None:
        """With every parameter."""
        made = client.generate.video(
            "a fox", aspect_ratio="9:16", duration=1, first_frame_image="https://example.com/a.png"
        )
        assert (made.type, made.model) == ("video", "minimax/hailuo-2.3-fast")
        assert (made.credits_charged or 0) > 0

    def test_failure_is_told(self, client: Client, sandbox: Sandbox) -> None:
        """With its reason, where the provider has a place for one."""
        with pytest.raises(GenerationFailed) as failed:
            client.generations.wait(client.generate.image("[fail: too dark]"))
        assert failed.value.reason == ("too dark" if sandbox.dialect.failure_field else None)
        assert failed.value.generation.output_url is None

    def test_a_lost_answer_is_recovered(self, client: Client, sandbox: Sandbox) -> None:
        """Committed, then cut: charged once, found in the list, and never sent again."""
        account = [*sandbox._provider.state.keys.values()][-1].account
        for kind in ("commit_then_drop", "commit_then_500", "cut_body", "bad_json"):
            sandbox.fail("generate.image", Fault(kind))
            with pytest.raises(OutcomeUnknown):
                client.generate.image(f"a fox, {kind}", client_ref=kind)
            found = client.generate.recover(kind)
            assert found.prompt == f"a fox, {kind}"
            assert client.generate.image(f"a fox, {kind}", client_ref=kind).id == found.id
        assert sandbox.charges(account) == 4

    def test_nothing_that_was_not_accepted_is_found(self, client: Client, sandbox: Sandbox) -> None:
        """A reset before the request was read, and a proxy's page: in doubt, and stays so."""
        sandbox.fail("generate.image", Fault("reset_before_read"))
        sandbox.fail("generate.image", Fault("html_502"))
        for ref in ("reset", "proxy"):
            with pytest.raises(OutcomeUnknown) as unknown:
                client.generate.image(f"a fox, {ref}", client_ref=ref, on_unknown="recover")
            assert unknown.value.candidates == ()


class TestGenerations:
    def test_lists_walks_and_waits(self, client: Client) -> None:
        """Every page, in either order, whatever `total` says; and one wait for all of them."""
        made = [client.generate.image(f"fox {n}").id for n in range(7)]
        assert {row.id for row in client.generations.iter(page_size=3, overlap=1)} == set(made)
        assert {row.id for row in client.generations.wait_many(made)} == set(made)
        assert len(client.generations.list(type="image", status="completed", limit=5)) == 5
        assert len(client.generations.list(type="video")) == 0

    def test_another_accounts_is_refused(self, client: Client, sandbox: Sandbox, make: Make) -> None:
        """As missing, or as forbidden."""
        made = client.generate.image("a fox")
        with pytest.raises((NotFound, Forbidden)):
            make(sandbox.key(account="stranger"), sandbox.url).generations.get(made.id)
        with pytest.raises(NotFound):
            client.generations.get("gen_missing")


class TestModels:
    def test_all_of_them(self, client: Client) -> None:
        """Eighteen, of both kinds, each with a price; and the price is checked."""
        models = client.models.list()
        assert len(models) == 18
        assert all(model.credits_per_generation and model.category for model in models)
        assert {model.type for model in client.models.list("video")} == {"video"}
        with pytest.raises(InvalidRequest, match="costs 5"):
            client.generate.image("a fox", max_credits=4)


class TestWebhooks:
    def test_the_whole_life_of_one(self, client: Client, sandbox: Sandbox) -> None:
        """By either verb, with the secret wherever it is."""
        made = client.webhooks.create("https://example.com/hook")
        assert (made.url, made.events) == ("https://example.com/hook", EVENT_TYPES)
        assert made.secret == shown_secret(sandbox, made)
        assert [hook.id for hook in client.webhooks.list()] == [made.id]
        changed = client.webhooks.update(made.id, events=["generation.failed"])
        assert (changed.url, changed.events) == (made.url, ("generation.failed",))
        client.webhooks.delete(made.id)
        assert len(client.webhooks.list()) == 0

    def test_deliveries_are_read(self, client: Client, sandbox: Sandbox) -> None:
        """However the failure and the times are written; unless its secret is nobody's."""
        with raw_server.raw_server(answer()) as hook:
            ends = [client.generate.image(p, webhook_url=hook.url) for p in ("a fox", "[fail: too dark]")]
            expected = 2 if sandbox.dialect.webhook_url_failures else 1
            until(lambda: len(hook.requests) == expected)
            arrived = delivered(hook)
        for body, headers in arrived:
            if sandbox.dialect.webhook_url_secret == "untold":
                with pytest.raises(SignatureError):
                    client.webhooks.unwrap(body, headers, secrets=[SECRET])
                continue
            event = client.webhooks.unwrap(body, headers, secrets=[SECRET])
            assert event.generation.id in {end.id for end in ends}
            assert event.generation.finished
            if event.event == "generation.failed" and sandbox.dialect.failure_field:
                assert event.generation.error == "too dark"


class TestKeys:
    def test_the_whole_life_of_one(self, session: SessionClient, sandbox: Sandbox, make: Make) -> None:
        """Made, shown once, used, listed, revoked."""
        expires_at = datetime.now(UTC) + timedelta(days=1)
        made = session.keys.create("ci", scopes=["read"], ip_allowlist=["127.0.0.1"], expires_at=expires_at)
        assert (made.name, made.scopes, made.ip_allowlist) == ("ci", ("read",), ("127.0.0.1",))
        assert abs((made.expires_at or expires_at) - expires_at) < timedelta(seconds=5)
        client = make(made.key, sandbox.url)
        assert len(client.models.list()) == 18
        with pytest.raises(Forbidden):
            client.webhooks.list()
        listed = {key.id: key.key for key in session.keys.list()}
        assert made.id in listed
        assert listed[made.id] != made.key
        session.keys.revoke(made.id)
        with pytest.raises(InvalidApiKey):
            client.models.list()

    def test_scope_is_read_by_default(self, session: SessionClient) -> None:
        """As the document says."""
        assert session.keys.create("ci").scopes == ("read",)

    def test_an_api_key_does_not_open_them(self, client: Client, sandbox: Sandbox, turn: int) -> None:
        """Nor does a session that is none."""
        with session_clients(KINDS[turn % 2]) as make:
            stranger = make(f"{sandbox.dialect.session_cookie_name}=none", sandbox.url)
            with pytest.raises((Unauthorized, Forbidden)):
                stranger.keys.list()


class TestErrors:
    def test_each_has_its_class(self, client: Client, sandbox: Sandbox, make: Make) -> None:
        """By its code, whatever stands beside it."""
        wrong = make("avs_live_wrong", sandbox.url)
        with pytest.raises(InvalidApiKey):
            wrong.models.list()
        poor = make(sandbox.key(account="poor"), sandbox.url)
        sandbox.set_credits(2, "poor")
        with pytest.raises(InsufficientCredits) as error:
            poor.generate.image("a fox")
        assert (error.value.required, error.value.available) == (5, 2)
        with pytest.raises(InvalidRequest):
            client.generate.image("a fox", model="no/such-model")

    def test_every_code_of_the_document(self, client: Client, sandbox: Sandbox) -> None:
        """Whichever call it answers."""
        for code, status in (("not_found", 404), ("ip_not_allowed", 403), ("expired_api_key", 401)):
            sandbox.fail("models.list", Fault("status", status=status, code=code))
            with pytest.raises(ApiError) as error:
                client.models.list()
            assert (error.value.code, error.value.status) == (code, status)
