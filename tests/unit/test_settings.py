"""Settings: from the environment and receiver.toml, refused by name."""

from pathlib import Path

import pytest

from receiver.errors import ConfigError, variable
from receiver.settings import CONFIG_FILE, DEFAULT, Settings, origin

LEAK = "hunter2hunter2"
_BAD_VALUES = [
    ("RECEIVER_HOST", ""),
    ("RECEIVER_ADMIN_HOST", " "),
    ("RECEIVER_PULL_HOST", ""),
    ("RECEIVER_PORT", LEAK),
    ("RECEIVER_PORT", "65536"),
    ("RECEIVER_PORT", "-1"),
    ("RECEIVER_PORT", ""),
    ("RECEIVER_LEASE_S", "0"),
    ("RECEIVER_LEASE_S", "nan"),
    ("RECEIVER_LEASE_S", "inf"),
    ("RECEIVER_DRAIN_S", "-1"),
    ("RECEIVER_ASSET_MAX_BYTES", "0"),
    ("RECEIVER_FORWARD_ATTEMPTS", "0"),
    ("RECEIVER_S3_ADDRESSING_STYLE", LEAK),
    ("RECEIVER_S3_SSE", LEAK),
    ("RECEIVER_SPOOL_MAX_BYTES", "-1"),
    ("RECEIVER_SIGNATURE_MODE", LEAK),
    ("RECEIVER_LOG_LEVEL", LEAK),
    ("RECEIVER_SOURCES__ACME__SECRETT", LEAK),
    ("RECEIVER_SOURCES__ACME", LEAK),
    ("RECEIVER_DESTINATIONS__ORDERS", LEAK),
    ("RECEIVER_DESTINATIONS__ORDERS__A__B", LEAK),
]
_QUOTED = [
    ("RECEIVER_WEBHOOK_SECRETS", '"{}"'),
    ("RECEIVER_WEBHOOK_SECRETS", "'{}'"),
    ("RECEIVER_WEBHOOK_SECRETS", "\u201c{}\u201d"),
    ("RECEIVER_WEBHOOK_SECRETS", "\u2018{}\u2019"),
    ("RECEIVER_WEBHOOK_SECRETS", '"{}"\r'),
    ("RECEIVER_WEBHOOK_SECRETS", '"{}", "b"'),
    ("RECEIVER_WEBHOOK_SECRETS", 'b,"{}"'),
    ("RECEIVER_SOURCES__ACME__SECRETS", '"{}"'),
    ("RECEIVER_API_KEY", '"{}"'),
    ("RECEIVER_ADMIN_TOKEN", "'{}'"),
    ("RECEIVER_DATABASE_URL", '"{}"'),
    ("DATABASE_URL", '"{}"'),
    ("PORT", '"{}"\r'),
    ("RECEIVER_S3_REGION", '"{}"'),
    ("RECEIVER_DESTINATIONS__ORDERS__URL", '"{}"'),
    ("RECEIVER_DESTINATIONS__ORDERS__BEARER_TOKEN", "'{}'"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        Settings.load()
    return str(refused.value)


class TestLoad:
    def test_needs_nothing(self) -> None:
        """Every setting has a default that is safe on one's own machine."""
        settings = Settings.load()
        assert (settings.host, settings.port) == ("127.0.0.1", 8000)
        assert settings.database_url.get_secret_value() == "sqlite:///data/receiver.db"
        assert (settings.webhook_secrets, settings.sources, settings.destinations) == ((), {}, {})

    def test_lists_are_comma_separated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Blanks around an entry do not belong to it; an empty entry stays for whoever must refuse it."""
        monkeypatch.setenv("RECEIVER_WEBHOOK_SECRETS", "new-secret , old-secret,")
        monkeypatch.setenv("RECEIVER_FETCH_ALLOW", "10.0.0.0/8,localhost")
        settings = Settings.load()
        secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
        assert secrets == ["new-secret", "old-secret", ""]
        assert settings.fetch_allow == ("10.0.0.0/8", "localhost")

    def test_nested(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sources and destinations are named in their variables; numbers stay the text an option is."""
        monkeypatch.setenv("RECEIVER_SOURCES__ACME__SECRETS", "1234567890123456,b")
        monkeypatch.setenv("RECEIVER_SOURCES__ACME__SIGNATURE_HEADER", "X-Acme")
        monkeypatch.setenv("RECEIVER_DESTINATIONS__ORDERS__URL", "stdout:")
        monkeypatch.setenv("RECEIVER_DESTINATIONS__ORDERS__TIMEOUT_S", "5")
        settings = Settings.load()
        acme = settings.sources["acme"]
        assert [secret.get_secret_value() for secret in acme.secrets] == ["1234567890123456", "b"]
        assert acme.signature_header == "X-Acme"
        assert settings.destinations == {"orders": {"url": "stdout:", "timeout_s": "5"}}

    def test_names_that_platforms_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`PORT` and `DATABASE_URL` are read, and give way to our own names."""
        for prefix, port in [("", 1), ("RECEIVER_", 2)]:
            monkeypatch.setenv(f"{prefix}PORT", str(port))
            monkeypatch.setenv(f"{prefix}DATABASE_URL", f"sqlite:///{port}.db")
            settings = Settings.load()
            assert settings.port == port
            assert settings.database_url.get_secret_value() == f"sqlite:///{port}.db"

    def test_other_spellings_are_not_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names in lower case belong to other programs, as the shell has it."""
        for name in ("receiver_port", "Receiver_Port", "port", "Port"):
            monkeypatch.setenv(name, "1")
        monkeypatch.setenv("database_url", "mysql://host/name")
        settings = Settings.load()
        assert (settings.port, origin(settings, "port")) == (8000, DEFAULT)
        assert settings.database_url.get_secret_value() == "sqlite:///data/receiver.db"

    def test_environment_wins_over_the_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file is for what stays; the environment overrides it value by value."""
        lines = ["port = 1", "poll_s = 2", "[destinations.orders]", 'url = "stdout:"', 'timeout_s = "5"']
        (folder / "receiver.toml").write_text("\n".join(lines))
        assert Settings.load().port == 1
        monkeypatch.setenv("RECEIVER_DESTINATIONS__ORDERS__TIMEOUT_S", "6")
        monkeypatch.setenv("PORT", "3")
        settings = Settings.load()
        assert (settings.port, settings.poll_s) == (3, 2)
        assert settings.destinations == {"orders": {"url": "stdout:", "timeout_s": "6"}}

    def test_secrets_stay_out_of_the_repr(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Printing the settings prints no secret."""
        for name in ("RECEIVER_WEBHOOK_SECRETS", "RECEIVER_API_KEY", "RECEIVER_SOURCES__ACME__SECRETS"):
            monkeypatch.setenv(name, LEAK)
        monkeypatch.setenv("RECEIVER_DATABASE_URL", f"postgresql://u:{LEAK}@h/d")
        assert LEAK not in repr(Settings.load())

    @pytest.mark.parametrize(
        ("name", "suggestion"),
        [
            ("RECEIVER_WEBHOOK_SECRET", "RECEIVER_WEBHOOK_SECRETS"),
            ("RECEIVER_DATABASEURL", "RECEIVER_DATABASE_URL"),
            ("RECEIVER_PORT__X", "RECEIVER_PORT"),
            ("RECEIVER_DESTINATIONS", "RECEIVER_DESTINATIONS__<NAME>__<FIELD>"),
            ("RECEIVER_SOURCE__ACME__SECRETS", "RECEIVER_SOURCES__<NAME>__<FIELD>"),
        ],
    )
    def test_mistyped_name(self, monkeypatch: pytest.MonkeyPatch, name: str, suggestion: str) -> None:
        """A variable that is none of ours is refused, with the likely one, without its value."""
        monkeypatch.setenv(name, LEAK)
        assert refusal() == f"{name} is not a setting. Did you mean {suggestion}?"

    def test_mistyped_name_of_an_account_or_in_the_file(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The likely one is named there, too."""
        (folder / "receiver.toml").write_text(f'webhook_secret = "{LEAK}"\n')
        monkeypatch.setenv("RECEIVER_SOURCES__ACME__SECRETS", LEAK)
        monkeypatch.setenv("RECEIVER_SOURCES__ACME__APIKEY", LEAK)
        assert set(refusal().splitlines()) == {
            "RECEIVER_WEBHOOK_SECRET is not a setting. Did you mean RECEIVER_WEBHOOK_SECRETS?",
            "RECEIVER_SOURCES__ACME__APIKEY is not a setting. Did you mean RECEIVER_SOURCES__ACME__API_KEY?",
        }

    @pytest.mark.parametrize("name", ["RECEIVER_WEBHOOK_SECRETS", "RECEIVER_HOST", "DATABASE_URL"])
    def test_bytes_that_are_no_text(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """A secret in Latin-1, say, is refused by its name."""
        monkeypatch.setenv(name, f"{LEAK}\udce9")
        assert refusal() == f"{name}: the value is not UTF-8"

    @pytest.mark.parametrize("value", ["", "X Signature", "X-Signature:", "X-Signatur\u00e9"])
    def test_a_signature_header_that_never_comes(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        """With it, every delivery would be refused."""
        monkeypatch.setenv("RECEIVER_SOURCES__ACME__SECRETS", LEAK)
        monkeypatch.setenv("RECEIVER_SOURCES__ACME__SIGNATURE_HEADER", value)
        assert "RECEIVER_SOURCES__ACME__SIGNATURE_HEADER" in refusal()

    def test_bad_value(self, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
        """A wrong value is refused by the name of its variable and never repeated."""
        for name, value in _BAD_VALUES:
            with subtests.test(f"{name}={value}"), monkeypatch.context() as patched:
                patched.setenv(name, value)
                message = refusal()
                assert name.removesuffix("__B") in message
                assert LEAK not in message

    def test_every_mistake_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each line names one mistake, so that one start finds them all."""
        monkeypatch.setenv("RECEIVER_PORT", "x")
        monkeypatch.setenv("RECEIVER_LEASE_S", "x")
        named = {line.partition(":")[0] for line in refusal().splitlines()}
        assert named == {"RECEIVER_PORT", "RECEIVER_LEASE_S"}

    def test_mistake_in_a_platforms_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The message names the variable that was set."""
        monkeypatch.setenv("PORT", "x")
        assert refusal().startswith("PORT: ")

    def test_wrong_name_of_a_destination(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In our words only."""
        monkeypatch.setenv("RECEIVER_DESTINATIONS__A.B__URL", "file:x")
        assert refusal().startswith("RECEIVER_DESTINATIONS__A.B: the name 'a.b' must have")

    @pytest.mark.parametrize(
        ("file", "names"),
        [
            (b"port = ", "receiver.toml is not TOML: Invalid value (at end of document)"),
            (b"port = 1 # \xff", "receiver.toml is not UTF-8: invalid start byte at byte 11"),
            (b"prot = 1", "RECEIVER_PROT"),
            (b'port = "hunter2hunter2"', "RECEIVER_PORT"),
            (b'sources = "hunter2hunter2"', "RECEIVER_SOURCES"),
            (b'[destinations."Bad Name"]\nurl = "hunter2hunter2"', "Bad Name"),
        ],
    )
    def test_bad_file(self, folder: Path, file: bytes, names: str) -> None:
        """A file that cannot be read, or holds what it should not, is refused; the message says where."""
        (folder / "receiver.toml").write_bytes(file)
        message = refusal()
        assert names in message
        assert LEAK not in message

    def test_a_folder_in_its_place(self, folder: Path) -> None:
        """Docker makes one where a file to mount is missing; the settings would be the defaults."""
        (folder / "receiver.toml").mkdir()
        assert "receiver.toml is a folder" in refusal()

    def test_a_link_to_nothing_in_its_place(self, folder: Path) -> None:
        """Its settings would be missed only once they are needed."""
        (folder / "receiver.toml").symlink_to("not-mounted.toml")
        assert refusal() == "receiver.toml is a link to not-mounted.toml, which does not exist"

    def test_names_the_secret_file_that_is_missing(self, folder: Path) -> None:
        """Also which of several destinations names it."""
        (folder / "receiver.toml").write_text('[destinations.orders]\nurl_file = "nowhere"\n')
        assert "destinations.orders.url_file: cannot read nowhere" in refusal()

    def test_numbers_in_the_file(self, folder: Path) -> None:
        """A destination's number may be written as one, as anyone would in TOML."""
        (folder / "receiver.toml").write_text('[destinations.orders]\nurl = "stdout:"\ntimeout_s = 5\n')
        assert Settings.load().destinations == {"orders": {"url": "stdout:", "timeout_s": "5"}}

    @pytest.mark.parametrize(
        ("service", "address"),
        [
            ("RECEIVER", "10.96.12.7"),
            ("RECEIVER_WEB", "[fd00::7]"),
            ("RECEIVER_ADMIN", "10.96.12.7"),
            ("RECEIVER__X", "[fd00::7]"),
        ],
    )
    def test_kubernetes_service_links(
        self, monkeypatch: pytest.MonkeyPatch, service: str, address: str
    ) -> None:
        """What any Service adds to a pod is no setting, not even where a setting has the same name."""
        for port, protocol in [(8000, "tcp"), (53, "udp"), (9, "sctp")]:
            link = f"{service}_PORT_{port}_{protocol.upper()}"
            monkeypatch.setenv(link, f"{protocol}://{address}:{port}")
            monkeypatch.setenv(f"{link}_PROTO", protocol)
            monkeypatch.setenv(f"{link}_PORT", str(port))
            monkeypatch.setenv(f"{link}_ADDR", address.strip("[]"))
        monkeypatch.setenv(f"{service}_SERVICE_HOST", address.strip("[]"))
        monkeypatch.setenv(f"{service}_SERVICE_PORT", "8000")
        monkeypatch.setenv(f"{service}_SERVICE_PORT_HTTP_WEB", "8000")
        monkeypatch.setenv(f"{service}_PORT", f"tcp://{address}:8000")
        settings = Settings.load()
        assert (settings.port, settings.admin_port) == (8000, 8001)

    def test_a_service_link_leaves_room_for_the_setting(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The port comes from where it is said, and from the pod's own variable above all."""
        monkeypatch.setenv("RECEIVER_PORT", "tcp://10.96.12.7:8000")
        monkeypatch.setenv("RECEIVER_ADMIN_PORT", "tcp://10.96.12.7:8001")
        (folder / "receiver.toml").write_text("port = 1\nadmin_port = 2\n")
        assert (Settings.load().port, Settings.load().admin_port) == (1, 2)
        monkeypatch.setenv("PORT", "3")
        assert Settings.load().port == 3
        monkeypatch.setenv("RECEIVER_PORT", "4")
        assert Settings.load().port == 4

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("RECEIVER_WEB_PORT", "8000"),
            ("RECEIVER_ADMINPORT", "tcp://10.0.0.1:80"),
            ("RECEIVER_WEB_PORT_HTTP", "8000"),
            ("RECEIVER_SERVICE_NAME", "x"),
            ("RECEIVER_DESTINATIONS__X_SERVICE_HOST", "10.0.0.1"),
        ],
    )
    def test_no_service_link(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        """What only resembles one is a mistake, as ever."""
        monkeypatch.setenv(name, value)
        assert name in refusal()

    def test_a_destination_may_be_called_like_a_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its options are settings."""
        monkeypatch.setenv("RECEIVER_DESTINATIONS__MY_SERVICE_PORT__URL", "stdout:")
        assert Settings.load().destinations == {"my_service_port": {"url": "stdout:"}}

    def test_quotes_that_an_env_file_kept(
        self, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
    ) -> None:
        """They would be part of the secret; the refusal names the variable, not its value."""
        for name, quoted in _QUOTED:
            with subtests.test(f"{name}={quoted}"), monkeypatch.context() as patched:
                patched.setenv(name, quoted.format(LEAK))
                message = refusal()
                assert message.startswith(f"{name}: the value is in quotes")
                assert LEAK not in message

    @pytest.mark.parametrize(
        "name",
        [
            "RECEIVER_WEBHOOK_SECRETS",
            "RECEIVER_SOURCES__ACME__SECRETS",
            "RECEIVER_DESTINATIONS__ORDERS__TYPES",
        ],
    )
    def test_a_list_in_json(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Its brackets would be part of a secret, and every delivery would be refused."""
        monkeypatch.setenv(name, f'["{LEAK}", "b"]')
        message = refusal()
        assert message.startswith(f"{name}: the value is a JSON list")
        assert LEAK not in message

    def test_a_file_that_nobody_may_read(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is refused by name. Root may read all, so the refusal of the system is played."""
        (folder / "receiver.toml").write_text("port = 8080")

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", "receiver.toml")

        monkeypatch.setattr(Path, "open", refuse)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert refusal().startswith("receiver.toml cannot be read (Permission denied): let the user")

    def test_a_file_with_a_byte_order_mark(self, folder: Path) -> None:
        """As some editors write it; TOML has none."""
        (folder / "receiver.toml").write_bytes(b"\xef\xbb\xbfport = 8080\n")
        assert refusal() == "receiver.toml begins with a byte order mark: save it as UTF-8 without one"

    def test_nothing_between_quotes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An env file that means to unset something sets two quotes."""
        monkeypatch.setenv("RECEIVER_API_KEY", '""')
        assert "RECEIVER_API_KEY" in refusal()

    @pytest.mark.parametrize("value", ["\"data.kind == 'image'\"", "'data.kind'"])
    def test_an_expression_in_kept_quotes(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        """As JMESPath it would be a field that no message has, and nothing would be forwarded."""
        monkeypatch.setenv("RECEIVER_DESTINATIONS__ORDERS__FILTER", value)
        assert "RECEIVER_DESTINATIONS__ORDERS__FILTER" in refusal()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("RECEIVER_DESTINATIONS__ORDERS__FILTER", '"data"."kind"'),
            ("RECEIVER_DESTINATIONS__ORDERS__FILTER", "'image' == data.kind || data.kind == 'video'"),
            ("RECEIVER_DESTINATIONS__ORDERS__PROJECTION", '"subject"'),
            ("RECEIVER_DESTINATIONS__ORDERS__PROJECTION", "{a: 'b'}"),
            ("RECEIVER_DESTINATIONS__ORDERS__PROJECTION", '["a", "b"]'),
            ("RECEIVER_SESSION_COOKIE", 'session="x y"'),
            ("RECEIVER_WEBHOOK_SECRETS", 'half"quoted\'secret"'),
        ],
    )
    def test_quotes_that_are_meant(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        """JMESPath has quotes of its own, and a secret may hold some."""
        monkeypatch.setenv(name, value)
        Settings.load()

    def test_quotes_in_the_file(self, folder: Path) -> None:
        """There nothing keeps them by accident: whoever writes them twice means them."""
        (folder / "receiver.toml").write_text("webhook_secrets = ['\"0123456789abcdef\"']")
        assert Settings.load().webhook_secrets[0].get_secret_value() == '"0123456789abcdef"'

    def test_a_platforms_name_that_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What gives way to our own name may be whatever it likes."""
        monkeypatch.setenv("DATABASE_URL", '"x"')
        monkeypatch.setenv("RECEIVER_DATABASE_URL", "sqlite:///x.db")
        assert Settings.load().database_url.get_secret_value() == "sqlite:///x.db"

    def test_the_carriage_return_of_an_env_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file written on Windows leaves one behind each value."""
        monkeypatch.setenv("RECEIVER_API_KEY", "avs_live_x\r")
        monkeypatch.setenv("RECEIVER_PORT", "81\r")
        settings = Settings.load()
        assert settings.api_key is not None
        assert (settings.api_key.get_secret_value(), settings.port) == ("avs_live_x", 81)

    def test_every_field_has_its_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No field's own variable is refused as unknown."""
        for field in Settings.model_fields:
            nested = {"sources": "__ACME__SECRETS", "destinations": "__ACME__URL"}.get(field, "")
            monkeypatch.setenv(variable(field) + nested, "no value at all")
        assert "is not a setting" not in refusal()


class TestVariable:
    def test_nested(self) -> None:
        """Messages name what people have to set."""
        assert variable("destinations", "orders", "url") == "RECEIVER_DESTINATIONS__ORDERS__URL"


class TestSecretFiles:
    def test_read_without_the_line_end(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of settings, sources and destinations; a file that holds several has several."""
        (folder / "secret").write_text(f"{LEAK},old-secret\r\n")
        (folder / "url").write_text("https://u:p@h/\n")
        for name in ("WEBHOOK_SECRETS", "SOURCES__ACME__SECRETS", "SOURCES__ACME__API_KEY", "ADMIN_TOKEN"):
            monkeypatch.setenv(f"RECEIVER_{name}_FILE", "secret")
        monkeypatch.setenv("RECEIVER_DESTINATIONS__ORDERS__URL_FILE", "url")
        monkeypatch.setenv("RECEIVER_DESTINATIONS__ORDERS__CA_FILE", "ca.pem")
        settings = Settings.load()
        assert [one.get_secret_value() for one in settings.webhook_secrets] == [LEAK, "old-secret"]
        assert settings.sources["acme"].secrets == settings.webhook_secrets
        assert settings.admin_token is not None
        assert settings.admin_token.get_secret_value() == f"{LEAK},old-secret"
        assert settings.destinations == {"orders": {"url": "https://u:p@h/", "ca_file": "ca.pem"}}

    def test_wins_over_a_platform(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As our own name does."""
        (folder / "url").write_text("sqlite:///ours.db")
        monkeypatch.setenv("DATABASE_URL", "sqlite:///theirs.db")
        monkeypatch.setenv("RECEIVER_DATABASE_URL_FILE", "url")
        assert Settings.load().database_url.get_secret_value() == "sqlite:///ours.db"

    def test_refused_by_name(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both at once, no file, no content, no text; the content is not quoted."""
        monkeypatch.setenv("RECEIVER_API_KEY", LEAK)
        (folder / "empty").write_text("\n")
        (folder / "binary").write_bytes(b"\xff" + LEAK.encode())
        for name, path in [
            ("API_KEY", "binary"),
            ("ADMIN_TOKEN", "empty"),
            ("SESSION_COOKIE", "nowhere"),
            ("PULL_TOKEN", " "),
        ]:
            monkeypatch.setenv(f"RECEIVER_{name}_FILE", path)
        said = refusal()
        for line in (
            "RECEIVER_API_KEY and RECEIVER_API_KEY_FILE are both set: set one",
            "RECEIVER_API_KEY_FILE: cannot read binary (not UTF-8)",
            "RECEIVER_ADMIN_TOKEN_FILE: empty is empty",
            "RECEIVER_SESSION_COOKIE_FILE: cannot read nowhere (No such file or directory)",
            "RECEIVER_PULL_TOKEN_FILE: it names no file",
        ):
            assert line in said
        assert LEAK not in said

    def test_only_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another setting has no file."""
        monkeypatch.setenv("RECEIVER_LEASE_S_FILE", "lease")
        assert "RECEIVER_LEASE_S_FILE is not a setting" in refusal()

    def test_named_by_the_settings_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`receiver.toml` names them in the same way, at every level; the environment wins."""
        (folder / "secret").write_text(f"{LEAK},old-secret\n")
        (folder / CONFIG_FILE).write_text(
            'webhook_secrets_file = "secret"\napi_key_file = "secret"\n'
            '[sources.acme]\nsecrets_file = "secret"\n'
            '[destinations.orders]\nurl = "https://h/"\ntoken_file = "secret"\nca_file = "ca.pem"\n'
        )
        monkeypatch.setenv("RECEIVER_API_KEY", "from the environment")
        settings = Settings.load()
        assert [one.get_secret_value() for one in settings.webhook_secrets] == [LEAK, "old-secret"]
        assert settings.sources["acme"].secrets == settings.webhook_secrets
        assert settings.api_key is not None
        assert settings.api_key.get_secret_value() == "from the environment"
        orders = {"url": "https://h/", "token": f"{LEAK},old-secret", "ca_file": "ca.pem"}
        assert settings.destinations == {"orders": orders}

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ('api_key_file = "nowhere"', "api_key_file: cannot read nowhere (No such file or directory)"),
            ('api_key = "a"\napi_key_file = "empty"', "api_key_file and the setting itself are both set"),
            ('[sources.acme]\nsecrets_file = "empty"', "secrets_file: empty is empty"),
            ('lease_s_file = "empty"', "RECEIVER_LEASE_S_FILE is not"),
            ("api_key_file = 5", "RECEIVER_API_KEY_FILE is not"),
        ],
    )
    def test_refused_in_the_settings_file(self, folder: Path, content: str, said: str) -> None:
        """Each as in the environment."""
        (folder / "empty").write_text("\n")
        (folder / CONFIG_FILE).write_text(content)
        assert said in refusal()
