"""The session client as it is made."""

import pytest

from receiver.client import AsyncSessionClient, SessionClient
from receiver.errors import ConfigError


class TestSessionClient:
    def test_shows_no_cookie(self) -> None:
        """Neither does anything that hangs on it."""
        for client in (SessionClient("session=hush"), AsyncSessionClient("session=hush")):
            assert "hush" not in repr(client)
            assert "hush" not in repr(vars(client))
            assert "aivisualstudio.co" in repr(client)

    @pytest.mark.parametrize("cookie", ["", "hush", "=hush", "a=b\r\nX: y", "séance=x"])
    def test_needs_a_cookie(self, cookie: str) -> None:
        """With its name, and nothing that would end the header."""
        with pytest.raises(ConfigError, match="name=value") as error:
            SessionClient(cookie)
        assert "hush" not in str(error.value)

    def test_closes_its_connections(self) -> None:
        """At the end of the block."""
        with SessionClient("session=hush") as client:
            assert client.keys is not None
