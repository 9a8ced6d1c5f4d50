"""Every command of the documentation is run, and does what the text beside it says."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest

from receiver.cli import cli
from receiver.settings import PREFIX, Settings
from receiver.store import Store
from tests.acceptance.service import service
from tests.servers.require import free_ports
from tests.stored import a_body, an_event, dead, migrated, settled
from tests.unit.cli.running import Ended, Run, run

__all__ = ["run"]

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
SHOWN: Final = "01944aef-c880-7001-8203-040506070809"
THAT_DAY: Final = 1_736_424_000_000
"""2025-01-09T12:00Z, as the runbook has it."""
TOKEN: Final = "admin_0123456789abcdef"
DESTINATIONS: Final = {
    "RECEIVER_DESTINATIONS__QUEUE__URL": "file:queue.jsonl",
    "RECEIVER_DESTINATIONS__BILLING__URL": "file:billing.jsonl",
}
ELSEWHERE: Final = {
    "README.md": "its demo, sandbox, serve and image run in test_demo, test_sandbox and test_docs",
    "docs/deploy.md": "docker, systemd and kubectl are not here; test_deploy checks the files",
    "docs/performance.md": "benchmarks, an hour of an idle machine",
    "docs/http.md": "run by test_webhook_examples",
    "docs/destinations/pull.md": "run by test_consumers",
    "docs/sandbox.md": "knobs and faults are run in tests/unit/cli/test_sandbox",
    "docs/tutorial.md": "followed word for word by tests/acceptance/test_tutorial.py",
    "docs/console.md": "pip install, and a file's name",
    "docs/databases.md": "sqlite3's own command",
}
"""Pages whose blocks are run by another test, or not at all, and why."""
OTHERS: Final = ("pip install ", "kafka-acls.sh", "nats ", "rabbitmqctl ", "export ", "token=")
"""Commands of other software, for its administrators, and lines that only set a variable."""
ENDLESS: Final = ("receiver status --watch", "receiver events tail", "receiver serve")
"""They go on until Ctrl-C: tests/unit/cli has them."""
OF_PROVIDER: Final = ("receiver image ", "receiver generations ", "receiver verify ")
"""With an elided key or signature: tests/unit/cli has each with a real one."""


def blocks(page: Path, language: str = "sh") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def lines(page: Path) -> Iterator[str]:
    """Yield each command of a page, in one line and without what explains it."""
    for block in blocks(page):
        for line in block.replace("\\\n", "").splitlines():
            command = re.sub(r"\s{2,}#.*|\s# or .*", "", line).strip()
            if command:
                yield re.sub(r"\s{2,}", " ", command)


ALL: Final = [line for page in PAGES if str(page.relative_to(ROOT)) not in ELSEWHERE for line in lines(page)]
OURS: Final = {line for line in ALL if line.startswith("receiver ")}
CURL: Final = [line for line in ALL if line.startswith("curl ")]


def words(line: str) -> list[str]:
    return [re.sub("^['\"]|['\"]$", "", one) for one in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", line)][1:]


async def _fill(store: Store) -> None:
    now_ms = int(time.time() * 1000)
    await dead(
        store, an_event("gen_dead", at=now_ms - 3_600_000), error="x answered 401: check", destination="queue"
    )
    asked = an_event("gen_abc123def456", at=THAT_DAY + 1)._replace(id=SHOWN)
    [_] = await settled(store, asked)
    await store.transact(lambda connection: connection.exec_driver_sql(_DELIVERED))
    await settled(store, an_event("gen_pending_delivery", at=now_ms - 1_000))
    await store.record(an_event("gen_123", at=now_ms - 500)._replace(asset_host="cdn.example.com"))
    await store.record(a_body('{"event": "x.y", "data": {"id": "gen_9"}}', at=now_ms - 400))
    await store.record(a_body("{", at=now_ms - 300))


_DELIVERED: Final = f"UPDATE delivery SET state = 'delivered', settled_ms = 1 WHERE event_id = '{SHOWN}'"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder whose store has one of everything that the runbooks are about."""
    store = Store(migrated(tmp_path / "data/receiver.db"), destinations=("queue", "billing"))
    asyncio.run(_fill(store))
    store.close()
    return tmp_path


def has(text: str) -> Callable[[Ended], bool]:
    return lambda ended: text in ended.out + ended.err


def changed(count: int, *, of: int) -> Callable[[Ended], bool]:
    """Whether so many of the rows that match were changed, or would be."""
    return lambda ended: (ended.objects[-1]["matched"], ended.objects[-1]["changed"]) == (of, count)


REPLAY: Final = "receiver events replay --since 2025-01-09T12:00Z --until 2025-01-09T18:00Z --to queue"
RETRY: Final = "receiver deliveries retry --destination queue --error 'answered 401'"
BULK: Final = re.compile("receiver (deliveries|events|quarantine) (retry|replay) ")
"""Run with --json, which has the counts."""
EFFECTS: Final[dict[str, Callable[[Ended], bool]]] = {
    "receiver find gen_123": has("next try for the asset"),
    "receiver workers": has("spool folder"),
    "receiver events list --state pending": has("gen_123"),
    "receiver events list --state pending --oldest-first": has("gen_123"),
    "receiver deliveries list --state pending": has("gen_pending_delivery"),
    f"receiver events show {SHOWN}": has("gen_abc123def456"),
    "receiver events mirror-now gen_123": has("a worker retries its asset now"),
    "receiver events release gen_123": has("it is forwarded without its asset"),
    "receiver erase gen_abc123def456 --asset --dry-run": has("would be erased"),
    "receiver erase gen_abc123def456 --asset --yes": has("\terased"),
    "receiver deliveries retry --state pending --destination queue": changed(0, of=1),
    'receiver destinations pause billing --reason "database upgrade until 14:00"': has(
        "billing is paused: database upgrade until 14:00"
    ),
    "receiver destinations resume billing": has("billing was not paused."),
    "receiver deliveries list --state dead": has("answered 401"),
    "receiver deliveries list --state dead --since 1d": has("answered 401"),
    f"{RETRY} --dry-run": changed(1, of=1),
    RETRY: changed(1, of=1),
    f"{REPLAY} --dry-run": changed(1, of=1),
    REPLAY: changed(1, of=1),
    "receiver operations list": has("matched"),
    "receiver quarantine list --state open": has("no_generation_id"),
    "receiver quarantine retry --all --dry-run": changed(1, of=2),
    "receiver quarantine retry --all": changed(1, of=2),
    "receiver assets verify --failed --repair --since 7d": has("checked"),
    "receiver operations cancel ID": has("ID"),
    "receiver completion bash > ~/.local/share/bash-completion/completions/receiver": has(
        "_RECEIVER_COMPLETE"
    ),
    "receiver completion fish > ~/.config/fish/completions/receiver.fish": has("_RECEIVER_COMPLETE"),
    "receiver completion zsh > ~/.zfunc/_receiver": has("_RECEIVER_COMPLETE"),
}
"""What each command prints or does, on a store that has one of everything."""
STATUSES: Final = {
    "receiver operations cancel ID": 5,
    "receiver assets verify --failed --repair --since 7d": 1,
}
"""Where ID stands for an operation, and where the bucket has none of the files."""


class TestCommands:
    def test_every_one_is_run(self) -> None:
        """A command that is new in the documentation needs its effect here."""
        assert OURS - {one for one in OURS if one.startswith((*ENDLESS, *OF_PROVIDER))} == set(EFFECTS)

    @pytest.mark.parametrize("line", EFFECTS)
    def test_has_its_effect(self, run: Run, stored: Path, line: str) -> None:
        """It does what the text beside it says."""
        as_json = ["--json"] if BULK.match(line) else []
        ended = run(*words(line.partition(" > ")[0]), *as_json, **DESTINATIONS)
        assert ended.status == STATUSES.get(line, 0), ended
        assert EFFECTS[line](ended), ended

    def test_every_other_line_is_known(self) -> None:
        """What is no command of ours sets a variable, or is another software's."""
        rest = [
            line
            for line in ALL
            if not line.startswith(("receiver ", "curl ", *OTHERS)) and not line.startswith(PREFIX)
        ]
        assert rest == []
        assert all((ROOT / page).is_file() for page in ELSEWHERE)

    def test_those_in_running_text_exist(self, subtests: pytest.Subtests) -> None:
        """Pages, messages of the program and files of `deploy/` name commands and options that there are."""
        targets = set(re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text()))
        for said in sorted(set(_in_text())):
            with subtests.test(said):
                first, *rest = re.sub(r"{[^}]*}|'[^']*'|\"[^\"]*\"", "X", said).split()
                if first == "receiver":
                    assert _is_command(rest)
                elif first == "make":
                    assert rest[0] in targets
                else:
                    assert (ROOT / rest[1].replace(".", "/")).with_suffix(".py").is_file() or rest[
                        1
                    ] == "tests.field"

    def test_every_setting_is_accepted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
    ) -> None:
        """What a page sets in one block can be set together."""
        monkeypatch.chdir(tmp_path)
        for name, block in ((page.name, block) for page in PAGES for block in blocks(page)):
            settings = [line for line in block.splitlines() if line.startswith(PREFIX)]
            given = dict(line.split("#")[0].strip().split("=", 1) for line in settings)
            if not given or any("_FILE" in one for one in given):
                continue
            with subtests.test(page=name, given=given), pytest.MonkeyPatch.context() as patched:
                for variable, value in given.items():
                    patched.setenv(variable, value.strip("\"'"))
                assert Settings.load().model_fields_set


class TestAdminApi:
    def test_every_call_has_its_effect(self, stored: Path) -> None:
        """Each `curl` of the page is answered: with data, counts, or an operation that is begun."""
        [port] = free_ports(1)
        database = f"sqlite:///{stored}/data/receiver.db"
        private = {"RECEIVER_ADMIN_PORT": str(port), "RECEIVER_ADMIN_TOKEN": TOKEN}
        settings = {**private, **DESTINATIONS, "RECEIVER_DATABASE_URL": database}
        with service(stored, **settings) as running:
            running.port = port
            running.start("admin")
            asked = [_ask(running, line) for line in CURL]
        told = {line: answer for line, (_, answer) in zip(CURL, asked, strict=True)}
        for line, (status, answer) in zip(CURL, asked, strict=True):
            # The operation that the page names by an id is one of its reader's.
            expected = (404,) if "/operations/" in line else (200, 202)
            assert status in expected, (line, answer)
        first, dry, *_ = told.values()
        assert [one["destination"] for one in first["data"]] == ["queue"]
        assert dry == {"kind": "deliveries.retry", "matched": 1, "changed": 1, "dry_run": True}


def _in_text() -> Iterator[str]:
    """Yield what stands between backticks like a command."""
    for page in (
        *PAGES,
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("receiver/**/*.py"),
        *ROOT.glob("deploy/**/*.*"),
    ):
        if page.suffix != ".png":
            yield from re.findall(r"`((?:receiver|make|python -m) [^`\n]+)`", page.read_text())


def _is_command(rest: list[str]) -> bool:
    """Whether *rest* leads from `receiver` to a command, and has no options but its own."""
    at: click.Command = cli
    while rest and isinstance(at, click.Group) and (inner := at.commands.get(rest[0])):
        at, rest = inner, rest[1:]
    options = {name for one in at.params for name in (*one.opts, *one.secondary_opts)}
    is_found = not isinstance(at, click.Group) or not rest or rest[0] in ("X", "--version")
    return is_found and all(word in options for word in rest if word.startswith("--"))


def _ask(running: Any, line: str) -> tuple[int, Any]:
    """Send what a `curl` of the page sends."""
    given = words(line.replace("$token", TOKEN))
    [url] = [one for one in given if one.startswith("http")]
    body = given[given.index("-d") + 1].encode() if "-d" in given else b""
    method = "POST" if body or "POST" in given else "GET"
    path = url.partition(":8001")[2]
    answer = running.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
    return answer.status, json.loads(answer.body)
