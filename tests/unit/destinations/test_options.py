"""Options: strings in, a frozen dataclass or a message that names the setting out."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from receiver.destinations.options import (
    authorities,
    count,
    existing_file,
    flag,
    matching,
    one_of,
    option,
    read_cluster,
    read_options,
    seconds,
    setting,
    word,
)
from receiver.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Options:
    timeout_s: float = option(seconds, 10.0)
    token: str | None = option(word, None, secret=True)


class TestSetting:
    def test_name_and_option_are_upper_case(self) -> None:
        """The environment variable is spelled as the settings spell it."""
        assert setting("billing", "timeout_s") == "RECEIVER_DESTINATIONS__BILLING__TIMEOUT_S"


class TestReadOptions:
    def test_defaults(self) -> None:
        """What is not set keeps its default."""
        assert read_options(Options, "q", {}) == Options(timeout_s=10.0, token=None)

    def test_values_are_read_whatever_the_case_of_their_name(self) -> None:
        """Environment variables may arrive in either case; blanks around a value do not count."""
        assert read_options(Options, "q", {"TIMEOUT_S": " 2.5 "}).timeout_s == 2.5

    def test_options_win_over_those_of_the_url(self) -> None:
        """A variable replaces what the query says; what only the query says counts."""
        in_query = {"timeout_s": "forever", "token": "a"}
        assert read_options(Options, "q", {"TIMEOUT_S": "2"}, query=in_query) == Options(2.0, "a")

    def test_an_unknown_option_lists_the_known_ones(self) -> None:
        """A mistyped option names its variable and what is accepted, never the value."""
        with pytest.raises(ConfigError) as refused:
            read_options(Options, "q", {"tokn": "hunter2"})
        assert "RECEIVER_DESTINATIONS__Q__TOKN" in str(refused.value)
        assert "timeout_s, token" in str(refused.value)
        assert "hunter2" not in str(refused.value)

    def test_an_unreadable_value_says_what_is_accepted(self) -> None:
        """A value of the wrong kind names its variable and the kind, never the value."""
        with pytest.raises(ConfigError) as refused:
            read_options(Options, "q", {"timeout_s": "hunter2"})
        assert "RECEIVER_DESTINATIONS__Q__TIMEOUT_S must be a number of seconds" in str(refused.value)
        assert "hunter2" not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_a_secret_stays_out_of_the_repr(self) -> None:
        """Printing the options does not print a secret."""
        assert "hunter2" not in repr(read_options(Options, "q", {"token": "hunter2"}))


class TestSeconds:
    def test_refuses(self, subtests: pytest.Subtests) -> None:
        """Nothing, never, for ever and not-a-number are no durations."""
        for text in ("0", "-1", "nan", "inf", "1e9", "", "ten", "3601"):
            with subtests.test(text=text), pytest.raises(ValueError, match="seconds"):
                seconds(text)

    def test_accepts_fractions_up_to_an_hour(self) -> None:
        """Both ends of the range count."""
        assert (seconds("0.05"), seconds("3600")) == (0.05, 3600)


class TestCount:
    def test_refuses(self, subtests: pytest.Subtests) -> None:
        """Only plain decimals from 1 to the limit are counts."""
        for text in ("0", "-1", "9", "1.0", "", "+1", "1_0", "\u0661", "9" * 5000):
            with subtests.test(text=text), pytest.raises(ValueError, match="from 1 to 8"):
                count(at_most=8)(text)

    def test_accepts_the_edges(self) -> None:
        """Both ends of the range count."""
        assert [count(at_most=8)(text) for text in ("1", "8")] == [1, 8]
        assert [count(at_least=7, at_most=8)(text) for text in ("7", "8")] == [7, 8]
        with pytest.raises(ValueError, match="from 7 to 8"):
            count(at_least=7, at_most=8)("6")


class TestMatching:
    def test_takes_what_matches_whole(self, subtests: pytest.Subtests) -> None:
        """And says in words what that is."""
        read = matching("[a-z]+", "lower-case letters")
        assert read("abc") == "abc"
        for text in ("", "abC", "abc1", "abc\n"):
            with subtests.test(text=text), pytest.raises(ValueError, match=r"^lower-case letters$"):
                read(text)


class TestOneOf:
    def test_takes_known_words_in_any_case(self) -> None:
        """And lists them, as they are usually written, for another."""
        read = one_of({"PLAIN": 1, "Ssl": 2})
        assert [read(text) for text in ("plain", "PLAIN", "SSL")] == [1, 1, 2]
        with pytest.raises(ValueError, match=r"^one of: PLAIN, Ssl$"):
            read("hunter2")


class TestFlag:
    @pytest.mark.parametrize(("text", "value"), [("true", True), ("No", False), ("1", True), ("0", False)])
    def test_reads(self, text: str, *, value: bool) -> None:
        """The usual spellings are read, in any case."""
        assert flag(text) is value

    @pytest.mark.parametrize("text", ["", "maybe", "2", "truee"])
    def test_refuses(self, text: str) -> None:
        """All else is a mistake, and not false."""
        with pytest.raises(ValueError, match="true or false"):
            flag(text)


class TestExistingFile:
    def test_accepts_a_file_and_refuses_a_folder(self, tmp_path: Path) -> None:
        """Only a file that is there will do."""
        (tmp_path / "ca.pem").touch()
        assert existing_file(str(tmp_path / "ca.pem")) == str(tmp_path / "ca.pem")
        with pytest.raises(ValueError, match="existing file"):
            existing_file(str(tmp_path))


class TestAuthorities:
    def test_only_a_file_with_certificates_will_do(self, tmp_path: Path) -> None:
        """A file that holds anything else is refused at start, not at the first handshake."""
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
        (tmp_path / "empty.pem").touch()
        (tmp_path / "key.pem").write_text("hunter2")
        assert authorities(str(tmp_path / "ca.pem")) == str(tmp_path / "ca.pem")
        for wrong in ("empty.pem", "key.pem", "missing.pem"):
            with pytest.raises(ValueError, match="the path of"):
                authorities(str(tmp_path / wrong))


class TestWord:
    @pytest.mark.parametrize("text", ["", "a b", "a\nb", "a\x00", "é"])
    def test_refuses(self, text: str) -> None:
        """What could break out of a header or a command is no word."""
        with pytest.raises(ValueError, match="printable ASCII"):
            word(text)


class TestReadCluster:
    def test_servers_and_credentials(self) -> None:
        """Several servers share the credentials, and a missing port is the default one."""
        cluster = read_cluster("kafka://me:p%40ss%2F@a:1,b,[::1]:2?topic=x&y=", default_port=9092)
        assert cluster.servers == ("a:1", "b:9092", "[::1]:2")
        assert (cluster.username, cluster.password) == ("me", "p@ss/")
        assert cluster.query == {"topic": "x", "y": ""}

    def test_a_user_without_a_password(self) -> None:
        """`token@` is a user whose password is not empty but missing."""
        assert read_cluster("nats://token@a", default_port=1).password is None
        assert read_cluster("nats://user:@a", default_port=1).password == ""
        assert read_cluster("nats://a", default_port=1).username is None

    def test_no_secret_in_the_repr(self) -> None:
        """Printing it prints neither the password nor what stands in the query."""
        assert "hunter2" not in repr(read_cluster("nats://u:hunter2@a?x=hunter2", default_port=1))

    @pytest.mark.parametrize(
        "url", ["nats:", "nats://", "nats://a,", "nats://a:b", "nats://a/x", "nats://a#x"]
    )
    def test_anything_else_is_refused(self, url: str) -> None:
        """No server, a port that is none, a path or a fragment."""
        with pytest.raises(ValueError, match=r"."):
            read_cluster(url, default_port=1)
