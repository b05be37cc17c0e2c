"""Sessions over HTTP: list, begin, rename, remove, read; and whose they are."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

ROOT = "/api/v1/sessions"


async def say(running: Any, session_id: str, message: str = "Hello", user_id: str = "local") -> Any:
    body = {"user_id": user_id, "session_id": session_id, "message": message}
    answer = await running.http.post("/api/v1/chat", json=body)
    assert answer.status_code == 200
    return answer.json()


async def test_a_chat_is_a_session_that_can_be_read(serve: Any) -> None:
    async with serve("Hel", "lo") as running:
        said = await say(running, "s1", "What is this?\nTell me.")
        [session] = (await running.http.get(ROOT)).json()["items"]
        assert set(session) == {"session_id", "user_id", "created_at", "updated_at", "title"}
        assert (session["session_id"], session["title"]) == ("s1", "What is this?")
        made = datetime.fromisoformat(session["created_at"])
        assert made.utcoffset() == timedelta(0)
        assert (await running.http.get(f"{ROOT}/s1")).json() == session
        page = (await running.http.get(f"{ROOT}/s1/messages")).json()
        assert set(page) == {"items"}  # no cursor at the end
        question, answer = page["items"]
        assert (question["role"], question["content"]) == ("user", "What is this?\nTell me.")
        assert (answer["role"], answer["content"], answer["status"]) == (
            "assistant",
            "Hello",
            "completed",
        )
        assert answer["message_id"] == answer["turn_id"] == question["turn_id"]
        assert answer["message_id"] == said["message_id"]
        assert answer["token_usage"] == said["token_usage"]
        assert answer["metadata"]["chain"] == "plain"
        assert "token_usage" not in question  # absent fields are left out


async def test_a_session_can_be_begun_renamed_and_removed(serve: Any) -> None:
    async with serve("ok") as running:
        made = await running.http.post(ROOT, json={"title": "Plans"})
        assert made.status_code == 201
        session_id = made.json()["session_id"]
        assert made.json()["user_id"] == "local"
        changed = await running.http.patch(
            f"{ROOT}/{session_id}", json={"title": "Other plans", "metadata": {"star": True}}
        )
        assert changed.status_code == 200
        assert (changed.json()["title"], changed.json()["metadata"]) == (
            "Other plans",
            {"star": True},
        )
        only = await running.http.patch(f"{ROOT}/{session_id}", json={"title": ""})
        assert "title" not in only.json()
        assert only.json()["metadata"] == {"star": True}
        await say(running, session_id)
        gone = await running.http.delete(f"{ROOT}/{session_id}")
        assert (gone.status_code, gone.content) == (204, b"")
        for path in (f"{ROOT}/{session_id}", f"{ROOT}/{session_id}/messages"):
            assert (await running.http.get(path)).status_code == 404
        assert (await running.http.get(ROOT)).json() == {"items": []}


async def test_an_id_that_is_taken_is_a_409(serve: Any) -> None:
    async with serve() as running:
        body = {"session_id": "mine"}
        assert (await running.http.post(ROOT, json=body)).status_code == 201
        again = await running.http.post(ROOT, json=body)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "SESSION_EXISTS")
        other = await running.http.post(ROOT, json={**body, "user_id": "ann"})
        assert other.status_code == 201


async def test_a_foreign_session_and_an_unknown_one_are_the_same_404(serve: Any) -> None:
    async with serve("ok") as running:
        await say(running, "hers", user_id="ann")
        calls = [
            ("GET", "", None),
            ("PATCH", "", {"title": "x"}),
            ("DELETE", "", None),
            ("GET", "/messages", None),
        ]
        for method, rest, body in calls:
            answers = []
            for session_id, user_id in (("hers", "bob"), ("never", "bob"), ("never", "ann")):
                path = f"{ROOT}/{session_id}{rest}?user_id={user_id}"
                answer = await running.http.request(method, path, json=body)
                assert answer.status_code == 404
                found = answer.json()
                found.pop("request_id")
                found.pop("instance")  # the caller's own path
                answers.append(found)
            assert answers[0] == answers[1] == answers[2]
            assert answers[0]["error"]["code"] == "SESSION_NOT_FOUND"
        still = await running.http.get(f"{ROOT}/hers/messages?user_id=ann")
        assert len(still.json()["items"]) == 2
        assert (await running.http.get(f"{ROOT}?user_id=bob")).json() == {"items": []}


async def test_pages_hold_each_session_once(serve: Any) -> None:
    async with serve() as running:
        for number in range(7):
            await running.http.post(ROOT, json={"session_id": f"s{number}"})
        seen: list[str] = []
        query = "?limit=3"
        while query:
            page = (await running.http.get(f"{ROOT}{query}")).json()
            assert len(page["items"]) <= 3
            seen += [one["session_id"] for one in page["items"]]
            query = f"?limit=3&cursor={page['cursor']}" if "cursor" in page else ""
        assert seen == [f"s{number}" for number in reversed(range(7))]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_messages_are_paged_from_either_end(serve: Any, order: str) -> None:
    async with serve("ok") as running:
        for number in range(3):
            await say(running, "s1", f"question {number}")
        seen: list[int] = []
        query = f"?limit=4&order={order}"
        while query:
            page = (await running.http.get(f"{ROOT}/s1/messages{query}")).json()
            seen += [one["position"] for one in page["items"]]
            rest = page.get("cursor")
            query = f"?limit=4&order={order}&cursor={rest}" if rest else ""
        expected = list(range(1, 7))
        assert seen == (expected if order == "asc" else expected[::-1])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=forged", "cursor"),
        ("user_id=", "user_id"),
        (f"user_id={'x' * 129}", "user_id"),
        ("user_id=a%00b", "user_id"),
        ("order=asc", "order"),  # sessions have one order
        ("odd=1", "odd"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named(serve: Any, query: str, field: str) -> None:
    async with serve() as running:
        answer = await running.http.get(f"{ROOT}?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]["metadata"]["field"] == field


@pytest.mark.parametrize("query", ["user_id=%ff", "&".join(f"a{i}=1" for i in range(65))])
async def test_a_query_that_cannot_be_read_is_a_400(serve: Any, query: str) -> None:
    async with serve() as running:
        answer = await running.http.get(f"{ROOT}?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_QUERY")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "x" * 401}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": 5}, "title"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"odd": 1}, "odd"),
    ],
)
async def test_a_change_that_does_not_fit_is_named(serve: Any, body: Any, field: str) -> None:
    async with serve() as running:
        await running.http.post(ROOT, json={"session_id": "s1"})
        answer = await running.http.patch(f"{ROOT}/s1", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["metadata"]["field"] == field


async def test_a_session_removed_while_it_is_answered_stays_removed(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, "b") as running:
        asking = asyncio.create_task(say(running, "s1"))
        await running.started()
        assert (await running.http.delete(f"{ROOT}/s1")).status_code == 204
        gate.set()
        assert (await asking)["content"] == "ab"  # the answer still comes
        assert (await running.http.get(ROOT)).json() == {"items": []}


async def test_a_store_that_does_not_answer_is_a_503(serve: Any, monkeypatch: Any) -> None:
    async with serve() as running:

        async def broken(**_: Any) -> Any:
            raise OSError("disk")

        monkeypatch.setattr(running.scope.sessions, "list", broken)
        answer = await running.http.get(ROOT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "HISTORY_UNAVAILABLE")
        assert "disk" not in answer.text


async def test_several_turns_are_answered_whole_and_streamed(serve: Any) -> None:
    async with serve("Hel", "lo") as running:
        await say(running, "s1", "first")
        body = {
            "user_id": "local",
            "session_id": "s1",
            "messages": [{"role": "user", "content": "second"}],
        }
        whole = await running.http.post("/api/v1/chat/multi-turn", json=body)
        assert whole.json()["content"] == "Hello"
        assert [one.content for one in running.model.calls[-1].messages][-3:] == [
            "first",
            "Hello",
            "second",
        ]
        streamed = await running.http.post("/api/v1/chat/multi-turn/stream", json=body)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.text.count("event: done") == 1
        page = (await running.http.get(f"{ROOT}/s1/messages")).json()
        assert [one["content"] for one in page["items"]] == [
            *("first", "Hello"),
            *("second", "Hello"),
            *("second", "Hello"),
        ]


@pytest.mark.parametrize("path", ["/api/v1/chat/multi-turn", "/api/v1/chat/multi-turn/stream"])
async def test_a_conversation_without_a_question_is_refused(serve: Any, path: str) -> None:
    async with serve() as running:
        body = {"user_id": "u", "messages": [{"role": "system", "content": "Be kind"}]}
        answer = await running.http.post(path, json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["metadata"]["field"] == "messages"


@pytest.mark.parametrize("session_id", ["a/b", "ü ✓", "a?b&c#d", "..", "50%25", "messages"])
async def test_ids_hold_what_can_be_printed(serve: Any, session_id: str) -> None:
    async with serve("ok") as running:
        await say(running, session_id)
        path = f"{ROOT}/{quote(session_id, safe='')}".replace("..", "%2E%2E")
        assert (await running.http.get(path)).json()["session_id"] == session_id
        assert len((await running.http.get(f"{path}/messages")).json()["items"]) == 2
        assert (await running.http.delete(path)).status_code == 204
