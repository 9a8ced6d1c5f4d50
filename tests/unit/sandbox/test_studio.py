"""Generations: charged, waited for, finished or failed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from receiver.sandbox import Dialect, Knobs, ManualClock, jobs
from receiver.sandbox.provider import Provider
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Generation


class Shop:
    """A provider without a server, and a clock to move it."""

    def __init__(self, dialect: Dialect | None = None, **knobs: Any) -> None:
        self.clock = ManualClock()
        self.dialect = dialect or Dialect()
        secret = "whsec_0123456789abcdef"
        self.provider = Provider(Knobs(**knobs), self.clock, self.dialect, seed=1, webhook_secret=secret)

    def order(self, kind: Any = "image", **body: Any) -> Generation:
        order = jobs.read(kind, {"prompt": "x", **body}, self.dialect)
        return self.provider.studio.take(order, account="default", origin="http://127.0.0.1:9")

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.clock.advance(seconds)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop(image_delay_s=1, video_delay_s=2, credits=1000)
    yield shop
    await shop.provider.close()


class TestTake:
    async def test_takes_its_time_by_kind(self, shop: Shop) -> None:
        """An image after one second, a video after two."""
        image, video = shop.order(), shop.order("video")
        assert (image.status, image.output_url) == ("processing", None)
        await shop.pass_time(1)
        assert (image.status, video.status) == ("completed", "processing")
        await shop.pass_time(1)
        assert video.status == "completed"
        assert video.completed_at == video.created_at + 2
        assert video.output_url is not None
        assert ".mp4?X-Signature=" in video.output_url

    async def test_charges_the_price(self, shop: Shop) -> None:
        """Until there is not enough, which is told with both numbers, and nothing is made."""
        shop.order("video")
        shop.order("video")
        assert shop.provider.state.credits["default"] == 100
        with pytest.raises(Refusal, match="You need 450 credits but only have 100") as refusal:
            shop.order("video")
        assert refusal.value.response().status_code == 403
        assert len(shop.provider.state.generations) == 2

    @pytest.mark.parametrize(
        ("prompt", "reason"),
        [("[fail]", "The model could not generate this"), ("a [fail: too dark] b", "too dark")],
    )
    async def test_a_prompt_can_ask_to_fail(self, shop: Shop, prompt: str, reason: str) -> None:
        """With its own reason; the credits are gone."""
        made = shop.order(prompt=prompt)
        await shop.pass_time(1)
        assert (made.status, made.error, made.output_url) == ("failed", reason, None)
        assert shop.provider.state.credits["default"] == 995

    async def test_some_fail_by_chance_and_may_be_refunded(self) -> None:
        """At a rate of a half, some of twenty do and some do not."""
        shop = Shop(failure_rate=0.5, refund_failures=True, credits=1000)
        made = [shop.order() for _ in range(20)]
        await shop.pass_time(1)
        failed = sum(one.status == "failed" for one in made)
        assert 0 < failed < 20
        assert shop.provider.state.credits["default"] == 1000 - 5 * (20 - failed)
        await shop.provider.close()

    async def test_a_refund_may_take_the_charge_back_too(self) -> None:
        """Then the generation says that it cost nothing."""
        shop = Shop(Dialect(refund="credits_and_charge"), failure_rate=1, refund_failures=True)
        made = shop.order()
        await shop.pass_time(1)
        assert (made.status, made.credits_charged) == ("failed", 0)
        await shop.provider.close()

    async def test_immediately(self) -> None:
        """Finished in the answer already."""
        shop = Shop(progression="immediate")
        made, failed = shop.order(), shop.order(prompt="[fail]")
        assert (made.status, failed.status) == ("completed", "failed")
        await shop.provider.close()


class TestSettle:
    async def test_by_hand(self) -> None:
        """Nothing happens by itself, and what is finished stays so."""
        shop = Shop(progression="manual")
        made, failed = shop.order(), shop.order()
        await shop.pass_time(10_000)
        assert made.status == "processing"
        shop.provider.studio.settle(made.id, None)
        shop.provider.studio.settle(failed.id, "no luck")
        assert (made.status, failed.status, failed.error) == ("completed", "failed", "no luck")
        with pytest.raises(ValueError, match="completed already"):
            shop.provider.studio.settle(made.id, None)
        with pytest.raises(KeyError):
            shop.provider.studio.settle("gen_missing", None)
        await shop.provider.close()

    async def test_before_its_time(self, shop: Shop) -> None:
        """The clock does not finish it a second time."""
        made = shop.order()
        shop.provider.studio.settle(made.id, "no luck")
        await shop.pass_time(1)
        assert (made.status, made.completed_at) == ("failed", made.created_at)


class TestResend:
    async def test_needs_an_end_to_tell(self, shop: Shop) -> None:
        """There is nothing to send yet, or nobody to send it for."""
        made = shop.order()
        with pytest.raises(ValueError, match="not finished"):
            shop.provider.studio.resend(made.id)
        with pytest.raises(KeyError):
            shop.provider.studio.resend("gen_missing")
