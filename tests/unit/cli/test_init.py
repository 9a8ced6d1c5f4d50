"""`receiver init`: what it writes is what the other commands accept."""

import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from receiver.cli.scaffold import shipped
from tests.unit.cli.running import Run

SECRET = "whsec_0123456789abcdef"
_COMPOSE = ("--run-with", "compose", "--host-name", "h.acme.org")
QUEUE = "redis://:hunter2@127.0.0.1:6379/0"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "given"
    path.write_text(f"{SECRET}\n")
    return str(path)


def settings(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "receiver.toml").read_text())


class TestInit:
    def test_least(self, run: Run, secret: str, tmp_path: Path) -> None:
        """Defaults and a secret: `config` shows them, `check` finds nothing wrong."""
        ended = run("init", "--yes", "--secret-file", secret)
        assert (ended.status, ended.err) == (0, "")
        for line in ended.out.split("\n\n")[0].splitlines():
            assert (tmp_path / line.removeprefix("wrote ")).is_file()
        assert "receiver serve" in ended.out
        shown = {one["name"]: one for one in run("config", "--json").objects}
        assert shown["RECEIVER_WEBHOOK_SECRETS"]["origin"] == "receiver.toml"
        assert shown["RECEIVER_DATABASE_URL"]["value"] == "sqlite:///data/receiver.db"
        checked = run("check")
        assert checked.status == 0, checked.out

    def test_everything(self, run: Run, secret: str, tmp_path: Path) -> None:
        """Each answer is a line of the file, but for what is secret."""
        ended = run(
            *("init", "--yes", "--secret-file", secret, "--api-key-file", secret, "--dir", "here"),
            *("--database", "postgresql://me:hunter2@db/receiver", "--assets", "s3://bucket/prefix"),
            *("--s3-endpoint", "http://store:9000", "--destination", f"queue={QUEUE}"),
            *("--destination", 'odd=file:a"b.jsonl', "--destination", "later=pull:"),
            *("--run-with", "systemd", "--host-name", "hooks.acme.org"),
        )
        assert ended.status == 0, ended.err
        here = tmp_path / "here"
        found = settings(here)
        for setting in ("webhook_secrets", "api_key", "admin_token", "pull_token", "database_url"):
            assert found.pop(f"{setting}_file") == f"secrets/{setting}"
        assert found == {
            "assets_url": "s3://bucket/prefix",
            "s3_endpoint_url": "http://store:9000",
            "trusted_proxies": ["127.0.0.1"],
            "destinations": {
                "queue": {"url_file": "secrets/queue_url"},
                "odd": {"url": 'file:a"b.jsonl'},
                "later": {"url": "pull:"},
            },
        }
        assert (here / "secrets/queue_url").read_text().strip() == QUEUE
        assert stat.S_IMODE((here / "secrets").stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in (here / "secrets").iterdir()} == {0o600}
        open_files = [path for path in here.rglob("*") if path.is_file() and path.parent.name != "secrets"]
        assert not [
            path for path in open_files if "hunter2" in path.read_text() or SECRET in path.read_text()
        ]
        assert "hunter2" not in ended.out
        assert SECRET not in ended.out
        assert (here / "receiver.service").read_text() == shipped("systemd/receiver.service")
        assert not list(here.glob(".receiver-init-*"))

    def test_asks(self, run: Run, tmp_path: Path) -> None:
        """For each thing that no option says; a destination that is none is asked for again."""
        answers = (SECRET, "", "", "", "no destination", "log=file:data/log.jsonl", "", "", "")
        ended = run("init", stdin="\n".join(answers) + "\n")
        assert ended.status == 0, ended.err
        assert "is not NAME=URL" in ended.err
        assert "Warning" not in ended.err
        assert SECRET not in ended.out
        assert (tmp_path / "secrets/webhook_secrets").read_text() == f"{SECRET}\n"
        assert settings(tmp_path)["destinations"] == {"log": {"url": "file:data/log.jsonl"}}
        assert run("check").status == 0

    def test_for_the_sandbox(self, run: Run, tmp_path: Path) -> None:
        """Its key, secret and address come from the file that it wrote."""
        (tmp_path / "sandbox.env").write_text(
            f"export RECEIVER_WEBHOOK_SECRETS={SECRET}\nexport RECEIVER_FETCH_ALLOW=127.0.0.1\n"
            "export RECEIVER_API_BASE_URL=http://127.0.0.1:8900/api/v1\nexport RECEIVER_API_KEY=avs_x\n"
        )
        assert run("init", "--yes", "--sandbox", "sandbox.env").status == 0
        found = settings(tmp_path)
        assert found["fetch_allow"] == ["127.0.0.1"]
        assert found["api_base_url"] == "http://127.0.0.1:8900/api/v1"
        assert (tmp_path / "secrets/api_key").read_text() == "avs_x\n"
        (tmp_path / "sandbox.env").write_text("\n")
        assert "is empty" in run("init", "--yes", "--force", "--sandbox", "sandbox.env").err
        (tmp_path / "sandbox.env").write_text("export RECEIVER_PORT=1\n")
        assert "has no RECEIVER_" in run("init", "--yes", "--force", "--sandbox", "sandbox.env").err

    def test_overwrites_only_by_force(self, run: Run, secret: str, tmp_path: Path) -> None:
        """And names what is there; the token that operators sign in with stays."""
        run("init", "--yes", "--secret-file", secret)
        token = (tmp_path / "secrets/admin_token").read_text()
        again = ("init", "--yes", "--secret-file", secret, "--destination", "log=stdout:")
        refused = run(*again)
        assert refused.status == 2
        assert "receiver.toml" in refused.err
        assert "--force" in refused.err
        assert "destinations" not in settings(tmp_path)
        assert run(*again, "--force").status == 0
        assert settings(tmp_path)["destinations"] == {"log": {"url": "stdout:"}}
        assert (tmp_path / "secrets/admin_token").read_text() == token

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (("--destination", "queue=gopher://x"), "RECEIVER_DESTINATIONS__QUEUE__URL"),
            (("--destination", "queue"), "is not NAME=URL"),
            (("--run-with", "compose"), "needs --host-name"),
            (("--host-name", "https://x/"), "is not a host name"),
            (("--port", "65536"), "--port"),
            ((*_COMPOSE, "--port", "9000"), "--port is not for --run-with compose"),
            ((*_COMPOSE, "--destination", "q=redis://u:p@127.0.0.1:6379/0"), "--destination q is on this"),
            ((*_COMPOSE, "--destination", "q=nats://n1,LocalHost:4222"), "--destination q is on this"),
            ((*_COMPOSE, "--destination", "q=sqs:http://[::1]:9324/1/q"), "--destination q is on this"),
            ((*_COMPOSE, "--database", "postgresql://me@localhost/x"), "--database is on this machine"),
            ((*_COMPOSE, "--s3-endpoint", "http://0.0.0.0:9000"), "--s3-endpoint is on this machine"),
        ],
    )
    def test_writes_nothing_that_is_wrong(
        self, run: Run, secret: str, tmp_path: Path, wrong: tuple[str, ...], said: str
    ) -> None:
        """The message names the option or the setting."""
        ended = run("init", "--yes", "--secret-file", secret, *wrong)
        assert ended.status == 2
        assert said in ended.err
        assert [path.name for path in tmp_path.iterdir()] == ["given"]

    def test_writes_only_where_it_is_told(self, run: Run, secret: str, tmp_path: Path) -> None:
        """Nothing is left in the working directory by what is tried."""
        assert run("init", "--yes", "--secret-file", secret, "--dir", "there").status == 0
        assert {path.name for path in tmp_path.iterdir()} == {"given", "there"}
        assert {path.name for path in (tmp_path / "there").iterdir()} == {"data", "secrets", "receiver.toml"}

    def test_refuses_what_is_no_secret(self, run: Run, tmp_path: Path) -> None:
        """None, an empty one, or one that is too short."""
        (tmp_path / "given").write_text("\n")
        assert "--secret-file" in run("init", "--yes").err
        assert "given is empty" in run("init", "--yes", "--secret-file", "given").err
        assert "16 bytes" in run("init", "--yes", "--secret-file", "-", stdin="short").err
        assert not (tmp_path / "receiver.toml").exists()


class TestCompose:
    def test_nobody_to_ask(self, run: Run) -> None:
        """A script is told what to give."""
        ended = run("init", stdin="")
        assert ended.status == 2
        assert "give --yes" in ended.err

    def test_two_of_one_name(self, run: Run, secret: str, tmp_path: Path) -> None:
        """Neither would be dropped without a word."""
        twice = ("--destination", "a=file:x", "--destination", "a=file:y")
        ended = run("init", "--yes", "--secret-file", secret, *twice)
        assert ended.status == 2
        assert "called a" in ended.err
        assert not (tmp_path / "receiver.toml").exists()

    def test_runs_as_the_owner_of_the_files(self, run: Run, secret: str, tmp_path: Path) -> None:
        """Secrets are readable by their owner alone, and what is mounted is there."""
        ended = run(
            *("init", "--yes", "--secret-file", secret, "--run-with", "compose", "--host-name", "h.acme.org")
        )
        assert ended.status == 0, ended.err
        assert (tmp_path / "compose.yaml").read_text() == shipped("compose.small.yaml")
        owner = tmp_path.stat()
        assert f"\nOWNER={owner.st_uid}:{owner.st_gid}\n" in (tmp_path / ".env").read_text()
        services = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]
        mounted = {one.split(":")[0] for each in services.values() for one in each.get("volumes", [])}
        assert all((tmp_path / one).exists() for one in mounted if one.startswith("./"))


class TestPorts:
    def test_are_where_they_are_needed(self, run: Run, secret: str, tmp_path: Path) -> None:
        """The settings, the proxy and what to do next agree."""
        ports = ("--port", "9000", "--admin-port", "9001")
        ended = run("init", "--yes", "--secret-file", secret, "--host-name", "h.acme.org", *ports)
        assert (settings(tmp_path)["port"], settings(tmp_path)["admin_port"]) == (9000, 9001)
        assert "reverse_proxy 127.0.0.1:9000 {" in (tmp_path / "Caddyfile").read_text()
        assert "http://127.0.0.1:9001/console" in ended.out
        assert "8001" not in ended.out + (tmp_path / "receiver.toml").read_text()

    def test_of_a_container_are_published(self, run: Run, secret: str, tmp_path: Path) -> None:
        """In it, nothing changes."""
        ended = run("init", "--yes", "--secret-file", secret, *_COMPOSE, "--admin-port", "9001")
        assert ended.status == 0, ended.err
        web = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["web"]
        assert "127.0.0.1:9001:8001" in web["ports"]
        assert "admin_port" not in settings(tmp_path)


class TestCaddyfile:
    @pytest.mark.parametrize("way", ["shell", "compose"])
    def test_names_one_host_and_one_process(self, run: Run, secret: str, tmp_path: Path, way: str) -> None:
        """Nothing of the example is left, and Caddy takes it."""
        run("init", "--yes", "--secret-file", secret, "--host-name", "h.acme.org", "--run-with", way)
        text = (tmp_path / "Caddyfile").read_text()
        assert "\nh.acme.org {" in text
        assert "example" not in text
        assert f"reverse_proxy {'web:8000' if way == 'compose' else '127.0.0.1:8000'} {{" in text
        if caddy := shutil.which("caddy"):
            subprocess.run([caddy, "validate", "--config", "Caddyfile"], check=True, capture_output=True)


class TestShipped:
    def test_the_wheel_has_the_files_of_deploy(self) -> None:
        """What is copied exists once, and the wheel takes it from there."""
        build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
        included = build["targets"]["wheel"]["force-include"]
        assert included
        for source, target in included.items():
            assert target == f"receiver/{source}"
            assert shipped(source.removeprefix("deploy/")) == (ROOT / source).read_text()
