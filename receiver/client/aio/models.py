"""`client.models`: the available models."""

from receiver.client import requests
from receiver.client.aio.caller import Caller
from receiver.client.results import ModelList
from receiver.contract import Kind


class Models:
    """Reads models."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, type: Kind | None = None) -> ModelList:  # noqa: A002  # the document's word
        """Return the models on offer, all or those for `image` or `video`."""
        return await self._caller.call(requests.list_models(type))
