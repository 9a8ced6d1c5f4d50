"""The parameters that libpq and other tools put into a URL."""

import pytest

from receiver.errors import ConfigError
from receiver.store.database_url import parse
from receiver.store.postgres_url import Target, read_target


def target(query: str, place: str = "u:p@h/d") -> Target:
    return read_target(parse(f"postgresql://{place}?{query}"))


class TestReadTarget:
    def test_of_libpq(self, subtests: pytest.Subtests) -> None:
        """The library gets its own, and what others call differently."""
        for query, parameter, value in (
            ("ssl=true", "sslmode", "require"),
            ("ssl=false", "sslmode", "disable"),
            ("ssl=verify-full", "sslmode", "verify-full"),
            ("ssl=true&sslmode=verify-ca", "sslmode", "verify-ca"),
            ("sslmode=no-verify", "sslmode", "require"),
            ("application_name=mine", "application_name", "mine"),
            ("ApplicationName=mine", "application_name", "mine"),
            ("target_session_attrs=read-write", "target_session_attrs", "read-write"),
            ("connect_timeout=3", "connect_timeout", "3"),
            ("connect_timeout=0", "connect_timeout", "5"),
            ("connect_timeout=-1", "connect_timeout", "5"),
            ("host=/run/postgresql", "host", "/run/postgresql"),
            ("service=mine", "service", "mine"),
            ("encoding=utf8", "client_encoding", "UTF8"),
            ("options=endpoint%3Dep-1", "options", "endpoint=ep-1"),
        ):
            with subtests.test(query=query):
                assert target(query).parameters[parameter] == value

    @pytest.mark.parametrize(
        ("query", "settings"),
        [
            ("schema=my%20own", {"search_path": '"my own"'}),
            ("currentSchema=a,b", {"search_path": "a,b"}),
            ("options=-c%20search_path%3Da%20--work-mem%3D3MB", {"search_path": "a", "work_mem": "3MB"}),
            ("options=-csearch_path%3Da%5C%20b", {"search_path": "a b"}),
            ("statement_timeout=5000", {"statement_timeout": "5000"}),
        ],
    )
    def test_of_the_session(self, query: str, settings: dict[str, str]) -> None:
        """The server's settings are said by statements, and not in the startup packet."""
        found = target(query)
        assert found.settings == settings
        assert "options" not in found.parameters

    def test_of_ours(self, subtests: pytest.Subtests) -> None:
        """What a pooler or a limit needs is done, in the words of whoever wrote it."""
        for query, attribute, value in (
            ("pgbouncer=true", "is_pooled", True),
            ("pgbouncer=false", "is_pooled", False),
            ("prepare_threshold=none", "prepare_threshold", None),
            ("prepare_threshold=0", "prepare_threshold", 0),
            ("prepareThreshold=0", "prepare_threshold", None),
            ("prepared_statements=false", "prepare_threshold", None),
            ("prepared_statement_cache_size=0", "prepare_threshold", None),
            ("statement_cache_size=100", "prepare_threshold", 5),
            ("connection_limit=3", "most_connections", 3),
            ("pool_timeout=7", "pool_timeout_s", 7.0),
        ):
            with subtests.test(query=query):
                assert getattr(target(query), attribute) == value

    def test_refused(self, subtests: pytest.Subtests) -> None:
        """What nobody knows is refused before anything is dialled, by its name and without the password."""
        for query, named in (
            ("bogus=1", "bogus"),
            ("targetServerType=primary", "targetServerType"),
            ("replication=database", "replication"),
            ("sslmode=bogus", "sslmode"),
            ("ssl=maybe", "sslmode"),
            ("target_session_attrs=any-old", "target_session_attrs"),
            ("connect_timeout=soon", "connect_timeout"),
            ("pgbouncer=maybe", "pgbouncer"),
            ("connection_limit=many", "connection_limit"),
            ("encoding=latin1", "encoding"),
            ("sslrootcert=/nowhere/ca.pem", "sslrootcert"),
        ):
            with subtests.test(query=query):
                with pytest.raises(ConfigError, match=f"RECEIVER_DATABASE_URL: .*{named}") as refused:
                    target(query, "u:hunter2@h/d")
                assert "hunter2" not in str(refused.value)

    def test_several_hosts(self) -> None:
        """Each has a port, and the one that takes writes is found by libpq."""
        found = target("target_session_attrs=read-write", "u@a:1,b:2/d").parameters
        assert (found["host"], found["port"]) == ("a,b", "1,2")


class TestWithLast:
    def test_moves_host_and_port(self, subtests: pytest.Subtests) -> None:
        """The host that is meant, and no other of that name, is tried behind all others."""
        for query, last, hosts, ports in (
            ("host=a,b,c&port=1,2,3", ("a", "1"), "b,c,a", "2,3,1"),
            ("host=a,a,c&port=1,2,3", ("a", "2"), "a,c,a", "1,3,2"),
            ("host=a,b", ("a", "5432"), "b,a", None),
            ("host=a,b&port=,2", ("a", "5432"), "b,a", "2,"),
            ("host=a,b&port=7", ("a", "7"), "b,a", "7"),
            ("host=a,b&port=7", ("a", "5432"), "a,b", "7"),
            ("host=a,b&port=1,2", None, "a,b", "1,2"),
            ("host=a", ("a", "5432"), "a", None),
        ):
            with subtests.test(query=query):
                found = target(query, place="u@/d").with_last(last)
                assert (found.get("host"), found.get("port")) == (hosts, ports)

    def test_addresses_move_along(self) -> None:
        """Who gives addresses beside the names keeps the pairs."""
        found = target("host=a,b&hostaddr=127.0.0.1,127.0.0.2", place="u@/d").with_last(("a", "5432"))
        assert found["hostaddr"] == "127.0.0.2,127.0.0.1"
