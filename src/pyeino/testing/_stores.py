"""What every store of sessions and messages has to pass.

Run each check against fresh scopes of your store, with pytest for example:

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check, database):
        await check(lambda tenant: database.scope(tenant=tenant))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from pyeino.errors import AppError
from pyeino.stores import (
    MessageRepository,
    MessageStatus,
    MessageUsage,
    NewMessage,
    SessionRepository,
    StoredMessage,
    TurnOutcome,
)
from pyeino.testing._expect import expect, expect_equal, expect_error


class StoreScope(Protocol):
    """The repositories of one tenant."""

    @property
    def sessions(self) -> SessionRepository:
        """The tenant's sessions."""
        ...

    @property
    def messages(self) -> MessageRepository:
        """The tenant's messages."""
        ...


ScopeOf = Callable[[str], StoreScope]
"""Gives the scope of a tenant; scopes of the same name see the same rows."""

StoreCheck = Callable[[ScopeOf], Awaitable[None]]

_COMPLETED: Final = TurnOutcome(
    status=MessageStatus.COMPLETED,
    content="answer",
    finish_reason="stop",
    usage=MessageUsage(prompt_tokens=3, completion_tokens=4, total_tokens=7),
    metadata={"chain": "plain", "nested": {"numbers": [1, 2.5, None]}},
)


async def _turn(
    scope: StoreScope, answer_id: str, *, session_id: str = "s", user_id: str = "ann"
) -> tuple[StoredMessage, ...]:
    question = NewMessage(id=f"q-{answer_id}", role="user", content=f"question {answer_id}")
    return await scope.messages.begin_turn(
        session_id, user_id=user_id, messages=[question], answer_id=answer_id
    )


async def check_session_round_trip(scope_of: ScopeOf) -> None:
    """What was created is what is read; times are aware; ids are taken once."""
    sessions = scope_of("t").sessions
    made = await sessions.create("s", user_id="ann", title="Grüße 🌍")
    expect_equal(await sessions.get("s", user_id="ann"), made, "get returns what create made")
    expect_equal(made.title, "Grüße 🌍", "text is kept exactly")
    expect_equal(made.created_at.utcoffset(), timedelta(0), "times are aware and in UTC")
    error = await expect_error(
        sessions.create("s", user_id="ann"), "SESSION_EXISTS", "an id is taken once"
    )
    expect_equal(error.http_status, 409, "a taken id is a conflict")


async def check_session_ensure(scope_of: ScopeOf) -> None:
    """ensure makes a session once and leaves it alone afterwards."""
    sessions = scope_of("t").sessions
    made = await sessions.ensure("s", user_id="ann", title="first")
    again = await sessions.ensure("s", user_id="ann", title="second")
    expect_equal(again, made, "ensure does not change what is there")
    both = await asyncio.gather(*(sessions.ensure("x", user_id="ann") for _ in range(8)))
    expect_equal(len(set(map(repr, both))), 1, "ensure side by side makes one session")


async def check_session_update(scope_of: ScopeOf) -> None:
    """update sets what is given and nothing else."""
    sessions = scope_of("t").sessions
    made = await sessions.create("s", user_id="ann", title="old")
    await sessions.update("s", user_id="ann", metadata={"pinned": True})
    changed = await sessions.update("s", user_id="ann", title="new")
    expect_equal(changed.title, "new", "the title is set")
    expect_equal(changed.metadata, {"pinned": True}, "metadata stays when it is not given")
    expect_equal(changed.created_at, made.created_at, "the time of creation never changes")
    expect(changed.updated_at >= made.updated_at, "updated_at does not go back")
    expect_equal(await sessions.get("s", user_id="ann"), changed, "update returns what is stored")


async def check_foreign_is_unknown(scope_of: ScopeOf) -> None:
    """A session of another user or tenant answers exactly as one that never was."""
    scope, other = scope_of("t"), scope_of("other")
    await scope.sessions.create("s", user_id="ann")
    await _turn(scope, "a1")
    expected = (await _session_error(scope, "never", "ann")).to_dict()
    for foreign_scope, user in ((scope, "bob"), (other, "ann")):
        error = await _session_error(foreign_scope, "s", user)
        expect_equal(error.to_dict(), expected, "foreign and unknown sessions answer alike")
        messages, sessions = foreign_scope.messages, foreign_scope.sessions
        for call in (
            sessions.update("s", user_id=user, title="mine"),
            sessions.delete("s", user_id=user),
            messages.list("s", user_id=user),
            messages.history("s", user_id=user, limit=5),
            messages.begin_turn("s", user_id=user, messages=[], answer_id="x"),
        ):
            error = await expect_error(call, "SESSION_NOT_FOUND", "a foreign session is unknown")
            expect_equal(error.to_dict(), expected, "foreign and unknown sessions answer alike")
        await expect_error(
            messages.get("a1", user_id=user), "MESSAGE_NOT_FOUND", "a foreign message is unknown"
        )
        await expect_error(
            messages.finish_turn("a1", user_id=user, outcome=_COMPLETED),
            "MESSAGE_NOT_FOUND",
            "a foreign turn cannot be finished",
        )
        page = await sessions.list(user_id=user)
        expect_equal(page.items, (), "lists hold one's own sessions only")
    expect_equal((await scope.messages.get("a1", user_id="ann")).content, "", "nothing changed")


async def _session_error(scope: StoreScope, session_id: str, user_id: str) -> AppError:
    return await expect_error(
        scope.sessions.get(session_id, user_id=user_id), "SESSION_NOT_FOUND", "unknown is 404"
    )


async def check_same_id_for_two_users(scope_of: ScopeOf) -> None:
    """Users and tenants may use the same session id without meeting each other."""
    scope, other = scope_of("t"), scope_of("other")
    for index, (where, user) in enumerate(((scope, "ann"), (scope, "bob"), (other, "ann"))):
        await where.sessions.ensure("s", user_id=user, title=f"{index}")
        await _turn(where, f"a{index}", user_id=user)
    await scope.sessions.delete("s", user_id="ann")
    for index, (where, user) in ((1, (scope, "bob")), (2, (other, "ann"))):
        found = await where.messages.list("s", user_id=user)
        expect_equal([row.id for row in found.items], [f"q-a{index}", f"a{index}"], "kept apart")
    await _turn_ids_per_tenant(scope, other)


async def _turn_ids_per_tenant(scope: StoreScope, other: StoreScope) -> None:
    await _turn(scope, "same", user_id="bob")
    await _turn(other, "same")
    error = await expect_error(
        _turn(scope, "same", user_id="bob"), "MESSAGE_EXISTS", "ids are unique in a tenant"
    )
    expect_equal(error.http_status, 409, "a taken message id is a conflict")


async def check_turn_life(scope_of: ScopeOf) -> None:
    """A turn begins as pending, all rows at once, and ends once."""
    scope = scope_of("t")
    messages = scope.messages
    await scope.sessions.create("s", user_id="ann")
    question, answer = await _turn(scope, "a1")
    expect_equal((question.position, answer.position), (1, 2), "positions count from 1")
    expect_equal((question.content, answer.content), ("question a1", ""), "the answer is empty")
    for row in (question, answer):
        expect_equal(row.status, MessageStatus.PENDING, "a turn begins as pending")
        expect_equal(row.turn_id, "a1", "all rows name their turn")
        expect_equal(await messages.get(row.id, user_id="ann"), row, "get returns what was stored")
    done = await messages.finish_turn("a1", user_id="ann", outcome=_COMPLETED)
    expect_equal(done, True, "the first outcome counts")
    late = TurnOutcome(status=MessageStatus.FAILED, error_code="LATE")
    again = await messages.finish_turn("a1", user_id="ann", outcome=late)
    expect_equal(again, False, "a second outcome is refused")
    question, answer = (await messages.list("s", user_id="ann")).items
    expect_equal(question.status, MessageStatus.COMPLETED, "the question shares the outcome")
    expect_equal(question.content, "question a1", "the question keeps its text")
    found = (answer.status, answer.content, answer.finish_reason, answer.error_code)
    expect_equal(found, (MessageStatus.COMPLETED, "answer", "stop", ""), "the outcome is stored")
    expect_equal((answer.usage, answer.metadata), (_COMPLETED.usage, _COMPLETED.metadata), "whole")
    await expect_error(
        messages.finish_turn("q-a1", user_id="ann", outcome=_COMPLETED),
        "MESSAGE_NOT_FOUND",
        "a turn is finished under the id of its answer",
    )


async def check_turn_is_whole(scope_of: ScopeOf) -> None:
    """A turn that cannot be stored whole leaves nothing behind."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    await _turn(scope, "a1")
    new = [NewMessage(id="fresh", role="user", content="x"), NewMessage(id="a1", role="user")]
    for messages in (new, [new[0], new[0]]):
        await expect_error(
            scope.messages.begin_turn("s", user_id="ann", messages=messages, answer_id="a2"),
            "MESSAGE_EXISTS",
            "ids are unique",
        )
    page = await scope.messages.list("s", user_id="ann")
    expect_equal([row.id for row in page.items], ["q-a1", "a1"], "nothing of the turn was stored")
    await expect_error(
        scope.messages.get("fresh", user_id="ann"), "MESSAGE_NOT_FOUND", "nothing was stored"
    )


async def check_turns_side_by_side(scope_of: ScopeOf) -> None:
    """Turns stored at the same time keep their rows together, without a gap in positions."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    await asyncio.gather(*(_turn(scope, f"a{number}") for number in range(20)))
    page = await scope.messages.list("s", user_id="ann", limit=100)
    expect_equal([row.position for row in page.items], list(range(1, 41)), "no gap, no double")
    for question, answer in zip(page.items[::2], page.items[1::2], strict=True):
        expect_equal(question.id, f"q-{answer.id}", "a turn's rows follow each other")
    outcomes = await asyncio.gather(
        *(scope.messages.finish_turn("a3", user_id="ann", outcome=_COMPLETED) for _ in range(8))
    )
    expect_equal(sum(outcomes), 1, "exactly one of many outcomes counts")


async def check_history(scope_of: ScopeOf) -> None:
    """history gives what a model may see again, and nothing else."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    outcomes = {
        "done": _COMPLETED,
        "failed": TurnOutcome(status=MessageStatus.FAILED, content="half", error_code="X"),
        "stopped": TurnOutcome(status=MessageStatus.CANCELLED, content="half"),
        "silent": TurnOutcome(status=MessageStatus.CANCELLED),
        "last": _COMPLETED,
    }
    for answer_id, outcome in outcomes.items():
        await _turn(scope, answer_id)
        await scope.messages.finish_turn(answer_id, user_id="ann", outcome=outcome)
    await _turn(scope, "pending")
    history = await scope.messages.history("s", user_id="ann", limit=100)
    expected = ["q-done", "done", "q-stopped", "stopped", "q-last", "last"]
    expect_equal([row.id for row in history], expected, "what was answered, oldest first")
    cut = await scope.messages.history("s", user_id="ann", limit=3)
    expect_equal([row.id for row in cut], expected[-3:], "the newest are kept by the limit")


async def check_message_pages(scope_of: ScopeOf) -> None:
    """A walk over the pages meets every message once, in both directions."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    for number in range(5):
        await _turn(scope, f"a{number}")
    for newest_first in (False, True):
        for limit in (1, 3, 5, 10, 11):
            seen: list[int] = []
            cursor: str | None = None
            while True:
                page = await scope.messages.list(
                    "s", user_id="ann", limit=limit, cursor=cursor, newest_first=newest_first
                )
                seen.extend(row.position for row in page.items)
                cursor = page.cursor
                if cursor is None:
                    break
            expected = list(range(1, 11))
            expect_equal(seen, expected[::-1] if newest_first else expected, "each exactly once")


async def check_session_pages(scope_of: ScopeOf) -> None:
    """Sessions come newest first; what is added while walking disturbs nothing."""
    sessions = scope_of("t").sessions
    for number in range(7):
        await sessions.create(f"s{number}", user_id="ann")
    everything = await sessions.list(user_id="ann", limit=100)
    ids = [session.id for session in everything.items]
    expect_equal(sorted(ids), [f"s{number}" for number in range(7)], "all of them")
    made = [session.created_at for session in everything.items]
    expect_equal(made, sorted(made, reverse=True), "newest first")
    first = await sessions.list(user_id="ann", limit=3)
    await sessions.create("later", user_id="ann")
    second = await sessions.list(user_id="ann", limit=3, cursor=first.cursor)
    third = await sessions.list(user_id="ann", limit=3, cursor=second.cursor)
    walked = [session.id for page in (first, second, third) for session in page.items]
    expect_equal(walked, ids, "each session that was there is met once")
    expect_equal(third.cursor, None, "the last page says that it is the last")


async def check_bad_arguments(scope_of: ScopeOf) -> None:
    """Limits and cursors that make no sense are refused with the field's name."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    for limit in (0, -1, 501):
        for call in (
            scope.sessions.list(user_id="ann", limit=limit),
            scope.messages.list("s", user_id="ann", limit=limit),
            scope.messages.history("s", user_id="ann", limit=limit),
        ):
            error = await expect_error(call, "INVALID_REQUEST", "the limit is bounded")
            expect_equal(error.metadata["field"], "limit", "the error names the field")
    for cursor in ("x", "äöü", "!!!!", "WzEs", "Wy0xLCIiXQ", "bnVsbA"):
        for call in (
            scope.sessions.list(user_id="ann", cursor=cursor),
            scope.messages.list("s", user_id="ann", cursor=cursor),
        ):
            error = await expect_error(call, "INVALID_REQUEST", "a forged cursor is refused")
            expect_equal(error.metadata["field"], "cursor", "the error names the field")


async def check_delete(scope_of: ScopeOf) -> None:
    """A deleted session takes its messages with it, and its ids are free again."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    await _turn(scope, "a1")
    await scope.sessions.delete("s", user_id="ann")
    await expect_error(
        scope.sessions.delete("s", user_id="ann"), "SESSION_NOT_FOUND", "deleted is unknown"
    )
    await expect_error(
        scope.messages.finish_turn("a1", user_id="ann", outcome=_COMPLETED),
        "MESSAGE_NOT_FOUND",
        "a deleted turn cannot be finished",
    )
    await scope.sessions.create("s", user_id="ann")
    page = await scope.messages.list("s", user_id="ann")
    expect_equal(page.items, (), "a new session of the same id is empty")
    await _turn(scope, "a1")


async def check_fail_pending(scope_of: ScopeOf) -> None:
    """Turns whose process died are ended as failed; the others stay as they are."""
    scope, other = scope_of("t"), scope_of("other")
    for where in (scope, other):
        await where.sessions.create("s", user_id="ann")
        await _turn(where, "a1")
    await _turn(scope, "a2")
    await scope.messages.finish_turn("a2", user_id="ann", outcome=_COMPLETED)
    past = datetime.now(UTC) - timedelta(hours=1)
    count = await scope.messages.fail_pending(before=past, error_code="LOST")
    expect_equal(count, 0, "a turn that is young enough goes on")
    future = datetime.now(UTC) + timedelta(hours=1)
    count = await scope.messages.fail_pending(before=future, error_code="LOST")
    expect_equal(count, 1, "what is pending for too long is ended")
    lost = await scope.messages.get("a1", user_id="ann")
    expect_equal((lost.status, lost.error_code), (MessageStatus.FAILED, "LOST"), "as failed")
    question = await scope.messages.get("q-a1", user_id="ann")
    expect_equal((question.status, question.error_code), (MessageStatus.FAILED, ""), "as failed")
    kept = await scope.messages.get("a2", user_id="ann")
    expect_equal(kept.status, MessageStatus.COMPLETED, "a finished turn stays as it is")
    kept = await other.messages.get("a1", user_id="ann")
    expect_equal(kept.status, MessageStatus.PENDING, "another tenant's turn stays as it is")


async def check_any_text_is_kept(scope_of: ScopeOf) -> None:
    """Text comes back as it was: control characters, NUL among them, and all of Unicode."""
    scope = scope_of("t")
    text = "".join(map(chr, range(0x20))) + "\x7f\u2028 \\ ' % $1 \U0010ffff\x10e\x100"
    await scope.sessions.create("s", user_id="ann", title=text)
    expect_equal((await scope.sessions.get("s", user_id="ann")).title, text, "in a session")
    asked = [NewMessage(id="q", role="user", content=text)]
    await scope.messages.begin_turn("s", user_id="ann", messages=asked, answer_id="a")
    expect_equal((await scope.messages.get("q", user_id="ann")).content, text, "in a message")


async def check_records_are_apart(scope_of: ScopeOf) -> None:
    """Changing a mapping after it was given to the store does not change the store."""
    scope = scope_of("t")
    await scope.sessions.create("s", user_id="ann")
    given = {"list": [1]}
    await scope.messages.begin_turn(
        "s",
        user_id="ann",
        messages=[NewMessage(id="q", role="user", metadata=given)],
        answer_id="a",
    )
    given["list"].append(2)
    found = await scope.messages.get("q", user_id="ann")
    expect_equal(found.metadata, {"list": [1]}, "the store keeps its own copy")


STORE_CHECKS: Final[tuple[StoreCheck, ...]] = (
    check_session_round_trip,
    check_session_ensure,
    check_session_update,
    check_foreign_is_unknown,
    check_same_id_for_two_users,
    check_turn_life,
    check_turn_is_whole,
    check_turns_side_by_side,
    check_history,
    check_message_pages,
    check_session_pages,
    check_bad_arguments,
    check_delete,
    check_fail_pending,
    check_any_text_is_kept,
    check_records_are_apart,
)
"""Every check; each wants a store that is empty."""
