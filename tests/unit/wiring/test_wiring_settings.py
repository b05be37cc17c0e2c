"""Settings: every key by every way, all problems at once, secrets never shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyeino.wiring import (
    Settings,
    SettingsError,
    describe_database,
    load_settings,
    parse_duration,
    setting_rows,
)
from pyeino.wiring._checks import NOT_IN_THIS_VERSION
from pyeino.wiring._keys import Key, all_keys
from pyeino.wiring._located import value_at

_FILE = Path(__file__).parents[3] / "configs" / "config.yaml"

_SECRET = "g7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

# A value for each key that differs from its default, as text and as YAML holds it. What does not
# go together by itself is completed by `_COMPANIONS`.
_TRIAL: dict[str, tuple[str, Any]] = {
    "environment": ("staging", "staging"),
    "server.host": ("::1", "::1"),
    "server.port": ("9000", 9000),
    "server.read_timeout": ("5m", 300.0),
    "server.write_timeout": ("1.5", 1.5),
    "server.idle_timeout": ("1m30s", 90.0),
    "server.heartbeat": ("250ms", 0.25),
    "server.drain_delay": ("2s", 2.0),
    "server.drain_timeout": ("1h", 3600.0),
    "server.allowed_hosts": ("a.example,b.example", ("a.example", "b.example")),
    "server.allowed_origins": ("https://a.example", ("https://a.example",)),
    "server.allow_public_without_auth": ("true", True),
    "server.trusted_proxies": ("10.0.0.7,10.1.0.0/16", ("10.0.0.7", "10.1.0.0/16")),
    "server.workers": ("3", 3),
    "server.cors_origins": ("https://a.example", ("https://a.example",)),
    "database.url": ("sqlite:///x/y.db", "sqlite:///x/y.db"),
    "database.pool_size": ("7", 7),
    "database.pool_timeout": ("2s", 2.0),
    "database.start_timeout": ("1m", 60.0),
    "database.statement_timeout": ("500ms", 0.5),
    "database.durability": ("strict", "strict"),
    "database.encryption_key": (_KEY, _KEY),
    "database.previous_encryption_keys": (f"{_KEY},{_KEY}", (_KEY, _KEY)),
    "llm.provider": ("openai", "openai"),
    "llm.model": ("other", "other"),
    "llm.api_key": ("k-12345678", "k-12345678"),
    "llm.base_url": ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    "llm.max_tokens": ("17", 17),
    "llm.temperature": ("0", 0.0),
    "llm.timeout": ("9s", 9.0),
    "llm.retry_count": ("0", 0),
    "llm.extra": ('{"top_k": 3}', {"top_k": 3}),
    "redis.url": ("redis://127.0.0.1:1/2", "redis://127.0.0.1:1/2"),
    "redis.pool_size": ("3", 3),
    "redis.timeout": ("250ms", 0.25),
    "cache.enabled": ("true", True),
    "cache.ttl": ("1m", 60.0),
    "cache.max_entries": ("5", 5),
    "cache.max_bytes": ("77", 77),
    "logging.level": ("debug", "debug"),
    "logging.format": ("json", "json"),
    "metrics.enabled": ("false", False),
    "metrics.path": ("/m/etrics", "/m/etrics"),
    "metrics.token": ("0123456789abcdef", "0123456789abcdef"),
    "auth.enabled": ("true", True),
    "auth.jwt_secret": (_SECRET, _SECRET),
    "auth.previous_jwt_secrets": (f"{_SECRET}1,{_SECRET}2", (f"{_SECRET}1", f"{_SECRET}2")),
    "auth.token_expiry": ("5m", 300.0),
    "auth.refresh_expiry": ("2d", 172_800.0),
    "auth.issuer": ("us", "us"),
    "auth.audience": ("them", "them"),
    "auth.bootstrap_key": (_SECRET, _SECRET),
    "tracing.enabled": ("true", True),
    "tracing.endpoint": ("https://otel.example:4318", "https://otel.example:4318"),
    "tracing.headers": ('{"x-team": "blue"}', {"x-team": "blue"}),
    "tracing.sample_ratio": ("0.25", 0.25),
    "tracing.service_name": ("shop", "shop"),
    "tracing.capture_content": ("true", True),
    "limits.max_body_bytes": ("2048", 2048),
    "limits.max_requests": ("3", 3),
    "limits.max_connections": ("4", 4),
    "limits.message_bytes": ("5", 5),
    "limits.messages": ("6", 6),
    "limits.context_bytes": ("7", 7),
    "limits.history_messages": ("8", 8),
    "limits.max_tokens": ("9", 9),
    "limits.timeout": ("10s", 10.0),
    "limits.active_runs": ("11", 11),
    "limits.requests_per_minute": ("60", 60),
    "limits.burst": ("7", 7),
    "limits.tokens_per_minute": ("1000", 1000),
    "llm.system_prompt": ("be brief", "be brief"),
    "llm.local.slots": ("2", 2),
    "llm.local.context": ("4096", 4096),
    "llm.local.threads": ("3", 3),
    "llm.local.max_queue": ("4", 4),
    "llm.local.queue_timeout": ("5s", 5.0),
    "rag.vector_store.provider": ("none", "none"),
    "rag.vector_store.collection": ("notes", "notes"),
    "rag.vector_store.dimension": ("384", 384),
    "rag.embedding.provider": ("openai", "openai"),
    "rag.embedding.model": ("e", "e"),
    "rag.embedding.api_key": ("k-87654321", "k-87654321"),
    "rag.embedding.base_url": ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    "rag.embedding.dimension": ("384", 384),
    "rag.embedding.batch_size": ("4", 4),
    "rag.retrieval.top_k": ("3", 3),
    "rag.retrieval.score_threshold": ("0.5", 0.5),
    "rag.retrieval.vector_weight": ("0.5", 0.5),
    "rag.retrieval.keyword_weight": ("0.5", 0.5),
    "rag.retrieval.fusion": ("rrf", "rrf"),
    "queue.url": ("redis://:pw@127.0.0.1/1", "redis://:pw@127.0.0.1/1"),
    "storage.url": ("s3://key:pw@bucket/here", "s3://key:pw@bucket/here"),
}
_ON_POSTGRES = {"database.url": "postgresql://db/x"}
_COMPANIONS: dict[str, dict[str, str]] = {
    "database.pool_size": _ON_POSTGRES,
    "database.pool_timeout": _ON_POSTGRES,
    "database.start_timeout": _ON_POSTGRES,
    "database.statement_timeout": _ON_POSTGRES,
    "server.workers": {"redis.url": "redis://127.0.0.1:1/2"},
    "llm.provider": {"llm.model": "m", "llm.api_key": "k"},
    "llm.model": {"llm.provider": "openai", "llm.api_key": "k"},
    "llm.api_key": {"llm.provider": "openai", "llm.model": "m"},
    "llm.base_url": {"llm.provider": "openai", "llm.model": "m"},
    "llm.retry_count": {"llm.provider": "openai", "llm.model": "m", "llm.api_key": "k"},
    "auth.enabled": {"auth.jwt_secret": _SECRET},
    "auth.jwt_secret": {"auth.enabled": "true"},
    "auth.previous_jwt_secrets": {"auth.enabled": "true", "auth.jwt_secret": _SECRET},
    "auth.bootstrap_key": {"auth.enabled": "true", "auth.jwt_secret": _SECRET},
    "limits.burst": {"limits.requests_per_minute": "60"},
    "rag.embedding.provider": {"rag.embedding.model": "e", "rag.embedding.api_key": "k"},
    "rag.embedding.model": {"rag.embedding.provider": "openai", "rag.embedding.api_key": "k"},
    "rag.embedding.api_key": {"rag.embedding.provider": "openai", "rag.embedding.model": "e"},
    "rag.embedding.base_url": {"rag.embedding.provider": "openai", "rag.embedding.model": "e"},
}
_REFUSED = [path for path in all_keys() if path.startswith(tuple(NOT_IN_THIS_VERSION))]


def _variable(path: str) -> str:
    return "PYEINO_" + path.upper().replace(".", "__")


def _as_yaml(values: dict[str, Any]) -> str:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(tree)


def _problems(error: pytest.ExceptionInfo[SettingsError]) -> dict[str, Any]:
    return {problem.key: problem for problem in error.value.problems}


def test_every_key_has_a_trial_or_is_refused() -> None:
    assert set(_TRIAL) | set(_REFUSED) == set(all_keys())
    assert not set(_TRIAL) & set(_REFUSED)


@pytest.mark.parametrize("path", _TRIAL)
def test_g12_every_key_can_be_set_by_each_way(path: str, tmp_path: Path) -> None:
    text, expected = _TRIAL[path]
    companions = _COMPANIONS.get(path, {})
    assert value_at(Settings(), path) != expected

    by_flag = load_settings(env={}, overrides={**companions, path: text})
    assert value_at(by_flag, path) == expected
    assert by_flag.origins[path] == f"--set {path}"

    variables = {_variable(name): value for name, value in {**companions, path: text}.items()}
    by_variable = load_settings(env=variables)
    assert value_at(by_variable, path) == expected
    assert by_variable.origins[path] == f"environment {_variable(path)}"

    file = tmp_path / "c.yaml"
    typed = {name: yaml.safe_load(value) for name, value in companions.items()}
    file.write_text(_as_yaml({**typed, path: expected}))
    by_file = load_settings(file, env={})
    assert value_at(by_file, path) == expected
    assert re.fullmatch(rf"{re.escape(str(file))}:\d+", by_file.origins[path])


@pytest.mark.parametrize("path", _REFUSED)
def test_what_this_version_cannot_honour_is_refused_with_a_remedy(path: str) -> None:
    key = all_keys()[path]
    text = "true" if key.plain is bool else "7"
    with pytest.raises(SettingsError) as error:
        load_settings(env={_variable(path): text})
    problem = _problems(error)[path]
    assert problem.message == "not in this version"
    assert problem.remedy


def test_the_defaults_are_the_guides() -> None:
    settings = load_settings(env={})
    assert settings.server.port == 8080
    assert (settings.server.read_timeout, settings.server.write_timeout) == (30, 30)
    assert settings.server.idle_timeout == 120
    assert (settings.llm.max_tokens, settings.llm.temperature) == (4096, 0.7)
    assert (settings.llm.timeout, settings.llm.retry_count) == (60, 3)
    assert settings.rag.retrieval.top_k == 5
    assert settings.rag.retrieval.score_threshold == 0.7
    assert settings.server.host == "127.0.0.1"
    assert settings.llm.provider == "local"
    assert set(settings.origins.values()) == {"default"}


def test_the_documented_file_equals_the_defaults_and_names_every_key() -> None:
    from_file = load_settings(_FILE, env={})
    defaults = load_settings(env={})
    for path in all_keys():
        assert value_at(from_file, path) == value_at(defaults, path), path
        assert from_file.origins[path].startswith(str(_FILE)), path


def test_a_file_that_merely_lies_there_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("server: {port: 1}")
    monkeypatch.chdir(tmp_path)
    assert load_settings(env={}).server.port == 8080
    named = load_settings(env={"PYEINO_CONFIG": "configs/config.yaml"})
    assert named.server.port == 1


def test_file_below_environment_below_flags(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  port: 1\n  host: 127.0.0.1\nlogging:\n  level: warn\n")
    settings = load_settings(
        file,
        env={"PORT": "2", "PYEINO_SERVER__PORT": "3", "LOG_LEVEL": "error"},
        overrides={"server.port": "4"},
        flags={"server.port": "--port"},
    )
    assert settings.server.port == 4
    assert settings.origins["server.port"] == "--port"
    assert settings.logging.level == "error"
    assert settings.origins["server.host"] == f"{file}:3"
    assert load_settings(file, env={"PORT": "2", "PYEINO_SERVER__PORT": "3"}).server.port == 3


def test_g13_own_names_are_read_and_empty_ones_are_not() -> None:
    settings = load_settings(
        env={
            "ENV": "staging",
            "LOG_LEVEL": "debug",
            "DATABASE_URL": "sqlite:///a.db",
            "PORT": "9",
            "REDIS_URL": "",
        }
    )
    assert settings.environment == "staging"
    assert settings.logging.level == "debug"
    assert settings.database_path == Path("a.db")
    assert settings.server.port == 9
    with pytest.raises(SettingsError) as error:
        load_settings(env={"DATABASE_URL": "mysql://u:hunter2@db/x", "REDIS_URL": "http://r"})
    problems = _problems(error)
    assert problems["database.url"].origin == "environment DATABASE_URL"
    assert "postgres://" in problems["database.url"].remedy
    assert "redis://" in problems["redis.url"].message
    assert problems["redis.url"].origin == "environment REDIS_URL"
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_g13_every_scheme_of_postgresql_is_taken(scheme: str) -> None:
    url = f"{scheme}://ann:hunter2@db.example:5433/chat?sslmode=require"
    settings = load_settings(env={"DATABASE_URL": url})
    assert settings.uses_postgres
    assert describe_database(settings) == "PostgreSQL postgresql://ann@db.example:5433/chat"
    assert "hunter2" not in repr(settings)
    assert not any("hunter2" in row.value for row in setting_rows(settings))


@pytest.mark.parametrize(
    "url",
    [
        "postgres://ann:hun/ter2@db/x",
        "postgres://ann:hun@ter2@db/x",
        "postgres://ann:hunter2#1@db/x",
        "postgres://ann:hunter2@db:port/x",
        "postgres://ann:hunter2@db:99999/x",
        "postgres://ann:hunter2@db",
        "postgres://ann:hunter2@db/x?sslmode",
        "postgres://",
        "mysql://ann:hunter2@db/x?password=hunter2",
    ],
)
def test_a_database_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(env={"DATABASE_URL": url})
    (problem,) = error.value.problems
    assert problem.key == "database.url"
    assert problem.remedy
    assert not re.search("hun|ter2", str(error.value))


def test_what_only_postgresql_has_is_refused_with_sqlite() -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides={"database.pool_size": "3"})
    assert "SQLite has no use for it" in _problems(error)["database.pool_size"].message


def test_g15_all_problems_at_once_with_key_value_origin_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  prot: 1\n  port: 70000\nllm:\n  temperature: hot\nsevrer: {}\n")
    with pytest.raises(SettingsError) as error:
        load_settings(
            file,
            env={"PYEINO_LLM__TIMEOUT": "soon", "PYEINO_SERVER_PORT": "1", "PORT": "8080"},
            overrides={"llm.max_tokens": "0"},
        )
    problems = _problems(error)
    assert problems["server.prot"].remedy == "Did you mean server.port?"
    assert problems["server.prot"].origin == f"{file}:2"
    # The value of the file is refused although a variable overrides it.
    assert problems["server.port"].value == "70000"
    assert "0 to 65535" in problems["server.port"].message
    assert problems["llm.temperature"].origin == f"{file}:5"
    assert "30s" in problems["llm.timeout"].message
    assert problems["PYEINO_SERVER_PORT"].remedy == "Did you mean PYEINO_SERVER__PORT?"
    assert problems["llm.max_tokens"].message.startswith("LLM max tokens must be positive")
    assert "sevrer" in problems
    assert len(problems) == 7


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("server:\n  port: 1\n  port: 2\n", 3, "already set in line 2"),
        ("server:\n  port: [1\n", 3, "not valid YAML"),
        ("- a\n- b\n", 1, "expected a mapping"),
        ("server: 5\n", 1, "expected a mapping"),
        ("llm:\n  api_key: 123\n", 2, "expected text"),
        ("server:\n  port: '8080'\n", 2, "expected a whole number"),
        ("server:\n  port: yes\n", 2, "expected a whole number"),
        ("server:\n  ? [a]\n  : 1\n", 2, "a key must be text"),
        ("x: !!python/object/apply:os.system ['true']\n", 1, "not valid YAML|unknown"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    tmp_path: Path, content: str, line: int, words: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=words) as error:
        load_settings(file, env={})
    assert error.value.problems[0].origin == f"{file}:{line}"


def test_a_missing_file_is_a_problem_and_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml", env={})
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    assert load_settings(empty, env={}).server.port == 8080
    empty.write_text("server:\n  # all commented out\n")
    assert load_settings(empty, env={}).server.port == 8080


def test_secrets_are_read_from_files_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-secret-in-a-file\n")
    env = {
        "PYEINO_LLM__PROVIDER": "openai",
        "PYEINO_LLM__MODEL": "m",
        "PYEINO_LLM__API_KEY_FILE": str(file),
    }
    settings = load_settings(env=env)
    assert settings.llm.api_key == "sk-secret-in-a-file"
    shown = "\n".join(f"{row.key} {row.value} {row.origin}" for row in setting_rows(settings))
    assert "sk-secret" not in shown
    assert f"llm.api_key *** environment PYEINO_LLM__API_KEY_FILE ({file})" in shown
    with pytest.raises(SettingsError, match="set twice"):
        load_settings(env={**env, "PYEINO_LLM__API_KEY": "sk-other"})
    with pytest.raises(SettingsError, match="cannot read the secret"):
        load_settings(env={**env, "PYEINO_LLM__API_KEY_FILE": str(tmp_path / "none")})
    with pytest.raises(SettingsError, match="unknown setting"):
        load_settings(env={"PYEINO_SERVER__PORT_FILE": str(file)})
    url = tmp_path / "url"
    url.write_text("sqlite:///from-a-file.db")
    assert load_settings(env={"DATABASE_URL_FILE": str(url)}).database_path.name == "from-a-file.db"


def test_entries_of_a_mapping_are_set_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("llm:\n  extra:\n    top_k: 1\n    seed: 2\n")
    settings = load_settings(
        file,
        env={"PYEINO_LLM__EXTRA__TOP_K": "5", "PYEINO_LLM__EXTRA__MODE": "fast"},
        overrides={"llm.extra.flag": "true"},
    )
    assert settings.llm.extra == {"top_k": 5, "seed": 2, "mode": "fast", "flag": True}


def test_the_default_of_a_mapping_is_not_shared() -> None:
    load_settings(env={"PYEINO_LLM__EXTRA__A": "1"})
    assert load_settings(env={}).llm.extra == {}


def test_g15_a_key_is_asked_only_of_providers_that_need_one() -> None:
    openai = {"llm.provider": "openai", "llm.model": "m"}
    with pytest.raises(SettingsError, match="LLM API key is required"):
        load_settings(env={}, overrides=openai)
    own = {**openai, "llm.base_url": "http://127.0.0.1:11434/v1"}
    assert load_settings(env={}, overrides=own).llm.api_key == ""
    with pytest.raises(SettingsError, match="needs the name of one of its models"):
        load_settings(env={}, overrides={"llm.provider": "openai", "llm.api_key": "k"})
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides={"llm.provider": "opnai", "llm.api_key": "k"})
    assert set(_problems(error)) == {"llm.provider"}  # and nothing that only follows from it


def test_what_only_the_other_provider_uses_is_refused() -> None:
    openai = {"llm.provider": "openai", "llm.model": "m", "llm.api_key": "k"}
    with pytest.raises(SettingsError, match=r"llm\.local\.slots = 2 .* has no use for it"):
        load_settings(env={}, overrides={**openai, "llm.local.slots": "2"})
    with pytest.raises(SettingsError, match="never repeated"):
        load_settings(env={}, overrides={"llm.retry_count": "0"})
    with pytest.raises(SettingsError, match="At least 16384, or fewer slots"):
        load_settings(env={}, overrides={"llm.local.slots": "64"})
    with pytest.raises(SettingsError, match="http:// or https://"):
        load_settings(env={}, overrides={**openai, "llm.base_url": "localhost:11434"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_a_public_host_without_auth_is_refused_unless_named(host: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.allow_public_without_auth: true"):
        load_settings(env={}, overrides={"server.host": host})
    allowed = {"server.host": host, "server.allow_public_without_auth": "true"}
    assert load_settings(env={}, overrides=allowed).server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_free(host: str) -> None:
    assert load_settings(env={}, overrides={"server.host": host}).server.host == host


def test_production_refuses_missing_auth() -> None:
    with pytest.raises(SettingsError, match="production needs auth"):
        load_settings(env={"ENV": "production"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1d", 86400),
        ("7", 7),
        (" 0.5 ", 0.5),
        (12, 12),
        (1.5, 1.5),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5x", "-", "1:30", "inf", "nan", True, None, [], "5 m s"]
)
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.dictionaries(st.sampled_from(sorted(all_keys())), st.text(max_size=12), max_size=4))
def test_any_values_give_settings_or_problems_and_nothing_else(values: dict[str, str]) -> None:
    try:
        settings = load_settings(env={}, overrides=values)
    except SettingsError as error:
        assert error.problems
        assert all(problem.remedy and problem.origin for problem in error.problems)
    else:
        assert all(settings.origins[path] == f"--set {path}" for path in values)


@given(st.text(min_size=20, max_size=40, alphabet="abcdefghijklmnop0123456789"))
def test_no_secret_stands_in_any_message(secret: str) -> None:
    secrets = {key.path: secret for key in all_keys().values() if key.is_secret}
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides=secrets)
    assert secret not in str(error.value)


def test_no_secret_stands_in_the_repr_of_settings() -> None:
    settings = load_settings(
        env={},
        overrides={
            "llm.provider": "openai",
            "llm.model": "m",
            "llm.api_key": "very-secret-key",
        },
    )
    assert "very-secret-key" not in repr(settings)
    assert "model='m'" in repr(settings)


def test_keys_say_what_they_expect() -> None:
    keys: dict[str, Key] = all_keys()
    assert keys["logging.level"].expected() == "one of debug, info, warn, error, fatal"
    assert keys["server.drain_delay"].expected().endswith("or null")
    assert keys["llm.extra"].expected() == "a mapping"


def test_retrieval_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(
            env={},
            overrides={
                "rag.retrieval.vector_weight": "0",
                "rag.retrieval.keyword_weight": "0",
                "rag.embedding.model": "e",
                "rag.embedding.dimension": "512",
            },
        )
    assert set(_problems(error)) == {
        "rag.retrieval.vector_weight",
        "rag.embedding.model",
        "rag.embedding.dimension",
    }
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides={"rag.embedding.provider": "openai"})
    assert set(_problems(error)) == {"rag.embedding.model", "rag.embedding.api_key"}


def test_the_dimension_of_the_local_embedder_is_the_one_that_settings_know() -> None:
    from pyeino.integrations.onnx import MiniLMEmbedder
    from pyeino.wiring._tree import LOCAL_DIMENSION

    assert MiniLMEmbedder.dimension == LOCAL_DIMENSION


def test_passages_are_where_the_sessions_are() -> None:
    postgres = {"database.url": "postgres://u:p@h/d"}
    assert load_settings(env={}, overrides=postgres).rag.vector_store.provider == "database"
    load_settings(env={}, overrides={"rag.vector_store.provider": "sqlite"})
    with pytest.raises(SettingsError, match="passages are kept in the database of the sessions"):
        load_settings(env={}, overrides={**postgres, "rag.vector_store.provider": "sqlite"})
