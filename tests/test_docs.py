"""The documentation says what the code does: nothing that can be set, run or answered is left out."""

import ast
import json
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click
import jsonschema  # type: ignore[import-untyped]
import pytest
from prometheus_client import Counter, Gauge, Histogram

import receiver.assets.guard
import receiver.client
from receiver.assets import Fetched, response
from receiver.assets.media import MEDIA_TYPES
from receiver.assets.object_keys import KeyTemplate
from receiver.cli import cli
from receiver.destinations import SCHEMES, open_destination
from receiver.destinations.policy import DeliveryPolicy
from receiver.errors import ReceiverError, variable
from receiver.events import Asset, Event, envelope, normalize
from receiver.outcomes import Retry
from receiver.routing import Routing, take
from receiver.sandbox import Knobs, Sandbox
from receiver.settings import (
    CONFIG_FILE,
    PREFIX,
    Settings,
    SourceSettings,
    kept_in_a_file,
)
from receiver.store.filters import has_error
from receiver.telemetry import metrics
from receiver.worker.telling import STEPS
from tests.contract.destination_systems import SYSTEMS
from tests.contract.matrix import PAGE as MATRIX
from tests.contract.matrix import SUITE
from tests.messages import message
from tests.servers.http_sink import Answer, http_sink

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("findings/*.md")])
COMMON = (DeliveryPolicy, Routing)
LINE = re.compile(r"^(#+) (.*)$", re.MULTILINE)
NESTED = {"sources": set(SourceSettings.model_fields), "destinations": {"url", "<option>"}}


def read(path: str) -> str:
    """Return a page, without what its HTML comments hide."""
    return re.sub(r"<!--.*?-->", "", (ROOT / path).read_text(), flags=re.DOTALL)


def code(path: str, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", read(path), re.DOTALL)


def section(path: str, heading: str) -> str:
    """Return what stands under the first heading that holds *heading*, up to the next heading."""
    parts = re.split(r"(?m)^#+ ", read(path))
    return next(part for part in parts if heading in part.partition("\n")[0])


def row(page: str, first: str) -> str:
    """Return the table row whose first cell holds *first* as code."""
    rows = [line for line in page.splitlines() if line.startswith("|") and f"`{first}`" in line.split("|")[1]]
    assert rows, f"{first} has no row"
    return rows[0]


def names(page: Path) -> Iterator[str]:
    """Yield the variables of ours that a page names, but for those of the tests."""
    yield from re.findall(
        rf"\b{PREFIX}(?!TEST_)[A-Z][A-Z0-9_]*(?:<[A-Z]+>[A-Z0-9_]*)*(?:<[A-Z]+>)?", page.read_text()
    )


def destination_options() -> dict[str, set[str]]:
    """Return the options of each URL scheme."""
    return {
        scheme: set(import_module(back_end.module).Options.__dataclass_fields__)
        for scheme, back_end in SCHEMES.items()
    }


def common_options() -> set[str]:
    """Return the options that every destination has, besides its own."""
    return {name for kind in COMMON for name in kind.__dataclass_fields__}


def commands(group: click.Group, path: str) -> dict[str, click.Command]:
    """Return every command below *group*, by what is typed."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        typed = f"{path} {name}"
        found |= commands(command, typed) if isinstance(command, click.Group) else {typed: command}
    return found


def error_codes() -> set[str]:
    """Return the code of every error of the package."""
    found, waiting = set(), [ReceiverError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found |= {kind.code} if kind.__module__.startswith("receiver.") else set()
    return found


def asset_codes() -> set[str]:
    """Return every code that the asset gates and the response table know."""
    in_table = re.findall(r"(?m)^\| ([a-z_]+|http_\*)  *\|", response.__doc__ or "")
    guard = receiver.assets.guard
    codes = {*in_table, *response.RETRYABLE, guard.BlockedUrl.code, guard.BlockedAddress.code}
    return codes - {"code"}


def metric_names() -> list[str]:
    """Return the names of all metrics, as Prometheus shows them."""
    kept = [each for each in vars(metrics).values() if isinstance(each, Counter | Gauge | Histogram)]
    return [
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for each in kept
        for metric in each.describe()
    ]


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


COMMANDS = commands(cli, "receiver")


class TestSettings:
    def test_every_field_is_documented_with_its_default(self, subtests: pytest.Subtests) -> None:
        """Each field has a row that names its variable and ends in its default."""
        for field in [name for name in Settings.model_fields if name not in NESTED]:
            with subtests.test(field=field):
                default = Settings.model_fields[field].default
                plain = default.get_secret_value() if hasattr(default, "get_secret_value") else default
                shown = (
                    "none"
                    if plain in (None, ())
                    else f"{plain:g}"
                    if isinstance(plain, float)
                    else str(plain)
                )
                cell = row(read("docs/settings.md"), variable(field)).rstrip(" |").rpartition("| ")[2]
                assert cell.strip("`").partition(": ")[0] == shown

    def test_every_field_of_a_source_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each field of a further source has its row."""
        for field in SourceSettings.model_fields:
            with subtests.test(field=field):
                row(read("docs/settings.md"), variable("sources", "<name>", field))

    def test_no_page_names_a_variable_that_is_not_there(self, subtests: pytest.Subtests) -> None:
        """A reader can set whatever a page names."""
        for page in PAGES:
            with subtests.test(page=page):
                options = NESTED["destinations"].union(common_options(), *destination_options().values())
                for found in names(page):
                    name = kept_in_a_file(found) or found
                    field, *nested = name.removeprefix(PREFIX).lower().rstrip("_").split("__")
                    assert field in Settings.model_fields, name
                    if nested[1:]:
                        assert nested[-1] in (options if field == "destinations" else NESTED[field]), name

    def test_the_example_file_is_accepted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The `receiver.toml` of the page loads, and means what it says."""
        (tmp_path / CONFIG_FILE).write_text(code("docs/settings.md", "toml")[0])
        monkeypatch.chdir(tmp_path)
        settings = Settings.load()
        assert settings.host == "0.0.0.0"
        assert settings.destinations["queue"]["maxlen"] == "100000"


class TestCommands:
    def test_every_command_and_option_is_documented(self, subtests: pytest.Subtests) -> None:
        """Some page under docs/ has each command as it is typed, and all its options."""
        for command in COMMANDS:
            with subtests.test(command=command):
                options = [name for each in COMMANDS[command].params for name in each.opts]
                pages = [page.read_text() for page in ROOT.glob("docs/**/*.md")]
                about = [page for page in pages if f"`{command}`" in page]
                assert any(all(f"`{name}`" in page for name in options) for page in about), (command, options)

    async def test_examples_look_for_errors_that_are_written(self) -> None:
        """What the runbook gives to --error stands in the error that such an answer leaves."""
        asked = {words for page in PAGES for words in re.findall(r"--error '([^']+)'", page.read_text())}
        async with http_sink() as sink:
            sink.answer = lambda _: Answer(401)
            destination = open_destination("queue", sink.url, {})
            [outcome] = await destination.send([message(1)])
            await destination.aclose()
        assert isinstance(outcome, Retry)
        assert asked
        assert all(has_error(words, outcome.error) for words in asked)


class TestErrors:
    def test_every_error_code_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each code is in the operator's table or in the client's."""
        for error_code in sorted(error_codes()):
            with subtests.test(error_code=error_code):
                tables = section("docs/operations.md", "Error codes") + section("docs/client.md", "Errors")
                assert f"`{error_code}`" in tables


class TestDestinations:
    def test_every_scheme_and_option_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each URL scheme has a section, whose table has exactly the options that the code reads."""
        for scheme in SCHEMES:
            with subtests.test(scheme=scheme):
                [page] = [page for page in ROOT.glob("docs/destinations/*.md") if _is_about(page, scheme)]
                table = section(str(page.relative_to(ROOT)), f"`{scheme}:`")
                assert set(re.findall(r"(?m)^\| `([a-z_]+)` \|", table)) == destination_options()[scheme]

    def test_every_back_end_is_listed_and_conforms(self, subtests: pytest.Subtests) -> None:
        """The overview links the page of each back-end, and the suite of all destinations runs on it."""
        overview, systems = read("docs/destinations/README.md"), {name.partition("-")[0] for name in SYSTEMS}
        for scheme, back_end in SCHEMES.items():
            with subtests.test(scheme=scheme):
                [page] = [page for page in ROOT.glob("docs/destinations/*.md") if _is_about(page, scheme)]
                assert f"]({page.name})" in overview
                schemes = {name for name, other in SCHEMES.items() if other.module == back_end.module}
                assert systems & {back_end.module.rpartition(".")[2], *schemes}

    def test_the_matrix_has_every_case_and_system(self) -> None:
        """The kept table is of the suite as it is: `make matrix` writes it anew."""
        head, _, *rows = (line for line in MATRIX.read_text().splitlines() if line.startswith("|"))
        assert [cell.strip() for cell in head.split("|")[2:-1]] == list(SYSTEMS)
        tests = re.findall(r"def test_(\w+)\(\s*self, system: System", SUITE.read_text())
        assert [row.split("|")[1].strip() for row in rows] == [name.replace("_", " ") for name in tests]

    def test_every_common_option_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each option that every destination has is in one table, which ends in its default."""
        for option in DeliveryPolicy.__dataclass_fields__:
            with subtests.test(option=option):
                cell = row(section("docs/destinations/README.md", "Options of every destination"), option)
                default = DeliveryPolicy.__dataclass_fields__[option].default
                if default is not None:
                    assert cell.rstrip(" |").rpartition("| ")[2] == f"{default:g}"

    def test_every_option_of_routing_is_documented(self) -> None:
        """One table has exactly the options that choose events; none of them is also a destination's own."""
        table = section("docs/destinations/README.md", "Routing")
        options = set(Routing.__dataclass_fields__)
        assert set(re.findall(r"(?m)^\| `([a-z_]+)` \|", table)) == options
        assert not options.intersection(*destination_options().values())

    def test_the_example_is_accepted(self) -> None:
        """The table of options that the page shows can be copied."""
        [example] = tomllib.loads(code("docs/destinations/README.md", "toml")[0])["destinations"].values()
        routing, own = take("ads", example)
        assert set(own) == {"url"}
        assert all(getattr(routing, option) for option in set(example) - {"url"})


class TestExtras:
    def test_each_is_of_use(self) -> None:
        """The code asks for each; `all` has all of them, and whoever runs from a clone has `all`."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        asked_for = {back_end.extra for back_end in SCHEMES.values() if back_end.extra} | {
            "console",
            "otel",
            "sandbox",
        }
        assert set(extras) - {"all"} == asked_for
        [together] = re.findall(r"\[(.*)\]", extras["all"][0])
        assert set(together.split(",")) == asked_for
        assert "-e '.[all]'\n" in (ROOT / "Makefile").read_text()


class TestAssets:
    def test_every_code_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each reason why an asset is missing has its row, and says if it is temporary, or is at first."""
        for asset_code in sorted(asset_codes()):
            with subtests.test(asset_code=asset_code):
                _, _, temporary, at_first, *_ = row(section("docs/assets.md", "Codes"), asset_code).split("|")
                outcome = response.NotAcceptable(asset_code).outcome
                assert temporary.strip() == ("yes" if asset_code in response.RETRYABLE else "no")
                if not asset_code.startswith("blocked_"):  # no response's
                    assert at_first.strip() == (
                        "no" if outcome.permanent and not outcome.may_appear else "yes"
                    )


class TestFormats:
    def test_every_type_is_documented(self) -> None:
        """Each type that is kept is named, and so is its extension, in the same place of its row."""
        rows = [line.split("|") for line in section("docs/formats.md", "Formats").splitlines() if "`" in line]
        cells = [
            (re.findall("`(.*?)`", row[1]), re.findall("`(.*?)`", row[2])) for row in rows if len(row) == 4
        ]
        told = {kind: end for kinds, ends in cells[1:] for kind, end in zip(kinds, ends, strict=True)}
        assert told == dict(MEDIA_TYPES)


class TestMetrics:
    def test_every_metric_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each counter and gauge has its row."""
        for metric in metric_names():
            with subtests.test(metric=metric):
                row(section("docs/operations.md", "Metrics"), metric)

    def test_no_page_names_a_metric_that_is_not_there(self, subtests: pytest.Subtests) -> None:
        """What looks like a metric, in quotes, is in the table of them."""
        table = section("docs/operations.md", "Metrics")
        others = {"receiver_error", "receiver_events", "receiver_sandbox"}  # a code, a table, a fixture
        for page in PAGES:
            for metric in set(re.findall(r"`(receiver_[a-z_]+)", page.read_text())) - others:
                with subtests.test(page=page.name, metric=metric):
                    assert f"`{metric}`" in table


class TestOperatorEvents:
    def test_each_step_can_be_taken(self, subtests: pytest.Subtests) -> None:
        """Its command is one of ours with options that it has, and the runbook has its section."""
        page = (ROOT / "docs/operations.md").read_text()
        slugs = {slug(heading) for heading in re.findall(r"(?m)^#+ (.*)", page)}
        for word, (command, section_) in STEPS.items():
            with subtests.test(word):
                assert section_ in slugs
                name, dash, options = command.partition(" --")
                COMMANDS[name].make_context(name, f"{dash}{options}".split())


class TestLogs:
    def test_every_fact_is_documented(self) -> None:
        """Each constant first argument of a log call stands in the table of facts."""
        table = section("docs/operations.md", "Logs")
        for path in (ROOT / "receiver").rglob("*.py"):
            for fact in _facts(ast.parse(path.read_text())):
                assert f"`{fact}`" in table, f"{fact} ({path.name})"


class TestInvariants:
    def test_every_invariant_names_its_test(self) -> None:
        """The numbered list names exactly the test classes that exist, in order."""
        source = (ROOT / "tests/acceptance/test_invariants.py").read_text()
        classes = re.findall(r"(?m)^class (TestInvariant\d+)", source)
        assert (
            re.findall(r"\(`(TestInvariant\d+)`\)", section("docs/architecture.md", "Invariants")) == classes
        )
        assert len(re.findall(r"(?m)^\d+\. ", section("README.md", "What is guaranteed"))) == len(classes)


class TestMessage:
    def test_the_example_is_what_the_code_makes(self) -> None:
        """The provider's documented payload, mirrored, gives the message of the page."""
        example = json.loads(code("docs/message.md", "json")[0])
        event = _told_in(example)
        told = ("url", "content_type", "size_bytes", "sha256", "width", "height")
        kept = {key: example["data"]["asset"][key] for key in told}
        made = envelope(event, event_id=example["id"], received_ms=0, asset=Asset("mirrored", **kept))
        assert made == example
        fetched = Fetched(Path(), kept["size_bytes"], kept["sha256"], "image/png")
        key = KeyTemplate().key(event, event_id=example["id"], received_ms=0, asset=fetched)
        assert kept["url"].endswith(key)

    def test_the_projected_example_is_what_the_code_makes(self) -> None:
        """The projection that the page names makes the second example of the first."""
        whole, projected = (json.loads(block) for block in code("docs/message.md", "json"))
        [expression] = re.findall(r"With `([^`]+)` its message is", read("docs/message.md"))
        routing, _ = take("ads", {"projection": expression})
        assert json.loads(cast("bytes", routing.encode(whole, destination="ads"))) == projected

    def test_the_example_fits_the_schema(self) -> None:
        """What is documented validates against the schema that ships, and a wrong value does not."""
        schema = json.loads((ROOT / "receiver/schemas/generation-event-1.json").read_text())
        data = json.loads(code("docs/message.md", "json")[0])["data"]
        jsonschema.validate(data, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**data, "asset": {**data["asset"], "sha256": "?"}}, schema)

    def test_the_consumer_handles_a_repeat_once(self) -> None:
        """The example consumer handles each id once, and again what it failed to handle."""
        handled: list[str] = []

        def handle(event: dict[str, Any]) -> None:
            handled.append(event["id"])
            if handled == ["a"]:
                raise ValueError("the first attempt fails")

        with closing(sqlite3.connect(":memory:")) as db:
            given = {"db": db, "handle": handle, "json": json}
            for lines in (['{"id": "a"}'], ['{"id": "a"}', '{"id": "b"}', '{"id": "a"}']):
                with suppress(ValueError):
                    exec(code("docs/message.md", "python")[0], {**given, "sys": _Stdin(lines)})
        assert handled == ["a", "a", "b"]


class TestClient:
    def test_the_example_of_the_readme_runs(self, tmp_path: Path) -> None:
        """The README's program makes an image and downloads it, against the sandbox."""
        program = code("README.md", "python")[0].replace("https://your-host", "http://127.0.0.1:9")
        with Sandbox() as sandbox:
            env = {
                "RECEIVER_API_KEY": sandbox.key(),
                "RECEIVER_API_BASE_URL": sandbox.url,
                "PYTHONPATH": str(ROOT),
            }
            subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=True, timeout=50)
        assert (tmp_path / "lighthouse.webp").stat().st_size > 0


class TestSandbox:
    def test_every_knob_is_documented(self, subtests: pytest.Subtests) -> None:
        """Each way to make the sandbox misbehave has its row."""
        for knob in Knobs.__dataclass_fields__:
            with subtests.test(knob=knob):
                row(read("docs/sandbox.md"), knob)

    def test_the_example_runs(self) -> None:
        """The program of the page makes an image, or is told why not."""
        program = code("docs/sandbox.md", "python")[0]
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=ROOT, check=True, timeout=50, capture_output=True, text=True)
        assert done.stdout.startswith(("completed ", "failed "))


class TestImportFloors:
    def test_the_diagram_is_what_is_enforced(self) -> None:
        """The floors in architecture.md are those of `.importlinter`."""
        enforced = read(".importlinter").partition("layers =\n")[2].partition("\n\n")[0]
        [drawn] = re.findall(r"```\n(.*?)\n```", section("docs/architecture.md", "Import floors"), re.DOTALL)
        assert [line.split("  ")[0] for line in drawn.splitlines()] == [
            line.strip() for line in enforced.splitlines()
        ]


class TestPages:
    def test_every_relative_link_leads_somewhere(self, subtests: pytest.Subtests) -> None:
        """Each link names a file that is there, and a heading in it if it has an anchor."""
        for page in PAGES:
            with subtests.test(page=page):
                for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
                    path, _, anchor = link.partition("#")
                    target = (page.parent / path).resolve() if path else page
                    assert target.is_file(), link
                    assert not anchor or anchor in {
                        slug(found[1]) for found in LINE.findall(target.read_text())
                    }, link

    def test_every_path_of_ours_exists(self, subtests: pytest.Subtests) -> None:
        """A file that a page names in code is there."""
        for page in PAGES:
            with subtests.test(page=page):
                for path in re.findall(r"`((?:receiver|tests|docs)/[\w/.-]+)`", page.read_text()):
                    assert (ROOT / path).exists(), path

    def test_every_json_example_is_json(self, subtests: pytest.Subtests) -> None:
        """Policies and messages can be copied as they stand."""
        for page in PAGES:
            with subtests.test(page=page):
                for block in code(str(page.relative_to(ROOT)), "json"):
                    json.loads(block)

    def test_every_finding_is_listed(self) -> None:
        """The list has each script, and no other."""
        listed = re.findall(r"(?m)^\| \[`(.+?)`\]", read("findings/README.md"))
        assert listed == sorted(script.name for script in ROOT.glob("findings/*.sh"))

    def test_the_readme_names_this_version(self) -> None:
        """The version, and the wheel's, are those of pyproject.toml."""
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert f"Version {version}," in read("README.md")
        assert f"avs_receiver-{version}-py3" in read("README.md")

    def test_the_readme_is_short(self) -> None:
        """A person in a hurry reads it to the end."""
        assert len(read("README.md").splitlines()) <= 170


class _Stdin:
    """Stands in for the module `sys` with some lines to read."""

    def __init__(self, lines: list[str]) -> None:
        self.stdin = lines


def _is_about(page: Path, scheme: str) -> bool:
    return any(f"`{scheme}:`" in heading for _, heading in LINE.findall(page.read_text()))


def _facts(tree: ast.AST) -> Iterator[str]:
    levels = {"debug", "info", "warning", "error", "exception"}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in levels:
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _told_in(example: dict[str, Any]) -> Event:
    """Return the event that the provider must have told for *example* to be sent."""
    data = example["data"]
    told = {key: data[key] for key in ("status", "prompt", "created_at", "completed_at")}
    told |= {"id": data["generation_id"], "type": "image", "output_url": data["asset"]["source_url"]}
    body = {"event": "generation.completed", "data": told, "created_at": example["time"]}
    event = normalize(json.dumps(body).encode(), source="photoverse")
    assert isinstance(event, Event)
    return event


class TestDeploy:
    def test_quoted_file(self) -> None:
        """The Caddyfile in the manual is the one that is tested."""
        assert code("docs/operations.md", "caddyfile") == [read("deploy/Caddyfile")]
