"""Encryption by settings: what a served conversation leaves on the disk, and wrong keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyeino.compose import Chain
from pyeino.security import new_secret
from pyeino.service import ChatOptions, ChatRequest
from pyeino.wiring import SettingsError, as_chat_chain, build, load_settings

_SEEN: list[int] = []


def _count(messages: list[object]) -> str:
    _SEEN.append(len(messages))
    return "the whispered answer"


_CHAIN = as_chat_chain(Chain(list).then(_count).compile(name="count"), name="app:count")
_REQUEST = ChatRequest(
    user_id="ann",
    message="a whispered question",
    session_id="s",
    options=ChatOptions(history="session"),
)


async def _ask(folder: Path, **database: str) -> int:
    """One question with the history of the session; how many messages the chain was given."""
    overrides = {f"database.{name}": value for name, value in database.items()}
    settings = load_settings(
        env={}, overrides={"database.url": f"sqlite:///{folder}/p.db", **overrides}
    )
    async with build(settings, chat_chain=_CHAIN) as application:
        await application.service.chat(_REQUEST)
        page = await application.service.sessions.list(user_id="ann")
        assert page.items[0].title == "a whispered question"
    return _SEEN[-1]


def _whispers(folder: Path) -> int:
    return sum(
        path.read_bytes().count(b"whispered") for path in folder.rglob("*") if path.is_file()
    )


async def test_g131_the_disk_holds_nothing_readable_of_a_served_conversation(
    tmp_path: Path,
) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    await _ask(plain)
    assert _whispers(plain)
    key, newer = new_secret(), new_secret()
    assert await _ask(sealed, encryption_key=key) == 1
    assert await _ask(sealed, encryption_key=newer, previous_encryption_keys=key) == 3
    assert not _whispers(sealed)
    assert await _ask(sealed, previous_encryption_keys=f"{key},{newer}") == 5
    assert _whispers(sealed)  # without a key of its own nothing new is encrypted


async def test_encryption_may_be_switched_on_later(tmp_path: Path) -> None:
    assert await _ask(tmp_path) == 1
    assert await _ask(tmp_path, encryption_key=new_secret()) == 3


@pytest.mark.parametrize("name", ["encryption_key", "previous_encryption_keys"])
@pytest.mark.parametrize(
    ("value", "found"), [("hunter2-is-no-base64", "no base64"), ("aHVudGVyMg==", "7 bytes")]
)
def test_a_wrong_key_is_refused_with_the_remedy(name: str, value: str, found: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides={f"database.{name}": value})
    (problem,) = error.value.problems
    assert problem.key == f"database.{name}"
    assert found in problem.message
    assert "pyeino keys secret" in problem.remedy
    assert value not in str(error.value)


def test_keys_are_never_shown() -> None:
    key = new_secret()
    settings = load_settings(
        env={},
        overrides={"database.encryption_key": key, "database.previous_encryption_keys": key},
    )
    assert key not in repr(settings)
