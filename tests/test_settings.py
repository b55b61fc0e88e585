"""Settings: one table, four sources, clear refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond import limits
from millpond.errors import SettingsError
from millpond.settings import PREFIX, ImportSource, Settings, load, read, table

FIELDS = {each.name: each for each in dataclasses.fields(Settings)}
BOUNDED = [
    (name, bound, step)
    for name, each in FIELDS.items()
    for bound, step in ((each.metadata["least"], -1), (each.metadata["most"], 1))
    if bound is not None
]


def from_file(folder: Path, text: str) -> Settings:
    file = folder / "millpond.toml"
    file.write_text(text, encoding="utf-8")
    return load(file)


# --- The table ------------------------------------------------------------------------


def test_defaults_are_the_limits_of_the_api() -> None:
    """Without any source, Millpond behaves as the service does."""
    settings = load()

    assert settings == Settings()
    assert settings.datasets_per_identity_max == limits.DATASETS_PER_IDENTITY_MAX == 20
    assert settings.records_per_dataset_max == limits.RECORDS_PER_DATASET_MAX == 1024
    assert settings.dataset_bytes_max == limits.DATASET_BYTES_MAX == 1_048_576
    assert settings.record_key_chars_max == limits.RECORD_KEY_CHARS_MAX == 1024
    assert settings.record_value_chars_max == limits.RECORD_VALUE_CHARS_MAX == 1_048_575
    assert settings.sync_session_lifetime_s == limits.SYNC_SESSION_LIFETIME_S == 3600
    assert settings.signature_window_s == limits.SIGNATURE_WINDOW_S == 300
    assert not settings.self_heal_sync_counts
    assert not settings.explain_signatures


def test_every_setting_is_described() -> None:
    """The table has a row for each, with a sentence and its variable."""
    rows = {row.name: row for row in table()}

    assert list(rows) == list(FIELDS)
    for name, row in rows.items():
        assert row.help.endswith(".")
        assert row.environment == PREFIX + name.upper()
    assert rows["port"].default == "8014"
    assert rows["log_requests"].default == "false"
    assert rows["streams"].default == ""


def test_numbers_end_in_their_unit() -> None:
    """A setting that is a number says of what, but for the port and plain counts."""
    plain = {"port", "bulk_publish_slices", "bulk_publish_workers"}
    plain.add("log_requests_every")
    for name, each in FIELDS.items():
        if type(each.default) is int and name not in plain:
            assert name.endswith(("_s", "_max")), name


# --- Sources --------------------------------------------------------------------------


def test_a_file_is_read(tmp_path: Path) -> None:
    """Every kind of value can be set in TOML."""
    settings = from_file(
        tmp_path,
        """
        data = "/var/lib/millpond"
        port = 0
        log_requests = true
        accepted_regions = ["eu-west-1"]
        [streams]
        changes = "kinesis://changes"
        """,
    )

    assert settings == Settings(
        data=Path("/var/lib/millpond"),
        port=0,
        log_requests=True,
        accepted_regions=["eu-west-1"],
        streams={"changes": "kinesis://changes"},
    )


def test_variables_are_read() -> None:
    """Each setting has its variable; lists and tables are JSON; others pass."""
    settings = load(
        environment={
            "MILLPOND_DATA": "there",
            "MILLPOND_PORT": "80",
            "MILLPOND_LOG_REQUESTS": "true",
            "MILLPOND_ACCEPTED_REGIONS": '["eu-west-1", "x"]',
            "MILLPOND_STREAMS": '{"a": "embedded:"}',
            "MILLPOND_TEST_POSTGRES_URL": "not a setting",
            "PORT": "81",
            "OTHER_MILLPOND_PORT": "82",
        }
    )

    assert settings == Settings(
        data=Path("there"),
        port=80,
        log_requests=True,
        accepted_regions=["eu-west-1", "x"],
        streams={"a": "embedded:"},
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("True", True), ("false", False), ("0", False)],
)
def test_switches_in_variables(text: str, value: bool) -> None:
    """A switch is spelt in words or as a digit."""
    settings = load(environment={"MILLPOND_EXPLAIN_SIGNATURES": text})

    assert settings.explain_signatures is value


@pytest.mark.parametrize("name", ["data", "tls_certificate", "tls_key", "init_folder"])
def test_a_tilde_before_a_path_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A leading ~ is the home, from every source; elsewhere it is a letter."""
    monkeypatch.setenv("HOME", "/home/ada")

    file = tmp_path / "millpond.toml"

    def read_in_each_way(path: str) -> set[str]:
        file.write_text(f'{name} = "{path}"', encoding="utf-8")
        found = [
            read(file),
            read(environment={PREFIX + name.upper(): path}),
            read(overrides={name: path}),
        ]
        return {str(getattr(each.settings, name)) for each in found}

    assert read_in_each_way("~/pond") == {"/home/ada/pond"}
    assert read_in_each_way("~") == {"/home/ada"}
    assert read_in_each_way("pond/~") == {"pond/~"}


def test_a_home_that_there_is_not_is_refused() -> None:
    """A ~ that stands for no home makes no folder of that name."""
    with pytest.raises(SettingsError) as refused:
        load(overrides={"data": "~nobody-of-this-name/pond"})

    assert str(refused.value) == (
        "Setting 'data' is '~nobody-of-this-name/pond'; it must be a path, and there "
        "is no home '~nobody-of-this-name'; what has that name itself is "
        "./~nobody-of-this-name. (set by --data)"
    )


def test_sources_have_their_order(tmp_path: Path) -> None:
    """The command line wins over the environment, that over the file."""
    file = tmp_path / "millpond.toml"
    file.write_text('port = 1\nhost = "file"\nregion = "file-1"\n', encoding="utf-8")
    environment = {"MILLPOND_PORT": "2", "MILLPOND_HOST": "environment"}
    settings = load(file, environment, {"port": 3, "account_id": None})

    assert (settings.port, settings.host, settings.region) == (
        3,
        "environment",
        "file-1",
    )
    assert settings.account_id == Settings().account_id


def test_loading_shares_nothing() -> None:
    """Two sets of settings do not share a list."""
    one, two = load(), load()

    assert one.streams is not two.streams
    assert one.accepted_regions is not two.accepted_regions


# --- Refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot = 80", "no setting 'prot'"),
        ("[server]\nport = 80", "no setting 'server'"),
        ("port = ", "not valid TOML"),
        ("region = eu-west-1", r"column 10\)\. Text stands in quotes\.$"),
        ("host = 127.0.0.1", r"column 13\)\. Text stands in quotes\.$"),
        ("cors_origins = [https://a]", r"Text stands in quotes\.$"),
        ("log_requests = True", r"column 16\)\. Write true and false small\.$"),
        ("cors_origins = [\n]\nlog_requests =FALSE", "Write true and false small"),
        (
            "[imports.us-east-1:7c4f]\nread_through = true",
            r'in quotes: \[imports\."us-east-1:7c4f"\]\.$',
        ),
        ("[streams]\na:b = 'embedded:a'", r"'_' stands in quotes\.$"),
        ("port: 80", r"stands '=': port = \.\.\.$"),
        ("geheim: 80", r"stands '='\.$"),
        ("prot = 80", r"Is 'port' meant\?"),
        ('MILLPOND_PORT = "80"', r"Is 'port' meant\?"),
        ("[server]\nport = 80", "'port' stands at the top of the file, in no table"),
        ('port = "many"', "is 'many'; it must be a whole number from 0 to 65535"),
        ("port = true", "is true; it must be a whole number"),
        ("port = 1.5", "is 1.5; it must be a whole number"),
        ("port = [1]", "is a list; it must be a whole number"),
        ("port = 2014-06-30", "is 2014-06-30; it must be a whole number"),
        ("drain_s = -1", "is -1; it must be from 0 to 3600"),
        ("dataset_bytes_max = 0", "is 0; it must be at least 1"),
        ("data = 5", "is 5; it must be text, in quotes"),
        ('data = ""', "it must be the path of a folder"),
        ('host = ["a"]', "is a list; it must be text"),
        ("log_requests = 3", "is 3; it must be true or false"),
        ("accepted_regions = 5", "is 5; it must be a list"),
        ('cors_origins = "https://a"', "is 'https://a'; it must be a list, such as"),
        ("cors_origins = [5]", "a list of texts, each in quotes; 5 is none"),
        ("streams = { a = 5 }", "a table of texts, and 'a' in it is 5"),
        (
            "[streams]\norders.v1 = 'embedded:a'",
            "'orders' in it is a table. A name with dots stands in quotes: "
            '"orders.v1"',
        ),
        (
            "[login_providers.accounts.google.com]\nclient_ids = ['x']",
            "'accounts' has 'google'. A name with dots stands in quotes: "
            '"accounts.google.com"',
        ),
        ("[streams]\nport = 80", "'port' is a setting: those stand above the first"),
        ('streams = ["a"]', "'streams' must be a table"),
        ('login_providers = { a = "x" }', "a table of tables, and 'a' in it is 'x'"),
        (
            '[login_providers.a]\nclient_id = ["x"]',
            r"'a' has 'client_id'. Is 'client_ids' meant\?",
        ),
        ('[login_providers.a]\nclient_ids = "x"', "'client_ids' of 'a' must be a list"),
        ("[login_providers.a]\nkeys = 5", "'keys' of 'a' must be text"),
        ("[imports.a]\nread_trough = true", "'a' has 'read_trough'. Is 'read_through'"),
        ("[imports.a]\nread_through = 5", "'read_through' of 'a' must be"),
        ("[imports.a]\ntimeout_s = 0", "'timeout_s' of 'a' must be"),
        ("[imports.a]\nclaims_until = true", "must be a day, such as"),
        ("[imports.a]\nclaims_until = 'soon'", "'claims_until' of 'a' must be a day"),
        (
            "[imports.a]\nclaims_until = 2027-01-31T00:00:00Z",
            "'claims_until' of 'a' must be a day",
        ),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, says: str) -> None:
    """Unknown names, broken TOML and wrong types are a SettingsError."""
    with pytest.raises(SettingsError, match=says):
        from_file(tmp_path, text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The message names the file and the reason."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "missing.toml")
    assert str(caught.value) == (
        f"Cannot read '{tmp_path / 'missing.toml'}': No such file or directory."
    )
    with pytest.raises(SettingsError, match="Cannot read"):
        load(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load(binary)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MILLPOND_PORT", "many", "is 'many'; it must be a whole number"),
        ("MILLPOND_PORT", "", "is ''; it must be a whole number"),
        ("MILLPOND_PORT", "1_0", "it must be a whole number"),
        ("MILLPOND_PORT", "\u0661", "it must be a whole number"),
        ("MILLPOND_PORT", "9" * 5000, "it must be a whole number"),
        ("MILLPOND_LOG_REQUESTS", "maybe", "is 'maybe'; it must be true or false"),
        ("MILLPOND_STREAMS", "a=b", "must be a table in JSON, such as {"),
        ("MILLPOND_STREAMS", "[]", "must be a table in JSON"),
        ("MILLPOND_STREAMS", "[" * 100_000, "must be a table in JSON"),
        ("MILLPOND_ACCEPTED_REGIONS", "eu-west-1", "it must be a list in JSON"),
        ("MILLPOND_PROT", "1", r"MILLPOND_PROT. Is 'MILLPOND_PORT' meant\?"),
        ("MILLPOND_port", "1", r"MILLPOND_port. Is 'MILLPOND_PORT' meant\?"),
        ("millpond_port", "1", r"millpond_port. Is 'MILLPOND_PORT' meant\?"),
        ("MILLPOND-PORT", "1", r"MILLPOND-PORT. Is 'MILLPOND_PORT' meant\?"),
        ("MILLPOND_CorsOrigin", "1", r"Is 'MILLPOND_CORS_ORIGINS' meant\?"),
        ("MILLPOND_CLI_COMPTA", "v2", r"Is 'MILLPOND_CLI_COMPAT' meant\?"),
        ("MILLPOND_NONSENSE", "1", "no setting behind MILLPOND_NONSENSE.$"),
    ],
)
def test_a_wrong_variable_is_told(variable: str, value: str, says: str) -> None:
    """A variable that cannot be read is a SettingsError."""
    with pytest.raises(SettingsError, match=says):
        load(environment={variable: value})


def test_where_a_wrong_value_stands_is_told(tmp_path: Path) -> None:
    """The message names the file, the variable or the option."""
    file = tmp_path / "millpond.toml"
    file.write_text("port = -1\n", encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        load(file, {"MILLPOND_DRAIN_S": "x"}, {"host": "a b"})

    lines = str(caught.value).splitlines()
    assert lines[0] == "3 settings are wrong:"
    for name, origin in (
        ("port", str(file)),
        ("drain_s", "MILLPOND_DRAIN_S"),
        ("host", "--host"),
    ):
        assert any(
            f"Setting '{name}'" in line and line.endswith(f"(set by {origin})")
            for line in lines
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secret_key", "0123456789abcdef-geheim"),
        ("secret_key", ["geheim"]),
        ("hook_secret", "geheim"),
        ("store", "mysql://u:geheim@h/d"),
        ("store", "postgresql://u:geheim/1@h/d"),
        ("store", "postgresql://u:1?sslgeheim=1@h/d"),
        ("streams", {"a": ["geheim"]}),
        ("stream_payload_store", "http://geheim"),
    ],
)
def test_no_message_repeats_a_secret(name: str, value: Any) -> None:
    """What may be a secret, or have one in it, is refused without being shown."""
    with pytest.raises(SettingsError) as caught:
        load(overrides={name: value})

    assert f"'{name}'" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_variable_of_calls_is_in_no_servers_way() -> None:
    """Who exports it for calls runs servers and commands of ours all the same."""
    assert load(environment={"MILLPOND_CLI_COMPAT": "v2"}) == load()


def test_what_an_orchestrator_sets_beside_a_service_is_passed_over() -> None:
    """Kubernetes sets such variables in every container, after a service's name."""
    settings = load(
        environment={
            "MILLPOND_SERVICE_HOST": "10.0.0.1",
            "MILLPOND_SERVICE_PORT": "8014",
            "MILLPOND_SERVICE_PORT_HTTP": "8014",
            "MILLPOND_PORT": "tcp://10.0.0.1:8014",
            "MILLPOND_PORT_8014_TCP": "tcp://10.0.0.1:8014",
            "MILLPOND_PORT_8014_TCP_PROTO": "tcp",
            "MILLPOND_PORT_8014_TCP_PORT": "8014",
            "MILLPOND_PORT_8014_TCP_ADDR": "10.0.0.1",
            "MILLPOND_STORE_PORT": "tcp://10.0.0.2:5432",
            "MILLPOND_STORE_SERVICE_HOST": "10.0.0.2",
        }
    )

    assert settings == Settings()


def test_every_wrong_setting_is_told_at_once() -> None:
    """One start tells all there is to mend, each once."""
    reading = read(
        overrides={"port": 99999, "region": "EU", "log_level": "inof", "data": 5}
    )

    assert [each.setting for each in reading.problems] == [
        *("port", "data", "region", "log_level")
    ]


@pytest.mark.parametrize(("name", "bound", "step"), BOUNDED)
def test_bounds_hold(name: str, bound: int, step: int) -> None:
    """The bound itself is taken, one beyond it is refused with name and bounds."""
    settings = load(overrides={name: bound})
    assert getattr(settings, name) == bound
    with pytest.raises(SettingsError) as caught:
        load(overrides={name: bound + step})

    text = str(caught.value)
    assert f"Setting '{name}' is {bound + step}; it must be " in text
    assert str(bound) in text


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"account_id": "abc"}, "account_id"),
        ({"account_id": ""}, "account_id"),
        ({"account_id": "\u0661"}, "account_id"),
        ({"sns_endpoint": "localhost:4566"}, "sns_endpoint"),
        ({"tls_certificate": "c"}, "together"),
        ({"tls_key": "k"}, "together"),
        ({"log_level": "loud"}, "log_level"),
        ({"log_level": "inof"}, r"Is 'info' meant\?"),
        ({"log_level": "INFO"}, r"Is 'info' meant\?"),
        ({"console": True}, "is true; it must be auto, on or off"),
        ({"readers": [1]}, "is a list; it must be auto or from 0 to 128"),
        ({"region": ""}, "region"),
        ({"region": "EU-WEST-1"}, "lower-case letters"),
        ({"region": "eu west 1"}, "lower-case letters"),
        ({"region": "eu_west_1"}, "lower-case letters"),
        ({"region": "us-east-1a"}, "a zone, of the region us-east-1"),
        ({"region": "a" * 19}, "at most 18"),
        ({"accepted_regions": ["eu-west-1", "US"]}, "'accepted_regions' has 'US'"),
        ({"host": "http://a"}, "host"),
        ({"host": "127.0.0.1:80"}, "without a port"),
        ({"host": "[::1]"}, "must be an address without brackets, such as ::1"),
        ({"host": "[::1]:80"}, "without brackets and a port"),
        ({"host": ""}, "host"),
        ({"host": "a\u0000b"}, "host"),
        ({"host": "a\udcff"}, "host"),
        ({"public_url": "example.com"}, "public_url"),
        ({"public_url": "https://"}, "public_url"),
        ({"public_url": "https://a b"}, "public_url"),
        ({"public_url": "https://a:99999"}, "public_url"),
        ({"public_url": "https://a/?x=1"}, "without '\\?' and '#'"),
        ({"token_issuer": ""}, "token_issuer"),
        ({"sns_endpoint": "http:/localhost"}, "sns_endpoint"),
        ({"store": "postgresql//h/d"}, "'store' must be a URL like"),
        ({"store": "postgresql://u:p@h:x/d"}, "a port to 65535"),
        ({"store": "postgresql://u:p@h:99999/d"}, "a port to 65535"),
        ({"store": "postgresql://a:1,[::1]:99999/d"}, "a port to 65535"),
        ({"store": "postgresql://u:a/b@h/d"}, "in a password / is %2F"),
        ({"store": "postgresql://h/d?sslmode=maybe"}, "sslmode is disable, allow"),
        ({"store": "postgresql://h/d?sslmoed=require"}, "among sslmode, sslrootcert"),
        ({"store": "postgresql://u:p#x@h/d"}, "# is written as %23"),
        ({"store": "postgresql://h/d?password=p#x"}, "# is written as %23"),
        ({"secret_key": "ab"}, "64 hex digits, and has 2"),
        ({"secret_key": " "}, "64 hex digits, and has 0"),
        (
            {"login_providers": {"a": {"discovery_url": "b.example"}}},
            "'discovery_url' of 'a'",
        ),
        ({"login_providers": {"a": {"keys": "ftp://b"}}}, "'keys' of 'a'"),
        ({"imports": {"US-EAST-1:A": {}}}, "in lower case"),
        ({"imports": {"us-east-1:a": {"endpoint_url": "b"}}}, "'endpoint_url' is 'b'"),
        ({"imports": {"us-east-1:a": {"stream": "nats://b"}}}, "kinesis://"),
        ({"cors_origins": [""]}, "cors_origins"),
        ({"cors_origins": ["https://app.example/"]}, "cors_origins"),
        ({"cors_origins": ["app.example"]}, "cors_origins"),
        ({"cors_origins": ["https://*.example"]}, "cors_origins"),
        ({"cors_origins": ["https://app.example:65536"]}, "cors_origins"),
        ({"cors_origins": ["http://[::1]x"]}, "an origin is a scheme"),
        ({"cors_origins": ["http://[::x]"]}, "an origin is a scheme"),
        (
            {"cors_origins": ["https://App.example.com"]},
            "browsers write it https://app.example.com",
        ),
        ({"cors_origins": ["HTTPS://a.example"]}, "write it https://a.example"),
        ({"cors_origins": ["https://a.example:443"]}, "write it https://a.example"),
        ({"cors_origins": ["http://a.example:080"]}, "write it http://a.example"),
        ({"cors_origins": ["http://[0:0::1]:5173"]}, r"write it http://\[::1\]:5173"),
        ({"cors_origins": ["https://app.example/"]}, "write it https://app.example"),
        ({"log_format": "xml"}, "log_format"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, "has '10.0.0.1/8'; it takes"),
        ({"trusted_proxies": ["proxy.example"]}, "trusted_proxies"),
        ({"trusted_proxies_header": "x-real-ip"}, "x-forwarded-for or forwarded"),
        ({"hook_secret": "too short"}, "hook_secret"),
        ({"lambda_endpoint": "localhost:9000"}, "lambda_endpoint"),
        ({"stream_payload_store": "bucket"}, "must begin with s3://"),
        (
            {"stream_payload_store": "s3://b", "stream_payload_lifetime_s": 604_801},
            "'stream_payload_lifetime_s' is 604801; .* at most 604800",
        ),
        (
            {"stream_payload_store": "s3://b", "stream_retention_s": 604_801},
            "'stream_retention_s' is 604801; .* seven days",
        ),
        ({"nonsense": 1}, "no setting 'nonsense'"),
    ],
)
def test_what_makes_no_sense_is_told(overrides: dict[str, Any], says: str) -> None:
    """Values that contradict each other or mean nothing are refused."""
    with pytest.raises(SettingsError, match=says):
        load(overrides=overrides)


def test_origins_as_browsers_write_them() -> None:
    """Hosts of every form, other schemes, and any port."""
    origins = [
        *("https://app.example.com", "http://localhost:*", "http://[::1]:5173"),
        *("https://[::1]", "http://[::1]:*", "http://a.example:443", "*"),
        *("https://xn--gre-8ka6a.example", "capacitor://localhost", "app://Some.Page"),
    ]

    assert load(overrides={"cors_origins": origins}).cors_origins == origins


def test_regions() -> None:
    """A signature may be for our region and those accepted; '*' means any."""
    assert load().regions == frozenset({"us-east-1"})
    some = load(overrides={"region": "a", "accepted_regions": ["b"]})
    assert some.regions == frozenset({"a", "b"})
    assert load(overrides={"accepted_regions": ["b", "*"]}).regions is None


@pytest.mark.parametrize("day", ["2027-01-31", "'2027-01-31'"])
def test_claims_end_with_their_day(tmp_path: Path, day: str) -> None:
    """To its end, in UTC; without a day there are none."""
    settings = from_file(tmp_path, f'[imports."us-east-1:a"]\nclaims_until = {day}')
    source = settings.imports["us-east-1:a"]
    end_ms = 1_801_440_000_000  # 2027-02-01T00:00:00Z

    assert source.are_claims_open(end_ms - 1)
    assert not source.are_claims_open(end_ms)
    assert not ImportSource().are_claims_open(0)
    asked = msgspec.structs.replace(source, read_through=True)
    assert not asked.are_claims_open(0)
