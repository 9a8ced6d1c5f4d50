"""The worker's path to a destination: what it gets, at what pace, and when it is left alone."""

import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from receiver import clock, routing
from receiver.backoff import Backoff
from receiver.deliver import Forward, ForwardRules
from receiver.destinations import Destination, system
from receiver.destinations.policy import DeliveryPolicy, batch_size
from receiver.routing import Routing
from receiver.settings import Settings
from receiver.wiring.destinations import build_destination, delivery_policy
from receiver.worker.breaker import Breaker, BreakerRules
from receiver.worker.forwarding import Outlet
from receiver.worker.rate import TokenBucket


@asynccontextmanager
async def open_outlet(settings: Settings, name: str, options: Mapping[str, str]) -> AsyncIterator[Outlet]:
    """Provide the path to the destination called *name*; it is closed at the end.

    Raises:
        ConfigError: one of its options is wrong; the message names the setting.
    """
    wanted, own = routing.take(name, options)
    async with aclosing(build_destination(name, own)) as destination:
        policy = delivery_policy(name, own)
        yield _outlet(settings, name, destination, policy, wanted, system=system(options["url"]))


def _outlet(
    settings: Settings,
    name: str,
    destination: Destination,
    policy: DeliveryPolicy,
    wanted: Routing,
    *,
    system: str,
) -> Outlet:
    rules = ForwardRules(
        Backoff(policy.backoff_first_s, policy.backoff_max_s), policy.attempts or settings.forward_attempts
    )
    breaker = Breaker(
        BreakerRules(policy.breaker_failures, max_s=policy.breaker_max_s),
        clock=time.monotonic,
        chance=random.random,
    )
    sending = Forward(destination, rules, clock.now_ms, random.random, breaker.judge, wanted, system)
    return Outlet(
        name,
        batch_size(policy, name, max_batch=destination.max_batch),
        sending,
        max(policy.concurrency, destination.concurrency),
        TokenBucket(policy.rate_limit) if policy.rate_limit else None,
        breaker,
    )
