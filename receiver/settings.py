"""Settings, read once at start: the environment wins over `receiver.toml` in the working directory.

Every field can be set as `RECEIVER_<FIELD>`; nested ones as `RECEIVER_SOURCES__<NAME>__<FIELD>`.
"""

import codecs
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from receiver.assets.object_keys import DEFAULT_KEY
from receiver.contract import BASE_URL, SIGNATURE_HEADER
from receiver.errors import ConfigError, ReceiverError, variable

PREFIX: Final = variable()
CONFIG_FILE: Final = "receiver.toml"
ENVIRONMENT: Final = "environment"
DEFAULT: Final = "default"
_NESTED: Final = {"sources", "destinations"}
_PLATFORMS: Final = {"PORT", "DATABASE_URL"}
"""Names without our prefix; ours take precedence."""
_EXPRESSIONS: Final = ("__FILTER", "__PROJECTION")
_JSON_LIST: Final = re.compile(r'\[\s*(".*"\s*)?\]', re.DOTALL)
_IN_A_FILE: Final = "_FILE"
_SECRETS: Final = {
    "": {"WEBHOOK_SECRETS", "API_KEY", "SESSION_COOKIE", "DATABASE_URL", "ADMIN_TOKEN", "PULL_TOKEN"},
    "SOURCES": {"SECRETS", "API_KEY"},
    "DESTINATIONS": {"URL", "SECRETS", "BEARER_TOKEN", "TOKEN", "PASSWORD", "SENTINEL_PASSWORD"},
}
"""What a `…_file` may set: settings, and fields of sources and destinations."""
_QUOTES: Final = frozenset(('""', "''", "\u201c\u201d", "\u2018\u2019"))
_SERVICE_LINK: Final = re.compile(
    r"([A-Z0-9_]*_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINKED_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]+")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _words(value: object) -> object:
    """Read a comma-separated list. An empty entry stays, for the caller to refuse."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"the name {value!r} must have at most 63 letters, digits, '-' and '_'")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError(f"{value!r} is not a header name")
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_words)]
Name = Annotated[str, BeforeValidator(_name)]
Host = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Bytes = Annotated[int, Field(ge=0, le=2**50)]
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]


class SourceSettings(BaseModel):
    """One provider account besides the default one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secrets: Secrets
    """Signing secrets, newest first; at least 16 bytes each."""
    api_key: SecretStr | None = None
    """The account's API key, for reconciling and for fresh asset URLs; unset: it gets neither."""
    signature_header: Annotated[str, AfterValidator(_header)] = SIGNATURE_HEADER
    """The name of its signature header, in any case."""
    assets_url: str | None = None
    """Its own bucket or folder; unset: `RECEIVER_ASSETS_URL`."""


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        toml_file=CONFIG_FILE,
        hide_input_in_errors=True,
        populate_by_name=True,
        coerce_numbers_to_str=True,
    )

    webhook_secrets: Secrets = ()
    """Signing secrets of the default source `photoverse`, newest first. Without any, web will not start."""
    sources: dict[Name, SourceSettings] = {}
    """Further sources, by name: the last segment of their webhook URL."""
    signature_mode: Literal["auto", "raw"] = "auto"
    """`raw` accepts only signatures over the bytes as received; choose it once every delivery verifies so."""
    api_key: SecretStr | None = None
    """The provider's API key, for submitting work and for reconciling. Receiving needs none."""
    api_base_url: str = BASE_URL
    """The provider's API: https, or http on loopback. Checked once there is a key or cookie to send there."""
    session_cookie: SecretStr | None = None
    """The Cookie header of a signed-in browser, for managing API keys and nothing else."""
    reconcile_interval_s: Seconds = 300.0
    """How often the provider is asked for what no webhook reported. Needs an API key."""
    reconcile_requests: int = Field(20, gt=0, le=10_000)
    """Maximum requests in one pass, each for up to 100 generations; the next pass continues there."""
    reconcile_look_back_s: Seconds = 24 * 3600.0
    """How far back the very first pass goes."""
    database_url: SecretStr = Field(
        SecretStr("sqlite:///data/receiver.db"),
        validation_alias=AliasChoices("RECEIVER_DATABASE_URL", "DATABASE_URL"),
    )
    """`sqlite:///path` or `postgresql://…`. Everything that was acknowledged lives here."""
    assets_url: str = "file:data/assets"
    """`file:dir`, `file:///dir` or `s3://bucket/prefix`."""
    assets_key: str = DEFAULT_KEY
    """Template for the names of assets there; `receiver.assets.object_keys` has the fields."""
    asset_hosts: Words | None = None
    """Host names (with their subdomains) that assets may come from; unset allows every public one."""
    asset_max_bytes: Bytes = Field(512 * 1024 * 1024, gt=0)
    """Assets larger than this many bytes are given up."""
    asset_types: Words | None = None
    """Content types to keep, `video/mp4` or `image/*`; unset: anything but text."""
    asset_patience_s: Seconds = 24 * 3600.0
    """How long an event waits for an asset that fails to download; then it is forwarded without it."""
    asset_grace_s: float = Field(300.0, ge=0, le=7 * 24 * 3600)
    """How long after an event's arrival its asset may not have been published yet."""
    asset_late_s: float = Field(7 * 24 * 3600.0, ge=0, le=7 * 24 * 3600)
    """How long after that its asset is still retried; 0 gives it up at once."""
    fetch_allow: Words = ()
    """Networks and hosts that assets may come from although not public, and over plain http."""
    fetch_deny: Words = ()
    """Hosts never fetched from, although public: this service's own names, and the bucket's."""
    ca_file: str | None = None
    """Further certificate authorities to trust for asset hosts and stores, besides the system's."""
    nat64_prefixes: Words = ()
    """Prefixes with which this network maps IPv4 addresses, if they are in private space."""
    fetch_timeout_s: Seconds = 300.0
    """Limit for one whole download."""
    s3_endpoint_url: str | None = None
    """For S3-compatible stores; AWS itself needs none. Credentials come from boto3's own chain."""
    s3_region: str | None = None
    """Region of the bucket; unset asks boto3's own chain (`AWS_DEFAULT_REGION`, profile)."""
    s3_addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """Where the bucket's name goes; `auto` is the path with an endpoint, else boto3's choice."""
    s3_sse: Literal["AES256", "aws:kms"] | None = None
    """Server-side encryption; unset leaves it to the bucket."""
    s3_kms_key_id: str | None = None
    """KMS key for `aws:kms`; unset takes the account's own key for S3."""
    s3_storage_class: str | None = None
    """`STANDARD_IA` and the like; unset leaves it to the store."""
    s3_tags: Words = ()
    """`key=value`, at most ten; values may hold {event_id}, {generation_id}, {source} and {sha256}."""
    s3_conditional_writes: bool = True
    """False for a store that ignores or refuses `If-None-Match`: each object then gets a unique name."""
    s3_checksums: Literal["sha256", "md5"] = "sha256"
    """Checksum with which the store verifies uploads; `md5` for one that refuses the others."""
    spool_dir: str = "data/spool"
    """Where downloads are kept until their event is settled; use one folder per database."""
    spool_max_bytes: Bytes = 4 * 1024**3
    """Maximum bytes of downloads kept while the bucket is down."""
    destinations: dict[Name, dict[str, str]] = {}
    """Downstream queues, by name: `url` and the options of that kind of queue."""
    forward_attempts: int = Field(100, gt=0, le=1_000_000)
    """Counted failures until a delivery becomes a dead letter; the default takes about two days."""
    host: Host = "127.0.0.1"
    """Address of the public listener; `0.0.0.0` to be reached from other machines."""
    port: int = Field(8000, ge=0, le=65535, validation_alias=AliasChoices("RECEIVER_PORT", "PORT"))
    """Port of the public listener, also read from `PORT`; 0 takes a free one and logs it."""
    trusted_proxies: Words = ()
    """Addresses or networks of proxies; their X-Forwarded-For says who was refused."""
    shutdown_delay_s: float = Field(1.0, ge=0, le=300)
    """How long after SIGTERM connections are still accepted, each for one answer; `readyz` is 503 at once."""
    admin_host: Host = "127.0.0.1"
    """Address of the private listener; keep it where only operators reach it."""
    admin_port: int = Field(8001, ge=0, le=65535)
    """Port of the private listener. If set, `web` and `worker` have one too."""
    admin_token: SecretStr | None = None
    """Token of the private listener. If unset, one is generated and saved next to the SQLite file."""
    pull_host: Host = "127.0.0.1"
    """Address of the pull listener; `0.0.0.0` to be reached from other machines."""
    pull_port: int = Field(8002, ge=0, le=65535)
    """Port of the pull listener. If set, `web` and `worker` serve consumers too."""
    pull_token: SecretStr | None = None
    """Token of consumers of destinations that have no `token` of their own."""
    notice_backlog_s: Seconds = 900.0
    """Operators are notified if anything waits longer for a destination or its asset."""
    notice_disk_bytes: Bytes = 1024**3
    """Operators are notified if a disk we write to has less free space."""
    notice_secret_s: Seconds = 24 * 3600.0
    """Operators are notified if one of several secrets was not used for this long: remove it."""
    keep_bodies_days: Days = 90
    """Bodies of events that nothing needs any more are emptied after this time; 0 keeps them permanently."""
    keep_deliveries_days: Days = 365
    """Their deliveries are deleted after this time, not before the bodies. 0: never."""
    keep_quarantine_days: Days = 365
    """Resolved or dropped quarantined bodies are emptied after this time; 0: never."""
    keep_operations_days: Days = 365
    """Finished operations are deleted after this time; 0: never."""
    keep_submissions_days: Days = 365
    """Requests of submissions are emptied after this time, not before the bodies. 0: never."""
    keep_assets_days: Days = 0
    """Files in the bucket are deleted this long after they were stored; 0: never."""
    prune_per_s: int = Field(500, gt=0, le=100_000)
    """Rows of each kind that all workers together prune in a second."""
    lease_s: Seconds = 60.0
    """How long until the work of a dead worker is taken over."""
    poll_s: Seconds = 1.0
    """How often workers look for retries, and on SQLite for events that another process recorded."""
    drain_s: Seconds = 20.0
    """How long a stopping worker may take to finish its current work."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lowest level that is logged."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto` writes readable text on a terminal and JSON elsewhere."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_sources: PydanticBaseSettingsSource, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the arguments, then the environment, then the file."""
        return named["init_settings"], _Environment(settings_cls), _File(settings_cls)

    @classmethod
    def load(cls) -> Self:
        """Read the settings.

        Raises:
            ConfigError: a value is wrong, or a `RECEIVER_*` variable is unknown; each line names one.
        """
        judges = (_unknown, _quoted, _json_list, _unreadable, _not_text)
        if problems := [*_no_file(), *(problem for judge in judges for problem in judge(os.environ))]:
            raise ConfigError("\n".join(problems))
        try:
            return cls()
        except ValidationError as error:
            raise ConfigError("\n".join(_line(problem) for problem in error.errors())) from None
        except ValueError as error:
            raise ConfigError(f"a nested variable cannot be read: {error}") from None


def variable_that_sets(*path: str) -> str:
    """Return the environment variable of a field: the platform's, if that is set and ours is not."""
    name = variable(*path)
    platform = name.removeprefix(PREFIX)
    is_platforms = platform in _PLATFORMS & os.environ.keys()
    return name if not is_platforms or {name, name + _IN_A_FILE} & os.environ.keys() else platform


def explain(error: ReceiverError) -> str:
    """Return the message of *error*; that of a wrong setting begins with the variable that the user set."""
    if isinstance(error, ConfigError) and error.setting:
        return f"{variable_that_sets(*error.setting)}: {error.problem}"
    return str(error)


def origin(settings: Settings, *path: str) -> str:
    """Return where a field of *settings* comes from: `ENVIRONMENT`, `CONFIG_FILE` or `DEFAULT`."""
    name = variable_that_sets(*path)
    if {name, name + _IN_A_FILE} & os.environ.keys():
        return ENVIRONMENT
    field = getattr(settings, path[0])
    is_set = path[0] in settings.model_fields_set
    if is_set and isinstance(field, Mapping) and isinstance(account := field[path[1]], BaseModel):
        is_set = path[2] in account.model_fields_set
    return CONFIG_FILE if is_set else DEFAULT


def kept_in_a_file(name: str) -> str | None:
    """Return the secret setting whose file the variable *name* names, if any."""
    setting = name.upper().removesuffix(_IN_A_FILE)
    group, _, rest = setting.removeprefix(PREFIX).partition("__")
    field = rest.rpartition("__")[2] if rest else group
    is_secret = field in _SECRETS.get(group if rest else "", ())
    return setting if is_secret and name.upper() == setting + _IN_A_FILE else None


class _Environment(EnvSettingsSource):
    """The environment and the files it names, without service links and an env file's line ends."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        given: dict[str, str | None] = {}
        for name, value in os.environ.items():
            # Other programs have `port` and `database_url`.
            if not name.startswith(PREFIX) and name not in _PLATFORMS:
                continue
            if setting := kept_in_a_file(name):
                given[setting.lower()] = _content(value)
            elif not _is_service_link(name.upper(), value):
                given[name.lower()] = value.strip()
        return given


class _File(TomlConfigSettingsSource):
    """`receiver.toml`, and the files that it names for secrets: `webhook_secrets_file = "path"`."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        try:
            if Path(file_path).read_bytes().startswith(codecs.BOM_UTF8):
                raise ConfigError(
                    f"{CONFIG_FILE} begins with a byte order mark: save it as UTF-8 without one"
                )
            return _with_contents(super()._read_file(file_path))
        except OSError as error:
            raise ConfigError(
                f"{CONFIG_FILE} cannot be read ({error.strerror}): let the user that runs receiver read it"
            ) from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{CONFIG_FILE} is not UTF-8: {error.reason} at byte {error.start}") from None
        except TOMLDecodeError as error:
            raise ConfigError(f"{CONFIG_FILE} is not TOML: {error}") from None


def _with_contents(table: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Return a table of the file with the content of each file that it names."""
    read: dict[str, Any] = {}
    for key, value in table.items():
        name = variable(*path, key)
        if isinstance(value, dict) and (path or [key])[0] in _NESTED:
            read[key] = _with_contents(value, *path, key)
        elif not kept_in_a_file(name) or not isinstance(value, str):
            read[key] = value
        elif key.removesuffix(_IN_A_FILE.lower()) in table:
            full = ".".join((*path, key))
            raise ConfigError(f"{CONFIG_FILE}: {full} and the setting itself are both set: set one")
        elif fault := _fault(value):
            raise ConfigError(f"{CONFIG_FILE}: {'.'.join((*path, key))}: {fault}")
        else:
            read[key.removesuffix(_IN_A_FILE.lower())] = _content(value)
    return read


def _content(path: str) -> str:
    return Path(path.strip()).read_text("utf-8").strip()


def _unreadable(environ: Mapping[str, str]) -> Iterator[str]:
    for name, path in environ.items():
        setting = kept_in_a_file(name) if name.startswith(PREFIX) else None
        if setting is None:
            continue
        if setting in environ:
            yield f"{setting} and {name} are both set: set one"
        if fault := _fault(path):
            yield f"{name}: {fault}"


def _no_file() -> Iterator[str]:
    """Refuse the folder that container engines create if a mounted file is missing, and a link to none."""
    file = Path(CONFIG_FILE)
    if file.is_dir():
        yield f"{CONFIG_FILE} is a folder: remove it, and write the file"
    elif file.is_symlink() and not file.exists():
        yield f"{CONFIG_FILE} is a link to {file.readlink()}, which does not exist"


def _fault(path: str) -> str | None:
    """Say why a secret's file is unusable, or return nothing."""
    if not path.strip():
        return "it names no file"
    try:
        return None if _content(path) else f"{path} is empty"
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot read {path} ({getattr(error, 'strerror', None) or 'not UTF-8'})"


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes has set this variable, for a Service called `receiver` or `receiver-…`.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    field = name.removeprefix(PREFIX)
    if field == name or field.partition("__")[0].lower() in _NESTED:
        return False
    if _SERVICE_LINK.fullmatch(field):
        return True
    return f"_{field}".endswith("_PORT") and _LINKED_ADDRESS.fullmatch(value.strip()) is not None


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if name.startswith(PREFIX) and not _is_service_link(name, value) and not kept_in_a_file(name):
            field, nested, _ = name.removeprefix(PREFIX).lower().partition("__")
            if field not in Settings.model_fields or bool(nested) != (field in _NESTED):
                yield f"{name} is not a setting.{_suggestion(field, Settings.model_fields)}"


def _suggestion(field: str, known: Iterable[str], *path: str) -> str:
    close = difflib.get_close_matches(field, known, n=1)
    if not close:
        return ""
    nested = "__<NAME>__<FIELD>" if close[0] in _NESTED else ""
    return f" Did you mean {variable(*path, close[0])}{nested}?"


def _quoted(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        ours = name.startswith(PREFIX) or (name in _PLATFORMS and PREFIX + name not in environ)
        if ours and _has_kept_quotes(name, value):
            yield (
                f"{name}: the value is in quotes, which docker's --env-file keeps: write it without them "
                f"(if they belong to it, put it into {CONFIG_FILE})"
            )


def _json_list(environ: Mapping[str, str]) -> Iterator[str]:
    """Refuse a list in JSON, as other programs take: its brackets would become part of a value."""
    for name, value in environ.items():
        if (
            name.startswith(PREFIX)
            and not name.endswith(_EXPRESSIONS)
            and _JSON_LIST.fullmatch(value.strip())
        ):
            yield f"{name}: the value is a JSON list: write the values separated by commas instead"


def _not_text(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if (name.startswith(PREFIX) or name in _PLATFORMS) and any(
            "\ud800" <= each <= "\udfff" for each in value
        ):
            yield f"{name}: the value is not UTF-8"


def _has_kept_quotes(name: str, value: str) -> bool:
    if name.endswith(_EXPRESSIONS):
        # One quoted word may be intended. A whole expression in quotes would name a field that does not
        # exist.
        inside = value.strip()[1:-1]
        return _is_in_quotes(value) and value.strip()[0] not in inside and not inside.isidentifier()
    return any(_is_in_quotes(part) for part in (value, *value.split(",")))


def _is_in_quotes(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] + text[-1] in _QUOTES


def _line(problem: Any) -> str:
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    field = [path[0].removeprefix(PREFIX).lower()] if path[0].isupper() else path
    name = variable_that_sets(*field)
    if problem["type"] != "extra_forbidden":
        return f"{name}: {problem['msg'].removeprefix('Value error, ')}"
    known = SourceSettings.model_fields if len(path) > 1 else Settings.model_fields
    return f"{name} is not a setting.{_suggestion(path[-1], known, *path[:-1])}"
