"""Sending to one destination, opened as the settings would and closed afterwards."""

import contextlib
from collections.abc import AsyncIterator

from receiver.destinations import Destination, Message, open_destination
from receiver.destinations.aws import AwsDestination
from receiver.outcomes import Outcome
from tests.messages import message


@contextlib.asynccontextmanager
async def opened(url: str, **options: str) -> AsyncIterator[Destination]:
    """Open the destination at *url*, called `queue`, for as long as the block lasts."""
    async with contextlib.aclosing(open_destination("queue", url, options)) as destination:
        yield destination


async def send(url: str, *numbers: int, **options: str) -> list[Outcome]:
    """Return what became of the messages of these numbers, or of the first."""
    async with opened(url, **options) as destination:
        return list(await destination.send([message(number) for number in numbers or (1,)]))


def open_aws(url: str, **options: str) -> AwsDestination:
    """Open one of Amazon's, called `queue`; the caller closes it."""
    destination = open_destination("queue", url, options)
    assert isinstance(destination, AwsDestination)
    return destination


async def send_and_close(destination: Destination, *batch: Message) -> list[Outcome]:
    """Return what became of a batch, the last."""
    async with contextlib.aclosing(destination):
        return list(await destination.send(batch))
