"""Every door of a real server with the real local model: one answer, one history (S03)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import openai
import pytest
from service_kit import Served, Start
from websockets.asyncio.client import connect

from pyeino.wire import SSEDecoder

QUESTION = "Name one colour."
USER = "local"


@pytest.fixture(scope="module")
def greedy(start: Start) -> Served:
    """A server whose model always says the same, and not much."""
    return start(PYEINO_LLM__MAX_TOKENS="12", PYEINO_LLM__TEMPERATURE="0")


def post(served: Served, path: str, body: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        served.url + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=100) as answer:
        found: bytes = answer.read()
    return found


def ask(session_id: str) -> dict[str, Any]:
    options = {"history": "session"}
    return {"user_id": USER, "session_id": session_id, "message": QUESTION, "options": options}


def by_rest(served: Served, session_id: str) -> str:
    return str(json.loads(post(served, "/api/v1/chat", ask(session_id)))["content"])


def by_several_turns(served: Served, session_id: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    body = {"user_id": USER, "session_id": session_id, "messages": messages}
    return str(json.loads(post(served, "/api/v1/chat/multi-turn", body))["content"])


def by_events(served: Served, session_id: str) -> str:
    events = SSEDecoder().feed(post(served, "/api/v1/chat/stream", ask(session_id)))
    assert [one.event for one in events if one.event != "message"] == ["done"]
    return "".join(json.loads(one.data).get("delta", "") for one in events)


def by_socket(served: Served, session_id: str) -> str:
    async def talk() -> str:
        url = served.url.replace("http", "ws", 1) + "/api/v1/ws"
        text = ""
        async with asyncio.timeout(100), connect(url, proxy=None) as socket:
            await socket.send(json.dumps({"type": "chat", "request_id": "r", **ask(session_id)}))
            while (frame := json.loads(await socket.recv()))["type"] == "chunk":
                text += frame["delta"]
        assert frame["type"] == "done"
        return text

    return asyncio.run(talk())


def by_command(served: Served, session_id: str) -> str:
    command = [sys.executable, "-m", "pyeino", "chat", "--url", served.url]
    done = subprocess.run(
        [*command, "--session", session_id, QUESTION],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout.removesuffix("\n")


def by_openai(served: Served, session_id: str) -> str:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": QUESTION}],
            metadata={"session_id": session_id},
        )
    return answer.choices[0].message.content or ""


DOORS: tuple[Callable[[Served, str], str], ...] = (
    by_rest,
    by_several_turns,
    by_events,
    by_socket,
    by_command,
    by_openai,
)


def rows(served: Served, session_id: str) -> list[dict[str, Any]]:
    path = f"/api/v1/sessions/{session_id}/messages?user_id={USER}&limit=500"
    page: dict[str, Any] = json.loads(served.read(path))
    return list(page["items"])


def test_the_same_question_gets_the_same_answer_by_every_door(greedy: Served) -> None:
    answers = {door.__name__: door(greedy, f"own-{door.__name__}") for door in DOORS}
    assert len({text.strip() for text in answers.values()}) == 1, answers
    for door in DOORS:
        question, answer = rows(greedy, f"own-{door.__name__}")
        assert question["content"] == QUESTION
        assert answer["content"].strip() == answers[door.__name__].strip()


def test_the_doors_share_one_history(greedy: Served) -> None:
    answers = [door(greedy, "shared") for door in DOORS]
    stored = rows(greedy, "shared")
    assert [row["role"] for row in stored] == ["user", "assistant"] * len(DOORS)
    assert {row["content"] for row in stored[::2]} == {QUESTION}
    assert [row["content"].strip() for row in stored[1::2]] == [one.strip() for one in answers]
    assert {row["status"] for row in stored} == {"completed"}
    assert [row["position"] for row in stored] == list(range(1, len(stored) + 1))
    # Each door has shown the model what was said through the others: the prompts grow.
    prompts = [row["token_usage"]["prompt_tokens"] for row in stored[1::2]]
    assert prompts == sorted(set(prompts))
    listed = json.loads(greedy.read(f"/api/v1/sessions?user_id={USER}"))["items"]
    assert [one["title"] for one in listed if one["session_id"] == "shared"] == [QUESTION]


def test_the_doors_have_the_same_limits(greedy: Served) -> None:
    long = {**ask("limits"), "message": "x" * 300_000}

    async def over_socket() -> dict[str, Any]:
        url = greedy.url.replace("http", "ws", 1) + "/api/v1/ws"
        async with asyncio.timeout(100), connect(url, proxy=None, max_size=None) as socket:
            await socket.send(json.dumps({"type": "chat", "request_id": "r", **long}))
            frame: dict[str, Any] = json.loads(await socket.recv())
            return frame

    frame = asyncio.run(over_socket())
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(greedy, "/api/v1/chat", long)
    with refused.value as answer:
        problem = json.loads(answer.read())
    assert frame["error"] == problem["error"]
    assert problem["error"]["metadata"]["field"] == "message"


def test_n3_socket_and_command_line_are_doors_like_rest(greedy: Served) -> None:
    doors = (by_rest, by_socket, by_command)
    answers = [door(greedy, f"n3-{door.__name__}").strip() for door in doors]
    assert len(set(answers)) == 1
    answers = [door(greedy, "n3") for door in doors]
    stored = rows(greedy, "n3")
    assert [row["content"].strip() for row in stored[::2]] == [QUESTION] * 3
    assert [row["content"].strip() for row in stored[1::2]] == [one.strip() for one in answers]


def test_n6_the_records_of_the_wire(greedy: Served) -> None:
    options = {
        "chain": "plain",
        "history": "none",
        "temperature": 0.0,
        "max_tokens": 5,
        "timeout": 60,
        "metadata": {"from": "n6"},
    }
    body = {"user_id": USER, "session_id": "n6", "message": QUESTION, "options": options}
    answer = json.loads(post(greedy, "/api/v1/chat", {**body, "context": {"town": "Oslo"}}))
    assert {"message_id", "content", "token_usage", "metadata", "process_time"} == answer.keys()
    usage = answer["token_usage"]
    assert usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] <= 5
    assert 0 < answer["process_time"] < 100, "seconds"

    events = SSEDecoder().feed(post(greedy, "/api/v1/chat/stream", body))
    chunks = [json.loads(event.data) for event in events if event.event == "message"]
    assert [chunk["seq"] for chunk in chunks] == list(range(len(chunks)))
    assert {chunk["message_id"] for chunk in chunks} == {chunks[0]["message_id"]}
    assert all(chunk.keys() == {"message_id", "seq", "delta"} for chunk in chunks[:-1])
    assert {"finish_reason", "token_usage", "metadata", "process_time"} <= chunks[-1].keys()

    several = {
        "user_id": USER,
        "messages": [
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": QUESTION},
        ],
        "options": options,
    }
    answer = json.loads(post(greedy, "/api/v1/chat/multi-turn", several))
    assert answer["metadata"]["session_id"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(greedy, "/api/v1/chat", {**body, "options": {"temprature": 0}})
    with refused.value:
        assert refused.value.code == 400
