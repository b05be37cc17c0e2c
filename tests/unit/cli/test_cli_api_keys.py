"""pyeino keys: made, listed and revoked in the configured database; the key is shown once."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from pathlib import Path

import pytest

from pyeino.cli import main
from pyeino.integrations.sql import PostgresDatabase, SqliteDatabase
from pyeino.security import api_key_matches, api_key_prefix
from pyeino.stores import ApiKey


@pytest.fixture(params=["sqlite", "postgres"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path}/keys.db"
    monkeypatch.setenv("DATABASE_URL", url)
    return url


async def _find(url: str, prefix: str) -> ApiKey | None:
    opened = (
        SqliteDatabase.open(url.removeprefix("sqlite:///"))
        if url.startswith("sqlite")
        else PostgresDatabase.open(url)
    )
    async with await opened as database:
        return await database.scope().api_keys.find_by_prefix(prefix)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_g126_a_key_is_shown_once_listed_without_it_and_revoked(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--user", "ann", "--role", "user", "--scope", "chat", "--expires", "90d"]
    assert main(["keys", "create", *words, "--name", "phone"]) == 0
    (plain,) = _lines(capsys)
    prefix = api_key_prefix(plain)
    assert prefix is not None

    kept = asyncio.run(_find(database, prefix))
    assert kept is not None
    assert api_key_matches(plain, kept.hash)
    assert plain not in str(kept.__struct_fields__)
    assert (kept.user_id, kept.name, kept.roles) == ("ann", "phone", ("user",))
    assert kept.scopes == ("chat",)
    assert kept.expires_at is not None
    assert (kept.expires_at - kept.created_at).days == 90

    assert main(["keys", "create", "--user", "bob", "--role", "admin"]) == 0
    (other,) = _lines(capsys)
    assert main(["keys", "list"]) == 0
    listed = _lines(capsys)
    assert len(listed) == 2
    assert "user=bob  roles=admin" in listed[0]
    assert all(word in listed[1] for word in (prefix, "user=ann", "scopes=chat", "valid"))
    for secret in (plain, other, kept.hash):
        assert secret.rpartition("_")[2] not in "\n".join(listed)

    assert main(["keys", "revoke", prefix]) == 0
    assert main(["keys", "revoke", prefix]) == 0
    assert main(["keys", "list"]) == 0
    assert "revoked=" in _lines(capsys)[1]
    kept = asyncio.run(_find(database, prefix))
    assert kept is not None
    assert kept.revoked_at is not None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["revoke", "nosuchprefix"], 1, "API_KEY_NOT_FOUND"),
        (["create", "--user", "ann", "--role", "king"], 1, "admin, metrics, user"),
        (["create", "--user", "ann", "--scope", "rule"], 1, "UNKNOWN_SCOPE"),
        (["create", "--user", "ann", "--expires", "soon"], 2, "--expires 90d"),
        (["create", "--user", "ann", "--expires", "0s"], 1, "more than 0"),
        (["create"], 2, "--user"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/keys.db")
    assert main(["keys", *words]) == code
    assert said in capsys.readouterr().err


def test_an_empty_list_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/keys.db")
    assert main(["keys", "list"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "pyeino keys create" in shown.err


def test_secrets_are_fresh_and_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["keys", "secret"]) == 0
    first, second = _lines(capsys)
    assert first != second
    assert len(b64decode(first, validate=True)) == 32
