"""`client.models`: what there is to choose from."""

from receiver.client import requests
from receiver.client.blocking.caller import Caller
from receiver.client.results import ModelList
from receiver.contract import Kind


class Models:
    """Looks at models."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, type: Kind | None = None) -> ModelList:  # noqa: A002  # the document's word
        """Return the models on offer, all or those for `image` or `video`."""
        return self._caller.call(requests.list_models(type))
