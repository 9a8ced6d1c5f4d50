"""URLs of clusters."""

import pytest

from receiver.destinations.addresses import read_cluster


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
