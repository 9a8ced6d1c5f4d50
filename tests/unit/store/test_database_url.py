"""URLs of databases, as people and platforms write them."""

import pytest

from receiver.errors import ConfigError
from receiver.store.database_url import parse

LEAK = "hunter2"


class TestParse:
    @pytest.mark.parametrize(
        ("text", "host", "port"),
        [
            ("postgresql://u:p@h/d", "h", None),
            ("postgres://u:p@h:5433/d", "h", 5433),
            ("PostgreSQL+asyncpg://u:p@[::1]:5433/d", "::1", 5433),
            ("postgresql://u:p@%2Fvar%2Frun/d", "/var/run", None),
            ("postgresql:///d", None, None),
        ],
    )
    def test_one_host(self, text: str, host: str | None, port: int | None) -> None:
        """A name, an address, a socket's folder, or libpq's default."""
        url = parse(text)
        assert (url.host, url.port, url.database) == (host, port, "d")
        assert url.drivername == "postgresql+psycopg"

    @pytest.mark.parametrize(
        ("text", "hosts", "ports"),
        [
            ("postgresql://a:1,b:2/d", "a,b", "1,2"),
            ("postgresql://a,[::1]:2/d", "a,::1", ",2"),
            ("postgresql:///d?host=a:1&host=b:2", "a,b", "1,2"),
            ("postgresql:///d?host=a&host=b&port=1&port=2", "a,b", "1,2"),
        ],
    )
    def test_several_hosts(self, text: str, hosts: str, ports: str) -> None:
        """They are tried in turn, as libpq lists them."""
        assert dict(parse(text).query) == {"host": hosts, "port": ports}

    @pytest.mark.parametrize(
        ("written", "password"), [("p%40%2Fss", "p@/ss"), ("p@ss", "p@ss"), ("p:s#s", "p:s#s"), ("", None)]
    )
    def test_passwords(self, written: str, password: str | None) -> None:
        """Percent-encoded, or as it is where that can be read in one way."""
        assert parse(f"postgresql://u:{written}@h/d").password == password

    def test_refused(self, subtests: pytest.Subtests) -> None:
        """What cannot be read is refused by the name of the setting, without what may be a password."""
        for text in (
            "jdbc:postgresql://h/d",
            "mysql://h/d",
            "postgresql:h/d",
            f"postgresql://u:{LEAK}/x@h/d",
            f"postgresql://u:{LEAK}?x@h/d",
            f"postgresql://u:a?{LEAK}=x@h/d",
            f"postgresql://u:a?{LEAK}=x@h&y=1",
            f"postgresql://u?{LEAK}@h/d",
            f"postgresql://u@h:{LEAK}/d",
            f"postgresql://{LEAK}:@h:70000/d",
            f"postgresql://[::1/{LEAK}",
            f"postgresql://u:{LEAK}%00@h/d",
            "postgresql://h/d?sslmode=require&sslmode=disable",
            "sqlite://receiver.db",
            f"sqlite://u:{LEAK}@h:port/receiver.db",
            "sqlite:///receiver.db?mode=ro",
        ):
            with subtests.test(text=text):
                with pytest.raises(ConfigError, match="RECEIVER_DATABASE_URL") as refused:
                    parse(text)
                assert LEAK not in str(refused.value)

    def test_parameters_are_named(self) -> None:
        """SQLite takes none, and says which it was given."""
        with pytest.raises(ConfigError, match="the parameter mode "):
            parse("sqlite:///receiver.db?mode=ro")
