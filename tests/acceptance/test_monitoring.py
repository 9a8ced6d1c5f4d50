"""What `deploy/` watches is what the processes say, and its alerts fire when something is wrong."""

import asyncio
import json
import math
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from receiver.sandbox import Sandbox
from receiver.sandbox.clock import SystemClock
from tests.acceptance.service import MORTAL, Service, completed, failed, service
from tests.servers.assets import serving
from tests.servers.http_sink import Answer, http_sink
from tests.servers.promtool import promtool
from tests.servers.require import free_ports
from tests.waiting.blocking import until

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
ALERTS: Final = DEPLOY / "prometheus" / "alerts.yml"
TOKEN: Final = "acceptance-0123456789"
SCRAPED: Final = {"instance", "job"}
"""Labels that Prometheus adds."""
FULL_DISK: Final = "ReceiverDiskFilling"
"""Whether it fires is up to the machine that runs the tests."""

Sample = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Look:
    """Every sample of one scrape of all processes."""

    samples: Mapping[Sample, float]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with *labels*."""
        return sum(
            value
            for (found, has), value in self.samples.items()
            if found == name and labels.items() <= dict(has).items()
        )

    def labels(self, name: str) -> set[str]:
        """Return the labels that a metric has anywhere."""
        return {label for found, has in self.samples if found == name for label, _ in has}


@dataclass(frozen=True)
class Story:
    """What Prometheus saw of a service: well, in trouble, late, without worker, without database."""

    looks: list[Look] = field(default_factory=list)

    def firing(self, before: int, since: int, *, after: str, folder: Path, goes_on: bool = False) -> set[str]:
        """Return the alerts that fire *after* things were as they are at one look, and then at another.

        If it *goes_on*, what was counted between the two is counted each minute.
        """
        series = []
        for (name, labels), value in self.looks[since].samples.items():
            shown = ",".join(f"{label}={json.dumps(text)}" for label, text in labels)
            first = self.looks[before].samples.get((name, labels))
            step = value - (first or 0) if goes_on and name.endswith(("_bucket", "_count", "_total")) else 0
            start = "_" if first is None else _number(first)
            values = f"{start} {_number(value)}+{_number(step)}x360"
            series.append({"series": f"{name}{{{shown}}}", "values": values})
        (folder / "alerts.yml").write_text(ALERTS.read_text())
        # It tells what it got only where it expected something else.
        query = "count by (alertname) (ALERTS{alertstate='firing'})"
        expected = {"expr": query, "eval_time": after, "exp_samples": [{"labels": "{}", "value": -1}]}
        test = {"interval": "1m", "input_series": series, "promql_expr_test": [expected]}
        document = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test]}
        (folder / "test.yml").write_text(yaml.safe_dump(document))
        with pytest.raises(AssertionError) as told:
            promtool("test", "rules", "test.yml", folder=folder)
        return set(re.findall(r'alertname="(\w+)"', str(told.value))) - {FULL_DISK}


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:.17g}"


def scrape(*ports: int) -> Look:
    """Read the metrics of all processes, as one look; one that does not answer is down."""
    samples: dict[Sample, float] = {}
    for port in ports:
        added = (("instance", str(port)), ("job", "receiver"))
        try:
            text = _metrics(port)
        except OSError:
            samples["up", added] = 0
            continue
        samples["up", added] = 1
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                samples[one.name, tuple(sorted((*one.labels.items(), *added)))] = one.value
    return Look(samples)


def _metrics(port: int) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


class MovableClock(SystemClock):
    """The provider's clock, which may go wrong."""

    ahead_s = 0

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return super().now() + self.ahead_s


def trouble(
    receiver: Service, sandbox: Sandbox, clock: MovableClock, host: str, ports: tuple[int, int]
) -> Iterator[Look]:
    """Let one thing after another go wrong, and look."""
    for command, port in zip(("web", "worker"), ports, strict=True):
        receiver.settings["RECEIVER_ADMIN_PORT"] = str(port)
        receiver.start(command)
    receiver.deliver(completed("gen_1", f"{host}/a.png"))
    forge(receiver, 1)
    until(receiver.messages)
    yield until(lambda: _look(ports, _is_measured))
    receiver.deliver(b'{"event": "generation.completed"}')
    receiver.deliver(completed("gen_2", "ftp://127.0.0.1/no"))
    for number in range(4):
        receiver.deliver(completed(f"gen_acme_{number}", f"{host}/{number}.png"), source="acme")
        receiver.deliver(failed(f"gen_{number}"))
    forge(receiver, 8)
    receiver.request("GET", "/nowhere")
    sandbox.set_credits(2)
    assert receiver.command("image", "a fox", "--ref", "order-1").returncode == 4
    for number in range(6):
        receiver.deliver(completed(f"gen_host_{number}", f"http://127.0.0.2:{ports[0]}/{number}.png"))
    receiver.run("destinations", "pause", "messages", "--reason", "upgrade")
    receiver.deliver(failed("gen_late"))
    _grow_old(receiver)
    # The web process says it, too, although the worker found it.
    until(lambda: scrape(ports[0]).value("receiver_bucket_down", source="acme"))
    yield until(lambda: _look(ports, _is_in_trouble))
    receiver.run("destinations", "resume", "messages")
    sandbox.knobs = replace(sandbox.knobs, rate_limit=1)
    clock.ahead_s = 120
    receiver.run("models")
    yield until(lambda: _look(ports, _is_late))
    receiver.processes[1].send_signal(signal.SIGKILL)
    receiver.processes[1].wait()
    yield until(lambda: _look(ports, lambda found: found.value("receiver_workers") == 0))
    receiver.rows("ALTER TABLE quarantine RENAME TO away")
    assert receiver.deliver(b'{"event": "generation.failed"}').status == 503
    yield scrape(*ports)


def _grow_old(receiver: Service) -> None:
    """Have everything received two hours ago."""
    with closing(sqlite3.connect(receiver.folder / "receiver.db", timeout=60)) as database, database:
        database.execute("UPDATE event SET received_ms = received_ms - 7200000")


def forge(receiver: Service, count: int) -> None:
    """Deliver what was signed with another secret."""
    for number in range(count):
        receiver.deliver(failed(f"gen_{number}"), source="quiet")


def _look(ports: tuple[int, int], is_it: Callable[[Look], bool]) -> Look | None:
    """Return a look at which *is_it* is so."""
    found = scrape(*ports)
    return found if is_it(found) else None


def _is_measured(found: Look) -> bool:
    return (
        found.value("receiver_workers") > 0
        and found.value("receiver_provider_requests_limit", source="photoverse") > 0
        and found.value("receiver_delivery_delay_seconds_count", destination="messages") > 0
    )


def _is_in_trouble(found: Look) -> bool:
    return (
        found.value("receiver_workers") > 0
        and found.value("receiver_destination_down", destination="gone") > 0
        and found.value("receiver_bucket_down", source="acme") > 0
        and found.value("receiver_asset_hosts_down") > 0
        and found.value("receiver_oldest_pending_seconds", destination="gone") > 3600
        and found.value("receiver_dead_letters", destination="picky") > 0
        and found.value("receiver_assets_given_up_total") > 0
    )


def _is_late(found: Look) -> bool:
    """Whether what waited for two hours was delivered, and the provider's limit and clock are as they are."""
    delays = "receiver_delivery_delay_seconds"
    return (
        found.value(f"{delays}_count", destination="messages")
        > found.value(f"{delays}_bucket", destination="messages", le="300.0")
        and found.value("receiver_clock_skew_seconds", clock="photoverse") > 60
    )


async def _tell(folder: Path) -> Story:
    web, worker, closed = free_ports(3)
    clock = MovableClock()
    with Sandbox(clock=clock) as sandbox, serving() as host:
        async with http_sink() as picky:
            picky.answer = lambda _: Answer(422)
            settings = {
                **MORTAL,
                "RECEIVER_ADMIN_TOKEN": TOKEN,
                "RECEIVER_API_KEY": sandbox.key(),
                "RECEIVER_API_BASE_URL": sandbox.url,
                "RECEIVER_SOURCES__QUIET__SECRETS": "whsec_quiet_0123456789",
                "RECEIVER_SOURCES__ACME__SECRETS": "whsec_acceptance_0123456789",
                "RECEIVER_SOURCES__ACME__ASSETS_URL": "s3://away",
                "RECEIVER_S3_ENDPOINT_URL": f"http://127.0.0.1:{closed}",
                "RECEIVER_S3_REGION": "us-east-1",
                "RECEIVER_DESTINATIONS__GONE__URL": f"redis://127.0.0.1:{closed}/0?stream=s",
                "RECEIVER_DESTINATIONS__GONE__TYPES": "generation.failed",
                "RECEIVER_DESTINATIONS__PICKY__URL": picky.url,
                "RECEIVER_DESTINATIONS__PICKY__TYPES": "generation.failed",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            with service(folder, **settings) as receiver:
                told = trouble(receiver, sandbox, clock, host.url, (web, worker))
                return Story(await asyncio.to_thread(list, told))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return asyncio.run(_tell(tmp_path_factory.mktemp("story")))


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    board = json.loads((DEPLOY / "grafana" / "receiver.json").read_text())
    return [one for one in board["panels"] if one["type"] != "row"]


def watched() -> list[str]:
    """Return every expression that the alerts and the dashboard have."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + [one.replace("$__rate_interval", "5m") for one in shown]


class TestFiring:
    def test_what_fires(self, story: Story, tmp_path: Path, subtests: pytest.Subtests) -> None:
        """A service that works wakes nobody; each trouble has its alert."""
        with subtests.test("all is well"):
            assert story.firing(0, 0, after="30m", folder=tmp_path) == set()
        with subtests.test("a bucket and a destination are down, and much is refused or given up"):
            assert story.firing(0, 1, after="7m", folder=tmp_path) == {
                "ReceiverAssetsGivenUp",
                "ReceiverBucketDown",
                "ReceiverCreditsUsedUp",
                "ReceiverDeadLetters",
                "ReceiverDeliveriesWaiting",
                "ReceiverDestinationDown",
                "ReceiverEventsWaiting",
                "ReceiverEveryDeliveryRefused",
                "ReceiverQuarantine",
            }
        with subtests.test("an asset host stays down, and a destination paused"):
            found = story.firing(0, 1, after="5h", folder=tmp_path)
            assert {"ReceiverAssetHostDown", "ReceiverDestinationPaused"} <= found
        with subtests.test("messages go out late, the API key has no request left, and a clock is wrong"):
            found = story.firing(1, 2, after="12m", folder=tmp_path, goes_on=True)
            assert {"ReceiverDeliveriesSlow", "ReceiverRateLimitUsedUp", "ReceiverClockWrong"} <= found
        with subtests.test("the worker was killed"):
            found = story.firing(2, 3, after="7m", folder=tmp_path)
            assert {"ReceiverNoWorker", "ReceiverProcessDown", "ReceiverDestinationDown"} <= found
        with subtests.test("the database cannot be read, and deliveries are answered 503"):
            found = story.firing(3, 4, after="4m", folder=tmp_path)
            assert {"ReceiverStoreDown", "ReceiverDeliveriesRefused"} <= found


class TestNames:
    def test_every_metric_and_label_is_exposed(self, story: Story) -> None:
        """Rules and panels name what the processes really say; a mistyped name would never fire."""
        look = story.looks[1]
        for expression in watched():
            names = re.findall(r"\b(?:receiver|process)_\w+|\bup\b", expression)
            labels = {"le", *SCRAPED}.union(*(look.labels(name) for name in names))
            assert names, expression
            for name in names:
                assert look.labels(name) >= SCRAPED, f"{name} is not exposed"
            used = [
                word
                for inside in re.findall(r"by \(([^)]*)\)", expression)
                for word in inside.replace(",", " ").split()
            ] + re.findall(r"[{,] *(\w+) *[=!]~?", expression)
            assert set(used) <= labels, expression

    def test_legends_are_of_labels_that_are_left(self) -> None:
        """A legend names a label that its expression groups by."""
        for panel in panels():
            for target in panel["targets"]:
                left = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
                named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                assert named <= left | (SCRAPED if not left else set()), target

    def test_every_alert_has_a_section_of_the_runbook(self) -> None:
        """Whoever is woken up finds what to do."""
        text = (DEPLOY.parent / "docs" / "operations.md").read_text()
        headings = {
            re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-")
            for line in re.findall(r"(?m)^#+ (.*)$", text)
        }
        for rule in rules():
            page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
            assert (page, anchor in headings) == ("docs/operations.md", True), rule["alert"]
            assert rule["labels"]["severity"] in {"critical", "warning"}


class TestPromtool:
    def test_rules_and_configuration(self, tmp_path: Path) -> None:
        """Prometheus reads the files, and each alert fires in its situation and in no other."""
        folder = ALERTS.parent
        promtool("check", "config", "--syntax-only", "prometheus.yml", folder=folder)
        promtool("check", "rules", "alerts.yml", folder=folder)
        promtool("test", "rules", "alerts_test.yml", folder=folder)
        tried = (folder / "alerts_test.yml").read_text()
        assert not [rule["alert"] for rule in rules() if f'"{rule["alert"]}"' not in tried]
        recorded = [{"record": f"panel:{n}", "expr": one} for n, one in enumerate(watched())]
        document = {"groups": [{"name": "dashboard", "rules": recorded}]}
        (tmp_path / "dashboard.yml").write_text(yaml.safe_dump(document))
        promtool("check", "rules", "dashboard.yml", folder=tmp_path)
