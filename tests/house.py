"""Print how large the house is and how its prose reads, measured from the tree itself: `make house`.

Prose is Markdown without code, tables, headings and list marks, and the help of every command.
A sentence ends at `.`, `!`, `?` or at the end of a paragraph or a list item.

The aim for the size of receiver/ is for what it did at commit 8ccc6fd, in 29,821 lines. So what serves only a
feature that came later is counted apart: `LATER`, made by hand. It has the modules that this commit lacks
and of whose feature its code and docs say nothing. A module that does old work in a new place, or that
makes old work safer, counts as old; so does what a later feature adds to an older module.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from receiver.cli import cli

ROOT = Path(__file__).parents[1]
AIM_LINES, AIM_CASES, AIM_WORDS = 25_000, 6_500, 15
LATER = {
    "attempts kept": "store/attempts store/migrations/versions/0016_attempts",
    "audit log": "admin/deeds operations/audit store/audit store/migrations/versions/0013_audit",
    "backup": "cli/backup store/sqlite_backup",
    "chat": "destinations/chat",
    "check": "assets/s3_check cli/check wiring/usable",
    "clocks set back": "store/future worker/clockwatch",
    "config": "cli/config wiring/effective",
    "console": "console",
    "durations of sounds": "assets/audio_duration",
    "erasure": "cli/erase operations/erasing store/erasure store/removals",
    "find": "operations/timeline store/story",
    "init": "cli/init cli/scaffold",
    "mirror-now and release": "cli/interventions operations/interventions store/interventions",
    "notices": "store/migrations/versions/0018_notices store/notices worker/telling",
    "OpenAPI of the admin API": "admin/openapi operations/schemas",
    "outages of buckets and hosts": "store/migrations/versions/0022_outages store/outages worker/bucket_gates"
    " worker/gate worker/host_gates worker/outages",
    "pace shared by programs": "client/shared_pace pace",
    "pull": "cli/pulling destinations/pull pull store/pull wiring/pull",
    "reload": "cli/renewal wiring/renewal",
    "retention": "cli/prune operations/pruning store/migrations/versions/0015_retention store/old_assets"
    " store/retention wiring/retention worker/pruning",
    "status": "cli/status operations/status",
    "tracing": "telemetry/otlp tracing",
    "use of secrets": "web/secret_use",
}
"""The modules and packages of each later feature."""
LEVELS = {"debug", "info", "warning", "error", "exception"}
SENTENCE_END = re.compile(r"(?<=[.!?])[)\"*_”]*\s+(?=[A-Z0-9\"'`(*_“])")
MARKS = re.compile(r"[,:;](?=\s|$)")
PARAGRAPH_END = re.compile(r"\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+")


@dataclass(frozen=True)
class Prose:
    """What a text measures: `words` per sentence, and commas, colons and semicolons per sentence."""

    sentences: int
    words: int
    mean: float
    p90: int
    marks: float

    @classmethod
    def of(cls, text: str) -> "Prose":
        """Measure plain text whose paragraphs are separated by empty lines."""
        found = list(sentences(text))
        lengths = sorted(len(each.split()) for each in found) or [0]
        return cls(
            sentences=len(found),
            words=sum(lengths),
            mean=sum(lengths) / len(lengths),
            p90=lengths[len(lengths) * 9 // 10],
            marks=sum(len(MARKS.findall(each)) for each in found) / len(lengths),
        )


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of plain text; a paragraph without an end mark is one too."""
    for paragraph in PARAGRAPH_END.split(text):
        yield from (each for each in SENTENCE_END.split(" ".join(paragraph.split())) if " " in each)


def plain(markdown: str) -> str:
    """Return Markdown without comments, code blocks, tables, headings, images and link targets."""
    text = re.sub(r"<!--.*?-->|```.*?```", "\n", markdown, flags=re.DOTALL)
    text = re.sub(r"(?m)^(?:#+ .*|\s*\|.*|\s*!\[.*)$", "", text)
    text = re.sub(r"(?m)^\s*(?:[-*]|\d+\.) ", "\n", text)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def pages() -> list[Path]:
    """Return README, CONTRIBUTING and every page of docs/; the changelog is a list and is left out."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def help_texts(command: click.Command = cli) -> Iterator[str]:
    """Yield the help of a command, of its options and of the commands below it."""
    yield re.sub(r"\x08[^\n]*\n(?:.+\n?)*", "\n", command.help or "")  # \b: examples, not prose
    yield from (str(each.help) for each in command.params if getattr(each, "help", None))
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from help_texts(each)


def log_events() -> Counter[str]:
    """Return the name of each log event, with the number of lines that write it."""
    calls = (
        node
        for path in (ROOT / "receiver").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
    )
    firsts = (call.args[0] for call in calls if call.args)
    return Counter(
        each.value for each in firsts if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )


def lines(paths: Iterable[Path]) -> int:
    """Return how many lines of Python these files and folders hold."""
    files = (file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))
    return sum(len(file.read_text().splitlines()) for file in files if file.suffix == ".py")


def generated() -> list[Path]:
    """Return the modules of `receiver` that `make twins` writes."""
    return [
        file for file in (ROOT / "receiver").rglob("*.py") if file.read_text().startswith("# Generated by ")
    ]


def later() -> dict[str, int]:
    """Return the lines that serve only what came after 8ccc6fd, by feature."""
    return {feature: lines(map(_module, names.split())) for feature, names in LATER.items()}


def _module(name: str) -> Path:
    path = ROOT / "receiver" / name
    return path if path.is_dir() else path.with_suffix(".py")


def packages() -> dict[str, int]:
    """Return the lines of each package of `receiver`; `.` has the modules that are in none."""
    inside = sorted(each for each in (ROOT / "receiver").iterdir() if each.name != "__pycache__")
    sizes = {each.name: lines([each]) for each in inside if each.is_dir()}
    return {".": lines(each for each in inside if each.is_file())} | {k: n for k, n in sizes.items() if n}


def cases() -> int:
    """Return how many cases pytest collects; takes about 20 s."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(re.findall(r"(\d+) tests? collected", done.stdout)[-1])


def _row(name: str, prose: Prose) -> str:
    return (
        f"| {name} | {prose.sentences} | {prose.words} | {prose.mean:.1f} | {prose.p90} | {prose.marks:.2f} |"
    )


def prose_table(*, by_page: bool) -> Iterator[str]:
    """Yield the table of how the prose reads."""
    texts = {str(page.relative_to(ROOT)): plain(page.read_text()) for page in pages()}
    yield f"| prose | sentences | words | words a sentence, ≤ {AIM_WORDS} | p90 | commas, colons a sentence |"
    yield "|---|---|---|---|---|---|"
    yield _row("docs, README, CONTRIBUTING", Prose.of("\n\n".join(texts.values())))
    yield _row("`--help`", Prose.of("\n\n".join(help_texts())))
    if by_page:
        yield from (_row(name, Prose.of(text)) for name, text in texts.items())
    events = log_events()
    longest = max(events, key=lambda name: len(name.split()))
    yield f"\n{len(events)} log events, written by {events.total()} calls; the longest is `{longest}`."


def main() -> None:
    """Print both tables; `--pages` adds a row for each page, `--no-cases` leaves pytest out."""
    tests = list((ROOT / "tests").rglob("*.py"))
    total, added = lines([ROOT / "receiver"]), later()
    print("| lines | | aim |\n|---|---|---|")
    print(f"| receiver/, for what it did at 8ccc6fd | {total - sum(added.values())} | ≤ {AIM_LINES} |")
    print(f"| receiver/, for {len(added)} later features | {sum(added.values())} | |")
    print(f"| of both, written by `make twins` | {lines(generated())} | |")
    for name, size in packages().items():
        print(f"| receiver/{name} | {size} | |")
    print(f"| tests/ | {lines(tests)} in {len(tests)} files | |")
    if "--no-cases" not in sys.argv:
        print(f"| cases | {cases()} | ≤ {AIM_CASES} |")
    print()
    print("\n".join(prose_table(by_page="--pages" in sys.argv)))


if __name__ == "__main__":
    main()
