"""The files of `deploy/` say what the program knows, whatever runs them."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from receiver.cli import cli
from receiver.settings import PREFIX, Settings
from tests.servers.require import missing
from tests.test_docs import names

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
FILES: Final = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and path.suffix != ".json"]
NESTED: Final = {"sources", "destinations"}
COMMAND: Final = re.compile(r'(?:\[receiver,? |bin/receiver |[:=] "?receiver )(\w+)')
HARDENED: Final = {
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "CapabilityBoundingSet=",
    "PrivateDevices=yes",
}


def documents(path: str) -> list[Any]:
    return [one for one in yaml.safe_load_all((DEPLOY / path).read_text()) if one]


def pods() -> Iterator[dict[str, Any]]:
    """Yield the template of each pod of the Kubernetes files."""
    for path in sorted((DEPLOY / "kubernetes").glob("*/*.yaml")):
        for one in documents(str(path.relative_to(DEPLOY))):
            if one["kind"] in {"Deployment", "StatefulSet", "Job"}:
                yield one["spec"]["template"]


class TestSettings:
    def test_every_variable_is_a_setting(self) -> None:
        """A mistyped variable would keep the program from starting."""
        found = {name for path in FILES for name in names(path)}
        assert len(found) > 10
        for name in found:
            field, *nested = name.removeprefix(PREFIX).lower().split("__")
            assert field in Settings.model_fields, name
            assert bool(nested) == (field in NESTED), name

    def test_every_command_is_one(self) -> None:
        """What containers, units and platforms run is a command of ours."""
        found = {command for path in FILES for command in COMMAND.findall(path.read_text())}
        assert {"migrate", "web", "worker"} <= found
        assert found <= set(cli.commands), found - set(cli.commands)


class TestDockerfile:
    def test_final_stage(self) -> None:
        """What is shipped runs as nobody in particular, tells whether it works, and has no installer."""
        text = (DEPLOY / "Dockerfile").read_text()
        final = text.rpartition("\nFROM ")[2]
        assert re.search(r"^USER (\d+):\1$", final, re.MULTILINE)
        assert "pip uninstall -y pip" in final
        assert {"HEALTHCHECK", "VOLUME", "CMD"} <= {line.partition(" ")[0] for line in final.splitlines()}
        version = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
        assert version
        assert f"uv=={version[1]}" in text

    def test_context_has_what_is_copied(self) -> None:
        """Whatever is copied from the context is let into it, and exists."""
        text = (DEPLOY / "Dockerfile").read_text()
        let_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()}
        copied = [
            word for words in re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", text) for word in words.split()
        ]
        for word in [word for word in copied if not word.startswith("--")]:
            assert word in let_in, word
            assert (ROOT / word).exists(), word


class TestCompose:
    def test_services(self) -> None:
        """Every part is there, keeps its data, and our processes can write nowhere else."""
        (found,) = documents("compose.yaml")
        services = found["services"]
        assert {"web", "worker", "postgres", "s3", "valkey", "caddy", "prometheus", "grafana"} <= set(
            services
        )
        for name in ("migrate", "web", "worker"):
            assert services[name]["read_only"], name
            assert services[name]["cap_drop"] == ["ALL"], name
        mounted = {one.split(":")[0] for each in services.values() for one in each.get("volumes", [])}
        assert set(found["volumes"]) <= mounted
        assert not [
            name for name, each in services.items() if "image" not in each or ":latest" in each["image"]
        ]

    def test_small(self) -> None:
        """One process beside Caddy, as bounded as those of the large one."""
        services = documents("compose.small.yaml")[0]["services"]
        assert set(services) == {"migrate", "web", "caddy"}
        for name in ("migrate", "web"):
            assert services[name]["read_only"], name
            assert services[name]["cap_drop"] == ["ALL"], name
        large = documents("compose.yaml")[0]["services"]
        assert services["caddy"]["image"] == large["caddy"]["image"]
        assert all(one.startswith("127.0.0.1:") for one in services["web"]["ports"])

    def test_every_value_has_a_line_in_the_example(self) -> None:
        """What must be filled in is listed, and nothing else is."""
        text = (DEPLOY / "compose.yaml").read_text()
        example = (DEPLOY / "compose.env.example").read_text()
        listed = set(re.findall(r"(?m)^(\w+)=", example))
        assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == listed

    def test_proxy_is_that_of_the_file(self) -> None:
        """The Caddyfile within compose.yaml forwards as deploy/Caddyfile does, to one process."""
        (found,) = documents("compose.yaml")
        inside = (
            found["configs"]["caddy"]["content"]
            .replace("$$", "$")
            .replace("${HOST_NAME:?}", "hooks.example.com")
        )
        beside = (DEPLOY / "Caddyfile").read_text().replace("127.0.0.1:8000 127.0.0.1:8002", "web:8000")
        assert _bare(inside) == _bare(beside)


def _bare(caddyfile: str) -> str:
    return " ".join(re.sub(r"#.*", "", caddyfile).split())


def _led_to(one: dict[str, Any]) -> Iterator[tuple[str, int | str]]:
    """Yield the component and the port of everything that leads to one."""
    label, spec = "app.kubernetes.io/component", one.get("spec", {})
    if one["kind"] == "Service":
        yield from ((spec["selector"][label], port["targetPort"]) for port in spec["ports"])
    if one["kind"] == "NetworkPolicy" and spec["podSelector"]:
        rules = spec["ingress"]
        component = spec["podSelector"]["matchLabels"][label]
        yield from ((component, port["port"]) for rule in rules for port in rule["ports"])
    if one["kind"] in {"Deployment", "StatefulSet"}:
        template = spec["template"]
        component = template["metadata"]["labels"][label]
        (container,) = template["spec"]["containers"]
        probes = (probe for name, probe in container.items() if name.endswith("Probe"))
        yield from ((component, probe["httpGet"]["port"]) for probe in probes)


class TestKubernetes:
    def test_every_file_is_a_resource(self) -> None:
        """No file lies beside the kustomization unused."""
        for name in ("base", "pull"):
            folder = DEPLOY / "kubernetes" / name
            (found,) = documents(f"kubernetes/{name}/kustomization.yaml")
            there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
            assert set(found["resources"]) == there

    def test_ports(self) -> None:
        """Services, probes and network policies lead to ports that the pods of their component have."""
        ports = {
            pod["metadata"]["labels"]["app.kubernetes.io/component"]: {
                key for one in pod["spec"]["containers"][0].get("ports", []) for key in one.values()
            }
            for pod in pods()
        }
        assert ports["pull"] == {"pull", 8002, "admin", 8001}
        for path in (DEPLOY / "kubernetes").glob("*/*.yaml"):
            for one in documents(str(path.relative_to(DEPLOY))):
                for component, port in _led_to(one):
                    assert port in ports[component], (path.name, port)

    def test_pods_are_restricted(self) -> None:
        """Each pod fits the restricted standard, and has bounds."""
        found = list(pods())
        assert len(found) == 4
        for pod in found:
            spec = pod["spec"]
            (container,) = spec["containers"]
            assert spec["securityContext"]["runAsNonRoot"]
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not spec["automountServiceAccountToken"]
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert not security["allowPrivilegeEscalation"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]

    def test_grace_is_longer_than_an_orderly_end(self) -> None:
        """Nothing is killed that still drains: 60 s and RECEIVER_DRAIN_S for a worker."""
        (worker,) = (
            p["spec"] for p in pods() if p["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
        )
        assert worker["terminationGracePeriodSeconds"] >= 60 + Settings.model_fields["drain_s"].default


class TestSystemd:
    def test_units(self, tmp_path: Path) -> None:
        """Each unit gives up what it does not need, and systemd reads it without a word."""
        for path in DEPLOY.glob("systemd/*.service"):
            text = path.read_text()
            assert set(text.splitlines()) >= HARDENED, path.name
            # A restart one by one waits until each serves, and that of the migration restarts nothing else.
            assert ("Type=notify" in text) is ("ExecReload=" in text), path.name
            assert "\nRequires=" not in text, path.name
            here = text.replace("/opt/receiver/bin/receiver", "/bin/true")
            (tmp_path / path.name.replace("@", "@8000")).write_text(here)
        program = shutil.which("systemd-analyze")
        if program is None:
            missing("systemd-analyze", "no such program", installer="apt-get install systemd")
        units = sorted(map(str, tmp_path.iterdir()))
        assert len(units) == 4
        done = subprocess.run([program, "verify", *units], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


class TestPlatforms:
    def test_each_is_read(self) -> None:
        """One file for each platform, all with a release step that migrates."""
        files = {path.name: path.read_text() for path in (DEPLOY / "platforms").iterdir()}
        assert tomllib.loads(files["fly.toml"])["deploy"] == {"release_command": "receiver migrate"}
        web, worker = yaml.safe_load(files["render.yaml"])["services"]
        assert (web["preDeployCommand"], worker["dockerCommand"]) == ("receiver migrate", "receiver worker")
        assert yaml.safe_load(files["heroku.yml"])["release"]["command"] == ["receiver migrate"]
        assert "release: receiver migrate" in (ROOT / "Procfile").read_text()


class TestGrafana:
    def test_dashboard_is_the_one_that_is_mounted(self) -> None:
        """The provisioned folder holds the dashboard, over the provisioned source."""
        board = json.loads((DEPLOY / "grafana" / "receiver.json").read_text())
        (provider,) = documents("grafana/provisioning/dashboards/receiver.yml")
        (compose,) = documents("compose.yaml")
        mounted = [one.split(":")[1] for one in compose["services"]["grafana"]["volumes"]]
        assert f"{provider['providers'][0]['options']['path']}/receiver.json" in mounted
        assert {one["name"] for one in board["templating"]["list"]} == {"datasource"}
