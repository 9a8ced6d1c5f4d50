"""`receiver init`: settings, secrets, and a unit or compose file, from the user's answers."""

import contextlib
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.ports import ADMIN_PORT, PORT
from receiver.errors import ConfigError

if TYPE_CHECKING:
    from receiver.cli.scaffold import Answers, RunWith

_SQLITE: Final = "sqlite:///data/receiver.db"
_FOLDER: Final = "file:data/assets"
_WAYS: Final = ("shell", "systemd", "compose")
_PORT: Final = click.IntRange(1, 65_535)
_FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True)
_EXPORT: Final = re.compile(r"(?m)^(?:export )?RECEIVER_(\w+)=(.*)$")


class _NamedUrl(click.ParamType[tuple[str, str]]):
    """NAME=URL."""

    name = "NAME=URL"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return both."""
        name, equals, url = value.partition("=")
        if not (equals and url and re.fullmatch("[a-z0-9][a-z0-9_-]{0,62}", name)):
            self.fail(f"{value!r} is not NAME=URL, such as queue=redis://127.0.0.1:6379/0", param, ctx)
        return name, url


class _HostName(click.ParamType[str]):
    """The public host name, or none."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it."""
        if value and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", value):
            self.fail(f"{value!r} is not a host name, such as hooks.example.com", param, ctx)
        return str(value)


_EXAMPLES: Final = """\b
To try it:
  receiver sandbox --env-file sandbox.env        # keep it running
  receiver init --sandbox sandbox.env --yes
For a real account:
  receiver init
In a script:
  receiver init --yes --secret-file secret.txt --run-with systemd \\
    --destination queue=redis://127.0.0.1:6379/0 --host-name hooks.example.com"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write to, and to start the receiver in.  [default: this one]",
)
@click.option(
    "--sandbox",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="For `receiver sandbox`: the file that its --env-file wrote.",
)
@click.option("--secret-file", type=_FILE, metavar="FILE", help="File with the webhook's signing secret.")
@click.option("--api-key-file", type=_FILE, metavar="FILE", help="File with the provider's API key.")
@click.option("--database", metavar="URL", help="sqlite or postgresql://user@host/name.  [default: sqlite]")
@click.option("--assets", metavar="URL", help=f"file:folder or s3://bucket/prefix.  [default: {_FOLDER}]")
@click.option("--s3-endpoint", metavar="URL", help="Endpoint of an S3-compatible store.  [default: AWS]")
@click.option(
    "--destination",
    "destinations",
    type=_NamedUrl(),
    multiple=True,
    help="Queue to forward to, such as queue=redis://127.0.0.1:6379/0. Repeatable.",
)
@click.option(
    "--run-with",
    type=click.Choice(_WAYS),
    help="How to start it; also writes a systemd unit or a compose file.  [default: shell]",
)
@click.option(
    "--host-name",
    type=_HostName(),
    help="Public host name: also write a Caddyfile that serves it by HTTPS.",
)
@click.option("--port", type=_PORT, default=PORT, show_default=True, help="Port for webhooks.")
@click.option("--admin-port", type=_PORT, default=ADMIN_PORT, show_default=True, help="Port of the console.")
@click.option("--yes", is_flag=True, help="Ask nothing: use the options and defaults.")
@click.option("--force", is_flag=True, help="Overwrite files.")
def init(*, folder: Path, force: bool, **given: Any) -> None:
    """Write receiver.toml, secret files, and a unit or compose file.

    Prompts for what is not given as an option. Secrets are read from files or typed without echo. They are
    saved below secrets/, where only you can read them. Nothing is written if a setting is wrong.
    """
    from receiver.cli import scaffold

    try:
        answers = _ask(**given)
    except (EOFError, click.Abort) as error:
        if sys.stdin.isatty():
            raise
        raise click.UsageError(
            "There is no terminal to ask on: give --yes, and an option for each default that does not fit."
        ) from error
    files = scaffold.files(answers)
    if not force and (there := [name for name in files if (folder / name).exists()]):
        raise click.UsageError(f"{', '.join(there)}: already there. --force overwrites.")
    if (folder / scaffold.ADMIN_TOKEN).exists():
        del files[scaffold.ADMIN_TOKEN]  # people stay signed in
    _write(folder, files)
    for name in files:
        click.echo(f"wrote {folder / name}")
    click.echo("\n" + "\n".join(_next_steps(folder, answers)))


def _ask(**given: Any) -> "Answers":
    """Return the options, and the user's answers for the rest.

    Raises:
        click.UsageError: the secret is missing, and we may not ask.
    """
    from receiver.cli.scaffold import Answers

    asks = not given["yes"]
    account = _sandbox(given["sandbox"]) if given["sandbox"] else _account(given, asks=asks)
    database = given["database"] or _prompt(
        asks, "Database (sqlite, or postgresql://user@host/name)", "sqlite"
    )
    assets = given["assets"] or _prompt(asks, "Assets (file:folder, or s3://bucket/prefix)", _FOLDER)
    is_s3 = assets.startswith("s3:")
    endpoint = given["s3_endpoint"] or _prompt(asks and is_s3, "S3 endpoint (empty: AWS)", "")
    destinations = _by_name(given["destinations"] or _destinations(asks=asks))
    ways = click.Choice(_WAYS)
    run_with: RunWith = given["run_with"] or _prompt(asks, "Run with", "shell", kind=ways)
    host_name = given["host_name"] or _prompt(
        asks and not given["sandbox"], "Public host name (empty: no HTTPS yet)", "", kind=_HostName()
    )
    answers = Answers(
        **account,
        database_url=_SQLITE if database == "sqlite" else database,
        assets_url=assets,
        s3_endpoint_url=endpoint or None,
        destinations=destinations,
        host_name=host_name or None,
        run_with=run_with,
        port=given["port"],
        admin_port=given["admin_port"],
    )
    if run_with == "compose":
        _check_compose(answers)
    return answers


def _check_compose(answers: "Answers") -> None:
    """Refuse what cannot work in containers.

    Raises:
        click.UsageError: it says what to give instead.
    """
    from receiver.cli.scaffold import is_own_machine

    if not answers.host_name:
        raise click.UsageError("--run-with compose needs --host-name: Caddy gets a certificate for it.")
    if answers.port != PORT:
        raise click.UsageError("--port is not for --run-with compose: Caddy takes webhooks on 443.")
    named = {f"--destination {name}": url for name, url in answers.destinations.items()}
    named |= {"--database": answers.database_url, "--s3-endpoint": answers.s3_endpoint_url or ""}
    named |= {"--sandbox": str(answers.further.get("api_base_url", ""))}
    for option, url in named.items():
        if is_own_machine(url):
            raise click.UsageError(
                f"{option} is on this machine, and in a container that is the container: "
                "give a host that containers reach, or another --run-with."
            )


def _by_name(destinations: Iterable[tuple[str, str]]) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, url in destinations:
        if name in named:
            raise click.UsageError(f"Two destinations are called {name}: each needs a name of its own.")
        named[name] = url
    return named


def _prompt(asks: bool, question: str, default: str, kind: Any = None) -> Any:  # noqa: FBT001
    if not asks:
        return default
    return click.prompt(question, default=default, show_default=bool(default), type=kind)


def _account(given: dict[str, Any], *, asks: bool) -> dict[str, Any]:
    secret, key = _content(given["secret_file"]), _content(given["api_key_file"])
    if not secret and not asks:
        raise click.UsageError("With --yes, give --secret-file, or --sandbox.")
    secret = secret or _hidden("Signing secret, from the provider's webhook page")
    if not key and asks:
        key = _hidden("API key, to find lost webhooks (empty: none)", default="", show_default=False)
    return {"webhook_secrets": secret.strip(), "api_key": key.strip() or None}


def _hidden(question: str, **manner: Any) -> str:
    """Ask for a secret. Without a terminal, Python would warn that it may be echoed."""
    if sys.stdin.isatty():
        return str(click.prompt(question, hide_input=True, **manner))
    click.echo(f"{question}: ", nl=False)
    if not (line := sys.stdin.readline()):
        raise EOFError
    return line


def _content(path: str | None) -> str:
    if path is None:
        return ""
    try:
        with click.open_file(path, encoding="utf-8") as file:
            text = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {_why(error)}") from error
    if not text:
        raise click.UsageError(f"{path} is empty.")
    return str(text)


def _why(error: OSError | UnicodeDecodeError) -> str:
    return getattr(error, "strerror", None) or "not text in UTF-8"


def _sandbox(path: Path) -> dict[str, Any]:
    found = dict(_EXPORT.findall(_content(str(path))))
    try:
        return {
            "webhook_secrets": found["WEBHOOK_SECRETS"],
            "api_key": found["API_KEY"],
            "further": {"api_base_url": found["API_BASE_URL"], "fetch_allow": [found["FETCH_ALLOW"]]},
        }
    except KeyError as missing:
        raise click.UsageError(
            f"{path} has no RECEIVER_{missing.args[0]}: let `receiver sandbox --env-file {path}` write it."
        ) from None


def _destinations(*, asks: bool) -> Iterator[tuple[str, str]]:
    while asks and (answer := _prompt(asks, "Destination (NAME=URL, empty: no more)", "")):
        try:
            yield _NamedUrl().convert(answer, None, None)
        except click.BadParameter as error:
            click.echo(error.format_message(), err=True)


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write *files* below *folder*, each atomically, and secrets readable only by their owner.

    Raises:
        ConfigError: the settings are wrong, or the folder cannot be written to; nothing was written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".receiver-init-", dir=folder) as draft:
            for name, text in files.items():
                path = Path(draft) / name
                is_secret = path.parent.name == "secrets"
                path.parent.mkdir(mode=0o700 if is_secret else 0o777, exist_ok=True)
                path.touch(mode=0o600 if is_secret else 0o666)
                path.write_text(text, encoding="utf-8")
            if not (Path(draft) / "secrets/admin_token").exists():
                shutil.copy(folder / "secrets/admin_token", Path(draft) / "secrets")
            _refuse_unusable(Path(draft))
            (folder / "data").mkdir(exist_ok=True)
            (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
            for name in files:
                (Path(draft) / name).replace(folder / name)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to: {error.strerror}") from error


def _refuse_unusable(folder: Path) -> None:
    from receiver.settings import Settings
    from receiver.wiring.usable import find_faults

    (folder / "data").mkdir()
    with contextlib.chdir(folder):  # some checks create folders, which are removed with the draft
        for fault in find_faults(Settings.load()):
            raise fault


def _next_steps(folder: Path, answers: "Answers") -> Iterator[str]:
    yield "Next:"
    if folder != Path():
        yield f"  cd {shlex.quote(str(folder))}"
    if answers.database_url.startswith("postgres") and answers.run_with == "shell":
        yield "  receiver migrate"
    yield "  receiver check                    # tests everything that the settings name"
    yield from _STARTS[answers.run_with]
    if answers.host_name and answers.run_with != "compose":
        yield "  caddy run --config Caddyfile      # HTTPS, in another terminal or as a service"
    yield f"  cat secrets/admin_token           # to sign in at http://127.0.0.1:{answers.admin_port}/console"
    if answers.host_name:
        yield f"\nRegister https://{answers.host_name}/webhooks/photoverse on the provider's webhook page."


_STARTS: Final = {
    "shell": ("  receiver serve",),
    "systemd": (
        "  # the unit starts /opt/receiver/bin/receiver: install receiver in such a virtual environment",
        "  sudo useradd --system --home-dir /var/lib/receiver --shell /usr/sbin/nologin receiver",
        "  sudo install -d -m 700 /var/lib/receiver",
        "  sudo cp -r receiver.toml secrets data /var/lib/receiver/",
        "  sudo chown -R receiver: /var/lib/receiver",
        "  sudo cp receiver.service /etc/systemd/system/ && sudo systemctl daemon-reload",
        "  sudo systemctl enable --now receiver",
    ),
    "compose": (
        "  # the image is built in a clone: docker build -f deploy/Dockerfile -t receiver .",
        "  docker compose up --detach --wait",
    ),
}
