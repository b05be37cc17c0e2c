"""Encrypted stores keep every promise of a store, and the disk does not hold a word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from postgres_kit import PostgresServer

from pyeino.errors import InternalError
from pyeino.integrations.encryption import EncryptedMessageRepository, EncryptedSessionRepository
from pyeino.integrations.memory import MemoryDatabase
from pyeino.integrations.sql import PostgresDatabase, SqliteDatabase
from pyeino.security import EncryptionService
from pyeino.stores import (
    MessageRepository,
    MessageStatus,
    NewMessage,
    SessionRepository,
    StoredMessage,
    TurnOutcome,
)
from pyeino.testing import STORE_CHECKS, StoreCheck, StoreScope

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
WORDS = "die geheime Antwort 42 🌍"


@dataclass(frozen=True)
class Scope:
    sessions: SessionRepository
    messages: MessageRepository


def sealed(
    scope: StoreScope,
    encryption: EncryptionService | None = None,
    *,
    tenant: str = "local",
    seal_new: bool = True,
) -> Scope:
    encryption = encryption or EncryptionService(key=OLD)
    return Scope(
        EncryptedSessionRepository(scope.sessions, encryption, tenant=tenant, seal_new=seal_new),
        EncryptedMessageRepository(scope.messages, encryption, tenant=tenant, seal_new=seal_new),
    )


@asynccontextmanager
async def _opened(kind: str, path: Path, url: str) -> AsyncIterator[Callable[[str], StoreScope]]:
    if kind == "memory":
        memory = MemoryDatabase()
        yield lambda tenant: memory.scope(tenant=tenant)
    elif kind == "postgres":
        async with await PostgresDatabase.open(url) as postgres:
            yield lambda tenant: postgres.scope(tenant=tenant)
    else:
        async with await SqliteDatabase.open(path / "pyeino.db") as database:
            yield lambda tenant: database.scope(tenant=tenant)


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
async def test_encrypted_stores_keep_the_promises_of_stores(
    check: StoreCheck, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    async with _opened(kind, tmp_path, url) as scope_of:
        await check(lambda tenant: sealed(scope_of(tenant), tenant=tenant))


async def _say(scope: StoreScope, answer_id: str = "a1") -> tuple[StoredMessage, ...]:
    await scope.sessions.ensure("s", user_id="ann", title=f"title {WORDS}")
    await scope.sessions.update("s", user_id="ann", metadata={"note": WORDS})
    question = NewMessage(
        id=f"q-{answer_id}", role="user", content=f"question {WORDS}", metadata={"brought": WORDS}
    )
    await scope.messages.begin_turn("s", user_id="ann", messages=[question], answer_id=answer_id)
    outcome = TurnOutcome(
        status=MessageStatus.COMPLETED,
        content=f"answer {WORDS}",
        metadata={"reasoning": WORDS, "tool_calls": [{"arguments": WORDS}]},
    )
    assert await scope.messages.finish_turn(answer_id, user_id="ann", outcome=outcome)
    return (await scope.messages.list("s", user_id="ann")).items


def _holds_plain_text(data: bytes) -> bool:
    return any(word in data for word in (b"geheime", b"Antwort 42", b"question", b"title d"))


async def test_g131_an_sqlite_file_does_not_hold_a_word(tmp_path: Path) -> None:
    for encrypted in (False, True):
        folder = tmp_path / str(encrypted)
        async with await SqliteDatabase.open(folder / "pyeino.db") as database:
            scope = database.scope()
            rows = await _say(sealed(scope) if encrypted else scope)
            assert [row.content for row in rows] == [f"question {WORDS}", f"answer {WORDS}"]
            files = [path.read_bytes() for path in folder.iterdir()]
        files += [path.read_bytes() for path in folder.iterdir()]
        # The plain database shows that the search would find it.
        assert any(map(_holds_plain_text, files)) is not encrypted


async def test_g131_the_tables_of_postgresql_do_not_hold_a_word(
    postgres_server: PostgresServer,
) -> None:
    for encrypted in (False, True):
        name = postgres_server.make_database()
        async with await PostgresDatabase.open(postgres_server.url(name)) as database:
            scope = database.scope()
            await _say(sealed(scope) if encrypted else scope)
        dump = "\n".join(
            postgres_server.sql("SELECT m FROM messages m; SELECT s FROM sessions s", database=name)
        )
        assert dump.count("q-a1") == 1
        assert _holds_plain_text(dump.encode()) is not encrypted


async def test_rows_of_before_are_read_beside_encrypted_ones() -> None:
    plain = MemoryDatabase().scope()
    before = await _say(plain)
    scope = sealed(plain)
    session = await scope.sessions.get("s", user_id="ann")
    assert (session.title, session.metadata) == (f"title {WORDS}", {"note": WORDS})
    after = await _say(scope, "a2")
    assert after[:2] == before
    assert [row.content for row in after[2:]] == [row.content for row in before]
    assert [row.metadata for row in after[2:]] == [row.metadata for row in before]
    assert len(await scope.messages.history("s", user_id="ann", limit=10)) == 4


async def test_g131_a_new_key_writes_and_the_old_one_still_reads() -> None:
    plain = MemoryDatabase().scope()
    await _say(sealed(plain))
    both = sealed(plain, EncryptionService(key=NEW, previous=[OLD]))
    rows = await _say(both, "a2")
    assert [row.content.split()[0] for row in rows] == ["question", "answer"] * 2
    newest = sealed(plain, EncryptionService(key=NEW))
    assert WORDS in (await newest.messages.get("a2", user_id="ann")).content
    with pytest.raises(InternalError, match="DECRYPTION_FAILED"):
        await newest.messages.get("a1", user_id="ann")


async def test_encryption_can_be_switched_off_again() -> None:
    plain = MemoryDatabase().scope()
    await _say(sealed(plain))
    reading = sealed(plain, seal_new=False)
    rows = await _say(reading, "a2")
    assert [row.content.split()[0] for row in rows] == ["question", "answer"] * 2
    assert (await plain.messages.get("a2", user_id="ann")).content == f"answer {WORDS}"
    assert (await plain.messages.get("a1", user_id="ann")).content.startswith("sealed:")


async def test_g131_a_row_moved_to_another_user_tenant_or_message_cannot_be_read(
    tmp_path: Path,
) -> None:
    """The guide has no associated data: whoever writes the table can show ann's words to bob."""
    import sqlite3

    path = tmp_path / "pyeino.db"
    async with await SqliteDatabase.open(path) as database:
        scope = sealed(database.scope())
        await _say(scope)
        await scope.sessions.create("s", user_id="bob")
        with sqlite3.connect(path) as thief:
            thief.execute("UPDATE messages SET user_id = 'bob' WHERE id = 'a1'")
            thief.execute(
                "UPDATE messages SET content = "
                "(SELECT content FROM messages WHERE id = 'a1') WHERE id = 'q-a1'"
            )
        thief.close()
        for message, user in (("a1", "bob"), ("q-a1", "ann")):
            with pytest.raises(InternalError, match="DECRYPTION_FAILED"):
                await scope.messages.get(message, user_id=user)
        stranger = sealed(database.scope(), tenant="other")
        with pytest.raises(InternalError, match="DECRYPTION_FAILED"):
            await stranger.messages.list("s", user_id="ann")


@pytest.mark.parametrize("text", ["sealed:", "sealed: yes", "sealed:AQID", "sealed:" + "A" * 80])
async def test_plain_text_that_begins_like_ciphertext_is_read_as_it_is(text: str) -> None:
    plain = MemoryDatabase().scope()
    await plain.sessions.create("s", user_id="ann", title=text)
    scope = sealed(plain)
    assert (await scope.sessions.get("s", user_id="ann")).title == text
    assert (await scope.sessions.update("s", user_id="ann", title=text)).title == text
    assert (await scope.sessions.get("s", user_id="ann")).title == text
    assert (await plain.sessions.get("s", user_id="ann")).title != text
