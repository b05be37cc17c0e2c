"""What the guide's own service gets wrong, and this one may not: rows G01 to G16.

Rows whose promise is held nearer to its code have their numbered test there; the last test here
looks for one of each.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyeino.errors import AppError, ExternalError
from pyeino.service import ChatRequest, ChatResponse
from pyeino.testing import ScriptedReply

OpenBench = Callable[..., Any]
ASK = ChatRequest(user_id="ann", session_id="s1", message="hi")
TESTS = Path(__file__).parents[2]


async def run_each_outcome(given: Any) -> None:
    """One answer that succeeds, one that fails, one whose reader leaves, one refused."""
    await given.service.chat(ASK)
    with pytest.raises(ExternalError):
        await given.service.chat(ASK)
    stream = given.service.stream_chat(ASK)
    await anext(stream)
    await stream.aclose()
    with pytest.raises(AppError):
        await given.service.chat(msgspec.structs.replace(ASK, message=" "))


REPLIES = (
    "fine",
    ExternalError("MODEL_FAILED", "out"),
    ScriptedReply(chunks=("a", "b"), at=1, hold=asyncio.Event()),
)


async def test_g04_latency_is_observed_in_every_outcome(bench: OpenBench) -> None:
    async with bench(*REPLIES) as given:
        await run_each_outcome(given)
        samples = given.samples()
        counts = {
            outcome: samples[f"eino_chat_latency_seconds_count{{outcome={outcome}}}"]
            for outcome in ("ok", "error", "cancelled")
        }
        assert counts == {"ok": 1, "error": 2, "cancelled": 1}


async def test_g05_no_user_stands_in_a_metric(bench: OpenBench) -> None:
    async with bench(*REPLIES) as given:
        await run_each_outcome(given)
        samples = given.samples()
        assert samples["eino_chat_requests_total{chain=plain}"] == 3
        assert not [name for name in samples if "ann" in name or "user" in name or "s1" in name]
        [line] = given.logs.of("Chat completed")
        assert line["user_id"]  # the log has it; the writer masks it


async def test_g11_durations_are_seconds_and_the_schema_says_so(bench: OpenBench) -> None:
    async with bench(ScriptedReply(chunks=("a",), delay=0.05)) as given:
        response = await given.service.chat(ASK)
        body = msgspec.json.decode(msgspec.json.encode(response))
        assert isinstance(body["process_time"], float)
        assert 0.04 < body["process_time"] < 60  # not 50,000,000
    schema = msgspec.json.schema(ChatResponse)["$defs"]["ChatResponse"]
    assert schema["properties"]["process_time"] == {"type": "number"}
    assert "seconds" in schema["description"]


async def test_g10_sessions_are_the_principals_own(bench: OpenBench) -> None:
    from pyeino.service import CallContext

    async with bench("fine") as given:
        await given.service.chat(ASK)
        sessions = given.service.sessions
        bob = CallContext(user_id="bob")
        calls = (
            lambda: sessions.list(user_id="ann", call=bob),
            lambda: sessions.create(user_id="ann", call=bob),
            lambda: sessions.get("s1", user_id="ann", call=bob),
            lambda: sessions.update("s1", user_id="ann", title="x", call=bob),
            lambda: sessions.delete("s1", user_id="ann", call=bob),
            lambda: sessions.messages("s1", user_id="ann", call=bob),
        )
        for call in calls:
            with pytest.raises(AppError) as refused:
                await call()
            assert (refused.value.code, refused.value.http_status) == ("USER_NOT_ALLOWED", 403)
        assert (await sessions.get("s1", user_id="ann")).title == "hi"
        errors = []
        for session_id in ("s1", "never"):
            with pytest.raises(AppError) as missing:
                await sessions.get(session_id, user_id="bob", call=bob)
            errors.append(missing.value.to_dict())
        assert errors[0] == errors[1]


def test_every_row_up_to_g16_has_a_test_of_its_number() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    named = {int(number) for number in re.findall(r"def test_g(\d\d)_", text)}
    assert set(range(1, 17)) - named == set()
