"""The client as it is made, with nothing behind it."""

import copy
import inspect
import json
import os
import pickle
import subprocess
import sys
import typing
from contextlib import nullcontext
from types import UnionType
from typing import Any

import pytest

import receiver.client
from receiver import contract
from receiver.client import (
    AsyncClient,
    AsyncSessionClient,
    Client,
    GenerationFailed,
    InvalidParameter,
    RateLimited,
    SessionClient,
    Unauthorized,
)
from receiver.errors import ConfigError
from receiver.sandbox import Sandbox
from tests.unit.client.script import ok, refused, row, scripted
from tests.unit.client.test_twins import public_methods

OWN = ("receiver.", "builtins", "collections.abc", "datetime", "pathlib", "typing", "types", "enum")


class TestClient:
    def test_shows_no_key(self) -> None:
        """Neither does anything that hangs on it."""
        for client in (Client("avs_live_hush"), AsyncClient("avs_live_hush")):
            assert "hush" not in repr(client)
            assert "hush" not in repr(vars(client))
            assert "aivisualstudio.co" in repr(client)

    def test_needs_a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Said at once, not at the first call."""
        monkeypatch.delenv("RECEIVER_API_KEY", raising=False)
        with pytest.raises(ConfigError, match="RECEIVER_API_KEY"):
            Client()

    def test_knows_no_rate_limit_at_first(self) -> None:
        """Nothing was asked yet."""
        assert Client("avs_live_x").rate_limit is None


class TestElsewhere:
    @pytest.mark.parametrize(
        ("kind", "carry"),
        [
            (Client, pickle.dumps),
            (AsyncClient, copy.copy),
            (SessionClient, copy.deepcopy),
            (AsyncSessionClient, pickle.dumps),
        ],
    )
    def test_is_not_carried(self, kind: Any, carry: Any) -> None:
        """To another process it would take its key along; the refusal says what to do."""
        with pytest.raises(TypeError, match="make one in each process"):
            carry(kind("name=avs_live_x"))

    def test_goes_on_after_it_was_closed(self) -> None:
        """It connects anew."""
        with Sandbox() as sandbox, Client(sandbox.key(), base_url=sandbox.url) as client:
            for _ in range(2):
                assert len(client.models.list())
                client.close()


class TestWithOptions:
    def test_changes_a_copy(self) -> None:
        """The one it was made from stays as it was."""
        client, script = scripted(refused(429, "rate_limited"), ok(row()))
        hasty = client.with_options(max_retries=0, webhook_url="https://x/hook")
        with pytest.raises(RateLimited):
            hasty.generate.image("a fox")
        assert client.generate.image("a fox").id == "gen_1"
        assert [b"webhook_url" in (sent.content or b"") for sent in script.sent] == [True, False]

    def test_timeout_reaches_the_transport(self) -> None:
        """Each exchange carries its own."""
        client, script = scripted(ok(row()), ok(row()))
        client.with_options(timeout=3).generations.get("gen_1")
        client.generations.get("gen_1")
        assert [sent.timeout and sent.timeout.read_s for sent in script.sent] == [3, 30]

    def test_background_leaves_room(self) -> None:
        """With twenty requests left, it waits for the next window while others go on."""
        limit = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "20", "x-ratelimit-reset": "30"}
        client, script = scripted(*[ok(row(), **limit)] * 3)
        client.generations.get("gen_1")
        client.generations.get("gen_1")
        client.with_options(priority="background").generations.get("gen_1")
        assert script.times == [0, 0, 31]


class TestRun:
    def test_asks_and_waits(self) -> None:
        """What it returns is finished; both calls' parameters are its own."""
        client, script = scripted(ok(row()), ok(row(status="completed", output_url="https://x/a.png")))
        done = client.run("image", "a fox", aspect_ratio="16:9", output_format="png", timeout=60)
        assert (done.status, done.output_url) == ("completed", "https://x/a.png")
        assert script.asked == ["POST /generate/image", "GET /generations/gen_1"]
        sent = json.loads(script.sent[0].content or b"")
        assert sent == {"prompt": "a fox", "aspect_ratio": "16:9", "output_format": "png"}

    def test_a_video(self) -> None:
        """One that is finished at once is not asked for again."""
        client, script = scripted(ok(row(type="video", status="completed")))
        assert client.run("video", "a fox", duration=3).finished
        assert script.asked == ["POST /generate/video"]

    @pytest.mark.parametrize(
        ("kind", "asked", "named"),
        [
            ("image", {"duration": 3}, "duration"),
            ("image", {"first_frame_image": "https://x/a.png"}, "first_frame_image"),
            ("video", {"output_format": "png"}, "output_format"),
            ("audio", {}, "kind"),
            ("image", {"aspect_ratio": "5:4"}, "aspect_ratio"),
        ],
    )
    def test_refuses_what_that_kind_has_not(self, kind: Any, asked: Any, named: str) -> None:
        """Nothing is sent, and nothing paid."""
        client, script = scripted()
        with pytest.raises(InvalidParameter, match=named):
            client.run(kind, "a fox", **asked)
        assert script.sent == []

    def test_a_failed_one(self) -> None:
        """Raised, unless asked not to."""
        for raise_on_failed in (True, False):
            client, _ = scripted(ok(row()), ok(row(status="failed")))
            with pytest.raises(GenerationFailed) if raise_on_failed else nullcontext():
                assert client.run("image", "a fox", raise_on_failed=raise_on_failed).status == "failed"

    def test_what_ends_the_wait_names_what_is_paid_for(self) -> None:
        """So that nobody pays again for not knowing it."""
        client, _ = scripted(ok(row()), refused(401, "invalid_api_key"))
        with pytest.raises(Unauthorized) as raised:
            client.run("image", "a fox")
        assert "generations.wait('gen_1')" in "".join(raised.value.__notes__)


class TestDocumentsWords:
    def test_types_name_what_the_document_allows(self) -> None:
        """A type checker knows each enumeration, and it is the one that is checked at run time."""
        for words, allowed in [
            (receiver.client.Kind, contract.KINDS),
            (receiver.client.Status, contract.STATUSES),
            (receiver.client.Scope, contract.SCOPES),
            (receiver.client.EventType, contract.EVENT_TYPES),
            (receiver.client.ImageAspectRatio, contract.IMAGE_ASPECT_RATIOS),
            (receiver.client.VideoAspectRatio, contract.VIDEO_ASPECT_RATIOS),
            (receiver.client.ImageFormat, contract.IMAGE_FORMATS),
        ]:
            assert typing.get_args(words) == allowed
        hints = typing.get_type_hints(Client("avs_live_x").generate.image)
        assert typing.get_args(typing.get_args(hints["aspect_ratio"])[0]) == contract.IMAGE_ASPECT_RATIOS


class TestSignatures:
    def test_no_type_of_another_package(self) -> None:
        """Whoever uses the client sees our types and Python's, so a library can be exchanged."""
        foreign = {
            f"{name}: {found.__module__}.{found.__qualname__}"
            for client in (Client("avs_live_x"), AsyncClient("avs_live_x"))
            for name, method in [("", type(client).__init__), *public_methods(client)]
            for found in types_in(typing.get_type_hints(method, include_extras=True).values())
            if not found.__module__.startswith(OWN)
        }
        assert foreign == set()

    def test_no_field_of_another_package(self) -> None:
        """Nor in what is returned or raised."""
        for name in receiver.client.__all__:
            public = getattr(receiver.client, name)
            if inspect.isclass(public):
                hints = typing.get_type_hints(public, localns={"Request": object, "Generation": object})
                assert all(t.__module__.startswith(OWN) for t in types_in(hints.values())), name


def types_in(hints: typing.Iterable[object]) -> set[type]:
    """Return every class that these annotations are made of."""
    found: set[type] = set()
    for hint in hints:
        parts = typing.get_args(hint)
        found |= types_in([part for part in parts if not isinstance(part, str | list)])
        origin = typing.get_origin(hint) or hint
        if isinstance(origin, type) and origin is not UnionType:
            found.add(origin)
    return found


class TestImport:
    def test_brings_in_no_http_library_and_no_server(self) -> None:
        """`import receiver.client` is quick, because what is heavy comes with the first call."""
        heavy = (
            "asyncio",
            "email",
            "httpx2",
            "pydantic",
            "sqlalchemy",
            "starlette",
            "boto3",
            "receiver.settings",
        )
        code = f"import receiver.client, sys; print([m for m in {heavy!r} if m in sys.modules])"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ, check=True)
        assert run.stdout.strip() == b"[]"

    def test_unknown_names_are_unknown(self) -> None:
        """The lazy import does not invent names."""
        import receiver.client as package  # noqa: PLC0415

        with pytest.raises(AttributeError, match="Cliant"):
            _ = package.Cliant
