"""The official client against `pyeino serve` with the small local model.

What is asserted is form (ids, roles, finish reasons, counts), never sense: it is a 135 M model.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
import pytest
from service_kit import Served, Start

MODEL = "smollm2-135m-instruct"
RUNS = 'eino_queue_length{queue_name="runs"}'
WAITING = 'eino_queue_length{queue_name="model"}'
BUSY = 'eino_queue_length{queue_name="model_active"}'
LONG = "word " * 1_500
ENDLESS = "Count from one to one thousand, one number a line."


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    made = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
    async with made:
        yield made


def ask(text: str, **options: Any) -> dict[str, Any]:
    return {"model": "default", "messages": [{"role": "user", "content": text}], **options}


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ask("Say hello.", max_tokens=16))
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage is not None
    assert 0 < usage.completion_tokens <= 16
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_stream_with_usage(client: openai.OpenAI) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**ask("Say hello.", max_tokens=16, **options)))
    assert len({chunk.id for chunk in chunks}) == 1
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert sum(text not in (None, "") for text in texts) > 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in ("stop", "length")
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens <= 16


def test_the_same_seed_gives_the_same_answer_whole_and_streamed(client: openai.OpenAI) -> None:
    asked = ask("Name a colour.", max_tokens=12, temperature=0, seed=7)
    whole = client.chat.completions.create(**asked).choices[0].message.content
    streamed = client.chat.completions.create(**asked, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed if c.choices) == whole


def test_stop_ends_before_the_string(client: openai.OpenAI) -> None:
    asked = ask("Repeat exactly: one two three four five", max_tokens=40, temperature=0)
    whole = client.chat.completions.create(**asked).choices[0].message.content or ""
    word = re.findall(r"\w+", whole)[1]
    cut = client.chat.completions.create(**asked, stop=[word]).choices[0]
    assert cut.finish_reason == "stop"
    assert cut.message.content == whole[: whole.index(word)]


def test_schema_constrained_output(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "temp_c": {"type": "integer"}},
        "required": ["city", "temp_c"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
    asked = ask("The weather in Oslo as JSON.", max_tokens=80, temperature=0)
    answer = client.chat.completions.create(**asked, response_format=wanted)
    assert set(json.loads(answer.choices[0].message.content or "")) == {"city", "temp_c"}


def test_models(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} >= {"default", MODEL}
    assert client.models.retrieve("default").id == "default"


def test_bad_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**ask("x"), "model": "gpt-99"})
    assert caught.value.code == "model_not_found"
    assert "gpt-99" in str(caught.value)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-99")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"temperature": 9}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 3}, "n"),
        ({"stop": 5}, "stop"),
    ],
)
def test_bad_body_names_the_field(
    client: openai.OpenAI, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**ask("x"), **change})
    assert caught.value.param == field


def test_over_long_prompt_says_the_limit(client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**ask("word " * 4_000, stream=stream))
        assert caught.value.code == "context_length_exceeded"
        assert "2048" in str(caught.value)


async def test_eight_streams_on_four_slots(
    served: Served, async_client: openai.AsyncOpenAI
) -> None:
    async def one(number: int) -> tuple[str, str, str | None]:
        asked = ask(f"Write about the number {number}.", max_tokens=24, temperature=0)
        stream = await async_client.chat.completions.create(**asked, stream=True)
        ids, text, reason = set(), "", None
        async for chunk in stream:
            ids.add(chunk.id)
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
                reason = chunk.choices[0].finish_reason or reason
        (answer_id,) = ids
        return answer_id, text, reason

    answers = await asyncio.gather(*(one(number) for number in range(8)))
    assert len({answer_id for answer_id, _, _ in answers}) == 8
    assert all(text and reason in ("stop", "length") for _, text, reason in answers)
    # not mixed up: each conversation is stored under its own id with its own words
    alone = [await one(number) for number in (2, 5)]
    for number, (_, text, _) in zip((2, 5), alone, strict=True):
        # batching may change a late token, never the beginning: it is another prompt's otherwise
        assert text[:12] == answers[number][1][:12]
    served.wait_for(RUNS, 0)


async def test_client_gone_before_the_first_token(
    served: Served,
    async_client: openai.AsyncOpenAI,
    record_property: Any,
) -> None:
    asked = ask(LONG, max_tokens=8)
    task = asyncio.create_task(async_client.chat.completions.create(**asked, stream=True))
    await asyncio.to_thread(served.wait_for, BUSY, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    took = await asyncio.to_thread(served.wait_for, BUSY, 0)
    record_property("slot_free_after_s", took)
    print(f"client gone before the first token: slot free after {took:.3f} s")
    await asyncio.to_thread(served.wait_for, RUNS, 0)


async def test_client_gone_mid_stream(
    served: Served, async_client: openai.AsyncOpenAI, record_property: Any
) -> None:
    asked = ask(ENDLESS, max_tokens=1_500)
    stream = await async_client.chat.completions.create(**asked, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    assert await asyncio.to_thread(served.metric, BUSY) == 1
    await stream.close()
    took = await asyncio.to_thread(served.wait_for, BUSY, 0)
    record_property("slot_free_after_s", took)
    print(f"client gone mid-stream: slot free after {took:.3f} s")
    await asyncio.to_thread(served.wait_for, RUNS, 0)


def test_queue_full_is_refused_with_a_time_to_come_back(start: Start) -> None:
    small = start(PYEINO_LLM__LOCAL__SLOTS="1", PYEINO_LLM__LOCAL__MAX_QUEUE="1")
    with openai.OpenAI(base_url=f"{small.url}/v1", api_key="none", max_retries=0) as client:
        streams = [client.chat.completions.create(**ask(ENDLESS, max_tokens=1_500, stream=True))]
        next(iter(streams[0]))
        waiting = threading.Thread(
            target=lambda: streams.append(
                client.chat.completions.create(**ask(ENDLESS, max_tokens=4, stream=True))
            )
        )
        waiting.start()
        small.wait_for(WAITING, 1)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**ask("x"))
        assert float(caught.value.response.headers["retry-after"]) > 0
        assert float(caught.value.response.headers["retry-after-ms"]) > 0
        streams[0].close()
        waiting.join()
        assert [c.choices[0].finish_reason for c in streams[1] if c.choices][-1] in (
            "stop",
            "length",
        )


def test_server_stopped_mid_stream_ends_with_an_error(start: Start) -> None:
    stopped = start()
    with openai.OpenAI(base_url=f"{stopped.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(**ask(ENDLESS, max_tokens=1_500, stream=True))
        received = 0
        with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - stopped while it is read
            for chunk in stream:
                received += bool(chunk.choices and chunk.choices[0].delta.content)
                if received == 3:
                    stopped.process.terminate()
                    received += 1
        assert caught.value.code == "server_stopped"
    assert stopped.process.wait(timeout=60) == 0


def test_one_listening_socket(served: Served) -> None:
    listening: set[int] = set()
    inodes = _socket_inodes(served.process.pid)
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{served.process.pid}/net/{table}", encoding="ascii") as rows:
            for row in list(rows)[1:]:
                fields = row.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    listening.add(int(fields[1].rsplit(":", 1)[1], 16))
    assert listening == {served.port}


def _socket_inodes(pid: int) -> set[str]:
    found: set[str] = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            continue  # closed in the meantime
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


# --- tools ----------------------------------------------------------------------------------------

CITY_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "keep_city",
        "description": "Keep a city and its size.",
        "parameters": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 20},
                "size": {"enum": ["small", "large"]},
            },
            "required": ["name", "size"],
            "additionalProperties": False,
        },
    },
}
FORCED: Any = {"type": "function", "function": {"name": "keep_city"}}


def check_city(arguments: str) -> None:
    found = json.loads(arguments)
    assert set(found) == {"name", "size"}
    assert len(found["name"]) <= 20
    assert found["size"] in ("small", "large")


def test_a_forced_tool_gets_arguments_of_its_schema(client: openai.OpenAI) -> None:
    asked = ask("Oslo is large.", tools=[CITY_TOOL], tool_choice=FORCED, max_tokens=100)
    answer = client.chat.completions.create(**asked)
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    check_city(call.function.arguments)
    talk = [
        *asked["messages"],
        choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": "kept"},
    ]
    again = client.chat.completions.create(model="default", messages=talk, max_tokens=8)
    assert again.choices[0].message.content


def test_a_forced_tool_is_streamed(client: openai.OpenAI) -> None:
    asked = ask("Oslo is large.", tools=[CITY_TOOL], tool_choice=FORCED, max_tokens=100)
    with client.chat.completions.stream(**asked) as stream:
        whole = stream.get_final_completion()
    assert whole.choices[0].finish_reason == "tool_calls"
    assert whole.choices[0].message.tool_calls is not None
    check_city(whole.choices[0].message.tool_calls[0].function.arguments)


def test_the_tools_chain_is_there_by_default(served: Served) -> None:
    with httpx2.Client(base_url=served.url, timeout=120, verify=False) as http:
        body = {
            "user_id": "ann",
            "message": "What is 17 * 23?",
            "options": {"tools": ["calculator"], "max_tokens": 40},
        }
        metadata = http.post("/api/v1/chat", json=body).json()["metadata"]
        assert metadata["chain"] == "tools"
        assert metadata["chain_reason"] == "options.tools asks for tools"
        (call,) = metadata["tool_calls"]
        assert call["name"] == "calculator"
        assert set(json.loads(call["arguments"])) == {"expression"}
        body["options"] = {"tools": ["sun"]}
        refused = http.post("/api/v1/chat", json=body).json()
        assert refused["error"]["metadata"]["available"] == ["calculator", "clock"]


def test_embeddings_come_from_the_embedder_of_retrieval(client: openai.OpenAI) -> None:
    texts = ["a river", "a stream of water", "a tax form"]
    rows = client.embeddings.create(model="default", input=texts, encoding_format="float").data
    one, near, far = (row.embedding for row in rows)
    assert len(one) == len(near) == len(far) == 384

    def alike(left: list[float], right: list[float]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    assert alike(one, near) > alike(one, far)
