"""The real servers behave as the tests that lean on them assume."""

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.servers.postgres import running
from tests.servers.seaweedfs import S3Server


class TestPostgres:
    def test_databases_are_fresh(self, postgres_database: str) -> None:
        """A test gets a database of its own, with nothing in it, in UTF-8."""
        with psycopg.connect(postgres_database) as connection:
            assert connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone() == (0,)
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
            connection.execute("CREATE TABLE t ()")

    def test_databases_are_apart(self, postgres_url: str, postgres_database: str) -> None:
        """The next test's database is not the one before, and the server lists just the one in use."""
        with psycopg.connect(postgres_url) as connection:
            names = connection.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE 'test_%'"
            ).fetchall()
        assert names == [(postgres_database.rsplit("/", 1)[1],)]

    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_commits_survive(self, end: str) -> None:
        """What was committed is there after a crash or a stop, on the same port."""
        with running(durable=True) as server:
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SHOW fsync").fetchone() == ("on",)
                connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
            getattr(server, end)()
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(server.url)
            server.start()
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT one FROM kept").fetchone() == (1,)

    def test_kill_with_clients(self) -> None:
        """A crash with clients connected leaves nothing behind that keeps the server from starting."""
        with running(durable=False) as server:
            connection = psycopg.connect(server.url)
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            connection.close()
            server.start()


class TestSeaweedfs:
    def test_keeps_objects(self, s3_server: S3Server, s3_bucket: str) -> None:
        """An object comes back as it was put."""
        client = s3_server.client()
        client.put_object(Bucket=s3_bucket, Key="a/b", Body=b"asset", ContentType="image/png")
        got = client.get_object(Bucket=s3_bucket, Key="a/b")
        assert (got["Body"].read(), got["ContentType"]) == (b"asset", "image/png")
        client.close()

    def test_buckets_are_fresh(self, s3_server: S3Server, s3_bucket: str) -> None:
        """A test gets a bucket of its own, with nothing in it, and the one before is gone."""
        client = s3_server.client()
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [s3_bucket]
        assert client.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0
        client.close()

    def test_checks_conditions(self, s3_server: S3Server, s3_bucket: str) -> None:
        """A second write under the same key is refused when the writer asks for that."""
        client = s3_server.client()
        client.put_object(Bucket=s3_bucket, Key="once", Body=b"1", IfNoneMatch="*")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            client.put_object(Bucket=s3_bucket, Key="once", Body=b"2", IfNoneMatch="*")
        client.close()

    def test_checks_the_key(self, s3_server: S3Server, s3_bucket: str) -> None:
        """A wrong secret key is refused."""
        stranger = S3Server(s3_server.endpoint_url, s3_server.access_key, "not-the-key", s3_server.region)
        client = stranger.client()
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client.list_objects_v2(Bucket=s3_bucket)
        client.close()
