"""Settings of who may reach and use the server: checks with remedies, and what is built of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyeino.security import new_secret
from pyeino.wiring import SettingsError, build, load_settings, setting_rows
from pyeino.wiring._check_access import is_placeholder

SECRET = "g7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
AUTH = {"auth.enabled": "true", "auth.jwt_secret": SECRET}


def _refused(**overrides: str) -> dict[str, tuple[str, str]]:
    """The problems of these settings (dots as __): key → message, remedy."""
    with pytest.raises(SettingsError) as error:
        load_settings(
            env={}, overrides={key.replace("__", "."): value for key, value in overrides.items()}
        )
    return {one.key: (one.message, one.remedy) for one in error.value.problems}


def test_auth_without_a_secret_says_how_to_make_one() -> None:
    message, remedy = _refused(auth__enabled="true")["auth.jwt_secret"]
    assert "need a secret" in message
    assert "pyeino keys secret" in remedy
    assert "PYEINO_AUTH__JWT_SECRET_FILE" in remedy


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("short", "at least 32 bytes"),
        ("x" * 31, "at least 32 bytes"),
        ("changeme" * 5, "placeholder"),
        ("Change-Me-Change-Me-Change-Me-1234", "placeholder"),
        ("your-secret-key-here-0123456789abcd", "placeholder"),
        ("this_is_my_super_secret_jwt_key_42!", "placeholder"),
        ("a" * 40, "placeholder"),
        ("abababababababababababababababababab", "placeholder"),
    ],
)
@pytest.mark.parametrize("key", ["auth.jwt_secret", "auth.bootstrap_key"])
def test_secrets_that_anybody_guesses_are_refused_and_not_shown(
    key: str, secret: str, words: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides={**AUTH, key: secret})
    (problem,) = error.value.problems
    assert problem.key == key
    assert words in problem.message
    assert secret not in str(error.value)


def test_a_fresh_secret_is_no_placeholder() -> None:
    assert not any(is_placeholder(new_secret()) for _ in range(500))


def test_a_metrics_token_is_checked_too() -> None:
    assert "at least 16 bytes" in _refused(metrics__token="short")["metrics.token"][0]
    assert "placeholder" in _refused(metrics__token="changemechangeme")["metrics.token"][0]


def test_a_secret_that_does_nothing_is_refused() -> None:
    message, remedy = _refused(auth__jwt_secret=SECRET)["auth.jwt_secret"]
    assert message == "nobody is asked for credentials"
    assert "auth.enabled: true" in remedy


def test_secrets_may_stand_in_files_and_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    loaded = load_settings(
        env={"PYEINO_AUTH__ENABLED": "true", "PYEINO_AUTH__JWT_SECRET_FILE": str(file)},
        overrides={"auth.previous_jwt_secrets": f"{SECRET}1,{SECRET}2"},
    )
    assert loaded.auth.jwt_secret == SECRET
    assert SECRET not in repr(loaded)
    assert not any(SECRET in row.value for row in setting_rows(loaded))


def test_the_default_host_follows_auth_and_a_named_one_stays(tmp_path: Path) -> None:
    assert load_settings(env={}).server.host == "127.0.0.1"
    assert load_settings(env={}, overrides=AUTH).server.host == "0.0.0.0"
    named = load_settings(env={}, overrides={**AUTH, "server.host": "127.0.0.1"})
    assert named.server.host == "127.0.0.1"


def test_production_wants_auth_and_passwords_of_ones_own() -> None:
    production = {"ENV": "production"}
    assert load_settings(env=production, overrides=AUTH).environment == "production"
    for url in ("postgres://postgres:postgres@db/x", "postgres://ann:change-me@db/x"):
        with pytest.raises(SettingsError, match="its password is a placeholder") as error:
            load_settings(env={**production, "DATABASE_URL": url}, overrides=AUTH)
        assert [one.key for one in error.value.problems] == ["database.url"]
        assert load_settings(env={"DATABASE_URL": url}).uses_postgres
    with pytest.raises(SettingsError, match="its password is a placeholder"):
        load_settings(env={**production, "REDIS_URL": "redis://:redis@r/0"}, overrides=AUTH)


@pytest.mark.parametrize("text", ["nonsense", "0.0.0.0/0", "::/0", "10.0.0.0/33"])
def test_proxies_are_addresses_and_never_everybody(text: str) -> None:
    assert "server.trusted_proxies" in _refused(server__trusted_proxies=text)


@pytest.mark.parametrize(
    "text",
    ["chat.example", "https://chat.example/page", "ftp://chat.example", "https://a@b", "https://"],
)
def test_an_origin_is_scheme_and_host(text: str) -> None:
    assert "server.cors_origins" in _refused(server__cors_origins=text)


def test_any_origin_needs_auth() -> None:
    message, _ = _refused(server__cors_origins="*")["server.cors_origins"]
    assert "any page" in message
    loaded = load_settings(env={}, overrides={**AUTH, "server.cors_origins": "*"})
    assert loaded.server.cors_origins == ("*",)


def test_a_burst_belongs_to_a_limit_and_a_refresh_lasts_longer() -> None:
    assert "limits.burst" in _refused(limits__burst="3")
    refused = _refused(
        auth__enabled="true",
        auth__jwt_secret=SECRET,
        auth__token_expiry="2h",
        auth__refresh_expiry="1h",
    )
    assert "auth.refresh_expiry" in refused


async def test_what_is_built_asks_for_credentials(tmp_path: Path) -> None:
    from pyeino.compose import Chain
    from pyeino.schema import Message
    from pyeino.wiring import as_chat_chain

    chain = as_chat_chain(Chain(list[Message]).then(lambda _: "ok").compile(), name="ok")
    own = {"database.url": f"sqlite:///{tmp_path}/p.db", "rag.embedding.provider": "none"}
    bootstrap = {"auth.bootstrap_key": SECRET}
    chosen = load_settings(env={}, overrides={**own, **AUTH, **bootstrap})
    async with build(chosen, chat_chain=chain) as application:
        assert application.authenticator is not None
        principal = await application.authenticator.authenticate(api_key=SECRET)
        assert "admin" in principal.roles
        pair = await application.authenticator.issue(principal)
        assert pair.expires_in == 900
    async with build(load_settings(env={}, overrides=own), chat_chain=chain) as application:
        assert application.authenticator is None


def test_headers_for_the_collector_are_never_shown_whatever_they_hold() -> None:
    loaded = load_settings(
        env={},
        overrides={
            "tracing.headers.x_team": "hunter2-hunter2",
            "tracing.headers.referer": "https://collector.example",
        },
    )
    assert loaded.tracing.headers["x_team"] == "hunter2-hunter2"
    assert not any("hunter2" in row.value for row in setting_rows(loaded))


@pytest.mark.parametrize("sign", ["*", "!", "!!python/object:"])
def test_a_secret_that_yaml_takes_for_a_name_is_not_told(tmp_path: Path, sign: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"auth:\n  jwt_secret: {sign}hunter2-hunter2\n")
    with pytest.raises(SettingsError, match="not valid YAML") as error:
        load_settings(file, env={})
    assert "hunter2" not in str(error.value)
